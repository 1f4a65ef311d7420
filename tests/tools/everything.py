# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run all parts of a verb, each with its time, and add up their tests in a closing line.

python -m tests.tools.everything test      what must pass before a change lands
python -m tests.tools.everything quality   what must pass before a release, besides
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.tools.checks import RULER, closing_line
from tests.tools.project import ROOT, VENV, environment_python

# Lanes run side by side, the parts of a lane one after another. Molecule, the longest, often waits,
# so that two cores have work for three lanes.
LANES = {
    "test": (("molecule",), ("sanity", "lint", "integration"), ("units", "package")),
    "quality": (("sanity --oldest",), ("eda", "docs", "quality")),
}


@dataclass(frozen=True)
class Part:
    """What came of one verb."""

    name: str
    status: int
    passed: int
    failed: int
    seconds: float


def main(verb: str) -> int:
    """Run all parts, also after a failed one, and add up."""
    lanes = LANES[verb]
    with ThreadPoolExecutor(len(lanes)) as pool:
        parts = [part for lane in pool.map(run_lane, lanes) for part in lane]
    print(f"\n{RULER}")
    for part in parts:
        word = "FAILED" if part.status else "ok    "
        print(f"{word} {part.name:<15} {part.seconds:6.1f} s   {part.passed} passed")
    return closing_line(sum(part.passed for part in parts), sum(part.failed for part in parts))


def run_lane(names: tuple[str, ...]) -> list[Part]:
    """Run the parts of a lane one after another."""
    return [run_part(name) for name in names]


def run_part(name: str) -> Part:
    """Run one verb's tool, show what it says in one piece, and read its closing line."""
    started = time.monotonic()
    run = subprocess.run(
        [str(environment_python(VENV)), "-m", *f"tests.tools.{name}".split()],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    output, passed, failed = take_closing_line(run.stdout)
    print(f"\n== {name} ({seconds:.0f} s)\n{output}", flush=True)
    if run.returncode:
        failed = max(failed, 1)
    return Part(name, run.returncode, passed, failed, seconds)


def take_closing_line(output: str) -> tuple[str, int, int]:
    """Return the output without its closing line, and the two numbers of that line."""
    found = re.search(r"^(\d+) passed, (\d+) failed\n*\Z", output, re.MULTILINE)
    if not found:
        return output.rstrip(), 0, 0
    return output[: found.start()].rstrip(), int(found[1]), int(found[2])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
