# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens: their claims, fingerprint and class, and finding them in text.

Pure: no Ansible, no network, no clock. Nomba's tokens are JWTs, so far all signed with HS256. They
are read without the key, so a claim is a hint and never a proof (Nomba OpenAPI specification,
example token; developer notes of live calls). Finding tokens needs the standard library only.
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
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from types import ModuleType
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing

# Nomba's specification documents 300 to 600 characters. A proxy's header limit would refuse a far
# longer text, an answer that proves nothing.
MAX_CHARACTERS = 8192

# Seconds that a token counts as live after its `exp`: the tolerated clock error.
DEFAULT_LEEWAY = 300.0

# The last second of the year 9999: a later `exp` is not a date (milliseconds, 10^400, infinity).
_LAST_SECOND = 253_402_300_799

_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[0-9a-fA-F-]{36}")
_BEARER = re.compile(r"^bearer\s+", re.IGNORECASE)
_ADDRESS_IN_CLAIMS = re.compile(r"[^\s\":,@]+@[^\s\":,@]+")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")

# The length of a signature in base64url characters, by the header's `alg` (RFC 7518, 8032, 8037,
# 8812, 9864). An RSA signature is as long as its key; keys have 2048 bits or more, in steps of 512.
# An `alg` that is not listed may have a signature of any length.
_RSA = frozenset(-(-step * 64 * 4 // 3) for step in range(4, 33))
_ED25519, _ED448 = 86, 152
_SIGNATURES: dict[object, frozenset[int]] = {
    "none": frozenset({0}),
    "HS256": frozenset({43}),
    "HS384": frozenset({64}),
    "HS512": frozenset({86}),
    "ES256": frozenset({86}),
    "ES256K": frozenset({86}),
    "ES384": frozenset({128}),
    "ES512": frozenset({176}),
    "Ed25519": frozenset({_ED25519}),
    "Ed448": frozenset({_ED448}),
    "EdDSA": frozenset({_ED25519, _ED448}),
    **dict.fromkeys(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], _RSA),
}
# The possible last characters of base64url without padding, by the length of its last group.
_LAST_CHARACTERS = {2: "AQgw", 3: "AEIMQUYcgkosw048"}

# Headers in use have 20 to 1000 characters; the longest contain a key. The bounds below keep the
# time for hostile text proportional to its length.
MAX_HEADER = 2048
_MAX_HEADERS_TRIED = 64

# The start of a JSON object in base64url: a brace, then a quotation mark or white space.
_OBJECT = rb"e(?:y[A-DI-L]|w[k-r0-3])"
_OBJECT_START = re.compile(_OBJECT)
# The start of a payload, with its dot. The pattern starts with a literal, which makes it fast.
_PAYLOAD_START = re.compile(rb"\.e(?:y[A-DI-L]|w[k-r0-3])[A-Za-z0-9_-]{8}")
_PAYLOAD_START_LENGTH = 12
_PART = re.compile(rb"[A-Za-z0-9_-]*")
_PART_CHARACTERS = f"{string.ascii_letters}{string.digits}_-".encode()
_TOKEN_CHARACTERS = _PART_CHARACTERS + b"."
_ACCOUNT_CLAIM = re.compile(rb'"(G:[A-Za-z0-9_-]{1,64})"\s*:\s*')

# A possible JWT or part of one, for redaction: all characters up to the next one that ends it.
_LIKE_A_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{13,}(?:\.[A-Za-z0-9_-]+)*")
_JWT = re.compile(
    _OBJECT
    + rb"[A-Za-z0-9_-]{1,%d}\.[A-Za-z0-9_-]{1,%d}\.[A-Za-z0-9_-]*" % (MAX_HEADER, MAX_CHARACTERS)
)
_EMAIL = re.compile(r"[^\s/\\@<>\"',;:()]{1,64}@[^\s/\\@<>\"',;:()]+\.[^\W\d_]{2,}")


class TokenClass(str, Enum):
    """The class of a token at a time, by its claims only."""

    LIVE = "live"  # exp plus the leeway is not in the past
    EXPIRED = "expired"  # exp plus the leeway is in the past
    UNDATED = "undated"  # no reliable exp: the token may be valid
    MALFORMED = "malformed"  # not a complete JWT


@dataclass(frozen=True)
class Token:
    """A token and its properties. `repr` shows no secret.

    well_formed: three base64url parts, with a signature of the length of the header's `alg`.
    readable: the payload is a JSON object.
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
        """Return whether the token's own claim names this account."""
        return account_id.lower() in self.accounts


@dataclass(frozen=True)
class Finding:
    """A JWT found in text, and its line (from 1).

    A token that is not well formed is cut short: it names an account, and cannot be used.
    """

    token: Token
    line: int


def fingerprint(text: str) -> str:
    """Return the text that represents a token: `sha256:` and 16 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def strip(text: str) -> str:
    """Return the token without white space around it and a leading `Bearer`."""
    return _BEARER.sub("", text.strip())


def read(text: str) -> Token:
    """Return the token of a text; a text that is not a JWT is not well formed.

    Raises LibraryMissing without PyJWT.
    """
    text = strip(text)
    return _token(text, _claims(text) if _is_jwt(text) else {})


def _token(text: str, claims: Mapping[str, Any]) -> Token:
    is_jwt = _is_jwt(text)
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
    """Return the whole payload, unverified, with personal data; empty if it is not readable."""
    text = strip(text)
    return _claims(text) if _is_jwt(text) else {}


def shown_claims(text: str) -> dict[str, Any]:
    """Return the claims without personal data: account, roles, subject, iat, exp (or None)."""
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
    """Return the token's class at `now` (seconds since the epoch, UTC).

    The leeway (seconds) makes a *skip* safe: it keeps a token live for longer, the opposite of the
    leeway for using a token. A token whose iat is in the future shows that the clock is wrong, so
    it is never expired.
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
    """Find JWTs in a stream of bytes of any format; memory is bounded by the size of a chunk.

    Nomba's tokens name accounts; the others may be secrets of other services. A token that is cut
    short is found if the rest of its payload names an account. NUL bytes are removed first, so that
    UTF-16 text is readable too.
    """
    data, start, line = b"", 0, 1
    for chunk in chunks:
        data += chunk.translate(None, b"\0") if b"\0" in chunk else chunk
        end = _complete(data)
        yield from _findings(data, start, end, line)
        keep_from = max(0, end - MAX_HEADER)
        line += data.count(b"\n", 0, keep_from)
        data, start = data[keep_from:], end - keep_from
    yield from _findings(data, start, len(data), line)


def tokens_in(data: bytes, start: int, end: int) -> Iterator[tuple[int, Token]]:
    """Yield the tokens whose payload starts between two indexes, each with the index of its dot.

    data: contains the MAX_HEADER bytes before `start`, and MAX_CHARACTERS after `end`, if any.
    """
    for match in _PAYLOAD_START.finditer(data, start, end + _PAYLOAD_START_LENGTH):
        dot = match.start()
        if dot >= end:
            return
        for token in tokens_at(data, dot):
            yield dot, token


def tokens_at(data: bytes, dot: int) -> Iterator[Token]:
    """Yield the tokens whose header ends at this dot.

    With text directly before a token, there may be several possible headers. Without any, the token
    is cut at its front.
    """
    payload, signature = _parts_after(data, dot)
    before = _part_before(data, dot)
    starts = _header_starts(before)
    for start in starts:
        header = before[start:]
        lengths = _signature_lengths(header) or frozenset()
        own = signature[: 1 + max(lengths)] if len(lengths) == 1 else signature
        if not lengths or len(own) - 1 in lengths:
            token = _read_found(header, payload, own)
            if token.well_formed and token.readable:
                yield token
                continue
        yield from _cut_token(header, payload, own)
    if not starts:
        yield from _cut_token(before, payload, signature)


def payload_dot(data: bytes, start: int) -> int:
    """Return the index of the dot before the payload, if a header or a payload starts here; or -1.

    A payload that starts with white space is found by its header.
    """
    if data[start - 1 : start] == b".":
        dot = start - 1
    else:
        dot = start + len(_run(data, start, start + MAX_HEADER))
    return dot if _PAYLOAD_START.match(data, dot) else -1


def cut_token(token: Token, length: int) -> Token:
    """Return a token as it is if only so many characters of it are certain."""
    if length >= len(token.text):
        return token
    text = token.text[:length]
    return replace(token, text=text, fingerprint=fingerprint(text), well_formed=False)


def fingerprints_in(data: bytes) -> list[str]:
    """Return the fingerprints of possible JWTs, in order, each once; reads no claims."""
    return [fingerprint(text) for text in jwts_in(data)]


def jwts_in(data: bytes) -> list[str]:
    """Return possible JWTs, in order, each once; reads no claims."""
    found = (match.group() for match in _JWT.finditer(data))
    return list(dict.fromkeys(run.decode("ascii") for run in found if _has_header(run)))


def redact(text: str) -> str:
    """Replace each JWT in a text by its fingerprint, and each e-mail address by `<e-mail>`."""
    shown, done = [], 0
    for start, end, fingerprints in _token_spans(text):
        shown += [text[done:start], fingerprints]
        done = end
    text = "".join([*shown, text[done:]])
    text = _LIKE_A_JWT.sub(lambda match: fingerprint(match.group()), text)
    return _EMAIL.sub("<e-mail>", text)


def _token_spans(text: str) -> list[tuple[int, int, str]]:
    """Return start, end and fingerprint of tokens in a text; overlapping tokens are one span."""
    tokens = {
        finding.token.text for finding in find_tokens([text.encode("utf-8", "surrogatepass")])
    }
    matches = [
        (match.start(), match.end(), fingerprint(token))
        for token in tokens
        for match in re.finditer(re.escape(token), text)
    ]
    spans: list[tuple[int, int, str]] = []
    for start, end, shown in sorted(matches, key=lambda match: (match[0], -match[1])):
        first, last, fingerprints = spans[-1] if spans else (0, 0, "")
        if start >= last:
            spans.append((start, end, shown))
        elif end > last:
            spans[-1] = (first, end, fingerprints + shown)
    return spans


def sensitive_parts(text: str) -> list[str]:
    """Return the parts of a text that `redact` may replace: possible JWTs, and e-mail addresses."""
    return _LIKE_A_JWT.findall(text) + _EMAIL.findall(text)


def _is_jwt(text: str) -> bool:
    parts = text.split(".")
    return (
        len(text) <= MAX_CHARACTERS
        and len(parts) == 3
        and all(_BASE64URL.fullmatch(part) and len(part) % 4 != 1 for part in parts)
    )


def _is_whole(text: str) -> bool:
    """Return whether the signature has a valid length for the header's `alg`, and a valid end.

    The API refuses a token that is cut short, which would look like a refusal of the complete one.
    """
    header, signature = text[: text.index(".")], text[text.rindex(".") + 1 :]
    lengths = _signature_lengths(header.encode("ascii"))
    return not lengths or (len(signature) in lengths and _is_canonical(signature))


@lru_cache(maxsize=256)
def _signature_lengths(header: bytes) -> frozenset[int] | None:
    """Return the possible lengths of a signature by its header.

    Empty for any length; None if the header is not JSON.
    """
    try:
        fields = json.loads(_decode(header))
    except (ValueError, RecursionError):
        return None
    alg = fields.get("alg") if isinstance(fields, dict) else None
    return _SIGNATURES.get(alg, frozenset()) if isinstance(alg, str) else frozenset()


def _is_canonical(part: str) -> bool:
    """Return whether the unused bits of the last character are zero, as encoders set them."""
    return part[-1] in _LAST_CHARACTERS.get(len(part) % 4, part)


def _decode(part: bytes) -> bytes:
    """Decode a base64url part without padding, or the start of one."""
    usable = part[:-1] if len(part) % 4 == 1 else part
    return base64.urlsafe_b64decode(usable + b"==")


def _claims(text: str) -> Mapping[str, Any]:
    """Return the payload, unverified; empty if it is not readable."""
    jwt = _library()
    try:
        claims: Mapping[str, Any] = jwt.decode(_unsigned(text), options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return {}
    return claims


def _unsigned(text: str) -> str:
    """Return the token without its signature: newer PyJWT versions reject an incomplete one."""
    return text[: text.rindex(".") + 1]


def require_library() -> None:
    """Check that tokens can be read. Raises LibraryMissing without PyJWT."""
    _library()


def email_addresses(text: str) -> tuple[str, ...]:
    """Return the e-mail addresses in a token's payload, which are personal data."""
    try:
        payload = base64.urlsafe_b64decode(strip(text).split(".")[1] + "==")
    except (IndexError, ValueError):
        return ()
    found = _ADDRESS_IN_CLAIMS.findall(payload.decode("utf-8", "replace"))
    return tuple(dict.fromkeys(found))


def _library() -> ModuleType:
    try:
        import jwt  # here: slow to import, often not needed
    except ImportError:
        raise LibraryMissing("PyJWT") from None
    return jwt


def _moment(value: object) -> float | None:
    """Return a NumericDate (RFC 7519) as seconds since the epoch (UTC); None if it is not one."""
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
    """Yield account or roles: claims whose name and value are both `G:...` or `R:...`.

    A value that is not a simple identifier could be a person's name and is omitted.
    """
    for name, value in claims.items():
        if name.startswith(kind) and value == name and _WORD.fullmatch(name[2:]):
            yield name[2:]


def _complete(data: bytes) -> int:
    """Return the index before which each token ends: the rest may continue in the next chunk.

    It is the start of the last run of token characters, or of its last MAX_CHARACTERS.
    """
    tail = data[-MAX_CHARACTERS:]
    return len(data) - len(tail) + len(tail.rstrip(_TOKEN_CHARACTERS))


def _findings(data: bytes, start: int, end: int, line: int) -> Iterator[Finding]:
    """Yield the tokens whose payload starts between two indexes; `line`: the line of index 0."""
    counted = 0
    for dot, token in tokens_in(data, start, end):
        line += data.count(b"\n", counted, dot)
        counted = dot
        yield Finding(token, line)


def _read_found(header: bytes, payload: bytes, signature: bytes) -> Token:
    """Return a token that was found, read with the standard library. signature: with its dot."""
    text = (header + b"." + payload + signature).decode("ascii")
    return _token(text, _found_claims(header, payload) if _is_jwt(text) else {})


def _found_claims(header: bytes, payload: bytes) -> Mapping[str, Any]:
    """Return the payload if it and the header are JSON objects, else an empty one."""
    try:
        claims = json.loads(_decode(payload)) if _is_object(header) else {}
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


@lru_cache(maxsize=256)
def _is_object(part: bytes) -> bool:
    try:
        return isinstance(json.loads(_decode(part)), dict)
    except (ValueError, RecursionError):
        return False


def _cut_token(header: bytes, payload: bytes, signature: bytes) -> Iterator[Token]:
    """Yield a token that is cut short if the rest of it names an account."""
    if accounts := _accounts_in(payload):
        token = _read_found(header, payload, signature)
        yield replace(token, well_formed=False, accounts=accounts)


def _parts_after(data: bytes, dot: int) -> tuple[bytes, bytes]:
    """Return the payload after this dot, and the signature with its dot, empty without one.

    The signature ends at the latest at the header of another token.
    """
    stop = dot + MAX_CHARACTERS
    payload = _run(data, dot + 1, stop)
    end = dot + 1 + len(payload)
    if data[end : end + 1] != b"." or end + 1 >= stop:
        return payload, b""
    signature = _run(data, end + 1, stop)
    next_dot = end + 1 + len(signature)
    if next_dot + _PAYLOAD_START_LENGTH <= stop and _PAYLOAD_START.match(data, next_dot):
        for start in _header_starts(signature[-MAX_HEADER:])[:1]:
            signature = signature[: max(0, len(signature) - MAX_HEADER) + start]
    return payload, b"." + signature


def _run(data: bytes, start: int, stop: int) -> bytes:
    """Return the base64url characters between two indexes."""
    match = _PART.match(data, start, stop)
    return match.group() if match else b""


def _part_before(data: bytes, dot: int) -> bytes:
    """Return the base64url characters before a dot, at most MAX_HEADER."""
    before = data[max(0, dot - MAX_HEADER) : dot]
    return before[len(before.rstrip(_PART_CHARACTERS)) :]


@lru_cache(maxsize=256)
def _header_starts(run: bytes) -> tuple[int, ...]:
    """Return the possible starts of a header that ends with this run; the shortest header first."""
    starts = []
    tried = 0
    for match in reversed(list(_OBJECT_START.finditer(run))):
        header = run[match.start() :]
        if len(header) % 4 == 1 or not _ends_as_object(header):
            continue
        tried += 1
        if tried > _MAX_HEADERS_TRIED:
            break
        if _signature_lengths(header) is not None:
            starts.append(match.start())
    return tuple(starts)


def _ends_as_object(part: bytes) -> bool:
    """Return whether the decoded part ends with a brace: a fast check before decoding all."""
    last = part[max(0, (len(part) - 1) // 4 * 4 - 8) :]
    return _decode(last).rstrip().endswith(b"}")


def _has_header(run: bytes) -> bool:
    """Return whether the first part of a run is JSON."""
    return _signature_lengths(run[: run.index(b".")]) is not None


def _accounts_in(payload: bytes) -> tuple[str, ...]:
    """Return the accounts in the decoded start of a payload that may be cut short.

    The value of a claim, as far as it is there, must be equal to its name.
    """
    text = _decode(payload)
    names = []
    for match in _ACCOUNT_CLAIM.finditer(text):
        value, end = b'"%s"' % match.group(1), match.end()
        if text.startswith(value, end) or value.startswith(text[end : end + len(value)]):
            names.append(match.group(1)[2:].decode("ascii").lower())
    return tuple(dict.fromkeys(names))


def make_unissued_token(account_id: str, issued_at: float, expires_at: float) -> str:
    """Return a complete token that no API has issued: signed with a random key that is discarded.

    issued_at, expires_at: seconds since the epoch (UTC), as those of a token that is accepted.
    """
    account = f"G:{account_id}"
    claims = {account: account, "iat": int(issued_at), "exp": int(expires_at)}
    return str(_library().encode(claims, secrets.token_bytes(32), algorithm="HS256"))
