# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API over real HTTP and HTTPS, and the request log."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.simulator import rules
from tests.simulator import settings as known
from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint
from tests.unit.simulator.rules_client import GRANT, SimulatorClient, pending_request
from tests.unit.tables import each_row

JSON = {"accountId": known.DEFAULT_ACCOUNT_ID, "Content-Type": "application/json"}


def test_token_life_cycle_over_https(simulator: ControlClient, client: SimulatorClient) -> None:
    token = client.issue().json()["data"]["access_token"]

    assert client.balance(token).json()["code"] == "00"
    assert client.revoke(token).json()["description"] == "Token revoked successfully"
    assert client.balance(token).status_code == 401
    assert simulator.live() == []


def test_refresh_works_over_https(simulator: ControlClient, client: SimulatorClient) -> None:
    old = client.issue().json()["data"]["refresh_token"]
    body = {"grant_type": "refresh_token", "refresh_token": old}
    headers = {"accountId": simulator.account_id}

    assert client("POST", rules.REFRESH, json=body, headers=headers).status_code == 200
    assert client("POST", rules.REFRESH, json=body, headers=headers).status_code == 401
    assert simulator.requests("refresh")[0].fingerprint == fingerprint(old)


def test_http_and_https_share_one_state(simulator: ControlClient, client: SimulatorClient) -> None:
    token = simulator.mint()
    with SimulatorClient(simulator, simulator.http_url) as plain:
        plain.revoke(token)

    assert client.balance(token).status_code == 401


@each_row(
    ("change", "status"),
    [
        ({"headers": {}}, 400),
        ({"headers": {"accountId": "x", "Authorization": "Bearer malformed"}}, 400),
        ({"headers": {"accountId": "another-account"}}, 403),
        ({"json": {**GRANT, "client_id": "unknown"}}, 404),
        ({"json": {**GRANT, "client_secret": "wrong"}}, 403),
        ({"json": {**GRANT, "scope": "all"}}, 400),
        ({"json": None, "data": b"grant_type=client_credentials", "headers": JSON}, 400),
        ({"json": None, "data": b"[]", "headers": JSON}, 400),
        ({"json": None, "headers": JSON}, 400),
        ({"json": None}, 415),
        ({"headers": {**JSON, "Content-Type": "text/plain"}}, 415),
    ],
)
def test_invalid_issue_is_rejected(
    client: SimulatorClient, change: dict[str, Any], status: int
) -> None:
    answer = client.issue(**change)

    assert answer.status_code == status
    assert answer.json()["code"] == str(status)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (rules.ISSUE, None),
        (rules.ISSUE, ""),
        (rules.ISSUE, "text/plain"),
        (rules.ISSUE, "application/x-www-form-urlencoded"),
        (rules.REFRESH, "text/plain"),
        (rules.REVOKE, "text/plain"),
    ],
)
def test_post_of_another_media_type_returns_415(
    simulator: ControlClient, client: SimulatorClient, path: str, sent: str | None
) -> None:
    pair = simulator.mint_pair()
    bodies = {
        rules.ISSUE: GRANT,
        rules.REFRESH: {
            "grant_type": "refresh_token",
            "refresh_token": pair["refresh_token"],
        },
        rules.REVOKE: {"clientId": simulator.client_id, "access_token": pair["access_token"]},
    }
    headers = {**JSON, "Content-Type": sent}
    answer = client("POST", path, data=json.dumps(bodies[path]), headers=headers)

    assert answer.status_code == 415
    assert answer.json() == {"code": "415", "description": rules.NO_JSON}
    assert simulator.live() == [pair["fingerprint"]]
    assert simulator.requests()[0].content_type == (sent or None)
    assert client("POST", path, json=bodies[path], headers=JSON).status_code == 200


def test_media_type_accepts_parameters_and_upper_case(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    sent = "Application/JSON; charset=utf-8"

    assert client.issue(headers={**JSON, "Content-Type": sent}).status_code == 200
    assert simulator.requests()[0].content_type == sent


def test_wrong_method_returns_allow_header(client: SimulatorClient) -> None:
    assert client("GET", rules.REVOKE).headers["Allow"] == "POST"
    assert client("POST", rules.BALANCE).headers["Allow"] == "GET"


@pytest.mark.parametrize(
    ("form", "status", "body"),
    [
        ("envelope", 401, b'{"code":"401","description":"Unauthorized"}'),
        ("envelope_200", 200, b'{"code":"401","description":"Unauthorized"}'),
        ("empty", 401, b""),
        ("message", 401, b'{"message":"Unauthorized"}'),
        ("html", 401, b"<!DOCTYPE html><html><title>401 Unauthorized</title></html>"),
    ],
)
def test_refusal_form_is_configurable(
    simulator: ControlClient, client: SimulatorClient, form: str, status: int, body: bytes
) -> None:
    simulator.configure(refusal_form=form)
    dead, live = simulator.mint(), simulator.mint()
    client.revoke(dead)
    elsewhere = {"Authorization": f"Bearer {live}", "accountId": known.OTHER_ACCOUNT_ID}
    nowhere = {"Authorization": f"Bearer {live}"}
    answers = [client.balance(one) for one in (dead, simulator.mint(known=False))]
    answers += [client("GET", rules.BALANCE, headers=one) for one in (elsewhere, nowhere)]

    assert [(one.status_code, one.content) for one in answers] == [(status, body)] * 4
    kind = "text/html" if form == "html" else "application/json"
    assert {one.headers["Content-Type"] for one in answers} == {kind}
    assert client.balance(live).json()["code"] == "00"
    assert simulator.counters()["balance_refused"] == 4


@each_row(
    ("method", "path", "status"),
    [
        ("GET", "/v1/accounts/balance", 401),
        ("GET", "/v1/accounts/made-up", 500),
        ("GET", "/v1/made-up", 404),
        ("POST", "/v1/auth/issue/revoke", 404),
        ("GET", "/v1/auth/token/issue", 405),
        ("DELETE", "/v1/auth/token/revoke", 405),
    ],
)
def test_invalid_paths_and_methods_are_rejected(
    client: SimulatorClient, method: str, path: str, status: int
) -> None:
    answer = client(method, path)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"


def test_balance_requires_matching_account(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    bearer = {"Authorization": f"Bearer {simulator.mint()}"}
    sub_account = simulator.settings["sub_accounts"][0]

    assert client("GET", rules.BALANCE, headers=bearer).status_code == 401
    with_sub = {**bearer, "accountId": sub_account}
    assert client("GET", rules.BALANCE, headers=with_sub).status_code == 403


def test_date_header_follows_simulator_clock(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    here = parsedate_to_datetime(client.balance("a.b.c").headers["Date"])
    simulator.configure(clock_offset=86400)
    there = parsedate_to_datetime(client.balance("a.b.c").headers["Date"])

    assert round((there - here).total_seconds() / 600) == 144


def test_clock_offset_expires_tokens(simulator: ControlClient, client: SimulatorClient) -> None:
    token = simulator.mint(lifetime=60)
    simulator.configure(clock_offset=61)

    assert client.balance(token).status_code == 401


def test_every_answer_has_rate_limit_headers(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    simulator.reset(rate_class="low_traffic")
    first, second = client.issue(), client.issue()

    assert (first.status_code, second.status_code) == (200, 429)
    assert second.json()["code"] == "429"
    assert second.headers["X-Rate-Limit-Remaining"] == "0"
    assert first.headers["X-Rate-Limit-Window"] == second.headers["X-Rate-Limit-Window"] == "60s"


def test_rate_limited_request_has_no_effect(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    token = simulator.mint()
    simulator.reset(rate_class="low_traffic")
    token = simulator.mint()
    client.issue()

    assert client.revoke(token).status_code == 429
    assert simulator.accepts(token)


def test_revoke_without_account_is_counted_for_its_clients_account(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    simulator.reset(rate_class="low_traffic")

    assert client.revoke(simulator.mint()).status_code == 200
    assert client.issue().status_code == 429


def test_latency_precedes_effect_and_answer(simulator: ControlClient) -> None:
    simulator.configure(latency=3600)
    token = simulator.mint()
    body = {"clientId": simulator.client_id, "access_token": token}
    with pending_request(simulator, "POST", rules.REVOKE, body):
        simulator.wait_for_requests(1)

        assert simulator.accepts(token)


def test_log_has_all_fields_without_token(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    token = simulator.mint()
    client.revoke(token, headers={"User-Agent": "a-test"})
    (entry,) = simulator.requests()

    assert (entry.n, entry.method, entry.path) == (1, "POST", rules.REVOKE)
    assert (entry.operation, entry.write, entry.authorization) == ("revoke", True, False)
    assert entry.fingerprint == fingerprint(token)
    assert entry.body_fields == ("access_token", "clientId")
    assert (entry.status, entry.code, entry.fault) == (200, "00", None)
    assert (entry.user_agent, entry.content_type) == ("a-test", "application/json")
    assert "content-type" in entry.header_names
    assert token not in repr(entry)


def test_token_in_any_field_is_omitted_from_log(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    token = simulator.mint()
    body = {"clientId": token, token: "x"}
    headers = dict.fromkeys(("accountId", "User-Agent", "Content-Type"), token)
    client("POST", "/" + token, json=body, headers=headers)

    (entry,) = simulator.requests()
    assert token not in repr(entry)


def test_log_shows_which_requests_shared_connection(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    for __ in range(2):
        client.balance("a.b.c")
    with SimulatorClient(simulator) as other:
        other.balance("a.b.c")

    assert [entry.connection for entry in simulator.requests()] == [1, 1, 2]
    assert simulator.counters()["connections"] == 2


def test_large_body_returns_413(client: SimulatorClient) -> None:
    assert client.issue(json=None, data=json.dumps({"x": "y" * 2_000_000})).status_code == 413
