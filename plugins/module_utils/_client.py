# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's requests: paths, headers and bodies. The transport is an argument.

Source: Nomba's OpenAPI specification. The revoke body is in camelCase (`clientId`), contains no
secret, and has no Authorization header; the issue body is in snake_case (`client_id`); a refresh
sends the old access token as bearer token. Every request has the header `accountId`, as Nomba's FAQ
demands.
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
    """The tokens that the API issued. expires_at: the API's own text (RFC 3339, UTC)."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False, default=None)
    expires_at: str | None = None
    business_id: str | None = None

    def account(self) -> str | None:
        """Return the token's account: the answer's businessId, or else the token's own claim."""
        return self.business_id or next(iter(read_token(self.access_token).accounts), None)


def grant_of(result: ApiResult) -> Grant | None:
    """Return the grant in an answer to issue or refresh; None if it contains no token."""
    fields = {
        name: value for name, value in result.data.items() if isinstance(value, str) and value
    }
    if result.verdict is not Verdict.SUCCEEDED or "access_token" not in fields:
        return None
    return Grant(
        access_token=fields["access_token"],
        refresh_token=fields.get("refresh_token"),
        expires_at=fields.get("expiresAt"),
        business_id=fields.get("businessId"),
    )


class Transport(Protocol):
    """Sends requests to the API."""

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
        """Send one request; retry it where that is safe, within the run's deadline."""


class Client:
    """The API's requests for one client id and one account id."""

    def __init__(self, transport: Transport, account_id: str, client_id: str) -> None:
        self._transport = transport
        self._account_id = account_id
        self._client_id = client_id

    @property
    def account_id(self) -> str:
        """The account id in the header accountId."""
        return self._account_id

    def of_account(self, account_id: str) -> Client:
        """Return the same client for another account."""
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
        """Revoke a token. reserve: seconds of the run that retries must not use."""
        body = {"clientId": self._client_id, "access_token": token}
        answer = self._transport.send("POST", _REVOKE, self._headers(), body, reserve=reserve)
        return read(answer, secrets=lambda: _secrets(token))

    def probe(self, token: str, exclusive: bool = False) -> ApiResult:
        """Send a read-only request with a token, to find out whether the API accepts it.

        exclusive: use a connection for this request only, so that the answer is evidence.
        """
        headers = self._headers(bearer=token)
        answer = self._transport.send("GET", _BALANCE, headers, exclusive=exclusive)
        return read(answer, secrets=lambda: _secrets(token))

    def _grant(self, path: str, body: Mapping[str, str], bearer: str | None = None) -> ApiResult:
        """Request a token. Not retried without an answer: a token may have been issued."""
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
    """Return the parts of a request that must be redacted: secrets and e-mail addresses."""
    secrets = [text for text in sent if text]
    return (*secrets, *(one for text in secrets for one in email_addresses(text)))
