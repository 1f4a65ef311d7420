# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much the API's word is worth: the option proof, hosts that check nothing, late effects."""

from __future__ import annotations

import pytest

from tests.simulator.tokens import fingerprint
from tests.unit.clock import FastClock

from .harness import Revoke
from .seeing import operations

PROOFS = ["required", "attempt", "none"]
WORD_ONLY = "revoked by the API's word only"


@pytest.mark.parametrize(
    ("proof", "probes"), [("required", 2), ("attempt", 2), ("none", 1)], ids=PROOFS
)
def test_the_proof_costs_one_request(revoke: Revoke, proof: str, probes: int) -> None:
    token = revoke.simulator.mint()
    told = revoke(token, proof=proof)
    assert told.outcomes == ["revoked"]
    assert told.row["verified"] is (proof != "none")
    assert told.warnings == ""
    assert operations(revoke.simulator).count("balance") == probes
    assert not revoke.simulator.accepts(token)


@pytest.mark.parametrize(
    ("proof", "outcome", "controls"),
    [("required", "unknown", 1), ("attempt", "revoked", 1), ("none", "revoked", 0)],
    ids=PROOFS,
)
def test_a_host_that_takes_any_token_proves_nothing(
    revoke: Revoke, proof: str, outcome: str, controls: int
) -> None:
    revoke.simulator.configure(sandbox=True)
    token = revoke.simulator.mint()
    told = revoke(token, proof=proof)
    assert (told.outcomes, told.row["verified"]) == ([outcome], False)
    assert (WORD_ONLY in told.warnings) is (proof == "attempt")
    assert ("this host accepts any token" in told.row["reason"]) is (proof != "none")
    asked = [e for e in revoke.simulator.requests("balance") if e.fingerprint != fingerprint(token)]
    assert len(asked) == controls


def test_the_negative_control_is_asked_once_a_run(revoke: Revoke) -> None:
    revoke.simulator.configure(sandbox=True)
    tokens = revoke.simulator.mint_many(6)
    told = revoke(*tokens)
    known = {fingerprint(token) for token in tokens}
    assert told.outcomes == ["revoked"] * 6
    assert [e.fingerprint in known for e in revoke.simulator.requests()].count(False) == 1
    assert operations(revoke.simulator).count("revoke") == 6


@pytest.mark.parametrize(
    ("proof", "outcome"),
    [("required", "still_accepted"), ("attempt", "still_accepted"), ("none", "revoked")],
    ids=PROOFS,
)
def test_a_revoke_without_effect_is_noticed_by_whoever_looks(
    revoke: Revoke, proof: str, outcome: str
) -> None:
    revoke.simulator.configure(revoke_effective=False)
    token = revoke.simulator.mint()
    told = revoke(token, proof=proof)
    assert (told.outcomes, told.row["verified"]) == ([outcome], False)
    assert told["changed"] is True
    assert told.failed is (proof != "none")
    assert revoke.simulator.accepts(token)
    assert operations(revoke.simulator).count("revoke") == 1


def test_a_token_that_stays_alive_fails_with_a_code_of_its_own(revoke: Revoke) -> None:
    revoke.simulator.configure(revoke_effective=False)
    token = revoke.simulator.mint()
    told = revoke(token)
    assert told.error == "still_accepted"
    assert f"{fingerprint(token)} is still_accepted: HTTP 200, code 00" in told["msg"]
    assert "after accepted" in told["msg"]
    assert sum(revoke.clock.slept) == pytest.approx(15, abs=1)
    assert revoke.simulator.accepts(token)


@pytest.mark.parametrize("accepted", [1, 3, 5])
def test_a_revoke_that_takes_effect_late_is_waited_for(
    revoke: Revoke, clock: FastClock, accepted: int
) -> None:
    revoke.simulator.configure(revoke_delay_requests=accepted)
    token = revoke.simulator.mint()
    told = revoke(token)
    assert told.outcomes == ["revoked"]
    assert told.row["verified"] is True
    assert len(clock.slept) == accepted
    probes = revoke.simulator.requests("balance", fingerprint(token))
    assert [probe.status for probe in probes] == [200] * (1 + accepted) + [401]
    assert len(revoke.simulator.writes()) == 1


def test_a_proof_later_than_the_deadline_is_not_waited_for(revoke: Revoke) -> None:
    revoke.simulator.configure(revoke_delay_requests=50)
    token = revoke.simulator.mint()
    told = revoke(token, deadline=5)
    assert told.outcomes == ["still_accepted"]
    assert sum(revoke.clock.slept) <= 5
    assert len(revoke.simulator.writes()) == 1


@pytest.mark.parametrize(
    ("proof", "outcome"),
    [("required", "unknown"), ("attempt", "revoked"), ("none", "revoked")],
    ids=PROOFS,
)
def test_a_probe_that_says_nothing_is_no_proof(revoke: Revoke, proof: str, outcome: str) -> None:
    revoke.simulator.fault("balance", "status", status=403, times=0)
    token = revoke.simulator.mint()
    told = revoke(token, proof=proof)
    assert (told.outcomes, told.row["verified"]) == ([outcome], False)
    assert (WORD_ONLY in told.warnings) is (proof == "attempt")
    assert len(revoke.simulator.writes()) == 1
    assert not revoke.simulator.accepts(token)


def test_a_probe_that_says_nothing_takes_nothing_back_of_what_was_seen(revoke: Revoke) -> None:
    revoke.simulator.configure(revoke_effective=False)
    token = revoke.simulator.mint()
    hold = {"fingerprint": fingerprint(token), "skip": 2, "times": 0}
    revoke.simulator.fault("balance", "status", status=403, **hold)
    told = revoke(token)
    assert told.outcomes == ["still_accepted"]
    assert len(revoke.simulator.writes()) == 1


@pytest.mark.parametrize("proof", PROOFS)
def test_a_lost_answer_is_looked_for_whatever_the_proof(revoke: Revoke, proof: str) -> None:
    revoke.simulator.fault("revoke", "lost_answer", times=0)
    token = revoke.simulator.mint()
    told = revoke(token, proof=proof)
    assert told.outcomes == ["revoked"]
    assert told.row["verified"] is True
    assert revoke.simulator.requests("balance")[-1].status == 401
    assert not revoke.simulator.accepts(token)
