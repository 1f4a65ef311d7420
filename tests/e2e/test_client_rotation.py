# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rotation of clients, on hosts whose applications keep tokens in Redis and in logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID, SECOND_CLIENT_SECRET
from tests.simulator.tokens import fingerprint
from tests.testbed.client_consumer import KEY, Redis
from tests.testbed.folder import Testbed, make_private, write_private
from tests.testbed.processes import ROOT, free_ports, stop
from tests.testbed.seed import client_of
from tests.testbed.services import await_redis, start_redis
from tests.testbed.token_files import client_env

from .controller import Controller, PlaybookRun
from .rotations import (
    audit,
    current,
    message,
    options,
    outcomes,
    play_file,
    previous,
    reload_tasks,
    reloads,
    task_file,
    writes,
)
from .screens import assert_screen, printed

pytestmark = pytest.mark.newest
NEW_MARK = fingerprint(SECOND_CLIENT_SECRET)
FIND_TOKENS = ROOT / "docs" / "examples" / "redis_tokens" / "find.yml"
VERIFIED = ["issue", "revoke"]
# The task of nomba.auth.status that prints the screen.
STATUS = "nomba.auth.credential_rotation : Print the status"


class Applications:
    """Two hosts with the client of the simulator in their .env files, and a Redis.

    cached, logged: tokens of this client, in Redis and in a log of the hosts.
    """

    def __init__(self, controller: Controller, redis: Redis, port: int) -> None:
        self.controller = controller
        self.simulator = controller.simulator
        self.redis = redis
        self.port = port
        self.old = client_of(self.simulator)
        self.new = dict(self.simulator.settings["clients"][1])
        self.log = controller.folder / "app.log"
        for host in controller.hosts:
            write_private(controller.token_file(host), self.file(self.old))
        self.cached, self.logged = (self.simulator.mint(age=60) for __ in range(2))
        redis.set(KEY, json.dumps({"access_token": self.cached}), 3600)
        write_private(self.log, f"DEBUG Authorization: Bearer {self.logged}\n")
        self.simulator.forget_requests()

    @property
    def old_mark(self) -> str:
        """The fingerprint of the secret of the old client."""
        return fingerprint(self.old["client_secret"])

    def rotate(self, *arguments: str, **variables: Any) -> PlaybookRun:
        """Rotate to the second client, without a secret in the output."""
        given = options(
            credential="client",
            client_id=SECOND_CLIENT_ID,
            token_sources=[str(self.log)],
            find_tokens_tasks=str(FIND_TOKENS),
        )
        given |= {"my_redis_url": f"redis://127.0.0.1:{self.port}", **options(**variables)}
        secret = str(variables.pop("client_secret", SECOND_CLIENT_SECRET))
        given["credential_rotation_client_secret"] = secret
        path = play_file(self.controller)
        run = self.controller.run(path, *arguments, **given)
        for one in (self.cached, self.logged, self.old["client_secret"], secret):
            assert one not in run.output
        return run

    def file(self, client: Mapping[str, str]) -> str:
        """Return the .env file with a client."""
        return client_env(client, self.simulator.url)

    def assert_hold(self, client: Mapping[str, str]) -> None:
        """Require that all files hold this client, and that no other byte has changed."""
        for host in self.controller.hosts:
            path = self.controller.token_file(host)
            assert path.read_bytes() == self.file(client).encode()
            assert path.stat().st_mode & 0o777 == 0o600

    def live(self) -> set[str]:
        """Return the fingerprints of the tokens that the API accepts."""
        return set(self.simulator.live())


@pytest.fixture
def applications(simulator: ControlClient, tmp_path: Path) -> Iterator[Applications]:
    """Two applications, and a control host without a store."""
    testbed = Testbed(tmp_path / "testbed")
    make_private(testbed.logs)
    (port,) = free_ports(1)
    pid = start_redis(testbed, port)
    try:
        await_redis(testbed, port, pid)
        redis = Redis(port)
        controller = Controller(simulator, tmp_path, hosts={"alpha": {}, "beta": {}})
        yield Applications(controller, redis, port)
        redis.close()
    finally:
        stop([pid], testbed.folder)


def reports(controller: Controller) -> list[Path]:
    """Return the reports of all runs."""
    return list(controller.folder.glob("report*.json"))


def reported_locations(controller: Controller) -> dict[str, list[tuple[str, str]]]:
    """Return host and path of each token in the last report, by its fingerprint."""
    last = max(reports(controller), key=lambda path: path.stat().st_mtime_ns)
    found = json.loads(last.read_text(encoding="utf-8"))["credentials"]
    places = {one["fingerprint"]: one["locations"] for one in found if not one["client_id"]}
    return {name: [(one["host"], one["path"]) for one in rows] for name, rows in places.items()}


def assert_status(controller: Controller, name: str, **variables: Any) -> None:
    """Require a screen of the playbook status."""
    run = controller.run("nomba.auth.status", **options(credential="client", **variables))
    assert_screen(name, run, controller, STATUS)


def assert_new_client_in_service(applications: Applications, run: PlaybookRun) -> None:
    """Require that the first run has adopted the client of the hosts and replaced it."""
    controller = applications.controller
    assert_screen("client rotated", run, controller)
    applications.assert_hold(applications.new)
    assert (reloads(controller), writes(controller)) == (["alpha", "beta"], VERIFIED)
    assert (current(controller), previous(controller)) == (NEW_MARK, [applications.old_mark])
    assert f"The old client {applications.old['client_id']} ({applications.old_mark})" in run.output
    expected = ["begun", "adopted", "accepted", "published", "promoted", "finished"]
    assert [one for one in outcomes(controller) if one in expected] == expected


def test_client_is_replaced_and_a_later_run_retires_it(applications: Applications) -> None:
    controller, simulator = applications.controller, applications.simulator
    tasks: dict[str, Any] = {
        "reload_tasks": reload_tasks(controller),
        "retire_after": 3600,
        "report_path": str(controller.folder / "report"),
    }
    tokens = {fingerprint(one) for one in (applications.cached, applications.logged)}

    run = applications.rotate("--check", "--diff", **tasks)
    assert run.status == 0, run.output
    expected = ("publish it to 2 host(s): alpha, beta", f"+NOMBA_CLIENT_SECRET=({NEW_MARK})")
    assert [one for one in expected if one not in run.output] == []
    assert (simulator.requests(), reloads(controller), controller.store.exists()) == ([], [], False)
    applications.assert_hold(applications.old)

    # The first run adopts the client of the hosts, and leaves its tokens alone.
    run = applications.rotate(**tasks)
    assert run.status == 0, run.output
    assert_new_client_in_service(applications, run)
    assert applications.live() == tokens

    assert_status(controller, "grace period", retire_after=3600)
    unknown = controller.run("nomba.auth.status", **options(credential="client"))
    first = printed(unknown, STATUS)[0]
    assert first == "IN GRACE PERIOD: 1 replaced; 2 of 2 hosts and sinks in line"

    before = (controller.state, audit(controller))
    run = applications.rotate(**tasks)
    assert run.status == 0, run.output
    # In the grace period, a run changes and finds nothing: it writes no report.
    assert ("changed=1" in run.output, len(reports(controller))) == (False, 1)
    assert (controller.state, audit(controller)) == before
    assert writes(controller) == VERIFIED

    # After the grace period, the tokens that the old client issued are dead, and it still works.
    controller.clock_shift = 3700
    assert_status(controller, "overdue", retire_after=3600)
    later = simulator.mint(client_id=SECOND_CLIENT_ID)
    write_private(applications.log, f"{applications.logged}\n{later}\n")
    simulator.forget_requests()
    run = applications.rotate(**tasks)
    assert run.status != 0
    assert_screen("client still works", run, controller)
    assert f"{applications.old['client_id']} ({applications.old_mark}) still gets" in message(run)
    assert applications.live() == {fingerprint(later)}
    assert previous(controller) == [applications.old_mark]
    revoked = [entry.fingerprint for entry in simulator.requests("revoke")]
    assert set(revoked[:2]) == tokens
    assert reported_locations(controller) == {
        fingerprint(applications.cached): [("localhost", "credential_rotation_find_tokens_tasks")],
        fingerprint(applications.logged): [
            (host, f"{applications.log}") for host in controller.hosts
        ],
    }
    assert writes(controller) == ["revoke", "revoke", "issue", "revoke"]

    simulator.delete_client(applications.old["client_id"])
    simulator.forget_requests()
    run = applications.rotate(**tasks)
    assert run.status == 0, run.output
    assert_screen("client retired", run, controller)
    assert "may live until" in run.output
    assert (current(controller), previous(controller)) == (NEW_MARK, [])
    assert applications.old["client_secret"] not in controller.store.read_text(encoding="utf-8")
    assert outcomes(controller)[-1] == "client_refused"
    assert applications.live() == {fingerprint(later)}
    assert reloads(controller) == ["alpha", "beta"]


def test_failures_return_to_the_old_client_and_an_emergency_revokes_first(
    applications: Applications,
) -> None:
    controller, simulator = applications.controller, applications.simulator
    tokens = {fingerprint(one) for one in (applications.cached, applications.logged)}

    run = applications.rotate(client_secret="a-secret-with-a-typing-error")
    assert run.status != 0
    assert "The client of the options is not verified" in run.output
    assert "Nothing was changed." in run.output
    assert writes(controller) == ["issue"]
    assert not controller.store.exists()
    applications.assert_hold(applications.old)

    is_new = f"credential_rotation_service.client_id == '{SECOND_CLIENT_ID}'"
    check = {"fail": {"msg": "the service is down"}, "name": "Check"}
    check |= {"when": [is_new, "inventory_hostname == 'beta'"]}
    simulator.forget_requests()
    run = applications.rotate(health_tasks=task_file(controller, "health", check))
    assert run.status != 0
    assert "beta: Check: the service is down" in message(run)
    assert f"Rolled back: the hosts hold {applications.old_mark} again." in message(run)
    applications.assert_hold(applications.old)
    assert (current(controller), previous(controller)) == (applications.old_mark, [])
    assert (writes(controller), applications.live()) == (VERIFIED, tokens)

    # In the emergency, the person deletes the old client while the hosts get the new one.
    url = f"{simulator.control_url}/_simulator/clients/{simulator.client_id}"
    delete = {"uri": {"url": url, "method": "DELETE"}, "name": "Delete", "run_once": True}
    simulator.forget_requests()
    run = applications.rotate(
        emergency=True, incident="INC-1", reload_tasks=task_file(controller, "reload", delete)
    )
    assert run.status == 0, run.output
    applications.assert_hold(applications.new)
    assert (current(controller), previous(controller)) == (NEW_MARK, [])
    assert writes(controller) == ["revoke", "revoke", *VERIFIED, "issue"]
    revoked = [entry.fingerprint for entry in simulator.requests("revoke")]
    assert set(revoked[:2]) == tokens
    assert applications.live() == set()
    assert outcomes(controller)[-2:] == ["client_refused", "finished"]


def test_client_that_was_deleted_too_early_is_kept_until_its_tokens_are_dead(
    applications: Applications,
) -> None:
    controller, simulator = applications.controller, applications.simulator
    simulator.delete_client(applications.old["client_id"])
    tokens = {fingerprint(one) for one in (applications.cached, applications.logged)}

    # The deletion leaves the tokens alive, and without the client they cannot be revoked.
    run = applications.rotate()
    assert run.status != 0
    applications.assert_hold(applications.new)
    assert "NOT VERIFIED as revoked: " in message(run)
    assert all(one in message(run) for one in tokens)
    assert "is kept in the store until the tokens that were found are dead" in message(run)
    assert applications.live() == tokens
    assert previous(controller) == [applications.old_mark]

    simulator.configure(suspension_kills_tokens=True)
    run = applications.rotate()
    assert run.status == 0, run.output
    assert (applications.live(), previous(controller)) == (set(), [])


@pytest.mark.parametrize("scope", ["client", "account"])
def test_rehearsal_changes_nothing_but_can_end_sessions_of_the_account(
    applications: Applications, scope: str
) -> None:
    controller, simulator = applications.controller, applications.simulator
    simulator.configure(sessions="single", session_scope=scope)
    before = applications.live()
    run = applications.rotate(verify_only=True)
    assert run.status == 0, run.output
    applications.assert_hold(applications.old)
    assert writes(controller) == VERIFIED
    assert (controller.store.exists(), audit(controller)) == (False, [])
    # If the API counts the sessions of an account, the verification has ended the old token.
    assert applications.live() == (before if scope == "client" else set())
