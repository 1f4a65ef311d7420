# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's rules, pure: a call and the time go in, a reply comes out; no HTTP, no clock."""

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

# These four texts were seen in live answers, the others are the examples of the specification.
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
    """One request, as the rules see it. `body` is None where no JSON object was sent."""

    method: str
    path: str
    account_id: str | None = None
    authorization: str | None = None
    body: Mapping[str, object] | None = None
    content_type: str | None = None

    @property
    def operation(self) -> str:
        """The name of what is asked for: issue, refresh, revoke, balance, or other."""
        return OPERATIONS.get(self.path, ("other", ""))[0]

    @property
    def credential(self) -> str | None:
        """What stands in the Authorization header, without its scheme."""
        if self.authorization is None:
            return None
        scheme, __, rest = self.authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else self.authorization.strip()

    @property
    def bearer(self) -> str | None:
        """The bearer token; None where the header is missing or of another scheme."""
        named = (self.authorization or "").strip().lower().startswith("bearer ")
        return self.credential if named else None

    @property
    def media_type(self) -> str | None:
        """The content type without its parameters; None where the header is missing."""
        return self.content_type and self.content_type.partition(";")[0].strip().lower()

    @property
    def token(self) -> str | None:
        """The token that this request is about: the body's, else the header's."""
        for name in ("access_token", "refresh_token"):
            value = (self.body or {}).get(name)
            if isinstance(value, str):
                return value
        return self.credential

    @property
    def client_id(self) -> str | None:
        """The client that the body names, in either spelling."""
        body = self.body or {}
        value = body.get("clientId", body.get("client_id"))
        return value if isinstance(value, str) else None


@dataclass(frozen=True)
class Reply:
    """An answer before it is put on a wire; `page` is sent in place of the JSON in `body`."""

    status: int
    body: Mapping[str, object]
    headers: tuple[tuple[str, str], ...] = ()
    page: str | None = None


class Refused(Exception):
    """A rule that says no; carries the answer."""

    def __init__(self, status: int, description: str, reply: Reply | None = None) -> None:
        super().__init__(description)
        self.reply = reply or refusal(status, description)


def refusal(status: int, description: str) -> Reply:
    """The API's envelope for a no: the code repeats the HTTP status."""
    return Reply(status, {"code": str(status), "description": description})


# The setting refusal_form: what a token meets that the balance call does not accept.
_REFUSALS: Mapping[str, Reply] = {
    "envelope": refusal(401, UNAUTHORIZED),
    "envelope_200": Reply(200, {"code": "401", "description": UNAUTHORIZED}),
    "empty": Reply(401, {}, page=""),
    "message": Reply(401, {"message": UNAUTHORIZED}),
    "html": Reply(401, {}, page="<!DOCTYPE html><html><title>401 Unauthorized</title></html>"),
}


@dataclass
class Entry:
    """One access token in the registry. `dies_at` is set by a revocation, `grace` delays it."""

    fingerprint: str
    client_id: str
    account_id: str
    issued_at: float
    expires_at: float
    issued_via: str
    refusals: int = 0
    dies_at: float | None = None
    grace: int = 0

    def state(self, now: float) -> str:
        """live, dying (revoked, but not yet without effect), revoked or expired."""
        if self.dies_at is not None and now >= self.dies_at and not self.grace:
            return "revoked"
        if now >= self.expires_at:
            return "expired"
        return "live" if self.dies_at is None else "dying"

    def accepted(self, now: float) -> bool:
        """Whether the token still opens doors."""
        return self.state(now) in ("live", "dying")

    def kill(self, at: float, grace: int = 0) -> None:
        """Let the token die; an earlier death stands."""
        if self.dies_at is None or (at, grace) < (self.dies_at, self.grace):
            self.dies_at, self.grace = at, grace


@dataclass(frozen=True)
class RefreshEntry:
    """One refresh token in the registry, and the access token that came with it."""

    client: ApiClient
    access: str


@dataclass(frozen=True)
class Pair:
    """What an issue hands out."""

    access_token: str
    refresh_token: str
    entry: Entry


@dataclass(frozen=True)
class Minting:
    """How a token is to be made where it is not the API that makes it."""

    via: str = "control"
    lifetime: float | None = None
    age: float = 0
    claims: Mapping[str, object] = field(default_factory=dict)
    known: bool = True
    fresh: bool = False


class TokenRegistry:
    """Which tokens there are. Keys are fingerprints: a token itself is never kept."""

    def __init__(self) -> None:
        self._access: dict[str, Entry] = {}
        self._refresh: dict[str, RefreshEntry] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._access.values())

    def find(self, fingerprint: str) -> Entry | None:
        """The entry of a fingerprint."""
        return self._access.get(fingerprint)

    def of(self, token: object) -> Entry | None:
        """The entry of a token."""
        return self.find(tokens.fingerprint(token)) if isinstance(token, str) else None

    def enter(self, entry: Entry) -> Entry:
        """Enter a token; one that is byte for byte the same is already there and stays."""
        return self._access.setdefault(entry.fingerprint, entry)

    def enter_refresh(self, token: str, entry: RefreshEntry) -> None:
        """Enter a refresh token."""
        self._refresh[tokens.fingerprint(token)] = entry

    def refresh(self, token: object) -> RefreshEntry | None:
        """What a refresh token stands for, if it is alive."""
        return self._refresh.get(tokens.fingerprint(token)) if isinstance(token, str) else None

    def forget_refresh(self, dead: Callable[[RefreshEntry], bool]) -> None:
        """Let refresh tokens die."""
        self._refresh = {key: one for key, one in self._refresh.items() if not dead(one)}

    def drop_refresh(self, token: str) -> None:
        """Let one refresh token die."""
        self._refresh.pop(tokens.fingerprint(token), None)


class Api:
    """The four operations over a registry. Settings may be exchanged while it lives."""

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

    def answer(self, call: Call, now: float) -> Reply:
        """The one way in: the effect of a call, and the answer to it."""
        try:
            return self._route(call)(call, now)
        except Refused as no:
            return no.reply

    def mint(self, client: ApiClient, how: Minting, now: float) -> Pair:
        """Make a token and its refresh token, and enter both unless nobody is to know."""
        born = now - how.age
        lifetime = self.settings.token_lifetime if how.lifetime is None else how.lifetime
        payload = tokens.claims(client, int(born), int(born + lifetime), self._mark(client))
        payload.update(how.claims)
        access = tokens.sign({k: v for k, v in payload.items() if v is not None}, self._key)
        refresh = tokens.refresh_token(born, self._entropy(10))
        entry = Entry(
            fingerprint=tokens.fingerprint(access),
            client_id=client.client_id,
            account_id=client.account_id,
            issued_at=born,
            expires_at=born + lifetime,
            issued_via=how.via,
            refusals=self.settings.fresh_refusals if how.fresh else 0,
        )
        if how.known:
            entry = self.registry.enter(entry)
            self.registry.enter_refresh(refresh, RefreshEntry(client, entry.fingerprint))
        return Pair(access, refresh, entry)

    def _mark(self, client: ApiClient) -> str:
        if self.settings.distinct_tokens:
            return self._entropy(8).hex()
        return client.client_id[:8]

    def _route(self, call: Call) -> Callable[[Call, float], Reply]:
        name, method = OPERATIONS.get(call.path, ("", ""))
        if not name and f"{call.path}/".startswith("/v1/accounts/"):
            # Seen live: below this prefix a made-up path looks like an outage.
            raise Refused(500, "Server error")
        if not name:
            raise Refused(404, "Record not found")
        if call.method != method:
            no = refusal(405, "Method not allowed")
            raise Refused(405, "", replace(no, headers=(("Allow", method),)))
        if method == "POST" and call.media_type != "application/json":
            raise Refused(415, NO_JSON)
        return self._operations[name]

    # Issue and refresh

    def _issue(self, call: Call, now: float) -> Reply:
        _need_account(call)
        _check_authorization(call)
        body = _fields(call, "grant_type", "client_id", "client_secret")
        _need_grant(body, "client_credentials")
        client = self._active(body["client_id"])
        if body["client_secret"] != client.client_secret:
            raise Refused(403, FORBIDDEN)
        if call.account_id != client.account_id:
            raise Refused(403, FORBIDDEN)
        return self._hand_out(client, "issue", now)

    def _refresh(self, call: Call, now: float) -> Reply:
        if not self.settings.refresh_enabled:
            raise Refused(403, FORBIDDEN)
        _need_account(call)
        _check_authorization(call)
        body = _fields(call, "grant_type", "refresh_token")
        _need_grant(body, "refresh_token")
        old = self._refreshable(call, body["refresh_token"])
        self.registry.drop_refresh(body["refresh_token"])
        if self.settings.refresh_revokes_old:
            self._kill(old.access, now)
        return self._hand_out(old.client, "refresh", now)

    def _refreshable(self, call: Call, token: str) -> RefreshEntry:
        old = self.registry.refresh(token)
        if old is None or self._client_suspended(old.client.client_id):
            raise Refused(401, UNAUTHORIZED)
        if call.account_id != old.client.account_id:
            raise Refused(403, FORBIDDEN)
        if self.settings.refresh_needs_bearer and not self._bearer_of(call, old.client):
            raise Refused(401, UNAUTHORIZED)
        return old

    def _bearer_of(self, call: Call, client: ApiClient) -> bool:
        # Expired is good enough: to replace such a token is what a refresh is for.
        entry = self.registry.of(call.bearer)
        return entry is not None and entry.client_id == client.client_id

    def _hand_out(self, client: ApiClient, via: str, now: float) -> Reply:
        if self.settings.sessions == "single":
            self.registry.forget_refresh(lambda one: one.client.client_id == client.client_id)
        pair = self.mint(client, Minting(via=via, fresh=True), now)
        if self.settings.sessions == "single":
            self._end_others(pair.entry, now)
        data = {
            "businessId": self.settings.business_id or client.account_id,
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "expiresAt": _rfc3339(pair.entry.expires_at),
        }
        return Reply(200, {"code": "00", "description": "Success", "data": data})

    def _end_others(self, newest: Entry, now: float) -> None:
        for entry in self.registry:
            if entry.client_id == newest.client_id and entry is not newest:
                entry.kill(now)

    def _kill(self, fingerprint: str, now: float) -> None:
        entry = self.registry.find(fingerprint)
        if entry is not None:
            entry.kill(now)

    def _active(self, client_id: object) -> ApiClient:
        client = self.settings.client(client_id)
        if client is None or client.suspended:
            raise Refused(404, NO_CLIENT)
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
            _need_account(call)
        body = _fields(call, "clientId", "access_token")
        client = self._active(body["clientId"])
        entry = self.registry.of(body["access_token"])
        if entry is None or not entry.accepted(now):
            return self._revoke_dead()
        return self._revoke_live(client, entry, now)

    def _revoke_dead(self) -> Reply:
        if self.settings.revoke_dead == "success":
            return Reply(200, {"code": "00", "description": REVOKED})
        return refusal(*_DEAD[self.settings.revoke_dead])

    def _revoke_live(self, client: ApiClient, entry: Entry, now: float) -> Reply:
        own = entry.client_id == client.client_id
        if not own and self.settings.revoke_foreign_client == "refuse":
            raise Refused(403, FORBIDDEN)
        if own and self.settings.revoke_effective:
            entry.kill(now + self.settings.revoke_delay, self.settings.revoke_delay_requests)
            if self.settings.revoke_kills_refresh:
                self.registry.forget_refresh(lambda one: one.access == entry.fingerprint)
        return Reply(200, {"code": "00", "description": REVOKED})

    # Balance

    def _balance(self, call: Call, now: float) -> Reply:
        if not self.settings.sandbox:
            self._admit(call, now)
        data = {"amount": "4242.42", "currency": "NGN", "timeCreated": _rfc3339(now)}
        return Reply(200, {"code": "00", "description": "Success", "data": data})

    def _admit(self, call: Call, now: float) -> None:
        _check_authorization(call)
        entry = self._accepted(call.bearer, now)
        if call.account_id in self.settings.sub_accounts:
            raise Refused(403, FORBIDDEN)
        if call.account_id != entry.account_id:
            raise self._unauthorized()
        if entry.grace:
            entry.grace -= 1

    def _accepted(self, token: str | None, now: float) -> Entry:
        entry = self.registry.of(token)
        if entry is None or not self.accepts(entry, now):
            raise self._unauthorized()
        if entry.refusals:
            entry.refusals -= 1
            raise self._unauthorized()
        return entry

    def _unauthorized(self) -> Refused:
        return Refused(401, UNAUTHORIZED, _REFUSALS[self.settings.refusal_form])

    def accepts(self, entry: Entry, now: float) -> bool:
        """Whether this token opens doors now, given its own state and its client's."""
        shut = self.settings.suspension_kills_tokens and self._client_suspended(entry.client_id)
        return entry.accepted(now) and not shut


def describe(entry: Entry, now: float) -> dict[str, object]:
    """An entry of the registry, as control and tests see it."""
    shown = ("fingerprint", "client_id", "account_id", "issued_at", "expires_at", "issued_via")
    return {name: getattr(entry, name) for name in shown} | {"state": entry.state(now)}


def _need_account(call: Call) -> None:
    if not call.account_id:
        raise Refused(400, NO_ACCOUNT)


def _check_authorization(call: Call) -> None:
    # Seen live: the header is parsed even where it is not asked for.
    if call.credential is not None and not tokens.looks_like_jwt(call.credential):
        raise Refused(400, BAD_JWT)


def _fields(call: Call, *names: str) -> dict[str, str]:
    if call.body is None:
        raise Refused(400, "Request failed. The body is not a JSON object.")
    unknown = set(call.body) - set(names)
    missing = [name for name in names if not call.body.get(name)]
    if unknown or missing:
        raise Refused(400, f"Request failed. The fields are exactly: {', '.join(names)}.")
    if not all(isinstance(value, str) for value in call.body.values()):
        raise Refused(400, "Request failed. Every field is a string.")
    return {name: str(call.body[name]) for name in names}


def _need_grant(body: Mapping[str, str], wanted: str) -> None:
    if body["grant_type"] != wanted:
        raise Refused(400, f"Request failed. grant_type is not {wanted}.")


def _rfc3339(moment: float) -> str:
    when = datetime.fromtimestamp(moment, timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
