# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a probe shows of a token, and when it shows nothing."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._answer import ApiResult, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._probe import (
    NegativeControl,
    Probe,
    ProbeResult,
    interpret,
    probe_tokens,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import read
from tests.unit.clock import StillClock

from .fake_api import EMPTY_401, FORBIDDEN, NO_ANSWER, UNAUTHORIZED, YES, FakeApi, live, many
from .token_factory import ACCOUNT, OTHER_ACCOUNT, SEED, rs256, token

pytestmark = pytest.mark.pure

IN_A_SUCCESS = ApiResult(Verdict.REJECTED, "HTTP 200, code 401", 200, "401")
BROKEN = ApiResult(Verdict.UNKNOWN, "HTTP 500, code 500", 500, "500")


def probes(api: FakeApi, *texts: str, issued: bool = True, workers: int = 1) -> list[str]:
    """What an API's probes show of tokens, which it issued or not."""
    if issued:
        api.issued.update(texts)
    client, clock = cast(Client, api), api.clock.as_clock()
    statuses = probe_tokens([read(text) for text in texts], client, clock, workers)
    return [status.probe for status in statuses]


@pytest.mark.parametrize(
    ("reading", "own", "checks", "shown"),
    [
        (YES, True, True, "accepted"),
        (YES, False, True, "accepted"),
        (YES, True, False, "meaningless"),
        (UNAUTHORIZED, True, True, "refused"),
        (UNAUTHORIZED, True, False, "refused"),
        (UNAUTHORIZED, False, True, "inconclusive"),
        (IN_A_SUCCESS, True, True, "refused"),
        (EMPTY_401, True, True, "inconclusive"),
        (FORBIDDEN, True, True, "inconclusive"),
        (BROKEN, True, True, "inconclusive"),
        (NO_ANSWER, True, False, "inconclusive"),
    ],
)
def test_a_probe_is_interpreted(reading: ApiResult, own: bool, checks: bool, shown: str) -> None:
    probe = Probe.ACCEPTED if reading.verdict is Verdict.SUCCEEDED else Probe.INCONCLUSIVE
    probe = Probe.REFUSED if reading.refuses_token else probe
    status = interpret(ProbeResult(probe, reading, ACCOUNT, own), checks)
    assert status.probe == shown
    assert (reading.problem in status.reason) is (shown != "meaningless")


# A run


def test_tokens_are_told_apart_in_their_order() -> None:
    api, dead = FakeApi(), live(number=99)
    good = many(3)
    api.issued.update(good)
    texts = [good[0], dead, "no token", good[1], SEED, good[2]]
    shown = ["accepted", "refused", "inconclusive", "accepted", "refused", "accepted"]
    assert probes(api, *texts, issued=False) == shown


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_the_control_is_asked_once(workers: int) -> None:
    api = FakeApi()
    assert set(probes(api, *many(12), workers=workers)) == {"accepted"}
    assert api.operations.count("control") == 1
    assert api.operations.count("probe") == 12


def test_the_control_is_not_asked_when_nothing_was_accepted() -> None:
    api = FakeApi()
    texts = many(3)
    assert set(probes(api, *texts, issued=False)) == {"refused"}
    assert [text for __, text in api.asked] == [text for text in texts for __ in range(2)]


@pytest.mark.parametrize("workers", [1, 8])
def test_on_a_host_that_takes_any_token_no_probe_means_anything(workers: int) -> None:
    api = FakeApi(checks=False)
    assert set(probes(api, *many(5), workers=workers)) == {"meaningless"}
    assert api.operations.count("control") == 1


@pytest.mark.parametrize("answer", [NO_ANSWER, BROKEN, FORBIDDEN])
def test_a_control_without_an_answer_changes_nothing(answer: ApiResult) -> None:
    assert probes(FakeApi(probes=[None, answer]), live()) == ["accepted"]


@pytest.mark.parametrize("text", ["no token", "", "a.b", SEED[:-5], SEED * 2])
def test_what_is_malformed_is_not_sent(text: str) -> None:
    api = FakeApi()
    assert probes(api, text) == ["inconclusive"]
    assert api.asked == []


def test_a_refused_token_of_no_account_is_not_known_to_be_dead() -> None:
    api = FakeApi()
    assert probes(api, rs256(), issued=False) == ["inconclusive"]


def test_a_token_of_another_account_is_judged_under_that_account() -> None:
    api = FakeApi()
    assert probes(api, live(account=OTHER_ACCOUNT)) == ["accepted"]
    assert probes(api, token(OTHER_ACCOUNT), issued=False) == ["refused"]


def test_a_401_of_no_known_form_is_recognised_beside_an_accepted_token() -> None:
    api, dead = FakeApi(refusal=EMPTY_401), live(number=99)
    good = live()
    api.issued.add(good)
    assert probes(api, dead, issued=False) == ["inconclusive"]
    assert probes(api, dead, good, issued=False) == ["refused", "accepted"]


def test_nothing_is_asked_for_no_tokens() -> None:
    api = FakeApi()
    assert probes(api) == []
    assert api.asked == []


def test_nothing_is_ever_revoked() -> None:
    api = FakeApi()
    probes(api, *many(4), "no token", workers=4)
    assert "revoke" not in api.operations


def test_a_reason_shows_no_token() -> None:
    api, text = FakeApi(), live()
    api.issued.add(text)
    shown = repr(probe_tokens([read(text)], cast(Client, api), api.clock.as_clock(), 1))
    assert text not in shown
    assert text.split(".")[1] not in shown


def test_the_control_asks_once_however_many_learn_from_it() -> None:
    api, text = FakeApi(), live()
    api.issued.add(text)
    control = NegativeControl(cast(Client, api), StillClock().as_clock())
    threads = [
        threading.Thread(target=control.run_once, args=(read(text), ACCOUNT)) for __ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert control.checks_tokens
    assert api.operations == ["control"]
    control_token = read(api.asked[0][1])
    assert control_token.belongs_to(ACCOUNT)
    # Like the accepted one, whatever this machine's clock says.
    assert control_token.expires_at == read(text).expires_at
