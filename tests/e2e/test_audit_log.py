# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each playbook that revokes appends its outcomes to the audit log of the control host."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint

from .controller import Controller, PlaybookRun
from .rotations import message, task_file
from .screens import printed

pytestmark = pytest.mark.newest

# The playbook scan shares the tasks of revoke; revoke_leaked has its own.
PLAYBOOKS = ("revoke", "revoke_leaked")


class Playbook:
    """A playbook that revokes the tokens in one file of the control host."""

    def __init__(self, name: str, controller: Controller) -> None:
        self.name = name
        self.controller = controller
        self.file = controller.folder / "alert-1.txt"
        self.log = controller.folder / "home" / ".nomba" / "audit.jsonl"

    def __call__(self, *arguments: str, **given: Any) -> PlaybookRun:
        source = {"nomba_sources": [str(self.file)]}
        if self.name == "revoke_leaked":
            source = {"nomba_spool": str(self.file)}
        elif self.name == "scan":
            source["nomba_hosts"] = "nomba"
        return self.controller.run(f"nomba.auth.{self.name}", *arguments, **{**source, **given})

    def hold(self, *tokens: str) -> None:
        """Write tokens to the file."""
        self.file.write_text("\n".join(["a line", *tokens]), encoding="utf-8")

    def events(self, path: Path | None = None) -> list[tuple[str, list[str]]]:
        """Return outcome and fingerprints of each event in the audit log."""
        lines = (path or self.log).read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        return [(one["outcome"], one["fingerprints"]) for one in found]


@pytest.fixture(params=PLAYBOOKS)
def playbook(request: pytest.FixtureRequest, simulator: ControlClient, tmp_path: Path) -> Playbook:
    environment = {"GITHUB_ACTOR": "octocat"}  # a job of GitHub Actions, without USER
    return Playbook(request.param, Controller(simulator, tmp_path, environment=environment))


def test_every_run_appends_to_the_log_in_the_home_folder(playbook: Playbook) -> None:
    simulator = playbook.controller.simulator
    first, second, third = simulator.mint_many(3)
    playbook.hold(first)
    checked = playbook("--check")
    assert checked.status == 0, checked.output
    assert not playbook.log.parent.exists()

    done = playbook()
    assert done.status == 0, done.output
    assert "changed=1" in done.output or playbook.name == "revoke_leaked"
    assert playbook.events() == [("revoked", [fingerprint(first)])]
    assert json.loads(playbook.log.read_text(encoding="utf-8"))["actor"] == "octocat"
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (playbook.log.parent, playbook.log)]
    assert modes == [0o700, 0o600]

    other = playbook.controller.folder / "other" / "audit.jsonl"
    playbook.hold(second)
    assert playbook(nomba_audit=str(other)).status == 0
    assert playbook.events(other) == [("revoked", [fingerprint(second)])]

    playbook.hold(third)
    off = playbook("-e", "nomba_audit=false")
    assert off.status == 0, off.output
    assert len(playbook.events()) == 1
    assert list(playbook.controller.folder.glob("**/false")) == []
    assert simulator.live() == []


def test_failed_append_fails_the_run_after_the_revocation(playbook: Playbook) -> None:
    simulator = playbook.controller.simulator
    token = simulator.mint()
    playbook.hold(token)
    playbook.log.parent.parent.mkdir()
    playbook.log.parent.write_text("a file in place of the folder", encoding="utf-8")
    run = playbook()
    assert run.status == 2, run.output
    assert simulator.live() == []
    assert printed(run)[0].startswith("NOT REPORTED: Append the outcomes to the audit log: path: ")
    assert "REVOKED AND VERIFIED 1 of 1 token." in printed(run)
    assert "eyJ" not in run.output


@pytest.mark.parametrize("playbook", ["scan"], indirect=True)
def test_run_that_revokes_nothing_is_in_the_log(playbook: Playbook) -> None:
    playbook.hold()
    assert playbook().status == 0
    assert playbook.events() == [("nothing_found", [])]
    playbook.file.unlink()
    failed = playbook()
    assert failed.status == 2, message(failed)
    assert playbook.events() == [("nothing_found", []), ("failed", [])]


@pytest.mark.parametrize("playbook", ["revoke"], indirect=True)
def test_log_and_report_do_not_depend_on_each_other(playbook: Playbook) -> None:
    folder = playbook.controller.folder
    playbook.hold(playbook.controller.simulator.mint())
    (folder / "file").write_text("a file in place of a folder", encoding="utf-8")
    missing = str(folder / "file" / "one")

    unwritten = playbook(nomba_report=missing)
    assert printed(unwritten)[0].startswith("NOT REPORTED: Write the report: path: ")
    assert [outcome for outcome, __ in playbook.events()] == ["revoked"]

    notify = {"name": "Notify", "copy": {"content": "", "dest": str(folder / "notified")}}
    given = {"nomba_notify_tasks": task_file(playbook.controller, "notify", notify)}
    unlogged = playbook(nomba_audit=missing, nomba_report=str(folder / "report"), **given)
    first = "NOT REPORTED: Append the outcomes to the audit log: path: "
    assert printed(unlogged)[0].startswith(first)
    assert (folder / "report.json").exists()
    assert (folder / "notified").exists()
