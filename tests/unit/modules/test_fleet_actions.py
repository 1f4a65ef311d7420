# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The actions of a scan of many hosts pass tokens through the private file only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.nomba.auth.plugins.action import nomba_fleet_host, nomba_fleet_scan
from ansible_collections.nomba.auth.plugins.module_utils._incident_report import (
    Made,
    revocation_document,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._spool import Spool
from tests.simulator.tokens import fingerprint
from tests.unit.core.token_factory import token
from tests.unit.tables import each_row

A, B = token(jti="a"), token(jti="b")
VARIABLES = {"inventory_hostname": "web", "ansible_play_hosts_all": ["web", "db"]}
COUNTS = {"files": 1, "excluded": 0, "other_jwts": 0}


class Module:
    """A module that records its arguments, and returns a result or raises an error."""

    def __init__(self) -> None:
        self.result: Mapping[str, Any] = {}
        self.error: AnsibleError | None = None
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(
        self, _action: Any, name: str, arguments: Mapping[str, Any], _variables: Any
    ) -> Mapping[str, Any]:
        self.calls.append((name, dict(arguments)))
        if self.error:
            raise self.error
        return self.result


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Module:
    """The module that the actions run, and a temporary folder for their run."""
    found = Module()
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(nomba_fleet_host, "run_hidden", found)
    monkeypatch.setattr(nomba_fleet_scan, "run_hidden", found)
    return found


def run(
    kind: Any, host: str = "web", check: bool = False, serial: Any = (), **arguments: Any
) -> Any:
    """Run an action for a host; its result must contain no token."""
    play = SimpleNamespace(serial=list(serial))
    task = MagicMock(args=arguments, check_mode=check, async_val=0)
    task._parent._play = play
    action = kind.ActionModule(task, MagicMock(), MagicMock(), None, None, None)
    action._low_level_execute_command = MagicMock()
    result = action.run(task_vars={**VARIABLES, "inventory_hostname": host})
    assert not [one for one in (A, B) if one in json.dumps(result)]
    return result


def find(module: Module, handle: Any, host: str, *tokens: str) -> Any:
    """Scan a host that holds these tokens."""
    places = {fingerprint(one): [{"path": "/log", "line": 1}] for one in tokens}
    found = {"tokens": list(tokens), "found_in": places, "unread": [], "summary": COUNTS}
    module.result = found
    return run(nomba_fleet_host, host, run=handle, sources=["/log"])


def revoked(*tokens: str) -> dict[str, Any]:
    """Return the result of a revocation that was proved."""
    row = {"outcome": "revoked", "verified": True, "reason": "why", "http_status": 200}
    return {
        "changed": True,
        "results": [{"fingerprint": fingerprint(one), **row} for one in tokens],
    }


def test_tokens_of_all_hosts_are_revoked_in_one_run_and_removed(module: Module) -> None:
    handle = run(nomba_fleet_scan, step="start")["run"]
    spool = Spool.opened(handle)
    assert find(module, handle, "web", A, B)["msg"] == "2 token(s) found, 0 source(s) unread"
    find(module, handle, "db", A)
    module.calls.clear()
    module.result = {**revoked(A, B), "warnings": ["a warning"]}
    result = run(nomba_fleet_scan, step="revoke", run=handle, deadline=9, pattern_hosts=["x"])
    arguments = {"access_tokens": [A, B], "proof": "required", "deadline": 9}
    assert module.calls == [("nomba.auth.nomba_token_revoke", arguments)]
    assert (result["changed"], result["warnings"]) == (True, ["a warning"])
    assert [len(row["found_in"]) for row in result["results"]] == [2, 1]
    assert result["hosts"] == [
        {"host": host, "scanned": True, "error": ""} for host in ("web", "db")
    ]
    # The report for the file of an incident can be made of it.
    document = revocation_document({"localhost": result}, Made("", "", ""))
    found_on = [[one["host"] for one in row["locations"]] for row in document["credentials"]]
    assert sorted(found_on) == [["web"], ["web", "db"]]
    assert document["problems"] == []
    assert {one: spool.get(f"found {one}")["tokens"] for one in ("web", "db")} == {
        "web": {},
        "db": {},
    }
    pattern = ["web", "db", "new"]
    printed = run(nomba_fleet_scan, step="verdict", run=handle, pattern_hosts=pattern)
    assert printed["msg"][:2] == [
        "REVOKED AND VERIFIED 2 of 2 tokens.",
        "Scanned 2 of 2 hosts (web, db), 2 files. --limit excluded 1 more of nomba_hosts.",
    ]
    assert not printed.get("failed")
    assert not spool.folder.exists()


def test_without_tokens_the_module_does_not_run(module: Module) -> None:
    handle = run(nomba_fleet_scan, step="start")["run"]
    find(module, handle, "web")
    find(module, handle, "db")
    module.calls.clear()
    assert not run(nomba_fleet_scan, step="revoke", run=handle)["changed"]
    assert module.calls == []
    printed = run(nomba_fleet_scan, step="verdict", run=handle)
    assert printed["msg"][0] == "NO TOKEN WAS FOUND."


@each_row(
    ("error", "check", "first"),
    [
        (None, False, "NOT REVOKED 1 of 1 token: "),  # the task did not run
        (AnsibleConnectionFailure("no route"), False, "NOT VERIFIED 1 of 1 token: "),
        (
            AnsibleConnectionFailure("no route"),
            True,
            "CHECK MODE, nothing was revoked. NOT REVOKED ",
        ),
    ],
    ids=repr,
)
def test_token_that_was_not_revoked_fails_the_run(
    module: Module, error: AnsibleError | None, check: bool, first: str
) -> None:
    handle = run(nomba_fleet_scan, step="start")["run"]
    find(module, handle, "web", A)
    find(module, handle, "db")
    if error:
        module.error = error
        run(nomba_fleet_scan, step="revoke", run=handle, check=check)
        module.error = None
    printed = run(nomba_fleet_scan, step="verdict", run=handle, check=check)
    assert printed["failed"]
    assert printed["msg"].startswith(first)
    assert not Spool.opened(handle).folder.exists()


@each_row(
    ("result", "reason"),
    [
        (AnsibleConnectionFailure("no route"), "unreachable"),
        (AnsibleError("a timeout"), "its scan did not end"),
        ({"failed": True, "msg": f"MODULE FAILURE {A}"}, "MODULE FAILURE (a token)"),
        ({}, "no reason was given"),
    ],
    ids=repr,
)
def test_host_without_a_scan_fails_the_run(module: Module, result: Any, reason: str) -> None:
    handle = run(nomba_fleet_scan, step="start")["run"]
    find(module, handle, "db")
    if isinstance(result, AnsibleError):
        module.error = result
        with pytest.raises(type(result)):
            run(nomba_fleet_host, run=handle, sources=["/log"])
        module.error = None
    else:
        module.result = result
        assert run(nomba_fleet_host, run=handle, sources=["/log"])["failed"]
    run(nomba_fleet_scan, step="revoke", run=handle)
    printed = run(nomba_fleet_scan, step="verdict", run=handle)
    assert printed["failed"]
    assert printed["msg"] == f"NOT SCANNED 1 of 2 hosts: web ({reason})."


@each_row(
    ("kind", "arguments", "message"),
    [
        (nomba_fleet_scan, {}, "step: set one of start, revoke, verdict"),
        (
            nomba_fleet_scan,
            {"step": "start", "serial": [1]},
            "serial: a scan revokes the tokens of",
        ),
        (nomba_fleet_scan, {"step": "revoke", "run": {}}, "was not started by its first task"),
        (nomba_fleet_scan, {"step": "verdict"}, "was not started by its first task"),
        (nomba_fleet_host, {"sources": ["/log"]}, "was not started by its first task"),
    ],
)
def test_step_out_of_order_is_rejected(
    module: Module, kind: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AnsibleError, match=message):
        run(kind, **arguments)
    assert module.calls == []
