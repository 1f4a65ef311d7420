# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One request and its answer on one connection, with limits on time and size.

http.client returns an interim answer (RFC 9110, 15.2) such as 102 or 103 as the final one, so that
the next request reads the answer to this one. It limits the time of each read, but not the number
of reads. It silently drops bytes after an answer. The classes here replace how an answer is read;
requests and urllib3 still connect, send and do TLS.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

# Bytes of a body. This API's answers are short; a longer answer is from another server.
MAX_BODY = 256 * 1024
# Bytes that are read for one answer, with headers, interim answers, chunk sizes and trailers.
_MAX_ANSWER = 2 * MAX_BODY
_PIECE = 16 * 1024
# Seconds between two checks of the remaining time during a wait: a signal can shorten it.
_SLICE = 0.25

TOO_LARGE = "the answer is too large to be the API's"
UNMATCHED = "more than one answer to one request"


class Exchange:
    """One attempt: its time limit and its state.

    left: returns the seconds until the attempt must end; called at each read. exclusive: the
    connection serves this request only, and must close after its answer. sent: whether any byte of
    the request may have been sent. problem: the cause of a failure, when it is known. retryable:
    whether another attempt may succeed.
    """

    def __init__(self, left: Callable[[], float], exclusive: bool) -> None:
        self.left = left
        self.exclusive = exclusive
        self.sent = False
        self.problem: str | None = None
        self.retryable = True

    def require_time(self) -> float:
        """Return the seconds left, more than 0. Raises socket.timeout."""
        left = self.left()
        if left <= 0:
            raise socket.timeout("the attempt timed out")
        return left

    def fail(self, problem: str, retryable: bool = True) -> OSError:
        """Record why the attempt fails; return the exception that ends it."""
        self.problem, self.retryable = problem, retryable
        return OSError(problem)


class _SocketReader(io.RawIOBase):
    """Reads from a socket until the attempt times out or the answer is too large."""

    def __init__(self, sock: Any, exchange: Exchange) -> None:
        self._sock = sock
        # This file keeps the socket open after http.client closes it.
        self._held = sock.makefile("rb", buffering=0)
        self._exchange = exchange
        self._allowed = _MAX_ANSWER
        self.waits = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Return the bytes read, 0 at the end of the connection; None if it would have to wait."""
        if self._allowed <= 0:
            raise self._exchange.fail(TOO_LARGE, retryable=False)
        size = self._receive(buffer) if self.waits else self._receive_at_once(buffer)
        self._allowed -= size or 0
        return size

    def _receive(self, buffer: Any) -> int:
        while True:
            left = self._exchange.require_time()
            self._sock.settimeout(min(left, _SLICE))
            try:
                size = int(self._sock.recv_into(buffer))
            except socket.timeout:
                continue
            self._sock.settimeout(left)  # a TLS handshake may follow
            return size

    def _receive_at_once(self, buffer: Any) -> int | None:
        self._sock.settimeout(0)
        try:
            return int(self._sock.recv_into(buffer))
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def close(self) -> None:
        self._held.close()
        super().close()


class _AnswerStream(io.BufferedReader):
    """The stream that http.client reads and closes; it stays open, to check what follows."""

    _begun = False

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a whole line: http.client takes the end of the connection as the end of a header."""
        line = super().readline(size)
        if self._begun and not line.endswith(b"\n"):
            raise http.client.IncompleteRead(b"")
        self._begun = True
        return line

    def close(self) -> None:
        """Stay open."""

    def finish(self) -> None:
        """Close the stream."""
        super().close()


class StrictResponse(http.client.HTTPResponse):
    """An answer that is read completely at once, and is the only one to its request.

    Raises OSError or http.client.HTTPException for everything else, so that its connection is
    closed and never reused.
    """

    def __init__(self, sock: Any, exchange: Exchange, method: str | None = None) -> None:
        super().__init__(sock, method=method)
        self._is_read = False
        self.fp.close()
        self._exchange = exchange
        self._reader = _SocketReader(sock, exchange)
        self._stream = _AnswerStream(self._reader, _PIECE)
        self.fp = self._stream

    def begin(self) -> None:
        """Read headers and body of the final answer, and check that nothing follows."""
        if self._is_read:
            return
        self._is_read = True
        super().begin()
        interim = self._skip_interim_answers()
        body = self._read_body()
        self._require_nothing_else()
        self._stream.finish()
        # From here on http.client and urllib3 read from memory.
        self.fp = io.BufferedReader(io.BytesIO(body))
        self.length, self.chunked = len(body), False
        self.will_close = self.will_close or interim or self._exchange.exclusive

    def close(self) -> None:
        """Close the answer and its stream."""
        super().close()
        self._stream.finish()

    def _skip_interim_answers(self) -> bool:
        """Skip to the final answer; return whether any was skipped. http.client skips 100."""
        interim = False
        while self.status < HTTPStatus.OK:
            if self.status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise self._exchange.fail("the answer switches to another protocol")
            interim = True
            self.headers = self.msg = None  # type: ignore[assignment] # as before the first one
            super().begin()
        return interim

    def _read_body(self) -> bytes:
        if self.length is not None and self.length > MAX_BODY:
            raise self._exchange.fail(TOO_LARGE, retryable=False)
        body = bytearray()
        while piece := self.read(_PIECE):
            body += piece
            if len(body) > MAX_BODY:
                raise self._exchange.fail(TOO_LARGE, retryable=False)
        if self.length:
            raise http.client.IncompleteRead(b"", self.length)
        return bytes(body)

    def _require_nothing_else(self) -> None:
        if self._exchange.exclusive:
            more = self._stream.read(1)  # waits for the end of the connection
        else:
            self._reader.waits = False
            more = self._stream.peek(1)
        if more:
            raise self._exchange.fail(UNMATCHED)


def connect(host: str, port: int, exchange: Exchange) -> socket.socket:
    """Open a TCP connection, within the attempt's time for any number of addresses.

    Raises OSError, or its subclass socket.timeout at the end of that time.
    """
    addresses = _resolve(host, port, exchange)
    failure = OSError("the name has no address")
    for number, (family, kind, protocol, _name, address) in enumerate(addresses):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            failure = error
            continue
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(exchange.require_time() / (len(addresses) - number))
            sock.connect(address)
            sock.settimeout(exchange.require_time())
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _resolve(host: str, port: int, exchange: Exchange) -> list[Any]:
    """Return a host's addresses. Raises OSError, or its subclass socket.timeout.

    getaddrinfo has no timeout. It runs in a thread, which is abandoned at the end of the time.
    """
    try:
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        pass  # a name, not an address
    found: list[Any] = []

    def resolve() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(min(exchange.require_time(), _SLICE))
    (addresses,) = found
    if isinstance(addresses, UnicodeError):
        raise OSError("it is not a host name")
    if isinstance(addresses, OSError):
        raise addresses
    return list(addresses)
