# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate limits: fixed windows per account."""

from __future__ import annotations

from tests.simulator.rates import Limiter
from tests.unit.tables import each_row


def count_allowed(limiter: Limiter, method: str, times: int, now: float = 100.0) -> int:
    """Return how many of these requests are allowed."""
    return sum(limiter.acquire("account", method, now).allowed for __ in range(times))


@each_row(
    ("rate_class", "post", "other"),
    [("regular", 15, 75), ("elevated", 40, 100), ("low_traffic", 1, 25)],
)
def test_rate_class_has_documented_limits(rate_class: str, post: int, other: int) -> None:
    assert count_allowed(Limiter(rate_class), "POST", 200) == post
    assert count_allowed(Limiter(rate_class), "GET", 200) == other


def test_regular_account_has_75_requests_in_total() -> None:
    limiter = Limiter("regular")

    assert count_allowed(limiter, "POST", 200) + count_allowed(limiter, "GET", 200) == 75


def test_class_none_has_no_limit_and_no_headers() -> None:
    verdict = Limiter("none").acquire("account", "POST", 100.0)

    assert verdict.allowed
    assert verdict.headers == ()


def test_headers_count_down_and_are_present_on_429() -> None:
    limiter = Limiter("low_traffic")
    last, over = limiter.acquire("a", "POST", 100.0), limiter.acquire("a", "POST", 100.0)

    assert last.headers == over.headers
    assert not over.allowed
    assert dict(over.headers) == {
        "X-Rate-Limit-Limit": "1",
        "X-Rate-Limit-Remaining": "0",
        "X-Rate-Limit-Window": "60s",
    }


def test_new_window_starts_after_previous_window() -> None:
    limiter = Limiter("low_traffic")

    assert count_allowed(limiter, "POST", 2, now=100.0) == 1
    assert count_allowed(limiter, "POST", 2, now=159.9) == 0
    assert count_allowed(limiter, "POST", 2, now=160.0) == 1


def test_rejected_requests_do_not_extend_window() -> None:
    limiter = Limiter("low_traffic")
    for second in range(60):
        limiter.acquire("account", "POST", 100.0 + second)

    assert limiter.acquire("account", "POST", 160.0).allowed


def test_accounts_do_not_share_window() -> None:
    limiter = Limiter("low_traffic")

    assert limiter.acquire("one", "POST", 100.0).allowed
    assert limiter.acquire("two", "POST", 100.0).allowed


def test_window_is_configurable() -> None:
    limiter = Limiter("low_traffic", window=0.5)

    assert ("X-Rate-Limit-Window", "0.5s") in limiter.acquire("a", "POST", 100.0).headers
    assert limiter.acquire("a", "POST", 100.5).allowed


def test_clock_set_back_starts_new_window() -> None:
    limiter = Limiter("low_traffic")
    limiter.acquire("a", "POST", 100.0)

    assert limiter.acquire("a", "POST", 50.0).allowed
