# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup playbook_run: it names this run, and reports whether a run is alive."""

from __future__ import annotations

import multiprocessing
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError

from ansible_collections.nomba.auth.plugins.lookup.playbook_run import (
    LookupModule,
    state_of,
    this_run,
)

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


def test_lookup_returns_this_run_or_a_state_for_each_name() -> None:
    lookup = LookupModule()
    lookup.set_options = lambda **_options: None
    assert lookup.run([]) == [this_run()]
    assert lookup.run([this_run(), "none"]) == ["alive", "elsewhere"]


@pytest.mark.parametrize("terms", [[None], [1], [["a"]], [{"run": "a"}]], ids=repr)
def test_term_that_is_no_name_is_rejected(terms: list[Any]) -> None:
    with pytest.raises(AnsibleError, match=r"^playbook_run: pass the names of runs"):
        LookupModule().run(terms)
