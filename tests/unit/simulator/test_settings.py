# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: defaults, and rejected values."""

from __future__ import annotations

import base64

import pytest

from tests.simulator import settings
from tests.simulator.settings import Settings, SettingsError, from_json, to_json
from tests.unit.tables import each_row


def test_empty_object_gives_defaults() -> None:
    assert from_json({}) == Settings()


def test_settings_round_trip_through_json() -> None:
    changed = from_json({"sessions": "single", "rate_window": 0.5, "sub_accounts": []})

    assert from_json(to_json(changed)) == changed


def test_omitted_setting_keeps_its_value() -> None:
    base = Settings(latency=0.25, sandbox=True)

    assert from_json({"sandbox": False}, base) == Settings(latency=0.25)


def test_unknown_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="unknown setting: color"):
        from_json({"color": "blue"})


@each_row(
    ("given", "message"),
    [
        ({"sandbox": "yes"}, "sandbox must be true or false"),
        ({"latency": True}, "latency must be a number"),
        ({"latency": -1}, "latency must not be negative"),
        ({"rate_window": 0}, "rate_window must be more than zero"),
        ({"fresh_refusals": 1.5}, "fresh_refusals must be a whole number"),
        ({"sessions": "many"}, "sessions must be one of: multi, single"),
        ({"revoke_dead": 3}, "revoke_dead must be one of"),
        ({"business_id": 5}, "business_id must be a string"),
        ({"sub_accounts": "one"}, "sub_accounts must be a list"),
        ({"clients": []}, "at least one client"),
        ({"clients": [{"client_id": "x"}]}, "a client has exactly these fields"),
        ([], "settings must be an object"),
    ],
)
def test_invalid_value_is_rejected_with_message(given: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        from_json(given)


def test_clock_offset_can_be_negative() -> None:
    assert from_json({"clock_offset": -600}).clock_offset == -600


@each_row("client", settings.DEFAULT_CLIENTS)
def test_default_secret_has_documented_form(client: settings.ApiClient) -> None:
    assert len(client.client_secret) == 88
    assert len(base64.b64decode(client.client_secret, validate=True)) == 64
    assert client.client_secret.endswith("==")


def test_default_clients_share_one_account() -> None:
    first, second = Settings().clients

    assert first.account_id == second.account_id
    assert first.client_id != second.client_id
