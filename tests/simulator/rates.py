# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixed-window rate limits per account, pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RateClass:
    """The limits of one class of accounts; `total` bounds POST and the rest together."""

    window: float
    post: int
    other: int
    total: int | None = None


# From the rate limit page of Nomba's documentation. Its "75 requests, POST 15" of a regular
# account is read as 75 in all.
CLASSES: dict[str, RateClass] = {
    "regular": RateClass(window=1, post=15, other=75, total=75),
    "elevated": RateClass(window=1, post=40, other=100),
    "low_traffic": RateClass(window=60, post=1, other=25),
}


@dataclass(frozen=True)
class Verdict:
    """Whether a request may pass, and the headers that its answer carries either way."""

    allowed: bool
    headers: tuple[tuple[str, str], ...] = ()


UNLIMITED = Verdict(allowed=True)


@dataclass
class _Window:
    began: float
    post: int = 0
    other: int = 0


class Limiter:
    """Counts per account. A window begins with the first request after the last one's end."""

    def __init__(self, rate_class: str, window: float | None = None) -> None:
        self._limits = CLASSES.get(rate_class)
        self._seconds = window or (self._limits.window if self._limits else 1)
        self._windows: dict[str, _Window] = {}

    def take(self, account: str, method: str, now: float) -> Verdict:
        """Count one request of the account, and say whether it is within the limits."""
        if self._limits is None:
            return UNLIMITED
        window = self._window(account, now)
        left = _left(self._limits, window, method)
        if left > 0:
            _count(window, method)
        limit = self._limits.post if method == "POST" else self._limits.other
        return Verdict(left > 0, _headers(limit, max(left - 1, 0), self._seconds))

    def _window(self, account: str, now: float) -> _Window:
        window = self._windows.get(account)
        # Before its beginning: the clock was set back, so that window tells nothing any more.
        if window is None or not window.began <= now < window.began + self._seconds:
            window = self._windows[account] = _Window(began=now)
        return window


def _left(limits: RateClass, window: _Window, method: str) -> int:
    own = limits.post - window.post if method == "POST" else limits.other - window.other
    if limits.total is None:
        return own
    return min(own, limits.total - window.post - window.other)


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
