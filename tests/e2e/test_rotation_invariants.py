# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No play of a user makes a rotation revoke a token that a host still uses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID, SECOND_CLIENT_SECRET
from tests.simulator.tokens import fingerprint

from .controller import Controller
from .rotations import (
    ROLE,
    UNREACHABLE,
    assert_in_service,
    assert_unchanged,
    audit,
    current,
    fails_on,
    held,
    message,
    on_host,
    options,
    outcomes,
    play_file,
    previous,
    reload_tasks,
    reloads,
    rotate,
    task_file,
    writes,
)
from .screens import assert_screen

newest = pytest.mark.newest


@pytest.fixture
def controller(simulator: ControlClient, tmp_path: Path) -> Controller:
    """A control host with two hosts."""
    return Controller(simulator, tmp_path, hosts={"alpha": {}, "beta": {}})


@pytest.fixture
def old(controller: Controller) -> str:
    """The fingerprint of the token in service, which is due."""
    return fingerprint(controller.put_in_service())


# Keywords and arguments of the play


@pytest.mark.parametrize(
    ("keywords", "arguments", "reason"),
    [
        pytest.param({"serial": 1}, [], "The run excludes hosts of the play", id="serial"),
        pytest.param({}, ["--limit=alpha"], "The run excludes hosts of the play", id="limit"),
        pytest.param({"strategy": "free"}, [], "free", id="strategy-free"),
        pytest.param(
            {},
            ["--start-at-task=Retire the replaced credential", "--limit=alpha"],
            "This run was not started by its first task",
            id="start-at-task",
        ),
    ],
)
@newest
def test_play_that_excludes_hosts_or_tasks_changes_nothing(
    controller: Controller, old: str, keywords: dict[str, Any], arguments: list[str], reason: str
) -> None:
    # The errors of the role's tasks must not be ignored.
    task = {"import_role": {"name": ROLE}, "ignore_errors": True}
    run = controller.run(play_file(controller, task, **keywords), *arguments)
    assert run.status != 0
    assert reason in run.output
    assert_unchanged(controller, old)


def test_ignored_unreachable_host_keeps_a_valid_token(controller: Controller, old: str) -> None:
    controller.hosts["beta"] = UNREACHABLE
    path = play_file(controller, ignore_unreachable=True)
    run = controller.run(path)
    assert run.status != 0
    assert "beta (unreachable): cannot receive a token. Nothing was changed." in run.output
    assert_unchanged(controller, old)


@newest
def test_failed_health_check_is_not_ignored_and_reloads_no_host_without_the_new_token(
    controller: Controller, old: str
) -> None:
    task = {"import_role": {"name": ROLE}, "ignore_errors": True}
    tasks = {
        "reload_tasks": reload_tasks(controller),
        "health_tasks": fails_on("alpha", controller),
    }
    run = controller.run(play_file(controller, task), **options(batch=1, **tasks))
    assert run.status != 0
    assert reloads(controller) == ["alpha", "alpha"]
    assert message(run).count("the service is down") == 1
    assert f"Rolled back: the hosts hold {old} again." in message(run)
    assert "with the old token, too" not in message(run)
    assert_in_service(controller, old)


# Two runs of the role in one play


def second_role(controller: Controller) -> tuple[dict[str, Any], Controller, str]:
    """Put a token of the second client in service.

    Return the options of a second run, a view of its store and files, and the token's fingerprint.
    """
    folder = controller.folder / "second"
    folder.mkdir()
    view = Controller(controller.simulator, folder, controller.hosts)
    token = fingerprint(view.put_in_service(client_id=SECOND_CLIENT_ID))
    variables = options(
        dir=str(view.store.parent),
        dest=f"{folder}/{{{{ inventory_hostname }}}}.env",
        client_id=SECOND_CLIENT_ID,
        client_secret=SECOND_CLIENT_SECRET,
    )
    return variables, view, token


def _role(variables: dict[str, Any]) -> dict[str, Any]:
    return {"include_role": {"name": ROLE}, "vars": variables}


def _rescued(variables: dict[str, Any]) -> dict[str, Any]:
    rescue = [{"debug": {"msg": "the first one failed"}}]
    return {"block": [_role(variables)], "rescue": rescue}


@newest
def test_second_rotation_of_a_play_knows_nothing_of_the_first(
    controller: Controller, old: str
) -> None:
    variables, second, other = second_role(controller)
    # Another program writes the first store in the middle of the rotation.
    lose = {"shell": f"echo >> {controller.store}", "run_once": True}
    first = options(reload_tasks=task_file(controller, "lose", lose))
    # The host of the second one is also unhealthy with its old token.
    health = fails_on("beta", second, only_with_new_token=False)
    variables |= options(health_tasks=health)
    run = controller.run(play_file(controller, _rescued(first), _role(variables)))
    assert run.status != 0
    assert "the store could not be written" in run.output
    # The first rotation is not finished: both of its tokens are valid and recorded.
    new = controller.state["pending"]["fingerprint"]
    assert current(controller) == old
    assert held(controller) == dict.fromkeys(controller.hosts, new)
    # The second one has returned its hosts, and has revoked its own new token.
    assert held(second) == dict.fromkeys(second.hosts, other)
    assert (current(second), previous(second), second.state["rotation"]) == (other, [], None)
    assert outcomes(second)[-3:] == ["failed", "revoked", "rolled_back"]
    assert "Rolled back: no host holds the new token." in message(run)
    assert "beta: Check: the service is down (with the old token, too)" in message(run)
    assert set(controller.simulator.live()) == {old, new, other}


# Hosts that become unreachable, and hosts that leave


@newest
def test_rollback_without_a_host_keeps_both_tokens_until_the_next_run(
    controller: Controller,
) -> None:
    controller.hosts["gamma"] = {}
    old = fingerprint(controller.put_in_service())
    leave = [
        {"meta": "end_host", "when": "inventory_hostname == 'gamma'"},
        {"set_fact": UNREACHABLE, "when": "inventory_hostname == 'beta'"},
        {"command": "true", "when": "inventory_hostname == 'beta'"},
    ]
    run = rotate(controller, reload_tasks=task_file(controller, "reload", *leave))
    assert run.status != 0
    new = on_host(controller, "beta")
    assert new != old
    assert held(controller) == {"alpha": old, "beta": new, "gamma": new}
    assert set(controller.simulator.live()) == {old, new}
    assert (current(controller), previous(controller)) == (old, [new])
    assert f"ROLLBACK INCOMPLETE: beta, gamma may still use {new}, which" in message(run)
    assert "again." not in message(run).partition("ROLLBACK INCOMPLETE")[0]
    # The next run ends the rollback.
    rotate(controller)
    assert_in_service(controller, old)
    assert outcomes(controller)[-2:] == ["revoked", "rolled_back"]


@newest
def test_missing_host_is_refused_until_it_is_declared_as_removed(
    controller: Controller, old: str
) -> None:
    del controller.hosts["beta"]
    run = rotate(controller)
    assert run.status != 0
    assert "beta: the store contains evidence that they got a token" in run.output
    assert_unchanged(controller, old)
    run = rotate(controller, removed_hosts=["beta"])
    assert run.status == 0, run.output
    assert_in_service(controller, current(controller))
    assert old not in controller.simulator.live()
    # Later runs do not need the option.
    assert "beta" not in json.dumps({**controller.state, "events": []})


# Failures


def test_output_of_a_failed_task_under_no_log_is_shown_nowhere(
    controller: Controller, old: str
) -> None:
    secret = "CANARY-OF-THE-USER"
    failing = {
        "name": "Reload with a secret",
        "fail": {"msg": secret},
        "when": "inventory_hostname == 'beta'",
        "no_log": True,
    }
    run = rotate(controller, reload_tasks=task_file(controller, "reload", failing))
    assert run.status != 0
    assert "Reload with a secret: its output is hidden by no_log" in message(run)
    # ansible-core 2.19 and newer print the message of a failed task, also under no_log.
    own = f"[ERROR]: Task failed: Action failed: {secret}"
    assert secret not in run.output.replace(own, "")
    files = [path for path in controller.store.parent.iterdir() if path.is_file()]
    assert [path.name for path in files if secret in path.read_text(encoding="utf-8")] == []
    assert "failed" in outcomes(controller)
    # The old token cannot be proved to be in use by a host that cannot be reloaded.
    assert on_host(controller, "alpha") == on_host(controller, "beta") == old


@newest
def test_failed_issue_reloads_no_host(controller: Controller, old: str) -> None:
    controller.simulator.fault("issue", "status", status=400, times=0)
    run = rotate(controller, reload_tasks=reload_tasks(controller))
    assert run.status != 0
    assert "No new token is in service: issue: " in message(run)
    assert message(run).count("HTTP 400") == 1
    assert reloads(controller) == []
    assert_in_service(controller, old)
    assert outcomes(controller) == ["begun", "failed", "rolled_back"]
    # The environment of the test has no variable with the name of the user.
    assert {event["actor"] for event in audit(controller)} == {f"uid {os.getuid()}"}


# Output


@newest
def test_output_is_short_and_shows_only_what_the_run_does(controller: Controller) -> None:
    controller.hosts["gamma"] = {}
    old = fingerprint(controller.put_in_service())
    tasks = {"reload_tasks": reload_tasks(controller), "health_tasks": fails_on("no", controller)}
    run = rotate(controller, batch=2, **tasks)
    assert run.status == 0, run.output
    assert run.output.count("TASK [") <= 45
    assert reloads(controller) == ["alpha", "beta", "gamma"]
    controller.simulator.forget_requests()
    new, events = current(controller), len(audit(controller))
    run = rotate(controller, "--check", "--diff", force=True, batch=2, **tasks)
    assert run.status == 0, run.output
    would = "a real run would issue a token and publish it to 3 host(s): alpha, beta, gamma."
    assert would in run.output
    assert run.output.count("+(new token)") == 3
    assert "promoted" not in run.output
    assert old not in run.output
    assert writes(controller) == []
    assert len(audit(controller)) == events
    assert len(reloads(controller)) == 3
    assert_in_service(controller, new)
    run = rotate(controller, **tasks)
    assert run.output.count("TASK [") <= 20
    assert "No change: token" in run.output
    assert "promoted" not in run.output


# Stores


@newest
def test_another_store_does_not_orphan_the_tokens_on_hosts(
    controller: Controller, old: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    run = rotate(controller, dir=str(elsewhere))
    assert run.status != 0
    assert f"Tokens that may be valid and are not in the store: {old} on alpha, beta." in run.output
    assert_unchanged(controller, old)
    assert not (elsewhere / "credentials.json").exists()


# Emergencies


@newest
def test_emergency_revokes_the_leaked_token_whatever_else_fails(
    controller: Controller, old: str
) -> None:
    controller.environment["GITHUB_ACTOR"] = "octocat"
    controller.hosts["beta"] = UNREACHABLE
    # A token of a killed run that cannot be proved dead.
    leftover = fingerprint(controller.write_issued(controller.simulator.mint()))
    fault = {"status": 500, "times": 0, "fingerprint": leftover}
    controller.simulator.fault("revoke", "status", **fault)
    emergency: dict[str, Any] = {"emergency": True, "incident": "INC-1"}
    run = rotate(controller, **emergency)
    assert run.status != 0
    assert_screen("emergency", run, controller)
    new = current(controller)
    assert set(controller.simulator.live()) == {new, leftover}
    assert held(controller) == {"alpha": new, "beta": old}
    assert previous(controller) == [leftover]
    assert (writes(controller)[0], writes(controller).count("issue")) == ("revoke", 1)
    assert outcomes(controller).index("revoked") < outcomes(controller).index("issued")
    assert f"Revoked and verified: {old} (at " in run.output
    assert f"NOT VERIFIED as revoked: {leftover} (" in message(run)
    assert "beta" in message(run)
    assert message(run).rpartition("Next: ")[2].startswith("ansible-playbook ")
    revoked = [event for event in audit(controller) if event["outcome"] == "revoked"]
    assert [event["fingerprints"] for event in revoked] == [[old]]
    assert {event["actor"] for event in audit(controller)} == {"octocat"}
    # The next run with the same incident id finishes: it issues no other token.
    controller.simulator.clear_faults()
    controller.simulator.forget_requests()
    controller.hosts["beta"] = {}
    run = rotate(controller, **emergency)
    assert run.status == 0, run.output
    assert_in_service(controller, new)
    assert writes(controller) == ["revoke"]
