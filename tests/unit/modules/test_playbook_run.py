# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The name of a run, whether a run is alive, who started it, and how it is resumed."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import sys
from types import SimpleNamespace

import pytest

from ansible_collections.nomba.auth.plugins.plugin_utils import _playbook_run
from ansible_collections.nomba.auth.plugins.plugin_utils._playbook_run import (
    current_user,
    resume_command,
    state_of,
    this_run,
)
from tests.unit.tables import each_row

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="start times are known on Linux only")


def as_if_in(process: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name that a worker of this process gives to its run."""
    with monkeypatch.context() as patch:
        patch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=process))
        return this_run()


def test_this_run_is_alive() -> None:
    assert state_of(this_run()) == "alive"
    assert this_run() == this_run()
    assert this_run().split("/")[1] == str(os.getpid())


def test_worker_with_an_unknown_parent_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    named = this_run()
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=None))
    assert this_run() == named


@on_linux
def test_reused_process_id_is_another_run() -> None:
    machine, process, started = this_run().split("/")
    assert state_of(f"{machine}/{process}/{int(started) - 1}") == "dead"
    assert state_of(f"{machine}/{process}/{started}0") == "dead"
    assert state_of(f"{machine}/{process}/") == "dead"


@on_linux
def test_run_before_a_reboot_is_elsewhere() -> None:
    host, __, boot = this_run().split("/", maxsplit=1)[0].rpartition(".")
    assert len(boot) == 36
    assert state_of(this_run().replace(boot, boot[::-1])) == "elsewhere"
    assert state_of(this_run().replace(host, f"{host}x", 1)) == "elsewhere"


@pytest.mark.parametrize(
    "run",
    [
        "",
        "none",
        "/",
        "//",
        "///",
        "elsewhere.example/1/1",
        "a/b/c",
        "\0",
        "../../1",
        "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
    ],
)
def test_invalid_name_is_elsewhere(run: str) -> None:
    assert state_of(run) == "elsewhere"


@pytest.mark.parametrize("process", ["", "x", "-1", "1.5", " 1", "0x1"])
def test_name_without_a_process_id_is_elsewhere(process: str) -> None:
    machine, __, started = this_run().split("/")
    assert state_of(f"{machine}/{process}/{started}") == "elsewhere"


def test_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_process: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert state_of(this_run()) == "alive"


# The user


VARIABLES = ("USER", "LOGNAME", "SUDO_USER", "GITHUB_ACTOR", "GITLAB_USER_LOGIN")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Remove every variable that names the user."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    return monkeypatch


def test_first_variable_with_a_name_is_the_user(nobody: pytest.MonkeyPatch) -> None:
    awx = {"awx_user_name": "from awx"}
    assert current_user({}) == "uid 4242"
    assert current_user(awx) == "from awx"
    for name in reversed(VARIABLES):
        nobody.setenv(name, f"from {name}")
        assert current_user(awx) == f"from {name}"


@each_row("blank", ["", " ", "\n"], ids=repr)
def test_blank_name_is_no_user(blank: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 4242)
        for name in VARIABLES:
            patch.setenv(name, blank)
        assert current_user({"awx_user_name": blank}) == "uid 4242"
        assert current_user({"awx_user_name": None}) == "uid 4242"
        patch.setenv("SUDO_USER", " ada ")
        assert current_user({}) == "ada"


# The command


SECRET = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
EMERGENCY = "-e credential_rotation_emergency=true"


@each_row(
    ("arguments", "command"),
    [
        ("", ""),
        ("/usr/bin/python3 -m x", ""),
        ("/bin/ansible-playbook site.yml", "ansible-playbook site.yml"),
        ("ansible-playbook -i my\\ hosts a.yml -b", "ansible-playbook -i 'my hosts' a.yml -b"),
        ("ansible-playbook a.yml --check -D -l db1 --start-at-task=x", "ansible-playbook a.yml"),
        ("ansible-playbook a.yml -t x --skip-tags y --limit=z", "ansible-playbook a.yml"),
        ("ansible-playbook a.yml -e @vars.yml", "ansible-playbook a.yml -e @vars.yml"),
        ("ansible-playbook a.yml -enomba_hosts=db", "ansible-playbook a.yml -e nomba_hosts=db"),
        (
            """ansible-playbook a.yml --extra-vars='{"nomba_become": true}'""",
            "ansible-playbook a.yml -e '{nomba_become: true}'",
        ),
        # A JSON output escapes double quotes, so that a copied command would be another one.
        (
            """ansible-playbook a.yml -e '{"nomba_sources": ["/var/log", "~/a b", "no"]}'""",
            """ansible-playbook a.yml -e '{nomba_sources: [/var/log, "~/a b", "no"]}'""",
        ),
        # The value of a variable that may be a secret
        (f"ansible-playbook a.yml -e x={SECRET}", "ansible-playbook a.yml -e x=..."),
        (
            "ansible-playbook a.yml -e 'credential_rotation_client_secret=s nomba_token=t'",
            "ansible-playbook a.yml -e credential_rotation_client_secret=... -e nomba_token=...",
        ),
        (
            f"ansible-playbook a.yml -e nomba_hosts={SECRET} -i {SECRET}",
            "ansible-playbook a.yml -i '(a token)' -e 'nomba_hosts=(a token)'",
        ),
        ("ansible-playbook a.yml -e '[1]'", "ansible-playbook a.yml -e ..."),
        # A second emergency would revoke the new token.
        (f"ansible-playbook a.yml {EMERGENCY}", "ansible-playbook a.yml"),
        (
            f"ansible-playbook a.yml {EMERGENCY} -e credential_rotation_incident=INC-1",
            f"ansible-playbook a.yml {EMERGENCY} -e credential_rotation_incident=INC-1",
        ),
    ],
)
def test_command_contains_no_secret_and_no_restriction(arguments: str, command: str) -> None:
    found = resume_command(shlex.split(arguments))
    assert shlex.split(found) == shlex.split(command)
    assert SECRET not in found


def test_names_of_a_run_are_compared_by_machine_and_process() -> None:
    assert _playbook_run._machine() in this_run()
