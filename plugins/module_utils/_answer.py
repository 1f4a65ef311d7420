# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only reader of the API's answers: from an HTTP answer to a verdict, a code and a message.

Pure: no Ansible, no network, no clock. Success is HTTP 2xx *and* a JSON object *and* code "00";
HTTP 200 may carry a failure (Nomba's page on error codes; developer notes of live calls).
Only the documented envelope with code "401" is the API's own refusal of a token (the same page).
A description may repeat what was sent, so it is redacted before it is shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._timestamps import parse_http_date

SUCCESS = "00"
UNAUTHORIZED = "401"

# 4xx answers that are transient, or come from a proxy: they do not reject the request itself.
_TRANSIENT_4XX = frozenset({407, 408, 425, 429})
_CODE = re.compile(r"[A-Za-z0-9_-]{1,8}")
_DESCRIPTION_CHARACTERS = 120
# Characters of a description that are read; more would only cost time.
_LONGEST_DESCRIPTION = 2000

# Consecutive characters of a secret that are redacted, also when other characters separate them.
_SECRET_RUN = 8
_REDACTED = "[redacted]"
# Secrets that the request did not contain: other e-mail addresses and other tokens.
_SECRET_LIKE = re.compile(r"\S*@\S*|eyJ[\w-]{8,}\S*")


@dataclass(frozen=True)
class HttpAnswer:
    """An HTTP answer. headers: names in lower case. attempts: how often the request was sent."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    attempts: int = 1


@dataclass(frozen=True)
class TransportFailure:
    """No usable answer. problem: a clause without any part of the request.

    sent: whether any byte of the request may have been sent.
    """

    problem: str
    attempts: int = 1
    sent: bool = True


class Verdict(Enum):
    """Whether the API did what the request asked for."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ApiResult:
    """The content of an answer, without secrets.

    server_time: the server's clock by its Date header, seconds since the epoch (UTC). data: only
    the requested fields. sent: whether any byte of the request may have been sent. signature: a
    hash of an HTTP 401, to compare it with another one; None for every other answer.
    """

    verdict: Verdict
    problem: str
    status: int | None = None
    code: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attempts: int = 1
    server_time: float | None = None
    sent: bool = True
    signature: str | None = None

    @property
    def refuses_token(self) -> bool:
        """Whether this is the API's documented refusal of a token: code "401" in its envelope.

        HTTP 401 alone is not: a proxy, a gateway or a firewall returns it too.
        """
        documented = self.code == UNAUTHORIZED and self.status in (200, 401)
        return self.verdict is Verdict.REJECTED and documented


def read(
    answer: HttpAnswer | TransportFailure,
    keep: tuple[str, ...] = (),
    secrets: Callable[[], Iterable[str]] = tuple,
) -> ApiResult:
    """Return the content of an answer, and of its data only the fields named in `keep`.

    secrets: returns the secrets of the request, for redaction; called only when needed.
    """
    if isinstance(answer, TransportFailure):
        problem, attempts = answer.problem, answer.attempts
        return ApiResult(Verdict.UNKNOWN, problem, attempts=attempts, sent=answer.sent)
    return replace(
        _read(answer, keep, secrets),
        attempts=answer.attempts,
        server_time=parse_http_date(answer.headers.get("date", "")),
        signature=_signature(answer) if answer.status == 401 else None,
    )


def redact(description: object, secrets: Iterable[str]) -> str:
    """Return a description without any part of the secrets, shortened; empty if not a string."""
    if not isinstance(description, str):
        return ""
    words = " ".join(description[:_LONGEST_DESCRIPTION].split())
    text = _SECRET_LIKE.sub(_REDACTED, "".join(c for c in words if c.isprintable()))
    for secret in secrets:
        text = _without(secret, text)
    shown = text[:_DESCRIPTION_CHARACTERS]
    return shown if shown == text else shown + "..."


def _without(secret: str, text: str) -> str:
    """Return the text without any run of a secret's characters, also where they are separated."""
    wanted = "".join(filter(_is_letter, secret)).lower()
    if len(wanted) < _SECRET_RUN:
        return re.sub(rf"\b{re.escape(secret)}\b", _REDACTED, text, flags=re.IGNORECASE)
    positions = [position for position, c in enumerate(text) if _is_letter(c)]
    letters = "".join(text[position] for position in positions).lower()
    starts = [
        start
        for start in range(len(letters) - _SECRET_RUN + 1)
        if letters[start : start + _SECRET_RUN] in wanted
    ]
    for start in reversed(starts):
        first, last = positions[start], positions[start + _SECRET_RUN - 1]
        text = text[:first] + "\0" * (last - first + 1) + text[last + 1 :]
    return re.sub("\0+", _REDACTED, text)


def _is_letter(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _read(
    answer: HttpAnswer, keep: tuple[str, ...], secrets: Callable[[], Iterable[str]]
) -> ApiResult:
    status = answer.status
    if 300 <= status < 400:
        return ApiResult(
            Verdict.UNKNOWN, f"HTTP {status}, a redirect, which is never followed", status
        )
    envelope = _envelope(answer.body)
    if envelope is None:
        return _without_envelope(answer)
    code = _code(envelope)
    problem = _problem(status, code, envelope, secrets)
    return ApiResult(_verdict(status, code), problem, status, code, _named_fields(envelope, keep))


def _signature(answer: HttpAnswer) -> str:
    """Return a hash of an HTTP 401, which identifies its headers and body."""
    names = ("content-type", "www-authenticate")
    parts = [repr(answer.headers.get(name, "")).encode() for name in names]
    return hashlib.sha256(b"\n".join([*parts, answer.body])).hexdigest()


def _envelope(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _without_envelope(answer: HttpAnswer) -> ApiResult:
    """Return the result of an answer without an envelope: another server may have sent it."""
    what = "an empty answer" if not answer.body.strip() else "an answer that is not a JSON object"
    return ApiResult(Verdict.UNKNOWN, f"HTTP {answer.status}, {what}", answer.status)


def _code(envelope: Mapping[str, Any]) -> str | None:
    """Return the envelope's code, None if it is not a short identifier: it could be a secret."""
    code = envelope.get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _verdict(status: int, code: str | None) -> Verdict:
    if status in _TRANSIENT_4XX or status >= 500 or status < 200:
        return Verdict.UNKNOWN
    if status >= 400:
        return Verdict.REJECTED
    if code is None:
        return Verdict.UNKNOWN
    return Verdict.SUCCEEDED if code == SUCCESS else Verdict.REJECTED


def _problem(
    status: int,
    code: str | None,
    envelope: Mapping[str, Any],
    secrets: Callable[[], Iterable[str]],
) -> str:
    description = envelope.get("description")
    shown = redact(description, secrets()) if description else ""
    return f"HTTP {status}, code {code or 'missing'}" + (f": {shown}" if shown else "")


def _named_fields(envelope: Mapping[str, Any], keep: tuple[str, ...]) -> Mapping[str, Any]:
    data = envelope.get("data")
    return {name: data[name] for name in keep if name in data} if isinstance(data, dict) else {}
