# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clocks for tests, on which sleeping takes no time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock

# A day in 2027, in seconds since the epoch (UTC).
NOW = 1_800_000_000.0


@dataclass
class FastClock:
    """A real clock on which sleeping takes no time; ahead is its offset in seconds."""

    ahead: float = 0.0
    slept: list[float] = field(default_factory=list)

    def as_clock(self) -> Clock:
        return Clock(
            now=lambda: time.time() + self.ahead + sum(self.slept),
            monotonic=lambda: time.monotonic() + sum(self.slept),
            sleep=self.slept.append,
        )


@dataclass
class StillClock:
    """A clock that advances only while a caller sleeps; ahead is its offset from NOW in seconds."""

    ahead: float = 0.0
    slept: list[float] = field(default_factory=list)

    @property
    def passed(self) -> float:
        """The seconds slept by all callers."""
        return sum(self.slept)

    def as_clock(self) -> Clock:
        return Clock(
            now=lambda: NOW + self.ahead + self.passed,
            monotonic=lambda: self.passed,
            sleep=self.slept.append,
        )
