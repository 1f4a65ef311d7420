# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The screen of a rotation with the callback nomba.auth.steps, on each version of Ansible."""

from __future__ import annotations

import re
from pathlib import Path

from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint

from .controller import Controller
from .rotations import current, fails_on, options, reload_tasks

ROTATED = """\
Rotate the Nomba credentials
ok      Check the options and read the store [localhost]
ok      Inspect the file of each host [alpha, beta]
changed Plan the rotation, and issue a token or verify the client [localhost]
changed Write the file [alpha, beta]

TASK [nomba.auth.credential_rotation : Reload]
changed: [alpha]
changed: [beta]

changed Record the results, choose the next hosts or promote the credential [localhost]
changed Retire the replaced credential [localhost]

ROTATED token OLD -> NEW: 2 of 2 hosts, old token revoked and verified TIME, outage 0 s
"""
ROLLED_BACK = """\
Rotate the Nomba credentials
ok      Check the options and read the store [localhost]
ok      Inspect the file of each host [alpha, beta]
changed Plan the rotation, and issue a token or verify the client [localhost]
changed Write the file [alpha, beta]

TASK [nomba.auth.credential_rotation : Check]
skipping: [alpha]
fatal: [beta]: FAILED! => {"changed": false, "msg": "the service is down"}

changed Record the results, choose the next hosts or promote the credential [localhost]
changed Write the file [alpha, beta]

TASK [nomba.auth.credential_rotation : Check]
skipping: [alpha]
skipping: [beta]

changed Record the results, choose the next hosts or promote the credential [localhost]
changed Retire the replaced credential [localhost]

ROLLED BACK: token NEW on 2 of 2 hosts
"""


def screen(output: str, **marks: str) -> tuple[str, str]:
    """Return the screen up to the verdict, and the lines after it, in a comparable form."""
    # From ansible-core 2.19 on, Ansible prints the error of another task twice.
    text = re.sub(r"\[ERROR\]: .*?\n\n", "", output, flags=re.DOTALL)
    text = re.sub(r" \*+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"[0-9T:-]{19}Z", "TIME", text)
    for name, mark in marks.items():
        text = text.replace(mark, name)
    # Hosts end a task in any order.
    pairs = (
        r"^((?:changed|skipping): \[beta\])\n(.*\[alpha\])$|^(fatal: \[beta\].*)\n(.*\[alpha\])$"
    )
    text = re.sub(pairs, r"\2\4\n\1\3", text, flags=re.MULTILINE)
    before, verdict, details = re.split(r"^(ROTATED.*\n|ROLLED.*\n)", text, flags=re.MULTILINE)
    return before + verdict, details


def test_rotation_and_rollback_are_shown_as_steps(simulator: ControlClient, tmp_path: Path) -> None:
    controller = Controller(simulator, tmp_path, hosts={"alpha": {}, "beta": {}})
    controller.environment["ANSIBLE_STDOUT_CALLBACK"] = "nomba.auth.steps"
    old = fingerprint(controller.put_in_service())

    run = controller.run("nomba.auth.rotate", **options(reload_tasks=reload_tasks(controller)))
    new = current(controller)
    shown, details = screen(run.output, OLD=old, NEW=new)
    assert (run.status, shown) == (0, ROTATED)
    assert details.splitlines()[-1] == "report  finished  NEW"

    health = fails_on("beta", controller)
    run = controller.run("nomba.auth.rotate", **options(force=True, health_tasks=health))
    shown, details = screen(run.output, NEW=new)
    assert (run.status, shown) == (2, ROLLED_BACK)
    assert "PLAY RECAP" not in details
    assert details.splitlines()[-1].startswith("Next: ansible-playbook nomba.auth.rotate")
    assert "eyJ" not in run.output
