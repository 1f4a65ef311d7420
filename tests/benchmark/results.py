# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a case: rows of a table, and the raw samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .timing import Sample, Spread

AT_MOST, AT_LEAST = "at most", "at least"


@dataclass(frozen=True)
class Row:
    """One measurement. A row without a sense has no target."""

    what: str
    unit: str
    reached: Spread
    runs: int
    sense: str = ""
    bound: float = 0.0

    @property
    def met(self) -> bool:
        """Whether the median meets the target."""
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
    """The results of one case. latencies: rows by server latency in milliseconds."""

    rows: list[Row] = field(default_factory=list)
    latencies: list[tuple[int, Row]] = field(default_factory=list)
    growth: list[Point] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def add_samples(self, title: str, samples: Mapping[str, Sequence[Sample]]) -> None:
        """Add raw samples for the JSON document."""
        self.samples.update({f"{title}: {name}": list(each) for name, each in samples.items()})

    def as_json(self) -> dict[str, Any]:
        """Return a JSON document."""
        return asdict(self)


def from_json(document: Mapping[str, Any]) -> Results:
    """Parse the results of an earlier run, without the raw samples."""
    return Results(
        rows=[_row(one) for one in document["rows"]],
        latencies=[(latency, _row(one)) for latency, one in document["latencies"]],
        growth=[Point(**one) for one in document["growth"]],
    )


def _row(document: Mapping[str, Any]) -> Row:
    return Row(**{**document, "reached": Spread(**document["reached"])})
