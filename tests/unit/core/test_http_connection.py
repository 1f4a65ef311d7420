# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One answer on one connection: what is read as it, what ends the connection, and the limits."""

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
    """More time than any of these tests takes."""
    return 60.0


def running_out(looks: int) -> Callable[[], float]:
    """Time that is over after so many looks at it, however fast the machine is."""
    left = iter([0.01] * looks)
    return lambda: next(left, 0.0)


class Answer:
    """What came of reading bytes as an answer."""

    def __init__(self, response: StrictResponse) -> None:
        self.status = response.status
        self.body = response.read()
        self.reusable = not response.will_close


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end of a connection, and the server's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


Read = Callable[..., Answer]


@pytest.fixture
def read(pair: tuple[socket.socket, socket.socket]) -> Read:
    """Reads an answer from bytes that the server has sent; it closes unless closes is false."""
    ours, theirs = pair

    def read(
        data: bytes,
        *,
        exclusive: bool = False,
        closes: bool = True,
        left: Callable[[], float] = plenty,
    ) -> Answer:
        sender = threading.Thread(target=send, args=(theirs, data, closes))
        sender.start()
        response = StrictResponse(ours, Exchange(left, exclusive), "GET")
        try:
            response.begin()
            return Answer(response)
        finally:
            response.close()
            ours.close()
            sender.join()

    return read


def send(sock: socket.socket, data: bytes, closes: bool) -> None:
    """Send all, however little the other end takes, and close."""
    try:
        sock.sendall(data)
        if closes:
            sock.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the reader has had enough


# Which answer is the final one


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("interim", [PROCESSING, EARLY_HINTS, PROCESSING * 3 + EARLY_HINTS])
def test_an_interim_answer_is_never_the_final_one(
    read: Read, interim: bytes, exclusive: bool
) -> None:
    answer = read(interim + REFUSAL, exclusive=exclusive)
    assert (answer.status, answer.body) == (401, b'{"code":"401"}')
    assert not answer.reusable


def test_a_continue_is_skipped(read: Read) -> None:
    answer = read(CONTINUE + OK, closes=False)
    assert (answer.status, answer.body, answer.reusable) == (200, b"{}", True)


def test_an_interim_answer_alone_is_none(read: Read) -> None:
    with pytest.raises(http.client.IncompleteRead):
        read(PROCESSING)


def test_another_protocol_is_no_answer(read: Read) -> None:
    with pytest.raises(OSError, match="another protocol"):
        read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + OK)


# What else is on the connection


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("more", [OK, REFUSAL, b"\r\n", b"H", PROCESSING])
def test_bytes_after_an_answer_make_it_worthless(read: Read, more: bytes, exclusive: bool) -> None:
    with pytest.raises(OSError, match=UNMATCHED):
        read(OK + more, exclusive=exclusive)


def test_an_answer_alone_leaves_a_shared_connection_open(read: Read) -> None:
    answer = read(OK, closes=False)
    assert (answer.status, answer.body, answer.reusable) == (200, b"{}", True)


def test_an_exclusive_connection_must_end(read: Read) -> None:
    answer = read(OK, exclusive=True)
    assert (answer.status, answer.reusable) == (200, False)


def test_an_exclusive_connection_that_does_not_end_is_worth_nothing(read: Read) -> None:
    with pytest.raises(socket.timeout):
        read(OK, exclusive=True, closes=False, left=running_out(5))


def test_a_second_answer_that_comes_late_is_seen_on_an_exclusive_connection(
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
def test_a_body_is_read_whole(read: Read, data: bytes, body: bytes, exclusive: bool) -> None:
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
def test_a_body_that_is_cut_short_is_no_answer(read: Read, data: bytes) -> None:
    answer: Answer | None = None
    with pytest.raises((http.client.HTTPException, OSError, ValueError)):
        answer = read(data)
    assert answer is None


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"],
)
def test_nonsense_is_no_answer(read: Read, data: bytes) -> None:
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
def test_an_answer_that_is_too_large_is_not_read_to_its_end(read: Read, data: bytes) -> None:
    with pytest.raises(OSError, match=TOO_LARGE):
        read(data, closes=False)


def test_the_largest_body_is_read(read: Read) -> None:
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
def test_an_answer_that_does_not_end_is_given_its_time_and_no_more(read: Read, data: bytes) -> None:
    with pytest.raises(socket.timeout):
        read(data, closes=False, left=running_out(5))


# Connections


def test_a_host_that_listens_is_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = connect("127.0.0.1", server.getsockname()[1], Exchange(plenty, False))
        with sock:
            assert sock.getpeername() == server.getsockname()
            assert sock.gettimeout() == pytest.approx(60.0)


def addresses(*ports: int) -> Callable[..., list[Any]]:
    """A name with an address for each of these ports of this machine."""

    def look_up(host: str, _port: int, *_more: Any) -> list[Any]:
        if not host.startswith("name"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        return [(*kind, ("127.0.0.1", port)) for port in ports]

    return look_up


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed, socket.create_server(("127.0.0.1", 0)) as server:
        closed.bind(("127.0.0.1", 0))
        ports = closed.getsockname()[1], server.getsockname()[1]
        monkeypatch.setattr(_http_connection.socket, "getaddrinfo", addresses(*ports))
        with connect("name", 443, Exchange(plenty, False)) as sock:
            assert sock.getpeername() == server.getsockname()


def test_a_connection_that_nobody_takes_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setattr(_http_connection.socket, "getaddrinfo", addresses(port, port))
        with pytest.raises(ConnectionRefusedError):
            connect("name", 443, Exchange(plenty, False))


@pytest.mark.parametrize("host", ["unknown.invalid", "a" * 64 + ".invalid", "", "a..b", "\udcff"])
def test_an_unknown_host_is_an_error(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    look_up = addresses()
    monkeypatch.setattr(_http_connection.socket, "getaddrinfo", look_up)
    with pytest.raises(OSError, match="Name or service not known"):
        connect(host, 443, Exchange(plenty, False))


def test_a_name_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, *_more: Any) -> list[Any]:
        host.encode("idna")
        return []

    monkeypatch.setattr(_http_connection.socket, "getaddrinfo", look_up)
    with pytest.raises(OSError, match="not a host name"):
        connect("a" * 64, 443, Exchange(plenty, False))


def test_a_name_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http_connection.socket, "getaddrinfo", addresses())
    with pytest.raises(OSError, match="no address"):
        connect("name", 443, Exchange(plenty, False))


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def look_up(_host: str, *more: Any) -> list[Any]:
        if socket.AI_NUMERICHOST in more:
            raise socket.gaierror
        answered.wait()
        return []

    monkeypatch.setattr(_http_connection.socket, "getaddrinfo", look_up)
    with pytest.raises(socket.timeout):
        connect("name", 443, Exchange(running_out(3), False))
    answered.set()


def test_the_time_is_shared_among_all_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
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
