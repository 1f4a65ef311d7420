# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A long run says how far it is, in a file, and leaves a result for every token."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._progress import Progress
from tests.unit.clock import FastClock

from .harness import Revoke


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the run tells how far it is."""
    return tmp_path / "progress"


def lines(path: Path) -> list[dict[str, Any]]:
    """What the file says."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_last_line_says_that_all_is_done(revoke: Revoke, path: Path) -> None:
    told = revoke(*revoke.simulator.mint_many(5), progress=str(path))
    last = lines(path)[-1]
    assert (last["done"], last["failed"], last["tokens"]) == (5, 0, 5)
    assert told.outcomes == ["revoked"] * 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_slow_run_writes_a_line_for_each_second_that_something_happened(path: Path) -> None:
    clock = FastClock()
    progress = Progress(str(path), clock.as_clock())
    for done in range(1, 9):
        progress.tell(done, 0, 8)
        clock.as_clock().sleep(0.5)
    progress.close()
    assert [line["done"] for line in lines(path)] == [1, 3, 5, 7, 8]


def test_the_file_goes_on_where_an_earlier_run_ended(revoke: Revoke, path: Path) -> None:
    for __ in range(2):
        revoke(revoke.simulator.mint(), progress=str(path))
    assert [line["done"] for line in lines(path)] == [1, 1]


def test_failed_tokens_are_counted(revoke: Revoke, path: Path) -> None:
    revoke(*revoke.simulator.mint_many(3), client_id="unknown", concurrency=1, progress=str(path))
    assert lines(path)[-1]["failed"] == 3


def test_a_deadline_that_comes_early_leaves_a_result_for_every_token(
    revoke: Revoke, path: Path
) -> None:
    revoke.simulator.configure(rate_class="low_traffic")
    tokens = revoke.simulator.mint_many(6)
    told = revoke(*tokens, deadline=90, concurrency=1, progress=str(path))
    failed = 6 - told.outcomes.count("revoked")
    assert told["summary"]["tokens"] == 6
    assert "not_attempted" in told.outcomes
    assert len(revoke.simulator.live()) == failed == lines(path)[-1]["failed"]


def test_the_file_names_no_token(revoke: Revoke, path: Path) -> None:
    token = revoke.simulator.mint()
    told = revoke(token, progress=str(path))
    assert told.row["fingerprint"] not in path.read_text()
    assert token not in path.read_text()


def test_what_is_skipped_needs_no_progress(revoke: Revoke, path: Path) -> None:
    revoke(revoke.simulator.mint(age=7200, lifetime=3600), progress=str(path))
    assert lines(path) == []


def test_check_mode_leaves_the_file_alone(revoke: Revoke, path: Path) -> None:
    revoke(revoke.simulator.mint(), check=True, progress=str(path))
    assert not path.exists()


@pytest.mark.parametrize("name", ["", "missing/progress"], ids=repr)
def test_a_file_that_cannot_be_written_stops_before_anything_is_sent(
    revoke: Revoke, tmp_path: Path, name: str
) -> None:
    told = revoke(revoke.simulator.mint(), progress=f"{tmp_path}/{name}")
    assert told.error == "invalid_option"
    assert told["msg"].startswith("progress: it cannot be written: ")
    assert revoke.simulator.requests() == []


def test_a_pipe_that_nobody_reads_does_not_stop_the_run_for_ever(
    revoke: Revoke, path: Path
) -> None:
    os.mkfifo(path)
    assert revoke(revoke.simulator.mint(), progress=str(path)).error == "invalid_option"


def test_a_full_disk_does_not_stop_a_revocation(revoke: Revoke) -> None:
    tokens = revoke.simulator.mint_many(3)
    assert revoke(*tokens, progress="/dev/full").outcomes == ["revoked"] * 3
    assert revoke.simulator.live() == []
