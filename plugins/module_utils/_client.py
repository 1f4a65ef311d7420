# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's calls: paths, headers, bodies. Given a transport, it opens no socket itself.

Facts: Nomba's OpenAPI specification. The revoke body is in camelCase (`clientId`), carries no
secret, and gets no Authorization header; `accountId` is sent everywhere, as Nomba's FAQ asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ansible_collections.nomba.auth.plugins.module_utils._answer import (
    Answer,
    NoAnswer,
    Reading,
    read,
)

_REVOKE = "/v1/auth/token/revoke"
_BALANCE = "/v1/accounts/balance"


class Transport(Protocol):
    """What carries a request to the API and brings back an answer, or the lack of one."""

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, str] | None = None,
    ) -> Answer | NoAnswer:
        """Send one request, again where that is safe, within the run's deadline."""


class Client:
    """The calls that a client id and an account id can make."""

    def __init__(self, transport: Transport, account_id: str, client_id: str) -> None:
        self._transport = transport
        self._account_id = account_id
        self._client_id = client_id

    def revoke(self, token: str) -> Reading:
        """Ask the API to revoke a token."""
        body = {"clientId": self._client_id, "access_token": token}
        return read(self._transport.send("POST", _REVOKE, {"accountId": self._account_id}, body))

    def probe(self, token: str) -> Reading:
        """Ask for something harmless with a token, only to see whether it is taken."""
        headers = {"accountId": self._account_id, "Authorization": f"Bearer {token}"}
        return read(self._transport.send("GET", _BALANCE, headers))
