# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP without rules: parse a request, ask the rules and the script, deliver the answer."""

from __future__ import annotations

import asyncio
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
from .journal import Answered, Seen
from .rates import Verdict
from .rules import Call, Reply
from .world import World

ELSEWHERE = "/elsewhere"
# Announced and never sent, by the deliveries that break off.
MISSING_BYTES = 64

_TOO_MANY = Reply(
    429, {"code": "429", "description": "Too many requests. Please slow down.", "data": None}
)
# Clients send the same few sets of names again and again: each is kept once.
_names: dict[tuple[str, ...], tuple[str, ...]] = {}
_NAMES_KEPT = 1000
# Longer than a UUID, and as long as a refresh token: what has to be named by its fingerprint.
_SECRET_LIKE = re.compile(r"[A-Za-z0-9+=_.-]{39,}")


async def respond(world: World, request: web.BaseRequest) -> web.StreamResponse:
    """One request, from its bytes to the bytes of its answer."""
    body = await request.read()
    call = read_call(request, body)
    operation = "elsewhere" if call.path == ELSEWHERE else call.operation
    # The journal may be exchanged while this request waits: it ends in the one it began in.
    journal = world.journal
    line = journal.open(_seen(world, request, call, operation, len(body)))
    await asyncio.sleep(world.settings.latency)
    if operation == "elsewhere":
        verdict, fault = Verdict(allowed=True), None
        delivery = faults.plain(Reply(200, {"code": "00", "description": "Elsewhere"}))
    else:
        verdict = world.limiter.take(_account(world, call), call.method, world.now())
        fault = world.script.draw(operation, line.seen.fingerprint) if verdict.allowed else None
        delivery = await _decide(world, call, verdict, fault)
    journal.close(line, _answered(delivery, fault))
    return await deliver(request, delivery, verdict.headers, world.now())


async def _decide(world: World, call: Call, verdict: Verdict, fault: Fault | None) -> Delivery:
    if not verdict.allowed:
        return faults.plain(_TOO_MANY)
    if fault is None:
        return faults.plain(world.api.answer(call, world.now()))
    reply = world.api.answer(call, world.now()) if fault.effect else None
    if fault.kind == "slow":
        await asyncio.sleep(fault.number("delay"))
    if fault.kind in faults.GENUINE and reply is None:
        reply = world.api.answer(call, world.now())
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
    )


def _object(body: bytes) -> Mapping[str, object] | None:
    try:
        value = json.loads(body) if body else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _seen(
    world: World, request: web.BaseRequest, call: Call, operation: str, body_bytes: int
) -> Seen:
    token = call.token
    return Seen(
        time=world.now(),
        method=call.method,
        path=_harmless(call.path),
        operation=operation,
        fingerprint=tokens.fingerprint(token) if token else None,
        account_id=call.account_id and _harmless(call.account_id),
        client_id=call.client_id and _harmless(call.client_id),
        authorization=call.authorization is not None,
        body_fields=_once(call.body or ()),
        body_bytes=body_bytes,
        connection=world.connection(request.protocol),
        header_names=_once(name.lower() for name in request.headers),
        user_agent=_harmless(request.headers.get("User-Agent", "")) or None,
    )


def _once(names: Iterable[str]) -> tuple[str, ...]:
    key = tuple(sorted({_harmless(name) for name in names}))
    return _names.setdefault(key, key) if len(_names) < _NAMES_KEPT else key


def _harmless(text: str) -> str:
    # A client may err and put a token where an id belongs; the journal must not hold it then.
    return _SECRET_LIKE.sub(lambda found: tokens.fingerprint(found[0]), text)


def _account(world: World, call: Call) -> str:
    client = world.settings.client(call.client_id)
    return call.account_id or (client.account_id if client else "")


def _answered(delivery: Delivery, fault: Fault | None) -> Answered:
    status = None if delivery.manner == "abort" else delivery.status
    return Answered(status, delivery.code, fault.kind if fault else None)


# Delivering


async def deliver(
    request: web.BaseRequest, delivery: Delivery, more: tuple[tuple[str, str], ...], now: float
) -> web.StreamResponse:
    """Send an answer in the manner that was decided."""
    if delivery.manner == "whole" and delivery.date_offset is not None:
        headers = {**_headers(delivery, now), **dict(more)}
        return web.Response(status=delivery.status, body=delivery.body, headers=headers)
    transport = request.transport
    if isinstance(transport, asyncio.Transport):
        await _deliver_raw(transport, delivery, {**_headers(delivery, now), **dict(more)})
    # The connection is closed by now, so nobody sees this one.
    return web.Response()


def _headers(delivery: Delivery, now: float) -> dict[str, str]:
    headers = {"Content-Type": delivery.content_type, "Server": "simulator"}
    if delivery.date_offset is not None:
        headers["Date"] = formatdate(now + delivery.date_offset, usegmt=True)
    return {**headers, **dict(delivery.headers)}


async def _deliver_raw(
    transport: asyncio.Transport, delivery: Delivery, headers: Mapping[str, str]
) -> None:
    # Below aiohttp, which would put right what is meant to be wrong.
    if delivery.manner == "abort":
        _abort(transport)
        return
    transport.write(_head(delivery, headers) + delivery.body)
    if delivery.manner == "stall":
        await asyncio.Event().wait()
    while delivery.manner == "trickle" and not transport.is_closing():
        transport.write(b"x")
        await asyncio.sleep(delivery.interval)
    transport.close()


def _head(delivery: Delivery, headers: Mapping[str, str]) -> bytes:
    status = f"HTTP/1.1 {delivery.status} {_phrase(delivery.status)}"
    missing = MISSING_BYTES if delivery.manner in ("cut", "stall") else 0
    length = {"Content-Length": str(len(delivery.body) + missing)}
    if delivery.manner == "trickle":
        length = {}
    all_headers = {**headers, **length, "Connection": "close"}
    lines = [status, *(f"{name}: {value}" for name, value in all_headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in list(HTTPStatus) else "Unknown"


def _abort(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Zero seconds of lingering: the peer gets a reset, not an orderly end.
        lingering = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
    transport.abort()
