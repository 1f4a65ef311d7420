# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an answer of the API says: the only reader of its envelope.

Pure: no Ansible, no network, no clock. Success is HTTP 2xx *and* a JSON object *and* code "00";
HTTP 200 may carry a failure (Nomba's page on error codes; developer notes of live calls).
Descriptions may echo what was sent, so that they are scrubbed before anyone sees them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timezone
from enum import Enum
from typing import Any

SUCCESS = "00"
UNAUTHORIZED = "401"

# 4xx answers that say something about the moment or the way, and nothing about the request.
_NOT_ABOUT_US = frozenset({407, 408, 425, 429})
_CODE = re.compile(r"[A-Za-z0-9_-]{1,8}")
_DESCRIPTION_CHARACTERS = 120


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came. Header names are in lower case; attempts counts all sendings."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    attempts: int = 1


@dataclass(frozen=True)
class NoAnswer:
    """Nothing usable came back; `problem` is a sentence of ours without any part of the request."""

    problem: str
    attempts: int = 1


class Verdict(Enum):
    """Whether the API did what it was asked for."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Reading:
    """What an answer says, in words that can be shown.

    server_time: the server's clock by its Date header, seconds since the epoch (UTC). data holds
    only what was asked to be kept.
    """

    verdict: Verdict
    problem: str
    status: int | None = None
    code: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attempts: int = 1
    server_time: float | None = None

    @property
    def refuses_token(self) -> bool:
        """Whether the API said that it does not take the token (HTTP 401 or code "401")."""
        return self.verdict is Verdict.NO and UNAUTHORIZED in (str(self.status), self.code)


def read(answer: Answer | NoAnswer, keep: tuple[str, ...] = ()) -> Reading:
    """Read an answer; of its data only the fields named in `keep` are kept."""
    if isinstance(answer, NoAnswer):
        return Reading(Verdict.UNCLEAR, answer.problem, attempts=answer.attempts)
    reading = _read(answer, keep)
    moment = http_date(answer.headers.get("date", ""))
    return replace(reading, attempts=answer.attempts, server_time=moment)


def http_date(text: str) -> float | None:
    """An HTTP date as seconds since the epoch (UTC), or None."""
    from email.utils import parsedate_to_datetime  # here: a run that skips everything needs none

    try:
        moment = parsedate_to_datetime(text)
        # An HTTP date without a zone is in UTC, where Python would take the host's own.
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def scrub(description: object) -> str:
    """A description without long words (tokens, secrets, ids) and addresses, shortened."""
    words = description.split() if isinstance(description, str) else []
    shown = " ".join(word for word in words if len(word) <= 20 and "@" not in word)
    return "".join(c for c in shown if c.isprintable())[:_DESCRIPTION_CHARACTERS]


def _read(answer: Answer, keep: tuple[str, ...]) -> Reading:
    status = answer.status
    if 300 <= status < 400:
        return Reading(
            Verdict.UNCLEAR, f"HTTP {status}, a redirect, which is never followed", status
        )
    envelope = _envelope(answer.body)
    if envelope is None:
        return _without_envelope(answer)
    code = _code(envelope)
    problem = _problem(status, code, envelope)
    return Reading(_verdict(status, code), problem, status, code, _kept(envelope, keep))


def _envelope(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _without_envelope(answer: Answer) -> Reading:
    """An empty 401 is how many servers refuse a token; any other text without JSON is doubtful."""
    if answer.status == 401 and not answer.body.strip():
        return Reading(Verdict.NO, "HTTP 401", 401)
    what = "an empty answer" if not answer.body.strip() else "an answer that is not a JSON object"
    return Reading(Verdict.UNCLEAR, f"HTTP {answer.status}, {what}", answer.status)


def _code(envelope: Mapping[str, Any]) -> str | None:
    """The envelope's code; one that is not a short word could be anything and is not shown."""
    code = envelope.get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _verdict(status: int, code: str | None) -> Verdict:
    if status in _NOT_ABOUT_US or status >= 500 or status < 200:
        return Verdict.UNCLEAR
    if status >= 400:
        return Verdict.NO
    if code is None:
        return Verdict.UNCLEAR
    return Verdict.YES if code == SUCCESS else Verdict.NO


def _problem(status: int, code: str | None, envelope: Mapping[str, Any]) -> str:
    said = scrub(envelope.get("description"))
    return f"HTTP {status}, code {code or 'missing'}" + (f": {said}" if said else "")


def _kept(envelope: Mapping[str, Any], keep: tuple[str, ...]) -> Mapping[str, Any]:
    data = envelope.get("data")
    return {name: data[name] for name in keep if name in data} if isinstance(data, dict) else {}
