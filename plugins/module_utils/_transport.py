# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests with retries, rate limits and the run's deadline. _http_session sends them."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.nomba.auth.plugins.module_utils._answer import (
    HttpAnswer,
    TransportFailure,
)
from ansible_collections.nomba.auth.plugins.module_utils._clock import STOPPED, Clock
from ansible_collections.nomba.auth.plugins.module_utils._http_session import (
    UNSENDABLE,
    Connection,
    Failed,
    HttpSession,
    Trust,
)
from ansible_collections.nomba.auth.plugins.module_utils._rate_limit import (
    WAIT_FOR_ANSWER,
    RateLimiter,
    window_seconds,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import retry_after_seconds

# Attempts after failed connections and gateway errors. A POST with a 429 is retried until the
# deadline, because its window ends soon. A probe is not: it must not use the time of the revoke.
MAX_TRIES = 6
# Seconds that requests in flight get after a signal.
STOP_GRACE = 3.0
_GATEWAY_FAILURES = frozenset({502, 503, 504})
_TOO_MANY = 429
_MAX_DELAY = 30.0
# Seconds between two checks for a signal during a wait.
_SLICE = 0.25
_RANDOM = random.SystemRandom()

_DEADLINE = "the run's deadline came first (see the option deadline)"


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: Mapping[str, str]
    payload: bytes | None
    exclusive: bool


class HttpTransport:
    """Sends requests to one API within one deadline; thread-safe."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._deadline = clock.monotonic() + connection.deadline
        self._rate_limiter = RateLimiter()
        self._turn = threading.Condition()
        self._local = threading.local()
        self._sessions: list[HttpSession] = []
        self._trust = Trust(connection)

    def remaining(self) -> float:
        """Return the seconds until the run ends: at its deadline, or STOP_GRACE after a signal."""
        end, stopped_at = self._deadline, self._clock.stopped_at()
        if stopped_at is not None:
            end = min(end, stopped_at + STOP_GRACE)
        return end - self._clock.monotonic()

    def close(self) -> None:
        """Close all connections."""
        while self._sessions:
            self._sessions.pop().close()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, str] | None = None,
        *,
        idempotent: bool = True,
        exclusive: bool = False,
        reserve: float = 0.0,
    ) -> HttpAnswer | TransportFailure:
        """Send one request; retry after 429, 502, 503, 504 and failed connections.

        idempotent: if False, the request is retried only if it had no effect: after 429, and when
        nothing was sent. exclusive: use a connection for this request only, and reject the answer
        if anything else is received on it, so that the answer belongs to its request. reserve:
        seconds of the run that retries must not use.

        A network failure raises no exception. Raises LibraryMissing without requests.
        """
        payload = None if body is None else json.dumps(body).encode()
        request = _Request(method, path, headers, payload, exclusive)
        attempts, sent = 0, False
        while self._wait_for_turn(method, reserve if attempts else 0.0):
            attempts += 1
            outcome = self._attempt(request, reserve)
            pause = self._retry_delay(method, outcome, attempts)
            sent = sent or not isinstance(outcome, Failed) or outcome.sent
            if not idempotent and _may_have_taken_effect(outcome):
                pause = None
            if pause is None or pause >= self.remaining() - reserve:
                return _final(outcome, attempts, sent)
            self._clock.sleep(pause)
        problem = _DEADLINE if self._clock.stopped_at() is None else STOPPED
        return TransportFailure(problem, attempts, sent)

    def _wait_for_turn(self, method: str, reserve: float) -> bool:
        """Wait until the rate limits allow a request; return False if the time ends before."""
        while (left := self.remaining() - reserve) > 0:
            with self._turn:
                wait = self._rate_limiter.wait(method, self._clock.monotonic())
                if wait == WAIT_FOR_ANSWER:
                    self._turn.wait(min(left, _SLICE))
                    continue
            if not wait:
                return True
            if wait >= left:
                return False
            self._clock.sleep(wait)
        return False

    def _attempt(self, request: _Request, reserve: float) -> HttpAnswer | Failed:
        outcome: HttpAnswer | Failed = Failed(UNSENDABLE, retryable=False)
        try:
            outcome = self._session(request.exclusive).send(
                request.method,
                request.path,
                request.headers,
                request.payload,
                self._time_left(reserve),
            )
        finally:
            with self._turn:
                answered = outcome.headers if isinstance(outcome, HttpAnswer) else None
                self._rate_limiter.done(request.method, self._clock.monotonic(), answered)
                self._turn.notify_all()
        return outcome

    def _time_left(self, reserve: float) -> Callable[[], float]:
        """Return a function that returns the seconds left of an attempt that starts now."""
        remaining = self.remaining()
        budget = min(self._connection.timeout, max(remaining - reserve, remaining / 2))
        end = self._clock.monotonic() + budget
        return lambda: min(end - self._clock.monotonic(), self.remaining())

    def _retry_delay(
        self, method: str, outcome: HttpAnswer | Failed, attempts: int
    ) -> float | None:
        """Return the seconds before the next attempt; None if this one is final."""
        backoff = min(_MAX_DELAY, 0.5 * 2 ** min(attempts, 9)) * _RANDOM.uniform(0.5, 1.0)
        if isinstance(outcome, Failed):
            return backoff if outcome.retryable and attempts < MAX_TRIES else None
        if outcome.status == _TOO_MANY and (method == "POST" or attempts < MAX_TRIES):
            pause = self._retry_after(outcome) or window_seconds(outcome.headers) or backoff
            with self._turn:
                self._rate_limiter.close(method, self._clock.monotonic() + pause)
            return pause
        if outcome.status in _GATEWAY_FAILURES and attempts < MAX_TRIES:
            return self._retry_after(outcome) or backoff
        return None

    def _retry_after(self, answer: HttpAnswer) -> float | None:
        return retry_after_seconds(answer.headers, self._clock.now())

    def _session(self, exclusive: bool) -> HttpSession:
        """Return this thread's session: those of requests are not documented as thread-safe."""
        sessions: dict[bool, HttpSession] = vars(self._local).setdefault("sessions", {})
        if exclusive not in sessions:
            sessions[exclusive] = HttpSession(self._connection, self._trust, exclusive)
            self._sessions.append(sessions[exclusive])
        return sessions[exclusive]


def _may_have_taken_effect(outcome: HttpAnswer | Failed) -> bool:
    """Return whether the API may have processed the request."""
    return outcome.sent if isinstance(outcome, Failed) else outcome.status != _TOO_MANY


def _final(
    outcome: HttpAnswer | Failed, attempts: int, sent: bool
) -> HttpAnswer | TransportFailure:
    if isinstance(outcome, Failed):
        # sent counts all attempts: the last may have failed to connect, an earlier one not.
        problem = outcome.problem if sent else f"{outcome.problem}; nothing was sent"
        return TransportFailure(problem, attempts, sent)
    return HttpAnswer(outcome.status, outcome.headers, outcome.body, attempts)
