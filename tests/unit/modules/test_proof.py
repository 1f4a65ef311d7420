# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option proof, hosts that accept any token, and late effects."""

from __future__ import annotations

import pytest

from tests.simulator.tokens import fingerprint
from tests.unit.clock import FastClock

from .harness import ModuleResult, Revoke
from .request_log import ONE_LIVE_TOKEN, controls, operations

pytestmark = pytest.mark.newest

PROOFS = ["required", "attempt", "none"]


def reports_unverified(result: ModuleResult, count: int, tokens: int) -> bool:
    """Return whether message, summary and warnings report the unverified tokens."""
    first = result["msg"].startswith(f"NOT VERIFIED: {count} of {tokens} token(s). ")
    summary = result["summary"]
    counts = (summary["verified"], summary["not_verified"])
    warned = f"{count} token(s) NOT verified" in result.warnings
    return first and warned and counts == (tokens - count, count)


def reports_no_unverified(result: ModuleResult) -> bool:
    """Return whether no token is reported as revoked and not verified."""
    silent = "NOT VERIFIED" not in result["msg"] and "NOT verified" not in result.warnings
    return silent and result["summary"]["not_verified"] == 0


@pytest.mark.parametrize(
    ("proof", "probes"), [("required", 2), ("attempt", 2), ("none", 1)], ids=PROOFS
)
def test_proof_costs_one_request(revoke: Revoke, proof: str, probes: int) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, proof=proof)
    verified = proof != "none"
    assert (result.outcomes, result.row["verified"]) == (["revoked"], verified)
    assert reports_no_unverified(result) if verified else reports_unverified(result, 1, 1)
    assert (result.warnings == "") is verified
    assert len(revoke.simulator.requests("balance", fingerprint(token))) == probes
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN[: probes + 2]
    assert not revoke.simulator.accepts(token)


def test_proof_is_required_by_default(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    mark = fingerprint(token)
    revoke.simulator.fault("balance", "status", status=403, skip=1, times=0, fingerprint=mark)
    result = revoke(token)
    assert (result.outcomes, result.error, result["changed"]) == (["unknown"], "unknown", True)
    assert reports_no_unverified(result)
    assert len(revoke.simulator.writes()) == 1


def test_message_counts_the_unverified_tokens(revoke: Revoke) -> None:
    tokens = revoke.simulator.mint_many(5)
    for token in tokens[:2]:
        mark = fingerprint(token)
        revoke.simulator.fault("balance", "status", status=403, times=0, fingerprint=mark)
    result = revoke(*tokens, proof="attempt")
    assert not result.failed
    assert reports_unverified(result, 2, 5)
    assert result["msg"].endswith("token(s). 5 token(s): 5 revoked.")
    assert revoke.simulator.live() == []


@pytest.mark.parametrize(
    ("proof", "outcome"),
    [("required", "unknown"), ("attempt", "revoked"), ("none", "revoked")],
    ids=PROOFS,
)
def test_host_that_accepts_any_token_proves_nothing(
    revoke: Revoke, proof: str, outcome: str
) -> None:
    revoke.simulator.configure(sandbox=True)
    token = revoke.simulator.mint()
    result = revoke(token, proof=proof)
    assert (result.outcomes, result.row["verified"]) == ([outcome], False)
    assert result.failed is (proof == "required")
    assert result.failed or reports_unverified(result, 1, 1)
    assert "this host accepts any token" in result.row["reason"]
    assert len(controls(revoke.simulator)) == 1
    assert revoke.simulator.accepts(token)


def test_negative_control_is_sent_once_per_run(revoke: Revoke) -> None:
    revoke.simulator.configure(sandbox=True)
    tokens = revoke.simulator.mint_many(6)
    result = revoke(*tokens)
    assert result.outcomes == ["unknown"] * 6
    assert len(controls(revoke.simulator)) == 1
    assert operations(revoke.simulator).count("revoke") == 6


def test_negative_control_without_an_answer_is_repeated(revoke: Revoke) -> None:
    revoke.simulator.configure(sandbox=True)
    first, second = revoke.simulator.mint_many(2)
    revoke.simulator.fault("balance", "status", status=500, skip=1)
    result = revoke(first, second, concurrency=1)
    assert result.outcomes == ["unknown", "unknown"]
    assert [entry.status for entry in controls(revoke.simulator)] == [500, 200]


@pytest.mark.parametrize(
    ("proof", "outcome"),
    [("required", "still_accepted"), ("attempt", "still_accepted"), ("none", "revoked")],
    ids=PROOFS,
)
def test_probe_detects_a_revoke_without_effect(revoke: Revoke, proof: str, outcome: str) -> None:
    revoke.simulator.configure(revoke_effective=False)
    token = revoke.simulator.mint()
    result = revoke(token, proof=proof)
    assert (result.outcomes, result.row["verified"]) == ([outcome], False)
    assert result["changed"] is True
    assert result.failed is (proof != "none")
    assert result.failed or reports_unverified(result, 1, 1)
    assert revoke.simulator.accepts(token)
    assert operations(revoke.simulator).count("revoke") == 1


def test_token_that_stays_alive_has_its_own_error_code(revoke: Revoke) -> None:
    revoke.simulator.configure(revoke_effective=False)
    token = revoke.simulator.mint()
    result = revoke(token)
    assert result.error == "still_accepted"
    assert f"{fingerprint(token)} is still_accepted: HTTP 200, code 00" in result["msg"]
    assert "valid before, valid after" in result["msg"]
    assert sum(revoke.clock.slept) == pytest.approx(15, abs=1)
    assert revoke.simulator.accepts(token)


@pytest.mark.parametrize("accepted", [1, 3, 5])
def test_late_effect_of_a_revoke_is_awaited(
    revoke: Revoke, clock: FastClock, accepted: int
) -> None:
    revoke.simulator.configure(revoke_delay_requests=accepted)
    token = revoke.simulator.mint()
    result = revoke(token)
    assert result.outcomes == ["revoked"]
    assert result.row["verified"] is True
    assert len(clock.slept) == accepted
    probes = revoke.simulator.requests("balance", fingerprint(token))
    assert [probe.status for probe in probes] == [200] * (1 + accepted) + [401]
    assert len(revoke.simulator.writes()) == 1


def test_proof_after_the_deadline_is_not_awaited(revoke: Revoke) -> None:
    revoke.simulator.configure(revoke_delay_requests=50)
    token = revoke.simulator.mint()
    result = revoke(token, deadline=5)
    assert result.outcomes == ["still_accepted"]
    assert sum(revoke.clock.slept) <= 5
    assert len(revoke.simulator.writes()) == 1


@pytest.mark.parametrize(
    ("proof", "outcome"),
    [("required", "unknown"), ("attempt", "revoked"), ("none", "revoked")],
    ids=PROOFS,
)
def test_inconclusive_probe_is_no_proof(revoke: Revoke, proof: str, outcome: str) -> None:
    revoke.simulator.fault("balance", "status", status=403, times=0)
    token = revoke.simulator.mint()
    result = revoke(token, proof=proof)
    assert (result.outcomes, result.row["verified"]) == ([outcome], False)
    assert result.failed is (proof == "required")
    assert result.failed or reports_unverified(result, 1, 1)
    assert len(revoke.simulator.writes()) == 1
    assert not revoke.simulator.accepts(token)


def test_inconclusive_probe_keeps_the_result_of_an_earlier_one(revoke: Revoke) -> None:
    revoke.simulator.configure(revoke_effective=False)
    token = revoke.simulator.mint()
    hold = {"fingerprint": fingerprint(token), "skip": 2, "times": 0}
    revoke.simulator.fault("balance", "status", status=403, **hold)
    result = revoke(token)
    assert result.outcomes == ["still_accepted"]
    assert len(revoke.simulator.writes()) == 1


@pytest.mark.parametrize("proof", PROOFS)
def test_probe_decides_after_a_lost_answer_for_every_proof(revoke: Revoke, proof: str) -> None:
    revoke.simulator.fault("revoke", "lost_answer", times=0)
    token = revoke.simulator.mint()
    result = revoke(token, proof=proof)
    assert result.outcomes == ["revoked"]
    assert result.row["verified"] is True
    assert revoke.simulator.requests("balance")[-1].status == 401
    assert not revoke.simulator.accepts(token)
