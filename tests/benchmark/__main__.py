# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.benchmark: measure, and write tables and a plot; see `make bench`."""

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
_QUICK_COMMAND = "`make bench ARGS=--quick`, a short run whose numbers are not meaningful"


def main() -> int:
    """Measure the selected cases, then write the page from the newest results of all cases."""
    arguments = _parser().parse_args()
    size = replace(
        QUICK if arguments.quick else FULL, **({"runs": arguments.runs} if arguments.runs else {})
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.page:
        _write(arguments.out, arguments.docs or arguments.out, _COMMAND)
        return 0
    try:
        with tempfile.TemporaryDirectory() as name, testbed(Path(name)) as bed:
            for case in arguments.only or CASES:
                _measure(case, bed, size, arguments.out)
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    if arguments.quick:
        _write(arguments.out, arguments.out, _QUICK_COMMAND)
    else:
        _write(arguments.out, arguments.docs or arguments.out, _COMMAND)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a short run, to test the benchmark itself"
    )
    parser.add_argument("--only", nargs="+", choices=list(CASES), help="measure only these cases")
    parser.add_argument(
        "--page", action="store_true", help="measure nothing, only write the page again"
    )
    parser.add_argument(
        "--runs", type=int, help=f"runs of each program; default: {FULL.runs}, with --quick 1"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(".build/benchmark"), help="folder for the raw JSON"
    )
    parser.add_argument("--docs", type=Path, help="folder for page and plot; default: --out")
    return parser


def _measure(case: str, bed: Testbed, size: Size, out: Path) -> None:
    print(case, flush=True)
    results = CASES[case](bed, size)
    date = datetime.now(timezone.utc).date().isoformat()
    result = {"facts": report.facts(date), **results.as_json()}
    (out / f"{case}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _write(out: Path, docs: Path, command: str) -> None:
    """Write the page and the plot from the newest results of each case."""
    paths = [out / f"{case}.json" for case in CASES if (out / f"{case}.json").exists()]
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    results = [from_json(document) for document in documents]
    facts = max((document["facts"] for document in documents), key=lambda one: str(one["Date"]))
    dates = sorted({document["facts"]["Date"] for document in documents})
    facts["Date"] = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    page = report.page(results, facts, command)
    (docs / "benchmark.md").write_text(page, encoding="utf-8")
    _plot(results, docs / "benchmark.svg")
    print(f"written: {docs / 'benchmark.md'}")


def _plot(results: list[Results], path: Path) -> None:
    points = [point for one in results for point in one.growth]
    if points:
        path.write_text(plot.draw(points), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
