# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the refresh endpoint: rotation, and settings for what it revokes."""

from __future__ import annotations

import pytest

from tests.simulator import rules
from tests.simulator import settings as known
from tests.unit.simulator.rules_client import Rules, data


@pytest.fixture
def pair(api: Rules) -> dict[str, str]:
    """Return the tokens of an issue."""
    return data(api.issue())


def test_refresh_returns_new_pair(api: Rules, pair: dict[str, str]) -> None:
    new = data(api.refresh(pair["refresh_token"]))

    assert new["access_token"] != pair["access_token"]
    assert new["refresh_token"] != pair["refresh_token"]
    assert api.balance(new["access_token"]).status == 200


def test_refresh_token_works_once(api: Rules, pair: dict[str, str]) -> None:
    api.refresh(pair["refresh_token"])

    assert api.refresh(pair["refresh_token"]).status == 401


def test_unknown_refresh_token_returns_401(api: Rules) -> None:
    assert api.refresh("x" * 39).status == 401


def test_refresh_keeps_old_access_token_valid(api: Rules, pair: dict[str, str]) -> None:
    api.refresh(pair["refresh_token"])

    assert api.balance(pair["access_token"]).status == 200


@pytest.mark.parametrize("setting", [{"refresh_revokes_old": True}, {"sessions": "single"}])
def test_setting_revokes_old_access_token_on_refresh(
    api: Rules, pair: dict[str, str], setting: dict[str, object]
) -> None:
    api.set(**setting)
    new = data(api.refresh(pair["refresh_token"]))

    assert api.balance(pair["access_token"]).status == 401
    assert api.balance(new["access_token"]).status == 200


def test_refresh_can_be_disabled(api: Rules, pair: dict[str, str]) -> None:
    api.set(refresh_enabled=False)

    assert api.refresh(pair["refresh_token"]).status == 403


def test_missing_account_returns_400(api: Rules, pair: dict[str, str]) -> None:
    assert api.refresh(pair["refresh_token"], account_id=None).status == 400


def test_another_account_returns_403(api: Rules, pair: dict[str, str]) -> None:
    other = known.OTHER_ACCOUNT_ID

    assert api.refresh(pair["refresh_token"], account_id=other).status == 403


def test_bearer_is_required_only_if_configured(api: Rules, pair: dict[str, str]) -> None:
    api.set(refresh_needs_bearer=True)
    bearer = f"Bearer {pair['access_token']}"

    assert api.refresh(pair["refresh_token"]).status == 401
    assert api.refresh(pair["refresh_token"], authorization="Bearer a.b.c").status == 401
    assert api.refresh(pair["refresh_token"], authorization=bearer).status == 200


def test_expired_bearer_can_be_refreshed(api: Rules, pair: dict[str, str]) -> None:
    api.set(refresh_needs_bearer=True)
    api.now += 3600

    bearer = f"Bearer {pair['access_token']}"
    assert api.refresh(pair["refresh_token"], authorization=bearer).status == 200


def test_client_id_in_refresh_returns_400(api: Rules) -> None:
    body = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "y"}

    assert api.post(rules.REFRESH, body).status == 400


def test_suspended_client_cannot_refresh(api: Rules, pair: dict[str, str]) -> None:
    client = known.ApiClient(known.DEFAULT_CLIENT_ID, "x", known.DEFAULT_ACCOUNT_ID, True)
    api.api.settings = api.api.settings.with_client(client)

    assert api.refresh(pair["refresh_token"]).status == 401


def test_revoke_keeps_refresh_token_valid(api: Rules, pair: dict[str, str]) -> None:
    api.revoke(pair["access_token"])

    assert api.refresh(pair["refresh_token"]).status == 200


def test_setting_revokes_refresh_token_with_access_token(api: Rules, pair: dict[str, str]) -> None:
    api.set(revoke_kills_refresh=True)
    api.revoke(pair["access_token"])

    assert api.refresh(pair["refresh_token"]).status == 401
