# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs over many tokens, against a fake API and a virtual clock."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._answer import ApiResult, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing
from ansible_collections.nomba.auth.plugins.module_utils._probe import PROOF_WINDOW
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    ABORT_AFTER,
    Outcome,
    Proof,
    Result,
)
from tests.unit.clock import NOW, StillClock

from .fake_api import (
    EMPTY_401,
    FORBIDDEN,
    NO_ANSWER,
    NOT_SENT,
    PROXY_401,
    SUCCESS,
    UNAUTHORIZED,
    FakeApi,
    live,
    many,
)
from .token_factory import ACCOUNT, OTHER_ACCOUNT, SEED, rs256, token

pytestmark = pytest.mark.pure

HOUR = 3600.0


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def only(api: FakeApi, text: str, **policy: Any) -> Result:
    """Return the result of a run over one token."""
    (result,) = api.run([text], **policy).results
    return result


# One token


def test_live_token_is_probed_revoked_and_verified(api: FakeApi) -> None:
    result = only(api, live())
    assert (result.outcome, result.verified) == (Outcome.REVOKED, True)
    assert (result.status, result.code, result.attempts) == (200, "00", 1)
    assert result.reason == "HTTP 200, code 00; valid before, rejected after"
    assert api.operations == ["probe", "control", "revoke", "probe"]
    assert api.exclusive == [False, True, True]  # evidence requires an exclusive connection
    assert api.clock.slept == []


def test_rejected_token_is_not_revoked_again(api: FakeApi) -> None:
    text = live()
    api.dies[text] = 0
    result = only(api, text)
    assert (result.outcome, result.verified) == (Outcome.ALREADY_REVOKED, True)
    assert (result.status, result.code, result.attempts) == (401, "401", 0)
    assert api.operations == ["probe", "probe"]
    assert api.exclusive == [False, True]


def test_rejection_that_may_concern_account_is_no_proof(api: FakeApi) -> None:
    text = rs256()  # without an account claim
    api.dies[text] = 0
    result = only(api, text)
    assert (result.outcome, result.verified) == (Outcome.UNKNOWN, False)
    assert api.operations == ["probe", "revoke", "probe"]


def test_token_of_another_account_is_probed_under_its_account(api: FakeApi) -> None:
    text = live(account=OTHER_ACCOUNT)
    result = only(api, text)
    assert (result.outcome, result.verified) == (Outcome.REVOKED, True)
    assert api.operations == ["probe", "probe", "control", "revoke", "probe"]
    assert all(api.exclusive)


def test_live_token_of_another_account_is_still_accepted(api: FakeApi) -> None:
    api.effect = None
    assert only(api, live(account=OTHER_ACCOUNT)).outcome is Outcome.STILL_ACCEPTED


def test_dead_token_of_another_account_is_already_revoked(api: FakeApi) -> None:
    text = live(account=OTHER_ACCOUNT)
    api.dies[text] = 0
    result = only(api, text)
    assert (result.outcome, result.verified) == (Outcome.ALREADY_REVOKED, True)
    assert "revoke" not in api.operations


def test_expired_token_is_skipped_without_request(api: FakeApi) -> None:
    result = only(api, SEED)
    assert (result.outcome, result.verified, result.attempts) == (Outcome.EXPIRED, False, 0)
    assert api.requests == []


def test_expired_token_is_revoked_without_skip_option(api: FakeApi) -> None:
    assert api.outcomes([SEED], skip_expired=False) == ["revoked"]


def test_undated_token_is_revoked(api: FakeApi) -> None:
    assert api.outcomes([token(), token(exp="soon")]) == ["revoked", "revoked"]


@pytest.mark.parametrize("skip", [True, False])
def test_malformed_token_is_never_sent(api: FakeApi, skip: bool) -> None:
    assert api.outcomes(["invalid", SEED[:-1]], skip_expired=skip) == ["malformed"] * 2
    assert api.requests == []


@pytest.mark.parametrize(
    ("answer", "effect", "outcome", "verified"),
    [
        (NO_ANSWER, 0.0, Outcome.REVOKED, True),
        (NO_ANSWER, None, Outcome.UNKNOWN, False),
        (FORBIDDEN, None, Outcome.REFUSED, False),
        (FORBIDDEN, 0.0, Outcome.REVOKED, True),
        (SUCCESS, None, Outcome.STILL_ACCEPTED, False),
    ],
    ids=["lost answer", "lost request", "rejected", "rejected, effective", "no effect"],
)
def test_probe_decides_outcome(
    api: FakeApi, answer: ApiResult, effect: float | None, outcome: Outcome, verified: bool
) -> None:
    api.answer, api.effect = answer, effect
    result = only(api, live())
    assert (result.outcome, result.verified) == (outcome, verified)
    assert answer.problem in result.reason


def test_unsent_revoke_is_not_attempted(api: FakeApi) -> None:
    api.answer, api.effect = NOT_SENT, None
    result = only(api, live())
    assert (result.outcome, result.attempts) == (Outcome.NOT_ATTEMPTED, 0)
    assert result.reason == NOT_SENT.problem
    assert api.operations == ["probe", "control", "revoke"]


def test_unsent_probe_prevents_revoke(api: FakeApi) -> None:
    api.probes = [NOT_SENT]
    assert only(api, live()).outcome is Outcome.NOT_ATTEMPTED
    assert api.operations == ["probe"]


def test_all_attempts_of_revoke_are_counted(api: FakeApi) -> None:
    api.answer = ApiResult(Verdict.SUCCEEDED, "HTTP 200, code 00", 200, "00", attempts=4)
    assert only(api, live()).attempts == 4


def test_results_omit_tokens(api: FakeApi) -> None:
    api.answer = ApiResult(Verdict.REJECTED, "HTTP 400", 400)
    texts = [live(), SEED, "invalid", rs256()]
    shown = repr(api.run(texts))
    assert [text for text in texts if text in shown] == []


# Proof


def test_late_effect_is_verified(api: FakeApi) -> None:
    api.effect = 5
    result = only(api, live())
    assert (result.outcome, result.verified) == (Outcome.REVOKED, True)
    assert 5 <= api.clock.passed < 10


def test_effect_at_end_of_proof_window_is_verified(api: FakeApi) -> None:
    api.effect = PROOF_WINDOW
    assert only(api, live()).verified
    assert api.clock.passed == PROOF_WINDOW


def test_effect_after_proof_window_is_still_accepted(api: FakeApi) -> None:
    api.effect = PROOF_WINDOW + 0.1
    assert only(api, live()).outcome is Outcome.STILL_ACCEPTED
    assert api.clock.passed == PROOF_WINDOW
    assert len(api.requests) < 15


def test_deadline_shortens_proof_window(api: FakeApi) -> None:
    api.effect, api.deadline = None, 2.0
    assert only(api, live()).outcome is Outcome.STILL_ACCEPTED
    assert api.clock.passed == 2


def test_rejected_revoke_does_not_wait(api: FakeApi) -> None:
    api.answer, api.effect = FORBIDDEN, None
    only(api, live())
    assert api.clock.slept == []
    assert api.operations == ["probe", "control", "revoke", "probe"]


def test_proof_none_omits_probe_after_success(api: FakeApi) -> None:
    result = only(api, live(), proof=Proof.NONE)
    assert (result.outcome, result.verified) == (Outcome.REVOKED, False)
    assert api.operations == ["probe", "control", "revoke"]


def test_proof_none_still_probes_after_lost_answer(api: FakeApi) -> None:
    api.answer = NO_ANSWER
    result = only(api, live(), proof=Proof.NONE)
    assert (result.outcome, result.verified) == (Outcome.REVOKED, True)


def test_inconclusive_probe_is_repeated(api: FakeApi) -> None:
    api.probes = [None, None, NO_ANSWER, NO_ANSWER]
    assert only(api, live()).verified
    assert api.operations == ["probe", "control", "revoke", "probe", "probe", "probe"]


def test_inconclusive_probe_keeps_earlier_result(api: FakeApi) -> None:
    api.effect, api.probes = None, [None, None, None, *[NO_ANSWER] * 20]
    assert only(api, live()).outcome is Outcome.STILL_ACCEPTED


def test_inconclusive_first_probe_does_not_wait(api: FakeApi) -> None:
    api.probes = [FORBIDDEN] * 9
    result = only(api, live())
    assert (result.outcome, result.verified) == (Outcome.UNKNOWN, False)
    assert api.clock.slept == []


@pytest.mark.parametrize(
    ("proof", "outcome"),
    [(Proof.ATTEMPT, "revoked"), (Proof.REQUIRED, "unknown"), (Proof.NONE, "revoked")],
)
def test_success_without_probe_is_revoked_unless_proof_is_required(
    api: FakeApi, proof: Proof, outcome: str
) -> None:
    api.probes = [FORBIDDEN] * 9
    assert api.outcomes([live()], proof=proof) == [outcome]


@pytest.mark.parametrize("proof", [Proof.ATTEMPT, Proof.NONE])
def test_unverified_tokens_give_one_warning(api: FakeApi, proof: Proof) -> None:
    api.probes = [FORBIDDEN] * 20
    (warning,) = api.run(many(3), proof=proof).warnings
    assert warning.startswith("3 token(s) NOT verified")


def test_verified_run_has_no_warning(api: FakeApi) -> None:
    assert api.run(many(3)).warnings == ()


# The negative control


def test_control_is_probed_once_per_run(api: FakeApi) -> None:
    api.run(many(9))
    assert api.operations.count("control") == 1


def test_control_is_probed_once_by_many_workers(api: FakeApi) -> None:
    api.effect, api.deadline = None, 1e6
    assert api.outcomes(many(12), concurrency=6) == ["still_accepted"] * 12
    assert api.operations.count("control") == 1


def test_host_that_accepts_any_token_proves_nothing(api: FakeApi) -> None:
    api.checks = False
    result = only(api, live(), proof=Proof.ATTEMPT)
    assert (result.outcome, result.verified) == (Outcome.REVOKED, False)
    assert "accepts any token" in result.reason
    assert api.clock.slept == []


def test_host_that_accepts_any_token_fails_required_proof(api: FakeApi) -> None:
    api.checks = False
    assert api.outcomes(many(3), proof=Proof.REQUIRED) == ["unknown"] * 3
    assert api.operations.count("control") == 1


def test_inconclusive_control_keeps_still_accepted(api: FakeApi) -> None:
    api.effect, api.probes = None, [None, NO_ANSWER]
    assert api.outcomes([live()]) == ["still_accepted"]


def test_inconclusive_control_is_repeated_up_to_a_limit(api: FakeApi) -> None:
    api.probes = [None, NO_ANSWER, None, None, NO_ANSWER, None, None, NO_ANSWER]
    assert api.outcomes(many(6)) == ["revoked"] * 6
    assert api.operations.count("control") == 3


# Rejections without the documented envelope


def test_undocumented_401_is_no_proof(api: FakeApi) -> None:
    text = live()
    api.dies[text], api.refusal = 0, EMPTY_401
    assert only(api, text).outcome is Outcome.UNKNOWN
    assert api.operations == ["probe", "revoke", "probe"]


def test_undocumented_401_is_proof_when_control_gets_it(api: FakeApi) -> None:
    api.refusal = EMPTY_401
    result = only(api, live())
    assert (result.outcome, result.verified) == (Outcome.REVOKED, True)
    # The accepted token is probed again after the control to confirm the path to the API.
    assert api.operations == ["probe", "control", "probe", "revoke", "probe"]


def test_undocumented_401_is_no_proof_when_proxy_rejects_everything(api: FakeApi) -> None:
    api.effect, api.probes = None, [None, PROXY_401, PROXY_401, *[PROXY_401] * 20]
    assert only(api, live()).outcome is Outcome.UNKNOWN


def test_different_401_than_control_is_no_proof(api: FakeApi) -> None:
    api.refusal, api.effect = EMPTY_401, None
    api.probes = [None, None, None, *[PROXY_401] * 20]
    assert only(api, live()).outcome is Outcome.UNKNOWN


def test_dead_token_beside_live_token_is_already_revoked(api: FakeApi) -> None:
    texts = many(2)
    api.dies[texts[1]], api.refusal = 0, EMPTY_401
    assert api.outcomes(texts) == ["revoked", "already_revoked"]


def test_token_without_account_uses_exclusive_connections(api: FakeApi) -> None:
    result = only(api, rs256())
    assert (result.outcome, result.verified) == (Outcome.REVOKED, True)
    assert all(api.exclusive)


# Many tokens


def test_results_keep_order(api: FakeApi) -> None:
    texts = [SEED, live(n=1), "invalid", token(), live(n=2), SEED[:-1]]
    report = api.run(texts)
    assert [result.token.text for result in report.results] == texts
    assert [result.outcome.value for result in report.results] == [
        "expired",
        "revoked",
        "malformed",
        "revoked",
        "revoked",
        "malformed",
    ]


def test_no_tokens_give_empty_report(api: FakeApi) -> None:
    report = api.run([])
    assert (report.results, report.warnings) == ((), ())


@pytest.mark.parametrize("concurrency", [1, 2, 7, 64])
def test_results_match_tokens_at_any_concurrency(api: FakeApi, concurrency: int) -> None:
    texts = many(40)
    api.answer = lambda text: FORBIDDEN if texts.index(text) % 2 else SUCCESS
    api.dies = dict.fromkeys(texts[::4], 0)
    report = api.run(texts, concurrency=concurrency)
    assert [result.token.text for result in report.results] == texts
    expected = ["already_revoked", "revoked", "revoked", "revoked"] * 10
    assert [result.outcome.value for result in report.results] == expected


def test_failed_token_does_not_affect_others(api: FakeApi) -> None:
    texts = many(5)
    api.answer = lambda text: NO_ANSWER if text == texts[2] else SUCCESS
    assert api.outcomes(texts) == ["revoked"] * 5
    api.effect = None
    assert api.outcomes([live(n=9), texts[0]])[1] == "already_revoked"


@pytest.mark.parametrize(("deadline", "begun"), [(0.0, 0), (7.0, 2), (7.1, 3)])
def test_deadline_leaves_remaining_tokens_unattempted(
    api: FakeApi, deadline: float, begun: int
) -> None:
    api.latency, api.deadline = 1.0, deadline
    expected = ["revoked"] * begun + ["not_attempted"] * (5 - begun)
    assert api.outcomes(many(5)) == expected
    assert len(api.requests) == begun * 3 + (begun > 0)


def test_equal_refusals_at_start_abort_run(api: FakeApi) -> None:
    api.answer, api.effect = FORBIDDEN, None
    expected = ["refused"] * ABORT_AFTER + ["not_attempted"] * 7
    assert api.outcomes(many(ABORT_AFTER + 7)) == expected
    assert api.operations.count("revoke") == ABORT_AFTER


def test_equal_refusals_after_success_do_not_abort(api: FakeApi) -> None:
    texts = many(ABORT_AFTER + 7)
    api.answer, api.effect, api.dies = FORBIDDEN, None, {texts[0]: 0}
    assert api.outcomes(texts) == ["already_revoked"] + ["refused"] * (ABORT_AFTER + 6)


def test_equal_refusals_of_one_account_do_not_abort_another(api: FakeApi) -> None:
    other = [live(account=OTHER_ACCOUNT, number=number) for number in range(30)]
    ours = many(8)
    api.answer = lambda text: FORBIDDEN if text in other else SUCCESS
    api.effect = None
    api.dies = dict.fromkeys(ours, 10.0)
    outcomes = api.outcomes([*other, *ours])
    assert outcomes[:30] == ["refused"] * ABORT_AFTER + ["not_attempted"] * (30 - ABORT_AFTER)
    assert outcomes[30:] == ["revoked"] + ["already_revoked"] * 7


def test_abort_can_be_disabled(api: FakeApi) -> None:
    api.answer, api.effect = FORBIDDEN, None
    assert api.outcomes(many(9), abort_after=0) == ["refused"] * 9


def test_different_refusals_do_not_abort(api: FakeApi) -> None:
    texts = many(ABORT_AFTER + 7)
    api.effect = None
    api.answer = lambda text: ApiResult(Verdict.REJECTED, "no", 400, str(texts.index(text)))
    assert api.outcomes(texts) == ["refused"] * len(texts)


def test_missing_library_aborts_run(api: FakeApi) -> None:
    def broken(_text: str) -> ApiResult:
        raise LibraryMissing("requests")

    api.answer = broken
    with pytest.raises(LibraryMissing, match="requests"):
        api.run(many(3), concurrency=2)


def test_warning_names_both_accounts(api: FakeApi) -> None:
    others = [live(account=OTHER_ACCOUNT, n=number) for number in range(2)]
    (warning,) = api.run([*others, live()]).warnings
    assert warning == f"Some tokens name the account {OTHER_ACCOUNT}, but account_id is {ACCOUNT}."


@pytest.mark.parametrize(("length", "warnings"), [(299, 1), (300, 0), (600, 0), (601, 1)])
def test_unusual_length_is_revoked_with_warning(api: FakeApi, length: int, warnings: int) -> None:
    (text,) = (one for one in map(padded, range(900)) if len(one) == length)
    report = api.run([text])
    assert report.results[0].outcome is Outcome.REVOKED
    assert len(report.warnings) == warnings
    assert all(f"{length} characters" in warning for warning in report.warnings)


def padded(size: int) -> str:
    """Return an undated token whose claims have this size."""
    return token(padding="x" * size)


def test_expired_token_of_another_account_gives_no_warning(api: FakeApi) -> None:
    assert api.run([token(OTHER_ACCOUNT, exp=1)]).warnings == ()


# Check mode


def test_check_mode_sends_no_revoke(api: FakeApi) -> None:
    texts = [live(), token(), SEED, "invalid"]
    assert api.outcomes(texts, write=False) == ["revoked", "revoked", "expired", "malformed"]
    assert api.operations == ["probe", "control", "probe"]


def test_check_mode_detects_revoked_token(api: FakeApi) -> None:
    text = live()
    api.dies[text] = 0
    result = only(api, text, write=False)
    assert (result.outcome, result.verified) == (Outcome.ALREADY_REVOKED, True)


def test_check_mode_predicts_without_verification(api: FakeApi) -> None:
    report = api.run([live()], write=False)
    (result,) = report.results
    assert (result.outcome, result.verified, result.attempts) == (Outcome.REVOKED, False, 0)
    assert result.reason.startswith("it would be revoked")
    assert report.warnings == ()


# Clock differences


def test_clock_ahead_skips_no_live_token(api: FakeApi) -> None:
    api.clock, api.ahead = StillClock(ahead=HOUR), 0
    nearly_expired = live(exp=int(NOW + HOUR / 2))
    report = api.run([nearly_expired, live(exp=int(NOW + 2 * HOUR))])
    assert [result.outcome.value for result in report.results] == ["revoked", "revoked"]
    assert report.results[0].token.text == nearly_expired
    assert [text for text in report.warnings if "3600 s ahead of the API's" in text]


def test_clock_ahead_is_unnoticed_without_request(api: FakeApi) -> None:
    api.clock, api.ahead = StillClock(ahead=HOUR), 0
    assert api.outcomes([live(exp=int(NOW + HOUR / 2))]) == ["expired"]
    assert api.requests == []


def test_clock_behind_revokes_with_warning(api: FakeApi) -> None:
    api.clock, api.ahead = StillClock(ahead=-HOUR), 0
    report = api.run([live(iat=1, exp=int(NOW - HOUR / 2))])
    assert [result.outcome.value for result in report.results] == ["revoked"]
    assert [text for text in report.warnings if "3600 s behind the API's" in text]


def test_expired_by_server_clock_stays_skipped(api: FakeApi) -> None:
    api.clock, api.ahead = StillClock(ahead=HOUR), 0
    assert api.outcomes([SEED, live(exp=int(NOW + 2 * HOUR))]) == ["expired", "revoked"]
    assert SEED not in [text for __, text in api.requests]


@pytest.mark.parametrize("ahead", [-300, 0, 300])
def test_clock_difference_within_leeway_is_ignored(api: FakeApi, ahead: int) -> None:
    api.clock, api.ahead = StillClock(ahead=ahead), 0
    report = api.run([live(), token(exp=int(NOW) - 900)])
    assert [result.outcome.value for result in report.results] == ["revoked", "expired"]
    assert report.warnings == ()


def test_clock_difference_within_leeway_reclassifies_nothing(api: FakeApi) -> None:
    api.clock, api.ahead = StillClock(ahead=299), 0
    assert api.outcomes([live(), token(exp=int(NOW) - 100)]) == ["revoked", "expired"]


@pytest.mark.parametrize("dated", ["probe", "revoke"])
def test_date_of_any_answer_gives_server_clock(api: FakeApi, dated: str) -> None:
    api.clock, api.ahead, api.dated = StillClock(ahead=HOUR), 0, (dated,)
    texts = [live(exp=int(NOW + HOUR / 2)), live(exp=int(NOW + 2 * HOUR))]
    assert api.outcomes(texts) == ["revoked", "revoked"]


def test_answer_without_date_gives_no_clock_warning(api: FakeApi) -> None:
    api.clock = StillClock(ahead=HOUR)
    assert api.run([live(exp=int(NOW + 2 * HOUR))]).warnings == ()


def test_second_pass_after_deadline_attempts_nothing(api: FakeApi) -> None:
    api.clock, api.ahead, api.latency, api.deadline = StillClock(ahead=HOUR), 0, 1.0, 4.0
    texts = [live(exp=int(NOW + HOUR / 2)), live(exp=int(NOW + 2 * HOUR))]
    assert api.outcomes(texts) == ["not_attempted", "revoked"]


def test_unauthorized_revoke_of_dead_token_is_already_revoked(api: FakeApi) -> None:
    text = live()
    api.dies[text] = 0
    api.probes, api.answer = [NO_ANSWER], UNAUTHORIZED
    result = only(api, text)
    assert (result.outcome, result.verified) == (Outcome.ALREADY_REVOKED, True)
