# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a rotation after each of its tasks in turn, run it again, and look what that came to.

python -m tests.testbed.interrupt --folder F [--every task|step] -- ANSIBLE-PLAYBOOK ARGUMENT...
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .folder import Testbed
from .observation import observe
from .play import seed, seed_token

CALLBACKS = Path(__file__).parent / "callbacks"
TABLE = "interrupted.txt"
_KILLED = -signal.SIGKILL
_COMPLETE = ["begun", "issued", "accepted", "published", "promoted", "finished"]


@dataclass(frozen=True)
class Point:
    """A task after which a run is killed."""

    number: int
    step: str
    task: str


def main() -> int:
    """Find the points, and try each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--every", choices=("task", "step"), default="task")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    testbed = Testbed(given.folder.resolve())
    points = find_points(testbed, given.command, given.every)
    (testbed.folder / TABLE).unlink(missing_ok=True)
    faults = [fault for point in points for fault in try_point(testbed, given.command, point)]
    tell(testbed, f"{len(points)} kill points, {len(faults)} faults\n")
    return 1 if faults or not points else 0


def find_points(testbed: Testbed, command: Sequence[str], every: str) -> list[Point]:
    """All tasks of a run that nobody kills, or those of the role's table of contents only."""
    begin(testbed)
    log = testbed.folder / "tasks.jsonl"
    log.unlink(missing_ok=True)
    run = play(command, {"KILL_LOG": str(log)})
    if run.returncode:
        raise SystemExit(f"the run without a kill failed:\n{run.stdout}")
    points = [Point(**json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]
    return points if every == "task" else [one for one in points if one.step == "main.yml"]


def try_point(testbed: Testbed, command: Sequence[str], point: Point) -> list[str]:
    """Kill a run after a task, run it again, and say what is not as it should be."""
    begin(testbed)
    killed = play(command, {"KILL_AFTER": str(point.number)})
    between = observe(testbed)
    finished = play(command, {})
    after = observe(testbed)
    faults = [] if killed.returncode == _KILLED else [f"it was not killed: {killed.returncode}"]
    if finished.returncode:
        faults.append(f"the second run failed:\n{finished.stdout[-3000:]}")
    faults += wrong(after)
    calls = sum(one["calls"] for one in after["consumers"].values())
    refused = sum(one["refused"] for one in after["consumers"].values())
    word = "FAULT" if faults else "ok"
    result = f"{point.number:3} {point.step:28} {point.task:58} live then {len(between['live'])}"
    tell(testbed, f"{word:5} {result}, calls {calls}, refused {refused}\n")
    tell(testbed, "".join(f"      {fault}\n" for fault in faults))
    return faults


def tell(testbed: Testbed, text: str) -> None:
    """Say it here, and in a file that somebody can follow."""
    sys.stdout.write(text)
    sys.stdout.flush()
    with (testbed.folder / TABLE).open("a", encoding="utf-8") as table:
        table.write(text)


def wrong(seen: dict[str, Any]) -> list[str]:
    """What is not as a rotation must end."""
    store, live = seen["store"], seen["live"]
    audit = set(seen["audit"])
    checks = {
        f"{len(live)} tokens are alive": len(live) == 1,
        "the store's token is not the live one": [store["current"]] == live,
        "a token is pending": store["pending"] is None,
        "a replaced token is left": store["previous"] == [],
        "the rotation is not finished": store["rotation"] is None,
        "a host holds another token": set(seen["hosts"].values()) == set(live),
        "a call was refused": not any(one["refused"] for one in seen["consumers"].values()),
        "a file was left": seen["leftovers"] == [],
        "the record lacks an event": audit >= {*_COMPLETE, "revoked"}
        or audit >= {*_COMPLETE, "already_revoked"},
        "the record has an event twice": len(set(seen["audit_ids"])) == len(seen["audit_ids"]),
        "more than one token was issued": seen["issued"] == 1,
    }
    return [fault for fault, is_well in checks.items() if not is_well]


def begin(testbed: Testbed) -> None:
    """The same beginning for each."""
    simulator = seed(testbed, {})
    seed_token(testbed, simulator, age=3600, lifetime=10800)
    simulator.forget_requests()


def play(command: Sequence[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the playbook under the callback that counts its tasks."""
    callbacks = {"ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS), "ANSIBLE_CALLBACKS_ENABLED": "kill"}
    return subprocess.run(
        command,
        env={**os.environ, **callbacks, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
