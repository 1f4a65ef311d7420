# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rate limits, the deadline of a run, and the abort rule after identical refusals."""

from __future__ import annotations

from collections import Counter
from email.utils import formatdate
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke
from tests.simulator.tokens import fingerprint

from .harness import Revoke
from .request_log import ONE_LIVE_TOKEN, controls, operations, shared, ticking

pytestmark = pytest.mark.newest

NO_LIMIT: dict[str, Any] = {"timeout": 10_000, "deadline": 100_000}


@pytest.fixture
def windows(revoke: Revoke) -> Revoke:
    """The module on a clock that the simulator shares: a wait moves its rate windows as well.

    The waits of several workers add up, also for a request in progress: see NO_LIMIT.
    """
    clock = shared(revoke.clock, revoke.simulator)
    revoke.monkeypatch.setattr(nomba_token_revoke, "SYSTEM", clock)
    return revoke


def test_low_traffic_account_sends_one_post_per_window(windows: Revoke) -> None:
    windows.simulator.configure(rate_class="low_traffic")
    tokens = windows.simulator.mint_many(3)
    result = windows(*tokens, **NO_LIMIT)
    assert result.outcomes == ["revoked"] * 3
    posts = windows.simulator.requests("revoke")
    assert [post.status for post in posts] == [200] * 3
    assert all(late.time - soon.time >= 60 for soon, late in zip(posts, posts[1:]))
    assert [row["attempts"] for row in result["results"]] == [1, 1, 1]


def test_default_deadline_outlives_one_window_of_a_low_traffic_account(
    windows: Revoke,
) -> None:
    windows.simulator.configure(rate_class="low_traffic")
    windows.simulator.issue()  # another client has used the POST of this minute
    result = windows(windows.simulator.mint())
    assert result.outcomes == ["revoked"]
    assert [post.status for post in windows.simulator.requests("revoke")] == [429, 200]
    assert 59 <= sum(windows.clock.slept) <= 120


def test_deadline_shorter_than_the_windows_returns_a_result_for_every_token(
    windows: Revoke,
) -> None:
    windows.simulator.configure(rate_class="low_traffic")
    tokens = windows.simulator.mint_many(5)
    result = windows(*tokens, deadline=50)
    assert Counter(result.outcomes) == {"revoked": 1, "not_attempted": 4}
    assert (result.error, result["changed"]) == ("not_attempted", True)
    assert [row["fingerprint"] for row in result["results"]] == list(map(fingerprint, tokens))
    assert len(windows.simulator.writes()) == 1
    assert len(windows.simulator.live()) == 4


@pytest.mark.parametrize(
    ("rate_class", "concurrency"), [("regular", 1), ("regular", 64), ("elevated", 64)]
)
def test_run_within_the_rate_limit_gets_no_429(
    windows: Revoke, rate_class: str, concurrency: int
) -> None:
    windows.simulator.configure(rate_class=rate_class)
    result = windows(*windows.simulator.mint_many(40), concurrency=concurrency, **NO_LIMIT)
    assert result.outcomes == ["revoked"] * 40
    assert {e.status for e in windows.simulator.requests("revoke")} == {200}
    assert 429 not in {e.status for e in windows.simulator.requests()}
    assert Counter(operations(windows.simulator)) == {"balance": 81, "revoke": 40}
    assert len(controls(windows.simulator)) == 1


def test_probes_and_revokes_count_together(windows: Revoke) -> None:
    windows.simulator.configure(rate_class="regular")
    dead, live = windows.simulator.mint_many(120, known=False), windows.simulator.mint_many(30)
    mixed = [token for group in zip(live, *[iter(dead)] * 4) for token in group]
    result = windows(*mixed, concurrency=64, **NO_LIMIT)
    assert Counter(result.outcomes) == {"revoked": 30, "already_revoked": 120}
    assert 429 not in {e.status for e in windows.simulator.requests()}


@pytest.mark.parametrize("on", ["balance", "revoke"])
def test_retry_after_is_honoured(revoke: Revoke, on: str) -> None:
    revoke.simulator.fault(on, "rate_limited", retry_after=17)
    result = revoke(revoke.simulator.mint())
    assert result.outcomes == ["revoked"]
    assert sum(revoke.clock.slept) == pytest.approx(17, abs=1)
    assert operations(revoke.simulator).count(on) == ONE_LIVE_TOKEN.count(on) + 1


def test_retry_after_may_be_a_date(revoke: Revoke) -> None:
    now = revoke.clock.as_clock().now()
    later = formatdate(now + 40, usegmt=True)
    revoke.simulator.fault("revoke", "rate_limited", headers={"Retry-After": later})
    result = revoke(revoke.simulator.mint())
    assert result.outcomes == ["revoked"]
    assert sum(revoke.clock.slept) == pytest.approx(40, abs=3)
    assert operations(revoke.simulator).count("revoke") == 2


def test_retry_after_of_a_503_is_honoured(revoke: Revoke) -> None:
    revoke.simulator.fault("revoke", "status", status=503, headers={"Retry-After": "23"})
    result = revoke(revoke.simulator.mint())
    assert result.outcomes == ["revoked"]
    assert sum(revoke.clock.slept) == pytest.approx(23, abs=1)
    assert operations(revoke.simulator).count("revoke") == 2


def test_429_names_the_window_to_wait_for(revoke: Revoke) -> None:
    headers = {"X-Rate-Limit-Limit": "1", "X-Rate-Limit-Window": "45s"}
    revoke.simulator.fault("revoke", "rate_limited", headers=headers)
    result = revoke(revoke.simulator.mint())
    assert result.outcomes == ["revoked"]
    assert sum(revoke.clock.slept) >= 45
    assert operations(revoke.simulator).count("revoke") == 2


def test_429_beyond_the_deadline_has_a_hint(revoke: Revoke) -> None:
    revoke.simulator.fault("revoke", "rate_limited", retry_after=3600)
    token = revoke.simulator.mint()
    result = revoke(token)
    assert result.outcomes == ["unknown"]
    assert "run again with a longer deadline" in result["msg"]
    assert operations(revoke.simulator).count("revoke") == 1
    assert revoke.simulator.accepts(token)


@pytest.mark.parametrize("how", [{}, {"retry_after": 15}, {"retry_after": 3600}], ids=str)
def test_rate_limited_probes_do_not_delay_the_revoke(revoke: Revoke, how: dict[str, Any]) -> None:
    revoke.simulator.fault("balance", "rate_limited", times=0, **how)
    token = revoke.simulator.mint()
    result = revoke(token)
    assert (result.outcomes, result.row["verified"]) == (["unknown"], False)
    assert operations(revoke.simulator).count("revoke") == 1
    assert operations(revoke.simulator).count("balance") <= 2 * 6
    assert not revoke.simulator.accepts(token)


def test_invalid_retry_after_is_ignored(revoke: Revoke) -> None:
    rows = {}
    for text in ("-5", "1.5", "soon", "", "Mon, 31 Feb 2028 25:61:61 GMT"):
        revoke.simulator.reset()
        revoke.simulator.fault("revoke", "rate_limited", headers={"Retry-After": text})
        revoke.clock.slept.clear()
        result = revoke(revoke.simulator.mint())
        posts = operations(revoke.simulator).count("revoke")
        rows[text] = (*result.outcomes, 0 < sum(revoke.clock.slept) <= 1, posts)
    assert rows == dict.fromkeys(rows, ("revoked", True, 2))


def test_retry_after_beyond_the_deadline_is_not_awaited(revoke: Revoke) -> None:
    ages = {"Retry-After": "9" * 5000}
    revoke.simulator.fault("revoke", "rate_limited", headers=ages, times=0)
    result = revoke(revoke.simulator.mint())
    assert result.outcomes == ["unknown"]
    assert "Traceback" not in result.output
    assert operations(revoke.simulator).count("revoke") == 1


@pytest.mark.parametrize("concurrency", [1, 8])
def test_run_at_its_deadline_returns_a_result_for_every_token(
    revoke: Revoke, concurrency: int
) -> None:
    revoke.simulator.fault("revoke", "rate_limited", retry_after=3600, times=0)
    tokens = revoke.simulator.mint_many(20)
    result = revoke(*tokens, concurrency=concurrency)
    assert [row["fingerprint"] for row in result["results"]] == list(map(fingerprint, tokens))
    sent = len(revoke.simulator.writes())
    assert 1 <= sent <= concurrency
    assert Counter(result.outcomes) == {"unknown": sent, "not_attempted": 20 - sent}
    assert result.error == "unknown"
    assert len(revoke.simulator.live()) == 20


def test_deadline_in_the_middle_of_a_run_returns_a_result_for_every_token(
    revoke: Revoke,
) -> None:
    revoke.monkeypatch.setattr(nomba_token_revoke, "SYSTEM", ticking(revoke.clock, 1))
    result = revoke(*revoke.simulator.mint_many(90), deadline=600, timeout=500, concurrency=1)
    done = Counter(result.outcomes)
    assert done["revoked"] > 0
    assert done["not_attempted"] > 0
    assert "revoked" not in result.outcomes[done["revoked"] :]
    assert len(result.outcomes) == 90
    assert len(revoke.simulator.live()) >= done["not_attempted"]


def test_check_run_at_its_deadline_names_the_tokens_without_a_probe(revoke: Revoke) -> None:
    revoke.monkeypatch.setattr(nomba_token_revoke, "SYSTEM", ticking(revoke.clock, 1))
    result = revoke(
        *revoke.simulator.mint_many(90), deadline=400, timeout=300, concurrency=1, check=True
    )
    done = Counter(result.outcomes)
    assert set(done) == {"revoked", "not_attempted"}
    assert len(revoke.simulator.requests()) <= done["revoked"] + len(controls(revoke.simulator))
    assert len(controls(revoke.simulator)) == 1
    assert result.error == "not_attempted"
    assert revoke.simulator.writes() == []


def test_five_identical_refusals_abort_the_run(revoke: Revoke) -> None:
    revoke.simulator.fault("revoke", "status", status=404, times=0)
    result = revoke(*revoke.simulator.mint_many(9), concurrency=1)
    assert result.outcomes == ["refused"] * 5 + ["not_attempted"] * 4
    assert result.error == "refused"
    aborted = "aborted: the first 5 tokens of this account failed identically"
    assert [row["reason"] for row in result["results"][5:]] == [aborted] * 4
    assert operations(revoke.simulator).count("revoke") == 5


def test_five_identical_refusals_abort_a_run_of_many_workers(revoke: Revoke) -> None:
    revoke.simulator.fault("revoke", "status", status=403, times=0)
    result = revoke(*revoke.simulator.mint_many(60), concurrency=4)
    refused = result.outcomes.count("refused")
    assert 5 <= refused <= 5 + 3
    assert result.outcomes.count("not_attempted") == 60 - refused
    assert operations(revoke.simulator).count("revoke") == refused


def test_five_different_refusals_abort_nothing(revoke: Revoke) -> None:
    revoke.simulator.fault("revoke", "status", status=400, skip=0, times=3)
    revoke.simulator.fault("revoke", "status", status=403, times=4)
    result = revoke(*revoke.simulator.mint_many(9), concurrency=1)
    assert result.outcomes == ["refused"] * 7 + ["revoked"] * 2
    assert operations(revoke.simulator).count("revoke") == 9


def test_success_among_the_first_tokens_prevents_the_abort(revoke: Revoke) -> None:
    revoke.simulator.fault("revoke", "status", status=403, skip=1, times=6)
    result = revoke(*revoke.simulator.mint_many(9), concurrency=1)
    assert result.outcomes == ["revoked"] + ["refused"] * 6 + ["revoked"] * 2
    assert operations(revoke.simulator).count("revoke") == 9


@pytest.mark.parametrize("abort_after", [0, 2])
def test_abort_rule_can_be_changed_and_disabled(revoke: Revoke, abort_after: int) -> None:
    revoke.simulator.fault("revoke", "status", status=403, times=0)
    result = revoke(*revoke.simulator.mint_many(9), concurrency=1, abort_after=abort_after)
    assert result.outcomes == ["refused"] * (sent := abort_after or 9) + ["not_attempted"] * (
        9 - sent
    )
    assert operations(revoke.simulator).count("revoke") == sent


def test_negative_abort_after_is_rejected(revoke: Revoke) -> None:
    result = revoke(revoke.simulator.mint(), abort_after=-1)
    assert result.error == "invalid_option"
    assert result["msg"] == "abort_after: set a number of tokens, or 0 to try every token"
    assert revoke.simulator.requests() == []
