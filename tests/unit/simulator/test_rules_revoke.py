# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of revoking: what it does, and each way in which it may not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator import rules
from tests.simulator import settings as known
from tests.unit.simulator.rules_client import Rules

SUCCESS = {"code": "00", "description": "Token revoked successfully"}
DEAD = [
    ("success", 200),
    ("bad_request", 400),
    ("unauthorized", 401),
    ("not_found", 404),
    ("server_error", 500),
]


def test_a_revoked_token_is_refused_at_once(api: Rules) -> None:
    token = api.token()

    assert api.balance(token).status == 200
    assert api.revoke(token).body == SUCCESS
    assert api.balance(token).status == 401


def test_the_account_header_and_a_bearer_are_tolerated(api: Rules) -> None:
    token = api.token()
    body = {"clientId": known.DEFAULT_CLIENT_ID, "access_token": token}
    reply = api.post(rules.REVOKE, body, authorization=f"Bearer {token}")

    assert reply.body == SUCCESS


def test_a_malformed_bearer_is_a_bad_request(api: Rules) -> None:
    body = {"clientId": known.DEFAULT_CLIENT_ID, "access_token": api.token()}

    assert api.post(rules.REVOKE, body, authorization="Bearer x").status == 400


@pytest.mark.parametrize(
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
def test_any_other_body_is_a_bad_request(api: Rules, body: dict[str, Any] | None) -> None:
    assert api.post(rules.REVOKE, body).status == 400


def test_an_unknown_client_is_not_found(api: Rules) -> None:
    token = api.token()

    assert api.revoke(token, client_id="nobody").status == 404
    assert api.balance(token).status == 200


def test_the_account_may_be_demanded(api: Rules) -> None:
    api.set(revoke_needs_account_id=True)

    assert api.revoke(api.token()).status == 400


@pytest.mark.parametrize(("setting", "status"), DEAD)
def test_revoking_twice_answers_as_set(api: Rules, setting: str, status: int) -> None:
    api.set(revoke_dead=setting)
    token = api.token()

    assert [api.revoke(token).status, api.revoke(token).status] == [200, status]


@pytest.mark.parametrize(("setting", "status"), DEAD)
def test_revoking_an_expired_token_answers_as_set(api: Rules, setting: str, status: int) -> None:
    api.set(revoke_dead=setting)

    assert api.revoke(api.mint(age=7200)).status == status


@pytest.mark.parametrize(("setting", "status"), DEAD)
def test_revoking_what_was_never_issued_answers_as_set(
    api: Rules, setting: str, status: int
) -> None:
    api.set(revoke_dead=setting)

    assert api.revoke(api.mint(known=False)).status == status
    assert api.revoke("rubbish").status == status


def test_a_token_of_another_client_is_refused(api: Rules) -> None:
    token = api.token()

    assert api.revoke(token, known.SECOND_CLIENT_ID).status == 403
    assert api.balance(token).status == 200


def test_a_token_of_another_client_may_be_ignored_with_a_success(api: Rules) -> None:
    api.set(revoke_foreign_client="ignore")
    token = api.token()

    assert api.revoke(token, known.SECOND_CLIENT_ID).body == SUCCESS
    assert api.balance(token).status == 200


def test_a_revocation_may_be_a_lie(api: Rules) -> None:
    api.set(revoke_effective=False)
    token = api.token()

    assert api.revoke(token).body == SUCCESS
    assert api.balance(token).status == 200


def test_a_revocation_may_take_its_time(api: Rules) -> None:
    api.set(revoke_delay=30)
    token = api.token()
    api.revoke(token)

    assert api.balance(token).status == 200
    api.now += 30
    assert api.balance(token).status == 401


def test_a_revocation_may_take_some_requests(api: Rules) -> None:
    api.set(revoke_delay_requests=2)
    token = api.token()
    api.revoke(token)

    assert [api.balance(token).status for __ in range(4)] == [200, 200, 401, 401]


def test_only_requests_with_that_token_wear_the_delay_off(api: Rules) -> None:
    api.set(revoke_delay_requests=1)
    token, other = api.token(), api.token()
    api.revoke(token)
    api.balance(other)

    assert [api.balance(token).status for __ in range(2)] == [200, 401]


def test_revoking_again_does_not_begin_the_delay_anew(api: Rules) -> None:
    api.set(revoke_delay=30)
    token = api.token()
    api.revoke(token)
    api.now += 20
    api.revoke(token)
    api.now += 10

    assert api.balance(token).status == 401


def test_revoking_again_sooner_wins(api: Rules) -> None:
    api.set(revoke_delay=30)
    token = api.token()
    api.revoke(token)
    api.set(revoke_delay=0)
    api.revoke(token)

    assert api.balance(token).status == 401


def test_the_book_tells_live_dying_revoked_and_expired(api: Rules) -> None:
    api.set(revoke_delay=30)
    live, dying, revoked = (api.api.registry.find_token(api.token()) for __ in range(3))
    expired = api.api.registry.find_token(api.mint(age=7200))
    if live is None or dying is None or revoked is None or expired is None:
        pytest.fail("not in the registry")
    dying.revoke(api.now + 30)
    revoked.revoke(api.now)

    states = [one.state(api.now) for one in (live, dying, revoked, expired)]
    assert states == ["live", "dying", "revoked", "expired"]


def test_a_sandbox_revokes_with_a_stub(api: Rules) -> None:
    api.set(sandbox=True)
    token = api.token()
    reply = api.post(rules.REVOKE, {"anything": "goes"})
    api.set(sandbox=False)

    assert reply.body == SUCCESS
    assert api.balance(token).status == 200
