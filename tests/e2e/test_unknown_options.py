# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real playbooks with a misspelt option: they stop before any request and name the option."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.simulator.control_client import ControlClient
from tests.unit.modules.test_documents import ROOT

from .controller import Controller

PLAYBOOKS = ROOT / "playbooks"
# Whoever reaches this host before the check has failed.
UNREACHABLE = {"ansible_connection": "ssh", "ansible_host": "192.0.2.1", "ansible_port": 9}
EMERGENCY = "credential_rotation_emergancy"
REFUSED = f"{EMERGENCY}: no such option; did you mean credential_rotation_emergency? Nothing"


@pytest.fixture
def controller(simulator: ControlClient, tmp_path: Path) -> Controller:
    """A control host with a token in service, which may be revoked."""
    one = Controller(simulator, tmp_path)
    one.put_in_service(age=60)
    return one


def assert_nothing_was_done(controller: Controller) -> None:
    """No request was sent, and nobody wrote the store or the audit record."""
    assert controller.simulator.requests() == []
    assert controller.state["events"] == []
    assert [path.name for path in controller.store.parent.iterdir()] == ["credentials.json"]


def role_play(folder: Path, task: dict[str, Any], **more: Any) -> str:
    """The path of a playbook of a user, with one task."""
    path = folder / "play.yml"
    play = {"hosts": "nomba", "gather_facts": False, "tasks": [task], **more}
    path.write_text(json.dumps([play]), encoding="utf-8")
    return str(path)


# Each as a user types it, and what the message says.
ARGUMENTS: dict[str, tuple[list[str], str]] = {
    "rotate": (["nomba.auth.rotate", "-e", f"{EMERGENCY}=true"], REFUSED),
    "rotate in check mode": (["nomba.auth.rotate", "--check", "-e", f"{EMERGENCY}=true"], REFUSED),
    "rotate without a value": (
        ["nomba.auth.rotate", "-e", "credential_rotation_emergency"],
        "An argument of -e is not of the form NAME=VALUE",
    ),
    "rotate with a colon": (
        ["nomba.auth.rotate", "-e", "credential_rotation_emergency: true"],
        "An argument of -e is not of the form NAME=VALUE",
    ),
    "rotate, other hosts": (
        ["nomba.auth.rotate", "-e", "nomba_host=service"],
        "nomba_host: no such option; did you mean nomba_hosts? Nothing was done.",
    ),
    "revoke": (
        ["nomba.auth.revoke", "-e", "nomba_source=/var/log"],
        "nomba_source: no such option; did you mean nomba_sources? Nothing was done.",
    ),
    "revoke, no hosts": (
        ["nomba.auth.revoke", "-e", "nomba_hosts=servise"],
        "nomba_hosts: servise matches no host of the inventory. Nothing was done.",
    ),
    "revoke_leaked": (
        ["nomba.auth.revoke_leaked", "-e", "nomba_spol=/tmp/alert-1.txt"],
        "nomba_spol: no such option; did you mean nomba_spool? Nothing was done.",
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_misspelt_argument_stops_the_playbook(controller: Controller, name: str) -> None:
    (playbook, *arguments), result = ARGUMENTS[name]
    # The playbook of a user who has set this in the environment has something to revoke.
    controller.environment["NOMBA_ACCESS_TOKEN"] = controller.simulator.mint()
    ran = controller.run(playbook, *arguments)
    assert ran.status != 0
    assert result in ran.output
    assert_nothing_was_done(controller)


def test_a_misspelt_variable_of_the_last_host_stops_all_before_any_is_reached(
    controller: Controller,
) -> None:
    controller.hosts = {"first": UNREACHABLE, "second": UNREACHABLE, "third": {EMERGENCY: True}}
    ran = controller.run("nomba.auth.rotate")
    assert ran.status != 0
    assert REFUSED in ran.output
    assert "UNREACHABLE" not in ran.output
    assert_nothing_was_done(controller)


def test_variables_of_the_inventory_that_name_no_option_stop_a_playbook(
    controller: Controller,
) -> None:
    controller.hosts = {"first": UNREACHABLE, "second": {"nomba_dedline": 900}}
    ran = controller.run("nomba.auth.revoke", nomba_hosts="nomba")
    assert ran.status != 0
    assert "nomba_dedline: no such option; did you mean nomba_deadline?" in ran.output
    assert "UNREACHABLE" not in ran.output
    assert_nothing_was_done(controller)


def test_hosts_that_are_set_in_the_inventory_are_not_silently_replaced(
    controller: Controller,
) -> None:
    controller.all_variables["nomba_hosts"] = "nomba"
    ran = controller.run("nomba.auth.revoke", nomba_sources=[str(controller.folder)])
    assert ran.status != 0
    assert "nomba_hosts: set it with -e" in ran.output
    assert_nothing_was_done(controller)


ROLE = "nomba.auth.credential_rotation"
TYPO: dict[str, Any] = {EMERGENCY: True}
USES: dict[str, dict[str, Any]] = {
    "include_role": {"task": {"include_role": {"name": ROLE}, "vars": TYPO}},
    "play variables": {"task": {"import_role": {"name": ROLE}}, "vars": TYPO},
}


@pytest.mark.parametrize("name", USES)
def test_a_misspelt_variable_stops_the_role_in_a_play_of_a_user(
    controller: Controller, name: str
) -> None:
    controller.hosts = {"first": UNREACHABLE, "second": {}}
    ran = controller.run(role_play(controller.folder, **USES[name]))
    assert ran.status != 0
    assert REFUSED in ran.output
    assert "UNREACHABLE" not in ran.output
    assert_nothing_was_done(controller)


def test_a_value_that_is_no_boolean_names_the_option(controller: Controller) -> None:
    ran = controller.run("nomba.auth.rotate", "-e", "credential_rotation_emergency=yess")
    assert ran.status != 0
    assert_nothing_was_done(controller)
    assert re.search(r"credential_rotation_emergency.{1,80}convert to bool.+yess", ran.output)


def test_variables_of_ones_own_do_not_stop_a_playbook(controller: Controller) -> None:
    own = {"nomba_account_id": "a", "nomba_client_id": "b", "nomba_api_url": "c", "nomba_x": "d"}
    tasks = controller.folder / "tasks.yml"
    # By way of an include, whose own arguments are no variables.
    tasks.write_text(json.dumps([{"include_role": {"name": ROLE}}]), encoding="utf-8")
    path = role_play(controller.folder, {"include_tasks": str(tasks)}, vars=own)
    # What the role checks next, still before it does anything.
    own["credential_rotation_format"] = "template"
    ran = controller.run(path, "--extra-vars", "@" + _variables(controller.folder, own))
    assert "credential_rotation_format=template needs credential_rotation_template" in ran.output
    assert_nothing_was_done(controller)


def _variables(folder: Path, variables: dict[str, Any]) -> str:
    path = folder / "variables.yml"
    path.write_text(json.dumps(variables), encoding="utf-8")
    return str(path)


# What the playbooks state


def used(text: str) -> set[str]:
    """The variables of ours that a text reads, and not those that it registers."""
    names = set(re.findall(r"(?<![\w.])nomba_\w+(?! *(?:#|is not))", text))
    return {name for name in names if not name.startswith(("nomba_token", "nomba_revoked"))}


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.stem)
def test_a_playbook_knows_the_options_that_it_uses_and_describes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    plays = yaml.safe_load(text)
    known = set(plays[0]["tasks"][0]["vars"]["_nomba_options"])
    body = "".join(line for line in text.splitlines(True) if not line.lstrip().startswith("#"))
    templates = re.findall(r"\{\{.+?\}\}|that: .+", body)
    assert known == {name for one in templates for name in used(one)}
    described = set(re.findall(r"^# (nomba_\w+) {2,}", text, re.MULTILINE))
    assert described == known


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.stem)
def test_the_first_task_of_the_first_and_last_play_checks_the_names(path: Path) -> None:
    first, *_others, last = yaml.safe_load(path.read_text(encoding="utf-8"))
    for play in (first, last):
        task = (play.get("pre_tasks") or play["tasks"])[0]
        assert "nomba.auth.unknown_variables" in task["vars"]["_nomba_misspelt"]
        assert task["any_errors_fatal"] is True
        assert not {"run_once", "when", "delegate_to"} & set(task)
