# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGTERM and SIGINT stop a run, which returns a result for every token."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint

from .module_process import ProcessResult, start_module_process, wait_for_result

pytestmark = pytest.mark.newest

# A stopped run ends long before the first, and any other run lasts longer (seconds).
ENDED, DEADLINE = 30, 600
STOPPED = "the run was stopped by a signal"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(simulator: ControlClient, tmp_path: Path) -> Start:
    """A function that starts nomba_token_revoke in a process."""

    def start_module(*tokens: str, **options: Any) -> subprocess.Popen[str]:
        connection = {
            "api_url": simulator.url,
            "ca_path": simulator.ca_path,
            "account_id": simulator.account_id,
            "client_id": simulator.client_id,
            "deadline": DEADLINE,
        }
        return start_module_process(
            {**connection, "access_tokens": list(tokens), **options}, tmp_path
        )

    return start_module


def stop(
    process: subprocess.Popen[str],
    simulator: ControlClient,
    requests: int,
    *numbers: signal.Signals,
) -> ProcessResult:
    """Send the signals after so many requests, and wait for the end of the run."""
    simulator.wait_for_requests(requests, timeout=ENDED)
    for number in numbers:
        process.send_signal(number)
    return wait_for_result(process, ENDED)


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGTERM,), (signal.SIGINT,), (signal.SIGINT, signal.SIGTERM, signal.SIGINT)],
    ids=["SIGTERM", "SIGINT", "several"],
)
def test_signal_ends_a_run_with_a_result_for_every_token(
    simulator: ControlClient, start: Start, numbers: tuple[signal.Signals, ...]
) -> None:
    simulator.configure(latency=0.05)
    tokens = simulator.mint_many(60)
    ended = stop(start(*tokens), simulator, 40, *numbers)
    rows = ended.result["results"]
    assert (ended.status, ended.errors) == (1, [])
    assert [row["fingerprint"] for row in rows] == [fingerprint(token) for token in tokens]

    live = set(simulator.live())
    verified = {row["fingerprint"] for row in rows if row["verified"]}
    stopped = [row for row in rows if row["outcome"] == "not_attempted"]
    assert verified
    assert not verified & live
    assert stopped
    assert {row["fingerprint"] for row in stopped} <= live
    assert {row["reason"] for row in stopped} == {STOPPED}
    assert ended.result["failed"] is True
    assert ended.result["changed"] is True
    sent = {post.fingerprint for post in simulator.requests("revoke")}
    assert not sent & {row["fingerprint"] for row in stopped}


def test_signal_ends_the_wait_for_a_rate_limit(simulator: ControlClient, start: Start) -> None:
    simulator.fault("revoke", "rate_limited", retry_after=DEADLINE - 100)
    first, second = simulator.mint_many(2)
    process = start(first, second, concurrency=1)
    # The probe, the negative control, and the revoke that has to wait.
    ended = stop(process, simulator, 3, signal.SIGTERM)
    rows = ended.result["results"]
    assert (ended.status, ended.errors) == (1, [])
    assert [row["outcome"] for row in rows] == ["unknown", "not_attempted"]
    assert len(simulator.requests("revoke")) == 1
    assert len(simulator.live()) == 2


def test_signal_ends_the_proof_window_at_once(simulator: ControlClient, start: Start) -> None:
    simulator.configure(revoke_effective=False)
    token = simulator.mint()
    ended = stop(start(token), simulator, 4, signal.SIGTERM)
    (row,) = ended.result["results"]
    assert (ended.status, ended.errors) == (1, [])
    assert (row["outcome"], row["verified"]) == ("still_accepted", False)
    assert len(simulator.requests()) <= 10
    assert simulator.accepts(token)
