# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log and its counters."""

from __future__ import annotations

from tests.simulator.journal import Answered, Journal, Seen


def seen(method: str = "GET", operation: str = "balance", token: str | None = None) -> Seen:
    """A request."""
    return Seen(
        time=1.0,
        method=method,
        path="/",
        operation=operation,
        fingerprint=token,
        account_id=None,
        client_id=None,
        authorization=False,
        body_fields=(),
        body_bytes=0,
        connection=1,
        header_names=(),
        user_agent=None,
        content_type=None,
    )


def test_a_line_is_there_before_its_answer() -> None:
    journal = Journal(10)
    line = journal.open(seen())

    assert [one.entry().status for one in journal] == [None]
    journal.close(line, Answered(200, "00"))
    assert [one.entry().status for one in journal] == [200]


def test_the_log_is_bounded_and_the_counters_are_not() -> None:
    journal = Journal(3)
    for __ in range(5):
        journal.open(seen())

    assert [line.n for line in journal] == [3, 4, 5]
    assert journal.counters()["requests"] == 5


def test_every_post_is_a_write() -> None:
    journal = Journal(10)
    for method in ("GET", "POST", "POST"):
        journal.open(seen(method))

    assert journal.counters()["writes"] == 2


def test_balance_calls_are_counted_by_their_answers() -> None:
    journal = Journal(10)
    for answer in (Answered(200, "00"), Answered(401, "401"), Answered(200, "401"), Answered()):
        journal.close(journal.open(seen()), answer)

    counters = journal.counters()
    assert (counters["balance_accepted"], counters["balance_refused"]) == (1, 2)


def test_each_token_has_its_own_counters() -> None:
    journal = Journal(10)
    for token in ("sha256:a", "sha256:a", "sha256:b"):
        journal.open(seen(token=token))

    assert journal.counters("sha256:a")["requests"] == 2
    assert journal.counters("sha256:never")["requests"] == 0


def test_a_watcher_is_told_when_enough_have_come() -> None:
    journal, calls = Journal(10), list[int]()
    journal.watch(2, lambda: calls.append(journal.total))
    for __ in range(3):
        journal.open(seen())

    assert calls == [2]


def test_a_watcher_that_comes_late_is_told_at_once() -> None:
    journal, calls = Journal(10), list[int]()
    journal.open(seen())
    journal.watch(1, lambda: calls.append(journal.total))

    assert calls == [1]
