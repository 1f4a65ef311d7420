# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API below /_simulator/: not logged, not rate-limited, not subject to faults."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from . import faults, rules, settings
from .request_log import OpenEntry
from .rules import TokenOptions
from .state import Simulator, State

PREFIX = "/_simulator/"


class ControlError(ValueError):
    """An invalid control request; the text goes to the client."""


@dataclasses.dataclass(frozen=True)
class ControlRequest:
    """A parsed control request."""

    simulator: Simulator
    argument: str
    query: Mapping[str, str]
    body: object

    @property
    def state(self) -> State:
        """The current state."""
        return self.simulator.state


Handler = Callable[[ControlRequest], Awaitable[object]]


async def respond(simulator: Simulator, request: web.BaseRequest) -> web.Response:
    """Handle a control request; an invalid one returns 400 or 404 and a sentence."""
    try:
        action, argument = _find(request.method, request.path.removeprefix(PREFIX))
        body = _json(await request.read())
        parsed = ControlRequest(simulator, argument, dict(request.query), body)
        return _reply(200, await action(parsed))
    except LookupError as error:
        return _reply(404, {"error": str(error.args[0])})
    except (ControlError, settings.SettingsError, faults.FaultError) as error:
        return _reply(400, {"error": str(error)})


def _find(method: str, path: str) -> tuple[Handler, str]:
    name, __, rest = path.partition("/")
    argument, __, verb = rest.partition("/")
    pattern = name + ("/*" if argument else "") + (f"/{verb}" if verb else "")
    if (method, pattern) not in _ROUTES:
        raise LookupError(f"no control path {method} {PREFIX}{path}")
    return _ROUTES[method, pattern], argument


def _json(body: bytes) -> object:
    try:
        return json.loads(body) if body else {}
    except ValueError as error:
        raise ControlError("the body must be JSON") from error


def _reply(status: int, value: object) -> web.Response:
    return web.Response(status=status, body=faults.encode(value), content_type="application/json")


async def _reset(request: ControlRequest) -> object:
    request.simulator.reset(settings.from_json(request.body))
    return settings.to_json(request.state.settings)


async def _configure(request: ControlRequest) -> object:
    request.state.configure(settings.from_json(request.body, request.state.settings))
    return settings.to_json(request.state.settings)


async def _settings(request: ControlRequest) -> object:
    return settings.to_json(request.state.settings)


# Tokens


async def _mint(request: ControlRequest) -> object:
    given = _mapping(request.body)
    count = given.get("count")
    if count is None:
        return _mint_one(request.state, given)
    if not isinstance(count, int):
        raise ControlError("count must be a whole number")
    return [_mint_one(request.state, given) for __ in range(count)]


def _mint_one(state: State, given: Mapping[str, object]) -> dict[str, object]:
    pair = state.api.mint(_owner(state, given), _token_options(given), state.now())
    tokens = {"access_token": pair.access_token, "refresh_token": pair.refresh_token}
    return {**tokens, **rules.describe(pair.entry, state.now())}


def _owner(state: State, given: Mapping[str, object]) -> settings.ApiClient:
    client_id = given.get("client_id", state.settings.clients[0].client_id)
    client = state.settings.client(client_id)
    if client is None:
        raise LookupError("no such client")
    account_id = given.get("account_id", client.account_id)
    return dataclasses.replace(client, account_id=str(account_id))


def _token_options(given: Mapping[str, object]) -> TokenOptions:
    return TokenOptions(
        lifetime=_number("lifetime", given.get("lifetime")),
        age=_number("age", given.get("age")) or 0,
        claims=_mapping(given.get("claims") or {}),
        known=given.get("known", True) is not False,
    )


def _number(name: str, value: object) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ControlError(f"{name} must be a number")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ControlError("the body and claims must be objects")
    return value


async def _tokens(request: ControlRequest) -> object:
    return [_describe(request.state, entry) for entry in request.state.api.registry]


async def _token(request: ControlRequest) -> object:
    entry = request.state.api.registry.find(request.argument)
    if entry is None:
        raise LookupError("no such token")
    return _describe(request.state, entry)


def _describe(state: State, entry: rules.TokenEntry) -> dict[str, object]:
    accepted = state.api.accepts(entry, state.now())
    return {**rules.describe(entry, state.now()), "accepted": accepted}


# Requests


async def _requests(request: ControlRequest) -> object:
    if "at_least" in request.query:
        await _wait_for_arrival(request.state, request.query)
    entries = [_as_json(one) for one in request.state.request_log if _matches(one, request.query)]
    return {"total": request.state.request_log.total, "requests": entries}


async def _wait_for_arrival(state: State, query: Mapping[str, str]) -> None:
    arrived = asyncio.Event()
    try:
        total, timeout = int(query["at_least"]), float(query.get("timeout", "10"))
    except ValueError as error:
        raise ControlError("at_least and timeout must be numbers") from error
    state.request_log.notify_at(total, arrived.set)
    try:
        await asyncio.wait_for(arrived.wait(), timeout)
    except asyncio.TimeoutError:
        # Not an error: the client compares `total` in the response with the number it requested.
        return


def _matches(entry: OpenEntry, query: Mapping[str, str]) -> bool:
    received = entry.received
    operation = query.get("operation") in (None, received.operation)
    return operation and query.get("fingerprint") in (None, received.fingerprint)


def _as_json(entry: OpenEntry) -> dict[str, object]:
    return dict(entry.snapshot().__dict__)


async def _forget_requests(request: ControlRequest) -> object:
    request.state.forget_requests()
    return {}


async def _counters(request: ControlRequest) -> object:
    return request.state.request_log.counters(request.query.get("fingerprint"))


# Faults and clients


async def _add_faults(request: ControlRequest) -> object:
    request.state.script.add(faults.from_json(request.body))
    return request.state.script.describe()


async def _faults(request: ControlRequest) -> object:
    return request.state.script.describe()


async def _clear_faults(request: ControlRequest) -> object:
    request.state.script.clear()
    return []


def _client(request: ControlRequest) -> settings.ApiClient:
    client = request.state.settings.client(request.argument)
    if client is None:
        raise LookupError("no such client")
    return client


async def _suspend(request: ControlRequest) -> object:
    client = _client(request)
    suspended = _mapping(request.body).get("suspended", True) is not False
    changed = dataclasses.replace(client, suspended=suspended)
    request.state.configure(request.state.settings.with_client(changed))
    return {"client_id": client.client_id, "suspended": suspended}


async def _regenerate(request: ControlRequest) -> object:
    secret = base64.b64encode(secrets.token_bytes(64)).decode()
    changed = dataclasses.replace(_client(request), client_secret=secret)
    state = request.state
    state.configure(state.settings.with_client(changed))
    if state.settings.regeneration_kills_tokens:
        state.api.revoke_all(changed.client_id, state.now())
    return dataclasses.asdict(changed)


async def _delete_client(request: ControlRequest) -> object:
    client = _client(request)
    request.state.configure(request.state.settings.without_client(client.client_id))
    return {"client_id": client.client_id}


_ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "reset"): _reset,
    ("GET", "settings"): _settings,
    ("PATCH", "settings"): _configure,
    ("POST", "tokens"): _mint,
    ("GET", "tokens"): _tokens,
    ("GET", "tokens/*"): _token,
    ("GET", "requests"): _requests,
    ("DELETE", "requests"): _forget_requests,
    ("GET", "counters"): _counters,
    ("POST", "faults"): _add_faults,
    ("GET", "faults"): _faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "clients/*/suspend"): _suspend,
    ("POST", "clients/*/regenerate"): _regenerate,
    ("DELETE", "clients/*"): _delete_client,
}
