# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks with a misspelled option stop before any request and name the option."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient

from .controller import Controller

# A run that connects to this host before the check fails.
UNREACHABLE = {"ansible_connection": "ssh", "ansible_host": "192.0.2.1", "ansible_port": 9}
EMERGENCY = "credential_rotation_emergancy"
REFUSED = f"{EMERGENCY}: no such option; did you mean credential_rotation_emergency? "
ROLE = "nomba.auth.credential_rotation"


@pytest.fixture
def controller(simulator: ControlClient, tmp_path: Path) -> Controller:
    """A control host with a token in service, and a token in the environment."""
    controller = Controller(simulator, tmp_path)
    controller.put_in_service(age=60)
    # The playbook revoke has something to revoke, and must not.
    controller.environment["NOMBA_ACCESS_TOKEN"] = simulator.mint()
    return controller


def assert_stopped(controller: Controller, playbook: str, *arguments: str, **variables: Any) -> str:
    """Run a playbook that must fail before any effect, and return its output.

    No host is reached, no request is sent, and neither the store nor the audit log is written.
    """
    run = controller.run(playbook, *arguments, **variables)
    assert run.status != 0
    assert "UNREACHABLE" not in run.output
    assert controller.simulator.requests() == []
    assert controller.state["events"] == []
    assert [path.name for path in controller.store.parent.iterdir()] == ["credentials.json"]
    return run.output


def user_playbook(folder: Path, task: dict[str, Any], **more: Any) -> str:
    """Write a playbook of a user with one task, and return its path."""
    path = folder / "play.yml"
    play = {"hosts": "nomba", "gather_facts": False, "tasks": [task], **more}
    path.write_text(json.dumps([play]), encoding="utf-8")
    return str(path)


def test_misspelled_argument_stops_the_playbook(controller: Controller) -> None:
    output = assert_stopped(controller, "nomba.auth.rotate", "-e", "nomba_host=service")
    assert "nomba_host: no such option; did you mean nomba_hosts? Nothing was done." in output


def test_argument_without_a_value_stops_the_playbook(controller: Controller) -> None:
    # tests/unit/modules/test_unknown_variables.py: every such form is the same to Ansible.
    option = "credential_rotation_emergency"
    output = assert_stopped(controller, "nomba.auth.rotate", "-e", option)
    assert "An argument of -e does not have the form NAME=VALUE" in output


def test_hosts_that_match_nothing_stop_the_playbook(controller: Controller) -> None:
    output = assert_stopped(controller, "nomba.auth.revoke", "-e", "nomba_hosts=servise")
    assert "nomba_hosts: servise matches no host of the inventory. Nothing was done." in output


def test_misspelled_variable_of_the_last_host_stops_all_hosts(controller: Controller) -> None:
    controller.hosts = {"first": UNREACHABLE, "second": UNREACHABLE, "third": {EMERGENCY: True}}
    assert f"{REFUSED}Nothing" in assert_stopped(controller, "nomba.auth.rotate")


def test_misspelled_variable_of_the_inventory_stops_the_playbook(controller: Controller) -> None:
    controller.hosts = {"first": UNREACHABLE, "second": {"nomba_dedline": 900}}
    output = assert_stopped(controller, "nomba.auth.revoke", nomba_hosts="nomba")
    assert "nomba_dedline: no such option; did you mean nomba_deadline?" in output


def test_nomba_hosts_in_the_inventory_stops_the_playbook(controller: Controller) -> None:
    controller.all_variables["nomba_hosts"] = "nomba"
    sources = [str(controller.folder)]
    output = assert_stopped(controller, "nomba.auth.revoke", nomba_sources=sources)
    assert "nomba_hosts: set it with -e" in output


def test_misspelled_variables_of_a_play_and_of_a_task_stop_the_role(controller: Controller) -> None:
    controller.hosts = {"first": UNREACHABLE, "second": {}}
    task = {"include_role": {"name": ROLE}, "vars": {"credential_rotation_forse": True}}
    path = user_playbook(controller.folder, task, vars={EMERGENCY: True})
    output = assert_stopped(controller, path)
    forse = "credential_rotation_forse: no such option; did you mean credential_rotation_force? "
    assert f"{REFUSED}{forse}Nothing" in output


def test_value_that_is_no_boolean_names_the_option(controller: Controller) -> None:
    option = "credential_rotation_emergency"
    output = assert_stopped(controller, "nomba.auth.rotate", "-e", f"{option}=yess")
    assert re.search(rf"{option}.{{1,80}}convert to bool.+yess", output)


def test_variables_of_the_user_do_not_stop_the_role(controller: Controller) -> None:
    own = {"nomba_account_id": "a", "nomba_client_id": "b", "nomba_api_url": "c", "nomba_x": "d"}
    tasks = controller.folder / "tasks.yml"
    # An include has arguments of its own, which are no variables.
    tasks.write_text(json.dumps([{"include_role": {"name": ROLE}}]), encoding="utf-8")
    path = user_playbook(controller.folder, {"include_tasks": str(tasks)}, vars=own)
    # The role rejects this one in its next check, before any effect.
    own["credential_rotation_format"] = "template"
    variables = controller.folder / "variables.yml"
    variables.write_text(json.dumps(own), encoding="utf-8")
    output = assert_stopped(controller, path, "--extra-vars", f"@{variables}")
    assert "credential_rotation_template: credential_rotation_format=template needs it" in output
