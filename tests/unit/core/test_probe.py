# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interpreting probes of tokens, and the negative control."""

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
from tests.unit.tables import each_row

from .fake_api import EMPTY_401, FORBIDDEN, NO_ANSWER, SUCCESS, UNAUTHORIZED, FakeApi, live, many
from .token_factory import ACCOUNT, OTHER_ACCOUNT, SEED, rs256, token

pytestmark = pytest.mark.pure

REJECTED_WITH_200 = ApiResult(Verdict.REJECTED, "HTTP 200, code 401", 200, "401")
BROKEN = ApiResult(Verdict.UNKNOWN, "HTTP 500, code 500", 500, "500")


def probes(api: FakeApi, *texts: str, issued: bool = True, workers: int = 1) -> list[str]:
    """Return the probe status of tokens, issued by the API or not."""
    if issued:
        api.issued.update(texts)
    client, clock = cast(Client, api), api.clock.as_clock()
    statuses = probe_tokens([read(text) for text in texts], client, clock, workers)
    return [status.probe for status in statuses]


@each_row(
    ("reading", "own", "checks", "shown"),
    [
        (SUCCESS, True, True, "accepted"),
        (SUCCESS, False, True, "accepted"),
        (SUCCESS, True, False, "meaningless"),
        (UNAUTHORIZED, True, True, "refused"),
        (UNAUTHORIZED, True, False, "refused"),
        (UNAUTHORIZED, False, True, "inconclusive"),
        (REJECTED_WITH_200, True, True, "refused"),
        (EMPTY_401, True, True, "inconclusive"),
        (FORBIDDEN, True, True, "inconclusive"),
        (BROKEN, True, True, "inconclusive"),
        (NO_ANSWER, True, False, "inconclusive"),
    ],
)
def test_probe_is_interpreted(reading: ApiResult, own: bool, checks: bool, shown: str) -> None:
    probe = Probe.ACCEPTED if reading.verdict is Verdict.SUCCEEDED else Probe.INCONCLUSIVE
    probe = Probe.REFUSED if reading.refuses_token else probe
    status = interpret(ProbeResult(probe, reading, ACCOUNT, own), checks)
    assert status.probe == shown
    assert (reading.problem in status.reason) is (shown != "meaningless")


# A run


def test_results_keep_order_of_tokens() -> None:
    api, dead = FakeApi(), live(number=99)
    good = many(3)
    api.issued.update(good)
    texts = [good[0], dead, "no token", good[1], SEED, good[2]]
    shown = ["accepted", "refused", "inconclusive", "accepted", "refused", "accepted"]
    assert probes(api, *texts, issued=False) == shown


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_control_is_probed_once(workers: int) -> None:
    api = FakeApi()
    assert set(probes(api, *many(12), workers=workers)) == {"accepted"}
    assert api.operations.count("control") == 1
    assert api.operations.count("probe") == 12


def test_control_is_not_probed_when_no_token_was_accepted() -> None:
    api = FakeApi()
    texts = many(3)
    assert set(probes(api, *texts, issued=False)) == {"refused"}
    assert [text for __, text in api.requests] == [text for text in texts for __ in range(2)]


@pytest.mark.parametrize("workers", [1, 8])
def test_host_that_accepts_any_token_makes_probes_meaningless(workers: int) -> None:
    api = FakeApi(checks=False)
    assert set(probes(api, *many(5), workers=workers)) == {"meaningless"}
    assert api.operations.count("control") == 1


@pytest.mark.parametrize("answer", [NO_ANSWER, BROKEN, FORBIDDEN])
def test_control_without_answer_changes_nothing(answer: ApiResult) -> None:
    assert probes(FakeApi(probes=[None, answer]), live()) == ["accepted"]


@each_row("text", ["no token", "", "a.b", SEED[:-5], SEED * 2])
def test_malformed_token_is_not_sent(text: str) -> None:
    api = FakeApi()
    assert probes(api, text) == ["inconclusive"]
    assert api.requests == []


def test_rejected_token_without_account_is_inconclusive() -> None:
    api = FakeApi()
    assert probes(api, rs256(), issued=False) == ["inconclusive"]


def test_token_of_another_account_is_probed_under_its_account() -> None:
    api = FakeApi()
    assert probes(api, live(account=OTHER_ACCOUNT)) == ["accepted"]
    assert probes(api, token(OTHER_ACCOUNT), issued=False) == ["refused"]


def test_undocumented_401_is_recognized_beside_accepted_token() -> None:
    api, dead = FakeApi(refusal=EMPTY_401), live(number=99)
    good = live()
    api.issued.add(good)
    assert probes(api, dead, issued=False) == ["inconclusive"]
    assert probes(api, dead, good, issued=False) == ["refused", "accepted"]


def test_no_tokens_send_no_requests() -> None:
    api = FakeApi()
    assert probes(api) == []
    assert api.requests == []


def test_probe_never_revokes() -> None:
    api = FakeApi()
    probes(api, *many(4), "no token", workers=4)
    assert "revoke" not in api.operations


def test_reason_omits_token() -> None:
    api, text = FakeApi(), live()
    api.issued.add(text)
    shown = repr(probe_tokens([read(text)], cast(Client, api), api.clock.as_clock(), 1))
    assert text not in shown
    assert text.split(".")[1] not in shown


def test_concurrent_learners_probe_control_once() -> None:
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
    control_token = read(api.requests[0][1])
    assert control_token.belongs_to(ACCOUNT)
    # Equal to the accepted token, independent of the local clock.
    assert control_token.expires_at == read(text).expires_at
