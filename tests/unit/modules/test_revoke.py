# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nomba_token_revoke against the simulator: results and requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.settings import (
    DEFAULT_ACCOUNT_ID,
    OTHER_ACCOUNT_ID,
    SECOND_CLIENT_ID,
)
from tests.simulator.tokens import fingerprint
from tests.unit.clock import FastClock

from .harness import Revoke
from .request_log import ONE_DEAD_TOKEN, ONE_LIVE_TOKEN, controls, operations

FORMS: dict[str, Callable[[str], str]] = {
    "the same": lambda token: token,
    "Bearer": lambda token: f"Bearer {token}",
    "lower-case bearer": lambda token: f"bearer\t{token}",
    "spaces": lambda token: f"  {token} ",
    "line end": lambda token: f"{token}\r\n",
    "all of it": lambda token: f"\n Bearer   {token}\n",
}


def test_live_token_is_revoked_and_verified(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    result = revoke(token)
    assert result.outcomes == ["revoked"]
    assert result.row["verified"] is True
    assert result["changed"] is True
    assert result.warnings == ""
    assert not revoke.simulator.accepts(token)
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN
    own = operations(revoke.simulator, fingerprint(token))
    assert own == ["balance", "revoke", "balance"]


def test_revoke_names_client_and_token_and_carries_no_authorization(revoke: Revoke) -> None:
    result = revoke(revoke.simulator.mint())
    (post,) = revoke.simulator.requests("revoke")
    assert not result.failed
    assert post.path == "/v1/auth/token/revoke"
    assert post.body_fields == ("access_token", "clientId")
    assert (post.client_id, post.account_id) == (
        revoke.simulator.client_id,
        revoke.simulator.account_id,
    )
    assert not post.authorization


def test_row_holds_the_reason(revoke: Revoke) -> None:
    made = revoke.simulator.mint_pair(claims={"exp": 1999999999})
    result = revoke(made["access_token"])
    assert result.row == {
        "fingerprint": made["fingerprint"],
        "outcome": "revoked",
        "verified": True,
        "reason": result.row["reason"],
        "expires_at": "2033-05-18T03:33:19Z",
        "attempts": 1,
        "http_status": 200,
        "code": "00",
        "evidence": result.row["evidence"],
        "found_in": [],
    }
    seen = [(one["step"], one["result"], one["http_status"]) for one in result.row["evidence"]]
    assert seen == [
        ("probe_before", "accepted", 200),
        ("revoke", "succeeded", 200),
        ("probe_after", "refused", 401),
    ]
    assert all(one["time"].endswith("Z") for one in result.row["evidence"])
    assert result.row["reason"].startswith("HTTP 200, code 00")
    assert result.row["reason"].endswith("; valid before, rejected after")


def test_message_counts_the_outcomes(revoke: Revoke) -> None:
    tokens = revoke.simulator.mint_many(2)
    expired = revoke.simulator.mint(age=7200, lifetime=3600)
    result = revoke(*tokens, expired)
    assert result["msg"] == "3 token(s): 2 revoked, 1 expired."
    assert len(revoke.simulator.writes()) == 2


def test_expired_token_is_skipped_and_nothing_is_sent(revoke: Revoke) -> None:
    result = revoke(revoke.simulator.mint(age=7200, lifetime=3600))
    assert result.outcomes == ["expired"]
    assert (result["changed"], result.failed) == (False, False)
    assert result.row["verified"] is False
    assert result.row["attempts"] == 0
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize(
    ("past", "outcome"), [(290, "revoked"), (301, "expired")], ids=["within", "beyond"]
)
def test_leeway_prevents_a_skip(revoke: Revoke, past: int, outcome: str) -> None:
    now = revoke.clock.as_clock().now()
    token = revoke.simulator.mint(claims={"exp": int(now) - past})
    result = revoke(token)
    assert result.outcomes == [outcome]
    assert revoke.simulator.accepts(token) is (outcome == "expired")


def test_expired_token_can_be_revoked(revoke: Revoke) -> None:
    looks_dead = revoke.simulator.mint(claims={"exp": 1600000000})
    is_dead = revoke.simulator.mint(age=7200, lifetime=3600)
    result = revoke(looks_dead, is_dead, expired="revoke")
    assert result.outcomes == ["revoked", "already_revoked"]
    assert not revoke.simulator.accepts(looks_dead)
    assert [post.fingerprint for post in revoke.simulator.writes()] == [fingerprint(looks_dead)]


def test_undated_token_is_revoked(revoke: Revoke) -> None:
    token = revoke.simulator.mint(claims={"exp": None})
    result = revoke(token)
    assert result.outcomes == ["revoked"]
    assert result.row["expires_at"] is None
    assert not revoke.simulator.accepts(token)
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN


def test_revoking_twice_changes_nothing(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    revoke(token)
    revoke.simulator.forget_requests()
    result = revoke(token)
    assert result.outcomes == ["already_revoked"]
    assert result.row["verified"] is True
    assert (result["changed"], result.failed) == (False, False)
    assert operations(revoke.simulator) == ONE_DEAD_TOKEN


def test_duplicate_in_any_form_is_revoked_once(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    forms = [form(token) for form in FORMS.values()]
    result = revoke(*forms, access_token=forms[-1])
    assert result.outcomes == ["revoked"]
    assert result.row["fingerprint"] == fingerprint(token)
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN
    assert not revoke.simulator.accepts(token)


def test_token_is_revoked_in_any_form(revoke: Revoke) -> None:
    tokens = revoke.simulator.mint_many(len(FORMS))
    forms = [form(token) for form, token in zip(FORMS.values(), tokens)]
    result = revoke(*forms[:-1], access_token=forms[-1])
    assert result.outcomes == ["revoked"] * len(FORMS)
    assert revoke.simulator.live() == []
    assert not any(token in result.output for token in tokens)


def test_rows_are_in_the_given_order(revoke: Revoke) -> None:
    live = revoke.simulator.mint_many(8)
    expired = revoke.simulator.mint(age=7200, lifetime=3600)
    revoke.simulator.fault("balance", "slow", delay=0.1, fingerprint=fingerprint(live[0]))
    given = [*live[:4], "no-token", expired, *live[4:]]
    result = revoke(*given, access_token=live[7], concurrency=8)
    assert [row["fingerprint"] for row in result["results"]] == [
        fingerprint(token) for token in [live[7], *given[:-1]]
    ]
    assert revoke.simulator.live() == []


def test_invalid_token_does_not_affect_the_others(revoke: Revoke) -> None:
    other = revoke.simulator.mint(client_id=SECOND_CLIENT_ID)
    live = revoke.simulator.mint_many(2)
    result = revoke(live[0], other, "no-token", live[1])
    assert result.outcomes == ["revoked", "refused", "malformed", "revoked"]
    assert (result.failed, result["changed"]) == (True, True)
    assert result.error == "refused"
    assert revoke.simulator.live() == [fingerprint(other)]


def test_each_of_fifty_tokens_has_its_own_outcome(revoke: Revoke) -> None:
    live = revoke.simulator.mint_many(30)
    expired = revoke.simulator.mint_many(8, age=7200, lifetime=3600)
    dead = revoke.simulator.mint_many(8, known=False)
    result = revoke(*live, *expired, *dead, *(f"no token {n}" for n in range(4)), concurrency=8)
    wanted = {"revoked": 30, "expired": 8, "already_revoked": 8, "malformed": 4}
    assert Counter(result.outcomes) == wanted
    assert result["summary"]["tokens"] == 50
    assert {k: n for k, n in result["summary"]["outcomes"].items() if n} == wanted
    probes = 2 * len(live) + 2 * len(dead) + 1  # the last is the negative control
    assert Counter(operations(revoke.simulator)) == {"balance": probes, "revoke": 30}


def test_concurrency_bounds_the_number_of_workers(revoke: Revoke) -> None:
    tokens = revoke.simulator.mint_many(12)
    result = revoke(*tokens, concurrency=3)
    assert set(result.outcomes) == {"revoked"}
    assert len({post.connection for post in revoke.simulator.requests("revoke")}) <= 3


def test_token_of_another_client_is_rejected(revoke: Revoke) -> None:
    token = revoke.simulator.mint(client_id=SECOND_CLIENT_ID)
    result = revoke(token)
    assert result.outcomes == ["refused"]
    assert (result.error, result["changed"]) == ("refused", False)
    assert result.row["http_status"] == 403
    assert "client_id or account_id of another account" in result["msg"]
    assert revoke.simulator.accepts(token)
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN


def test_ignored_revoke_for_another_client_is_detected(revoke: Revoke) -> None:
    revoke.simulator.configure(revoke_foreign_client="ignore")
    token = revoke.simulator.mint(client_id=SECOND_CLIENT_ID)
    result = revoke(token)
    assert result.outcomes == ["still_accepted"]
    assert (result.error, result["changed"]) == ("still_accepted", True)
    assert revoke.simulator.accepts(token)
    assert operations(revoke.simulator).count("revoke") == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("success", "unknown"),
        ("bad_request", "refused"),
        ("unauthorized", "refused"),
        ("not_found", "refused"),
        ("server_error", "unknown"),
    ],
)
def test_dead_token_that_names_no_account_is_revoked_and_not_verified(
    revoke: Revoke, answer: str, outcome: str
) -> None:
    revoke.simulator.configure(revoke_dead=answer)
    claims = {f"G:{revoke.simulator.account_id}": None}
    result = revoke(revoke.simulator.mint(known=False, claims=claims))
    assert (result.outcomes, result.row["verified"]) == ([outcome], False)
    assert result.failed
    assert operations(revoke.simulator).count("revoke") == 1


@pytest.mark.parametrize("account", [DEFAULT_ACCOUNT_ID, OTHER_ACCOUNT_ID], ids=["ours", "another"])
def test_dead_token_that_names_an_account_is_already_revoked(revoke: Revoke, account: str) -> None:
    claims = {f"G:{revoke.simulator.account_id}": None, f"G:{account}": f"G:{account}"}
    result = revoke(revoke.simulator.mint(known=False, claims=claims))
    assert (result.outcomes, result.row["verified"]) == (["already_revoked"], True)
    assert (result["changed"], result.failed) == (False, False)
    # The probe for evidence uses the account of the token, and another connection.
    evidence = revoke.simulator.requests("balance")[-1]
    assert evidence.account_id == account
    assert "connection" in evidence.header_names
    assert revoke.simulator.writes() == []


def test_token_of_another_account_is_verified_with_its_own_account(revoke: Revoke) -> None:
    token, account = revoke.simulator.mint(), revoke.simulator.account_id
    result = revoke(token, account_id=OTHER_ACCOUNT_ID)
    assert (result.outcomes, result.row["verified"]) == (["revoked"], True)
    assert not revoke.simulator.accepts(token)
    assert len(revoke.simulator.writes()) == 1
    shown = f"Some tokens name the account {account}, but account_id is {OTHER_ACCOUNT_ID}."
    assert shown in result.warnings
    own = revoke.simulator.requests(fingerprint=fingerprint(token))
    asked = [(entry.operation, entry.account_id) for entry in own]
    assert asked == [
        ("balance", OTHER_ACCOUNT_ID),
        ("balance", account),
        ("revoke", OTHER_ACCOUNT_ID),
        ("balance", account),
    ]


@pytest.mark.parametrize("option", ["account_id", "client_id"])
def test_id_in_capitals_is_the_same_id(revoke: Revoke, option: str) -> None:
    token = revoke.simulator.mint()
    capitals: Any = getattr(revoke.simulator, option).upper()
    result = revoke(token, **{option: capitals})
    assert result.outcomes == ["revoked"]
    assert result.row["verified"] is True
    assert not revoke.simulator.accepts(token)
    assert len(revoke.simulator.writes()) == 1


def test_token_that_a_newer_session_ended_is_already_revoked(revoke: Revoke) -> None:
    revoke.simulator.configure(sessions="single")
    older, newer = (revoke.simulator.issue()["access_token"] for __ in range(2))
    revoke.simulator.forget_requests()
    result = revoke(older, newer, concurrency=1)
    assert result.outcomes == ["already_revoked", "revoked"]
    assert revoke.simulator.live() == []
    assert [post.fingerprint for post in revoke.simulator.writes()] == [fingerprint(newer)]


def test_evidence_uses_separate_connections(revoke: Revoke) -> None:
    tokens = revoke.simulator.mint_many(3)
    result = revoke(*tokens, concurrency=1)
    assert result.outcomes == ["revoked"] * 3
    entries = revoke.simulator.requests()
    shared = [entry for entry in entries if "connection" not in entry.header_names]
    exclusive = [entry for entry in entries if "connection" in entry.header_names]
    assert [entry.operation for entry in shared] == ["balance", "revoke"] * 3
    assert len({entry.connection for entry in shared}) == 1
    # The negative control, and for each token the probe that verifies it.
    assert [entry.status for entry in exclusive] == [401] * 4
    assert controls(revoke.simulator) == exclusive[:1]
    assert len({entry.connection for entry in entries}) == 1 + len(exclusive)


def test_plain_http_is_accepted_on_this_host(revoke: Revoke, clock: FastClock) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, api_url=revoke.simulator.http_url)
    assert result.outcomes == ["revoked"]
    assert not revoke.simulator.accepts(token)
    assert clock.slept == []


def test_certificate_check_can_be_disabled(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, ca_path=None, validate_certs=False)
    assert result.outcomes == ["revoked"]
    assert not revoke.simulator.accepts(token)
