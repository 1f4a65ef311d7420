# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a token is: reading its claims, its fingerprint, its class, and finding tokens in text.

Pure: no Ansible, no network, no clock. Tokens are Nomba's HS256 JWTs. They are read without the
key, so that every claim is a hint and never a proof (Nomba OpenAPI specification, example token;
developer notes of live calls).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import string
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing

# Nomba's specification says 300 to 600 characters. A far longer text would only be refused by a
# header limit on its way, an answer that proves nothing.
MAX_CHARACTERS = 8192

# The last second of the year 9999: an `exp` beyond it is no date (milliseconds, 10^400, infinity).
_LAST_SECOND = 253_402_300_799

_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[0-9a-fA-F-]{36}")
_BEARER = re.compile(r"^bearer\s+", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s\":,@]+@[^\s\":,@]+")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")

# A JSON object that starts without white space is base64url that starts with `eyJ`: both samples
# of Nomba tokens do. An HS256 signature has 43 characters: what follows them is other text. The
# bounds keep a hostile file from costing more than one pass.
_HS256_SIGNATURE = 43
_IN_TEXT = re.compile(rb"eyJ[A-Za-z0-9_-]{1,256}\.eyJ[A-Za-z0-9_-]{1,7000}\.[A-Za-z0-9_-]{43}")
# What people are shown needs no guess where a token ends: the whole run is named, however long.
_WHOLE = re.compile(rb"eyJ[A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{1,7000}\.[A-Za-z0-9_-]*")
_TOKEN_CHARACTERS = f"{string.ascii_letters}{string.digits}_-.".encode()


class TokenClass(str, Enum):
    """What a token looks like from outside, at a moment, without asking the API."""

    LIVE = "live"  # exp, with the leeway, is not over
    EXPIRED = "expired"  # exp plus the leeway lies in the past
    UNDATED = "undated"  # no exp that could be relied on: it may be alive
    MALFORMED = "malformed"  # not a JWT at all


@dataclass(frozen=True)
class Token:
    """A token with what decisions need of it. `repr` shows no secret.

    well_formed: three base64url parts, none cut short. readable: the payload is a JSON object.
    issued_at, expires_at: seconds since the epoch (UTC), None when missing or unusable.
    accounts: the account ids that the `G:` claims name, in lower case.
    """

    text: str = field(repr=False)
    fingerprint: str
    well_formed: bool
    readable: bool
    issued_at: float | None
    expires_at: float | None
    accounts: tuple[str, ...]

    def belongs_to(self, account_id: str) -> bool:
        """Whether the token itself names this account."""
        return account_id.lower() in self.accounts


@dataclass(frozen=True)
class Finding:
    """A JWT found in text, and the line (from 1) on which it stands."""

    token: Token
    line: int


def fingerprint(text: str) -> str:
    """What people see in place of a token: `sha256:` and 16 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def strip(text: str) -> str:
    """The token without what copying it from a header or a file adds around it."""
    return _BEARER.sub("", text.strip())


def read(text: str) -> Token:
    """Read a token as far as it can be read. Raises LibraryMissing without PyJWT."""
    text = strip(text)
    is_jwt = _is_jwt(text)
    claims = _claims(text) if is_jwt else {}
    return Token(
        text=text,
        fingerprint=fingerprint(text),
        well_formed=is_jwt and _is_whole(text),
        readable=bool(claims),
        issued_at=_moment(claims.get("iat")),
        expires_at=_moment(claims.get("exp")),
        accounts=_accounts(claims),
    )


def read_claims(text: str) -> Mapping[str, Any]:
    """The whole payload, unverified, with personal data; empty when it cannot be read."""
    text = strip(text)
    return _claims(text) if _is_jwt(text) else {}


def shown_claims(text: str) -> dict[str, Any]:
    """The claims that name no person: account, roles, subject, iat, exp (None when missing)."""
    claims = read_claims(text)
    subject = claims.get("sub")
    return {
        "account": next(_own_name(claims, "G:"), None),
        "roles": list(_own_name(claims, "R:")),
        "subject": subject if isinstance(subject, str) and _ID.fullmatch(subject) else None,
        "iat": _moment(claims.get("iat")),
        "exp": _moment(claims.get("exp")),
    }


def classify(token: Token, now: float, leeway: float) -> TokenClass:
    """The token's class at `now` (seconds, UTC).

    The leeway (seconds) guards the safe side of a *skip*: it keeps a token live for longer, the
    opposite of the leeway with which a token is used. A token whose iat lies in the future shows
    that the clock is wrong, so it is never classed as expired.
    """
    if not token.well_formed:
        return TokenClass.MALFORMED
    if token.expires_at is None:
        return TokenClass.UNDATED
    if token.expires_at + leeway >= now:
        return TokenClass.LIVE
    if token.issued_at is not None and token.issued_at > now + leeway:
        return TokenClass.UNDATED
    return TokenClass.EXPIRED


def find_tokens(chunks: Iterable[bytes]) -> Iterator[Finding]:
    """Find JWTs in a stream of bytes, in any format, with memory bound by a chunk.

    Nomba's are those that name accounts; the others may be another service's secrets. NUL bytes
    are dropped first, which makes UTF-16 text readable as well. A token at the end of a chunk may
    be found twice.
    """
    rest, line = b"", 1
    for chunk in chunks:
        data = rest + chunk.translate(None, b"\0")
        yield from _findings(data, line)
        rest = _unfinished(data)
        line += data.count(b"\n", 0, len(data) - len(rest))


def fingerprints_in(data: bytes) -> list[str]:
    """The fingerprints of all that looks like a JWT, in order, each once; reads no claims."""
    found = (match.group() for match in _WHOLE.finditer(data))
    marks = (fingerprint(run.decode("ascii")) for run in found if _has_header(run))
    return list(dict.fromkeys(marks))


def _is_jwt(text: str) -> bool:
    parts = text.split(".")
    return (
        len(text) <= MAX_CHARACTERS
        and len(parts) == 3
        and all(_BASE64URL.fullmatch(part) and len(part) % 4 != 1 for part in parts)
    )


def _is_whole(text: str) -> bool:
    """Whether no part of the signature is missing.

    The API refuses a token that was cut short, which would look as if the whole one were dead.
    """
    if len(text) - text.rindex(".") - 1 == _HS256_SIGNATURE:
        return True
    jwt = _library()
    try:
        return bool(jwt.get_unverified_header(_unsigned(text)).get("alg") != "HS256")
    except (jwt.InvalidTokenError, RecursionError):
        return True  # not Nomba's way to write a token, but nothing shows that it was cut


def _claims(text: str) -> Mapping[str, Any]:
    """The payload, unverified; empty when it cannot be read."""
    jwt = _library()
    try:
        claims: Mapping[str, Any] = jwt.decode(_unsigned(text), options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return {}
    return claims


def _unsigned(text: str) -> str:
    """Without the signature: newer versions of PyJWT read nothing before one that was cut."""
    return text[: text.rindex(".") + 1]


def require_library() -> None:
    """Make sure that tokens can be read. Raises LibraryMissing without PyJWT."""
    _library()


def email_addresses(text: str) -> tuple[str, ...]:
    """The e-mail addresses in a token's claims, which are personal data. Reads no signature."""
    try:
        payload = base64.urlsafe_b64decode(strip(text).split(".")[1] + "==")
    except (IndexError, ValueError):
        return ()
    found = _EMAIL.findall(payload.decode("utf-8", "replace"))
    return tuple(dict.fromkeys(found))


def _library() -> ModuleType:
    try:
        import jwt  # here, because it takes long to load and not every run needs it
    except ImportError:
        raise LibraryMissing("PyJWT") from None
    return jwt


def _moment(value: object) -> float | None:
    """A NumericDate (RFC 7519) as seconds since the epoch; None for all that is not one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if 0 < value <= _LAST_SECOND else None


def _accounts(claims: Mapping[str, Any]) -> tuple[str, ...]:
    # Interned: a hundred thousand tokens of one account share one string.
    return tuple(
        sys.intern(name[2:].lower())
        for name, value in claims.items()
        if name.startswith("G:") and value == name
    )


def _own_name(claims: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Nomba writes account and roles as claims whose name and value are both `G:...` or `R:...`.

    One that is more than a plain word could be anybody's name, and is left out.
    """
    for name, value in claims.items():
        if name.startswith(kind) and value == name and _WORD.fullmatch(name[2:]):
            yield name[2:]


def _unfinished(data: bytes) -> bytes:
    """The run of token characters at the end: it may go on in the next chunk."""
    end = data[-MAX_CHARACTERS:]
    return end[len(end.rstrip(_TOKEN_CHARACTERS)) :]


def _findings(data: bytes, line: int) -> Iterator[Finding]:
    counted = start = 0
    while match := _IN_TEXT.search(data, start):
        # On from the next character: what was found may be text, or half a token, glued to the
        # front of another one.
        start = match.start() + 1
        token = read(match.group().decode("ascii")) if _has_header(match.group()) else None
        if token and token.readable:
            line += data.count(b"\n", counted, start)
            counted = start
            yield Finding(token, line)


def _has_header(run: bytes) -> bool:
    """Whether the first part is JSON: a cheap look, because hostile text can begin anywhere."""
    try:
        json.loads(base64.urlsafe_b64decode(run[: run.index(b".")] + b"=="))
    except (ValueError, RecursionError):
        return False
    return True


def bogus(account_id: str, now: float) -> str:
    """A well-formed token that no API can have issued: signed with a key nobody keeps."""
    account, moment = f"G:{account_id}", int(now)
    claims = {account: account, "iat": moment, "exp": moment + 3600}
    return str(_library().encode(claims, secrets.token_bytes(32), algorithm="HS256"))
