# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock as a value: the only file that asks what time it is, and the only one that waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

# Why a run that a signal has stopped sent or read no more, as results and messages contain it.
STOPPED = "the run was stopped by a signal"

# Seconds after which a wait looks whether a signal has asked the run to end.
_SLICE = 0.25


def _never() -> None:
    """No signal has come."""


@dataclass(frozen=True)
class Clock:
    """Time, and the request to end early.

    now: seconds since the epoch (UTC). monotonic: seconds that never go back. sleep: waits for
    seconds, or until a signal. stopped_at: when a signal asked the run to end early (monotonic
    seconds), None while none has.
    """

    now: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    stopped_at: Callable[[], float | None] = _never


class _StopRequest:
    """Set by a signal handler, where nothing may be locked, and read by every thread."""

    def __init__(self) -> None:
        self.at: float | None = None


_stop = _StopRequest()


def request_stop() -> None:
    """Ask the run to end early: what is under way gets a little time, and nothing new starts."""
    if _stop.at is None:
        _stop.at = time.monotonic()


def _sleep(seconds: float) -> None:
    ends = time.monotonic() + seconds
    while _stop.at is None and (left := ends - time.monotonic()) > 0:
        time.sleep(min(left, _SLICE))


SYSTEM = Clock(time.time, time.monotonic, _sleep, lambda: _stop.at)
