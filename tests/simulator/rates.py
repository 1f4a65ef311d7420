# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate limits per account with fixed windows, pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RateClass:
    """The limits of one class of accounts; `total` limits POST and other requests together."""

    window: float
    post: int
    other: int
    total: int | None = None


# From the rate limit page of Nomba's documentation. "75 requests, POST 15" of a regular account
# is interpreted as 75 in total.
CLASSES: dict[str, RateClass] = {
    "regular": RateClass(window=1, post=15, other=75, total=75),
    "elevated": RateClass(window=1, post=40, other=100),
    "low_traffic": RateClass(window=60, post=1, other=25),
}


@dataclass(frozen=True)
class Decision:
    """Whether a request is within the limits, and the headers of its response."""

    allowed: bool
    headers: tuple[tuple[str, str], ...] = ()


UNLIMITED = Decision(allowed=True)


@dataclass
class _Window:
    start: float
    post: int = 0
    other: int = 0


class Limiter:
    """Counts requests per account. A window starts with the first request after the last window."""

    def __init__(self, rate_class: str, window: float | None = None) -> None:
        self._limits = CLASSES.get(rate_class)
        self._seconds = window or (self._limits.window if self._limits else 1)
        self._windows: dict[str, _Window] = {}

    def acquire(self, account: str, method: str, now: float) -> Decision:
        """Count one request of the account if it is within the limits; return the decision."""
        if self._limits is None:
            return UNLIMITED
        window = self._window(account, now)
        left = _left(self._limits, window, method)
        if left > 0:
            _count(window, method)
        limit = self._limits.post if method == "POST" else self._limits.other
        return Decision(left > 0, _headers(limit, max(left - 1, 0), self._seconds))

    def _window(self, account: str, now: float) -> _Window:
        window = self._windows.get(account)
        # A time before the start means that the clock was set back, so the window is invalid.
        if window is None or not window.start <= now < window.start + self._seconds:
            window = self._windows[account] = _Window(start=now)
        return window


def _left(limits: RateClass, window: _Window, method: str) -> int:
    left = limits.post - window.post if method == "POST" else limits.other - window.other
    if limits.total is None:
        return left
    return min(left, limits.total - window.post - window.other)


def _count(window: _Window, method: str) -> None:
    if method == "POST":
        window.post += 1
    else:
        window.other += 1


def _headers(limit: int, remaining: int, seconds: float) -> tuple[tuple[str, str], ...]:
    return (
        ("X-Rate-Limit-Limit", str(limit)),
        ("X-Rate-Limit-Remaining", str(remaining)),
        ("X-Rate-Limit-Window", f"{seconds:g}s"),
    )
