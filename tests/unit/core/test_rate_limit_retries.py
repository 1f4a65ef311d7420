# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run with a deadline of days that is rate-limited for hours."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._answer import HttpAnswer
from ansible_collections.nomba.auth.plugins.module_utils._http_session import (
    Connection,
    HttpSession,
)
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport
from tests.unit.clock import StillClock

pytestmark = pytest.mark.pure

WEEK = 7 * 24 * 3600.0


def test_more_than_thousand_consecutive_429_are_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = itertools.repeat(HttpAnswer(429, {}, b""), 1100)
    answers = itertools.chain(limits, [HttpAnswer(200, {}, b"")])
    monkeypatch.setattr(HttpSession, "send", lambda *__: next(answers))
    connection = Connection("http://127.0.0.1:9", True, True, None, timeout=1, deadline=WEEK)
    transport = HttpTransport(connection, StillClock().as_clock())
    assert transport.send("POST", "/", {}, {}) == HttpAnswer(200, {}, b"", attempts=1101)
