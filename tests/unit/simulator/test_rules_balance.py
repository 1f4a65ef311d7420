# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the balance endpoint and of unknown paths."""

from __future__ import annotations

import pytest

from tests.simulator import rules
from tests.simulator import settings as known
from tests.simulator.rules import Call
from tests.unit.simulator.rules_client import Rules, data
from tests.unit.tables import each_row

UNAUTHORIZED = {"code": "401", "description": "Unauthorized"}


def test_live_token_returns_balance(api: Rules) -> None:
    reply = api.balance(api.token())

    assert reply.body["code"] == "00"
    assert data(reply)["currency"] == "NGN"


def test_missing_token_returns_401(api: Rules) -> None:
    call = Call("GET", rules.BALANCE, account_id=known.DEFAULT_ACCOUNT_ID)

    assert api.api.respond(call, api.now).body == UNAUTHORIZED


def test_token_without_bearer_scheme_returns_401(api: Rules) -> None:
    call = Call("GET", rules.BALANCE, known.DEFAULT_ACCOUNT_ID, authorization=api.token())

    assert api.api.respond(call, api.now).body == UNAUTHORIZED


def test_well_formed_unissued_token_returns_401(api: Rules) -> None:
    assert api.balance(api.mint(known=False)).body == UNAUTHORIZED
    assert api.balance("e30.e30.e30").body == UNAUTHORIZED


def test_malformed_header_returns_400(api: Rules) -> None:
    reply = api.balance("malformed")

    assert (reply.status, reply.body["description"]) == (400, rules.BAD_JWT)


def test_token_expires_by_simulator_clock(api: Rules) -> None:
    token = api.token()
    api.now += 3599
    before = api.balance(token).status
    api.now += 1

    assert (before, api.balance(token).status) == (200, 401)


@each_row("account_id", [None, known.OTHER_ACCOUNT_ID])
def test_another_account_returns_401(api: Rules, account_id: str | None) -> None:
    assert api.balance(api.token(), account_id).body == UNAUTHORIZED


def test_sub_account_returns_403(api: Rules) -> None:
    assert api.balance(api.token(), known.SUB_ACCOUNT_ID).status == 403


def test_expired_token_returns_401_for_sub_account(api: Rules) -> None:
    assert api.balance(api.mint(age=7200), known.SUB_ACCOUNT_ID).status == 401


def test_fresh_token_can_be_rejected_at_first(api: Rules) -> None:
    api.set(fresh_refusals=2)
    token = api.token()

    assert [api.balance(token).status for __ in range(4)] == [401, 401, 200, 200]


def test_minted_token_is_not_fresh(api: Rules) -> None:
    api.set(fresh_refusals=2)

    assert api.balance(api.mint()).status == 200


def test_sandbox_accepts_any_token(api: Rules) -> None:
    api.set(sandbox=True)

    assert api.balance("malformed", account_id=None).body["code"] == "00"


@pytest.mark.parametrize(("kills", "status"), [(False, 200), (True, 401)])
def test_effect_of_suspension_on_tokens_is_configurable(
    api: Rules, kills: bool, status: int
) -> None:
    token = api.token()
    client = known.ApiClient(known.DEFAULT_CLIENT_ID, "x", known.DEFAULT_ACCOUNT_ID, True)
    api.set(suspension_kills_tokens=kills)
    api.api.settings = api.api.settings.with_client(client)

    assert api.balance(token).status == status


def test_registry_decides_instead_of_claims(api: Rules) -> None:
    undated = api.mint(claims={"exp": None})
    past = api.mint(claims={"exp": 1})

    assert api.balance(undated).status == 200
    assert api.balance(past).status == 200


@each_row(
    ("method", "path", "status"),
    [
        ("POST", "/v1/accounts/made-up", 500),
        ("GET", "/v1/accounts", 500),
        ("POST", "/v1/sub-accounts", 404),
        ("POST", "/v1/auth/issue/revoke", 404),
        ("GET", "/", 404),
        ("GET", rules.REVOKE, 405),
        ("POST", rules.BALANCE, 405),
        ("POST", rules.REVOKE, 415),
    ],
)
def test_other_paths_and_methods_are_rejected(
    api: Rules, method: str, path: str, status: int
) -> None:
    reply = api.api.respond(Call(method, path), api.now)

    assert (reply.status, reply.body["code"]) == (status, str(status))
