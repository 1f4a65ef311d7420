# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run checks in lanes; print a line when one starts, and one with its time when it ends.

The output of a check is printed only if the check fails, and then at once.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Callable, NamedTuple

from tests.tools.project import REPORTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

RULER = "-" * 78
# After this time without a line, print what is running.
SILENCE_SECONDS = 45
# The exit status of pytest without a test.
NO_TESTS = 5
WARNING = r"(?i)\bwarning\b"


class Outcome(NamedTuple):
    """The result of one check. A run of pytest has cases: whether each test passed."""

    name: str
    faults: tuple[str, ...]
    tests: int
    cases: Mapping[str, bool]
    seconds: float
    cpu_seconds: float
    output: str


class Check(NamedTuple):
    """A program, and what its output must not contain even if it exits with 0.

    A program that runs several tests has `count`, which reads their number from the output.
    """

    name: str
    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    forbidden: str = WARNING
    allowed: str = r"(?!)"
    count: Callable[[str], int] = lambda _output: 1
    is_pytest: bool = False
    may_be_empty: bool = False

    def run(self) -> Outcome:
        """Run the program and check its exit status, its output and its number of tests."""
        started = time.monotonic()
        report = REPORTS / "cases" / f"{self.name}.txt"
        report.unlink(missing_ok=True)
        status, output, cpu_seconds = self._run_program({"PYTEST_CASES": str(report)})
        cases = dict(_read_cases(report)) if self.is_pytest else {}
        tests = len(cases) if self.is_pytest else self.count(output)
        faults = tuple(self._faults(status, output, tests))
        seconds = time.monotonic() - started
        return Outcome(self.name, faults, tests, cases, seconds, cpu_seconds, output)

    def _run_program(self, extra: Mapping[str, str]) -> tuple[int, str, float]:
        process = subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env={**self.env, **extra},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout
        with process.stdout:
            output = process.stdout.read()
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, output, usage.ru_utime + usage.ru_stime

    def _faults(self, status: int, output: str, tests: int) -> list[str]:
        """Return why the check failed: a warning is a failure, and so is no test at all."""
        if self.may_be_empty and status == NO_TESTS:
            return []
        if status:
            return [f"exit status {status}"]
        if not tests:
            return ["no test was run"]
        return [
            f"not allowed: {line.strip()}"
            for line in output.splitlines()
            if re.search(self.forbidden, line) and not re.search(self.allowed, line)
        ]


def _read_cases(report: Path) -> Iterator[tuple[str, bool]]:
    """Read what tests.tools.no_skips wrote about a run of pytest."""
    if report.exists():
        for line in report.read_text(encoding="utf-8").splitlines():
            result, _, name = line.partition(" ")
            yield name, result == "passed"


class Runner:
    """Runs lanes side by side, and the checks of a lane one after another."""

    def __init__(self) -> None:
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self._printed = time.monotonic()
        self.outcomes: list[Outcome] = []

    def run(self, lanes: Sequence[Sequence[Check]]) -> int:
        """Run all checks, also after a failed one; print the closing line; return its status."""
        started = time.monotonic()
        (REPORTS / "cases").mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(len(lanes)) as pool:
            jobs = [pool.submit(self._run_lane, lane) for lane in lanes]
            while not all(job.done() for job in jobs):
                time.sleep(0.1)
                self._break_silence()
            for job in jobs:
                job.result()
        return close(self.outcomes, time.monotonic() - started)

    def _run_lane(self, lane: Sequence[Check]) -> None:
        for check in lane:
            with self._lock:
                self._running[check.name] = time.monotonic()
                self._print(f"start   {check.name}")
            outcome = check.run()
            with self._lock:
                del self._running[check.name]
                self.outcomes.append(outcome)
                self._print(describe(outcome))

    def _break_silence(self) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._printed > SILENCE_SECONDS:
                running = self._running.items()
                names = [f"{name} ({now - began:.0f} s)" for name, began in running]
                self._print("running " + ", ".join(names))

    def _print(self, text: str) -> None:
        self._printed = time.monotonic()
        print(text, flush=True)


def describe(outcome: Outcome) -> str:
    """Return the line of a check, and the whole output of a failed one."""
    word = "FAILED " if outcome.faults else "ok     "
    number = "" if outcome.tests == 1 else f"{outcome.tests:,} tests"
    times = f"{outcome.seconds:6.1f} s {outcome.cpu_seconds:6.1f} CPU s"
    line = f"{word} {outcome.name:<34} {times}   {number}".rstrip()
    if not outcome.faults:
        return line
    faults = "\n".join(f">>> {fault}" for fault in outcome.faults)
    return f"{line}\n{RULER}\n{outcome.output.strip()}\n{faults}\n{RULER}"


def close(outcomes: Sequence[Outcome], seconds: float) -> int:
    """Print the failed checks and the closing line, and return the exit status."""
    failed = [outcome.name for outcome in outcomes if outcome.faults]
    cpu_seconds = sum(outcome.cpu_seconds for outcome in outcomes)
    print(RULER)
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    print(f"{summary(outcomes)} ({clock(seconds)}, {clock(cpu_seconds)} of CPU time)", flush=True)
    return 1 if failed or not any(outcome.tests for outcome in outcomes) else 0


def summary(outcomes: Sequence[Outcome]) -> str:
    """Count distinct cases over all runs of pytest, and the other checks."""
    runs = [outcome for outcome in outcomes if outcome.cases]
    others = [outcome for outcome in outcomes if not outcome.cases]
    names = {name for run in runs for name in run.cases}
    bad = {name for run in runs for name, passed in run.cases.items() if not passed}
    parts = []
    if runs:
        plural = "s" if len(runs) > 1 else ""
        broken = max(len(bad), sum(1 for run in runs if run.faults))
        parts.append(f"{len(names):,} cases in {len(runs)} run{plural}, {broken} failed")
    if others:
        tests = sum(outcome.tests for outcome in others)
        parts.append(f"{tests} checks, {sum(1 for one in others if one.faults)} failed")
    return "; ".join(parts) or "nothing was run"


def clock(seconds: float) -> str:
    """Return minutes and seconds."""
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
