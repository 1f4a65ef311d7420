# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate limits: fixed windows, one for each account."""

from __future__ import annotations

import pytest

from tests.simulator.rates import Limiter


def taken(limiter: Limiter, method: str, times: int, now: float = 100.0) -> int:
    """How many of these requests may pass."""
    return sum(limiter.acquire("account", method, now).allowed for __ in range(times))


@pytest.mark.parametrize(
    ("rate_class", "post", "other"),
    [("regular", 15, 75), ("elevated", 40, 100), ("low_traffic", 1, 25)],
)
def test_a_class_has_its_documented_limits(rate_class: str, post: int, other: int) -> None:
    assert taken(Limiter(rate_class), "POST", 200) == post
    assert taken(Limiter(rate_class), "GET", 200) == other


def test_a_regular_account_has_75_requests_in_all() -> None:
    limiter = Limiter("regular")

    assert taken(limiter, "POST", 200) + taken(limiter, "GET", 200) == 75


def test_no_class_is_no_limit_and_no_headers() -> None:
    verdict = Limiter("none").acquire("account", "POST", 100.0)

    assert verdict.allowed
    assert verdict.headers == ()


def test_headers_count_down_and_stay_on_the_refusal() -> None:
    limiter = Limiter("low_traffic")
    last, over = limiter.acquire("a", "POST", 100.0), limiter.acquire("a", "POST", 100.0)

    assert last.headers == over.headers
    assert not over.allowed
    assert dict(over.headers) == {
        "X-Rate-Limit-Limit": "1",
        "X-Rate-Limit-Remaining": "0",
        "X-Rate-Limit-Window": "60s",
    }


def test_a_new_window_begins_when_the_old_one_is_over() -> None:
    limiter = Limiter("low_traffic")

    assert taken(limiter, "POST", 2, now=100.0) == 1
    assert taken(limiter, "POST", 2, now=159.9) == 0
    assert taken(limiter, "POST", 2, now=160.0) == 1


def test_refused_requests_do_not_prolong_the_window() -> None:
    limiter = Limiter("low_traffic")
    for second in range(60):
        limiter.acquire("account", "POST", 100.0 + second)

    assert limiter.acquire("account", "POST", 160.0).allowed


def test_accounts_do_not_share_a_window() -> None:
    limiter = Limiter("low_traffic")

    assert limiter.acquire("one", "POST", 100.0).allowed
    assert limiter.acquire("two", "POST", 100.0).allowed


def test_the_window_can_be_made_short_for_tests() -> None:
    limiter = Limiter("low_traffic", window=0.5)

    assert ("X-Rate-Limit-Window", "0.5s") in limiter.acquire("a", "POST", 100.0).headers
    assert limiter.acquire("a", "POST", 100.5).allowed


def test_a_clock_set_back_begins_a_new_window() -> None:
    limiter = Limiter("low_traffic")
    limiter.acquire("a", "POST", 100.0)

    assert limiter.acquire("a", "POST", 50.0).allowed
