# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the control API, for a simulator in a thread or in another process."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from .request_log import Entry
from .tokens import fingerprint

# Requests to loopback must not use a proxy from the environment.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# In seconds.
_TIMEOUT = 60.0


class SimulatorError(Exception):
    """The simulator rejected a request; the text is its reason."""


class ControlClient:
    """The control client of one simulator. Each method sends one request."""

    def __init__(
        self, url: str, http_url: str, ca_path: str, control_url: str | None = None
    ) -> None:
        self.url = url
        self.http_url = http_url
        self.ca_path = ca_path
        self.control_url = control_url or http_url
        self._settings: dict[str, Any] = self._control("GET", "settings")

    @classmethod
    def from_announcement(cls, path: str | Path) -> ControlClient:
        """Return a client for the simulator that wrote this announce file."""
        announced = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(
            announced["url"],
            announced["http_url"],
            announced["ca_path"],
            announced.get("control_url"),
        )

    # Credentials

    @property
    def account_id(self) -> str:
        """The account of the first client."""
        return str(self._settings["clients"][0]["account_id"])

    @property
    def client_id(self) -> str:
        """The id of the first client."""
        return str(self._settings["clients"][0]["client_id"])

    @property
    def client_secret(self) -> str:
        """The secret of the first client."""
        return str(self._settings["clients"][0]["client_secret"])

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that this client set or read last."""
        return self._settings

    # Settings

    def reset(self, **settings: object) -> None:
        """Delete all state; settings that are not given are reset to their defaults."""
        self._settings = self._control("POST", "reset", _plain(settings))

    def configure(self, **settings: object) -> None:
        """Change the given settings; keep tokens, request log and faults."""
        self._settings = self._control("PATCH", "settings", _plain(settings))

    def suspend(self, client_id: str, suspended: bool = True) -> None:
        """Suspend a client, or end its suspension."""
        self._control("POST", f"clients/{client_id}/suspend", {"suspended": suspended})

    def regenerate(self, client_id: str) -> str:
        """Give a client another secret, and return it; the old one is no longer valid."""
        return str(self._control("POST", f"clients/{client_id}/regenerate")["client_secret"])

    def delete_client(self, client_id: str) -> None:
        """Delete a client."""
        self._control("DELETE", f"clients/{client_id}")

    # Tokens

    def mint(self, **options: object) -> str:
        """Create a token without an API request.

        Options: client_id, account_id, lifetime, age, claims, known.
        """
        return str(self.mint_pair(**options)["access_token"])

    def mint_pair(self, **options: object) -> dict[str, Any]:
        """Create a token; return it with its refresh token, fingerprint and registry entry."""
        return dict(self._control("POST", "tokens", options))

    def mint_many(self, count: int, **options: object) -> list[str]:
        """Create many tokens with one control request."""
        created = self._control("POST", "tokens", {**options, "count": count})
        return [token["access_token"] for token in created]

    def issue(self) -> dict[str, Any]:
        """Issue a token through the API: logged, counted, rate-limited. Return the data."""
        grant = {"grant_type": "client_credentials"}
        body = {**grant, "client_id": self.client_id, "client_secret": self.client_secret}
        headers = {"accountId": self.account_id}
        url = f"{self.http_url}/v1/auth/token/issue"
        return dict(self._send("POST", url, body, headers)["data"])

    def tokens(self) -> list[dict[str, Any]]:
        """Return all entries of the token registry."""
        return list(self._control("GET", "tokens"))

    def live(self) -> list[str]:
        """Return the fingerprints of all tokens that are still accepted."""
        return [one["fingerprint"] for one in self.tokens() if one["accepted"]]

    def token(self, token: str) -> dict[str, Any] | None:
        """Return the registry entry of a token or a fingerprint; None if there is none."""
        name = token if token.startswith("sha256:") else fingerprint(token)
        try:
            return dict(self._control("GET", f"tokens/{name}"))
        except LookupError:
            return None

    def accepts(self, token: str) -> bool:
        """Return whether the API would accept the token now; not logged, no effect."""
        entry = self.token(token)
        return entry is not None and bool(entry["accepted"])

    # Requests

    def requests(self, operation: str | None = None, fingerprint: str | None = None) -> list[Entry]:
        """Return the request log, oldest first."""
        return self._requests(_query(operation=operation, fingerprint=fingerprint))[1]

    def writes(self) -> list[Entry]:
        """Return the write requests of the request log."""
        return [entry for entry in self.requests() if entry.write]

    def wait_for_requests(self, n: int, timeout: float = 10) -> list[Entry]:
        """Wait until the log contains n requests, with or without a response."""
        query = _query(at_least=n, timeout=timeout)
        total, entries = self._requests(query, timeout + _TIMEOUT)
        if total < n:
            raise TimeoutError(f"{total} of {n} requests had arrived after {timeout} seconds")
        return entries

    def forget_requests(self) -> None:
        """Empty the request log and reset the counters."""
        self._control("DELETE", "requests")

    def counters(self, fingerprint: str | None = None) -> dict[str, Any]:
        """Return the counters of all requests, or of those with one token."""
        return dict(self._control("GET", "counters" + _query(fingerprint=fingerprint)))

    # Faults

    def fault(self, on: str, kind: str, **options: object) -> None:
        """Add a fault; see README.md for the kinds."""
        self._control("POST", "faults", [{"on": on, "kind": kind, **options}])

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults, and how often each one triggered."""
        return list(self._control("GET", "faults"))

    def clear_faults(self) -> None:
        """Delete all faults."""
        self._control("DELETE", "faults")

    def _requests(self, query: str, timeout: float = _TIMEOUT) -> tuple[int, list[Entry]]:
        log = self._control("GET", "requests" + query, timeout=timeout)
        return int(log["total"]), [_entry(line) for line in log["requests"]]

    def _control(
        self, method: str, path: str, body: object = None, timeout: float = _TIMEOUT
    ) -> Any:
        return self._send(method, f"{self.control_url}/_simulator/{path}", body, {}, timeout)

    def _send(
        self,
        method: str,
        url: str,
        body: object,
        headers: Mapping[str, str],
        timeout: float = _TIMEOUT,
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with _opener.open(request, timeout=timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise _error(error.code, error.read()) from None


def _error(status: int, body: bytes) -> Exception:
    response = json.loads(body)
    text = f"{status}: {response.get('error') or response.get('description')}"
    return _NotFound(text) if status == 404 else SimulatorError(text)


class _NotFound(SimulatorError, LookupError):
    """The simulator has no object with this name."""


def _plain(settings: Mapping[str, object]) -> dict[str, object]:
    return {name: _jsonable(value) for name, value in settings.items()}


def _jsonable(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_jsonable(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value


def _query(**parameters: object) -> str:
    given = {name: str(value) for name, value in parameters.items() if value is not None}
    return "?" + urllib.parse.urlencode(given) if given else ""


def _entry(line: Mapping[str, Any]) -> Entry:
    names = {name: tuple(line[name]) for name in ("body_fields", "header_names")}
    return Entry(**{**line, **names})
