# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests hold: the simulator by its control paths, in a thread or in another process."""

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

# Proxies of the environment are for the world outside, not for loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# Seconds after which a simulator that says nothing counts as broken.
_PATIENCE = 60.0


class SimulatorError(Exception):
    """The simulator said no; the text says why."""


class ControlClient:
    """One simulator. Every method is one request to it."""

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
        """The simulator that wrote this announce file."""
        announced = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(
            announced["url"],
            announced["http_url"],
            announced["ca_path"],
            announced.get("control_url"),
        )

    # Who may ask

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
        """The settings as this client last set or read them."""
        return self._settings

    # What it is

    def reset(self, **settings: object) -> None:
        """Forget everything; settings that are not named get their defaults back."""
        self._settings = self._control("POST", "reset", _plain(settings))

    def configure(self, **settings: object) -> None:
        """Change some settings, and keep tokens, log and faults."""
        self._settings = self._control("PATCH", "settings", _plain(settings))

    def suspend(self, client_id: str, suspended: bool = True) -> None:
        """Suspend a client, or let it act again."""
        self._control("POST", f"clients/{client_id}/suspend", {"suspended": suspended})

    # Tokens

    def mint(self, **how: object) -> str:
        """A token made past the API: client_id, account_id, lifetime, age, claims, known."""
        return str(self.mint_pair(**how)["access_token"])

    def mint_pair(self, **how: object) -> dict[str, Any]:
        """The same, with its refresh token, fingerprint and what the registry says of it."""
        return dict(self._control("POST", "tokens", how))

    def mint_many(self, count: int, **how: object) -> list[str]:
        """Many tokens by one request."""
        made = self._control("POST", "tokens", {**how, "count": count})
        return [one["access_token"] for one in made]

    def issue(self) -> dict[str, Any]:
        """A token through the real API: logged, counted, limited. Returns the answer's data."""
        grant = {"grant_type": "client_credentials"}
        body = {**grant, "client_id": self.client_id, "client_secret": self.client_secret}
        headers = {"accountId": self.account_id}
        url = f"{self.http_url}/v1/auth/token/issue"
        return dict(self._ask("POST", url, body, headers)["data"])

    def tokens(self) -> list[dict[str, Any]]:
        """The whole registry."""
        return list(self._control("GET", "tokens"))

    def live(self) -> list[str]:
        """The fingerprints of all tokens that are still accepted, the dying among them."""
        return [one["fingerprint"] for one in self.tokens() if one["accepted"]]

    def token(self, token: str) -> dict[str, Any] | None:
        """What the registry says of a token, or of a fingerprint; None if it is not in there."""
        name = token if token.startswith("sha256:") else fingerprint(token)
        try:
            return dict(self._control("GET", f"tokens/{name}"))
        except LookupError:
            return None

    def accepts(self, token: str) -> bool:
        """Whether the token would be accepted now. Asks the registry: not logged, no effect."""
        entry = self.token(token)
        return entry is not None and bool(entry["accepted"])

    # Requests

    def requests(self, operation: str | None = None, fingerprint: str | None = None) -> list[Entry]:
        """The log, oldest first."""
        return self._requests(_query(operation=operation, fingerprint=fingerprint))[1]

    def writes(self) -> list[Entry]:
        """Everything that could have changed something."""
        return [entry for entry in self.requests() if entry.write]

    def wait_for_requests(self, n: int, timeout: float = 10) -> list[Entry]:
        """Wait until n requests have arrived since the log began (answered or not)."""
        query = _query(at_least=n, timeout=timeout)
        total, entries = self._requests(query, timeout + _PATIENCE)
        if total < n:
            raise TimeoutError(f"{total} of {n} requests had arrived after {timeout} seconds")
        return entries

    def forget_requests(self) -> None:
        """Begin a new log and new counters."""
        self._control("DELETE", "requests")

    def counters(self, fingerprint: str | None = None) -> dict[str, Any]:
        """The sums of all requests, or of those that carried one token."""
        return dict(self._control("GET", "counters" + _query(fingerprint=fingerprint)))

    # Faults

    def fault(self, on: str, kind: str, **how: object) -> None:
        """Script a fault; see README.md for the kinds."""
        self._control("POST", "faults", [{"on": on, "kind": kind, **how}])

    def faults(self) -> list[dict[str, Any]]:
        """The script, and how often each line has fired."""
        return list(self._control("GET", "faults"))

    def clear_faults(self) -> None:
        """Forget the script."""
        self._control("DELETE", "faults")

    def _requests(self, query: str, patience: float = _PATIENCE) -> tuple[int, list[Entry]]:
        answer = self._control("GET", "requests" + query, timeout=patience)
        return int(answer["total"]), [_entry(one) for one in answer["requests"]]

    def _control(
        self, method: str, path: str, body: object = None, timeout: float = _PATIENCE
    ) -> Any:
        return self._ask(method, f"{self.control_url}/_simulator/{path}", body, {}, timeout)

    def _ask(
        self,
        method: str,
        url: str,
        body: object,
        headers: Mapping[str, str],
        timeout: float = _PATIENCE,
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        every = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(url, data, every, method=method)
        try:
            with _opener.open(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read()) from None


def _refusal(status: int, body: bytes) -> Exception:
    answer = json.loads(body)
    text = f"{status}: {answer.get('error') or answer.get('description')}"
    return _Missing(text) if status == 404 else SimulatorError(text)


class _Missing(SimulatorError, LookupError):
    """The simulator knows nothing of that name."""


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
