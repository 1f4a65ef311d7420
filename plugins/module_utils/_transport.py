# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sending requests: retries, rate limits, and the run's deadline. The wire is in _http_session."""

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

# A connection that fails, or a gateway in trouble, gets this many tries; a POST that meets a 429 as
# many as the deadline allows, because its window passes by itself. Not so a probe: it must not use
# up the time of the revoke.
MAX_TRIES = 6
# Seconds that a run which a signal has asked to end early still gives to what is under way.
STOP_GRACE = 3.0
_GATEWAY_FAILURES = frozenset({502, 503, 504})
_TOO_MANY = 429
_LONGEST_PAUSE = 30.0
# Seconds after which a wait looks again whether a signal has asked the run to end.
_SLICE = 0.25
_CHANCE = random.SystemRandom()

_DEADLINE = "the run's deadline came first (see the option deadline)"


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: Mapping[str, str]
    payload: bytes | None
    exclusive: bool


class HttpTransport:
    """Sends requests to one API within one deadline; safe to use from several threads."""

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
        """Seconds left until the run must be over: its deadline, or shortly after a signal."""
        ends, stopped_at = self._deadline, self._clock.stopped_at()
        if stopped_at is not None:
            ends = min(ends, stopped_at + STOP_GRACE)
        return ends - self._clock.monotonic()

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

        idempotent: a request that is not is retried only if it surely had no effect: after 429,
        and when nothing was sent. exclusive: use a connection for this request alone, and take
        its answer only if nothing else came over it: the one way to know that an answer belongs
        to its request. reserve: seconds of the run that retries leave to what comes after.

        Never raises for what the network does. Raises LibraryMissing without requests.
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
        """Wait until the rate limits allow a request; False when the time is over before."""
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
        """How to ask for the seconds that an attempt which starts now has left."""
        remaining = self.remaining()
        budget = min(self._connection.timeout, max(remaining - reserve, remaining / 2))
        ends = self._clock.monotonic() + budget
        return lambda: min(ends - self._clock.monotonic(), self.remaining())

    def _retry_delay(
        self, method: str, outcome: HttpAnswer | Failed, attempts: int
    ) -> float | None:
        """Seconds before another attempt; None when this one is final."""
        backoff = min(_LONGEST_PAUSE, 0.5 * 2 ** min(attempts, 9)) * _CHANCE.uniform(0.5, 1.0)
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
        """This thread's session: requests does not promise that one serves several threads."""
        sessions: dict[bool, HttpSession] = vars(self._local).setdefault("sessions", {})
        if exclusive not in sessions:
            sessions[exclusive] = HttpSession(self._connection, self._trust, exclusive)
            self._sessions.append(sessions[exclusive])
        return sessions[exclusive]


def _may_have_taken_effect(outcome: HttpAnswer | Failed) -> bool:
    """Whether the API may have done what it was asked for."""
    return outcome.sent if isinstance(outcome, Failed) else outcome.status != _TOO_MANY


def _final(
    outcome: HttpAnswer | Failed, attempts: int, sent: bool
) -> HttpAnswer | TransportFailure:
    if isinstance(outcome, Failed):
        # In no attempt: the last one may have failed to connect, and an earlier one not.
        problem = outcome.problem if sent else f"{outcome.problem}; nothing was sent"
        return TransportFailure(problem, attempts, sent)
    return HttpAnswer(outcome.status, outcome.headers, outcome.body, attempts)
