# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts get a new token while a service on each calls the API all the time."""

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
_TOLD = re.compile(r'"msg": (\[.*?\n {4}\])', re.DOTALL)
_LINE = "  {:<8} {:>6} {:>9} {:>9}   {}"


class Rotation:
    """Folders of this machine play the hosts; the services in them are real processes."""

    def __init__(self, operator: Operator, testbed: Testbed) -> None:
        self.step, self.expect = operator.step, operator.expect
        self.operator = operator
        self.simulator = operator.simulator
        self.testbed = testbed
        self.old = ""

    def run(self) -> None:
        """All steps in order; the services end with them, also when one breaks."""
        make_private(self.testbed.logs)
        self.testbed.write({"pids": {}})
        try:
            self.step("Three hosts, and a service on each that lives on its token", self.begin)
            self.step("Check mode: what would a rotation do?", self.rehearse)
            self.step("Rotate, while the services go on calling", self.rotate)
            self.step("Rotate again: the token is young, nothing is to be done", self.rotate_again)
            self.step("How the services fared", self.count)
        except TestbedError as problem:
            self.expect(f"the services run ({problem})", False)
        finally:
            stop_consumers(self.testbed)

    def begin(self) -> None:
        self.old = seed_token(self.testbed, seed(self.testbed, {}), age=3600, lifetime=10800)
        write_private(self.testbed.inventory, pretty({"nomba": self.group()}))
        self.expect_in_service(self.old, "the token that is an hour old")

    def rehearse(self) -> None:
        before = self.standing()
        self.expect("the check run announces a change", self.playbook("--check") > 0)
        self.expect("the check run sent no write", not self.simulator.writes())
        self.expect("and left everything as it was", self.standing() == before)

    def rotate(self) -> None:
        self.expect("the run changed something", self.playbook() > 0)
        new = observe(self.testbed)["store"]["current"]
        self.expect("the token in the store is another one", new != self.old)
        self.expect_in_service(new, "the new token")
        self.expect("the API refuses the old one", not self.simulator.accepts(self.old))

    def rotate_again(self) -> None:
        before = self.standing()
        self.expect("the run changed nothing", self.playbook() == 0)
        self.expect("no write was sent", not self.simulator.writes())
        self.expect("all is as it was", self.standing() == before)
        self.await_more_calls()
        used = self.simulator.counters()["fingerprints"]
        self.expect("nobody calls with the old token any more", self.old not in used)

    def count(self) -> None:
        stop_consumers(self.testbed)
        print(_LINE.format("host", "calls", "refused", "no answer", "accepted with the new token"))
        for name, one in self.fared().items():
            print(_LINE.format(name, *one))
        calls, refused, failed, anew = (
            sum(one) for one in zip(*self.fared().values(), strict=True)
        )
        print(_LINE.format("in sum", calls, refused, failed, anew))
        self.expect("every host's service called", len(self.fared()) == len(HOSTS))
        self.expect("no call was refused", refused == 0)
        self.expect("no call went without an answer", failed == 0)

    def fared(self) -> dict[str, tuple[int, ...]]:
        """What each service has counted."""
        result = consumer_statistics(self.testbed)
        return {host: self.columns(one) for host, one in result.items() if one}

    def columns(self, result: dict[str, Any]) -> tuple[int, ...]:
        """One line of the table; a service that still has the old token has no calls with a new."""
        anew = 0 if result["fingerprint"] == self.old else result["accepted_since_reload"]
        return result["calls"], result["refused"], result["failed"], anew

    def group(self) -> dict[str, Any]:
        """The inventory's group, with the options of the role."""
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "credential_rotation_dir": str(self.testbed.rotation),
            "credential_rotation_dest": "{{ consumer_dir }}/token.env",
            "credential_rotation_reload_tasks": str(_TASKS / "reload.yml"),
            "credential_rotation_health_tasks": str(_TASKS / "health.yml"),
        }
        hosts = {name: {"consumer_dir": str(self.testbed.host(name))} for name in HOSTS}
        return {"hosts": hosts, "vars": variables}

    def playbook(self, *flags: str) -> int:
        """The collection's playbook, aimed at the group; return how much it changed."""
        line = ["ansible-playbook", "nomba.auth.rotate", "-i", str(self.testbed.inventory), *flags]
        output = self.operator.execute(line, self.operator.secret)
        for result in _TOLD.findall(output):
            print("".join(f"  {line}\n" for line in json.loads(result)), end="")
        return sum(int(number) for number in _CHANGED.findall(output))

    def expect_in_service(self, token: str, name: str) -> None:
        """One token is alive, and everybody uses it."""
        seen = observe(self.testbed)
        services = seen["consumers"].values()
        served = [one["fingerprint"] for one in services if one["accepted_since_reload"]]
        self.expect(f"{name} alone is alive", seen["live"] == [token])
        self.expect("the store has it as its current", seen["store"]["current"] == token)
        self.expect("every host holds it", list(seen["hosts"].values()) == [token] * len(HOSTS))
        self.expect("every service was served with it", served == [token] * len(HOSTS))

    def standing(self) -> dict[str, Any]:
        """What a run that does nothing must leave alone."""
        seen = observe(self.testbed)
        return {name: seen[name] for name in ("live", "store", "hosts", "audit_ids", "leftovers")}

    def await_more_calls(self) -> None:
        """Wait until each service has called again."""
        pids = self.testbed.read()["pids"]
        for name, begun in self.calls().items():
            has_called = partial(self.has_called, name, begun)
            pid = pids[f"consumer-{name}"]
            wait_until(has_called, f"the service of {name}", pid, self.testbed.folder)

    def has_called(self, name: str, calls: int) -> bool:
        """Whether a service has counted more calls than these."""
        return self.calls()[name] > calls

    def calls(self) -> dict[str, int]:
        """How often each service has called."""
        return {name: one["calls"] for name, one in consumer_statistics(self.testbed).items()}
