# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's rate limits, by its headers.

Pure: the time is an argument (monotonic seconds). Nomba counts requests in fixed windows,
separately for POST, by classes of accounts that only the X-Rate-Limit-* headers show (Nomba's page
on rate limits; OpenAPI specification).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping

# The return value of `wait` while the limits are unknown and a request is in flight.
WAIT_FOR_ANSWER = float("inf")

_NUMBER = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class Bucket:
    """The limit of one kind of request.

    A request counts from its start until one window after its answer. Therefore all requests of
    any window of the server count here at the same time, and never exceed the limit.
    """

    def __init__(self) -> None:
        self._has_answer = False
        self._limit: int | None = None
        self._window = 0.0
        self._in_flight = 0
        self._answered: deque[float] = deque()  # times of the answers, oldest first
        self._closed_until = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until a request may start; 0 for now, or WAIT_FOR_ANSWER."""
        while self._has_answer and self._answered and self._answered[0] + self._window <= now:
            self._answered.popleft()
        if now < self._closed_until:
            return self._closed_until - now
        if not self._has_answer:
            return WAIT_FOR_ANSWER if self._in_flight else 0.0
        if self._limit is None or self._in_flight + len(self._answered) < self._limit:
            return 0.0
        return self._answered[0] + self._window - now if self._answered else WAIT_FOR_ANSWER

    def acquire(self) -> None:
        """Count a request that starts."""
        self._in_flight += 1

    def release(self, now: float) -> None:
        """Count a request that has ended, with or without an answer."""
        self._in_flight -= 1
        self._answered.append(now)  # also while the limit is unknown

    def update_from_headers(self, now: float, headers: Mapping[str, str]) -> None:
        """Set the limit and the window by the headers of an answer to this kind of request."""
        self._has_answer = True
        limit = _number(headers.get("x-rate-limit-limit"))
        window = _number(headers.get("x-rate-limit-window"))
        if not limit or not window:
            return
        self._limit, self._window = max(1, int(limit)), window
        spent = _number(headers.get("x-rate-limit-remaining")) == 0
        if spent and self._in_flight + len(self._answered) < self._limit:
            self.close(now + window)  # another client of the account has used the limit

    def close(self, until: float) -> None:
        """Allow no request before this time."""
        self._closed_until = max(self._closed_until, until)


class RateLimiter:
    """The limits of an account: all requests count in one bucket, a POST also in another one."""

    def __init__(self) -> None:
        self._all = Bucket()
        self._posts = Bucket()
        self._closed_until: dict[str, float] = {}

    def wait(self, method: str, now: float) -> float:
        """Return the seconds until a request may start; at 0 the request is counted."""
        closed = self._closed_until.get(method, now) - now
        if closed > 0:
            return closed
        buckets = self._buckets(method)
        wait = max(bucket.wait(now) for bucket in buckets)
        if not wait:
            for bucket in buckets:
                bucket.acquire()
        return wait

    def done(self, method: str, now: float, headers: Mapping[str, str] | None) -> None:
        """Count a request that has ended. headers: None without an answer."""
        own = self._posts if method == "POST" else self._all
        if headers is not None:
            own.update_from_headers(now, headers)
        for bucket in self._buckets(method):
            bucket.release(now)

    def close(self, method: str, until: float) -> None:
        """Allow no request of this method before a time: revokes continue while probes wait."""
        self._closed_until[method] = max(self._closed_until.get(method, until), until)

    def _buckets(self, method: str) -> tuple[Bucket, ...]:
        return (self._all, self._posts) if method == "POST" else (self._all,)


def window_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the length of the API's window in seconds."""
    return _number(headers.get("x-rate-limit-window"))


def _number(text: str | None) -> float | None:
    match = _NUMBER.fullmatch(text.strip().lower()) if text else None
    return float(match.group(1)) * _UNITS[match.group(2) or "s"] if match else None
