# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of issuing: who gets a token, and what each refusal says."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import jwt
import pytest

from tests.simulator import settings as known
from tests.simulator.rules import Reply
from tests.unit.simulator.rules_client import GRANT, Rules, data


def result(reply: Reply) -> tuple[int, object]:
    """Status and text, after making sure that the code repeats the status."""
    assert reply.body["code"] == str(reply.status)
    return reply.status, reply.body["description"]


def test_the_right_secret_gets_a_pair_of_tokens(api: Rules) -> None:
    reply = api.issue()

    assert (reply.status, reply.body["code"]) == (200, "00")
    assert set(data(reply)) == {"businessId", "access_token", "refresh_token", "expiresAt"}
    assert api.balance(data(reply)["access_token"]).status == 200


def test_expiry_is_told_in_utc_with_milliseconds(api: Rules) -> None:
    told_at = data(api.issue())["expiresAt"]

    assert told_at.endswith(".250Z")
    assert datetime.fromisoformat(told_at.replace("Z", "+00:00")).timestamp() == api.now + 3600


def test_the_lifetime_is_a_setting(api: Rules) -> None:
    api.set(token_lifetime=10800)
    claims = jwt.decode(api.token(), options={"verify_signature": False})

    assert claims["exp"] - claims["iat"] == 10800


def test_the_business_is_the_account_unless_a_test_says_otherwise(api: Rules) -> None:
    assert data(api.issue())["businessId"] == known.DEFAULT_ACCOUNT_ID

    api.set(business_id=known.OTHER_ACCOUNT_ID)

    assert data(api.issue())["businessId"] == known.OTHER_ACCOUNT_ID


@pytest.mark.parametrize("account_id", [None, ""])
def test_no_account_is_what_was_seen_live(api: Rules, account_id: str | None) -> None:
    assert result(api.issue(account_id=account_id)) == (400, "AccountId not passed in header.")


@pytest.mark.parametrize("header", ["Bearer rubbish", "Basic dTpw", "Bearer a.b.c.d", ""])
def test_a_malformed_authorization_is_parsed_all_the_same(api: Rules, header: str) -> None:
    expected = (400, "JWT strings must contain exactly 2 period characters")

    assert result(api.issue(authorization=header)) == expected


def test_a_well_formed_authorization_does_no_harm(api: Rules) -> None:
    assert api.issue(authorization="Bearer a.b.c").status == 200


def test_an_unknown_client_is_not_found(api: Rules) -> None:
    expected = (404, "Client record not found or client has been suspended")

    assert result(api.issue({**GRANT, "client_id": "nobody"})) == expected


def test_a_suspended_client_is_not_found_either(api: Rules) -> None:
    client = known.ApiClient(known.DEFAULT_CLIENT_ID, "x", known.DEFAULT_ACCOUNT_ID, True)
    api.api.settings = api.api.settings.with_client(client)

    assert result(api.issue())[0] == 404


def test_a_stray_character_in_the_secret_is_forbidden(api: Rules) -> None:
    secret = known.DEFAULT_CLIENT_SECRET + "="

    assert result(api.issue({**GRANT, "client_secret": secret})) == (403, "Forbidden error")


def test_another_account_is_forbidden(api: Rules) -> None:
    assert result(api.issue(account_id=known.OTHER_ACCOUNT_ID)) == (403, "Forbidden error")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**GRANT, "scope": "all"},
        {**GRANT, "grant_type": "refresh_token"},
        {**GRANT, "client_secret": ""},
        {**GRANT, "client_secret": 5},
        {"grant_type": "client_credentials", "clientId": "x", "clientSecret": "y"},
    ],
)
def test_any_other_body_is_a_bad_request(api: Rules, body: dict[str, Any]) -> None:
    assert result(api.issue(body))[0] == 400


def test_a_second_issue_leaves_the_first_token_alive(api: Rules) -> None:
    first, __ = api.token(), api.token()

    assert api.balance(first).status == 200


def test_a_single_session_ends_when_the_next_begins(api: Rules) -> None:
    api.set(sessions="single")
    first, second = api.issue(), api.token()

    assert api.balance(data(first)["access_token"]).status == 401
    assert api.refresh(data(first)["refresh_token"]).status == 401
    assert api.balance(second).status == 200


def test_a_single_session_is_one_for_each_client(api: Rules) -> None:
    api.set(sessions="single")
    first = api.token()
    other = {"client_id": known.SECOND_CLIENT_ID, "client_secret": known.SECOND_CLIENT_SECRET}

    assert api.issue({**GRANT, **other}).status == 200
    assert api.balance(first).status == 200


def test_two_tokens_of_one_second_differ(api: Rules) -> None:
    assert api.token() != api.token()


def test_two_tokens_of_one_second_can_be_made_the_same(api: Rules) -> None:
    api.set(distinct_tokens=False)
    first = api.token()

    assert api.token() == first
    api.now += 1
    assert api.token() != first


def test_a_single_session_does_not_end_itself_where_tokens_are_the_same(api: Rules) -> None:
    api.set(distinct_tokens=False, sessions="single")
    first, second = api.token(), api.token()

    assert first == second
    assert api.balance(second).status == 200
