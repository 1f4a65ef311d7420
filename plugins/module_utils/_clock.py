# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock: the only file that reads the time and sleeps, and the request to stop by a signal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

# The reason in results and messages of a run that a signal stopped.
STOPPED = "the run was stopped by a signal"

# Seconds between two checks for a signal during a sleep.
_SLICE = 0.25


def _never() -> None:
    """Report that no signal was received."""


@dataclass(frozen=True)
class Clock:
    """Time, and the request to stop early.

    now: seconds since the epoch (UTC). monotonic: seconds that never decrease. sleep: waits for
    seconds, or until a signal. stopped_at: when a signal stopped the run (monotonic seconds), None
    without a signal.
    """

    now: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    stopped_at: Callable[[], float | None] = _never


class _StopRequest:
    """Set by a signal handler, which must not lock, and read by every thread."""

    def __init__(self) -> None:
        self.at: float | None = None


_stop = _StopRequest()


def request_stop() -> None:
    """Stop the run early: requests in flight get a short time, and no other request starts."""
    if _stop.at is None:
        _stop.at = time.monotonic()


def _sleep(seconds: float) -> None:
    end = time.monotonic() + seconds
    while _stop.at is None and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _SLICE))


SYSTEM = Clock(time.time, time.monotonic, _sleep, lambda: _stop.at)
