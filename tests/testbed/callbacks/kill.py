# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback that counts the tasks of a run, and kills the run after one of them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kill
type: aggregate
short_description: Count the tasks, and kill the run after one of them
description:
  - For tests only. E(KILL_AFTER) is the number of the last task that finishes. All tasks are
    appended to the file E(KILL_LOG), each with the digest of the files in E(KILL_FOLDER) after it.
"""

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible ships no type information
    """Count the tasks that start: when a task starts, the previous one has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._after = int(os.environ.get("KILL_AFTER", "0"))
        self._log = os.environ.get("KILL_LOG")
        self._task: dict[str, object] = {}

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """The previous task has ended on every host."""
        del is_conditional
        self._end_task()
        self._count += 1
        step = Path(task.get_path().rpartition(":")[0]).name
        name = task.get_name().split(" : ")[-1]
        self._task = {"number": self._count, "step": step, "task": name}

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The last task has ended."""
        del stats
        self._end_task()

    def _end_task(self) -> None:
        if self._after and self._count == self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._log and self._task:
            line = json.dumps({**self._task, "files": _digest(Path(os.environ["KILL_FOLDER"]))})
            with Path(self._log).open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")


def _digest(folder: Path) -> str:
    """Return a digest of the files that a rotation writes: its own, and the token files."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("rotation/*"), *folder.glob("hosts/*/token.env")]):
        digest.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
