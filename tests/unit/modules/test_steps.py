# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback steps hides no failure and no unreachable host, whatever the task."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import context

from ansible_collections.nomba.auth.plugins.callback.steps import CallbackModule
from tests.unit.tables import each_row

ROOT = Path(__file__).parents[3]
OURS = str(ROOT / "roles" / "credential_rotation" / "tasks" / "main.yml")
DEFAULTS = {"display_ok_hosts": True, "display_skipped_hosts": True, "result_format": "json"}
HIDDEN = "the output has been hidden due to the fact that 'no_log: true' was specified"


@pytest.fixture(autouse=True)
def arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arguments of ansible-playbook."""
    monkeypatch.setattr(context, "CLIARGS", {"check": False})


class Screen:
    """A callback on a screen of its own, in a play."""

    def __init__(self, strategy: str = "linear", verbosity: int = 0, path: str = OURS) -> None:
        self.callback = CallbackModule()
        self.callback.get_option = DEFAULTS.get
        self.lines: list[str] = []
        display = SimpleNamespace(verbosity=verbosity, columns=80, display=self._display)
        display.warning = self._display
        display.banner = lambda text: self._display(f"\n{text}")
        self.callback._display = display
        self._path = path
        play = {
            "strategy": strategy,
            "check_mode": False,
            "_origin": None,
            "get_name": lambda: "Rotate",
        }
        self.callback.v2_playbook_on_play_start(SimpleNamespace(**play, get_path=self._place))

    def _display(self, text: str, **how: Any) -> None:
        del how
        self.lines.append(text)

    def _place(self) -> str:
        return f"{self._path}:1"

    def task(self, name: str, action: str = "nomba.auth.nomba_rotation", **args: Any) -> Any:
        """Start a task of this file."""
        fields = {
            "name": name,
            "action": action,
            "args": args,
            "_uuid": name,
            "_origin": None,
            "loop": None,
        }
        fields |= {"run_once": False, "delegate_to": None, "no_log": False, "check_mode": False}
        fields |= {"ignore_unreachable": False, "get_name": lambda: name, "get_path": self._place}
        task = SimpleNamespace(**fields)
        self.callback.v2_playbook_on_task_start(task, False)
        return task

    def result(self, event: str, task: Any, host: str, *more: Any, **values: Any) -> None:
        """Report a result."""
        found = {"task": task, "result": values, "host": SimpleNamespace(get_name=lambda: host)}
        both = {**found, **{f"_{name}": value for name, value in found.items()}}
        getattr(self.callback, f"v2_runner_{event}")(SimpleNamespace(**both), *more)

    def end(self) -> str:
        """Return the screen after the last task."""
        empty = SimpleNamespace(processed={}, custom={})
        self.callback.v2_playbook_on_stats(empty)
        return "\n".join(self.lines)


def test_hosts_of_a_step_are_in_one_line_and_failures_in_lines_of_their_own() -> None:
    screen = Screen()
    task = screen.task("Inspect the file")
    for number in range(12):
        screen.result("on_ok", task, f"web{number:02}", changed=False)
    screen.result("on_ok", task, "changed", changed=True)
    screen.result("on_failed", task, "failed", msg="no space\nleft")
    screen.result("on_unreachable", task, "away", msg="timed out")
    screen.result("on_skipped", task, "skipped")
    for name in ("Check", "Record"):
        quiet = screen.task(name, "ansible.builtin.assert")
        screen.result("on_ok", quiet, "web", changed=False)
    first = ", ".join(f"web{number:02}" for number in range(10))
    assert screen.end() == (
        "Rotate\nfailed  Inspect the file [failed]: no space\n  left\n"
        "unreachable Inspect the file [away]: timed out\n"
        f"changed Inspect the file [changed], ok [{first}, and 2 more]"
    )


@each_row(
    ("case", "values", "more", "shown"),
    [
        ("no_log", {"censored": HIDDEN}, (), f"failed  Step [web]: {HIDDEN}"),
        ("assert", {"msg": "nomba_hosts: matches nothing"}, (), "[web]: nomba_hosts: matches"),
        ("ignored", {"msg": "bad"}, (True,), "failed  Step [web]: bad\n...ignoring"),
        ("module died", {"msg": "MODULE FAILURE", "module_stderr": "Killed"}, (), "Killed"),
        ("no message", {"reason": "unknown"}, (), '"reason": "unknown"'),
        ("loop", {"msg": "items failed", "results": [], "reason": "x"}, (), "items failed"),
    ],
)
def test_failure_of_any_kind_is_shown(
    case: str, values: dict[str, Any], more: tuple[bool, ...], shown: str
) -> None:
    screen = Screen()
    action = "ansible.builtin.assert" if case == "assert" else "nomba.auth.nomba_rotation"
    screen.result("on_failed", screen.task("Step", action), "web", *more, **values)
    assert shown in screen.end()


def test_failure_and_its_report_have_one_message() -> None:
    screen = Screen()
    screen.result("on_failed", screen.task("Revoke"), "web", msg="1 token: still_accepted.")
    report = {"msg": ["1 token: still_accepted.", "sha256:0 still_accepted"], "changed": False}
    task = screen.task("Report", "ansible.builtin.debug")
    screen.result("on_ok", task, "web", _ansible_verbose_always=True, **report)
    shown = "failed  Revoke [web]: 1 token: still_accepted.\nweb:\n  sha256:0 still_accepted"
    assert screen.end() == f"Rotate\n{shown}"


def test_verdict_is_the_last_line_after_the_recap_of_another_play() -> None:
    screen = Screen(path="/srv/site.yml")
    screen._path = OURS
    task = screen.task("Print the verdict", step="verdict")
    task.run_once = True
    screen.result("on_failed", task, "web", msg="NOT ROTATED: x", details=["Next: y"])
    shown = screen.end()
    assert shown.count("Next: y") == 1
    assert "PLAY [Rotate]" in shown
    assert "PLAY RECAP" in shown
    assert shown.endswith("\nNOT ROTATED: x")


def test_verdict_is_repeated_after_other_steps() -> None:
    screen = Screen()
    task = screen.task("Check", "nomba.auth.nomba_preflight")
    screen.result("on_ok", task, "web", _ansible_verbose_always=True, msg="READY\n  ok  clock")
    screen.result("on_ok", screen.task("Read the store"), "web")
    report = "web: READY\n    ok  clock\nok      Read the store [web]"
    assert screen.end() == f"Rotate\n{report}\n\nweb: READY"


@pytest.mark.parametrize(
    "how", [{"strategy": "free"}, {"verbosity": 1}, {"path": "/srv/site.yml"}], ids=str
)
def test_other_tasks_are_shown_as_by_default(how: dict[str, Any]) -> None:
    screen = Screen(**how)
    screen.result("on_ok", screen.task("Copy", "ansible.builtin.copy"), "web", changed=False)
    screen.result("on_skipped", screen.task("Reload"), "web")
    shown = screen.end()
    assert "TASK [Copy]\nok: [web]" in shown
    assert "TASK [Reload]\nskipping: [web]" in shown
