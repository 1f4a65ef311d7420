# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a probe shows of a token, and when it shows nothing."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._answer import Reading, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._probing import (
    Control,
    Probe,
    judge,
    look_at,
    read_probe,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import read
from tests.unit.clock import StillClock

from .fake_api import FORBIDDEN, NO_ANSWER, UNAUTHORIZED, YES, FakeApi, live, many
from .making import ACCOUNT, OTHER_ACCOUNT, SEED, rs256, token

pytestmark = pytest.mark.pure

IN_A_SUCCESS = Reading(Verdict.NO, "HTTP 200, code 401", 200, "401")
BROKEN = Reading(Verdict.UNCLEAR, "HTTP 500, code 500", 500, "500")


def looks(api: FakeApi, *texts: str, issued: bool = True, workers: int = 1) -> list[str]:
    """What an API's probes show of tokens, which it issued or not."""
    if issued:
        api.issued.update(texts)
    client, clock = cast(Client, api), api.clock.as_clock()
    seen = look_at([read(text) for text in texts], client, clock, ACCOUNT, workers)
    return [look.probe for look in seen]


@pytest.mark.parametrize(
    ("reading", "probe"),
    [
        (YES, Probe.ACCEPTED),
        (UNAUTHORIZED, Probe.REFUSED),
        (IN_A_SUCCESS, Probe.REFUSED),
        (FORBIDDEN, Probe.INCONCLUSIVE),
        (BROKEN, Probe.INCONCLUSIVE),
        (NO_ANSWER, Probe.INCONCLUSIVE),
    ],
    ids=lambda value: value.problem if isinstance(value, Reading) else "",
)
def test_an_answer_is_read(reading: Reading, probe: Probe) -> None:
    assert read_probe(reading) is probe


@pytest.mark.parametrize(
    ("reading", "own", "checks", "shown"),
    [
        (YES, True, True, "accepted"),
        (YES, False, True, "accepted"),
        (YES, True, False, "meaningless"),
        (YES, False, False, "meaningless"),
        (UNAUTHORIZED, True, True, "refused"),
        (UNAUTHORIZED, True, False, "refused"),
        (UNAUTHORIZED, False, True, "inconclusive"),
        (UNAUTHORIZED, False, False, "inconclusive"),
        (IN_A_SUCCESS, True, True, "refused"),
        (FORBIDDEN, True, True, "inconclusive"),
        (FORBIDDEN, False, False, "inconclusive"),
        (BROKEN, True, True, "inconclusive"),
        (NO_ANSWER, True, False, "inconclusive"),
    ],
)
def test_a_probe_is_judged(reading: Reading, own: bool, checks: bool, shown: str) -> None:
    look = judge(read_probe(reading), reading, own, lambda: checks)
    assert look.probe == shown
    assert (reading.problem in look.reason) is (shown != "meaningless")


def test_a_refusal_that_may_be_about_the_account_says_so() -> None:
    look = judge(Probe.REFUSED, UNAUTHORIZED, False, lambda: True)
    assert "account_id" in look.reason


@pytest.mark.parametrize("reading", [UNAUTHORIZED, FORBIDDEN, BROKEN, NO_ANSWER])
@pytest.mark.parametrize("own", [True, False])
def test_only_what_was_accepted_asks_the_control(reading: Reading, own: bool) -> None:
    asked: list[bool] = []
    judge(read_probe(reading), reading, own, lambda: bool(asked.append(True)))
    assert asked == []


# A run


def test_tokens_are_told_apart_in_their_order() -> None:
    api, dead = FakeApi(), live(number=99)
    good = many(3)
    api.issued.update(good)
    texts = [good[0], dead, "no token", good[1], SEED, good[2]]
    shown = ["accepted", "refused", "inconclusive", "accepted", "refused", "accepted"]
    assert looks(api, *texts, issued=False) == shown


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_the_control_is_asked_once(workers: int) -> None:
    api = FakeApi()
    assert set(looks(api, *many(12), workers=workers)) == {"accepted"}
    assert api.operations.count("control") == 1
    assert api.operations.count("probe") == 12


def test_the_control_is_not_asked_when_nothing_was_accepted() -> None:
    api = FakeApi()
    texts = many(3)
    assert set(looks(api, *texts, issued=False)) == {"refused"}
    assert [text for __, text in api.asked] == texts


@pytest.mark.parametrize("workers", [1, 8])
def test_on_a_host_that_takes_any_token_no_probe_means_anything(workers: int) -> None:
    api = FakeApi(checks=False)
    assert set(looks(api, *many(5), workers=workers)) == {"meaningless"}
    assert api.operations.count("control") == 1


@pytest.mark.parametrize("said", [NO_ANSWER, BROKEN, FORBIDDEN])
def test_a_control_without_an_answer_takes_nothing_away(said: Reading) -> None:
    assert looks(FakeApi(probes=[None, said]), live()) == ["accepted"]


@pytest.mark.parametrize("text", ["no token", "", "a.b", SEED[:-5], SEED * 2])
def test_what_is_malformed_is_not_sent(text: str) -> None:
    api = FakeApi()
    assert looks(api, text) == ["inconclusive"]
    assert api.asked == []


@pytest.mark.parametrize("text", [token(OTHER_ACCOUNT), rs256()], ids=["another", "none"])
def test_a_refused_token_of_no_or_another_account_is_not_known_to_be_dead(text: str) -> None:
    api = FakeApi()
    assert looks(api, text, issued=False) == ["inconclusive"]
    assert api.operations == ["control"]  # as the fake calls the probe of what it never issued


def test_nothing_is_asked_for_no_tokens() -> None:
    api = FakeApi()
    assert looks(api) == []
    assert api.asked == []


def test_nothing_is_ever_revoked() -> None:
    api = FakeApi()
    looks(api, *many(4), "no token", workers=4)
    assert "revoke" not in api.operations


def test_a_reason_shows_no_token() -> None:
    api, text = FakeApi(), live()
    api.issued.add(text)
    shown = repr(look_at([read(text)], cast(Client, api), api.clock.as_clock(), ACCOUNT, 1))
    assert text not in shown
    assert text.split(".")[1] not in shown


def test_the_control_asks_once_however_many_ask_it() -> None:
    api = FakeApi()
    control = Control(cast(Client, api), StillClock().as_clock(), ACCOUNT)
    threads = [threading.Thread(target=control.ask) for __ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert control.ask() is True
    assert api.operations == ["control"]
    assert read(api.asked[0][1]).belongs_to(ACCOUNT)
