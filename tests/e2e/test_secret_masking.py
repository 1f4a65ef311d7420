# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible prints of a returned token, with and without no_log, by the version of Ansible."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.simulator.control_client import ControlClient

from .controller import Controller

ANSIBLE_MASKS = importlib.util.find_spec("ansible.module_utils.secrets") is not None
PLAY = {
    "hosts": "localhost",
    "gather_facts": False,
    "tasks": [
        {"name": "Get a token", "nomba.auth.nomba_token": {}, "register": "nomba"},
        {"name": "Print it", "ansible.builtin.debug": {"var": "nomba"}},
        {
            "name": "Print a sentence with it",
            "ansible.builtin.debug": {"msg": "Bearer {{ nomba.access_token }}"},
        },
        {
            "name": "Use it",
            "nomba.auth.nomba_token_revoke": {"access_token": "{{ nomba.access_token }}"},
        },
    ],
}


@pytest.mark.parametrize("no_log", [False, True], ids=["no_log not set", "no_log set"])
def test_returned_token_is_masked_from_ansible_2_22_on(
    simulator: ControlClient, tmp_path: Path, no_log: bool
) -> None:
    control_host = Controller(simulator, tmp_path)
    tasks = [{**task, "no_log": no_log} for task in PLAY["tasks"]]
    playbook = tmp_path / "play.json"
    playbook.write_text(json.dumps([{**PLAY, "tasks": tasks}]), encoding="utf-8")

    ran = control_host.run(str(playbook), "-vvvv")

    assert ran.status == 0, ran.output
    (issued,) = simulator.tokens()
    assert issued["state"] == "revoked"
    assert simulator.live() == []
    is_printed = "eyJ" in ran.output
    assert is_printed is not (ANSIBLE_MASKS or no_log)
    assert (issued["fingerprint"] in ran.output) is not no_log


def test_token_of_a_file_is_masked_from_ansible_2_22_on(
    simulator: ControlClient, tmp_path: Path
) -> None:
    control_host = Controller(simulator, tmp_path)
    token = "{{ lookup('nomba.auth.stored_token', 'token.json') }}"
    issue = {"name": "Issue", "nomba.auth.nomba_token": {"dest": f"{tmp_path}/token.json"}}
    use = {"name": "Use it", "nomba.auth.nomba_token_revoke": {"access_token": token}}
    show = {"name": "Print it", "ansible.builtin.debug": {"msg": f"Bearer {token}"}}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [issue, use, show]}
    playbook = tmp_path / "play.json"
    playbook.write_text(json.dumps([play]), encoding="utf-8")

    ran = control_host.run(str(playbook), "-vvvv")

    assert ran.status == 0, ran.output
    assert [entry["state"] for entry in simulator.tokens()] == ["revoked"]
    assert ("eyJ" in ran.output) is not ANSIBLE_MASKS
