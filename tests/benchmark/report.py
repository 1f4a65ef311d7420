# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the benchmark page from the results."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

from .explanations import explanation, reason
from .results import Results, Row
from .timing import Spread

_HEAD = """\
<!--
Copyright (c) 2026, The nomba.auth contributors
GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
-->

# Benchmark

Written by {command}, with the [simulator](../tests/simulator/README.md) on the same
machine, over HTTPS. Do not edit this page: the next run overwrites it.

{facts}

Each time is that of a complete process, from start to end. Compared programs run alternately, and a
ratio is computed for each round. Each number is the median, with minimum and maximum in brackets.
"""

_TARGETS = """
## Targets
"""

_NO_TARGET = """
## Other measurements
"""

_LATENCIES = """
## The same requests by other programs

Three requests for each token: probe, revoke, probe. The time of `nomba_token_revoke` includes the
start of `ansible-playbook`; "its process alone" does not. `requests.Session` and `aiohttp` are
scripts that send the same requests, judge no answer, respect no limit and report nothing. In tokens
per second, by server latency.
"""

_GROWTH = """
## Growth

The time of a complete `ansible-playbook` run at 20 ms, with all tokens in one file. A point is the
median of up to {runs} runs; after twenty seconds, no further run starts. Points that would take
longer than ten minutes are omitted. With few tokens, the start of Ansible decides; with many, three
round trips for each token, divided by the number at a time.

![Seconds and tokens per second, by tokens and workers](benchmark.svg)
"""


def facts(date: str) -> dict[str, str]:
    """Return the versions and the number of cores; nothing that identifies the machine."""
    return {
        "Date": date,
        "Python": platform.python_version(),
        "ansible-core": version("ansible-core"),
        "requests": version("requests"),
        "aiohttp": version("aiohttp"),
        "Cores, shared with the simulator": str(len(os.sched_getaffinity(0))),
    }


def page(results: Sequence[Results], facts: Mapping[str, str], command: str) -> str:
    """Return the page in Markdown."""
    rows = [row for one in results for row in one.rows]
    latencies = [cell for one in results for cell in one.latencies]
    points = [point for one in results for point in one.growth]
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    parts = [_HEAD.format(command=command, facts=listed)]
    parts += [_TARGETS, *_targets(rows)]
    parts += [_NO_TARGET, *_others(row for row in rows if not row.sense)]
    if latencies:
        parts += [_LATENCIES, *_by_latency(latencies)]
    if points:
        parts += [_GROWTH.format(runs=max(point.runs for point in points))]
        parts += [*_by_size(results)]
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def _targets(rows: Sequence[Row]) -> Iterable[str]:
    results = {row.what: _shown(row.reached, row.unit) for row in rows}
    yield "\n| Measurement | Target | Result | Runs | | Explanation |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        if not row.sense:
            continue
        bound = f"{row.sense} {_number(row.bound, row.unit)}"
        what = explanation(row.what).meaning
        if not row.met:
            why = reason(row.what, lambda name: results.get(name, "not measured"))
            what += f" *Why it is missed:* {why}"
        cells = (
            row.what,
            bound,
            results[row.what],
            row.runs,
            "met" if row.met else "**missed**",
            what,
        )
        yield f"| {' | '.join(map(str, cells))} |"


def _others(rows: Iterable[Row]) -> Iterable[str]:
    yield "\n| Measurement | Result | Runs | Explanation |"
    yield "|---|---|---|---|"
    for row in rows:
        shown = _shown(row.reached, row.unit)
        yield f"| {row.what} | {shown} | {row.runs} | {explanation(row.what).meaning} |"


def _by_latency(cells: Sequence[tuple[int, Row]]) -> Iterable[str]:
    columns = sorted({latency for latency, __ in cells})
    yield "\n| | " + " | ".join(f"{latency} ms" for latency in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    table = {(row.what, latency): _shown(row.reached, "") for latency, row in cells}
    for what in dict.fromkeys(row.what for __, row in cells):
        values = [table.get((what, latency), "") for latency in columns]
        yield f"| {what} | " + " | ".join(values) + " |"


def _by_size(results: Sequence[Results]) -> Iterable[str]:
    points = [point for one in results for point in one.growth]
    columns = sorted({point.workers for point in points})
    seconds = {(point.tokens, point.workers): f"{point.seconds:.3g} s" for point in points}
    yield "\n| Tokens | " + " | ".join(f"{one} at a time" for one in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for tokens in sorted({point.tokens for point in points}):
        values = [seconds.get((tokens, workers), "") for workers in columns]
        yield f"| {tokens:,} | " + " | ".join(values) + " |"


def _shown(values: Spread, unit: str) -> str:
    least, most = _digits(values.least), _digits(values.most)
    return f"{_number(values.median, unit)} [{least} .. {most}]"


def _number(value: float, unit: str) -> str:
    return _digits(value) + (f" {unit}" if unit else "")


def _digits(value: float) -> str:
    """Round to three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
