# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP without rules: parse a request, ask the rules and the script, deliver the answer."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
import struct
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web

from . import faults, tokens
from .faults import Delivery, Fault
from .rates import Verdict
from .request_log import Answered, Seen
from .rules import Call, Reply
from .state import State

ELSEWHERE = "/elsewhere"
# Announced and never sent, by the deliveries that break off.
MISSING_BYTES = 64
_ENDLESS = ("trickle", "open_head", "repeat")

_TOO_MANY = Reply(
    429, {"code": "429", "description": "Too many requests. Please slow down.", "data": None}
)
# Clients send the same few sets of names again and again: each is kept once.
_names: dict[tuple[str, ...], tuple[str, ...]] = {}
_NAMES_KEPT = 1000
# Longer than a UUID, and as long as a refresh token: what has to be named by its fingerprint.
_SECRET_LIKE = re.compile(r"[A-Za-z0-9+=_.-]{39,}")


async def respond(state: State, request: web.BaseRequest) -> web.StreamResponse:
    """One request, from its bytes to the bytes of its answer."""
    body = await request.read()
    call = read_call(request, body)
    operation = "elsewhere" if call.path == ELSEWHERE else call.operation
    # The request_log may be exchanged while this request waits: it ends in the one it began in.
    request_log = state.request_log
    line = request_log.open(_seen(state, request, call, operation, len(body)))
    await asyncio.sleep(state.settings.latency)
    if operation == "elsewhere":
        verdict, fault = Verdict(allowed=True), None
        delivery = faults.plain(Reply(200, {"code": "00", "description": "Elsewhere"}))
    else:
        verdict = state.limiter.take(_account(state, call), call.method, state.now())
        fault = state.script.draw(operation, line.seen.fingerprint) if verdict.allowed else None
        delivery = await _decide(state, call, verdict, fault)
    request_log.close(line, _answered(delivery, fault))
    return await deliver(request, delivery, verdict.headers, state.now())


async def _decide(state: State, call: Call, verdict: Verdict, fault: Fault | None) -> Delivery:
    if not verdict.allowed:
        return faults.plain(_TOO_MANY)
    if fault is None:
        return faults.plain(state.api.answer(call, state.now()))
    reply = state.api.answer(call, state.now()) if fault.effect else None
    if fault.kind == "slow":
        await asyncio.sleep(fault.number("delay"))
    if fault.kind in faults.GENUINE and reply is None:
        reply = state.api.answer(call, state.now())
    return faults.spoil(fault, call, reply)


# Reading


def read_call(request: web.BaseRequest, body: bytes) -> Call:
    """The request as the rules see it."""
    return Call(
        method=request.method,
        path=request.path,
        account_id=request.headers.get("accountId"),
        authorization=request.headers.get("Authorization"),
        body=_object(body),
        content_type=request.headers.get("Content-Type"),
    )


def _object(body: bytes) -> Mapping[str, object] | None:
    try:
        value = json.loads(body) if body else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _seen(
    state: State, request: web.BaseRequest, call: Call, operation: str, body_bytes: int
) -> Seen:
    token = call.token
    return Seen(
        time=state.now(),
        method=call.method,
        path=_harmless(call.path),
        operation=operation,
        fingerprint=tokens.fingerprint(token) if token else None,
        account_id=call.account_id and _harmless(call.account_id),
        client_id=call.client_id and _harmless(call.client_id),
        authorization=call.authorization is not None,
        body_fields=_once(call.body or ()),
        body_bytes=body_bytes,
        connection=state.connection(request.protocol),
        header_names=_once(name.lower() for name in request.headers),
        user_agent=_harmless(request.headers.get("User-Agent", "")) or None,
        content_type=_harmless(call.content_type or "") or None,
    )


def _once(names: Iterable[str]) -> tuple[str, ...]:
    key = tuple(sorted({_harmless(name) for name in names}))
    return _names.setdefault(key, key) if len(_names) < _NAMES_KEPT else key


def _harmless(text: str) -> str:
    # A client may err and put a token where an id belongs; the request_log must not hold it then.
    return _SECRET_LIKE.sub(lambda found: tokens.fingerprint(found[0]), text)


def _account(state: State, call: Call) -> str:
    client = state.settings.client(call.client_id)
    return call.account_id or (client.account_id if client else "")


def _answered(delivery: Delivery, fault: Fault | None) -> Answered:
    # The manners in which no final answer ever begins.
    status = None if delivery.manner in ("abort", "repeat") else delivery.status
    return Answered(status, delivery.code, fault.kind if fault else None)


# Delivering


async def deliver(
    request: web.BaseRequest, delivery: Delivery, more: tuple[tuple[str, str], ...], now: float
) -> web.StreamResponse:
    """Send an answer in the manner that was decided."""
    headers = {**_headers(delivery, now), **dict(more)}
    if delivery.manner == "whole" and delivery.date_offset is not None:
        return web.Response(status=delivery.status, body=delivery.body, headers=headers)
    transport = request.transport
    if not isinstance(transport, asyncio.Transport):
        return web.Response()
    if delivery.manner == "accompanied":
        real = _head(delivery, headers, keep_alive=request.keep_alive) + delivery.body
        await _deliver_accompanied(transport, delivery, real, now)
        return _Written(keep_alive=request.keep_alive)
    await _deliver_raw(transport, delivery, headers, now)
    # The connection is closed by now, so nobody sees this one.
    return web.Response()


class _Written(web.StreamResponse):
    """An answer whose bytes are on the connection already: aiohttp has nothing to send."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._kept_alive = keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._kept_alive

    async def prepare(self, _request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, _data: bytes = b"") -> None:
        return None


async def _deliver_accompanied(
    transport: asyncio.Transport, delivery: Delivery, real: bytes, now: float
) -> None:
    before = [serialise(one, now) for one in delivery.before]
    after = [real] if delivery.twice else [serialise(one, now) for one in delivery.after]
    if not delivery.delay:
        # One write, so that a client which reads ahead has all of it at once.
        transport.write(b"".join([*before, real, *after]))
        return
    for answer in [*before, real]:
        await asyncio.sleep(delivery.delay if before else 0)
        _write_if_open(transport, answer)
    # The next request on this connection need not wait for these, nor they for it.
    for answer in after:
        write_later(transport, answer, delivery.delay)


def write_later(transport: asyncio.Transport, data: bytes, delay: float) -> None:
    """Write raw bytes after so many seconds, unless the connection is closed by then."""
    if delay:
        asyncio.get_running_loop().call_later(delay, _write_if_open, transport, data)
    else:
        _write_if_open(transport, data)


def _write_if_open(transport: asyncio.Transport, data: bytes) -> None:
    if not transport.is_closing():
        transport.write(data)


def serialise(delivery: Delivery, now: float) -> bytes:
    """The bytes of an answer on a connection that stays open."""
    return _head(delivery, _headers(delivery, now), keep_alive=True) + delivery.body


def _headers(delivery: Delivery, now: float) -> dict[str, str]:
    headers = {"Content-Type": delivery.content_type, "Server": "simulator"}
    if delivery.date_offset is not None:
        headers["Date"] = formatdate(now + delivery.date_offset, usegmt=True)
    return {**headers, **dict(delivery.headers)}


async def _deliver_raw(
    transport: asyncio.Transport, delivery: Delivery, headers: Mapping[str, str], now: float
) -> None:
    # Below aiohttp, which would put right what is meant to be wrong.
    if delivery.manner == "abort":
        _abort(transport)
        return
    if delivery.manner != "repeat":
        transport.write(_head(delivery, headers) + delivery.body)
    if delivery.manner == "stall":
        await asyncio.Event().wait()
    for n in itertools.count(1):
        if delivery.manner not in _ENDLESS or transport.is_closing():
            break
        transport.write(_piece(delivery, n, now))
        await asyncio.sleep(delivery.interval)
    transport.close()


def _piece(delivery: Delivery, n: int, now: float) -> bytes:
    if delivery.manner == "repeat":
        return b"".join(serialise(one, now) for one in delivery.before)
    return delivery.filler.format(n=n).encode()


def _head(delivery: Delivery, headers: Mapping[str, str], *, keep_alive: bool = False) -> bytes:
    status = f"HTTP/1.1 {delivery.status} {_phrase(delivery.status)}\r\n"
    if delivery.manner in ("interim", "open_head"):
        end = "" if delivery.manner == "open_head" else "\r\n"
        return (status + _lines(dict(delivery.headers)) + end).encode("latin-1")
    missing = MISSING_BYTES if delivery.manner in ("cut", "stall") else 0
    length = {"Content-Length": str(len(delivery.body) + missing)}
    if delivery.manner == "trickle":
        length = {}
    ends = {} if keep_alive else {"Connection": "close"}
    return f"{status}{_lines({**headers, **length, **ends})}\r\n".encode("latin-1")


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in list(HTTPStatus) else "Unknown"


def _abort(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Zero seconds of lingering: the peer gets a reset, not an orderly end.
        lingering = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
    transport.abort()
