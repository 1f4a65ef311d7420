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
    ApiResult,
    HttpAnswer,
    TransportFailure,
    Verdict,
    read,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    email_addresses,
    require_library,
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


def grant_of(reading: ApiResult) -> Grant | None:
    """The grant in an answer to issue or refresh; None when it holds no token."""
    given = {
        name: value for name, value in reading.data.items() if isinstance(value, str) and value
    }
    if reading.verdict is not Verdict.SUCCEEDED or "access_token" not in given:
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
        *,
        idempotent: bool = True,
        exclusive: bool = False,
        reserve: float = 0.0,
    ) -> HttpAnswer | TransportFailure:
        """Send one request, and retry it where that is safe, within the run's deadline."""


class Client:
    """The calls that a client id and an account id can make."""

    def __init__(self, transport: Transport, account_id: str, client_id: str) -> None:
        self._transport = transport
        self._account_id = account_id
        self._client_id = client_id

    @property
    def account_id(self) -> str:
        """The account that the calls are made for."""
        return self._account_id

    def of_account(self, account_id: str) -> Client:
        """The same client, calling for another account."""
        return Client(self._transport, account_id, self._client_id)

    def issue(self, client_secret: str) -> ApiResult:
        """Issue a token. Raises LibraryMissing before anything is sent."""
        body = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": client_secret,
        }
        return self._grant(_ISSUE, body)

    def refresh(self, refresh_token: str, access_token: str) -> ApiResult:
        """Refresh a token. Raises LibraryMissing before anything is sent."""
        body = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._grant(_REFRESH, body, access_token)

    def revoke(self, token: str, reserve: float = 0.0) -> ApiResult:
        """Revoke a token. reserve: seconds of the run that retries leave to what comes after."""
        body = {"clientId": self._client_id, "access_token": token}
        answer = self._transport.send("POST", _REVOKE, self._headers(), body, reserve=reserve)
        return read(answer, secrets=lambda: _secrets(token))

    def probe(self, token: str, exclusive: bool = False) -> ApiResult:
        """Make a harmless call with a token, to see whether the API accepts it.

        exclusive: the answer surely belongs to this request, as evidence must.
        """
        headers = self._headers(bearer=token)
        answer = self._transport.send("GET", _BALANCE, headers, exclusive=exclusive)
        return read(answer, secrets=lambda: _secrets(token))

    def _grant(self, path: str, body: Mapping[str, str], bearer: str | None = None) -> ApiResult:
        """Ask for a token. Never repeated when the answer was lost: it may have been issued."""
        require_library()  # a token that cannot be read would be lost
        answer = self._transport.send(
            "POST", path, self._headers(bearer), body, idempotent=False, exclusive=True
        )
        sent = [body.get("client_secret"), body.get("refresh_token"), bearer]
        return read(answer, _GRANTED, lambda: _secrets(*sent))

    def _headers(self, bearer: str | None = None) -> dict[str, str]:
        headers = {"accountId": self._account_id}
        return {**headers, "Authorization": f"Bearer {bearer}"} if bearer else headers


def _secrets(*sent: str | None) -> tuple[str, ...]:
    """What an answer may repeat of a request and nobody may see: secrets and e-mail addresses."""
    secrets = [text for text in sent if text]
    return (*secrets, *(one for text in secrets for one in email_addresses(text)))
