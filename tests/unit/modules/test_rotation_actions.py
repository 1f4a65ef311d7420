# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The actions of a rotation, with a real folder on a local control host and scripted modules."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError

from ansible_collections.nomba.auth.plugins.action import nomba_rotation, nomba_rotation_host
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import StoredToken, dump
from ansible_collections.nomba.auth.plugins.plugin_utils._spool import Spool
from tests.unit.core.rotation_factory import FOREIGN, MARKS, NEW, OLD, OWNER

from .test_rotation_options import VALID

HOSTS = ["web", "db"]
UNREADABLE = r"^credential_rotation_dir: the store could not be read: "


class Rotation:
    """The steps of one run with two hosts; no result contains a token."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "state"
        self.options = {**VALID, **vars(OWNER), "dir": str(self.folder)}
        self.options |= {"max_age": 900, "client_secret": "a secret"}
        self.handle: Any = {}
        self.modules: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[Mapping[str, Any]], Mapping[str, Any]] = self.issue
        self.revocable = True
        self.check, self.transport = False, "local"

    def __call__(self, step: str, **more: Any) -> dict[str, Any]:
        task = MagicMock(
            args={"step": step, "options": self.options, "run": self.handle, **more},
            check_mode=self.check,
            async_val=0,
            environment=[{}],
        )
        task._parent._play = SimpleNamespace(serial=[])
        connection = MagicMock(transport=self.transport, become=None)
        loader = MagicMock(get_basedir=lambda: str(self.folder.parent))
        action = nomba_rotation.ActionModule(task, connection, MagicMock(), loader, None, None)
        action._low_level_execute_command = MagicMock()
        variables = {"ansible_play_hosts_all": HOSTS, "ansible_play_batch": HOSTS}
        variables["hostvars"] = {name: {} for name in HOSTS}
        result = dict(action.run(task_vars=variables))
        assert "eyJ" not in json.dumps(result)
        if step == "load":
            assert result["_ansible_no_log"] is True  # the key of the spool is in it
            self.handle = result["run"]
        else:
            assert self.spool.handle["key"] not in json.dumps(result)
        return result

    @property
    def spool(self) -> Spool:
        return Spool.opened(self.handle)

    def run_hidden(
        self, _action: Any, name: str, arguments: Mapping[str, Any], _variables: Any
    ) -> Mapping[str, Any]:
        """Answer a module of the control host."""
        self.modules.append((name.rpartition(".")[2], dict(arguments)))
        return self.answer(arguments)

    def issue(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer as the API does: each token is accepted, and can be revoked."""
        tokens = arguments["tokens"]
        if arguments["request"] == "revoke":
            rows = [
                {"fingerprint": MARKS[one], "outcome": "revoked", "verified": self.revocable}
                for one in tokens
            ]
            return {"results": [{**row, "reason": "a reason"} for row in rows]}
        probes = {MARKS[one]: "accepted" for one in tokens}
        if arguments["request"] == "probe":
            return {"probes": probes}
        issued = dump(StoredToken(OWNER, NEW, expires_at="2027-01-15T09:00:00Z"))
        (self.folder / "issued.json").write_bytes(issued)
        probes[MARKS[NEW]] = "accepted"
        return {"issued": base64.b64encode(issued).decode(), "probes": probes}

    def inspect(self, *marks: str) -> None:
        """Record what the files of the hosts contain."""
        for name in HOSTS:
            found = {"fingerprints": list(marks), "differs": True, "error": ""}
            self.spool.put(f"inspection {name}", found)

    def prove(self, *hosts: str) -> None:
        """Record that hosts use the new token."""
        for name in hosts:
            target = self.spool.get("target")
            proof = {"reloaded": True, "healthy": True, "error": ""}
            evidence = {"rotation": target[0], "fingerprint": target[1], **proof}
            self.spool.put(f"evidence {name}", evidence)


@pytest.fixture
def rotation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rotation:
    """A rotation without a state, and a temporary folder for its run."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    found = Rotation(tmp_path)
    monkeypatch.setattr(nomba_rotation, "run_hidden", found.run_hidden)
    return found


def rotate(rotation: Rotation) -> dict[str, Any]:
    """Run all steps, and return the verdict."""
    rotation("load")
    rotation.inspect()
    prepared = rotation("prepare")
    assert (prepared["publish"], prepared["rounds"]) == (HOSTS, 1)
    rotation.prove(*HOSTS)
    rotation("record", hosts=HOSTS)
    rotation("retire")
    return rotation("verdict")


def test_rotation_keeps_its_state_in_the_folder_without_a_module(rotation: Rotation) -> None:
    verdict = rotate(rotation)
    assert verdict["msg"][0] == f"ROTATED token {MARKS[NEW]}: 2 of 2 hosts, outage 0 s"
    assert not verdict.get("failed")
    assert [name for name, __ in rotation.modules] == ["nomba_rotation_api"]
    state = json.loads((rotation.folder / "credentials.json").read_text(encoding="utf-8"))
    assert (state["current"]["access_token"], state["rotation"]) == (NEW, None)
    assert rotation.folder.stat().st_mode & 0o777 == 0o700
    assert not (rotation.folder / "issued.json").exists()
    report = rotation("report")
    assert (report["current"], report["errors"]) == (MARKS[NEW], [])
    assert [one["in_service"] for one in report["hosts"]] == [True, True]
    assert report["actor"]


def test_folder_of_another_host_is_read_and_written_by_the_module(rotation: Rotation) -> None:
    rotation.transport = "ssh"
    rotation.answer = lambda __: {"failed": True, "msg": f"no space for {OLD}"}
    with pytest.raises(AnsibleActionFail, match=UNREADABLE):
        rotation("load")
    assert [name for name, __ in rotation.modules] == ["nomba_rotation_folder"]


def test_folder_that_cannot_be_used_stops_the_run_with_the_option(rotation: Rotation) -> None:
    rotation.folder.write_text("a file", encoding="utf-8")
    with pytest.raises(AnsibleActionFail, match=UNREADABLE):
        rotation("load")


def test_rollback_fails_with_its_verdict_and_the_details(rotation: Rotation) -> None:
    rotate(rotation)
    rotation.options["force"] = True
    rotation("load")
    rotation.inspect(MARKS[NEW])
    rotation.answer = lambda __: {"failed": True, "msg": "the API did not answer"}
    with pytest.raises(AnsibleActionFail, match="the API did not answer"):
        rotation("prepare")
    verdict = rotation("verdict")
    assert verdict["failed"]
    assert verdict["msg"] == "NOT FINISHED: the run stopped before its end"
    # The task that failed has printed its reason, which the report contains.
    assert [one for one in verdict["details"] if "the API did not answer" in one] == []
    assert "the API did not answer" in rotation("report")["errors"][0]


def test_skipped_steps_fail_the_verdict(rotation: Rotation) -> None:
    with pytest.raises(AnsibleError, match="from its start"):
        rotation("prepare")
    rotation("load")
    assert rotation("report")["verdict"] == "NOT FINISHED: the run stopped before its end"
    assert rotation("verdict")["failed"]
    with pytest.raises(AnsibleActionFail, match=r"^step: set one of load, "):
        rotation("lode")


def test_report_that_was_not_written_fails_the_verdict(rotation: Rotation) -> None:
    rotate(rotation)
    rotation.spool.put("not_reported", "Post: it failed")
    verdict = rotation("verdict")
    assert verdict["failed"]
    assert verdict["msg"] == "NOT REPORTED: Post: it failed"
    assert verdict["details"][0].startswith("ROTATED token ")


def test_failed_run_that_was_not_reported_names_both(rotation: Rotation) -> None:
    rotation("load")
    rotation.spool.put("not_reported", "Post: it failed")
    verdict = rotation("verdict")
    assert verdict["msg"] == "NOT FINISHED: the run stopped before its end"
    assert verdict["details"][-1] == "NOT REPORTED: Post: it failed"


def test_emergency_revokes_the_tokens_that_a_task_file_found(rotation: Rotation) -> None:
    rotate(rotation)
    rotation.options |= {"emergency": True, "incident": "INC-1"}
    rotation("load")
    first = rotation("revoke_compromised", found=[f"a text with {FOREIGN}"])
    assert first["msg"].startswith(f"Revoked and verified: {MARKS[NEW]} (at ")
    assert first["_ansible_verbose_always"] is True
    assert rotation.modules[-1][1]["request"] == "revoke"


def test_rehearsal_of_a_client_offers_it_to_the_hosts(rotation: Rotation) -> None:
    names = {"credential": "client", "client_id": "0d0d", "client_secret": "the next secret"}
    rotation.options |= names
    rotation.check = True
    rotation("load")
    rotation.inspect()
    rotation("prepare")
    assert rotation.spool.get("credential")["client_secret"] == "the next secret"


def test_status_needs_no_client_and_reads_only(rotation: Rotation) -> None:
    rotate(rotation)
    rotation.options |= {"client_id": "", "account_id": ""}
    rotation.check = True
    rotation("load", reads_only=True)
    rotation.inspect(MARKS[NEW])
    found = rotation("status", reads_only=True)
    assert found["verdict"] == "NOT IN LINE: 0 of 2 hosts and sinks in line"
    assert f'store="{rotation.folder}"' in found["metrics"]
    rotation.options["store"] = "hashi_vault"
    rotation.answer = lambda arguments: (
        {"secret": {"state": ""}, "metadata": {"version": 1}} if "path" in arguments else {}
    )
    rotation("load", reads_only=True)
    found = rotation("status", reads_only=True)
    assert found["verdict"].startswith("NOTHING STORED")


# The steps of a host


class HostStep:
    """The steps of one host, after the first step of a run."""

    def __init__(self, rotation: Rotation, monkeypatch: pytest.MonkeyPatch) -> None:
        rotation("load")
        self.spool = rotation.spool
        self.handle = rotation.handle
        self.results: dict[str, Mapping[str, Any]] = {}
        monkeypatch.setattr(nomba_rotation_host, "run_hidden", self.run_module)

    def run_module(
        self, _action: Any, name: str, _arguments: Mapping[str, Any], _variables: Any
    ) -> Mapping[str, Any]:
        """Answer a module of the host."""
        return self.results.get(name.rpartition(".")[2], {})

    def __call__(self, step: str, variables: Mapping[str, Any] | None = None, **more: Any) -> Any:
        arguments = {"step": step, "run": self.handle, **more}
        task = MagicMock(args=arguments, check_mode=False, async_val=0)
        action = nomba_rotation_host.ActionModule(
            task, MagicMock(), MagicMock(), MagicMock(), None, None
        )
        action._low_level_execute_command = MagicMock()
        action._execute_module = lambda name="", *_a, module_name="", **_k: dict(
            self.results.get((name or module_name).rpartition(".")[2], {})
        )
        result = action.run(task_vars={"inventory_hostname": "web", **(variables or {})})
        assert "eyJ" not in json.dumps(result)
        return result


@pytest.fixture
def step(rotation: Rotation, monkeypatch: pytest.MonkeyPatch) -> HostStep:
    return HostStep(rotation, monkeypatch)


def test_inspection_passes_unknown_tokens_through_the_spool(step: HostStep) -> None:
    content = base64.b64encode(f"NOMBA={FOREIGN}\n".encode()).decode()
    step.results = {
        "nomba_credential_file": {"before": [MARKS[FOREIGN]], "changed": True},
        "slurp": {"content": content},
    }
    assert step("inspect", dest="/x", content="(new token)")["tokens"] == [MARKS[FOREIGN]]
    assert step.spool.get("unknown web") == [FOREIGN]
    step.results = {"nomba_credential_file": {"failed": True, "msg": f"no access to {OLD}"}}
    assert step("inspect", dest="/x", content="(new token)")["msg"] == "no access to (a token)"
    assert step.spool.get("inspection web")["error"] == "no access to (a token)"


def test_evidence_grows_with_each_step_and_a_failure_is_recorded(step: HostStep) -> None:
    step.spool.put("target", ["a rotation", MARKS[NEW]])
    step.spool.put("credential", {"access_token": NEW})
    step.results = {"nomba_credential_file": {"changed": True, "msg": "written"}}
    assert step("write", dest="/x", content=f"NOMBA={NEW}")["changed"] is True
    step("reloaded")
    step("healthy")
    evidence = step.spool.get("evidence web")
    assert evidence["fingerprint"] == MARKS[NEW]
    assert (evidence["reloaded"], evidence["healthy"]) == (True, True)
    failed = {"ansible_failed_task": {"name": "Check"}, "ansible_failed_result": {"msg": NEW}}
    assert step("failed", failed)["msg"] == "web: Check: (a token)"
    assert step.spool.get("evidence web")["error"] == "Check: (a token)"
    lost = step("write", dest="/x", content="a template without it")
    assert lost["failed"]


def test_found_tokens_and_their_locations_leave_through_the_spool(step: HostStep) -> None:
    places = [{"path": "/log", "line": 3}]
    found = {"tokens": [OLD], "found_in": {MARKS[OLD]: places}, "unread": [], "summary": {}}
    step.results = {"nomba_token_find": found}
    assert step("find", sources=["/log"])["msg"] == "1 token(s) found."
    assert step.spool.get("found web") == [OLD]
    assert step.spool.get("locations web") == {MARKS[OLD]: places}


def test_sink_must_hold_the_credential(step: HostStep) -> None:
    step.spool.put("target", ["a rotation", MARKS[NEW]])
    for shown in (MARKS[OLD], NEW, ""):
        with pytest.raises(AnsibleActionFail, match=r"^sink vault: the sink must hold "):
            step("published", sink="sink vault", fingerprint=shown)
    step("published", sink="sink vault", fingerprint=MARKS[NEW])
    assert step.spool.get("evidence sink vault")["healthy"] is True


def test_failed_task_files_are_recorded(step: HostStep) -> None:
    failed = {"ansible_failed_task": {"name": "Ask"}, "ansible_failed_result": {"msg": "down"}}
    step("unread", failed)
    step("not_reported", failed)
    assert step.spool.get("unread") == ["credential_rotation_find_tokens_tasks: Ask: down"]
    assert step.spool.get("not_reported") == "Ask: down"
    with pytest.raises(AnsibleActionFail, match=r"^step: set one of inspect, "):
        step("inspekt")
