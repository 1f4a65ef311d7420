# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading one answer on one connection: matching, closing, and limits."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _http_connection
from ansible_collections.nomba.auth.plugins.module_utils._http_connection import (
    MAX_BODY,
    TOO_LARGE,
    UNMATCHED,
    Exchange,
    StrictResponse,
    connect,
)

pytestmark = pytest.mark.pure

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSAL = b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 14\r\n\r\n{"code":"401"}'
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def plenty() -> float:
    """Return more seconds than any of these tests takes."""
    return 60.0


def running_out(calls: int) -> Callable[[], float]:
    """Return a timer that is over after a number of calls, however fast the machine is."""
    left = iter([0.01] * calls)
    return lambda: next(left, 0.0)


class ReadAnswer:
    """The result of reading bytes as an answer."""

    def __init__(self, response: StrictResponse) -> None:
        self.status = response.status
        self.body = response.read()
        self.reusable = not response.will_close


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return the client's and the server's end of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


Read = Callable[..., ReadAnswer]


@pytest.fixture
def read(pair: tuple[socket.socket, socket.socket]) -> Read:
    """Return a function that reads an answer from bytes that the server sends."""
    ours, theirs = pair

    def read(
        data: bytes,
        *,
        exclusive: bool = False,
        closes: bool = True,
        left: Callable[[], float] = plenty,
    ) -> ReadAnswer:
        sender = threading.Thread(target=send, args=(theirs, data, closes))
        sender.start()
        response = StrictResponse(ours, Exchange(left, exclusive), "GET")
        try:
            response.begin()
            return ReadAnswer(response)
        finally:
            response.close()
            ours.close()
            sender.join()

    return read


def send(sock: socket.socket, data: bytes, closes: bool) -> None:
    """Send all data and close."""
    try:
        sock.sendall(data)
        if closes:
            sock.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the reader has closed its end


# Interim answers


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("interim", [PROCESSING, EARLY_HINTS, PROCESSING * 3 + EARLY_HINTS])
def test_interim_answer_is_never_final(read: Read, interim: bytes, exclusive: bool) -> None:
    answer = read(interim + REFUSAL, exclusive=exclusive)
    assert (answer.status, answer.body) == (401, b'{"code":"401"}')
    assert not answer.reusable


def test_continue_is_skipped(read: Read) -> None:
    answer = read(CONTINUE + OK, closes=False)
    assert (answer.status, answer.body, answer.reusable) == (200, b"{}", True)


def test_interim_answer_without_final_answer_is_an_error(read: Read) -> None:
    with pytest.raises(http.client.IncompleteRead):
        read(PROCESSING)


def test_switching_protocols_is_an_error(read: Read) -> None:
    with pytest.raises(OSError, match="another protocol"):
        read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + OK)


# Unexpected bytes


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("more", [OK, REFUSAL, b"\r\n", b"H", PROCESSING])
def test_bytes_after_answer_invalidate_it(read: Read, more: bytes, exclusive: bool) -> None:
    with pytest.raises(OSError, match=UNMATCHED):
        read(OK + more, exclusive=exclusive)


def test_single_answer_keeps_shared_connection_open(read: Read) -> None:
    answer = read(OK, closes=False)
    assert (answer.status, answer.body, answer.reusable) == (200, b"{}", True)


def test_exclusive_connection_is_closed_after_answer(read: Read) -> None:
    answer = read(OK, exclusive=True)
    assert (answer.status, answer.reusable) == (200, False)


def test_exclusive_connection_left_open_is_a_timeout(read: Read) -> None:
    with pytest.raises(socket.timeout):
        read(OK, exclusive=True, closes=False, left=running_out(5))


def test_late_second_answer_on_exclusive_connection_is_detected(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    exchange = Exchange(plenty, exclusive=True)
    theirs.sendall(REFUSAL)
    late = threading.Timer(0.05, send, (theirs, OK, True))
    late.start()
    with pytest.raises(OSError, match=UNMATCHED):
        StrictResponse(ours, exchange, "GET").begin()
    late.join()
    assert exchange.problem == UNMATCHED


# Bodies


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", b"{}"),
        (CHUNKED + b"1;extension=x\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n", b"{}"),
    ],
    ids=["empty", "no content", "old", "until the end", "chunked", "extension and trailer"],
)
@pytest.mark.parametrize("exclusive", [False, True])
def test_body_is_read_whole(read: Read, data: bytes, body: bytes, exclusive: bool) -> None:
    assert read(data, exclusive=exclusive).body == body


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        CHUNKED + b"5\r\n{}",
        CHUNKED + b"2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
    ],
    ids=["length", "in a chunk", "between chunks", "head"],
)
def test_truncated_body_is_an_error(read: Read, data: bytes) -> None:
    answer: ReadAnswer | None = None
    with pytest.raises((http.client.HTTPException, OSError, ValueError)):
        answer = read(data)
    assert answer is None


@pytest.mark.parametrize(
    "data",
    [b"", b"invalid\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"],
)
def test_malformed_answer_is_an_error(read: Read, data: bytes) -> None:
    with pytest.raises((http.client.HTTPException, OSError, ValueError)):
        read(data)


# Limits


SIZE = str(MAX_BODY + 1).encode()
LARGE: dict[str, bytes] = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: " + SIZE + b"\r\n\r\n",
    "absurd length": b"HTTP/1.1 200 OK\r\nContent-Length: 1" + b"0" * 18 + b"\r\n\r\n",
    "absurd chunk": CHUNKED + b"f" * 14 + b"\r\n" + b"x" * (MAX_BODY + 0x8000),
    "chunks": CHUNKED + (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 9 + b"0\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 0x8000),
    "interim answers": CONTINUE * (2 * MAX_BODY // len(CONTINUE) + 2) + OK,
    "other interim answers": PROCESSING * (2 * MAX_BODY // len(PROCESSING) + 2) + OK,
    "trailers": CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * (MAX_BODY // 2) + b"\r\n",
}


@pytest.mark.parametrize("data", LARGE.values(), ids=LARGE.keys())
def test_too_large_answer_is_not_read_completely(read: Read, data: bytes) -> None:
    with pytest.raises(OSError, match=TOO_LARGE):
        read(data, closes=False)


def test_largest_body_is_read(read: Read) -> None:
    size = str(MAX_BODY).encode()
    answer = read(b"HTTP/1.1 200 OK\r\nContent-Length: " + size + b"\r\n\r\n" + b"x" * MAX_BODY)
    assert len(answer.body) == MAX_BODY


UNFINISHED: dict[str, bytes] = {
    "nothing": b"",
    "status line": b"HTTP/1.1 20",
    "headers": b"HTTP/1.1 200 OK\r\nX-Filler: x\r\n",
    "interim answer": PROCESSING,
    "continue": CONTINUE,
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{",
    "chunk size": CHUNKED + b"2;exten",
    "chunk": CHUNKED + b"5\r\n{}",
    "trailers": CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n{",
}


@pytest.mark.parametrize("data", UNFINISHED.values(), ids=UNFINISHED.keys())
def test_unfinished_answer_is_a_timeout(read: Read, data: bytes) -> None:
    with pytest.raises(socket.timeout):
        read(data, closes=False, left=running_out(5))


# Connections


def test_connect_returns_socket_with_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = connect("127.0.0.1", server.getsockname()[1], Exchange(plenty, False))
        with sock:
            assert sock.getpeername() == server.getsockname()
            assert sock.gettimeout() == pytest.approx(60.0)


def addresses(*ports: int) -> Callable[..., list[Any]]:
    """Return a resolver that returns 127.0.0.1 with each of these ports."""

    def resolve(host: str, _port: int, *_more: Any) -> list[Any]:
        if not host.startswith("name"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        return [(*kind, ("127.0.0.1", port)) for port in ports]

    return resolve


def test_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed, socket.create_server(("127.0.0.1", 0)) as server:
        closed.bind(("127.0.0.1", 0))
        ports = closed.getsockname()[1], server.getsockname()[1]
        monkeypatch.setattr(_http_connection.socket, "getaddrinfo", addresses(*ports))
        with connect("name", 443, Exchange(plenty, False)) as sock:
            assert sock.getpeername() == server.getsockname()


def test_refused_connection_raises_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setattr(_http_connection.socket, "getaddrinfo", addresses(port, port))
        with pytest.raises(ConnectionRefusedError):
            connect("name", 443, Exchange(plenty, False))


@pytest.mark.parametrize("host", ["unknown.invalid", "a" * 64 + ".invalid", "", "a..b", "\udcff"])
def test_unknown_host_is_error(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    resolve = addresses()
    monkeypatch.setattr(_http_connection.socket, "getaddrinfo", resolve)
    with pytest.raises(OSError, match="Name or service not known"):
        connect(host, 443, Exchange(plenty, False))


def test_name_that_idna_rejects_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, *_more: Any) -> list[Any]:
        host.encode("idna")
        return []

    monkeypatch.setattr(_http_connection.socket, "getaddrinfo", resolve)
    with pytest.raises(OSError, match="not a host name"):
        connect("a" * 64, 443, Exchange(plenty, False))


def test_name_without_address_is_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http_connection.socket, "getaddrinfo", addresses())
    with pytest.raises(OSError, match="no address"):
        connect("name", 443, Exchange(plenty, False))


def test_unresponsive_resolver_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def resolve(_host: str, *more: Any) -> list[Any]:
        if socket.AI_NUMERICHOST in more:
            raise socket.gaierror
        answered.wait()
        return []

    monkeypatch.setattr(_http_connection.socket, "getaddrinfo", resolve)
    with pytest.raises(socket.timeout):
        connect("name", 443, Exchange(running_out(3), False))
    answered.set()


def test_timeout_is_shared_among_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    class Silent(socket.socket):
        def connect(self, _address: Any) -> None:
            given.append(self.gettimeout() or 0)
            raise socket.timeout

    monkeypatch.setattr(_http_connection.socket, "getaddrinfo", addresses(1, 2, 3, 4))
    monkeypatch.setattr(_http_connection.socket, "socket", Silent)
    with pytest.raises(socket.timeout):
        connect("name", 443, Exchange(plenty, False))
    assert given == [15.0, 20.0, 30.0, 60.0]
