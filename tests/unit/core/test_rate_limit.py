# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rate limiter, against a model of an API with fixed windows."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._rate_limit import (
    WAIT_FOR_ANSWER,
    Bucket,
    RateLimiter,
    window_seconds,
)
from tests.unit.tables import each_row

pytestmark = pytest.mark.pure


def headers(limit: object, window: object = "60s", remaining: object = None) -> dict[str, str]:
    """Return the rate limit headers of an answer."""
    values = {"limit": limit, "window": window, "remaining": remaining}
    given = {name: str(value) for name, value in values.items() if value is not None}
    return {f"x-rate-limit-{name}": value for name, value in given.items()}


def bucket_with(limit: int, window: str = "60s") -> Bucket:
    """Return an unused bucket with a known limit."""
    bucket = Bucket()
    bucket.update_from_headers(0, headers(limit, window))
    return bucket


# One bucket


def test_first_request_is_sent_alone() -> None:
    bucket = Bucket()
    assert bucket.wait(0) == 0
    bucket.acquire()
    assert bucket.wait(0) == WAIT_FOR_ANSWER


def test_next_request_is_sent_alone_after_unanswered_first() -> None:
    bucket = Bucket()
    bucket.acquire()
    bucket.release(1)
    assert bucket.wait(1) == 0
    bucket.acquire()
    assert bucket.wait(1) == WAIT_FOR_ANSWER


@each_row(
    "values",
    [
        {},
        {"x-rate-limit-limit": "15"},
        {"x-rate-limit-window": "1s"},
        headers("many", "1s"),
        headers("0", "1s"),
        headers("-3", "1s"),
        headers("15", "0s"),
        headers("15", "soon"),
        headers("15", "1 fortnight"),
        headers("9" * 400, "1s"),
        headers("15", "9" * 400),
        headers("", ""),
    ],
    ids=str,
)
def test_requests_are_unlimited_without_limit_and_window(values: dict[str, str]) -> None:
    bucket = Bucket()
    for __ in range(100):
        bucket.acquire()
        bucket.update_from_headers(0, values)
        bucket.release(0)
    assert bucket.wait(0) == 0


def test_slot_is_free_one_window_after_answer() -> None:
    bucket = bucket_with(limit=1)
    bucket.acquire()
    bucket.release(7)
    assert [bucket.wait(now) for now in (7, 37, 66.5, 67)] == [60, 30, 0.5, 0]


def test_pending_requests_use_slots() -> None:
    bucket = bucket_with(limit=2)
    bucket.acquire()
    assert bucket.wait(1000) == 0
    bucket.acquire()
    assert bucket.wait(2000) == WAIT_FOR_ANSWER


def test_requests_before_known_limit_use_slots() -> None:
    bucket = Bucket()
    bucket.acquire()
    bucket.release(5)  # no answer, but the API may have counted the request
    bucket.acquire()
    bucket.update_from_headers(10, headers(limit=2))
    bucket.release(10)
    assert bucket.wait(10) == 55


def test_limit_below_one_allows_one_request() -> None:
    assert bucket_with(limit=1, window="1s").wait(0) == 0
    bucket = Bucket()
    bucket.update_from_headers(0, headers("0.5"))
    assert bucket.wait(0) == 0


def test_raised_limit_opens_bucket() -> None:
    bucket = bucket_with(limit=1)
    bucket.acquire()
    bucket.release(0)
    assert bucket.wait(1) == 59
    bucket.update_from_headers(1, headers(limit=2))
    assert bucket.wait(1) == 0


def test_answer_without_headers_changes_no_limit() -> None:
    bucket = bucket_with(limit=1)
    bucket.acquire()
    bucket.update_from_headers(0, {})
    assert bucket.wait(0) == WAIT_FOR_ANSWER


def test_remaining_zero_by_other_clients_closes_for_window() -> None:
    bucket = bucket_with(limit=5)
    bucket.acquire()
    bucket.update_from_headers(10, headers(limit=5, remaining=0))
    bucket.release(10)
    assert [bucket.wait(now) for now in (10, 69, 70)] == [60, 1, 0]


def test_remaining_zero_by_own_requests_does_not_close() -> None:
    bucket = bucket_with(limit=2)
    bucket.acquire()
    bucket.acquire()
    bucket.release(0)
    bucket.update_from_headers(10, headers(limit=2, remaining=0))
    bucket.release(10)
    assert bucket.wait(10) == 50


def test_remaining_above_zero_does_not_close() -> None:
    bucket = bucket_with(limit=5)
    bucket.acquire()
    bucket.update_from_headers(10, headers(limit=5, remaining=1))
    assert bucket.wait(10) == 0


def test_later_of_two_close_times_applies() -> None:
    bucket = bucket_with(limit=5)
    bucket.close(100)
    bucket.close(50)
    assert [bucket.wait(now) for now in (0, 99, 100)] == [100, 1, 0]


@each_row(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("60s", 60),
        ("1000ms", 1),
        ("1m", 60),
        ("60", 60),
        ("0.5s", 0.5),
        (" 1 S ", 1),
        ("250MS", 0.25),
        ("", None),
        ("s", None),
        ("-1s", None),
        ("1h", None),
        ("1e3s", None),
        ("inf", None),
        ("nan", None),
        ("1s 2s", None),
        ("9" * 400, None),
    ],
)
def test_window_is_parsed_with_unit(text: str, seconds: float | None) -> None:
    assert window_seconds({"x-rate-limit-window": text}) == seconds


def test_missing_window_is_none() -> None:
    assert window_seconds({}) is None


# GET and POST


def test_post_also_counts_towards_total() -> None:
    limiter = RateLimiter()
    _send(limiter, "GET", 0, headers(limit=2))
    _send(limiter, "POST", 0, headers(limit=9))
    assert limiter.wait("GET", 0) == 60
    assert limiter.wait("POST", 0) == 60


def test_get_does_not_count_as_post() -> None:
    limiter = RateLimiter()
    _send(limiter, "POST", 0, headers(limit=2))
    for __ in range(50):
        _send(limiter, "GET", 0, headers(limit=100))
    assert limiter.wait("POST", 0) == 0


def test_post_limit_does_not_delay_get() -> None:
    limiter = RateLimiter()
    _send(limiter, "GET", 0, headers(limit=25))
    _send(limiter, "POST", 0, headers(limit=1))
    assert limiter.wait("POST", 0) == 60
    assert limiter.wait("GET", 0) == 0


def test_waiting_request_uses_no_slot() -> None:
    limiter = RateLimiter()
    _send(limiter, "GET", 0, headers(limit=3))
    _send(limiter, "POST", 0, headers(limit=1))
    assert [limiter.wait("POST", 0) for __ in range(5)] == [60] * 5
    assert limiter.wait("GET", 0) == 0


@each_row(("method", "other"), [("GET", "POST"), ("POST", "GET")])
def test_closed_method_does_not_delay_other_method(method: str, other: str) -> None:
    limiter = RateLimiter()
    limiter.close(method, 40)
    limiter.close(method, 30)
    assert [limiter.wait(method, now) for now in (0, 39.5)] == [40, 0.5]
    assert limiter.wait(other, 0) == 0


# The model


@dataclass(frozen=True)
class Request:
    """One request: seconds to the API and back, and whether its answer is lost."""

    method: str
    out: int = 0
    back: int = 0
    lost: bool = False


@dataclass
class Model:
    """An API in virtual time (whole seconds), and clients that send as soon as allowed."""

    limit: int
    posts: int
    window: int
    offset: int = 0
    limiter: RateLimiter = field(default_factory=RateLimiter)
    arrived: list[tuple[int, str]] = field(default_factory=list)

    def run(self, requests: list[Request]) -> int:
        """Send all requests; return the time of the last answer."""
        now, waiting = 0, list(requests)
        pending: list[tuple[int, Request]] = []
        while waiting or pending:
            times: list[float] = [time for time, __ in pending]
            for request in list(waiting):
                wait = self.limiter.wait(request.method, now)
                times.append(now + (wait or request.out + request.back))
                if not wait:
                    waiting.remove(request)
                    self.arrived.append((now + request.out, request.method))
                    pending.append((now + request.out + request.back, request))
            now = int(min(times))  # an infinite wait fails here
            pending = [request for request in pending if not self._ended(*request, now)]
        return now

    def most(self, *methods: str) -> int:
        """Return the maximum that the API can have counted in any window."""
        times = [time for time, method in self.arrived if method in methods]
        return max(sum(start <= time < start + self.window for time in times) for start in times)

    def _ended(self, time: int, request: Request, now: int) -> bool:
        if time == now:
            values = None if request.lost else self._headers(request.method, now - request.back)
            self.limiter.done(request.method, now, values)
        return time == now

    def _headers(self, method: str, now: int) -> dict[str, str]:
        """Return the headers by the API's windows: GET counts all requests, POST only POSTs."""
        limit = self.posts if method == "POST" else self.limit
        begin = now - (now - self.offset) % self.window
        counted = [one for time, one in self.arrived if begin <= time <= now]
        used = counted.count("POST") if method == "POST" else len(counted)
        return headers(limit, f"{self.window}s", max(0, limit - used))


requests = st.builds(
    Request, st.sampled_from(["GET", "POST"]), st.integers(0, 9), st.integers(0, 9), st.booleans()
)
first_answers = [Request("GET"), Request("POST")]
models = st.builds(
    Model, st.integers(2, 6), st.integers(1, 4), st.integers(1, 12), st.integers(0, 12)
)


@given(models, st.lists(requests, max_size=30))
def test_no_window_exceeds_its_limit(model: Model, more: list[Request]) -> None:
    model.run([*first_answers, *more])
    assert model.most("GET", "POST") <= model.limit
    assert model.most("POST") <= model.posts


@given(models, st.lists(requests, max_size=30))
def test_all_requests_are_sent_within_few_windows(model: Model, more: list[Request]) -> None:
    ended = model.run([*first_answers, *more])
    assert len(model.arrived) == len(more) + 2
    generations = len(model.arrived) / min(model.limit, model.posts) + 2
    assert ended <= generations * (2 * model.window + 18)


@given(st.integers(1, 20), st.integers(1, 60), st.integers(0, 60), st.integers(1, 100))
def test_every_window_is_full_without_latency(
    limit: int, window: int, offset: int, count: int
) -> None:
    model = Model(limit, limit, window, offset)
    assert model.run([Request("GET")] * count) == (count - 1) // limit * window


def test_low_traffic_account_sends_one_post_per_minute() -> None:
    model = Model(limit=25, posts=1, window=60)
    assert model.run([Request("GET"), *[Request("POST"), Request("GET")] * 3]) == 120
    assert [time for time, method in model.arrived if method == "POST"] == [0, 60, 120]


def test_regular_account_revokes_fifteen_tokens_per_second() -> None:
    model = Model(limit=75, posts=15, window=1)
    assert model.run([Request("GET"), *[Request("POST")] * 60]) == 3


def _send(limiter: RateLimiter, method: str, now: float, values: dict[str, str]) -> None:
    assert limiter.wait(method, now) == 0
    limiter.done(method, now, values)
