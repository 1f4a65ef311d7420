# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks on a control host with a wrong clock leave no token alive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID, SECOND_CLIENT_SECRET
from tests.simulator.tokens import fingerprint

from .controller import Controller

AHEAD, BEHIND = 7200.0, -7200.0
# A clock two hours ahead shows such a token as expired; the API accepts it for another hour.
LIFETIME = 3600.0

# Integration tests run the playbooks on the oldest Ansible, and unit tests the modules.
pytestmark = pytest.mark.newest


@pytest.fixture
def controller(simulator: ControlClient, tmp_path: Path) -> Controller:
    """A control host, and an API whose tokens live for an hour."""
    simulator.configure(token_lifetime=LIFETIME)
    return Controller(simulator, tmp_path)


def retired(state: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return outcome and fingerprints of each retire event."""
    events = [event for event in state["events"] if event["step"] == "retire"]
    return [(event["outcome"], event["fingerprints"]) for event in events]


def test_rotation_revokes_the_old_token_and_the_token_of_the_old_client(
    controller: Controller,
) -> None:
    simulator = controller.simulator
    old = controller.put_in_service(age=60, lifetime=LIFETIME)
    controller.clock_shift = AHEAD
    old_client = {
        "credential_rotation_old_client_id": SECOND_CLIENT_ID,
        "credential_rotation_old_client_secret": SECOND_CLIENT_SECRET,
    }
    run = controller.run("nomba.auth.rotate", credential_rotation_force=True, **old_client)
    assert "The old client still gets tokens" in run.output
    state = controller.state
    assert simulator.live() == [state["current"]["fingerprint"]]
    assert (state["previous"], state["rotation"]) == ([], None)
    assert retired(state) == [("revoked", [fingerprint(old)])]
    writes = [entry.operation for entry in simulator.writes()]
    assert writes == ["issue", "revoke", "issue", "revoke"]
    last = state["events"][-1]
    assert (last["step"], last["outcome"]) == ("check_old_client", "issued")
    assert not controller.issued.with_name("client-check.json").exists()


def test_emergency_revokes_the_old_token_and_an_issued_one_outside_the_store(
    controller: Controller,
) -> None:
    simulator = controller.simulator
    old = controller.put_in_service(age=60, lifetime=LIFETIME)
    orphan = controller.write_issued(simulator.mint(lifetime=LIFETIME))
    controller.clock_shift = AHEAD
    run = controller.run("nomba.auth.rotate", credential_rotation_emergency=True)
    assert run.status == 0, run.output
    state = controller.state
    assert simulator.live() == [state["current"]["fingerprint"]]
    assert fingerprint(orphan) != state["current"]["fingerprint"]
    assert (state["previous"], state["rotation"]) == ([], None)
    assert retired(state) == [("revoked", [fingerprint(old)]), ("revoked", [fingerprint(orphan)])]
    assert [entry.operation for entry in simulator.writes()] == ["revoke", "revoke", "issue"]


def test_leaked_token_that_seems_expired_is_revoked(controller: Controller, tmp_path: Path) -> None:
    simulator = controller.simulator
    leaked = simulator.mint(age=60, lifetime=LIFETIME)
    spool = tmp_path / "alert-1.txt"
    spool.write_text(leaked, encoding="utf-8")
    controller.clock_shift = AHEAD
    # The playbook fixes both options: a variable cannot change them.
    options = {"nomba_spool": str(spool), "nomba_expired": "skip", "nomba_proof": "none"}
    run = controller.run("nomba.auth.revoke_leaked", **options)
    assert run.status == 0, run.output
    assert not simulator.accepts(leaked)
    assert not spool.exists()


def test_emergency_revokes_the_tokens_of_the_store_beside_an_unreadable_issue_file(
    controller: Controller,
) -> None:
    simulator = controller.simulator
    controller.put_in_service(age=60, lifetime=LIFETIME)
    controller.write_issued("no token at all")
    controller.clock_shift = BEHIND
    run = controller.run("nomba.auth.rotate", credential_rotation_emergency=True)
    assert run.status != 0
    assert "issued.json does not contain a token" in run.output
    assert simulator.live() == []
    assert (controller.state["current"], controller.state["previous"]) == (None, [])
    assert json.loads(controller.issued.read_text(encoding="utf-8"))


def test_only_a_file_of_the_event_filter_is_removed(controller: Controller, tmp_path: Path) -> None:
    precious = tmp_path / "notes.txt"
    precious.mkdir()
    (precious / "app.log").write_text("nothing to see here", encoding="utf-8")
    run = controller.run("nomba.auth.revoke_leaked", nomba_spool=str(precious))
    assert run.status != 0
    assert "nomba_spool: " in run.output
    assert (precious / "app.log").exists()
