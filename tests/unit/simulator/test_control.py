# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control paths, through the control client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest

from tests.simulator import settings as known
from tests.simulator.control_client import ControlClient, SimulatorError
from tests.simulator.rules import BALANCE
from tests.simulator.tokens import fingerprint
from tests.unit.simulator.rules_client import SimulatorClient, pending_request


def test_reset_clears_all_state(simulator: ControlClient) -> None:
    simulator.configure(sandbox=True)
    simulator.fault("any", "reset", times=0)
    simulator.mint()
    simulator.reset(latency=0)

    assert simulator.settings["sandbox"] is False
    assert simulator.tokens() == []
    assert simulator.requests() == []
    assert simulator.issue()["businessId"] == simulator.account_id


def test_configuring_keeps_tokens_log_and_faults(simulator: ControlClient) -> None:
    simulator.issue()
    simulator.fault("any", "empty")
    simulator.configure(fresh_refusals=1)

    assert len(simulator.tokens()) == len(simulator.requests()) == len(simulator.faults()) == 1


def test_invalid_control_request_returns_message(simulator: ControlClient) -> None:
    with pytest.raises(SimulatorError, match="unknown setting: color"):
        simulator.configure(color="blue")
    with pytest.raises(SimulatorError, match="kind must be one of"):
        simulator.fault("any", "earthquake")
    with pytest.raises(SimulatorError, match="age must be a number"):
        simulator.mint(age="old")
    with pytest.raises(LookupError, match="no such client"):
        simulator.mint(client_id="unknown")


def test_clients_can_be_replaced(simulator: ControlClient) -> None:
    own = known.ApiClient("me", "secret", "my-account")
    simulator.reset(clients=[own])

    assert (simulator.client_id, simulator.account_id) == ("me", "my-account")
    assert simulator.client_secret == "secret"


@pytest.mark.parametrize(
    ("how", "state"),
    [({}, "live"), ({"age": 7200}, "expired"), ({"lifetime": 10, "age": 5}, "live")],
)
def test_minted_token_is_in_registry(
    simulator: ControlClient, how: dict[str, object], state: str
) -> None:
    returned = simulator.token(simulator.mint(**how))

    assert returned is not None
    assert (returned["state"], returned["issued_via"]) == (state, "control")


def test_unregistered_token_can_be_minted(simulator: ControlClient) -> None:
    token = simulator.mint(known=False)

    assert token.count(".") == 2
    assert simulator.tokens() == []
    assert not simulator.accepts(token)


def test_claims_can_be_changed_and_removed(simulator: ControlClient) -> None:
    token = simulator.mint(claims={"exp": None, "iat": 5, "extra": "x"})
    claims = jwt.decode(token, options={"verify_signature": False, "verify_iat": False})

    assert "exp" not in claims
    assert (claims["iat"], claims["extra"]) == (5, "x")


def test_many_tokens_are_minted_at_once(simulator: ControlClient) -> None:
    tokens = simulator.mint_many(50)

    assert {fingerprint(one) for one in tokens} == set(simulator.live())


def test_token_can_be_minted_for_another_account(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    token = simulator.mint(account_id=known.OTHER_ACCOUNT_ID)

    assert client.balance(token).status_code == 401
    assert simulator.accepts(token)


def test_control_queries_have_no_side_effect(simulator: ControlClient) -> None:
    simulator.configure(revoke_delay_requests=1)
    token = simulator.mint()

    assert simulator.accepts(token)
    assert simulator.live() == [fingerprint(token)]
    assert simulator.requests() == []


def test_dying_token_counts_as_accepted(simulator: ControlClient, client: SimulatorClient) -> None:
    simulator.configure(revoke_delay_requests=1)
    token = simulator.mint()
    client.revoke(token)

    assert simulator.live() == [fingerprint(token)]
    assert [one["state"] for one in simulator.tokens()] == ["dying"]
    client.balance(token)
    assert simulator.live() == []


def test_suspended_client_is_rejected_until_resumed(simulator: ControlClient) -> None:
    simulator.suspend(simulator.client_id)
    with pytest.raises(LookupError, match="has been suspended"):
        simulator.issue()
    simulator.suspend(simulator.client_id, suspended=False)

    assert simulator.issue()["access_token"]


@pytest.mark.parametrize("kills", [False, True])
def test_deleted_client_is_unknown(simulator: ControlClient, kills: bool) -> None:
    simulator.configure(suspension_kills_tokens=kills)
    token = simulator.issue()["access_token"]
    deleted = simulator.client_id
    simulator.delete_client(deleted)

    assert simulator.accepts(token) is not kills
    assert [one["client_id"] for one in simulator.tokens()] == [deleted]
    with pytest.raises(LookupError, match="Client record not found"):
        simulator.issue()
    with pytest.raises(LookupError, match="no such client"):
        simulator.delete_client(deleted)


@pytest.mark.parametrize("kills", [False, True])
def test_regenerated_client_has_another_secret(simulator: ControlClient, kills: bool) -> None:
    simulator.configure(regeneration_kills_tokens=kills)
    token = simulator.issue()["access_token"]
    other = simulator.mint(client_id=known.SECOND_CLIENT_ID)
    secret = simulator.regenerate(simulator.client_id)

    assert (len(secret), secret == simulator.client_secret) == (88, False)
    assert (simulator.accepts(token), simulator.accepts(other)) == (not kills, True)
    with pytest.raises(SimulatorError, match="403: Forbidden error"):
        simulator.issue()
    simulator.configure()
    assert simulator.client_secret == secret
    assert simulator.issue()["access_token"]


def test_request_log_can_be_filtered(simulator: ControlClient, client: SimulatorClient) -> None:
    one, other = simulator.mint_many(2)
    client.balance(one)
    client.revoke(other)

    assert [entry.n for entry in simulator.requests("revoke")] == [2]
    assert [entry.n for entry in simulator.requests(fingerprint=fingerprint(one))] == [1]
    assert [entry.operation for entry in simulator.writes()] == ["revoke"]


def test_cleared_request_log_starts_at_one(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    client.balance("a.b.c")
    simulator.forget_requests()
    client.balance("a.b.c")

    assert [(one.n, one.connection) for one in simulator.requests()] == [(1, 1)]
    assert simulator.counters()["requests"] == 1


def test_wait_ends_when_request_arrives(
    simulator: ControlClient,
) -> None:
    simulator.fault("balance", "slow", delay=3600)
    with pending_request(simulator, "GET", BALANCE):
        (entry,) = simulator.wait_for_requests(1)

    assert (entry.operation, entry.status) == ("balance", None)


def test_wait_ends_with_expected_number_of_requests(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(simulator.wait_for_requests, 2, 30)
        for __ in range(2):
            client.balance("a.b.c")

        assert len(waiting.result(30)) == 2


def test_wait_without_request_is_timeout(simulator: ControlClient) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 requests"):
        simulator.wait_for_requests(1, timeout=0)


def test_counters_distinguish_accepted_and_rejected(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    token = simulator.mint()
    client.balance(token)
    client.revoke(token)
    client.balance(token)

    own = simulator.counters(fingerprint(token))
    assert own == {"requests": 3, "writes": 1, "balance_accepted": 1, "balance_refused": 1}
    assert simulator.counters()["fingerprints"] == {fingerprint(token): own}


def test_control_has_no_rate_limits_and_no_faults(simulator: ControlClient) -> None:
    simulator.reset(rate_class="low_traffic")
    simulator.fault("any", "reset", times=0)
    for __ in range(3):
        simulator.mint()

    assert simulator.faults() == [{"on": "any", "kind": "reset", "fired": 0, "spent": False}]


def test_cleared_faults_do_not_happen(simulator: ControlClient) -> None:
    simulator.fault("any", "reset", times=0)
    simulator.clear_faults()

    assert simulator.issue()["access_token"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/_simulator/nothing"), ("PUT", "/_simulator/faults"), ("GET", "/_simulator/")],
)
def test_unknown_control_path_returns_404(client: SimulatorClient, method: str, path: str) -> None:
    answer = client(method, path)

    assert answer.status_code == 404
    assert "no control path" in answer.json()["error"]


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_control_body_other_than_object_returns_400(client: SimulatorClient, body: bytes) -> None:
    assert client("POST", "/_simulator/tokens", data=body).status_code == 400


def test_rate_class_applies_from_next_request(
    simulator: ControlClient, client: SimulatorClient
) -> None:
    simulator.configure(rate_class="low_traffic")
    simulator.issue()
    simulator.configure(rate_class="elevated")

    assert client.issue().headers["X-Rate-Limit-Limit"] == "40"
