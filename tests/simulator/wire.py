# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP: parse a request, apply the rules and faults, and send the response."""

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
from .rates import Decision
from .request_log import Received, Sent
from .rules import Call, Reply
from .state import State

ELSEWHERE = "/elsewhere"
# Included in Content-Length but not sent, in the modes cut and stall.
MISSING_BYTES = 64
_ENDLESS = ("trickle", "open_head", "repeat")

_TOO_MANY = Reply(
    429, {"code": "429", "description": "Too many requests. Please slow down.", "data": None}
)
# Clients repeat the same sets of names, so each set is stored once.
_names: dict[tuple[str, ...], tuple[str, ...]] = {}
_MAX_NAMES = 1000
# Longer than a UUID, up to the length of a refresh token: logged as a fingerprint.
_SECRET_LIKE = re.compile(r"[A-Za-z0-9+=_.-]{39,}")


async def respond(state: State, request: web.BaseRequest) -> web.StreamResponse:
    """Process one request and send its response."""
    body = await request.read()
    call = read_call(request, body)
    operation = "elsewhere" if call.path == ELSEWHERE else call.operation
    # The request log may be replaced while this request waits; its response goes to the old one.
    request_log = state.request_log
    entry = request_log.open(_received(state, request, call, operation, len(body)))
    await asyncio.sleep(state.settings.latency)
    if operation == "elsewhere":
        decision, fault = Decision(allowed=True), None
        delivery = faults.plain(Reply(200, {"code": "00", "description": "Elsewhere"}))
    else:
        decision = state.limiter.acquire(_account(state, call), call.method, state.now())
        fault = None
        if decision.allowed:
            fault = state.script.next_fault(operation, entry.received.fingerprint)
        delivery = await _decide(state, call, decision, fault)
    request_log.close(entry, _sent(delivery, fault))
    return await deliver(request, delivery, decision.headers, state.now())


async def _decide(state: State, call: Call, decision: Decision, fault: Fault | None) -> Delivery:
    if not decision.allowed:
        return faults.plain(_TOO_MANY)
    if fault is None:
        return faults.plain(state.api.respond(call, state.now()))
    reply = state.api.respond(call, state.now()) if fault.effect else None
    if fault.kind == "slow":
        await asyncio.sleep(fault.number("delay"))
    if fault.kind in faults.WITH_REAL_RESPONSE and reply is None:
        reply = state.api.respond(call, state.now())
    return faults.faulty_delivery(fault, call, reply)


# Requests


def read_call(request: web.BaseRequest, body: bytes) -> Call:
    """Return the request as an argument of the rules."""
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


def _received(
    state: State, request: web.BaseRequest, call: Call, operation: str, body_bytes: int
) -> Received:
    token = call.token
    return Received(
        time=state.now(),
        method=call.method,
        path=_redact(call.path),
        operation=operation,
        fingerprint=tokens.fingerprint(token) if token else None,
        account_id=call.account_id and _redact(call.account_id),
        client_id=call.client_id and _redact(call.client_id),
        authorization=call.authorization is not None,
        body_fields=_interned(call.body or ()),
        body_bytes=body_bytes,
        connection=state.connection(request.protocol),
        header_names=_interned(name.lower() for name in request.headers),
        user_agent=_redact(request.headers.get("User-Agent", "")) or None,
        content_type=_redact(call.content_type or "") or None,
    )


def _interned(names: Iterable[str]) -> tuple[str, ...]:
    key = tuple(sorted({_redact(name) for name in names}))
    return _names.setdefault(key, key) if len(_names) < _MAX_NAMES else key


def _redact(text: str) -> str:
    # A client may send a token in the field of an id; the log must not contain it.
    return _SECRET_LIKE.sub(lambda found: tokens.fingerprint(found[0]), text)


def _account(state: State, call: Call) -> str:
    client = state.settings.client(call.client_id)
    return call.account_id or (client.account_id if client else "")


def _sent(delivery: Delivery, fault: Fault | None) -> Sent:
    # In these modes, no final response starts.
    status = None if delivery.mode in ("abort", "repeat") else delivery.status
    return Sent(status, delivery.code, fault.kind if fault else None)


# Responses


async def deliver(
    request: web.BaseRequest, delivery: Delivery, more: tuple[tuple[str, str], ...], now: float
) -> web.StreamResponse:
    """Send a response in the mode of its delivery."""
    headers = {**_headers(delivery, now), **dict(more)}
    if delivery.mode == "whole" and delivery.date_offset is not None:
        return web.Response(status=delivery.status, body=delivery.body, headers=headers)
    transport = request.transport
    if not isinstance(transport, asyncio.Transport):
        return web.Response()
    if delivery.mode == "accompanied":
        real = _head(delivery, headers, keep_alive=request.keep_alive) + delivery.body
        await _deliver_with_others(transport, delivery, real, now)
        return _Written(keep_alive=request.keep_alive)
    await _deliver_raw(transport, delivery, headers, now)
    # The connection is closed; this response is not sent.
    return web.Response()


class _Written(web.StreamResponse):
    """A response that is already written; aiohttp sends nothing."""

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


async def _deliver_with_others(
    transport: asyncio.Transport, delivery: Delivery, real: bytes, now: float
) -> None:
    before = [serialize(one, now) for one in delivery.before]
    after = [real] if delivery.twice else [serialize(one, now) for one in delivery.after]
    if not delivery.delay:
        # One write, so that a client with a buffer receives all bytes at once.
        transport.write(b"".join([*before, real, *after]))
        return
    for response in [*before, real]:
        await asyncio.sleep(delivery.delay if before else 0)
        _write_if_open(transport, response)
    # These are sent independently of the next request on this connection.
    for response in after:
        write_later(transport, response, delivery.delay)


def write_later(transport: asyncio.Transport, data: bytes, delay: float) -> None:
    """Write bytes after a delay in seconds, unless the connection is closing."""
    if delay:
        asyncio.get_running_loop().call_later(delay, _write_if_open, transport, data)
    else:
        _write_if_open(transport, data)


def _write_if_open(transport: asyncio.Transport, data: bytes) -> None:
    if not transport.is_closing():
        transport.write(data)


def serialize(delivery: Delivery, now: float) -> bytes:
    """Return the bytes of a response on a connection that remains open."""
    return _head(delivery, _headers(delivery, now), keep_alive=True) + delivery.body


def _headers(delivery: Delivery, now: float) -> dict[str, str]:
    headers = {"Content-Type": delivery.content_type, "Server": "simulator"}
    if delivery.date_offset is not None:
        headers["Date"] = formatdate(now + delivery.date_offset, usegmt=True)
    return {**headers, **dict(delivery.headers)}


async def _deliver_raw(
    transport: asyncio.Transport, delivery: Delivery, headers: Mapping[str, str], now: float
) -> None:
    # Writes to the transport directly, because aiohttp would correct the errors.
    if delivery.mode == "abort":
        _abort(transport)
        return
    if delivery.mode != "repeat":
        transport.write(_head(delivery, headers) + delivery.body)
    if delivery.mode == "stall":
        await asyncio.Event().wait()
    for n in itertools.count(1):
        if delivery.mode not in _ENDLESS or transport.is_closing():
            break
        transport.write(_piece(delivery, n, now))
        await asyncio.sleep(delivery.interval)
    transport.close()


def _piece(delivery: Delivery, n: int, now: float) -> bytes:
    if delivery.mode == "repeat":
        return b"".join(serialize(one, now) for one in delivery.before)
    return delivery.filler.format(n=n).encode()


def _head(delivery: Delivery, headers: Mapping[str, str], *, keep_alive: bool = False) -> bytes:
    status = f"HTTP/1.1 {delivery.status} {_phrase(delivery.status)}\r\n"
    if delivery.mode in ("interim", "open_head"):
        end = "" if delivery.mode == "open_head" else "\r\n"
        return (status + _lines(dict(delivery.headers)) + end).encode("latin-1")
    missing = MISSING_BYTES if delivery.mode in ("cut", "stall") else 0
    length = {"Content-Length": str(len(delivery.body) + missing)}
    if delivery.mode == "trickle":
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
        # SO_LINGER with zero seconds resets the connection.
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
