# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: what they are by default, and what they refuse."""

from __future__ import annotations

import base64

import pytest

from tests.simulator import settings
from tests.simulator.settings import Settings, SettingsError, from_json, to_json


def test_nothing_given_is_the_default() -> None:
    assert from_json({}) == Settings()


def test_settings_survive_the_way_through_json() -> None:
    changed = from_json({"sessions": "single", "rate_window": 0.5, "sub_accounts": []})

    assert from_json(to_json(changed)) == changed


def test_what_is_not_named_keeps_its_value() -> None:
    base = Settings(latency=0.25, sandbox=True)

    assert from_json({"sandbox": False}, base) == Settings(latency=0.25)


def test_an_unknown_setting_is_named_in_the_refusal() -> None:
    with pytest.raises(SettingsError, match="unknown setting: colour"):
        from_json({"colour": "blue"})


@pytest.mark.parametrize(
    ("given", "sentence"),
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
def test_a_wrong_value_is_refused_with_a_sentence(given: object, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        from_json(given)


def test_the_clock_may_run_behind() -> None:
    assert from_json({"clock_offset": -600}).clock_offset == -600


@pytest.mark.parametrize("client", settings.DEFAULT_CLIENTS)
def test_a_default_secret_has_the_shape_of_real_ones(client: settings.ApiClient) -> None:
    assert len(client.client_secret) == 88
    assert len(base64.b64decode(client.client_secret, validate=True)) == 64
    assert client.client_secret.endswith("==")


def test_the_default_clients_belong_to_one_account() -> None:
    first, second = Settings().clients

    assert first.account_id == second.account_id
    assert first.client_id != second.client_id
