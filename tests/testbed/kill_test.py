# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a rotation at each point in turn, run it again, and check the end state.

python -m tests.testbed.kill_test --folder F [--every task|effect] -- ANSIBLE-PLAYBOOK ARGUMENT...
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from .folder import HOSTS, Testbed
from .observation import observe
from .seed import seed_test

RESULTS = "kill-test.txt"
_CALLBACKS = Path(__file__).parent / "callbacks"
_KILLED = -signal.SIGKILL
_EVENTS = {"begun", "issued", "accepted", "published", "promoted", "finished"}


@dataclass(frozen=True)
class KillTest:
    """A command that rotates, and the test environment in which it runs."""

    testbed: Testbed
    command: Sequence[str]
    hosts: Sequence[str]

    def run(self, every: str) -> int:
        """Test all kill points, print the results, and return the exit status.

        effect: after each module that has changed something, also between two modules of a task.
        task: also after each task.
        """
        (self.testbed.folder / RESULTS).unlink(missing_ok=True)
        kinds = ("effect", "task") if every == "task" else ("effect",)
        points = [point for kind in kinds for point in self.test_points(kind)]
        faults = sum(points)
        self.report(f"{len(points)} kill points, {faults} faults\n")
        return 1 if faults or not points else 0

    def test_points(self, kind: str) -> Iterator[int]:
        """Kill a run after its first task or effect, then after its second, until a run ends.

        Yield the number of faults for each kill point.
        """
        log = self.testbed.folder / "tasks.jsonl"
        for number in count(1):
            seed_test(self.testbed, {}, hosts=self.hosts)
            log.unlink(missing_ok=True)
            killed = self.play({"KILL_LOG": str(log), f"KILL_{kind.upper()}": str(number)})
            if killed.returncode == 0:
                return
            interrupted = observe(self.testbed)
            resumed = self.play({})
            observed = observe(self.testbed)
            faults = find_faults(observed, self.hosts)
            if killed.returncode != _KILLED:
                faults.append(f"the first run failed:\n{killed.stdout[-3000:]}")
            if resumed.returncode:
                faults.append(f"the second run failed:\n{resumed.stdout[-3000:]}")
            task = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])["task"]
            where = f"{kind:6} {number:3} {task:58}"
            self.report_point(where, len(interrupted["live"]), observed["consumers"], faults)
            yield len(faults)
            if killed.returncode != _KILLED:
                return

    def report_point(
        self, where: str, live: int, consumers: dict[str, Any], faults: list[str]
    ) -> None:
        """Print the result of one kill point."""
        calls = sum(one["calls"] for one in consumers.values())
        verdict = "FAULT" if faults else "ok"
        line = f"{where} live tokens {live}, calls {calls}"
        self.report(f"{verdict:5} {line}\n" + "".join(f"      {fault}\n" for fault in faults))

    def play(self, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run the command with the callback that counts tasks and effects."""
        callback = {
            "ANSIBLE_CALLBACK_PLUGINS": str(_CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "kill",
        }
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


def find_faults(observed: dict[str, Any], hosts: Sequence[str]) -> list[str]:
    """Compare the observed state with the end state of a rotation."""
    store, live = observed["store"], observed["live"]
    audit = set(observed["audit"])
    consumers = observed["consumers"].values()
    checks = {
        f"{len(live)} tokens are live": len(live) == 1,
        "the store's token is not the live one": [store["current"]] == live,
        "a token is pending": store["pending"] is None,
        "a replaced token is left": store["previous"] == [],
        "the rotation is not finished": store["rotation"] is None,
        "a host has another token": observed["hosts"] == dict.fromkeys(hosts, store["current"]),
        "a consumer uses another token": {one["fingerprint"] for one in consumers} == set(live),
        "a call was refused": not any(one["refused"] for one in consumers),
        "a call failed": not any(one["failed"] for one in consumers),
        "a file was left": observed["leftovers"] == [],
        "an event is missing": audit >= {*_EVENTS, "revoked"}
        or audit >= {*_EVENTS, "already_revoked"},
        "an event was written twice": len(set(observed["audit_ids"])) == len(observed["audit_ids"]),
        f"{observed['issued']} tokens were issued": observed["issued"] == 1,
    }
    return [fault for fault, passed in checks.items() if not passed]


def main() -> int:
    """Parse the command line and run the test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--every", choices=("task", "effect"), default="task")
    parser.add_argument("--hosts", nargs="+", choices=HOSTS, default=HOSTS)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    testbed = Testbed(options.folder.resolve())
    return KillTest(testbed, options.command, options.hosts).run(options.every)


if __name__ == "__main__":
    sys.exit(main())
