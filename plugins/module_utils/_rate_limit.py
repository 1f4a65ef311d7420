# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeping within the API's rate limits by what its headers tell.

Pure: the moment comes in as an argument (monotonic seconds). Nomba counts in fixed windows, for
POST apart from the rest, by classes of account that only the X-Rate-Limit-* headers reveal
(Nomba's page on rate limits; OpenAPI specification).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping

# No request may start before the answer to one in flight has shown the limits.
WAIT_FOR_ANSWER = float("inf")

_NUMBER = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class Bucket:
    """The allowance of one kind of request.

    A request counts from its start until one window after its answer. So, whenever the server's
    window starts, all requests that fall into it count at the same time here, and they never
    exceed the limit.
    """

    def __init__(self) -> None:
        self._known = False
        self._limit: int | None = None
        self._window = 0.0
        self._under_way = 0
        self._held: deque[float] = deque()  # when answers came
        self._closed_until = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a request may start; 0 for at once."""
        while self._known and self._held and self._held[0] + self._window <= now:
            self._held.popleft()
        if now < self._closed_until:
            return self._closed_until - now
        if not self._known:
            return WAIT_FOR_ANSWER if self._under_way else 0.0
        if self._limit is None or self._under_way + len(self._held) < self._limit:
            return 0.0
        return self._held[0] + self._window - now if self._held else WAIT_FOR_ANSWER

    def acquire(self) -> None:
        """A request starts."""
        self._under_way += 1

    def release(self, now: float) -> None:
        """A request has ended, with or without an answer."""
        self._under_way -= 1
        self._held.append(now)  # also before the limit is known

    def update_from_headers(self, now: float, headers: Mapping[str, str]) -> None:
        """Read the limits in the headers of an answer to this kind of request."""
        self._known = True
        limit = _number(headers.get("x-rate-limit-limit"))
        window = _number(headers.get("x-rate-limit-window"))
        if not limit or not window:
            return
        self._limit, self._window = max(1, int(limit)), window
        spent = _number(headers.get("x-rate-limit-remaining")) == 0
        if spent and self._under_way + len(self._held) < self._limit:
            self.close(now + window)  # another client uses the same account

    def close(self, until: float) -> None:
        """No request before this moment."""
        self._closed_until = max(self._closed_until, until)


class RateLimiter:
    """The allowances of one account: every request counts in one, a POST in a second one too."""

    def __init__(self) -> None:
        self._all = Bucket()
        self._posts = Bucket()
        self._closed_until: dict[str, float] = {}

    def wait(self, method: str, now: float) -> float:
        """Seconds until a request may start; at 0 its place is taken."""
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
        """A request has ended; headers is None when no answer came."""
        own = self._posts if method == "POST" else self._all
        if headers is not None:
            own.update_from_headers(now, headers)
        for bucket in self._buckets(method):
            bucket.release(now)

    def close(self, method: str, until: float) -> None:
        """The API asked to hold this kind of request back. A revoke goes on when probes may not."""
        self._closed_until[method] = max(self._closed_until.get(method, until), until)

    def _buckets(self, method: str) -> tuple[Bucket, ...]:
        return (self._all, self._posts) if method == "POST" else (self._all,)


def window_seconds(headers: Mapping[str, str]) -> float | None:
    """The length of the API's window, in seconds."""
    return _number(headers.get("x-rate-limit-window"))


def _number(text: str | None) -> float | None:
    match = _NUMBER.fullmatch(text.strip().lower()) if text else None
    return float(match.group(1)) * _UNITS[match.group(2) or "s"] if match else None
