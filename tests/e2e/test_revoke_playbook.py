# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook nomba.auth.revoke prints its verdict last and once, and writes a report."""

from __future__ import annotations

import json
from pathlib import Path

from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint

from .controller import Controller
from .rotations import message, task_file
from .screens import assert_screen


def test_verdict_is_last_and_the_report_has_the_evidence(
    simulator: ControlClient, tmp_path: Path
) -> None:
    controller = Controller(simulator, tmp_path)
    good, other = simulator.mint_many(2)
    log = tmp_path / "app.log"
    log.write_text(f"a line\nBearer {good} 200\n{other}\n", encoding="utf-8")
    text = "{{ nomba_incident_report.report.verdict }}"
    note = {"name": "Notify", "copy": {"content": text, "dest": str(tmp_path / "notified")}}
    given = {
        "nomba_sources": [str(log)],
        "nomba_report": str(tmp_path / "incident"),
        "nomba_incident": "INC-42",
        "nomba_audit": str(tmp_path / "audit.jsonl"),
        "nomba_notify_tasks": task_file(controller, "notify", note),
    }

    looked = controller.run("nomba.auth.revoke", "--check", **given)
    assert looked.status == 0, looked.output
    assert "CHECK MODE, nothing was revoked. WOULD BE REVOKED 2 of 2 tokens." in looked.output
    assert (simulator.writes(), list(tmp_path.glob("incident*"))) == ([], [])

    assert_screen("check mode", looked, controller)

    simulator.configure(revoke_effective=False)
    alive = controller.run("nomba.auth.revoke", **given)
    assert alive.status == 2
    assert message(alive).startswith("STILL ALIVE 2 of 2 tokens: sha256:")
    assert "Next: remove the causes, then run ansible-playbook nomba.auth.revoke" in message(alive)
    # Ansible prints the message of a failed task twice, since version 2.19.
    assert 1 <= alive.output.count("STILL ALIVE") <= 2
    assert (tmp_path / "notified").read_text(encoding="utf-8") == "0 of 2 tokens are proved dead"

    assert_screen("still alive", alive, controller)

    simulator.configure(revoke_effective=True)
    done = controller.run("nomba.auth.revoke", **given)
    assert done.status == 0, done.output
    end = done.output[done.output.index("TASK [Print the verdict]") :]
    assert "REVOKED AND VERIFIED 2 of 2 tokens." in end
    assert f"{fingerprint(good)}  localhost  {log}:2" in end
    document = json.loads((tmp_path / "incident-2.json").read_text(encoding="utf-8"))
    assert (document["incident"], document["problems"]) == ("INC-42", [])
    assert {one["proved"] for one in document["credentials"]} == {True}
    assert document["credentials"][0]["locations"][0]["host"] == "localhost"
    lines = (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["still_accepted"] * 2 + [
        "revoked"
    ] * 2
    assert simulator.live() == []
    assert "eyJ" not in looked.output + alive.output + done.output

    assert_screen("revoked", done, controller)
    missing = str(tmp_path / "missing")
    unread = controller.run("nomba.auth.revoke", nomba_sources=[str(log), missing])
    assert unread.status == 2
    assert_screen("unread", unread, controller)

    failed = controller.run("nomba.auth.revoke", nomba_sources=[str(log)], nomba_proof="maybe")
    assert failed.status == 2
    assert message(failed).startswith("NOT PROCESSED 1 of 1 host: localhost (value of proof")


def test_playbook_imported_by_another_one_writes_the_audit_log(
    simulator: ControlClient, tmp_path: Path
) -> None:
    controller = Controller(simulator, tmp_path)
    (tmp_path / "project").mkdir()
    play = tmp_path / "project" / "revoke.json"
    play.write_text(json.dumps([{"import_playbook": "nomba.auth.revoke"}]), encoding="utf-8")
    run = controller.run(str(play), nomba_access_tokens=[simulator.mint()])
    assert run.status == 0, run.output
    (line,) = (tmp_path / "home/.nomba/audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["outcome"] == "revoked"
