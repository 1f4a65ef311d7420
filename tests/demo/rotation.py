# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotate the client of three hosts while a service on each host sends API requests."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.demo.commands import Operator
from tests.simulator.tokens import fingerprint
from tests.testbed.consumers import consumer_statistics, stop_consumers
from tests.testbed.folder import HOSTS, Testbed, TestbedError, make_private, pretty, write_private
from tests.testbed.observation import observe
from tests.testbed.processes import ROOT, wait_until
from tests.testbed.seed import seed_client

_TASKS = ROOT / "extensions" / "molecule" / "resources" / "tasks"
_CHANGED = re.compile(r" changed=(\d+) ")
# The result of a task.
_RESULT = re.compile(r"=> (\{\n.*?\n\})", re.DOTALL)
_ROW = "  {:<8} {:>8} {:>9} {:>7}   {}"


class Rotation:
    """A rotation on three simulated hosts. The hosts are folders, the services are processes."""

    def __init__(self, operator: Operator, testbed: Testbed) -> None:
        self.step, self.check, self.print = operator.step, operator.check, operator.print
        self.operator = operator
        self.simulator = operator.simulator
        self.testbed = testbed
        self.old, self.new = (dict(one) for one in self.simulator.settings["clients"][:2])

    def run(self) -> None:
        """Run all steps in order; stop the services at the end, also after an error."""
        make_private(self.testbed.logs)
        self.testbed.write({"pids": {}})
        try:
            self.step("Set up three hosts, each with a service that uses a client", self.set_up)
            self.step("Rotate to the new client while the services send requests", self.rotate)
            self.step("Delete the old client in the dashboard, and run again", self.retire)
            self.step("Run again: nothing changes", self.run_again)
            self.step("Requests of the services", self.report_requests)
        except TestbedError as error:
            self.check(f"the services run ({error})", False)
        finally:
            stop_consumers(self.testbed)

    def set_up(self) -> None:
        seed_client(self.testbed, {}, on_reload="drop")
        write_private(self.testbed.inventory, pretty({"nomba": self.group()}))
        self.check_in_service(self.old, "the old client")
        self.check("each service has logged a token", len(self.simulator.live()) == len(HOSTS))

    def rotate(self) -> None:
        output = self.playbook(expect_failure=True)
        self.check("the run asks for the deletion of the old client", "Delete the client" in output)
        self.check_in_service(self.new, "the new client")
        owners = observe(self.testbed)["live_clients"]
        self.check("the logged tokens of the old client are dead", owners == [self.id_of(self.new)])

    def retire(self) -> None:
        self.simulator.delete_client(self.id_of(self.old))
        self.playbook()
        audit = observe(self.testbed)["audit"]
        self.check("the API refuses the old client", audit[-1] == "client_refused")
        store = (self.testbed.rotation / "credentials.json").read_text(encoding="utf-8")
        self.check("the store is encrypted", store.startswith("$ANSIBLE_VAULT;"))

    def run_again(self) -> None:
        before = self.state()
        output = self.playbook()
        changed = sum(int(number) for number in _CHANGED.findall(output))
        self.check("the run reports no change", changed == 0)
        self.check("no write request was sent", not self.simulator.writes())
        self.check("nothing changed", self.state() == before)
        self.wait_for_requests()

    def report_requests(self) -> None:
        stop_consumers(self.testbed)
        self.print(
            _ROW.format("host", "requests", "rejected", "failed", "accepted with the new client")
        )
        for name, row in self.counts().items():
            self.print(_ROW.format(name, *row))
        requests, rejected, failed, with_new = (
            sum(column) for column in zip(*self.counts().values(), strict=True)
        )
        self.print(_ROW.format("total", requests, rejected, failed, with_new))
        self.check("the service of each host sent requests", len(self.counts()) == len(HOSTS))
        self.check("no request was rejected", rejected == 0)
        self.check("no request failed", failed == 0)

    def counts(self) -> dict[str, tuple[int, ...]]:
        """Return the request counts of each service."""
        result = consumer_statistics(self.testbed)
        return {host: self.columns(one) for host, one in result.items() if one}

    def columns(self, result: dict[str, Any]) -> tuple[int, ...]:
        """Return a table row; a service with the old client has no requests with the new one."""
        is_new = result["client"] == fingerprint(self.new["client_secret"])
        with_new = result["accepted_since_reload"] if is_new else 0
        return result["calls"], result["refused"], result["failed"], with_new

    def group(self) -> dict[str, Any]:
        """Return the inventory group with the options of the role."""
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "credential_rotation_dir": str(self.testbed.rotation),
            "credential_rotation_vault_password": "{{ lookup('env', 'STORE_PASSWORD') }}",
            "credential_rotation_dest": "{{ consumer_dir }}/.env",
            "credential_rotation_token_sources": ["{{ consumer_dir }}/app.log"],
            "credential_rotation_reload_tasks": str(_TASKS / "reload.yml"),
            "credential_rotation_health_tasks": str(_TASKS / "client_health.yml"),
        }
        hosts = {name: {"consumer_dir": str(self.testbed.host(name))} for name in HOSTS}
        return {"hosts": hosts, "vars": variables}

    def playbook(self, expect_failure: bool = False) -> str:
        """Run the rotate playbook with the new client, print its report, and return its output."""
        command = ["ansible-playbook", "nomba.auth.rotate", "-i", str(self.testbed.inventory)]
        client = {
            "NOMBA_CLIENT_ID": self.id_of(self.new),
            "NOMBA_CLIENT_SECRET": self.new["client_secret"],
            "STORE_PASSWORD": "a password of the demo",
        }
        output = self.operator.execute(command, client, expect_failure)
        verdict = json.loads(_RESULT.findall(output)[-1])
        lines = [verdict["msg"], *verdict["details"]] if expect_failure else verdict["msg"]
        for line in lines:
            self.print(f"  {line}")
        return output

    def check_in_service(self, client: Mapping[str, str], name: str) -> None:
        """Check that all hosts and services use a client."""
        observed = observe(self.testbed)
        services = observed["consumers"].values()
        mark = fingerprint(client["client_secret"])
        used = [one["client"] for one in services if one["accepted_since_reload"]]
        files = observed["env_clients"]
        held = files == dict.fromkeys(HOSTS, self.id_of(client))
        self.check(f"the .env file of each host has {name}, and nothing else has changed", held)
        self.check("every service uses it", used == [mark] * len(HOSTS))

    def id_of(self, client: Mapping[str, str]) -> str:
        """Return the id of a client."""
        return client["client_id"]

    def state(self) -> dict[str, Any]:
        """Return the state that a run without changes must preserve."""
        observed = observe(self.testbed)
        return {name: observed[name] for name in ("live", "env_clients", "audit_ids", "leftovers")}

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
