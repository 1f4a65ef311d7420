# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.benchmark: measure, and write tables and a plot. Run by `make bench`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from . import plot, report
from .cases import CASES, FULL, QUICK, Size
from .results import Results, from_json
from .testbed import Testbed, testbed
from .timing import BenchmarkError

_COMMAND = "`make bench`"
_QUICK_COMMAND = "`make bench ARGS=--quick`, so small that its numbers mean nothing"


def main() -> int:
    """Measure what was asked for, then write the page from everything measured so far."""
    given = _parser().parse_args()
    size = replace(QUICK if given.quick else FULL, **({"runs": given.runs} if given.runs else {}))
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as name, testbed(Path(name)) as here:
            for case in given.only or CASES:
                _measure(case, here, size, given.out)
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    if given.quick:
        _write(given.out, given.out, _QUICK_COMMAND)
    else:
        _write(given.out, given.docs or given.out, _COMMAND)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny: only to see that it works")
    parser.add_argument("--only", nargs="+", choices=list(CASES), help="renew only these cases")
    parser.add_argument("--runs", type=int, help=f"of each side ({FULL.runs}; 1 with --quick)")
    parser.add_argument("--out", type=Path, default=Path(".build/benchmark"), help="for raw JSON")
    parser.add_argument("--docs", type=Path, help="for page and plot; --out without it")
    return parser


def _measure(case: str, here: Testbed, size: Size, out: Path) -> None:
    print(case, flush=True)
    found = CASES[case](here, size)
    date = datetime.now(timezone.utc).date().isoformat()
    result = {"facts": report.facts(date), **found.as_json()}
    (out / f"{case}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _write(out: Path, docs: Path, command: str) -> None:
    """The page and the plot, from the newest results of each case."""
    paths = [out / f"{case}.json" for case in CASES if (out / f"{case}.json").exists()]
    result = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    found = [from_json(one) for one in result]
    newest = max((one["facts"] for one in result), key=lambda facts: str(facts["Date"]))
    page = report.page(found, newest, command)
    (docs / "benchmark.md").write_text(page, encoding="utf-8")
    _plot(found, docs / "benchmark.svg")
    print(f"written: {docs / 'benchmark.md'}")


def _plot(found: list[Results], path: Path) -> None:
    points = [point for one in found for point in one.growth]
    if points:
        path.write_text(plot.draw(points), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
