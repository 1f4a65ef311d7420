# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide the outcome for one token; each rule is tested over all combinations of evidence."""

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
from tests.unit.tables import each_row

from .token_factory import SEED

pytestmark = pytest.mark.pure

SUCCEEDED, REJECTED, UNKNOWN = Verdict.SUCCEEDED, Verdict.REJECTED, Verdict.UNKNOWN
ACCEPTED, REFUSED = Probe.ACCEPTED, Probe.REFUSED
INCONCLUSIVE, OMITTED = Probe.INCONCLUSIVE, Probe.OMITTED


@dataclass(frozen=True)
class Case:
    """Evidence, the proof option, and the decision."""

    seen: Evidence
    proof: Proof
    outcome: Outcome
    verified: bool

    @property
    def token_rejected(self) -> bool:
        """Whether the API rejects the token itself, not the account."""
        return self.seen.after is REFUSED and self.seen.about_token


def _all_cases() -> list[Case]:
    befores, afters = (ACCEPTED, REFUSED, INCONCLUSIVE), tuple(Probe)
    yes_no = (True, False)
    seen = (Evidence(*values) for values in product(befores, Verdict, afters, yes_no, yes_no))
    return [Case(one, proof, *decide(one, proof)) for one, proof in product(seen, Proof)]


ALL = _all_cases()


def always(rule: Callable[[Case], bool]) -> bool:
    """Return whether a rule holds for all cases; report the cases that break it."""
    broken = [case for case in ALL if not rule(case)]
    assert broken == []
    return True


# Rules


def test_all_combinations_are_covered() -> None:
    assert len(ALL) == len(set(ALL)) == 3 * 3 * 4 * 2 * 2 * 3


def test_success_requires_proof_or_success_of_api() -> None:
    assert always(
        lambda case: case.outcome.failed or case.verified or case.seen.answer is SUCCEEDED
    )


def test_verified_requires_rejection_of_token_itself() -> None:
    assert always(lambda case: case.verified is case.token_rejected)


def test_verified_outcome_is_revoked_or_already_revoked() -> None:
    ours_or_not = {Outcome.REVOKED, Outcome.ALREADY_REVOKED}
    assert always(lambda case: not case.verified or case.outcome in ours_or_not)


def test_already_revoked_requires_rejected_revoke_and_no_accepted_probe() -> None:
    def already(case: Case) -> bool:
        return case.verified and case.seen.answer is REJECTED and case.seen.before is not ACCEPTED

    assert always(lambda case: (case.outcome is Outcome.ALREADY_REVOKED) is already(case))


def test_rejected_revoke_without_proof_is_refused() -> None:
    def refused(case: Case) -> bool:
        return not case.verified and case.seen.answer is REJECTED

    assert always(lambda case: (case.outcome is Outcome.REFUSED) is refused(case))


def test_unknown_answer_without_proof_is_unknown() -> None:
    def unresolved(case: Case) -> bool:
        return not case.verified and case.seen.answer is UNKNOWN

    assert always(lambda case: not unresolved(case) or case.outcome is Outcome.UNKNOWN)


def test_successful_revoke_with_accepted_probe_is_still_accepted() -> None:
    def contradicted(case: Case) -> bool:
        return (
            case.seen.answer is SUCCEEDED
            and case.seen.after is ACCEPTED
            and case.seen.checks_tokens
        )

    assert always(lambda case: (case.outcome is Outcome.STILL_ACCEPTED) is contradicted(case))


def test_unverified_success_is_revoked_unless_proof_is_required() -> None:
    def unverified_success(case: Case) -> bool:
        contradicted = case.outcome is Outcome.STILL_ACCEPTED
        return case.seen.answer is SUCCEEDED and not case.verified and not contradicted

    def is_expected(case: Case) -> bool:
        required = case.proof is Proof.REQUIRED
        return case.outcome is (Outcome.UNKNOWN if required else Outcome.REVOKED)

    assert always(lambda case: not unverified_success(case) or is_expected(case))


def test_required_proof_fails_every_unverified_outcome() -> None:
    assert always(lambda case: case.proof is not Proof.REQUIRED or case.verified or _failed(case))


def test_proof_attempt_and_none_give_same_outcome() -> None:
    assert always(
        lambda case: (
            case.proof is Proof.REQUIRED
            or decide(case.seen, Proof.ATTEMPT) == decide(case.seen, Proof.NONE)
        )
    )


def test_sent_revoke_never_has_unsent_outcome() -> None:
    unsent = {Outcome.EXPIRED, Outcome.MALFORMED, Outcome.NOT_ATTEMPTED}
    assert always(lambda case: case.outcome not in unsent)


def _failed(case: Case) -> bool:
    return case.outcome.failed


# Examples


EXAMPLES = {
    "normal case": (Evidence(ACCEPTED, SUCCEEDED, REFUSED, True), Outcome.REVOKED, True),
    "lost answer": (Evidence(ACCEPTED, UNKNOWN, REFUSED, True), Outcome.REVOKED, True),
    "rejected revoke, dead token": (
        Evidence(ACCEPTED, REJECTED, REFUSED, True),
        Outcome.REVOKED,
        True,
    ),
    "dead before": (Evidence(INCONCLUSIVE, REJECTED, REFUSED, True), Outcome.ALREADY_REVOKED, True),
    "wrong account": (Evidence(REFUSED, REJECTED, REFUSED, False), Outcome.REFUSED, False),
    "wrong account, success": (
        Evidence(REFUSED, SUCCEEDED, REFUSED, False),
        Outcome.REVOKED,
        False,
    ),
    "wrong account, lost answer": (
        Evidence(REFUSED, UNKNOWN, REFUSED, False),
        Outcome.UNKNOWN,
        False,
    ),
    "rejected revoke, live token": (
        Evidence(ACCEPTED, REJECTED, ACCEPTED, True),
        Outcome.REFUSED,
        False,
    ),
    "no effect": (Evidence(ACCEPTED, SUCCEEDED, ACCEPTED, True), Outcome.STILL_ACCEPTED, False),
    "lost answer, no effect": (Evidence(ACCEPTED, UNKNOWN, ACCEPTED, True), Outcome.UNKNOWN, False),
    "inconclusive probes": (
        Evidence(INCONCLUSIVE, SUCCEEDED, INCONCLUSIVE, True),
        Outcome.REVOKED,
        False,
    ),
    "not probed": (Evidence(ACCEPTED, SUCCEEDED, OMITTED, True), Outcome.REVOKED, False),
    "all inconclusive": (
        Evidence(INCONCLUSIVE, UNKNOWN, INCONCLUSIVE, True),
        Outcome.UNKNOWN,
        False,
    ),
}


@each_row(("seen", "outcome", "verified"), EXAMPLES.values(), ids=EXAMPLES)
def test_example_is_decided(seen: Evidence, outcome: Outcome, verified: bool) -> None:
    assert decide(seen, Proof.ATTEMPT) == (outcome, verified)


def test_host_that_accepts_any_token_proves_nothing() -> None:
    seen = Evidence(ACCEPTED, SUCCEEDED, ACCEPTED, about_token=True, checks_tokens=False)
    assert decide(seen, Proof.ATTEMPT) == (Outcome.REVOKED, False)
    assert decide(seen, Proof.REQUIRED) == (Outcome.UNKNOWN, False)


@each_row("probe", list(Probe))
def test_only_rejection_under_account_of_token_is_proof(probe: Probe) -> None:
    answer = ApiResult(REJECTED, "")
    assert ProbeResult(probe, answer, "", names_account=True).proves_dead is (probe is REFUSED)
    assert not ProbeResult(probe, answer, "", names_account=False).proves_dead


# Outcomes


@each_row(
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
def test_outcome_has_changed_and_failed(outcome: Outcome, changed: bool, failed: bool) -> None:
    assert (outcome.changed, outcome.failed) == (changed, failed)


def test_every_failed_outcome_has_severity() -> None:
    assert len(Outcome) == 8
    assert sorted(WORST_FIRST) == sorted(outcome for outcome in Outcome if outcome.failed)


# Early abort


def refusals(*answers: tuple[int, str]) -> list[Result]:
    """Return results of refused revokes."""
    return [
        Result(read(SEED), Outcome.REFUSED, "", status=status, code=code)
        for status, code in answers
    ]


def test_enough_equal_refusals_at_start_are_detected() -> None:
    assert same_refusal(refusals(*[(403, "403")] * ABORT_AFTER), ABORT_AFTER)
    assert same_refusal(refusals(*[(403, "403")] * ABORT_AFTER, (404, "404")), ABORT_AFTER)
    assert not same_refusal(refusals(*[(403, "403")] * ABORT_AFTER), 0)


@each_row(
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
def test_fewer_or_different_refusals_are_not_detected(results: list[Result]) -> None:
    assert not same_refusal(results, ABORT_AFTER)
