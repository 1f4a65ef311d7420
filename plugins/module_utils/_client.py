# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's calls: paths, headers, bodies. Given a transport, it opens no socket itself.

Facts: Nomba's OpenAPI specification. The revoke body is in camelCase (`clientId`), carries no
secret, and gets no Authorization header; issue is in snake_case (`client_id`); a refresh carries
the old access token as bearer. `accountId` is sent everywhere, as Nomba's FAQ asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ansible_collections.nomba.auth.plugins.module_utils._answer import (
    Answer,
    NoAnswer,
    Reading,
    Verdict,
    read,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import read as read_token

_ISSUE = "/v1/auth/token/issue"
_REFRESH = "/v1/auth/token/refresh"
_REVOKE = "/v1/auth/token/revoke"
_BALANCE = "/v1/accounts/balance"

_GRANTED = ("access_token", "refresh_token", "expiresAt", "businessId")


@dataclass(frozen=True)
class Grant:
    """What the API granted. expires_at is its own text (RFC 3339, UTC)."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False, default=None)
    expires_at: str | None = None
    business_id: str | None = None

    def account(self) -> str | None:
        """Whose token it is: by the answer's businessId, else by the token's own claim."""
        return self.business_id or next(iter(read_token(self.access_token).accounts), None)


def grant_of(reading: Reading) -> Grant | None:
    """The grant in an answer to issue or refresh; None when it holds no token."""
    given = {
        name: value for name, value in reading.data.items() if isinstance(value, str) and value
    }
    if reading.verdict is not Verdict.YES or "access_token" not in given:
        return None
    return Grant(
        access_token=given["access_token"],
        refresh_token=given.get("refresh_token"),
        expires_at=given.get("expiresAt"),
        business_id=given.get("businessId"),
    )


class Transport(Protocol):
    """What carries a request to the API and brings back an answer, or the lack of one."""

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, str] | None = None,
        harmless_twice: bool = True,
    ) -> Answer | NoAnswer:
        """Send one request, again where that is safe, within the run's deadline."""


class Client:
    """The calls that a client id and an account id can make."""

    def __init__(self, transport: Transport, account_id: str, client_id: str) -> None:
        self._transport = transport
        self._account_id = account_id
        self._client_id = client_id

    def of_account(self, account_id: str) -> Client:
        """The same client, speaking for another account."""
        return Client(self._transport, account_id, self._client_id)

    def issue(self, client_secret: str) -> Reading:
        """Ask for a token. Not sent again when its answer was lost: it may have had its effect."""
        body = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": client_secret,
        }
        headers = {"accountId": self._account_id}
        return read(self._transport.send("POST", _ISSUE, headers, body, False), _GRANTED)

    def refresh(self, refresh_token: str, access_token: str) -> Reading:
        """Ask for a new pair. Not sent again either: the old refresh token may be used up."""
        body = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        headers = {"accountId": self._account_id, "Authorization": f"Bearer {access_token}"}
        return read(self._transport.send("POST", _REFRESH, headers, body, False), _GRANTED)

    def revoke(self, token: str) -> Reading:
        """Ask the API to revoke a token."""
        body = {"clientId": self._client_id, "access_token": token}
        return read(self._transport.send("POST", _REVOKE, {"accountId": self._account_id}, body))

    def probe(self, token: str) -> Reading:
        """Ask for something harmless with a token, only to see whether it is taken."""
        headers = {"accountId": self._account_id, "Authorization": f"Bearer {token}"}
        return read(self._transport.send("GET", _BALANCE, headers))
