# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A playbook run is alive as long as its process, and no longer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.nomba.auth.plugins.plugin_utils import _playbook_run as playbook_run
from ansible_collections.nomba.auth.plugins.plugin_utils._playbook_run import state_of, this_run
from tests.unit.modules.test_playbook_run import as_if_in, on_linux

pytestmark = pytest.mark.newest


@contextmanager
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that waits until the block ends."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_worker_names_the_run_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_if_in(os.getpid(), monkeypatch) == this_run()
    with child() as process:
        assert as_if_in(process.pid, monkeypatch).split("/")[1] == str(process.pid)


def test_run_is_alive_until_its_process_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    with child() as process:
        run = as_if_in(process.pid, monkeypatch)
        assert state_of(run) == "alive"
    assert state_of(run) == "dead"


@on_linux
def test_zombie_process_is_a_dead_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with child() as process:
        run = as_if_in(process.pid, monkeypatch)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert state_of(run) == "dead"


def test_process_id_decides_without_a_start_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(playbook_run, "_PROC", tmp_path)
    with child() as process:
        run = as_if_in(process.pid, monkeypatch)
        assert run.endswith(f"/{process.pid}/")
        assert state_of(run) == "alive"
    assert state_of(run) == "dead"
