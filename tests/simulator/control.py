# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator's own paths, below /_simulator/: not logged, not limited, never faulty."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from . import faults, rules, settings
from .request_log import Line
from .rules import Minting
from .state import Simulator, State

PREFIX = "/_simulator/"
_MINT_FIELDS = ("client_id", "account_id", "lifetime", "age", "claims", "known", "count")


class ControlError(ValueError):
    """A request to the control paths that makes no sense; the text is for people."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A control request, parsed."""

    simulator: Simulator
    argument: str
    query: Mapping[str, str]
    body: object

    @property
    def state(self) -> State:
        """The present state."""
        return self.simulator.state


Answer = Callable[[Asked], Awaitable[object]]


async def respond(simulator: Simulator, request: web.BaseRequest) -> web.Response:
    """Answer a control request; its mistakes come back as 400 and a sentence."""
    try:
        action, argument = _find(request.method, request.path.removeprefix(PREFIX))
        body = _json(await request.read())
        asked = Asked(simulator, argument, dict(request.query), body)
        return _reply(200, await action(asked))
    except LookupError as missing:
        return _reply(404, {"error": str(missing.args[0])})
    except (ControlError, settings.SettingsError, faults.FaultError) as wrong:
        return _reply(400, {"error": str(wrong)})


def _find(method: str, path: str) -> tuple[Answer, str]:
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


async def _reset(asked: Asked) -> object:
    asked.simulator.reset(settings.from_json(asked.body))
    return settings.to_json(asked.state.settings)


async def _configure(asked: Asked) -> object:
    asked.state.configure(settings.from_json(asked.body, asked.state.settings))
    return settings.to_json(asked.state.settings)


async def _settings(asked: Asked) -> object:
    return settings.to_json(asked.state.settings)


# Tokens


async def _mint(asked: Asked) -> object:
    given = _mapping(asked.body)
    count = given.get("count")
    if count is None:
        return _mint_one(asked.state, given)
    if not isinstance(count, int):
        raise ControlError("count must be a whole number")
    return [_mint_one(asked.state, given) for __ in range(count)]


def _mint_one(state: State, given: Mapping[str, object]) -> dict[str, object]:
    pair = state.api.mint(_owner(state, given), _minting(given), state.now())
    tokens = {"access_token": pair.access_token, "refresh_token": pair.refresh_token}
    return {**tokens, **rules.describe(pair.entry, state.now())}


def _owner(state: State, given: Mapping[str, object]) -> settings.ApiClient:
    client_id = given.get("client_id", state.settings.clients[0].client_id)
    client = state.settings.client(client_id)
    if client is None:
        raise LookupError("no such client")
    account_id = given.get("account_id", client.account_id)
    return dataclasses.replace(client, account_id=str(account_id))


def _minting(given: Mapping[str, object]) -> Minting:
    return Minting(
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
        raise ControlError("an object is wanted here")
    return value


async def _tokens(asked: Asked) -> object:
    return [_describe(asked.state, entry) for entry in asked.state.api.registry]


async def _token(asked: Asked) -> object:
    entry = asked.state.api.registry.find(asked.argument)
    if entry is None:
        raise LookupError("no such token")
    return _describe(asked.state, entry)


def _describe(state: State, entry: rules.Entry) -> dict[str, object]:
    accepted = state.api.accepts(entry, state.now())
    return {**rules.describe(entry, state.now()), "accepted": accepted}


# Requests


async def _requests(asked: Asked) -> object:
    if "at_least" in asked.query:
        await _arrival(asked.state, asked.query)
    lines = [_line(one) for one in asked.state.request_log if _wanted(one, asked.query)]
    return {"total": asked.state.request_log.total, "requests": lines}


async def _arrival(state: State, query: Mapping[str, str]) -> None:
    arrived = asyncio.Event()
    try:
        total, timeout = int(query["at_least"]), float(query.get("timeout", "10"))
    except ValueError as error:
        raise ControlError("at_least and timeout must be numbers") from error
    state.request_log.watch(total, arrived.set)
    try:
        await asyncio.wait_for(arrived.wait(), timeout)
    except asyncio.TimeoutError:
        # Not an error here: the answer's total tells, and the asker knows what it wanted.
        return


def _wanted(line: Line, query: Mapping[str, str]) -> bool:
    seen = line.seen
    operation = query.get("operation") in (None, seen.operation)
    return operation and query.get("fingerprint") in (None, seen.fingerprint)


def _line(line: Line) -> dict[str, object]:
    return dict(line.entry().__dict__)


async def _forget_requests(asked: Asked) -> object:
    asked.state.forget_requests()
    return {}


async def _counters(asked: Asked) -> object:
    return asked.state.request_log.counters(asked.query.get("fingerprint"))


# Faults and clients


async def _add_faults(asked: Asked) -> object:
    asked.state.script.add(faults.from_json(asked.body))
    return asked.state.script.describe()


async def _faults(asked: Asked) -> object:
    return asked.state.script.describe()


async def _clear_faults(asked: Asked) -> object:
    asked.state.script.clear()
    return []


async def _suspend(asked: Asked) -> object:
    client = asked.state.settings.client(asked.argument)
    if client is None:
        raise LookupError("no such client")
    suspended = _mapping(asked.body).get("suspended", True) is not False
    changed = dataclasses.replace(client, suspended=suspended)
    asked.state.configure(asked.state.settings.with_client(changed))
    return {"client_id": client.client_id, "suspended": suspended}


_ROUTES: Mapping[tuple[str, str], Answer] = {
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
}
