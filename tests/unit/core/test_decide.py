# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the evidence of one token comes to: the rules, each over all that can be seen at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._answer import ApiResult, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._probe import ProbeResult
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    ABORT_AFTER,
    WORST_FIRST,
    Evidence,
    Outcome,
    Probe,
    Proof,
    Result,
    decide,
    same_refusal,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import read

from .token_factory import SEED

pytestmark = pytest.mark.pure

YES, NO, UNCLEAR = Verdict.SUCCEEDED, Verdict.REJECTED, Verdict.UNKNOWN
ACCEPTED, REFUSED = Probe.ACCEPTED, Probe.REFUSED
INCONCLUSIVE, OMITTED = Probe.INCONCLUSIVE, Probe.OMITTED


@dataclass(frozen=True)
class Case:
    """Something that can be seen, what the user wants, and what is decided."""

    seen: Evidence
    proof: Proof
    outcome: Outcome
    verified: bool

    @property
    def refused_for_itself(self) -> bool:
        """The API refuses the token now, and that is about the token, not about the account."""
        return self.seen.after is REFUSED and self.seen.about_token


def _all_cases() -> list[Case]:
    befores, afters = (ACCEPTED, REFUSED, INCONCLUSIVE), tuple(Probe)
    yes_no = (True, False)
    seen = (Evidence(*values) for values in product(befores, Verdict, afters, yes_no, yes_no))
    return [Case(one, proof, *decide(one, proof)) for one, proof in product(seen, Proof)]


ALL = _all_cases()


def always(rule: Callable[[Case], bool]) -> bool:
    """Whether a rule holds for everything; the cases that break it are shown."""
    broken = [case for case in ALL if not rule(case)]
    assert broken == []
    return True


# The rules, in the words of the house


def test_all_combinations_are_looked_at() -> None:
    assert len(ALL) == len(set(ALL)) == 3 * 3 * 4 * 2 * 2 * 3


def test_nothing_counts_as_done_without_proof_or_the_apis_yes() -> None:
    assert always(lambda case: case.outcome.failed or case.verified or case.seen.answer is YES)


def test_proof_is_a_refusal_that_is_about_the_token() -> None:
    assert always(lambda case: case.verified is case.refused_for_itself)


def test_what_is_proved_dead_is_revoked_by_us_or_was_before() -> None:
    ours_or_not = {Outcome.REVOKED, Outcome.ALREADY_REVOKED}
    assert always(lambda case: not case.verified or case.outcome in ours_or_not)


def test_it_was_dead_already_if_the_api_said_no_and_nobody_saw_it_alive() -> None:
    def already(case: Case) -> bool:
        return case.verified and case.seen.answer is NO and case.seen.before is not ACCEPTED

    assert always(lambda case: (case.outcome is Outcome.ALREADY_REVOKED) is already(case))


def test_an_unproved_no_is_refused() -> None:
    def refused(case: Case) -> bool:
        return not case.verified and case.seen.answer is NO

    assert always(lambda case: (case.outcome is Outcome.REFUSED) is refused(case))


def test_without_a_clear_answer_and_proof_nothing_is_known() -> None:
    def unsettled(case: Case) -> bool:
        return not case.verified and case.seen.answer is UNCLEAR

    assert always(lambda case: not unsettled(case) or case.outcome is Outcome.UNKNOWN)


def test_a_yes_that_the_probe_belies_is_still_accepted() -> None:
    def belied(case: Case) -> bool:
        return case.seen.answer is YES and case.seen.after is ACCEPTED and case.seen.checks_tokens

    assert always(lambda case: (case.outcome is Outcome.STILL_ACCEPTED) is belied(case))


def test_a_yes_that_nothing_belies_is_taken_unless_proof_is_required() -> None:
    def unproved_yes(case: Case) -> bool:
        belied = case.outcome is Outcome.STILL_ACCEPTED
        return case.seen.answer is YES and not case.verified and not belied

    def taken(case: Case) -> bool:
        required = case.proof is Proof.REQUIRED
        return case.outcome is (Outcome.UNKNOWN if required else Outcome.REVOKED)

    assert always(lambda case: not unproved_yes(case) or taken(case))


def test_with_proof_required_nothing_unproved_is_done() -> None:
    assert always(lambda case: case.proof is not Proof.REQUIRED or case.verified or _failed(case))


def test_without_required_proof_the_wish_changes_nothing() -> None:
    assert always(
        lambda case: (
            case.proof is Proof.REQUIRED
            or decide(case.seen, Proof.ATTEMPT) == decide(case.seen, Proof.NONE)
        )
    )


def test_what_was_sent_is_never_called_unsent() -> None:
    unsent = {Outcome.EXPIRED, Outcome.MALFORMED, Outcome.NOT_ATTEMPTED}
    assert always(lambda case: case.outcome not in unsent)


def _failed(case: Case) -> bool:
    return case.outcome.failed


# Examples


@pytest.mark.parametrize(
    ("seen", "outcome", "verified"),
    [
        pytest.param(Evidence(before, answer, after, names), outcome, verified, id=name)
        for name, before, answer, after, names, outcome, verified in [
            ("the plain case", ACCEPTED, YES, REFUSED, True, Outcome.REVOKED, True),
            ("the answer was lost", ACCEPTED, UNCLEAR, REFUSED, True, Outcome.REVOKED, True),
            ("a no, and dead all the same", ACCEPTED, NO, REFUSED, True, Outcome.REVOKED, True),
            ("dead long ago", INCONCLUSIVE, NO, REFUSED, True, Outcome.ALREADY_REVOKED, True),
            ("wrong account", REFUSED, NO, REFUSED, False, Outcome.REFUSED, False),
            ("wrong account, yes", REFUSED, YES, REFUSED, False, Outcome.REVOKED, False),
            ("wrong account, lost", REFUSED, UNCLEAR, REFUSED, False, Outcome.UNKNOWN, False),
            ("a clear no", ACCEPTED, NO, ACCEPTED, True, Outcome.REFUSED, False),
            ("no effect", ACCEPTED, YES, ACCEPTED, True, Outcome.STILL_ACCEPTED, False),
            ("lost, no effect", ACCEPTED, UNCLEAR, ACCEPTED, True, Outcome.UNKNOWN, False),
            ("no probe can tell", INCONCLUSIVE, YES, INCONCLUSIVE, True, Outcome.REVOKED, False),
            ("not probed", ACCEPTED, YES, OMITTED, True, Outcome.REVOKED, False),
            (
                "nothing works",
                INCONCLUSIVE,
                UNCLEAR,
                INCONCLUSIVE,
                True,
                Outcome.UNKNOWN,
                False,
            ),
        ]
    ],
)
def test_an_example_is_decided(seen: Evidence, outcome: Outcome, verified: bool) -> None:
    assert decide(seen, Proof.ATTEMPT) == (outcome, verified)


def test_a_host_that_takes_any_token_proves_nothing() -> None:
    seen = Evidence(ACCEPTED, YES, ACCEPTED, about_token=True, checks_tokens=False)
    assert decide(seen, Proof.ATTEMPT) == (Outcome.REVOKED, False)
    assert decide(seen, Proof.REQUIRED) == (Outcome.UNKNOWN, False)


@pytest.mark.parametrize("probe", list(Probe))
def test_only_a_refusal_under_the_tokens_own_account_proves_it_dead(probe: Probe) -> None:
    answer = ApiResult(NO, "")
    assert ProbeResult(probe, answer, "", names_account=True).proves_dead is (probe is REFUSED)
    assert not ProbeResult(probe, answer, "", names_account=False).proves_dead


# What an outcome means


@pytest.mark.parametrize(
    ("outcome", "changed", "failed"),
    [
        (Outcome.REVOKED, True, False),
        (Outcome.ALREADY_REVOKED, False, False),
        (Outcome.EXPIRED, False, False),
        (Outcome.REFUSED, False, True),
        (Outcome.STILL_ACCEPTED, True, True),
        (Outcome.UNKNOWN, True, True),
        (Outcome.MALFORMED, False, True),
        (Outcome.NOT_ATTEMPTED, False, True),
    ],
)
def test_an_outcome_tells_whether_it_changed_and_failed(
    outcome: Outcome, changed: bool, failed: bool
) -> None:
    assert (outcome.changed, outcome.failed) == (changed, failed)


def test_every_outcome_has_its_row_above_and_every_failure_its_rank() -> None:
    assert len(Outcome) == 8
    assert sorted(WORST_FIRST) == sorted(outcome for outcome in Outcome if outcome.failed)


# Giving up early


def refusals(*answers: tuple[int, str]) -> list[Result]:
    """Results of tokens that the API refused to revoke."""
    return [
        Result(read(SEED), Outcome.REFUSED, "", status=status, code=code)
        for status, code in answers
    ]


def test_enough_refusals_alike_at_the_start_are_a_pattern() -> None:
    assert same_refusal(refusals(*[(403, "403")] * ABORT_AFTER), ABORT_AFTER)
    assert same_refusal(refusals(*[(403, "403")] * ABORT_AFTER, (404, "404")), ABORT_AFTER)
    assert not same_refusal(refusals(*[(403, "403")] * ABORT_AFTER), 0)


@pytest.mark.parametrize(
    "results",
    [
        [],
        refusals(*[(403, "403")] * (ABORT_AFTER - 1)),
        refusals(*[(403, "403")] * (ABORT_AFTER - 1), (404, "404")),
        refusals((403, "01"), *[(403, "403")] * ABORT_AFTER),
        [
            Result(read(SEED), Outcome.REVOKED, "", status=403, code="403"),
            *refusals(*[(403, "403")] * ABORT_AFTER),
        ],
        [Result(read(SEED), Outcome.UNKNOWN, "")] * ABORT_AFTER,
    ],
    ids=["none", "too few", "another status", "another code", "a success first", "no refusals"],
)
def test_fewer_or_other_refusals_are_none(results: list[Result]) -> None:
    assert not same_refusal(results, ABORT_AFTER)
