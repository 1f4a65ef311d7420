# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output that shows the steps of this collection's playbooks and role as one line each."""

from __future__ import annotations

DOCUMENTATION = r"""
name: steps
type: stdout
author:
  - The nomba.auth contributors (@nomba-auth)
version_added: 0.1.0
short_description: Show a rotation, a scan or a revoke as one line per step
description:
  - Shows each task of the playbooks and of the role of this collection as one line, with its hosts.
    Tasks that only check, include or record something, and skipped tasks, are shown only if they
    fail. Each failure is shown with its message, and each unreachable host. The report is last, and
    its first line is the verdict.
  - Tasks of other roles, playbooks and task files are shown as P(ansible.builtin.default#callback)
    does. With C(-v), all tasks are.
  - Prints plain lines, so that it works in log files and in Automation Platform. There, set it as
    E(ANSIBLE_STDOUT_CALLBACK) in the extra environment variables of the jobs.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - Set C(stdout_callback = nomba.auth.steps) in ansible.cfg.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812 -- as in all of Ansible
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default

_COLLECTION = Path(__file__).resolve().parents[2]
# Tasks that only prepare other tasks, by the last part of their action, or by the step of ours.
_QUIET_ACTIONS = {"add_host", "assert", "set_fact", "validate_argument_spec"}
_QUIET_STEPS = {"failed", "healthy", "not_reported", "reloaded", "report", "unread"}
# Fields that say more than the message. Such a result is shown in full.
_DETAILS = {"module_stderr", "module_stdout", "rc", "results", "stderr", "stdout"}
_MAX_HOSTS = 10


class CallbackModule(Default):  # type: ignore[misc] # Ansible ships no type information
    """Prints a line for a step when it has ended on all hosts, and a failure at once."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "nomba.auth.steps"

    def __init__(self) -> None:
        super().__init__()
        self._heading = ""  # of the play, until its first line
        self._step = ""
        self._hosts: dict[str, list[str]] = {}
        self._failures: set[str] = set()
        self._verdict = ("", "")  # the line and its color
        self._is_verdict_last = True
        self._has_other_plays = False
        self._is_after_other = False

    # Plays and tasks

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Print the name of another play; that of one of ours with its first line."""
        self._end_step()
        self._play = play
        self._heading = ""
        if self._is_short(play):
            mark = " [CHECK MODE]" if play.check_mode else ""
            self._heading = f"{play.get_name().strip()}{mark}"
        else:
            self._has_other_plays = True
            self._begin_other()
            super().v2_playbook_on_play_start(play)

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        self._end_step()
        if self._is_short(task):
            # The name is templated only during this call.
            self._step = str(task.name or task.get_name()).strip()
            return
        self._begin_other()
        super()._task_start(task, prefix)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Print the files that other tasks include."""
        if not self._is_short(included_file._task):
            self._begin_other()
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Print that a play has no hosts, with the name of the play."""
        self._begin_other()
        super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """Print it, except for our plays: their failures are on the screen."""
        self._end_step()
        if not self._is_short(self._play):
            super().v2_playbook_on_no_hosts_remaining()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the recap if there were other plays, and the verdict again if it is not last."""
        self._end_step()
        if self._has_other_plays:
            self._begin_other()
            super().v2_playbook_on_stats(stats)
        verdict, color = self._verdict
        if verdict and not self._is_verdict_last:
            self._is_after_other = not self._has_other_plays  # the recap ends with an empty line
            self._print(verdict, color)

    # Results

    def v2_runner_on_ok(self, result: Any) -> None:
        """Collect the host, or print the report of the task."""
        task, values = _part(result, "task"), _part(result, "result")
        if not self._is_short(task):
            super().v2_runner_on_ok(result)
        elif not isinstance(task, TaskInclude):
            self._handle_warnings(values)
            is_changed = bool(values.get("changed"))
            if self._run_is_verbose(result):
                self._print_report(result, C.COLOR_CHANGED if is_changed else C.COLOR_OK)
            elif is_changed or not _is_quiet(task):
                hosts = self._hosts.setdefault("changed" if is_changed else "ok", [])
                hosts.append(self._place(result))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print the message."""
        task, values = _part(result, "task"), _part(result, "result")
        if not self._is_short(task) or not _is_complete(values):
            self._begin_other()
            super().v2_runner_on_failed(result, ignore_errors)
        else:
            self._handle_warnings(values)
            if task.args.get("step") == "verdict":
                self._print_report(result, C.COLOR_ERROR)
            else:
                self._print_failure("failed", result, C.COLOR_ERROR, ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Print the message."""
        task = _part(result, "task")
        if self._is_short(task):
            self._handle_warnings(_part(result, "result"))
            is_ignored = bool(task.ignore_unreachable)
            self._print_failure("unreachable", result, C.COLOR_UNREACHABLE, is_ignored)
        else:
            super().v2_runner_on_unreachable(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Print hosts that another task skips."""
        if self._is_short(_part(result, "task")):
            self._handle_warnings(_part(result, "result"))
        else:
            super().v2_runner_on_skipped(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Print an item of another task."""
        if self._is_short(_part(result, "task")):
            self._handle_warnings(_part(result, "result"))
        else:
            super().v2_runner_item_on_ok(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Print a failed item as the default callback does."""
        self._begin_other()
        super().v2_runner_item_on_failed(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Print a skipped item of another task."""
        if not self._is_short(_part(result, "task")):
            super().v2_runner_item_on_skipped(result)

    def v2_on_file_diff(self, result: Any) -> None:
        """Print a difference, after the name of the step."""
        task, values = _part(result, "task"), _part(result, "result")
        if self._is_short(task) and values.get("diff") and values.get("changed"):
            self._print(f"{self._step} [{self._place(result)}]:", "")
            self._last_task_banner = task._uuid  # this line is instead of the banner
        super().v2_on_file_diff(result)

    # Lines

    def _is_short(self, shown: Any) -> bool:
        """Return whether a play or a task is of this collection, and shown as a line."""
        if self._display.verbosity or self._play is None:
            return False
        # Where each host runs ahead, a step has no end.
        if str(self._play.strategy).rpartition(".")[2] in ("free", "host_pinned"):
            return False
        return _is_ours(_source(shown))

    def _place(self, result: Any) -> str:
        """Return the host of a result; of a task for all hosts, where it ran."""
        label = str(self.host_label(result))
        return label.rpartition(" -> ")[2] if _part(result, "task").run_once else label

    def _print(self, line: str, color: str, is_failure: bool = False) -> None:
        """Print a line, below the name of the play."""
        self._is_verdict_last = False
        if self._is_after_other:
            self._display.display("")
            self._is_after_other = False
        if self._heading:
            self._display.display(self._heading)
            self._heading = ""
        to_stderr = is_failure and self.get_option("display_failed_stderr")
        self._display.display(line, color=color or None, stderr=to_stderr)

    def _end_step(self) -> None:
        """Print the line of the step that has ended."""
        if self._hosts:
            parts = [
                (state, shown_hosts(self._hosts[state]))
                for state in ("changed", "ok")
                if state in self._hosts
            ]
            (first, hosts), *others = parts
            rest = "".join(f", {state} [{names}]" for state, names in others)
            color = C.COLOR_CHANGED if first == "changed" else C.COLOR_OK
            self._print(f"{first:<7} {self._step} [{hosts}]{rest}", color)
        self._hosts = {}

    def _begin_other(self) -> None:
        """Let the default callback print."""
        self._end_step()
        if self._heading:
            self._print("", "")
        self._is_after_other, self._is_verdict_last = True, False

    def _print_failure(self, what: str, result: Any, color: str, is_ignored: bool) -> None:
        first, *others = _message(_part(result, "result"))
        self._failures.add(first)
        self._print(f"{what:<7} {self._step} [{self._place(result)}]: {first}", color, True)
        for line in others:
            self._print(f"  {line}", color, True)
        if is_ignored:
            self._print("...ignoring", C.COLOR_SKIP)

    def _print_report(self, result: Any, color: str) -> None:
        """Print the message of a task that reports; the first line is the verdict."""
        lines, is_failure = _message(_part(result, "result")), color == C.COLOR_ERROR
        self._verdict = (lines[0], color)
        if _part(result, "task").run_once:
            self._is_after_other = not self._heading
        else:
            host = f"{self._place(result)}: "
            # Its failure was printed with this message.
            first = "" if lines[0] in self._failures else lines[0]
            lines = [f"{host}{first}".rstrip(), *(f"  {one}" for one in lines[1:])]
            self._verdict = (f"{host}{self._verdict[0]}", color)
        for line in lines:
            self._print(line, color, is_failure)
        self._is_verdict_last = True


def shown_hosts(names: Iterable[str]) -> str:
    """Return names of hosts in order, the first ones of many."""
    listed = sorted(names)
    left = len(listed) - _MAX_HOSTS
    more = [f"and {left} more"] if left > 0 else []
    return ", ".join([*listed[:_MAX_HOSTS], *more])


@cache
def _is_ours(path: str) -> bool:
    """Return whether a file is of this collection, or the copy that ansible-rulebook runs."""
    if _COLLECTION in Path(path).resolve().parents:
        return True
    copy, name = Path(path), Path(path).name.removesuffix(".yml").rpartition(".")[2]
    original = _COLLECTION / "playbooks" / f"{name}.yml"
    if not (original.is_file() and copy.is_file()):
        return False
    return copy.read_bytes() == original.read_bytes()


def _source(shown: Any) -> str:
    """Return the file of a play or a task; of the check of a role's options, the role."""
    role = getattr(shown, "_role", None)
    if role is not None and str(shown.action).endswith("validate_argument_spec"):
        return str(role.get_role_path())
    # Up to ansible-core 2.18, a task of a JSON file has no path but that of its play.
    if not hasattr(shown, "_origin") and not hasattr(shown._ds, "_data_source"):
        return ""
    return str(shown.get_path() or "").rpartition(":")[0]


def _is_quiet(task: Any) -> bool:
    """Return whether a task that has changed nothing is of no interest."""
    is_action = str(task.action).rpartition(".")[2] in _QUIET_ACTIONS
    return is_action or task.args.get("step") in _QUIET_STEPS


def _is_complete(values: Mapping[str, Any]) -> bool:
    """Return whether the message of a failed task says everything."""
    has_message = bool(values.get("msg") or values.get("censored"))
    return has_message and not (_DETAILS & set(values))


def _message(values: Mapping[str, Any]) -> list[str]:
    """Return the lines of the message and of the details of a result; at least one."""
    found = []
    for name in ("msg", "details"):
        one = values.get(name) or []
        found += one if isinstance(one, list) else [one]
    lines = [line for one in found for line in str(one).splitlines()]
    return lines or [str(values.get("censored") or "no message")]


def _part(result: Any, name: str) -> Any:
    """Return the task or the values of a result, whose attributes depend on the ansible-core."""
    # `result` and `task` exist from ansible-core 2.19 on, and the others will be removed.
    return getattr(result, name) if hasattr(result, name) else getattr(result, f"_{name}")
