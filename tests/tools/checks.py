# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run checks side by side; print one line for each, and all it said only if it failed."""

from __future__ import annotations

import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RULER = "-" * 78


@dataclass(frozen=True)
class Outcome:
    """What came of one check."""

    name: str
    faults: tuple[str, ...]
    tests: int
    seconds: float
    output: str


@dataclass(frozen=True)
class Check:
    """A program to run, and what its output must not contain even when it exits with 0.

    A program that runs several tests has `count`, which reads their number from the output.
    """

    name: str
    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    forbidden: str = r"(?i)\bwarning\b"
    allowed: str = r"(?!)"
    count: Callable[[str], int] | None = None

    def run(self) -> Outcome:
        """Run the program and judge its exit status and its output."""
        started = time.monotonic()
        run = subprocess.run(
            self.command,
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        tests = self.count(run.stdout) if self.count else 1
        faults = tuple(self._faults(run.returncode, run.stdout, tests))
        return Outcome(self.name, faults, tests, time.monotonic() - started, run.stdout)

    def _faults(self, status: int, output: str, tests: int) -> list[str]:
        """Return why the check failed: a warning is a failure, and so is no test at all."""
        if status:
            return [f"exit status {status}"]
        if not tests:
            return ["no test was run"]
        return [
            f"not allowed: {line.strip()}"
            for line in output.splitlines()
            if re.search(self.forbidden, line) and not re.search(self.allowed, line)
        ]


def run_checks(checks: Sequence[Check], workers: int | None = None) -> list[Outcome]:
    """Run all checks, some at a time, and say how each went."""
    outcomes = []
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for job in as_completed([pool.submit(check.run) for check in checks]):
            outcomes.append(job.result())
            report(outcomes[-1])
    return outcomes


def report(outcome: Outcome) -> None:
    """Print a line for a check, and the whole output of a failed one."""
    word = "FAILED" if outcome.faults else "ok    "
    number = f"{outcome.tests} tests" if outcome.tests > 1 else ""
    line = f"{word} {outcome.name:<30} {outcome.seconds:6.1f} s   {number}"
    print(line.rstrip(), flush=True)
    if outcome.faults:
        faults = "\n".join(f">>> {fault}" for fault in outcome.faults)
        print(f"{RULER}\n{outcome.output.strip()}\n{faults}\n{RULER}", flush=True)


def close(outcomes: Sequence[Outcome]) -> int:
    """Print the closing line of a verb and return its exit status."""
    passed = sum(outcome.tests for outcome in outcomes if not outcome.faults)
    failed = sum(1 for outcome in outcomes if outcome.faults)
    return closing_line(passed, failed)


def closing_line(passed: int, failed: int) -> int:
    """Print the numbers that make test adds up, and return the exit status they mean."""
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0
