# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripted faults, pure: which request gets one, and what becomes of its answer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .rules import Call, Reply

# The accepting of a connection; no request, so `any` does not include it.
CONNECT = "connect"
ON = ("issue", "refresh", "revoke", "balance", "any", CONNECT)
JSON = "application/json"

# The ordinary answer is what these deliver, late, or under another date.
GENUINE = ("slow", "date", "no_date", "interim", "duplicate", "unsolicited")
# Where the effect belongs to the fault; everything else goes wrong before it unless told.
EFFECTIVE = ("lost_answer", *GENUINE)

# What each kind may be told, and what it does untold. A None has to be given or stays away.
KINDS: Mapping[str, Mapping[str, object]] = {
    "rate_limited": {"retry_after": None},
    "status": {"status": None, "description": "Scripted fault"},
    "reset": {},
    "lost_answer": {},
    "slow": {"delay": 1.0},
    "endless": {"interval": 0.05},
    "stalled": {},
    "truncated": {},
    "too_large": {"size": 8 * 1024 * 1024},
    "redirect": {"status": 307, "location": "/elsewhere"},
    "html": {"status": 502},
    "code": {"code": "400", "description": "Validation Error"},
    "no_code": {},
    "empty": {},
    "not_json": {},
    "not_object": {},
    "echo": {"status": 400},
    "date": {"offset": 3600.0},
    "no_date": {},
    "interim": {"status": 103, "count": 1, "delay": 0.0},
    "endless_interim": {"status": 100, "interval": 0.05},
    "duplicate": {"delay": 0.0},
    "unsolicited": {
        "status": 401,
        "body": '{"code":"401","description":"Unauthorized"}',
        "delay": 0.0,
        "when": "after",
    },
    "slow_headers": {"interval": 0.05},
    "endless_chunk": {"interval": 0.05},
    "endless_trailers": {"interval": 0.05},
    "answer": {"status": None, "body": "", "content_type": JSON},
}
_NUMBERS = {"status", "delay", "interval", "size", "offset", "count"}
_TEXTS = {"body", "content_type"}
_INTERIM = ("interim", "endless_interim")
WHEN = ("after", "before")
CHUNKED = (("Transfer-Encoding", "chunked"),)
_COMMON = ("on", "kind", "skip", "times", "fingerprint", "effect", "headers")


class FaultError(ValueError):
    """A fault that cannot be scripted; the text is for people."""


@dataclass(frozen=True)
class Fault:
    """One line of the script."""

    on: str
    kind: str
    skip: int = 0
    times: int = 1
    fingerprint: str | None = None
    effect: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, object] = field(default_factory=dict)

    def matches(self, operation: str, fingerprint: str | None) -> bool:
        """Whether this line speaks of such a request."""
        on = self.on == operation or (self.on == "any" and operation != CONNECT)
        return on and self.fingerprint in (None, fingerprint)

    def number(self, name: str) -> float:
        """A parameter that is a number; the reading of the script has seen to that."""
        value = self.parameters[name]
        return value if isinstance(value, (int, float)) else 0

    def text(self, name: str) -> str:
        """A parameter as text."""
        return str(self.parameters[name])


@dataclass(frozen=True)
class Delivery:
    """An answer and the manner of its delivery. `date_offset` None leaves the header out.

    Manners: whole; abort (nothing is sent); cut (less than announced); stall (less than
    announced, then silence); trickle (no length, then `filler` every `interval` for ever);
    open_head (a trickle in which the headers never end); interim (a status and headers, and
    neither body nor length); repeat (the answers in `before` every `interval` for ever);
    accompanied (whole, and its connection also carries the answers in `before` and `after`,
    or the same answer `twice`; each waits `delay` seconds, and so does the answer itself if
    others come before it). In a filler, `{n}` counts from 1.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    manner: str = "whole"
    code: str | None = None
    date_offset: float | None = 0.0
    interval: float = 0.0
    filler: str = "x"
    before: tuple[Delivery, ...] = ()
    after: tuple[Delivery, ...] = ()
    twice: bool = False
    delay: float = 0.0


@dataclass
class _Line:
    fault: Fault
    skipped: int = 0
    fired: int = 0


class Script:
    """The faults in the order in which they were scripted."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []

    def add(self, faults: Sequence[Fault]) -> None:
        """Append faults."""
        self._lines.extend(_Line(one) for one in faults)

    def clear(self) -> None:
        """Forget all faults."""
        self._lines.clear()

    def draw(self, operation: str, fingerprint: str | None) -> Fault | None:
        """The fault for this request: the first that matches, has skipped enough, and lasts."""
        for line in self._lines:
            if line.fault.matches(operation, fingerprint) and _fires(line):
                return line.fault
        return None

    def describe(self) -> list[dict[str, object]]:
        """The script, and how far it has come."""
        return [
            {"on": one.fault.on, "kind": one.fault.kind, "fired": one.fired, "spent": _spent(one)}
            for one in self._lines
        ]


def _spent(line: _Line) -> bool:
    return line.fault.times > 0 and line.fired >= line.fault.times


def _fires(line: _Line) -> bool:
    if _spent(line):
        return False
    if line.skipped < line.fault.skip:
        line.skipped += 1
        return False
    line.fired += 1
    return True


# Reading a script


def from_json(document: object) -> tuple[Fault, ...]:
    """Faults from a JSON list of objects, or from one object."""
    if isinstance(document, Mapping):
        document = [document]
    if not isinstance(document, list):
        raise FaultError("faults come as a list of objects")
    return tuple(_fault(one) for one in document)


def _fault(given: object) -> Fault:
    if not isinstance(given, Mapping):
        raise FaultError("a fault is an object")
    kind = _one_of("kind", given.get("kind"), tuple(KINDS))
    on = _one_of("on", given.get("on"), ON)
    if on == CONNECT:
        _check_connect(kind, given)
    return Fault(
        on=on,
        kind=kind,
        skip=_count("skip", given.get("skip", 0)),
        times=_count("times", given.get("times", 1)),
        fingerprint=_fingerprint(given.get("fingerprint")),
        effect=_effect(kind, given.get("effect")),
        headers=_headers(given.get("headers", {})),
        parameters=_parameters(kind, given),
    )


def _check_connect(kind: str, given: Mapping[str, object]) -> None:
    if kind != "unsolicited":
        raise FaultError(f"on connect there is only unsolicited, not {kind}")
    unusable = sorted({"fingerprint", "effect", "when"} & set(given))
    if unusable:
        raise FaultError(f"on connect there is no request, so no {', '.join(unusable)}")


def _one_of(name: str, value: object, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise FaultError(f"{name} must be one of: {', '.join(known)}")
    return value


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FaultError(f"{name} must be a whole number, not negative")
    return value


def _fingerprint(value: object) -> str | None:
    if value is not None and not str(value).startswith("sha256:"):
        raise FaultError("fingerprint must be sha256: and sixteen hex digits")
    return None if value is None else str(value)


def _effect(kind: str, value: object) -> bool:
    if value is None:
        return kind in EFFECTIVE
    if not isinstance(value, bool):
        raise FaultError("effect must be true or false")
    if not value and kind in EFFECTIVE and kind != "slow":
        raise FaultError(f"{kind} is nothing without the effect")
    return value


def _headers(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise FaultError("headers must be an object")
    return {str(name): str(text) for name, text in value.items()}


def _parameters(kind: str, given: Mapping[str, object]) -> Mapping[str, object]:
    known = KINDS[kind]
    unknown = sorted(set(given) - set(known) - set(_COMMON))
    if unknown:
        raise FaultError(f"{kind} does not know: {', '.join(unknown)}")
    values = {name: given.get(name, default) for name, default in known.items()}
    for name in _NUMBERS & set(values):
        _check_number(kind, name, values[name])
    for name in _TEXTS & set(values):
        if not isinstance(values[name], str):
            raise FaultError(f"{kind} needs {name}, a string")
    if "when" in values:
        _one_of("when", values["when"], WHEN)
    return values


def _check_number(kind: str, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FaultError(f"{kind} needs {name}, a number")
    first, last = (100, 199) if kind in _INTERIM else (200, 599)
    if name == "status" and value not in range(first, last + 1):
        raise FaultError(f"{kind} needs a status from {first} to {last}")
    if name == "count" and not isinstance(value, int):
        raise FaultError("count must be a whole number")
    if name != "offset" and value < 0:
        raise FaultError(f"{name} must not be negative")


# What becomes of the answer


def plain(reply: Reply) -> Delivery:
    """The ordinary delivery of a reply."""
    code = reply.body.get("code")
    body = encode(reply.body) if reply.page is None else reply.page.encode()
    return Delivery(
        reply.status,
        body,
        content_type="text/html" if reply.page else JSON,
        headers=reply.headers,
        code=str(code) if code else None,
    )


def spoil(fault: Fault, call: Call, reply: Reply | None) -> Delivery:
    """The delivery of a faulty answer. `reply` is the real answer, if the effect took place."""
    real = plain(reply or Reply(200, {"code": "00", "description": "Success"}))
    if fault.kind in _ADDING:
        return _ADDING[fault.kind](fault, real)
    return _with_headers(fault, _SPOILERS[fault.kind](fault, call, real))


def unsolicited(fault: Fault) -> Delivery:
    """The answer that nobody asked for."""
    return _with_headers(fault, _answer(fault, content_type=JSON))


def encode(value: object) -> bytes:
    """JSON as bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


def _with(delivery: Delivery, **changes: object) -> Delivery:
    return dataclasses.replace(delivery, **changes)  # type: ignore[arg-type]


def _with_headers(fault: Fault, delivery: Delivery) -> Delivery:
    return _with(delivery, headers=delivery.headers + tuple(fault.headers.items()))


def _envelope(http: int, code: str, description: str, **more: object) -> Delivery:
    body = encode({"code": code, "description": description, **more})
    return Delivery(http, body, code=code)


def _rate_limited(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    answer = _envelope(429, "429", "Too many requests. Please slow down.", data=None)
    if fault.parameters["retry_after"] is None:
        return answer
    return _with(answer, headers=(("Retry-After", fault.text("retry_after")),))


def _status(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    status = int(fault.number("status"))
    return _envelope(status, str(status), fault.text("description"))


def _abort(_fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    return Delivery(0, b"", manner="abort")


def _genuine(_fault: Fault, _call: Call, real: Delivery) -> Delivery:
    return real


def _endless(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    # The body never ends, so it begins as what a hasty reader would take for a success.
    start = b'{"code":"00","description":"Success","padding":"'
    return Delivery(200, start, manner="trickle", interval=fault.number("interval"))


def _stalled(_fault: Fault, _call: Call, real: Delivery) -> Delivery:
    return _with(real, manner="stall", body=real.body[: len(real.body) // 2], code=None)


def _truncated(_fault: Fault, _call: Call, real: Delivery) -> Delivery:
    # The whole of a valid JSON text, and yet fewer bytes than were announced: who trusts the
    # JSON and not the length is caught.
    return _with(real, manner="cut")


def _too_large(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    padding = "x" * int(fault.number("size"))
    return _envelope(200, "00", "Success", padding=padding)


def _redirect(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    answer = _envelope(int(fault.number("status")), fault.text("status"), "Moved")
    return _with(answer, headers=(("Location", fault.text("location")),))


def _html(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    page = b"<!DOCTYPE html><html><head><title>Attention Required!</title></head></html>"
    return Delivery(int(fault.number("status")), page, content_type="text/html")


def _code(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    return _envelope(200, fault.text("code"), fault.text("description"), status=False)


def _raw(body: bytes) -> Callable[[Fault, Call, Delivery], Delivery]:
    return lambda _fault, _call, _real: Delivery(200, body)


def _echo(fault: Fault, call: Call, _real: Delivery) -> Delivery:
    status = int(fault.number("status"))
    sent = f"{json.dumps(call.body)} {call.authorization}"
    return _envelope(status, str(status), f"Could not process: {sent}")


def _date(fault: Fault, _call: Call, real: Delivery) -> Delivery:
    return _with(real, date_offset=fault.number("offset"))


def _no_date(_fault: Fault, _call: Call, real: Delivery) -> Delivery:
    return _with(real, date_offset=None)


def _slow_headers(fault: Fault, _call: Call, real: Delivery) -> Delivery:
    return _for_ever(fault, real, b"", "X-Filler-{n}: x\r\n", manner="open_head")


def _endless_chunk(fault: Fault, _call: Call, real: Delivery) -> Delivery:
    start = f"{len(real.body):x};extension=".encode()
    return _for_ever(fault, real, start, "x", headers=CHUNKED)


def _endless_trailers(fault: Fault, _call: Call, real: Delivery) -> Delivery:
    body = f"{len(real.body):x}\r\n".encode() + real.body + b"\r\n0\r\n"
    return _for_ever(fault, real, body, "X-Trailer-{n}: x\r\n", headers=CHUNKED)


def _for_ever(fault: Fault, real: Delivery, start: bytes, filler: str, **more: object) -> Delivery:
    manner = {"manner": "trickle", "interval": fault.number("interval"), "filler": filler, **more}
    return _with(real, body=start, code=None, **manner)


def _scripted(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    return _answer(fault, fault.text("content_type"))


def _answer(fault: Fault, content_type: str) -> Delivery:
    body = fault.text("body").encode()
    return Delivery(int(fault.number("status")), body, content_type, code=_code_in(body))


def _code_in(body: bytes) -> str | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    code = value.get("code") if isinstance(value, dict) else None
    return code if isinstance(code, str) else None


def _interim(fault: Fault, real: Delivery) -> Delivery:
    before = (_interim_answer(fault),) * int(fault.number("count"))
    return _accompanied(fault, real, before=before)


def _endless_interim(fault: Fault, _real: Delivery) -> Delivery:
    before = (_interim_answer(fault),)
    return Delivery(0, b"", manner="repeat", before=before, interval=fault.number("interval"))


def _interim_answer(fault: Fault) -> Delivery:
    status = int(fault.number("status"))
    link = (("Link", "</style.css>; rel=preload; as=style"),) if status == 103 else ()
    return _with_headers(fault, Delivery(status, b"", headers=link, manner="interim"))


def _duplicate(fault: Fault, real: Delivery) -> Delivery:
    return _accompanied(fault, _with_headers(fault, real), twice=True)


def _unsolicited(fault: Fault, real: Delivery) -> Delivery:
    return _accompanied(fault, real, **{fault.text("when"): (unsolicited(fault),)})


def _accompanied(fault: Fault, real: Delivery, **others: object) -> Delivery:
    return _with(real, manner="accompanied", delay=fault.number("delay"), **others)


# What adds answers to the real one. Scripted headers are those of the added answers; a
# duplicate's are in both copies.
_ADDING: Mapping[str, Callable[[Fault, Delivery], Delivery]] = {
    "interim": _interim,
    "endless_interim": _endless_interim,
    "duplicate": _duplicate,
    "unsolicited": _unsolicited,
}

_SPOILERS: Mapping[str, Callable[[Fault, Call, Delivery], Delivery]] = {
    "rate_limited": _rate_limited,
    "status": _status,
    "reset": _abort,
    "lost_answer": _abort,
    "slow": _genuine,
    "endless": _endless,
    "stalled": _stalled,
    "truncated": _truncated,
    "too_large": _too_large,
    "redirect": _redirect,
    "html": _html,
    "code": _code,
    "no_code": _raw(b'{"results":[]}'),
    "empty": _raw(b""),
    "not_json": _raw(b"Service is starting up"),
    "not_object": _raw(b'["00"]'),
    "echo": _echo,
    "date": _date,
    "no_date": _no_date,
    "slow_headers": _slow_headers,
    "endless_chunk": _endless_chunk,
    "endless_trailers": _endless_trailers,
    "answer": _scripted,
}
