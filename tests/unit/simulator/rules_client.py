# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of the rules and of the server."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.simulator import rules
from tests.simulator import settings as known
from tests.simulator.control_client import ControlClient
from tests.simulator.rules import Api, Call, Reply, TokenOptions

NOW = 1_800_000_000.25
GRANT = {
    "grant_type": "client_credentials",
    "client_id": known.DEFAULT_CLIENT_ID,
    "client_secret": known.DEFAULT_CLIENT_SECRET,
}


class Rules:
    """The rules, with a clock that only tests advance."""

    def __init__(self) -> None:
        self.api = Api(known.Settings(), key=b"k" * 32)
        self.now = NOW

    def set(self, **settings: object) -> None:
        """Change settings."""
        self.api.settings = known.from_json(settings, self.api.settings)

    def post(self, path: str, body: dict[str, Any] | None, **call: str | None) -> Reply:
        """Send a POST, by default of JSON with the accountId header."""
        headers: dict[str, str | None] = {
            "account_id": known.DEFAULT_ACCOUNT_ID,
            "content_type": "application/json",
            **call,
        }
        return self.api.respond(Call("POST", path, body=body, **headers), self.now)

    def issue(self, body: dict[str, Any] | None = None, **call: str | None) -> Reply:
        """Issue a token."""
        return self.post(rules.ISSUE, GRANT if body is None else body, **call)

    def token(self) -> str:
        """Issue and return an access token."""
        return str(data(self.issue())["access_token"])

    def mint(self, **how: Any) -> str:
        """Create a token without the API."""
        client = self.api.settings.clients[0]
        return self.api.mint(client, TokenOptions(**how), self.now).access_token

    def refresh(self, token: str, **call: str | None) -> Reply:
        """Refresh with a refresh token."""
        body = {"grant_type": "refresh_token", "refresh_token": token}
        return self.post(rules.REFRESH, body, **call)

    def revoke(self, token: str, client_id: str = known.DEFAULT_CLIENT_ID) -> Reply:
        """Revoke as specified, without accountId."""
        body = {"clientId": client_id, "access_token": token}
        return self.post(rules.REVOKE, body, account_id=None)

    def balance(self, token: str, account_id: str | None = known.DEFAULT_ACCOUNT_ID) -> Reply:
        """Request the balance with a token."""
        bearer = f"Bearer {token}"
        call = Call("GET", rules.BALANCE, account_id=account_id, authorization=bearer)
        return self.api.respond(call, self.now)


def data(reply: Reply) -> dict[str, Any]:
    """Return the data of a successful answer."""
    inner = reply.body["data"]
    if not isinstance(inner, dict):
        raise TypeError(reply)
    return inner


@contextlib.contextmanager
def pending_request(
    simulator: ControlClient, method: str, path: str, body: object = None
) -> Iterator[http.client.HTTPConnection]:
    """Send a request and leave its answer unread."""
    connection = http.client.HTTPConnection(urlsplit(simulator.http_url).netloc, timeout=30)
    headers = {"accountId": simulator.account_id, "Authorization": "Bearer a.b.c"}
    headers["Content-Type"] = "application/json"
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(body), headers)
        yield connection


class SimulatorClient:
    """A client of the simulator."""

    def __init__(self, simulator: ControlClient, url: str | None = None) -> None:
        self._simulator = simulator
        self._url = url or simulator.url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = simulator.ca_path

    def __enter__(self) -> SimulatorClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send any request; follow no redirect."""
        url = self._url + path
        return self._session.request(method, url, allow_redirects=False, timeout=30, **more)

    def issue(self, **more: Any) -> requests.Response:
        """Issue a token."""
        headers = {"accountId": self._simulator.account_id}
        return self("POST", rules.ISSUE, **{"json": GRANT, "headers": headers, **more})

    def revoke(self, token: str, **more: Any) -> requests.Response:
        """Revoke a token."""
        body = {"clientId": self._simulator.client_id, "access_token": token}
        return self("POST", rules.REVOKE, json=body, **more)

    def balance(self, token: str, **more: Any) -> requests.Response:
        """Request the balance with a token."""
        bearer = {"Authorization": f"Bearer {token}", "accountId": self._simulator.account_id}
        return self("GET", rules.BALANCE, headers=bearer, **more)
