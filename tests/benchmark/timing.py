# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure processes from start to end, and compute the spread of several runs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launcher.py")
_MAX_OUTPUT = 2000
_KIB_IN_MB = 1000 * 1000 / 1024


class BenchmarkError(Exception):
    """A measured program failed, so its time is not meaningful."""


@dataclass(frozen=True)
class Sample:
    """One run. peak_mb: peak memory of the process or of its largest child."""

    seconds: float
    peak_mb: float
    observed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """The median, minimum and maximum of several runs."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of the values."""
    return Spread(statistics.median(values), min(values), max(values))


def timed(command: Sequence[str], environment: Mapping[str, str]) -> Sample:
    """Run a program and measure it; raise BenchmarkError if it fails."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as report:
        launched = [sys.executable, "-I", "-S", str(_LAUNCHER), report.name, *command]
        run = subprocess.run(
            launched,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if run.returncode:
            output = run.stdout.decode("utf-8", "replace")[-_MAX_OUTPUT:]
            raise BenchmarkError(f"{command[0]} failed with status {run.returncode}: {output}")
        seconds, peak_kib = report.read().split()
    return Sample(float(seconds), float(peak_kib) / _KIB_IN_MB)


Sides = Mapping[str, Callable[[], Sample]]
Samples = dict[str, list[Sample]]


def interleave(sides: Sides, runs: int) -> Samples:
    """Run all sides alternately; each round starts with the next side."""
    names = list(sides)
    samples: Samples = {name: [] for name in names}
    for turn in range(runs):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            sample = sides[name]()
            print(f"    {name}: {sample.seconds:.2f} s", flush=True)
            samples[name].append(sample)
    return samples


def times(samples: Sequence[Sample]) -> Spread:
    """Return the spread of the durations."""
    return spread([sample.seconds for sample in samples])


def ratios(over: Sequence[Sample], under: Sequence[Sample]) -> Spread:
    """Return the spread of the ratios of durations, computed for each round."""
    return spread([one.seconds / other.seconds for one, other in zip(over, under)])
