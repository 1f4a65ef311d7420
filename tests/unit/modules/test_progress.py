# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A long run writes its progress to a file and returns a result for every token."""

from __future__ import annotations

import fcntl
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._progress import Progress
from tests.unit.clock import FastClock
from tests.unit.limits import file_size_limit

from .harness import Revoke

pytestmark = pytest.mark.newest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The progress file."""
    return tmp_path / "progress"


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_last_line_counts_every_token(revoke: Revoke, path: Path) -> None:
    returned = revoke(*revoke.simulator.mint_many(5), progress=str(path))
    last = lines(path)[-1]
    assert (last["done"], last["failed"], last["tokens"]) == (5, 0, 5)
    assert returned.outcomes == ["revoked"] * 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_slow_run_writes_at_most_one_line_per_second(path: Path) -> None:
    clock = FastClock()
    progress = Progress(str(path), clock.as_clock())
    for done in range(1, 9):
        progress.update(done, 0, 8)
        clock.as_clock().sleep(0.5)
    progress.close()
    assert [line["done"] for line in lines(path)] == [1, 3, 5, 7, 8]


def test_second_run_appends_to_the_file(revoke: Revoke, path: Path) -> None:
    for __ in range(2):
        revoke(revoke.simulator.mint(), progress=str(path))
    assert [line["done"] for line in lines(path)] == [1, 1]


def test_failed_tokens_are_counted(revoke: Revoke, path: Path) -> None:
    revoke(*revoke.simulator.mint_many(3), client_id="unknown", concurrency=1, progress=str(path))
    assert lines(path)[-1]["failed"] == 3


def test_early_deadline_returns_a_result_for_every_token(revoke: Revoke, path: Path) -> None:
    revoke.simulator.configure(rate_class="low_traffic")
    tokens = revoke.simulator.mint_many(6)
    returned = revoke(*tokens, deadline=90, concurrency=1, progress=str(path))
    failed = 6 - returned.outcomes.count("revoked")
    assert returned["summary"]["tokens"] == 6
    assert "not_attempted" in returned.outcomes
    assert len(revoke.simulator.live()) == failed == lines(path)[-1]["failed"]


def test_file_names_no_token(revoke: Revoke, path: Path) -> None:
    token = revoke.simulator.mint()
    returned = revoke(token, progress=str(path))
    assert returned.row["fingerprint"] not in path.read_text()
    assert token not in path.read_text()


def test_skipped_token_writes_no_progress(revoke: Revoke, path: Path) -> None:
    revoke(revoke.simulator.mint(age=7200, lifetime=3600), progress=str(path))
    assert lines(path) == []


def test_check_mode_writes_no_file(revoke: Revoke, path: Path) -> None:
    revoke(revoke.simulator.mint(), check=True, progress=str(path))
    assert not path.exists()


@pytest.mark.parametrize("name", ["", "missing/progress"], ids=repr)
def test_file_that_cannot_be_written_fails_before_a_request(
    revoke: Revoke, tmp_path: Path, name: str
) -> None:
    returned = revoke(revoke.simulator.mint(), progress=f"{tmp_path}/{name}")
    assert returned.error == "invalid_option"
    assert returned["msg"].startswith("progress: it")
    assert "folder" in returned["msg"]
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("before", [b"", b'{"done": 1}\n'], ids=["new file", "old file"])
def test_full_disk_neither_stops_a_revocation_nor_leaves_an_incomplete_line(
    revoke: Revoke, path: Path, before: bytes
) -> None:
    path.write_bytes(before)
    tokens = revoke.simulator.mint_many(3)
    with file_size_limit(len(before) + 20):
        returned = revoke(*tokens, progress=str(path))
    assert returned.outcomes == ["revoked"] * 3
    assert revoke.simulator.live() == []
    assert path.read_bytes() == before


def test_incomplete_line_of_a_killed_run_is_terminated(revoke: Revoke, path: Path) -> None:
    path.write_bytes(b'{"done": 1, "fai')
    revoke(revoke.simulator.mint(), progress=str(path))
    first, *others = path.read_bytes().splitlines()
    assert first == b'{"done": 1, "fai'
    assert [json.loads(line)["done"] for line in others] == [1]


def test_run_waits_at_most_a_second_for_the_lock(path: Path) -> None:
    clock = FastClock()
    progress = Progress(str(path), clock.as_clock())
    with path.open(encoding="utf-8") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        progress.update(1, 0, 2)
    assert sum(clock.slept) == pytest.approx(1.0, abs=0.2)
    progress.update(2, 0, 2)
    progress.close()
    assert [line["done"] for line in lines(path)] == [2]
