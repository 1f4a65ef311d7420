# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request log and its counters."""

from __future__ import annotations

from tests.simulator.request_log import Received, RequestLog, Sent


def seen(method: str = "GET", operation: str = "balance", token: str | None = None) -> Received:
    """Return a request."""
    return Received(
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


def test_entry_exists_before_its_answer() -> None:
    request_log = RequestLog(10)
    line = request_log.open(seen())

    assert [one.snapshot().status for one in request_log] == [None]
    request_log.close(line, Sent(200, "00"))
    assert [one.snapshot().status for one in request_log] == [200]


def test_log_is_bounded_and_counters_are_not() -> None:
    request_log = RequestLog(3)
    for __ in range(5):
        request_log.open(seen())

    assert [line.n for line in request_log] == [3, 4, 5]
    assert request_log.counters()["requests"] == 5


def test_every_post_is_write() -> None:
    request_log = RequestLog(10)
    for method in ("GET", "POST", "POST"):
        request_log.open(seen(method))

    assert request_log.counters()["writes"] == 2


def test_balance_requests_are_counted_by_answer() -> None:
    request_log = RequestLog(10)
    for answer in (Sent(200, "00"), Sent(401, "401"), Sent(200, "401"), Sent()):
        request_log.close(request_log.open(seen()), answer)

    counters = request_log.counters()
    assert (counters["balance_accepted"], counters["balance_refused"]) == (1, 2)


def test_each_token_has_its_own_counters() -> None:
    request_log = RequestLog(10)
    for token in ("sha256:a", "sha256:a", "sha256:b"):
        request_log.open(seen(token=token))

    assert request_log.counters("sha256:a")["requests"] == 2
    assert request_log.counters("sha256:never")["requests"] == 0


def test_watcher_is_called_at_its_number_of_requests() -> None:
    request_log, calls = RequestLog(10), list[int]()
    request_log.notify_at(2, lambda: calls.append(request_log.total))
    for __ in range(3):
        request_log.open(seen())

    assert calls == [2]


def test_late_watcher_is_called_at_once() -> None:
    request_log, calls = RequestLog(10), list[int]()
    request_log.open(seen())
    request_log.notify_at(1, lambda: calls.append(request_log.total))

    assert calls == [1]
