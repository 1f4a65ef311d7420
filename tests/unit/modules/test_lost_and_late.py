# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lost answers, late effects, redirects, invalid headers and wrong clocks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulator.settings import CHOICES
from tests.simulator.tokens import fingerprint
from tests.unit.clock import FastClock

from .harness import Revoke
from .request_log import ONE_LIVE_TOKEN, operations

pytestmark = pytest.mark.newest

HOUR = 3600.0
# A Date has whole seconds, and some pass before it is compared.
AHEAD = re.compile(r"clock is 36[0-9]{2} s ahead of the API's")
BEHIND = re.compile(r"clock is 35[0-9]{2} s behind the API's|clock is 3600 s behind the API's")


INVALID_HEADERS = {
    "retry": {"Retry-After": "9" * 5000},
    "limit": {"X-Rate-Limit-Limit": "9" * 5000, "X-Rate-Limit-Window": "1s"},
    "window": {"X-Rate-Limit-Limit": "15", "X-Rate-Limit-Window": "9" * 400},
    "zeros": {
        "X-Rate-Limit-Limit": "0",
        "X-Rate-Limit-Window": "0s",
        "X-Rate-Limit-Remaining": "-1",
    },
    "words": {"X-Rate-Limit-Limit": "fifteen", "X-Rate-Limit-Window": "a while"},
    "no such date": {"Date": "Mon, 31 Feb 99999 25:61:61 GMT"},
    "no date": {"Date": "yesterday"},
}


@pytest.mark.parametrize("dead", CHOICES["revoke_dead"])
def test_probe_decides_after_a_lost_answer(revoke: Revoke, dead: str) -> None:
    # The retry names a token that is dead already: what the API answers to that is not documented.
    revoke.simulator.configure(revoke_dead=dead)
    revoke.simulator.fault("revoke", "lost_answer")
    token = revoke.simulator.mint()
    result = revoke(token)
    assert (result.outcomes, result.row["verified"]) == (["revoked"], True)
    assert (result["changed"], result.failed) == (True, False)
    assert result.row["attempts"] == 2
    sent = operations(revoke.simulator, fingerprint(token))
    assert sent == ["balance", "revoke", "revoke", "balance"]
    assert not revoke.simulator.accepts(token)


def test_probe_decides_after_every_answer_is_lost(revoke: Revoke) -> None:
    revoke.simulator.fault("revoke", "lost_answer", times=0)
    token = revoke.simulator.mint()
    result = revoke(token)
    assert (result.outcomes, result.row["verified"]) == (["revoked"], True)
    assert "the connection failed or was closed" in result.row["reason"]
    assert 2 <= operations(revoke.simulator).count("revoke") <= 6
    assert revoke.simulator.requests("balance")[-1].status == 401


@pytest.mark.parametrize("times", [1, 0], ids=["once", "for ever"])
def test_lost_answer_with_a_late_effect_is_decided_by_later_probes(
    revoke: Revoke, times: int
) -> None:
    revoke.simulator.configure(revoke_delay_requests=3)
    revoke.simulator.fault("revoke", "lost_answer", times=times)
    token = revoke.simulator.mint()
    result = revoke(token)
    assert (result.outcomes, result.row["verified"]) == (["revoked"], True)
    probes = revoke.simulator.requests("balance", fingerprint(token))
    assert [probe.status for probe in probes] == [200, 200, 200, 200, 401]
    assert not revoke.simulator.accepts(token)


def test_lost_answer_without_a_conclusive_probe_is_unknown(revoke: Revoke) -> None:
    revoke.simulator.fault("revoke", "lost_answer", times=0)
    token = revoke.simulator.mint()
    hold = {"fingerprint": fingerprint(token), "skip": 1, "times": 0}
    revoke.simulator.fault("balance", "status", status=403, **hold)
    result = revoke(token)
    assert (result.outcomes, result.row["verified"]) == (["unknown"], False)
    assert (result["changed"], result.error) == (True, "unknown")
    assert len(revoke.simulator.requests("balance", fingerprint(token))) > 2


def test_probe_decides_after_a_rejection_with_effect(revoke: Revoke) -> None:
    revoke.simulator.fault("revoke", "status", status=400, effect=True)
    token = revoke.simulator.mint()
    result = revoke(token)
    assert (result.outcomes, result.row["verified"]) == (["revoked"], True)
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN
    assert not revoke.simulator.accepts(token)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_probe_decides_after_a_server_error_with_effect(revoke: Revoke, status: int) -> None:
    revoke.simulator.fault("revoke", "status", status=status, effect=True, times=0)
    result = revoke(revoke.simulator.mint())
    assert (result.outcomes, result.row["verified"]) == (["revoked"], True)
    assert (operations(revoke.simulator).count("revoke") == 1) is (status == 500)


# Redirects and headers


def test_redirect_is_never_followed(revoke: Revoke) -> None:
    rows = {}
    cases = [("revoke", "elsewhere", status) for status in (301, 302, 303, 307, 308)]
    cases += [("balance", "elsewhere", status) for status in (302, 307)]
    cases += [
        (operation, "here", status) for operation in ("revoke", "balance") for status in (302, 307)
    ]
    for operation, place, status in cases:
        revoke.simulator.reset()
        location = "/elsewhere" if place == "here" else f"{revoke.simulator.http_url}/elsewhere"
        fault = {"status": status, "location": location, "times": 0}
        revoke.simulator.fault(operation, "redirect", **fault)
        result = revoke(revoke.simulator.mint())
        sent = operations(revoke.simulator)
        rows[operation, place, status] = (
            result.row["verified"],
            "elsewhere" in sent,
            sent.count("revoke"),
            f"HTTP {status}, a redirect" in result.row["reason"],
        )
    assert rows == {case: (False, False, 1, case[0] == "revoke") for case in cases}


def test_netrc_adds_no_authorization(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter2hunter2\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    result = revoke(revoke.simulator.mint())
    assert result.outcomes == ["revoked"]
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN
    assert [e.authorization for e in revoke.simulator.requests()] == [True, True, False, True]
    assert len({e.fingerprint for e in revoke.simulator.requests()}) == 2  # token and control


def test_cookie_is_not_kept(revoke: Revoke) -> None:
    cookie = {"Set-Cookie": "session=1; Path=/"}
    revoke.simulator.fault("any", "slow", delay=0, headers=cookie, times=0)
    result = revoke(revoke.simulator.mint())
    assert result.outcomes == ["revoked"]
    assert not any("cookie" in e.header_names for e in revoke.simulator.requests())


def test_invalid_headers_change_no_outcome(revoke: Revoke) -> None:
    rows = {}
    for name, headers in INVALID_HEADERS.items():
        revoke.simulator.reset()
        revoke.simulator.fault("any", "slow", delay=0, headers=headers, times=0)
        result = revoke(*revoke.simulator.mint_many(3))
        rows[name] = (result.outcomes, "Traceback" in result.output, revoke.simulator.live())
    assert rows == dict.fromkeys(INVALID_HEADERS, (["revoked"] * 3, False, []))


# Clocks


def test_fast_clock_skips_no_live_token(revoke: Revoke, clock: FastClock) -> None:
    clock.ahead = HOUR
    looks_expired = revoke.simulator.mint(lifetime=1800)
    live = revoke.simulator.mint(lifetime=3 * HOUR)
    result = revoke(looks_expired, live)
    assert result.outcomes == ["revoked", "revoked"]
    assert AHEAD.search(result.warnings)
    assert revoke.simulator.live() == []


def test_slow_clock_sends_expired_tokens(revoke: Revoke, clock: FastClock) -> None:
    clock.ahead = -HOUR
    expired = revoke.simulator.mint(age=HOUR, lifetime=1800)
    live = revoke.simulator.mint()
    result = revoke(expired, live)
    assert result.outcomes == ["already_revoked", "revoked"]
    assert BEHIND.search(result.warnings)
    assert revoke.simulator.live() == []


@pytest.mark.parametrize(("offset", "where"), [(HOUR, BEHIND), (-HOUR, AHEAD)])
def test_difference_of_clocks_is_a_warning(
    revoke: Revoke, offset: float, where: re.Pattern[str]
) -> None:
    revoke.simulator.configure(clock_offset=offset)
    result = revoke(*revoke.simulator.mint_many(2))
    assert result.outcomes == ["revoked", "revoked"]
    assert where.search(result.warnings)
    assert revoke.simulator.live() == []


def test_difference_within_the_leeway_is_no_warning(revoke: Revoke, clock: FastClock) -> None:
    clock.ahead = 200
    result = revoke(revoke.simulator.mint())
    assert result.outcomes == ["revoked"]
    assert result.warnings == ""
    assert len(revoke.simulator.writes()) == 1


def test_token_from_the_future_shows_that_the_clock_is_wrong(revoke: Revoke) -> None:
    now = int(revoke.clock.as_clock().now())
    token = revoke.simulator.mint(claims={"iat": now + 7200, "exp": now - 7200})
    result = revoke(token)
    assert result.outcomes == ["revoked"]
    assert not revoke.simulator.accepts(token)
    assert len(revoke.simulator.writes()) == 1


def test_answer_without_a_date_leaves_the_decision_to_the_local_clock(
    revoke: Revoke, clock: FastClock
) -> None:
    clock.ahead = HOUR
    revoke.simulator.fault("any", "no_date", times=0)
    looks_expired, live = revoke.simulator.mint(lifetime=1800), revoke.simulator.mint()
    result = revoke(looks_expired, live)
    assert result.outcomes == ["expired", "revoked"]
    assert result.warnings == ""
    assert revoke.simulator.requests(fingerprint=fingerprint(looks_expired)) == []
