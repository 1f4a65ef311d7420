# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the API, pure: a function of call and time; no HTTP, no clock."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from . import tokens
from .settings import ApiClient, Settings

ISSUE = "/v1/auth/token/issue"
REFRESH = "/v1/auth/token/refresh"
REVOKE = "/v1/auth/token/revoke"
BALANCE = "/v1/accounts/balance"
OPERATIONS: Mapping[str, tuple[str, str]] = {
    ISSUE: ("issue", "POST"),
    REFRESH: ("refresh", "POST"),
    REVOKE: ("revoke", "POST"),
    BALANCE: ("balance", "GET"),
}

# Recorded in responses of the live API. The other texts are the examples of the specification.
NO_ACCOUNT = "AccountId not passed in header."
BAD_JWT = "JWT strings must contain exactly 2 period characters"
NO_CLIENT = "Client record not found or client has been suspended"
FORBIDDEN = "Forbidden error"
REVOKED = "Token revoked successfully"

UNAUTHORIZED = "Unauthorized"
NO_JSON = "Unsupported media type"

_DEAD = {
    "bad_request": (400, "Request failed."),
    "unauthorized": (401, "Unauthorized"),
    "not_found": (404, "Record not found"),
    "server_error": (500, "Server error"),
}


@dataclass(frozen=True)
class Call:
    """One request. `body` is None if no JSON object was sent."""

    method: str
    path: str
    account_id: str | None = None
    authorization: str | None = None
    body: Mapping[str, object] | None = None
    content_type: str | None = None

    @property
    def operation(self) -> str:
        """The operation: issue, refresh, revoke, balance, or other."""
        return OPERATIONS.get(self.path, ("other", ""))[0]

    @property
    def credential(self) -> str | None:
        """The value of the Authorization header without its scheme."""
        if self.authorization is None:
            return None
        scheme, __, rest = self.authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else self.authorization.strip()

    @property
    def bearer(self) -> str | None:
        """The bearer token; None if the header is missing or has another scheme."""
        is_bearer = (self.authorization or "").strip().lower().startswith("bearer ")
        return self.credential if is_bearer else None

    @property
    def media_type(self) -> str | None:
        """The content type without its parameters; None if the header is missing."""
        return self.content_type and self.content_type.partition(";")[0].strip().lower()

    @property
    def token(self) -> str | None:
        """The token in the body, otherwise the one in the header."""
        for name in ("access_token", "refresh_token"):
            value = (self.body or {}).get(name)
            if isinstance(value, str):
                return value
        return self.credential

    @property
    def client_id(self) -> str | None:
        """The client id in the body, in either spelling."""
        body = self.body or {}
        value = body.get("clientId", body.get("client_id"))
        return value if isinstance(value, str) else None


@dataclass(frozen=True)
class Reply:
    """A response of the API; `page` is sent instead of the JSON in `body`."""

    status: int
    body: Mapping[str, object]
    headers: tuple[tuple[str, str], ...] = ()
    page: str | None = None


class Rejected(Exception):
    """A rule rejected the request; contains the response."""

    def __init__(self, status: int, description: str, reply: Reply | None = None) -> None:
        super().__init__(description)
        self.reply = reply or refusal(status, description)


def refusal(status: int, description: str) -> Reply:
    """Return the envelope of a rejection: its code equals the HTTP status."""
    return Reply(status, {"code": str(status), "description": description})


# The setting refusal_form: the response of balance to a token that is not accepted.
_REFUSALS: Mapping[str, Reply] = {
    "envelope": refusal(401, UNAUTHORIZED),
    "envelope_200": Reply(200, {"code": "401", "description": UNAUTHORIZED}),
    "empty": Reply(401, {}, page=""),
    "message": Reply(401, {"message": UNAUTHORIZED}),
    "html": Reply(401, {}, page="<!DOCTYPE html><html><title>401 Unauthorized</title></html>"),
}


@dataclass
class TokenEntry:
    """One access token in the registry.

    A revocation takes effect at `revoked_at`, and after `uses_left` further balance requests.
    `refusals_left` is the number of balance requests that are rejected at first.
    """

    fingerprint: str
    client_id: str
    account_id: str
    issued_at: float
    expires_at: float
    issued_via: str
    refusals_left: int = 0
    revoked_at: float | None = None
    uses_left: int = 0

    def state(self, now: float) -> str:
        """Return live, dying (revoked, not yet in effect), revoked or expired."""
        if self.revoked_at is not None and now >= self.revoked_at and not self.uses_left:
            return "revoked"
        if now >= self.expires_at:
            return "expired"
        return "live" if self.revoked_at is None else "dying"

    def accepted(self, now: float) -> bool:
        """Return whether the token is still accepted."""
        return self.state(now) in ("live", "dying")

    def revoke(self, at: float, uses_left: int = 0) -> None:
        """Revoke the token; an earlier revocation takes precedence."""
        if self.revoked_at is None or (at, uses_left) < (self.revoked_at, self.uses_left):
            self.revoked_at, self.uses_left = at, uses_left


@dataclass(frozen=True)
class RefreshEntry:
    """One refresh token in the registry, with the fingerprint of its access token."""

    client: ApiClient
    access: str


@dataclass(frozen=True)
class TokenPair:
    """An access token, its refresh token, and its registry entry."""

    access_token: str
    refresh_token: str
    entry: TokenEntry


@dataclass(frozen=True)
class TokenOptions:
    """Options of a new token."""

    via: str = "control"
    lifetime: float | None = None
    age: float = 0
    claims: Mapping[str, object] = field(default_factory=dict)
    known: bool = True
    fresh: bool = False


class TokenRegistry:
    """All tokens by fingerprint; the tokens themselves are not stored."""

    def __init__(self) -> None:
        self._access: dict[str, TokenEntry] = {}
        self._refresh: dict[str, RefreshEntry] = {}

    def __iter__(self) -> Iterator[TokenEntry]:
        return iter(self._access.values())

    def find(self, fingerprint: str) -> TokenEntry | None:
        """Return the entry of a fingerprint."""
        return self._access.get(fingerprint)

    def find_token(self, token: object) -> TokenEntry | None:
        """Return the entry of a token."""
        return self.find(tokens.fingerprint(token)) if isinstance(token, str) else None

    def add(self, entry: TokenEntry) -> TokenEntry:
        """Add an entry; return the existing one if the token is in the registry."""
        return self._access.setdefault(entry.fingerprint, entry)

    def add_refresh(self, token: str, entry: RefreshEntry) -> None:
        """Add a refresh token."""
        self._refresh[tokens.fingerprint(token)] = entry

    def find_refresh(self, token: object) -> RefreshEntry | None:
        """Return the entry of a refresh token, None if it is not valid."""
        return self._refresh.get(tokens.fingerprint(token)) if isinstance(token, str) else None

    def remove_refresh_where(self, matches: Callable[[RefreshEntry], bool]) -> None:
        """Remove all matching refresh tokens."""
        self._refresh = {key: one for key, one in self._refresh.items() if not matches(one)}

    def remove_refresh(self, token: str) -> None:
        """Remove one refresh token."""
        self._refresh.pop(tokens.fingerprint(token), None)


class Api:
    """The four operations on a registry. `settings` may be replaced at any time."""

    def __init__(
        self,
        settings: Settings,
        key: bytes,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.settings = settings
        self.registry = TokenRegistry()
        self._key = key
        self._entropy = entropy
        self._operations: dict[str, Callable[[Call, float], Reply]] = {
            "issue": self._issue,
            "refresh": self._refresh,
            "revoke": self._revoke,
            "balance": self._balance,
        }

    def respond(self, call: Call, now: float) -> Reply:
        """Apply a call and return its response."""
        try:
            return self._route(call)(call, now)
        except Rejected as rejected:
            return rejected.reply

    def mint(self, client: ApiClient, options: TokenOptions, now: float) -> TokenPair:
        """Create a token and its refresh token; add both to the registry if `known`."""
        issued_at = now - options.age
        lifetime = self.settings.token_lifetime if options.lifetime is None else options.lifetime
        payload = tokens.claims(
            client, int(issued_at), int(issued_at + lifetime), self._email_suffix(client)
        )
        payload.update(options.claims)
        access = tokens.sign({k: v for k, v in payload.items() if v is not None}, self._key)
        refresh = tokens.refresh_token(issued_at, self._entropy(10))
        entry = TokenEntry(
            fingerprint=tokens.fingerprint(access),
            client_id=client.client_id,
            account_id=client.account_id,
            issued_at=issued_at,
            expires_at=issued_at + lifetime,
            issued_via=options.via,
            refusals_left=self.settings.fresh_refusals if options.fresh else 0,
        )
        if options.known:
            entry = self.registry.add(entry)
            self.registry.add_refresh(refresh, RefreshEntry(client, entry.fingerprint))
        return TokenPair(access, refresh, entry)

    def _email_suffix(self, client: ApiClient) -> str:
        if self.settings.distinct_tokens:
            return self._entropy(8).hex()
        return client.client_id[:8]

    def _route(self, call: Call) -> Callable[[Call, float], Reply]:
        name, method = OPERATIONS.get(call.path, ("", ""))
        if not name and f"{call.path}/".startswith("/v1/accounts/"):
            # Recorded from the live API: an unknown path below this prefix returns 500.
            raise Rejected(500, "Server error")
        if not name:
            raise Rejected(404, "Record not found")
        if call.method != method:
            reply = refusal(405, "Method not allowed")
            raise Rejected(405, "", replace(reply, headers=(("Allow", method),)))
        if method == "POST" and call.media_type != "application/json":
            raise Rejected(415, NO_JSON)
        return self._operations[name]

    # Issue and refresh

    def _issue(self, call: Call, now: float) -> Reply:
        _require_account_id(call)
        _check_authorization(call)
        body = _fields(call, "grant_type", "client_id", "client_secret")
        _require_grant(body, "client_credentials")
        client = self._active_client(body["client_id"])
        if body["client_secret"] != client.client_secret:
            raise Rejected(403, FORBIDDEN)
        if call.account_id != client.account_id:
            raise Rejected(403, FORBIDDEN)
        return self._issue_pair(client, "issue", now)

    def _refresh(self, call: Call, now: float) -> Reply:
        if not self.settings.refresh_enabled:
            raise Rejected(403, FORBIDDEN)
        _require_account_id(call)
        _check_authorization(call)
        body = _fields(call, "grant_type", "refresh_token")
        _require_grant(body, "refresh_token")
        old = self._refreshable(call, body["refresh_token"])
        self.registry.remove_refresh(body["refresh_token"])
        if self.settings.refresh_revokes_old:
            self._revoke_entry(old.access, now)
        return self._issue_pair(old.client, "refresh", now)

    def _refreshable(self, call: Call, token: str) -> RefreshEntry:
        old = self.registry.find_refresh(token)
        if old is None or self._client_suspended(old.client.client_id):
            raise Rejected(401, UNAUTHORIZED)
        if call.account_id != old.client.account_id:
            raise Rejected(403, FORBIDDEN)
        if self.settings.refresh_needs_bearer and not self._bearer_of(call, old.client):
            raise Rejected(401, UNAUTHORIZED)
        return old

    def _bearer_of(self, call: Call, client: ApiClient) -> bool:
        # An expired token is sufficient, because a refresh replaces such tokens.
        entry = self.registry.find_token(call.bearer)
        return entry is not None and entry.client_id == client.client_id

    def _issue_pair(self, client: ApiClient, via: str, now: float) -> Reply:
        if self.settings.sessions == "single":
            scope = self.settings.session_scope
            self.registry.remove_refresh_where(lambda one: _same_session(scope, one.client, client))
        pair = self.mint(client, TokenOptions(via=via, fresh=True), now)
        if self.settings.sessions == "single":
            self._revoke_others(pair.entry, now)
        data = {
            "businessId": self.settings.business_id or client.account_id,
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "expiresAt": _rfc3339(pair.entry.expires_at),
        }
        return Reply(200, {"code": "00", "description": "Success", "data": data})

    def _revoke_others(self, newest: TokenEntry, now: float) -> None:
        for entry in self.registry:
            if _same_session(self.settings.session_scope, entry, newest) and entry is not newest:
                entry.revoke(now)

    def revoke_all(self, client_id: str, now: float) -> None:
        """Revoke all tokens of a client, and its refresh tokens."""
        self.registry.remove_refresh_where(lambda one: one.client.client_id == client_id)
        for entry in self.registry:
            if entry.client_id == client_id:
                entry.revoke(now)

    def _revoke_entry(self, fingerprint: str, now: float) -> None:
        entry = self.registry.find(fingerprint)
        if entry is not None:
            entry.revoke(now)

    def _active_client(self, client_id: object) -> ApiClient:
        client = self.settings.client(client_id)
        if client is None or client.suspended:
            raise Rejected(404, NO_CLIENT)
        return client

    def _client_suspended(self, client_id: str) -> bool:
        client = self.settings.client(client_id)
        return client is None or client.suspended

    # Revoke

    def _revoke(self, call: Call, now: float) -> Reply:
        if self.settings.sandbox:
            return Reply(200, {"code": "00", "description": REVOKED})
        _check_authorization(call)
        if self.settings.revoke_needs_account_id:
            _require_account_id(call)
        body = _fields(call, "clientId", "access_token")
        client = self._active_client(body["clientId"])
        entry = self.registry.find_token(body["access_token"])
        if entry is None or not entry.accepted(now):
            return self._revoke_dead()
        return self._revoke_live(client, entry, now)

    def _revoke_dead(self) -> Reply:
        if self.settings.revoke_dead == "success":
            return Reply(200, {"code": "00", "description": REVOKED})
        return refusal(*_DEAD[self.settings.revoke_dead])

    def _revoke_live(self, client: ApiClient, entry: TokenEntry, now: float) -> Reply:
        own = entry.client_id == client.client_id
        if not own and self.settings.revoke_foreign_client == "refuse":
            raise Rejected(403, FORBIDDEN)
        if own and self.settings.revoke_effective:
            entry.revoke(now + self.settings.revoke_delay, self.settings.revoke_delay_requests)
            if self.settings.revoke_kills_refresh:
                self.registry.remove_refresh_where(lambda one: one.access == entry.fingerprint)
        return Reply(200, {"code": "00", "description": REVOKED})

    # Balance

    def _balance(self, call: Call, now: float) -> Reply:
        if not self.settings.sandbox:
            self._authorize(call, now)
        data = {"amount": "4242.42", "currency": "NGN", "timeCreated": _rfc3339(now)}
        return Reply(200, {"code": "00", "description": "Success", "data": data})

    def _authorize(self, call: Call, now: float) -> None:
        _check_authorization(call)
        entry = self._accepted_entry(call.bearer, now)
        if call.account_id in self.settings.sub_accounts:
            raise Rejected(403, FORBIDDEN)
        if call.account_id != entry.account_id:
            raise self._unauthorized()
        if entry.uses_left:
            entry.uses_left -= 1

    def _accepted_entry(self, token: str | None, now: float) -> TokenEntry:
        entry = self.registry.find_token(token)
        if entry is None or not self.accepts(entry, now):
            raise self._unauthorized()
        if entry.refusals_left:
            entry.refusals_left -= 1
            raise self._unauthorized()
        return entry

    def _unauthorized(self) -> Rejected:
        return Rejected(401, UNAUTHORIZED, _REFUSALS[self.settings.refusal_form])

    def accepts(self, entry: TokenEntry, now: float) -> bool:
        """Return whether the token is accepted now, given its state and its client."""
        is_suspended = self.settings.suspension_kills_tokens and self._client_suspended(
            entry.client_id
        )
        return entry.accepted(now) and not is_suspended


def describe(entry: TokenEntry, now: float) -> dict[str, object]:
    """Return an entry of the registry for the control API."""
    names = ("fingerprint", "client_id", "account_id", "issued_at", "expires_at", "issued_via")
    return {name: getattr(entry, name) for name in names} | {"state": entry.state(now)}


def _same_session(scope: str, one: ApiClient | TokenEntry, other: ApiClient | TokenEntry) -> bool:
    """Return whether single sessions count both as the same: by client or by account."""
    if scope == "account":
        return one.account_id == other.account_id
    return one.client_id == other.client_id


def _require_account_id(call: Call) -> None:
    if not call.account_id:
        raise Rejected(400, NO_ACCOUNT)


def _check_authorization(call: Call) -> None:
    # Recorded from the live API: the header is parsed even if the operation does not need it.
    if call.credential is not None and not tokens.looks_like_jwt(call.credential):
        raise Rejected(400, BAD_JWT)


def _fields(call: Call, *names: str) -> dict[str, str]:
    if call.body is None:
        raise Rejected(400, "Request failed. The body is not a JSON object.")
    unknown = set(call.body) - set(names)
    missing = [name for name in names if not call.body.get(name)]
    if unknown or missing:
        raise Rejected(400, f"Request failed. The fields are exactly: {', '.join(names)}.")
    if not all(isinstance(value, str) for value in call.body.values()):
        raise Rejected(400, "Request failed. Every field is a string.")
    return {name: str(call.body[name]) for name in names}


def _require_grant(body: Mapping[str, str], expected: str) -> None:
    if body["grant_type"] != expected:
        raise Rejected(400, f"Request failed. grant_type is not {expected}.")


def _rfc3339(moment: float) -> str:
    when = datetime.fromtimestamp(moment, timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
