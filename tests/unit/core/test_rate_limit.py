# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeping within rate limits, against a model of an API that counts in fixed windows."""

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

pytestmark = pytest.mark.pure


def result(limit: object, window: object = "60s", remaining: object = None) -> dict[str, str]:
    """The headers of an answer."""
    values = {"limit": limit, "window": window, "remaining": remaining}
    given = {name: str(value) for name, value in values.items() if value is not None}
    return {f"x-rate-limit-{name}": value for name, value in given.items()}


def knowing(limit: int, window: str = "60s") -> Bucket:
    """A bucket that knows its limit and has nothing under way, and nothing spent."""
    bucket = Bucket()
    bucket.update_from_headers(0, result(limit, window))
    return bucket


# One kind of request


def test_the_first_request_goes_alone() -> None:
    bucket = Bucket()
    assert bucket.wait(0) == 0
    bucket.acquire()
    assert bucket.wait(0) == WAIT_FOR_ANSWER


def test_after_a_first_request_without_an_answer_the_next_goes_alone() -> None:
    bucket = Bucket()
    bucket.acquire()
    bucket.release(1)
    assert bucket.wait(1) == 0
    bucket.acquire()
    assert bucket.wait(1) == WAIT_FOR_ANSWER


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-rate-limit-limit": "15"},
        {"x-rate-limit-window": "1s"},
        result("many", "1s"),
        result("0", "1s"),
        result("-3", "1s"),
        result("15", "0s"),
        result("15", "soon"),
        result("15", "1 fortnight"),
        result("9" * 400, "1s"),
        result("15", "9" * 400),
        result("", ""),
    ],
    ids=str,
)
def test_without_a_limit_and_a_window_nothing_is_held_back(headers: dict[str, str]) -> None:
    bucket = Bucket()
    for __ in range(100):
        bucket.acquire()
        bucket.update_from_headers(0, headers)
        bucket.release(0)
    assert bucket.wait(0) == 0


def test_a_place_is_free_one_window_after_the_answer() -> None:
    bucket = knowing(limit=1)
    bucket.acquire()
    bucket.release(7)
    assert [bucket.wait(now) for now in (7, 37, 66.5, 67)] == [60, 30, 0.5, 0]


def test_requests_under_way_hold_their_places() -> None:
    bucket = knowing(limit=2)
    bucket.acquire()
    assert bucket.wait(1000) == 0
    bucket.acquire()
    assert bucket.wait(2000) == WAIT_FOR_ANSWER


def test_what_was_sent_before_the_limit_was_known_holds_its_place() -> None:
    bucket = Bucket()
    bucket.acquire()
    bucket.release(5)  # no answer, and yet the API may have counted it
    bucket.acquire()
    bucket.update_from_headers(10, result(limit=2))
    bucket.release(10)
    assert bucket.wait(10) == 55


def test_a_limit_below_one_still_lets_one_through() -> None:
    assert knowing(limit=1, window="1s").wait(0) == 0
    bucket = Bucket()
    bucket.update_from_headers(0, result("0.5"))
    assert bucket.wait(0) == 0


def test_a_limit_that_is_raised_opens_the_bucket() -> None:
    bucket = knowing(limit=1)
    bucket.acquire()
    bucket.release(0)
    assert bucket.wait(1) == 59
    bucket.update_from_headers(1, result(limit=2))
    assert bucket.wait(1) == 0


def test_an_answer_without_headers_changes_no_limit() -> None:
    bucket = knowing(limit=1)
    bucket.acquire()
    bucket.update_from_headers(0, {})
    assert bucket.wait(0) == WAIT_FOR_ANSWER


def test_nothing_remaining_that_we_did_not_use_closes_for_a_window() -> None:
    bucket = knowing(limit=5)
    bucket.acquire()
    bucket.update_from_headers(10, result(limit=5, remaining=0))
    bucket.release(10)
    assert [bucket.wait(now) for now in (10, 69, 70)] == [60, 1, 0]


def test_nothing_remaining_that_we_used_ourselves_closes_nothing_more() -> None:
    bucket = knowing(limit=2)
    bucket.acquire()
    bucket.acquire()
    bucket.release(0)
    bucket.update_from_headers(10, result(limit=2, remaining=0))
    bucket.release(10)
    assert bucket.wait(10) == 50


def test_something_remaining_closes_nothing() -> None:
    bucket = knowing(limit=5)
    bucket.acquire()
    bucket.update_from_headers(10, result(limit=5, remaining=1))
    assert bucket.wait(10) == 0


def test_the_later_of_two_closings_counts() -> None:
    bucket = knowing(limit=5)
    bucket.close(100)
    bucket.close(50)
    assert [bucket.wait(now) for now in (0, 99, 100)] == [100, 1, 0]


@pytest.mark.parametrize(
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
def test_a_window_is_read_in_its_units(text: str, seconds: float | None) -> None:
    assert window_seconds({"x-rate-limit-window": text}) == seconds


def test_a_missing_window_has_no_length() -> None:
    assert window_seconds({}) is None


# Both kinds


def test_a_post_counts_with_all_requests_too() -> None:
    pacer = RateLimiter()
    _ask(pacer, "GET", 0, result(limit=2))
    _ask(pacer, "POST", 0, result(limit=9))
    assert pacer.wait("GET", 0) == 60
    assert pacer.wait("POST", 0) == 60


def test_a_get_does_not_count_as_a_post() -> None:
    pacer = RateLimiter()
    _ask(pacer, "POST", 0, result(limit=2))
    for __ in range(50):
        _ask(pacer, "GET", 0, result(limit=100))
    assert pacer.wait("POST", 0) == 0


def test_the_limit_of_post_does_not_hold_back_a_get() -> None:
    pacer = RateLimiter()
    _ask(pacer, "GET", 0, result(limit=25))
    _ask(pacer, "POST", 0, result(limit=1))
    assert pacer.wait("POST", 0) == 60
    assert pacer.wait("GET", 0) == 0


def test_a_place_is_taken_only_when_the_request_may_start() -> None:
    pacer = RateLimiter()
    _ask(pacer, "GET", 0, result(limit=3))
    _ask(pacer, "POST", 0, result(limit=1))
    assert [pacer.wait("POST", 0) for __ in range(5)] == [60] * 5
    assert pacer.wait("GET", 0) == 0


@pytest.mark.parametrize(("method", "other"), [("GET", "POST"), ("POST", "GET")])
def test_a_kind_that_was_asked_to_wait_does_not_stop_the_other(method: str, other: str) -> None:
    pacer = RateLimiter()
    pacer.close(method, 40)
    pacer.close(method, 30)
    assert [pacer.wait(method, now) for now in (0, 39.5)] == [40, 0.5]
    assert pacer.wait(other, 0) == 0


# The model


@dataclass(frozen=True)
class Trip:
    """One request: how long it is on its way there and back, and whether its answer is lost."""

    method: str
    out: int = 0
    back: int = 0
    lost: bool = False


@dataclass
class Model:
    """An API in virtual time (whole seconds), and clients that send as soon as they may."""

    limit: int
    posts: int
    window: int
    offset: int = 0
    pacer: RateLimiter = field(default_factory=RateLimiter)
    arrived: list[tuple[int, str]] = field(default_factory=list)

    def run(self, trips: list[Trip]) -> int:
        """Send all; returns the moment of the last answer."""
        now, waiting = 0, list(trips)
        under_way: list[tuple[int, Trip]] = []
        while waiting or under_way:
            moments: list[float] = [moment for moment, __ in under_way]
            for trip in list(waiting):
                wait = self.pacer.wait(trip.method, now)
                moments.append(now + (wait or trip.out + trip.back))
                if not wait:
                    waiting.remove(trip)
                    self.arrived.append((now + trip.out, trip.method))
                    under_way.append((now + trip.out + trip.back, trip))
            now = int(min(moments))  # waiting for ever is no number, and fails here
            under_way = [trip for trip in under_way if not self._ended(*trip, now)]
        return now

    def most(self, *methods: str) -> int:
        """The most that the API can have counted in a window, wherever its windows begin."""
        moments = [moment for moment, method in self.arrived if method in methods]
        return max(
            sum(start <= moment < start + self.window for moment in moments) for start in moments
        )

    def _ended(self, moment: int, trip: Trip, now: int) -> bool:
        if moment == now:
            headers = None if trip.lost else self._headers(trip.method, now - trip.back)
            self.pacer.done(trip.method, now, headers)
        return moment == now

    def _headers(self, method: str, now: int) -> dict[str, str]:
        """What the API tells by its own windows: a GET of all requests, a POST of its like."""
        limit = self.posts if method == "POST" else self.limit
        begin = now - (now - self.offset) % self.window
        counted = [one for moment, one in self.arrived if begin <= moment <= now]
        used = counted.count("POST") if method == "POST" else len(counted)
        return result(limit, f"{self.window}s", max(0, limit - used))


trips = st.builds(
    Trip, st.sampled_from(["GET", "POST"]), st.integers(0, 9), st.integers(0, 9), st.booleans()
)
first_answers = [Trip("GET"), Trip("POST")]
models = st.builds(
    Model, st.integers(2, 6), st.integers(1, 4), st.integers(1, 12), st.integers(0, 12)
)


@given(models, st.lists(trips, max_size=30))
def test_no_window_of_the_api_ever_counts_more_than_its_limit(
    model: Model, more: list[Trip]
) -> None:
    model.run([*first_answers, *more])
    assert model.most("GET", "POST") <= model.limit
    assert model.most("POST") <= model.posts


@given(models, st.lists(trips, max_size=30))
def test_everything_is_sent_within_few_windows(model: Model, more: list[Trip]) -> None:
    ended = model.run([*first_answers, *more])
    assert len(model.arrived) == len(more) + 2
    generations = len(model.arrived) / min(model.limit, model.posts) + 2
    assert ended <= generations * (2 * model.window + 18)


@given(st.integers(1, 20), st.integers(1, 60), st.integers(0, 60), st.integers(1, 100))
def test_without_latency_every_window_is_used_up(
    limit: int, window: int, offset: int, count: int
) -> None:
    model = Model(limit, limit, window, offset)
    assert model.run([Trip("GET")] * count) == (count - 1) // limit * window


def test_a_low_traffic_account_sends_one_post_a_minute() -> None:
    model = Model(limit=25, posts=1, window=60)
    assert model.run([Trip("GET"), *[Trip("POST"), Trip("GET")] * 3]) == 120
    assert [moment for moment, method in model.arrived if method == "POST"] == [0, 60, 120]


def test_a_regular_account_revokes_fifteen_tokens_a_second() -> None:
    model = Model(limit=75, posts=15, window=1)
    assert model.run([Trip("GET"), *[Trip("POST")] * 60]) == 3


def _ask(pacer: RateLimiter, method: str, now: float, headers: dict[str, str]) -> None:
    assert pacer.wait(method, now) == 0
    pacer.done(method, now, headers)
