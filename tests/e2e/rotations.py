# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays of users with the role credential_rotation, and what they leave on hosts and in files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.simulator.tokens import fingerprint

from .controller import Controller, PlaybookRun

ROLE = "nomba.auth.credential_rotation"
# A connection to a closed port.
UNREACHABLE = {
    "ansible_connection": "ssh",
    "ansible_host": "127.0.0.1",
    "ansible_port": 9,
    "ansible_timeout": 5,
}
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
Task = Mapping[str, Any]


def task_file(controller: Controller, name: str, *tasks: Task) -> str:
    """Write a task file of a user, and return its path."""
    path = controller.folder / f"{name}.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return str(path)


def play_file(controller: Controller, *tasks: Task, **keywords: Any) -> str:
    """Write a playbook of a user, and return its path. Without tasks, it imports the role."""
    path = controller.folder / "play.json"
    work = tasks or [{"import_role": {"name": ROLE}}]
    play = {"hosts": "nomba", "gather_facts": False, "tasks": work, **keywords}
    path.write_text(json.dumps([play]), encoding="utf-8")
    return str(path)


def rotate(controller: Controller, *arguments: str, **variables: Any) -> PlaybookRun:
    """Run a play with the role. The names of the variables lack the prefix of the options."""
    path = play_file(controller)
    return controller.run(path, *arguments, **options(**variables))


def options(**variables: Any) -> dict[str, Any]:
    """Return options of the role."""
    return {f"credential_rotation_{name}": value for name, value in variables.items()}


def reload_tasks(controller: Controller, *more: Task) -> str:
    """Write a task file that records the host, and return its path."""
    line = f"echo {{{{ inventory_hostname }}}} >> {controller.folder}/reloads"
    return task_file(controller, "reload", {"name": "Reload", "shell": line}, *more)


def reloads(controller: Controller) -> list[str]:
    """Return the hosts that were reloaded, sorted; a host is repeated for each reload."""
    path = controller.folder / "reloads"
    return sorted(path.read_text(encoding="utf-8").split()) if path.exists() else []


def fails_on(
    host: str, controller: Controller, only_with_new_token: bool = True, name: str = "health"
) -> str:
    """Write a health check that fails on one host, and return the path."""
    conditions = [f"inventory_hostname == '{host}'"]
    if only_with_new_token:
        old = controller.state["current"]["fingerprint"]
        used = "credential_rotation_service.access_token | nomba.auth.token_fingerprint"
        conditions.append(f"{used} != '{old}'")
    check = {"name": "Check", "fail": {"msg": "the service is down"}, "when": conditions}
    return task_file(controller, name, check)


def on_host(controller: Controller, host: str) -> str:
    """Return the fingerprint of the token in the file of a host; empty if there is none."""
    found = _TOKEN.findall(controller.token_file(host).read_text(encoding="utf-8"))
    return fingerprint(found[0]) if found else ""


def held(controller: Controller) -> dict[str, str]:
    """Return the fingerprint of the token on each host."""
    return {host: on_host(controller, host) for host in controller.hosts}


def audit(controller: Controller) -> list[dict[str, Any]]:
    """Return the events of the audit log."""
    path = controller.store.with_name("audit.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def outcomes(controller: Controller) -> list[str]:
    """Return the outcomes of the events of the audit log."""
    return [event["outcome"] for event in audit(controller)]


def writes(controller: Controller) -> list[str]:
    """Return the operations of the requests that change the API's state."""
    return [entry.operation for entry in controller.simulator.writes()]


def message(run: PlaybookRun) -> str:
    """Return the message of the last failed task, with its details."""
    found = re.findall(r'"msg": (".*")', run.output)
    details = re.findall(r'"details": (\[[^]]*\])', run.output)
    return " ".join([json.loads(found[-1]), *(json.loads(details[-1]) if details else [])])


def current(controller: Controller) -> str:
    """Return the fingerprint of the current token of the store."""
    return str(controller.state["current"]["fingerprint"])


def previous(controller: Controller) -> Sequence[str]:
    """Return the fingerprints of the replaced tokens in the store."""
    return [one["fingerprint"] for one in controller.state["previous"]]


def assert_unchanged(controller: Controller, old: str) -> None:
    """Require that the old token is in service on all hosts, and that nothing was sent or saved."""
    assert writes(controller) == []
    assert controller.simulator.live() == [old]
    assert held(controller) == dict.fromkeys(controller.hosts, old)
    assert current(controller) == old
    assert (controller.state["pending"], controller.state["rotation"]) == (None, None)
    assert audit(controller) == []


def assert_in_service(controller: Controller, name: str) -> None:
    """Require that one token is valid, used by all hosts, and the only one in the store."""
    assert controller.simulator.live() == [name]
    assert held(controller) == dict.fromkeys(controller.hosts, name)
    state = controller.state
    assert (current(controller), state["pending"], state["previous"]) == (name, None, [])
    assert state["rotation"] is None
    assert not controller.issued.exists()
