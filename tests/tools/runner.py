# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run checks in lanes; print a line when one starts, and one with its time when it ends.

A few lanes run at a time. The output of a check is printed only if the check fails, and then at
once.
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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RULER = "-" * 78
# Lanes at a time. Two cores have work for three, because molecule and some tests often wait.
WORKERS = 3
# After this time without a line, print what is running.
SILENCE_SECONDS = 45
# The exit status of pytest without a test.
NO_TESTS = 5
WARNING = r"(?i)\bwarning\b"


class Outcome(NamedTuple):
    """The result of one check. A run of pytest has cases: whether each test passed."""

    name: str
    faults: Sequence[str]
    tests: int
    cases: Mapping[str, bool]
    seconds: float
    cpu_seconds: float
    output: str

    def __str__(self) -> str:
        """Return one line, and after it the whole output of a failed check."""
        number = "" if self.tests == 1 else f"{self.tests:6,} tests"
        times = f"{self.seconds:6.1f} s {self.cpu_seconds:6.1f} CPU s"
        line = f"{'FAILED' if self.faults else 'ok':<8}{self.name:<34}{times} {number}".rstrip()
        faults = "\n".join(f">>> {fault}" for fault in self.faults)
        return f"{line}\n{RULER}\n{self.output.strip()}\n{faults}\n{RULER}" if faults else line


class Check(NamedTuple):
    """A command of the shell, and what its output must not contain even if it exits with 0.

    `count` reads from the output how many tests the command ran; pytest writes a report instead.
    """

    name: str
    command: str
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
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text("", encoding="utf-8")
        status, output, cpu_seconds = self._run_program({"PYTEST_CASES": str(report)})
        lines = report.read_text(encoding="utf-8").splitlines()
        cases = {line.partition(" ")[2]: line.startswith("passed ") for line in lines}
        tests = len(cases) if self.is_pytest else self.count(output)
        faults = self._faults(status, output, tests)
        seconds = time.monotonic() - started
        return Outcome(self.name, faults, tests, cases, seconds, cpu_seconds, output)

    def _run_program(self, extra: Mapping[str, str]) -> tuple[int, str, float]:
        with subprocess.Popen(
            self.command,
            shell=True,
            cwd=self.cwd,
            env={**self.env, **extra},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout
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


def run_lanes(lanes: Sequence[Sequence[Check]]) -> bool:
    """Run lanes side by side; print the closing line; return whether all checks passed."""
    runner, started = Runner(), time.monotonic()
    runner.run(lanes)
    failed = [outcome.name for outcome in runner.outcomes if outcome.faults]
    cpu_seconds = sum(outcome.cpu_seconds for outcome in runner.outcomes)
    print(RULER)
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    times = f"({clock(time.monotonic() - started)}, {clock(cpu_seconds)} of CPU time)"
    print(summary(runner.outcomes), times, flush=True)
    return not failed and any(outcome.tests for outcome in runner.outcomes)


class Runner:
    """Runs lanes side by side, and the checks of a lane one after another."""

    def __init__(self) -> None:
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self._printed = time.monotonic()
        self.outcomes: list[Outcome] = []

    def run(self, lanes: Sequence[Sequence[Check]]) -> None:
        """Run all checks, also after a failed one; a lane that waits starts when another ends."""
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = [pool.submit(self._run_lane, lane) for lane in lanes]
            while not all(job.done() for job in jobs):
                time.sleep(0.1)
                self._break_silence()
            for job in jobs:
                job.result()

    def _run_lane(self, lane: Sequence[Check]) -> None:
        for check in lane:
            with self._lock:
                self._running[check.name] = time.monotonic()
                self._print(f"start   {check.name}")
            outcome = check.run()
            with self._lock:
                del self._running[check.name]
                self.outcomes.append(outcome)
                self._print(str(outcome))

    def _break_silence(self) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._printed > SILENCE_SECONDS:
                names = [f"{name} ({now - began:.0f} s)" for name, began in self._running.items()]
                self._print("running " + ", ".join(names))

    def _print(self, text: str) -> None:
        self._printed = time.monotonic()
        print(text, flush=True)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Count the distinct cases of all runs of pytest, and the other checks."""
    runs = [outcome for outcome in outcomes if outcome.cases]
    others = [outcome for outcome in outcomes if not outcome.cases]
    names = {name for run in runs for name in run.cases}
    bad = {name for run in runs for name, passed in run.cases.items() if not passed}
    failed = max(len(bad), sum(bool(run.faults) for run in runs))
    cases = [f"{len(names):,} cases in {len(runs)} runs, {failed} failed"] if runs else []
    tests, failed = sum(one.tests for one in others), sum(bool(one.faults) for one in others)
    return "; ".join(cases + ([f"{tests:,} checks, {failed} failed"] if others else []))


def clock(seconds: float) -> str:
    """Return minutes and seconds."""
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
