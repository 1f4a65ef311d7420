# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the issue endpoint: grants, and the message of each rejection."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import jwt

from tests.simulator import settings as known
from tests.simulator.rules import Reply
from tests.unit.simulator.rules_client import GRANT, Rules, data
from tests.unit.tables import each_row


def result(reply: Reply) -> tuple[int, object]:
    """Check that the code equals the status; return status and description."""
    assert reply.body["code"] == str(reply.status)
    return reply.status, reply.body["description"]


def test_valid_secret_returns_token_pair(api: Rules) -> None:
    reply = api.issue()

    assert (reply.status, reply.body["code"]) == (200, "00")
    assert set(data(reply)) == {"businessId", "access_token", "refresh_token", "expiresAt"}
    assert api.balance(data(reply)["access_token"]).status == 200


def test_expiry_is_in_utc_with_milliseconds(api: Rules) -> None:
    expires_at = data(api.issue())["expiresAt"]

    assert expires_at.endswith(".250Z")
    assert datetime.fromisoformat(expires_at.replace("Z", "+00:00")).timestamp() == api.now + 3600


def test_lifetime_is_configurable(api: Rules) -> None:
    api.set(token_lifetime=10800)
    claims = jwt.decode(api.token(), options={"verify_signature": False})

    assert claims["exp"] - claims["iat"] == 10800


def test_business_id_is_account_by_default(api: Rules) -> None:
    assert data(api.issue())["businessId"] == known.DEFAULT_ACCOUNT_ID

    api.set(business_id=known.OTHER_ACCOUNT_ID)

    assert data(api.issue())["businessId"] == known.OTHER_ACCOUNT_ID


@each_row("account_id", [None, ""])
def test_missing_account_returns_observed_message(api: Rules, account_id: str | None) -> None:
    assert result(api.issue(account_id=account_id)) == (400, "AccountId not passed in header.")


@each_row("header", ["Bearer malformed", "Basic dTpw", "Bearer a.b.c.d", ""])
def test_malformed_authorization_returns_400(api: Rules, header: str) -> None:
    expected = (400, "JWT strings must contain exactly 2 period characters")

    assert result(api.issue(authorization=header)) == expected


def test_well_formed_authorization_is_ignored(api: Rules) -> None:
    assert api.issue(authorization="Bearer a.b.c").status == 200


def test_unknown_client_returns_404(api: Rules) -> None:
    expected = (404, "Client record not found or client has been suspended")

    assert result(api.issue({**GRANT, "client_id": "unknown"})) == expected


def test_suspended_client_returns_404(api: Rules) -> None:
    client = known.ApiClient(known.DEFAULT_CLIENT_ID, "x", known.DEFAULT_ACCOUNT_ID, True)
    api.api.settings = api.api.settings.with_client(client)

    assert result(api.issue())[0] == 404


def test_wrong_secret_returns_403(api: Rules) -> None:
    secret = known.DEFAULT_CLIENT_SECRET + "="

    assert result(api.issue({**GRANT, "client_secret": secret})) == (403, "Forbidden error")


def test_another_account_returns_403(api: Rules) -> None:
    assert result(api.issue(account_id=known.OTHER_ACCOUNT_ID)) == (403, "Forbidden error")


@each_row(
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
def test_any_other_body_returns_400(api: Rules, body: dict[str, Any]) -> None:
    assert result(api.issue(body))[0] == 400


def test_second_issue_keeps_first_token_valid(api: Rules) -> None:
    first, __ = api.token(), api.token()

    assert api.balance(first).status == 200


def test_single_session_ends_with_next_issue(api: Rules) -> None:
    api.set(sessions="single")
    first, second = api.issue(), api.token()

    assert api.balance(data(first)["access_token"]).status == 401
    assert api.refresh(data(first)["refresh_token"]).status == 401
    assert api.balance(second).status == 200


def test_single_session_is_per_client(api: Rules) -> None:
    api.set(sessions="single")
    first = api.token()
    other = {"client_id": known.SECOND_CLIENT_ID, "client_secret": known.SECOND_CLIENT_SECRET}

    assert api.issue({**GRANT, **other}).status == 200
    assert api.balance(first).status == 200


def test_single_session_can_be_per_account(api: Rules) -> None:
    api.set(sessions="single", session_scope="account")
    first = data(api.issue())
    other = {"client_id": known.SECOND_CLIENT_ID, "client_secret": known.SECOND_CLIENT_SECRET}
    second = data(api.issue({**GRANT, **other}))

    assert api.balance(first["access_token"]).status == 401
    assert api.refresh(first["refresh_token"]).status == 401
    assert api.balance(second["access_token"]).status == 200


def test_tokens_of_same_second_differ(api: Rules) -> None:
    assert api.token() != api.token()


def test_tokens_of_same_second_can_be_equal(api: Rules) -> None:
    api.set(distinct_tokens=False)
    first = api.token()

    assert api.token() == first
    api.now += 1
    assert api.token() != first


def test_single_session_survives_issue_of_equal_token(api: Rules) -> None:
    api.set(distinct_tokens=False, sessions="single")
    first, second = api.token(), api.token()

    assert first == second
    assert api.balance(second).status == 200
