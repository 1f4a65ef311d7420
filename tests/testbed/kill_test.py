# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a rotation at each point, run it again, and check what is alive and the end state.

python -m tests.testbed.kill_test --folder F [--every step|task] -- ANSIBLE-PLAYBOOK ARGUMENT...
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from .folder import HOSTS, Testbed
from .observation import observe
from .seed import seed_client, seed_test

RESULTS = "kill-test.txt"
CREDENTIALS = ("client", "access_token")
_CALLBACKS = Path(__file__).parent / "callbacks"
_KILLED = -signal.SIGKILL
_EVENTS = {
    "client": {
        *("begun", "adopted", "taken", "accepted", "published", "promoted", "finished"),
        "client_refused",
    },
    "access_token": {"begun", "issued", "accepted", "published", "promoted", "finished"},
}


@dataclass(frozen=True)
class KillTest:
    """A command that rotates a credential, and the test environment in which it runs."""

    testbed: Testbed
    command: Sequence[str]
    hosts: Sequence[str]
    credential: str

    def run(self, every: str) -> int:
        """Test all kill points, print the results, and return the exit status.

        An effect is a module that has changed something. step: one rotation, killed after each of
        its effects; each run continues what the one before has left. task: a new rotation for each
        task and for each effect, killed after it and then completed by one run.
        """
        (self.testbed.folder / RESULTS).unlink(missing_ok=True)
        kinds = ("effect", "task")
        points = (
            list(self.test_steps())
            if every == "step"
            else [one for kind in kinds for one in self.test_points(kind)]
        )
        faults = sum(points)
        self.report(f"{self.credential}: {len(points)} kill points, {faults} faults\n")
        return 1 if faults or not points else 0

    def test_points(self, kind: str) -> Iterator[int]:
        """Kill a run after its first task or effect, then after its second, until a run ends.

        Yield the number of faults for each kill point.
        """
        for number in count(1):
            self.seed()
            killed = self.play({f"KILL_{kind.upper()}": str(number)})
            if killed.returncode == 0:
                return
            interrupted, where = observe(self.testbed), self.last_task(kind, number)
            faults = self.end_faults(self.play({}))
            yield self.report_point(where, interrupted, killed, faults)
            if killed.returncode != _KILLED:
                return

    def test_steps(self) -> Iterator[int]:
        """Kill runs, each after its first effect after which none was killed, until one ends.

        Yield the number of faults for each kill point; the last one includes those at the end.
        """
        self.seed()
        effects = self.testbed.folder / "effects.txt"
        effects.unlink(missing_ok=True)
        killed = self.play({"KILL_NEXT": str(effects)})
        for number in count(1):
            if killed.returncode == 0:
                return
            interrupted, where = observe(self.testbed), self.last_task("step", number)
            following = self.play({"KILL_NEXT": str(effects)})
            faults = [] if following.returncode == _KILLED else self.end_faults(following)
            yield self.report_point(where, interrupted, killed, faults)
            if faults or killed.returncode != _KILLED:
                return
            killed = following

    def seed(self) -> None:
        """Prepare a rotation."""
        if self.credential == "client":
            seed_client(self.testbed, {}, on_reload="drop", hosts=self.hosts)
        else:
            seed_test(self.testbed, {}, hosts=self.hosts)

    def end_faults(self, run: subprocess.CompletedProcess[str]) -> list[str]:
        """Return what is wrong after the last run."""
        faults = find_faults(observe(self.testbed), self.hosts, self.credential)
        if run.returncode:
            faults.append(f"the last run failed:\n{run.stdout[-3000:]}")
        return faults

    def last_task(self, kind: str, number: int) -> str:
        """Return the kind, number and task of a kill point."""
        last = json.loads(self.log.read_text(encoding="utf-8").splitlines()[-1])
        return f"{kind:6} {number:3} {last['task']:68}"

    def report_point(
        self,
        where: str,
        interrupted: Mapping[str, Any],
        killed: subprocess.CompletedProcess[str],
        faults: Sequence[str],
    ) -> int:
        """Print the result of one kill point; return the number of faults."""
        found = [*find_faults_at_kill(interrupted), *faults]
        if killed.returncode != _KILLED:
            found.append(f"the first run failed:\n{killed.stdout[-3000:]}")
        verdict = "FAULT" if found else "ok"
        lines = [f"{verdict:5} {where} live tokens {len(interrupted['live'])}"]
        self.report("".join(f"{line}\n" for line in [*lines, *(f"      {one}" for one in found)]))
        return len(found)

    @property
    def log(self) -> Path:
        """The tasks and effects of the last run."""
        return self.testbed.folder / "tasks.jsonl"

    def play(self, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run the command with the callback that counts tasks and effects."""
        self.log.unlink(missing_ok=True)
        callback = {
            "ANSIBLE_CALLBACK_PLUGINS": str(_CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "kill",
            "KILL_LOG": str(self.log),
        }
        if self.credential == "client":
            record = self.testbed.read()
            client_id = record["clients"][0]["client_id"]
            url = f"{record['simulator']['http_url']}/_simulator/clients/{client_id}"
            callback["DELETE_CLIENT"] = url
        return subprocess.run(
            self.command,
            env={**os.environ, **callback, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def report(self, text: str) -> None:
        """Print a text, and append it to a file, because Ansible prints it only at the end."""
        sys.stdout.write(text)
        sys.stdout.flush()
        with (self.testbed.folder / RESULTS).open("a", encoding="utf-8") as results:
            results.write(text)


def find_faults_at_kill(observed: Mapping[str, Any]) -> list[str]:
    """Return what is wrong while a rotation is interrupted."""
    live, store = observed["live"], observed["store"] or {"client": None, "rotation": {}}
    is_promoted = "promoted" in observed["audit"]
    files = observed["env_clients"].values()
    checks = {
        "a file is neither the old nor the new one": None not in files,
        "a host has a token that is not live": set(observed["hosts"].values()) <= set(live),
        "the old token is dead before another one is in service": is_promoted
        or observed["seeded"] in live,
        "the rotation is finished, but hosts differ": bool(store["rotation"])
        or len(set(files)) <= 1,
    }
    return [fault for fault, passed in {**checks, **_traffic(observed)}.items() if not passed]


def find_faults(
    observed: Mapping[str, Any], hosts: Sequence[str], credential: str = "access_token"
) -> list[str]:
    """Compare the observed state with the end state of a rotation."""
    audit, ids = set(observed["audit"]), observed["audit_ids"]
    store = observed["store"] or {"pending": None, "previous": [], "rotation": None}
    of_credential = _client_checks if credential == "client" else _token_checks
    checks = {
        **of_credential(observed, hosts, store),
        **_traffic(observed),
        "a credential is pending": store["pending"] is None,
        "a replaced credential is left": store["previous"] == [],
        "the rotation is not finished": store["rotation"] is None,
        "a file was left": observed["leftovers"] == [],
        "an event is missing": audit >= _EVENTS[credential]
        and not audit.isdisjoint({"revoked", "already_revoked"}),
        "an event was written twice": len(set(ids)) == len(ids),
    }
    return [fault for fault, passed in checks.items() if not passed]


def _traffic(observed: Mapping[str, Any]) -> dict[str, bool]:
    consumers = observed["consumers"].values()
    return {
        "a call was refused": not any(one["refused"] for one in consumers),
        "a call failed": not any(one["failed"] for one in consumers),
    }


def _token_checks(
    observed: Mapping[str, Any], hosts: Sequence[str], store: Mapping[str, Any]
) -> dict[str, bool]:
    live, current = observed["live"], store.get("current")
    used = {one["fingerprint"] for one in observed["consumers"].values()}
    return {
        f"{len(live)} tokens are live": len(live) == 1,
        "the store's token is not the live one": [current] == live,
        "a host has another token": observed["hosts"] == dict.fromkeys(hosts, current),
        "a consumer uses another token": used == set(live),
        f"{observed['issued']} tokens were issued": observed["issued"] == 1,
    }


def _client_checks(
    observed: Mapping[str, Any], hosts: Sequence[str], store: Mapping[str, Any]
) -> dict[str, bool]:
    """Return the checks of a client: only tokens that the services have issued with it are live."""
    live, consumers = observed["live"], observed["consumers"].values()
    client = store.get("client")
    issued = sum(one["issued"] for one in consumers) - 1  # the first one belongs to the old client
    return {
        f"{len(live)} tokens are live, and the services have issued {issued}": len(live) == issued,
        "the old client is in service": client not in {None, observed["seeded_client"]},
        "a token of another client is live": observed["live_clients"] == [client],
        "a host has another client": observed["env_clients"] == dict.fromkeys(hosts, client),
        "a consumer uses another client": all(one["is_token_of_client"] for one in consumers)
        and {one["fingerprint"] for one in consumers} == {observed["cached"]} <= set(live),
    }


def main() -> int:
    """Parse the command line and run the test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--every", choices=("step", "task"), default="task")
    parser.add_argument("--credential", choices=CREDENTIALS, default="client")
    parser.add_argument("--hosts", nargs="+", choices=HOSTS, default=HOSTS)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    testbed = Testbed(options.folder.resolve())
    test = KillTest(testbed, options.command, options.hosts, options.credential)
    return test.run(options.every)


if __name__ == "__main__":
    sys.exit(main())
