# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the revoke endpoint: its effect, and settings that change it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator import rules
from tests.simulator import settings as known
from tests.unit.simulator.rules_client import Rules
from tests.unit.tables import each_row

SUCCESS = {"code": "00", "description": "Token revoked successfully"}
STATUSES = [
    ("success", 200),
    ("bad_request", 400),
    ("unauthorized", 401),
    ("not_found", 404),
    ("server_error", 500),
]


def test_revoked_token_is_rejected_at_once(api: Rules) -> None:
    token = api.token()

    assert api.balance(token).status == 200
    assert api.revoke(token).body == SUCCESS
    assert api.balance(token).status == 401


def test_account_header_and_bearer_are_accepted(api: Rules) -> None:
    token = api.token()
    body = {"clientId": known.DEFAULT_CLIENT_ID, "access_token": token}
    reply = api.post(rules.REVOKE, body, authorization=f"Bearer {token}")

    assert reply.body == SUCCESS


def test_malformed_bearer_returns_400(api: Rules) -> None:
    body = {"clientId": known.DEFAULT_CLIENT_ID, "access_token": api.token()}

    assert api.post(rules.REVOKE, body, authorization="Bearer x").status == 400


@each_row(
    "body",
    [
        None,
        {"client_id": known.DEFAULT_CLIENT_ID, "access_token": "a.b.c"},
        {"clientId": known.DEFAULT_CLIENT_ID},
        {"clientId": known.DEFAULT_CLIENT_ID, "access_token": ""},
        {"clientId": known.DEFAULT_CLIENT_ID, "access_token": ["a.b.c"]},
        {"clientId": known.DEFAULT_CLIENT_ID, "access_token": "a.b.c", "account_id": "x"},
        {"clientId": known.DEFAULT_CLIENT_ID, "accessToken": "a.b.c"},
    ],
)
def test_any_other_body_returns_400(api: Rules, body: dict[str, Any] | None) -> None:
    assert api.post(rules.REVOKE, body).status == 400


def test_unknown_client_returns_404(api: Rules) -> None:
    token = api.token()

    assert api.revoke(token, client_id="unknown").status == 404
    assert api.balance(token).status == 200


def test_account_can_be_required(api: Rules) -> None:
    api.set(revoke_needs_account_id=True)

    assert api.revoke(api.token()).status == 400


@each_row(("setting", "status"), STATUSES)
def test_second_revoke_returns_configured_status(api: Rules, setting: str, status: int) -> None:
    api.set(revoke_dead=setting)
    token = api.token()

    assert [api.revoke(token).status, api.revoke(token).status] == [200, status]


@each_row(("setting", "status"), STATUSES)
def test_revoke_of_expired_token_returns_configured_status(
    api: Rules, setting: str, status: int
) -> None:
    api.set(revoke_dead=setting)

    assert api.revoke(api.mint(age=7200)).status == status


@each_row(("setting", "status"), STATUSES)
def test_revoke_of_unissued_token_returns_configured_status(
    api: Rules, setting: str, status: int
) -> None:
    api.set(revoke_dead=setting)

    assert api.revoke(api.mint(known=False)).status == status
    assert api.revoke("malformed").status == status


def test_token_of_another_client_returns_403(api: Rules) -> None:
    token = api.token()

    assert api.revoke(token, known.SECOND_CLIENT_ID).status == 403
    assert api.balance(token).status == 200


def test_token_of_another_client_can_be_ignored_with_success(api: Rules) -> None:
    api.set(revoke_foreign_client="ignore")
    token = api.token()

    assert api.revoke(token, known.SECOND_CLIENT_ID).body == SUCCESS
    assert api.balance(token).status == 200


def test_revoke_can_have_no_effect(api: Rules) -> None:
    api.set(revoke_effective=False)
    token = api.token()

    assert api.revoke(token).body == SUCCESS
    assert api.balance(token).status == 200


def test_revoke_can_take_effect_after_delay(api: Rules) -> None:
    api.set(revoke_delay=30)
    token = api.token()
    api.revoke(token)

    assert api.balance(token).status == 200
    api.now += 30
    assert api.balance(token).status == 401


def test_revoke_can_take_effect_after_requests(api: Rules) -> None:
    api.set(revoke_delay_requests=2)
    token = api.token()
    api.revoke(token)

    assert [api.balance(token).status for __ in range(4)] == [200, 200, 401, 401]


def test_only_requests_with_same_token_count_towards_delay(api: Rules) -> None:
    api.set(revoke_delay_requests=1)
    token, other = api.token(), api.token()
    api.revoke(token)
    api.balance(other)

    assert [api.balance(token).status for __ in range(2)] == [200, 401]


def test_second_revoke_does_not_restart_delay(api: Rules) -> None:
    api.set(revoke_delay=30)
    token = api.token()
    api.revoke(token)
    api.now += 20
    api.revoke(token)
    api.now += 10

    assert api.balance(token).status == 401


def test_earlier_effect_of_second_revoke_applies(api: Rules) -> None:
    api.set(revoke_delay=30)
    token = api.token()
    api.revoke(token)
    api.set(revoke_delay=0)
    api.revoke(token)

    assert api.balance(token).status == 401


def test_registry_distinguishes_all_states(api: Rules) -> None:
    api.set(revoke_delay=30)
    live, dying, revoked = (api.api.registry.find_token(api.token()) for __ in range(3))
    expired = api.api.registry.find_token(api.mint(age=7200))
    if live is None or dying is None or revoked is None or expired is None:
        pytest.fail("not in the registry")
    dying.revoke(api.now + 30)
    revoked.revoke(api.now)

    states = [one.state(api.now) for one in (live, dying, revoked, expired)]
    assert states == ["live", "dying", "revoked", "expired"]


def test_sandbox_returns_success_without_effect(api: Rules) -> None:
    api.set(sandbox=True)
    token = api.token()
    reply = api.post(rules.REVOKE, {"anything": "goes"})
    api.set(sandbox=False)

    assert reply.body == SUCCESS
    assert api.balance(token).status == 200
