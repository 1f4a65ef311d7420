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
  - E(KILL_NEXT) is a file with the names of effects. The run is killed after its first effect that
    is not in the file, which is added.
  - E(DELETE_CLIENT) is a URL of the simulator. The client is deleted there when the role waits for
    that, before it retires the old client.
"""

import json
import multiprocessing
import os
import signal
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

from ansible_collections.nomba.auth.plugins.plugin_utils._control_host import Folder

_STORE = "nomba.auth.nomba_rotation_folder"
_WAIT = "Wait until the old client is deleted in the dashboard"


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
        self._next = os.environ.get("KILL_NEXT")
        self._log = os.environ.get("KILL_LOG")
        self._delete = os.environ.get("DELETE_CLIENT")
        self._task = ""
        # Each task runs in a fork of this process, which inherits the replaced methods.
        self._of_task: Counter[str] = Counter()
        ActionBase._execute_module = self._counting_modules(ActionBase._execute_module)
        setattr(Folder, "_run", self._counting_store(Folder._run))  # noqa: B010 -- mypy

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """The previous task has ended on every host."""
        del is_conditional
        self._end_task()
        self._tasks += 1
        self._task = _name(task)
        if self._delete and self._task == _WAIT:
            self._delete_client(self._delete)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The last task has ended."""
        del stats
        self._end_task()

    def _end_task(self) -> None:
        if self._task:
            self._append("task", self._tasks, self._task)
        if self._last_task and self._tasks == self._last_task:
            os.kill(self._process, signal.SIGKILL)

    def _counting_modules(self, execute_module: Any) -> Any:
        """Return the method that runs a module, with a count of those that changed something."""

        @wraps(execute_module)
        def execute(action: ActionBase, *arguments: Any, **options: Any) -> Any:
            result = execute_module(action, *arguments, **options)
            task = action._task
            module = str(options.get("module_name") or task.action)
            changes = result.get("changed") and not task.check_mode and task.changed_when != [False]
            if changes and module != _STORE:
                self._end_effect(_name(task), module)
            return result

        return execute

    def _counting_store(self, run: Any) -> Any:
        """Return the method that writes the store, also without a module, with the same count."""

        @wraps(run)
        def counted(folder: Folder, verb: str, **options: Any) -> Any:
            result = run(folder, verb, **options)
            if result.get("changed"):
                self._end_effect(self._task, _STORE)
            return result

        return counted

    def _end_effect(self, task: str, module: str) -> None:
        with self._effects.get_lock():
            self._effects.value += 1
            number = self._effects.value
        self._append("effect", number, task)
        self._of_task[module] += 1
        if number == self._last_effect or self._is_next(
            f"{task}, {module} {self._of_task[module]}"
        ):
            os.kill(self._process, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_next(self, effect: str) -> bool:
        """Return whether no earlier run was killed after this effect."""
        if not self._next:
            return False
        path = Path(self._next)
        known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.write_text("".join(f"{one}\n" for one in dict.fromkeys([*known, effect])), "utf-8")
        return effect not in known

    def _delete_client(self, url: str) -> None:
        """Do what a person does in the dashboard; it is already deleted if a run is repeated."""
        request = urllib.request.Request(url, method="DELETE")
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=10):
            pass

    def _append(self, kind: str, number: int, task: str) -> None:
        if self._log:
            line = json.dumps({"kind": kind, "number": number, "task": task})
            with Path(self._log).open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")


def _name(task: Any) -> str:
    return str(task.get_name().split(" : ")[-1])
