# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults, pure: select the fault for a request, and compute the faulty response."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .rules import Call, Reply

# When a connection is accepted. This is not a request, so `any` does not include it.
CONNECT = "connect"
ON = ("issue", "refresh", "revoke", "balance", "any", CONNECT)
JSON = "application/json"

# These send the real response, late, with another date, or with other responses.
WITH_REAL_RESPONSE = ("slow", "date", "no_date", "interim", "duplicate", "unsolicited")
# By default, the request takes effect with these kinds only.
WITH_EFFECT = ("lost_answer", *WITH_REAL_RESPONSE)

# The parameters of each kind and their defaults. A parameter with None is required or not sent.
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
    """An invalid fault; the text goes to the client."""


@dataclass(frozen=True)
class Fault:
    """One fault of the script."""

    on: str
    kind: str
    skip: int = 0
    times: int = 1
    fingerprint: str | None = None
    effect: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, object] = field(default_factory=dict)

    def matches(self, operation: str, fingerprint: str | None) -> bool:
        """Return whether the fault applies to this request."""
        on = self.on == operation or (self.on == "any" and operation != CONNECT)
        return on and self.fingerprint in (None, fingerprint)

    def number(self, name: str) -> float:
        """Return a numeric parameter; `from_json` has checked its type."""
        value = self.parameters[name]
        return value if isinstance(value, (int, float)) else 0

    def text(self, name: str) -> str:
        """Return a parameter as a string."""
        return str(self.parameters[name])


@dataclass(frozen=True)
class Delivery:
    """A response and how to send it. With a `date_offset` of None, it has no Date header.

    Modes:
    whole: the complete response.
    abort: nothing; the connection is reset.
    cut: fewer bytes than Content-Length, then the connection closes.
    stall: fewer bytes than Content-Length, then no more bytes.
    trickle: no Content-Length, then `filler` every `interval` seconds without end.
    open_head: a trickle of header lines without end.
    interim: status and headers, without body and Content-Length.
    repeat: the responses in `before` every `interval` seconds without end.
    accompanied: the complete response, and on the same connection the responses in `before` and
        `after`, or the same response `twice`; each waits `delay` seconds, and so does the response
        itself after others.
    In `filler`, `{n}` is a counter from 1.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    mode: str = "whole"
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
    """The faults in the order in which they were added."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []

    def add(self, faults: Sequence[Fault]) -> None:
        """Append faults."""
        self._lines.extend(_Line(one) for one in faults)

    def clear(self) -> None:
        """Delete all faults."""
        self._lines.clear()

    def next_fault(self, operation: str, fingerprint: str | None) -> Fault | None:
        """Return the first fault that triggers for this request, and count it."""
        for line in self._lines:
            if line.fault.matches(operation, fingerprint) and _fires(line):
                return line.fault
        return None

    def describe(self) -> list[dict[str, object]]:
        """Return the faults, how often each one triggered, and whether it is spent."""
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


# Parsing


def from_json(document: object) -> tuple[Fault, ...]:
    """Parse faults from a JSON list of objects, or from one object."""
    if isinstance(document, Mapping):
        document = [document]
    if not isinstance(document, list):
        raise FaultError("faults must be a list of objects")
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
        raise FaultError(f"with on: connect, kind must be unsolicited, not {kind}")
    unusable = sorted({"fingerprint", "effect", "when"} & set(given))
    if unusable:
        raise FaultError(f"with on: connect, these fields are not valid: {', '.join(unusable)}")


def _one_of(name: str, value: object, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise FaultError(f"{name} must be one of: {', '.join(known)}")
    return value


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FaultError(f"{name} must be a whole number that is not negative")
    return value


def _fingerprint(value: object) -> str | None:
    if value is not None and not str(value).startswith("sha256:"):
        raise FaultError("fingerprint must be sha256: and sixteen hex digits")
    return None if value is None else str(value)


def _effect(kind: str, value: object) -> bool:
    if value is None:
        return kind in WITH_EFFECT
    if not isinstance(value, bool):
        raise FaultError("effect must be true or false")
    if not value and kind in WITH_EFFECT and kind != "slow":
        raise FaultError(f"{kind} requires the effect")
    return value


def _headers(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise FaultError("headers must be an object")
    return {str(name): str(text) for name, text in value.items()}


def _parameters(kind: str, given: Mapping[str, object]) -> Mapping[str, object]:
    known = KINDS[kind]
    unknown = sorted(set(given) - set(known) - set(_COMMON))
    if unknown:
        raise FaultError(f"{kind} has no parameter: {', '.join(unknown)}")
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


# Responses


def plain(reply: Reply) -> Delivery:
    """Return the delivery of a reply without a fault."""
    code = reply.body.get("code")
    body = encode(reply.body) if reply.page is None else reply.page.encode()
    return Delivery(
        reply.status,
        body,
        content_type="text/html" if reply.page else JSON,
        headers=reply.headers,
        code=str(code) if code else None,
    )


def faulty_delivery(fault: Fault, call: Call, reply: Reply | None) -> Delivery:
    """Return a faulty delivery; `reply` is the real response if the request took effect."""
    real = plain(reply or Reply(200, {"code": "00", "description": "Success"}))
    if fault.kind in _WITH_OTHERS:
        return _WITH_OTHERS[fault.kind](fault, real)
    return _with_headers(fault, _DELIVERIES[fault.kind](fault, call, real))


def unsolicited(fault: Fault) -> Delivery:
    """Return an unsolicited response."""
    return _with_headers(fault, _scripted_response(fault, content_type=JSON))


def encode(value: object) -> bytes:
    """Return JSON as bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


def _with(delivery: Delivery, **changes: object) -> Delivery:
    return dataclasses.replace(delivery, **changes)  # type: ignore[arg-type]


def _with_headers(fault: Fault, delivery: Delivery) -> Delivery:
    return _with(delivery, headers=delivery.headers + tuple(fault.headers.items()))


def _envelope(http: int, code: str, description: str, **more: object) -> Delivery:
    body = encode({"code": code, "description": description, **more})
    return Delivery(http, body, code=code)


def _rate_limited(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    response = _envelope(429, "429", "Too many requests. Please slow down.", data=None)
    if fault.parameters["retry_after"] is None:
        return response
    return _with(response, headers=(("Retry-After", fault.text("retry_after")),))


def _status(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    status = int(fault.number("status"))
    return _envelope(status, str(status), fault.text("description"))


def _abort(_fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    return Delivery(0, b"", mode="abort")


def _real(_fault: Fault, _call: Call, real: Delivery) -> Delivery:
    return real


def _endless(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    # The body never ends. Its beginning looks like a success to a client that stops reading early.
    start = b'{"code":"00","description":"Success","padding":"'
    return Delivery(200, start, mode="trickle", interval=fault.number("interval"))


def _stalled(_fault: Fault, _call: Call, real: Delivery) -> Delivery:
    return _with(real, mode="stall", body=real.body[: len(real.body) // 2], code=None)


def _truncated(_fault: Fault, _call: Call, real: Delivery) -> Delivery:
    # A complete JSON text, but fewer bytes than Content-Length: detects a client that checks only
    # the JSON.
    return _with(real, mode="cut")


def _too_large(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    padding = "x" * int(fault.number("size"))
    return _envelope(200, "00", "Success", padding=padding)


def _redirect(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    response = _envelope(int(fault.number("status")), fault.text("status"), "Moved")
    return _with(response, headers=(("Location", fault.text("location")),))


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
    return _endless_filler(fault, real, b"", "X-Filler-{n}: x\r\n", mode="open_head")


def _endless_chunk(fault: Fault, _call: Call, real: Delivery) -> Delivery:
    start = f"{len(real.body):x};extension=".encode()
    return _endless_filler(fault, real, start, "x", headers=CHUNKED)


def _endless_trailers(fault: Fault, _call: Call, real: Delivery) -> Delivery:
    body = f"{len(real.body):x}\r\n".encode() + real.body + b"\r\n0\r\n"
    return _endless_filler(fault, real, body, "X-Trailer-{n}: x\r\n", headers=CHUNKED)


def _endless_filler(
    fault: Fault, real: Delivery, start: bytes, filler: str, **more: object
) -> Delivery:
    changes = {"mode": "trickle", "interval": fault.number("interval"), "filler": filler, **more}
    return _with(real, body=start, code=None, **changes)


def _scripted(fault: Fault, _call: Call, _real: Delivery) -> Delivery:
    return _scripted_response(fault, fault.text("content_type"))


def _scripted_response(fault: Fault, content_type: str) -> Delivery:
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
    before = (_interim_response(fault),) * int(fault.number("count"))
    return _with_others(fault, real, before=before)


def _endless_interim(fault: Fault, _real: Delivery) -> Delivery:
    before = (_interim_response(fault),)
    return Delivery(0, b"", mode="repeat", before=before, interval=fault.number("interval"))


def _interim_response(fault: Fault) -> Delivery:
    status = int(fault.number("status"))
    link = (("Link", "</style.css>; rel=preload; as=style"),) if status == 103 else ()
    return _with_headers(fault, Delivery(status, b"", headers=link, mode="interim"))


def _duplicate(fault: Fault, real: Delivery) -> Delivery:
    return _with_others(fault, _with_headers(fault, real), twice=True)


def _unsolicited(fault: Fault, real: Delivery) -> Delivery:
    return _with_others(fault, real, **{fault.text("when"): (unsolicited(fault),)})


def _with_others(fault: Fault, real: Delivery, **others: object) -> Delivery:
    return _with(real, mode="accompanied", delay=fault.number("delay"), **others)


# Kinds that send other responses in addition to the real one. `headers` apply to the added
# responses; with duplicate, to both copies.
_WITH_OTHERS: Mapping[str, Callable[[Fault, Delivery], Delivery]] = {
    "interim": _interim,
    "endless_interim": _endless_interim,
    "duplicate": _duplicate,
    "unsolicited": _unsolicited,
}

_DELIVERIES: Mapping[str, Callable[[Fault, Call, Delivery], Delivery]] = {
    "rate_limited": _rate_limited,
    "status": _status,
    "reset": _abort,
    "lost_answer": _abort,
    "slow": _real,
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
