# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a case comes to: rows of a table, and the raw samples behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .timing import Sample, Spread

AT_MOST, AT_LEAST = "at most", "at least"


@dataclass(frozen=True)
class Row:
    """One thing that was measured. A row without a bound is there to compare with."""

    what: str
    unit: str
    reached: Spread
    runs: int
    sense: str = ""
    bound: float = 0.0

    @property
    def met(self) -> bool:
        """Whether the median keeps to the bound."""
        median = self.reached.median
        return median <= self.bound if self.sense == AT_MOST else median >= self.bound


@dataclass(frozen=True)
class Point:
    """One point of the growth curve."""

    tokens: int
    workers: int
    seconds: float
    runs: int


@dataclass
class Results:
    """All that one case found. latencies: rows by server latency in milliseconds."""

    rows: list[Row] = field(default_factory=list)
    latencies: list[tuple[int, Row]] = field(default_factory=list)
    growth: list[Point] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def keep(self, title: str, samples: Mapping[str, Sequence[Sample]]) -> None:
        """Keep raw samples for the JSON."""
        self.samples.update({f"{title}: {name}": list(each) for name, each in samples.items()})

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def from_json(result: Mapping[str, Any]) -> Results:
    """The results that an earlier run wrote; samples are for people and other programs."""
    return Results(
        rows=[_row(one) for one in result["rows"]],
        latencies=[(latency, _row(one)) for latency, one in result["latencies"]],
        growth=[Point(**one) for one in result["growth"]],
    )


def _row(result: Mapping[str, Any]) -> Row:
    return Row(**{**result, "reached": Spread(**result["reached"])})
