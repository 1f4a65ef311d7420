# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback that counts the tasks and effects of a run, and kills the run after one of them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kill
type: aggregate
short_description: Count the tasks and effects, and kill the run after one of them
description:
  - For tests only. An effect is a module that has changed something, on the control host or on
    another host. E(KILL_TASK) is the number of the last task that finishes, E(KILL_EFFECT) that of
    the last effect. All tasks and effects are appended to the file E(KILL_LOG).
"""

import json
import multiprocessing
import os
import signal
from functools import wraps
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible ships no type information
    """Count the tasks that start: when a task starts, the previous one has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()
        self._tasks = 0
        self._effects = multiprocessing.Value("i", 0)
        self._last_task = int(os.environ.get("KILL_TASK", "0"))
        self._last_effect = int(os.environ.get("KILL_EFFECT", "0"))
        self._log = os.environ.get("KILL_LOG")
        self._task = ""
        # Each task runs in a fork of this process, which inherits the replaced method.
        ActionBase._execute_module = self._counting(ActionBase._execute_module)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """The previous task has ended on every host."""
        del is_conditional
        self._end_task()
        self._tasks += 1
        self._task = task.get_name().split(" : ")[-1]

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The last task has ended."""
        del stats
        self._end_task()

    def _end_task(self) -> None:
        if self._task:
            self._append("task", self._tasks, self._task)
        if self._last_task and self._tasks == self._last_task:
            os.kill(self._process, signal.SIGKILL)

    def _counting(self, execute_module: Any) -> Any:
        """Return the method that runs a module, with a count of those that changed something."""

        @wraps(execute_module)
        def execute(action: ActionBase, *arguments: Any, **options: Any) -> Any:
            result = execute_module(action, *arguments, **options)
            if result.get("changed"):
                self._end_effect(action._task.get_name().split(" : ")[-1])
            return result

        return execute

    def _end_effect(self, task: str) -> None:
        with self._effects.get_lock():
            self._effects.value += 1
            number = self._effects.value
        self._append("effect", number, task)
        if number == self._last_effect:
            os.kill(self._process, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    def _append(self, kind: str, number: int, task: str) -> None:
        if self._log:
            line = json.dumps({"kind": kind, "number": number, "task": task})
            with Path(self._log).open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")
