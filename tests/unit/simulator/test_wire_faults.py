# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of fault over real HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
import requests

from tests.simulator.control_client import ControlClient
from tests.simulator.rules import BALANCE, REVOKE
from tests.simulator.server import Options, listening
from tests.simulator.state import Simulator
from tests.simulator.tokens import fingerprint
from tests.simulator.wire import MISSING_BYTES
from tests.unit.simulator.rules_client import SimulatorClient, pending_request


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("code", 200, b'"code":"400"'),
        ("no_code", 200, b'{"results":[]}'),
        ("empty", 200, b""),
        ("not_json", 200, b"Service is starting up"),
        ("not_object", 200, b'["00"]'),
        ("html", 502, b"<!DOCTYPE html>"),
        ("rate_limited", 429, b'"code":"429"'),
    ],
)
def test_faulty_answer_has_no_effect(
    simulator: ControlClient, client: SimulatorClient, kind: str, status: int, body: bytes
) -> None:
    simulator.fault("revoke", kind)
    token = simulator.mint()
    answer = client.revoke(token)

    assert answer.status_code == status
    assert body in answer.content
    assert simulator.accepts(token)
    assert simulator.requests()[-1].fault == kind


def test_fault_ends_after_its_times(simulator: ControlClient, client: SimulatorClient) -> None:
    simulator.fault("revoke", "status", status=503, times=2)
    token = simulator.mint()

    assert [client.revoke(token).status_code for __ in range(3)] == [503, 503, 200]


def test_error_can_follow_effect(simulator: ControlClient, client: SimulatorClient) -> None:
    simulator.fault("revoke", "status", status=500, effect=True)
    token = simulator.mint()

    assert client.revoke(token).status_code == 500
    assert not simulator.accepts(token)


def test_fault_can_be_limited_to_one_token(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    one, other = simulator.mint(), simulator.mint()
    simulator.fault("any", "html", fingerprint=fingerprint(one))

    assert client.revoke(other).status_code == 200
    assert client.revoke(one).status_code == 502


@pytest.mark.parametrize("after", [7, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_retry_after_is_seconds_or_date(
    simulator: ControlClient, client: SimulatorClient, after: object
) -> None:
    simulator.fault("balance", "rate_limited", retry_after=after)

    assert client.balance("a.b.c").headers["Retry-After"] == str(after)


def test_reset_precedes_effect(simulator: ControlClient, client: SimulatorClient) -> None:
    simulator.fault("revoke", "reset")
    token = simulator.mint()
    with pytest.raises(requests.ConnectionError):
        client.revoke(token)

    assert simulator.accepts(token)
    assert [(one.status, one.fault) for one in simulator.requests()] == [(None, "reset")]


def test_lost_answer_follows_effect(simulator: ControlClient, client: SimulatorClient) -> None:
    simulator.fault("revoke", "lost_answer")
    token = simulator.mint()
    with pytest.raises(requests.ConnectionError):
        client.revoke(token)

    assert not simulator.accepts(token)


def test_truncated_answer_is_shorter_than_announced(simulator: ControlClient) -> None:
    simulator.fault("balance", "truncated")
    with (
        pending_request(simulator, "GET", BALANCE) as connection,
        connection.getresponse() as answer,
        pytest.raises(http.client.IncompleteRead) as broken,
    ):
        answer.read()

    assert json.loads(broken.value.partial)["code"] == "00"
    assert broken.value.expected == MISSING_BYTES


def test_answer_can_be_too_large(simulator: ControlClient, client: SimulatorClient) -> None:
    simulator.fault("balance", "too_large", size=3_000_000)

    assert len(client.balance("a.b.c").content) > 3_000_000


def test_echo_repeats_secrets(simulator: ControlClient, client: SimulatorClient) -> None:
    simulator.fault("any", "echo", times=2, status=422)
    token = simulator.mint()

    assert token in client.revoke(token).text
    answer = client.balance(token)
    assert answer.status_code == 422
    assert token in answer.json()["description"]


@pytest.mark.parametrize("status", [302, 307, 308])
def test_redirect_target_is_logged(
    simulator: ControlClient, client: SimulatorClient, status: int
) -> None:
    simulator.fault("revoke", "redirect", status=status)
    token = simulator.mint()
    answer = client.revoke(token)
    client("POST", answer.headers["Location"], json={"access_token": token})

    assert answer.status_code == status
    (entry,) = simulator.requests("elsewhere")
    assert (entry.fingerprint, entry.write) == (fingerprint(token), True)


def test_date_can_be_wrong_or_missing(simulator: ControlClient, client: SimulatorClient) -> None:
    right = parsedate_to_datetime(client.balance("a.b.c").headers["Date"])
    simulator.fault("balance", "date", offset=-7200)
    simulator.fault("balance", "no_date")
    wrong = parsedate_to_datetime(client.balance("a.b.c").headers["Date"])

    assert round((wrong - right).total_seconds() / 600) == -12
    missing = client.balance("a.b.c")
    assert "Date" not in missing.headers
    assert missing.json()["code"] == "401"


def test_slow_answer_is_unchanged(simulator: ControlClient, client: SimulatorClient) -> None:
    simulator.fault("revoke", "slow", delay=0)
    token = simulator.mint()

    assert client.revoke(token).json()["code"] == "00"
    assert not simulator.accepts(token)


@pytest.mark.parametrize("effect", [True, False])
def test_effect_of_slow_answer_precedes_or_follows_delay(
    simulator: ControlClient, effect: bool
) -> None:
    simulator.fault("revoke", "slow", delay=3600, effect=effect)
    token = simulator.mint()
    body = {"clientId": simulator.client_id, "access_token": token}
    with pending_request(simulator, "POST", REVOKE, body):
        (entry,) = simulator.wait_for_requests(1)

        assert simulator.accepts(token) is not effect
        assert entry.status is None


def test_endless_answer_has_neither_length_nor_end(simulator: ControlClient) -> None:
    simulator.fault("balance", "endless", interval=0)
    with (
        pending_request(simulator, "GET", BALANCE) as connection,
        connection.getresponse() as answer,
    ):
        much = answer.read(10_000)

    assert len(much) == 10_000
    assert answer.getheader("Content-Length") is None
    assert answer.getheader("Transfer-Encoding") is None
    assert much.startswith(b'{"code":"00"')


def test_stalled_answer_is_partial(simulator: ControlClient) -> None:
    simulator.fault("balance", "stalled")
    with pending_request(simulator, "GET", BALANCE) as connection:
        # The answer takes over the socket of the connection.
        sock = connection.sock
        with connection.getresponse() as answer:
            announced = int(answer.headers["Content-Length"])
            begun = answer.read1(announced)
            sock.settimeout(0.01)
            with pytest.raises(socket.timeout):
                answer.read1(announced)

    assert 0 < len(begun) < announced
    with pytest.raises(ValueError, match=r"Unterminated|delimiter|Expecting"):
        json.loads(begun)


@pytest.mark.parametrize(
    "kind",
    [
        "slow",
        "stalled",
        "endless",
        "interim",
        "endless_interim",
        "slow_headers",
        "endless_chunk",
        "endless_trailers",
    ],
)
def test_no_task_outlives_client(kind: str) -> None:
    parameters = {"delay": 3600} if kind in ("slow", "interim") else {}
    asyncio.run(asyncio.wait_for(_request_and_disconnect({"kind": kind, **parameters}), 10))


async def _request_and_disconnect(fault: dict[str, object]) -> None:
    simulator = Simulator()
    async with listening(simulator, Options()) as server:
        idle = asyncio.all_tasks()
        port = urlsplit(server.http_url).port
        await _request(port, "POST", "/_simulator/faults", json.dumps([{"on": "any", **fault}]))
        writer = await _request(port, "GET", BALANCE, "", wait=False)
        while not simulator.state.request_log.total:
            await asyncio.sleep(0)
        writer.close()
        # Ends when no new task is left; the timeout of the caller applies.
        while asyncio.all_tasks() - idle or simulator.state.connections:
            await asyncio.sleep(0)


async def _request(
    port: int | None, method: str, path: str, body: str, *, wait: bool = True
) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
    if wait:
        await reader.read()
        writer.close()
    return writer
