# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that send more or less than one answer per request, on a raw connection."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.rules import BALANCE, REVOKE
from tests.unit.simulator.rules_client import SimulatorClient

# A test that waits so long fails by its own timeout.
NEVER = 3600


@dataclass(frozen=True)
class RawAnswer:
    """One answer as received."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawConnection:
    """One connection to a listener, without matching of answers to requests."""

    def __init__(self, simulator: ControlClient, url: str) -> None:
        self._simulator = simulator
        self.sock = _connect(simulator, url)
        self.reader = self.sock.makefile("rb")

    def close(self) -> None:
        """Close the connection."""
        self.reader.close()
        self.sock.close()

    def revoke(self, token: str, *more: str) -> None:
        """Send a revoke; `more` are header lines."""
        body = json.dumps({"clientId": self._simulator.client_id, "access_token": token})
        lines = (f"Content-Length: {len(body)}", "Content-Type: application/json", *more)
        self._send("POST", REVOKE, lines, body)

    def balance(self, token: str) -> None:
        """Send a balance call."""
        account = f"accountId: {self._simulator.account_id}"
        self._send("GET", BALANCE, (account, f"Authorization: Bearer {token}"), "")

    def _send(self, method: str, path: str, lines: tuple[str, ...], body: str) -> None:
        head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: simulator", *lines, "", ""))
        self.sock.sendall((head + body).encode())

    def head(self) -> RawAnswer:
        """Read a status line and headers, but not the body."""
        status = self.reader.readline().split(b" ")[1]
        headers = {}
        while (line := self.reader.readline().decode().rstrip("\r\n")) != "":
            name, __, value = line.partition(": ")
            headers[name] = value
        return RawAnswer(int(status), headers, b"")

    def answer(self) -> RawAnswer:
        """Read the next answer."""
        head = self.head()
        body = self.reader.read(int(head.headers.get("Content-Length", "0")))
        return RawAnswer(head.status, head.headers, body)

    def statuses(self, count: int) -> list[int]:
        """Read a number of answers."""
        return [self.answer().status for __ in range(count)]


def _connect(simulator: ControlClient, url: str) -> socket.socket:
    address = urlsplit(url)
    plain = socket.create_connection((address.hostname, address.port or 0), timeout=30)
    if address.scheme == "http":
        return plain
    context = ssl.create_default_context(cafile=simulator.ca_path)
    return context.wrap_socket(plain, server_hostname=address.hostname)


@pytest.fixture(params=["http_url", "url"], ids=["http", "https"])
def listener(request: pytest.FixtureRequest, simulator: ControlClient) -> str:
    """Return the URL of each listener in turn."""
    return str(getattr(simulator, request.param))


@pytest.fixture
def raw(simulator: ControlClient, listener: str) -> Iterator[RawConnection]:
    """Return a raw connection over HTTP, then over HTTPS."""
    with contextlib.closing(RawConnection(simulator, listener)) as connection:
        yield connection


@pytest.mark.parametrize("delay", [0, 0.01])
def test_interim_answers_precede_final_answer(
    simulator: ControlClient, raw: RawConnection, delay: float
) -> None:
    simulator.fault("revoke", "interim", count=2, delay=delay)
    token = simulator.mint()
    raw.revoke(token)
    early, __, real = raw.answer(), raw.answer(), raw.answer()
    raw.balance(token)

    assert (early.status, early.headers) == (103, {"Link": "</style.css>; rel=preload; as=style"})
    assert (real.status, json.loads(real.body)["code"]) == (200, "00")
    assert raw.answer().status == 401
    assert not simulator.accepts(token)
    log = [(one.status, one.fault, one.connection) for one in simulator.requests()]
    assert log == [(200, "interim", 1), (401, None, 1)]


@pytest.mark.parametrize("status", [100, 102, 199])
def test_interim_answer_has_configured_status_and_headers(
    simulator: ControlClient, raw: RawConnection, status: int
) -> None:
    simulator.fault("balance", "interim", status=status, headers={"X-Odd": "1"})
    raw.balance("a.b.c")
    early, real = raw.answer(), raw.answer()

    assert (early.status, early.headers) == (status, {"X-Odd": "1"})
    assert real.status == 401
    assert "X-Odd" not in real.headers


def test_endless_interim_answers_have_no_final_answer(
    simulator: ControlClient, raw: RawConnection
) -> None:
    simulator.fault("revoke", "endless_interim", interval=0)
    token = simulator.mint()
    raw.revoke(token)

    assert raw.statuses(300) == [100] * 300
    assert simulator.accepts(token)
    assert [(one.status, one.fault) for one in simulator.requests()] == [(None, "endless_interim")]


def test_duplicate_without_delay_arrives_with_first_copy(
    simulator: ControlClient, raw: RawConnection
) -> None:
    simulator.fault("revoke", "duplicate", headers={"X-Odd": "1"})
    token = simulator.mint()
    raw.revoke(token)
    data = raw.sock.recv(65536)

    half = len(data) // 2
    assert data[:half] == data[half:]
    assert b'"code":"00"' in data[:half]
    assert b"X-Odd: 1\r\n" in data[:half]
    assert not simulator.accepts(token)


def test_late_duplicate_arrives_while_next_request_waits(
    simulator: ControlClient, raw: RawConnection
) -> None:
    simulator.fault("revoke", "duplicate", delay=0.05)
    simulator.fault("balance", "slow", delay=NEVER)
    token = simulator.mint()
    raw.revoke(token)
    first = raw.answer()
    raw.balance(token)

    assert raw.answer() == first
    assert [one.connection for one in simulator.requests()] == [1, 1]


def test_late_bytes_do_not_delay_next_answer(simulator: ControlClient, raw: RawConnection) -> None:
    simulator.fault("revoke", "duplicate", delay=NEVER)
    token = simulator.mint()
    raw.revoke(token)
    raw.answer()
    raw.balance(token)

    assert raw.answer().status == 401


@pytest.mark.parametrize(("delay", "copies"), [(0, 2), (NEVER, 1)])
def test_connection_close_sends_only_immediate_duplicates(
    simulator: ControlClient, raw: RawConnection, delay: float, copies: int
) -> None:
    simulator.fault("revoke", "duplicate", delay=delay)
    raw.revoke(simulator.mint(), "Connection: close")

    data = raw.reader.read()
    assert data.count(b'"code":"00"') == copies
    assert data.count(b"\r\nConnection: close\r\n") == copies


def test_unsolicited_answer_follows_final_answer(
    simulator: ControlClient, raw: RawConnection
) -> None:
    simulator.fault("revoke", "unsolicited", delay=0.05)
    simulator.fault("balance", "slow", delay=NEVER)
    token = simulator.mint()
    raw.revoke(token)
    real = raw.answer()
    other = simulator.mint()
    raw.balance(other)
    unsolicited = raw.answer()

    assert (real.status, json.loads(real.body)["code"]) == (200, "00")
    assert unsolicited.status == 401
    assert json.loads(unsolicited.body) == {"code": "401", "description": "Unauthorized"}
    assert simulator.accepts(other)
    assert not simulator.accepts(token)


@pytest.mark.parametrize("delay", [0, 0.01])
def test_unsolicited_answer_can_precede_final_answer(
    simulator: ControlClient, raw: RawConnection, delay: float
) -> None:
    simulator.fault(
        "revoke",
        "unsolicited",
        when="before",
        delay=delay,
        status=503,
        body="<p>",
        headers={"Content-Type": "text/html"},
    )
    raw.revoke(simulator.mint())
    first, real = raw.answer(), raw.answer()

    assert (first.status, first.body, first.headers["Content-Type"]) == (503, b"<p>", "text/html")
    assert (real.status, real.headers["Content-Type"]) == (200, "application/json")


def test_unsolicited_bytes_can_precede_any_request(simulator: ControlClient, listener: str) -> None:
    simulator.fault("connect", "unsolicited", body="")
    with contextlib.closing(RawConnection(simulator, listener)) as first:
        assert first.answer().status == 401
        first.balance(simulator.mint())
        assert first.answer().status == 200
    with contextlib.closing(RawConnection(simulator, listener)) as second:
        second.balance("a.b.c")
        assert second.statuses(1) == [401]

    assert [one.fault for one in simulator.requests()] == [None, None]


def test_fault_on_connect_excludes_control_client(simulator: ControlClient) -> None:
    simulator.fault("connect", "unsolicited", times=0)

    assert simulator.faults()[0]["fired"] == 0


def test_fault_on_any_does_not_fire_on_connect(
    simulator: ControlClient, raw: RawConnection
) -> None:
    simulator.fault("any", "unsolicited", when="before", status=500)
    raw.balance("a.b.c")

    assert raw.statuses(2) == [500, 401]


@pytest.mark.parametrize("effect", [False, True])
@pytest.mark.parametrize("kind", ["slow_headers", "endless_chunk", "endless_trailers"])
def test_endless_answer_has_effect_only_if_configured(
    simulator: ControlClient, raw: RawConnection, kind: str, effect: bool
) -> None:
    simulator.fault("revoke", kind, interval=0, effect=effect)
    token = simulator.mint()
    raw.revoke(token)

    assert len(raw.reader.read(5000)) == 5000
    assert simulator.accepts(token) is not effect


def test_slow_headers_are_numbered_lines(simulator: ControlClient, raw: RawConnection) -> None:
    simulator.fault("balance", "slow_headers", interval=0, headers={"X-Odd": "1"})
    raw.balance("a.b.c")
    lines = [raw.reader.readline() for __ in range(300)]

    assert lines[:2] == [b"HTTP/1.1 200 OK\r\n", b"X-Odd: 1\r\n"]
    assert lines[2:] == [b"X-Filler-%d: x\r\n" % n for n in range(1, 299)]


def test_chunk_extension_never_ends(simulator: ControlClient, raw: RawConnection) -> None:
    simulator.fault("balance", "endless_chunk", interval=0)
    raw.balance("a.b.c")
    head = raw.head()
    size, __, extension = raw.reader.read(5000).partition(b";")

    assert head.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in head.headers
    assert int(size, 16) > 0
    assert b"\n" not in extension


def test_trailers_never_end_after_whole_body(simulator: ControlClient, raw: RawConnection) -> None:
    simulator.fault("balance", "endless_trailers", interval=0)
    raw.balance("a.b.c")
    head = raw.head()
    body = raw.reader.read(int(raw.reader.readline(), 16))
    end = [raw.reader.readline() for __ in range(300)]

    assert head.headers["Transfer-Encoding"] == "chunked"
    assert json.loads(body)["code"] == "00"
    assert end[:2] == [b"\r\n", b"0\r\n"]
    assert end[2:] == [b"X-Trailer-%d: x\r\n" % n for n in range(1, 299)]


def test_any_answer_can_be_configured(simulator: ControlClient, client: SimulatorClient) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="corporate proxy"'}
    simulator.fault("any", "answer", status=401, headers=challenge)
    simulator.fault("any", "answer", status=403, body='{"message": "x"}', content_type="text/x")
    simulator.fault("any", "answer", status=401, body='{"code":"00"}', effect=True)
    token = simulator.mint()
    proxy, gateway = client.revoke(token), client.revoke(token)

    assert (proxy.status_code, proxy.content) == (401, b"")
    assert proxy.headers["WWW-Authenticate"] == 'Basic realm="corporate proxy"'
    assert (gateway.status_code, gateway.json()) == (403, {"message": "x"})
    assert gateway.headers["Content-Type"] == "text/x"
    assert simulator.accepts(token)
    assert client.revoke(token).json() == {"code": "00"}
    assert not simulator.accepts(token)
    assert [one.code for one in simulator.requests()] == [None, None, "00"]
    assert len({one.connection for one in simulator.requests()}) == 1
