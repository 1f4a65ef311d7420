# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotate the token of three hosts while a service on each host sends API requests."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from typing import Any

from tests.demo.commands import Operator
from tests.testbed.consumers import consumer_statistics, stop_consumers
from tests.testbed.folder import HOSTS, Testbed, TestbedError, make_private, pretty, write_private
from tests.testbed.observation import observe
from tests.testbed.processes import ROOT, wait_until
from tests.testbed.seed import seed, seed_token

_TASKS = ROOT / "extensions" / "molecule" / "resources" / "tasks"
_CHANGED = re.compile(r" changed=(\d+) ")
_MESSAGE = re.compile(r'"msg": (\[.*?\n {4}\])', re.DOTALL)
_ROW = "  {:<8} {:>8} {:>9} {:>7}   {}"


class Rotation:
    """A rotation on three simulated hosts. The hosts are folders, the services are processes."""

    def __init__(self, operator: Operator, testbed: Testbed) -> None:
        self.step, self.check = operator.step, operator.check
        self.operator = operator
        self.simulator = operator.simulator
        self.testbed = testbed
        self.old = ""

    def run(self) -> None:
        """Run all steps in order; stop the services at the end, also after an error."""
        make_private(self.testbed.logs)
        self.testbed.write({"pids": {}})
        try:
            self.step("Set up three hosts, each with a service that uses the token", self.set_up)
            self.step("Preview a rotation in check mode", self.preview)
            self.step("Rotate while the services send requests", self.rotate)
            self.step("Rotate again: the token is new, so nothing changes", self.rotate_again)
            self.step("Requests of the services", self.report_requests)
        except TestbedError as error:
            self.check(f"the services run ({error})", False)
        finally:
            stop_consumers(self.testbed)

    def set_up(self) -> None:
        self.old = seed_token(self.testbed, seed(self.testbed, {}), age=3600, lifetime=10800)
        write_private(self.testbed.inventory, pretty({"nomba": self.group()}))
        self.check_published(self.old, "the token from an hour ago")

    def preview(self) -> None:
        before = self.state()
        self.check("the check run reports a change", self.playbook("--check") > 0)
        self.check("the check run sent no write request", not self.simulator.writes())
        self.check("the check run changed nothing", self.state() == before)

    def rotate(self) -> None:
        self.check("the run reports a change", self.playbook() > 0)
        new = observe(self.testbed)["store"]["current"]
        self.check("the store contains another token", new != self.old)
        self.check_published(new, "the new token")
        self.check("the API rejects the old token", not self.simulator.accepts(self.old))

    def rotate_again(self) -> None:
        before = self.state()
        self.check("the run reports no change", self.playbook() == 0)
        self.check("no write request was sent", not self.simulator.writes())
        self.check("nothing changed", self.state() == before)
        self.wait_for_requests()
        used = self.simulator.counters()["fingerprints"]
        self.check("no request contains the old token", self.old not in used)

    def report_requests(self) -> None:
        stop_consumers(self.testbed)
        print(_ROW.format("host", "requests", "rejected", "failed", "accepted with the new token"))
        for name, row in self.counts().items():
            print(_ROW.format(name, *row))
        requests, rejected, failed, with_new = (
            sum(column) for column in zip(*self.counts().values(), strict=True)
        )
        print(_ROW.format("total", requests, rejected, failed, with_new))
        self.check("the service of each host sent requests", len(self.counts()) == len(HOSTS))
        self.check("no request was rejected", rejected == 0)
        self.check("no request failed", failed == 0)

    def counts(self) -> dict[str, tuple[int, ...]]:
        """Return the request counts of each service."""
        result = consumer_statistics(self.testbed)
        return {host: self.columns(one) for host, one in result.items() if one}

    def columns(self, result: dict[str, Any]) -> tuple[int, ...]:
        """Return a table row; with the old token, a service has no requests with the new one."""
        with_new = 0 if result["fingerprint"] == self.old else result["accepted_since_reload"]
        return result["calls"], result["refused"], result["failed"], with_new

    def group(self) -> dict[str, Any]:
        """Return the inventory group with the options of the role."""
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "credential_rotation_credential": "access_token",
            "credential_rotation_dir": str(self.testbed.rotation),
            "credential_rotation_dest": "{{ consumer_dir }}/token.env",
            "credential_rotation_reload_tasks": str(_TASKS / "reload.yml"),
            "credential_rotation_health_tasks": str(_TASKS / "health.yml"),
        }
        hosts = {name: {"consumer_dir": str(self.testbed.host(name))} for name in HOSTS}
        return {"hosts": hosts, "vars": variables}

    def playbook(self, *flags: str) -> int:
        """Run the rotate playbook; return the number of changed tasks."""
        command = [
            "ansible-playbook",
            "nomba.auth.rotate",
            "-i",
            str(self.testbed.inventory),
            *flags,
        ]
        output = self.operator.execute(command, self.operator.secret)
        for result in _MESSAGE.findall(output):
            print("".join(f"  {line}\n" for line in json.loads(result)), end="")
        return sum(int(number) for number in _CHANGED.findall(output))

    def check_published(self, token: str, name: str) -> None:
        """Check that one token is valid, and that all hosts and services use it."""
        observed = observe(self.testbed)
        services = observed["consumers"].values()
        used = [one["fingerprint"] for one in services if one["accepted_since_reload"]]
        self.check(f"{name} is the only valid token", observed["live"] == [token])
        self.check("it is the current token of the store", observed["store"]["current"] == token)
        self.check("every host has it", list(observed["hosts"].values()) == [token] * len(HOSTS))
        self.check("every service uses it", used == [token] * len(HOSTS))

    def state(self) -> dict[str, Any]:
        """Return the state that a run without changes must preserve."""
        observed = observe(self.testbed)
        return {
            name: observed[name] for name in ("live", "store", "hosts", "audit_ids", "leftovers")
        }

    def wait_for_requests(self) -> None:
        """Wait until each service has sent another request."""
        pids = self.testbed.read()["pids"]
        for name, count in self.requests().items():
            has_sent_more = partial(self.has_sent_more, name, count)
            pid = pids[f"consumer-{name}"]
            wait_until(has_sent_more, f"the service of {name}", pid, self.testbed.folder)

    def has_sent_more(self, name: str, count: int) -> bool:
        """Return whether a service has sent more than this number of requests."""
        return self.requests()[name] > count

    def requests(self) -> dict[str, int]:
        """Return the number of requests of each service."""
        return {
            name: one["calls"] for name, one in consumer_statistics(self.testbed).items() if one
        }
