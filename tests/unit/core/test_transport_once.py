# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests that are not idempotent: retried only when they certainly had no effect."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._answer import HttpAnswer, TransportFailure
from ansible_collections.nomba.auth.plugins.module_utils._client import Client, grant_of
from ansible_collections.nomba.auth.plugins.module_utils._http_session import Connection
from ansible_collections.nomba.auth.plugins.module_utils._transport import (
    MAX_TRIES,
    HttpTransport,
)
from tests.simulator.control_client import ControlClient
from tests.unit.clock import FastClock

pytestmark = pytest.mark.pure

# Every failure after the request was sent, and the status of its answer, if any.
AFTER: dict[str, tuple[dict[str, Any], int | None]] = {
    "reset": ({"kind": "reset"}, None),
    "lost answer": ({"kind": "lost_answer"}, None),
    "truncated": ({"kind": "truncated"}, None),
    "too large": ({"kind": "too_large"}, None),
    "slow": ({"kind": "slow", "delay": 1.0}, None),
    "stalled": ({"kind": "stalled"}, None),
    "endless": ({"kind": "endless"}, None),
    "500": ({"kind": "status", "status": 500}, 500),
    "502": ({"kind": "status", "status": 502}, 502),
    "502 as a page": ({"kind": "html", "status": 502}, 502),
    "503": ({"kind": "status", "status": 503}, 503),
    "503 with Retry-After": (
        {"kind": "status", "status": 503, "headers": {"Retry-After": "1"}},
        503,
    ),
    "504": ({"kind": "status", "status": 504}, 504),
}
SILENT = {"slow", "stalled", "endless"}


class Sender:
    """A transport to the simulator, and an issue request."""

    def __init__(self, simulator: ControlClient, clock: FastClock, **changes: Any) -> None:
        result = {"api_url": simulator.http_url, "timeout": 10.0, "deadline": 120.0, **changes}
        connection = Connection(plain_loopback=True, validate_certs=True, ca_path=None, **result)
        self.transport = HttpTransport(connection, clock.as_clock())
        self.client = Client(self.transport, simulator.account_id, simulator.client_id)
        self.secret = simulator.client_secret
        self.headers = {"accountId": simulator.account_id}
        self.body = {
            "grant_type": "client_credentials",
            "client_id": simulator.client_id,
            "client_secret": self.secret,
        }

    def send(self, idempotent: bool = False) -> HttpAnswer | TransportFailure:
        """Issue a token."""
        path = "/v1/auth/token/issue"
        return self.transport.send("POST", path, self.headers, self.body, idempotent=idempotent)


Connect = Callable[..., Sender]


@pytest.fixture
def clock() -> FastClock:
    """Return a clock on which sleeping takes no time."""
    return FastClock()


@pytest.fixture
def connect(simulator: ControlClient, clock: FastClock) -> Iterator[Connect]:
    """Return a factory of transports; close them at the end."""
    made: list[Sender] = []

    def connect(**changes: Any) -> Sender:
        made.append(Sender(simulator, clock, **changes))
        return made[-1]

    yield connect
    for sender in made:
        sender.transport.close()


@pytest.fixture
def closed_port() -> Iterator[str]:
    """Return the URL of a port that is bound but has no listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def status(outcome: HttpAnswer | TransportFailure) -> int | None:
    """Return the status of an answer, or None."""
    return outcome.status if isinstance(outcome, HttpAnswer) else None


@pytest.mark.parametrize("name", AFTER)
def test_request_that_may_have_taken_effect_is_not_retried(
    connect: Connect, simulator: ControlClient, clock: FastClock, name: str
) -> None:
    fault, expected = AFTER[name]
    simulator.fault("issue", **fault, times=0)
    outcome = connect(timeout=0.3 if name in SILENT else 10.0).send()
    assert (status(outcome), outcome.attempts) == (expected, 1)
    assert len(simulator.requests()) == 1
    assert clock.slept == []


@pytest.mark.parametrize("name", ["reset", "lost answer", "502", "503", "504"])
def test_idempotent_request_is_retried(
    connect: Connect, simulator: ControlClient, name: str
) -> None:
    simulator.fault("issue", **AFTER[name][0], times=2)
    outcome = connect().send(idempotent=True)
    assert (status(outcome), outcome.attempts) == (200, 3)
    assert len(simulator.requests()) == 3


def test_lost_answer_of_issue_leaves_one_token(connect: Connect, simulator: ControlClient) -> None:
    simulator.fault("issue", "lost_answer", times=0)
    sender = connect()
    assert grant_of(sender.client.issue(sender.secret)) is None
    assert len(simulator.live()) == 1


def test_request_is_retried_after_429(
    connect: Connect, simulator: ControlClient, clock: FastClock
) -> None:
    simulator.fault("issue", "rate_limited", times=2, retry_after=7)
    outcome = connect().send()
    assert (status(outcome), outcome.attempts) == (200, 3)
    assert sum(clock.slept) >= 14
    assert len(simulator.live()) == 1


def test_lost_answer_after_429_is_not_retried(connect: Connect, simulator: ControlClient) -> None:
    simulator.fault("issue", "rate_limited", times=1)
    simulator.fault("issue", "lost_answer", times=0)
    outcome = connect().send()
    assert (status(outcome), outcome.attempts) == (None, 2)
    assert len(simulator.live()) == 1


def test_refused_connection_is_retried(
    connect: Connect, simulator: ControlClient, clock: FastClock, closed_port: str
) -> None:
    outcome = connect(api_url=closed_port).send()
    assert isinstance(outcome, TransportFailure)
    assert outcome.attempts == MAX_TRIES
    assert len(clock.slept) == MAX_TRIES - 1
    assert simulator.requests() == []


def test_client_issues_token(connect: Connect, simulator: ControlClient) -> None:
    sender = connect()
    grant = grant_of(sender.client.issue(sender.secret))
    assert grant is not None
    assert simulator.accepts(grant.access_token)
    assert grant.account() == simulator.account_id
    (entry,) = simulator.requests()
    assert entry.body_fields == ("client_id", "client_secret", "grant_type")


def test_client_refreshes_token(connect: Connect, simulator: ControlClient) -> None:
    sender = connect()
    first = grant_of(sender.client.issue(sender.secret))
    assert first is not None
    assert first.refresh_token is not None
    second = grant_of(sender.client.refresh(first.refresh_token, first.access_token))
    assert second is not None
    assert second.access_token != first.access_token
    assert simulator.accepts(second.access_token)
    assert simulator.requests()[-1].body_fields == ("grant_type", "refresh_token")


def test_every_post_has_json_content_type(connect: Connect, simulator: ControlClient) -> None:
    sender = connect()
    grant = grant_of(sender.client.issue(sender.secret))
    assert grant is not None
    assert grant.refresh_token is not None
    sender.client.refresh(grant.refresh_token, grant.access_token)
    sender.client.revoke(grant.access_token)
    seen = [(entry.operation, entry.content_type, entry.status) for entry in simulator.requests()]
    assert seen == [(name, "application/json", 200) for name in ("issue", "refresh", "revoke")]


def test_reset_on_reused_connection_counts_as_sent(
    connect: Connect, simulator: ControlClient
) -> None:
    sender = connect()
    assert status(sender.send()) == 200
    simulator.fault("issue", "reset", times=1)
    assert sender.send().attempts == 1
    assert [entry.operation for entry in simulator.requests()] == ["issue", "issue"]
