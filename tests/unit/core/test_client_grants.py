# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The issue and refresh requests, and the grants in their answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._answer import (
    HttpAnswer,
    TransportFailure,
    Verdict,
)
from ansible_collections.nomba.auth.plugins.module_utils._client import Client, Grant, grant_of

from .fake_transport import FakeTransport, Sent
from .token_factory import ACCOUNT, OTHER_ACCOUNT, SEED, rs256, token

pytestmark = pytest.mark.pure

CLIENT_ID = "2242b79d-f2cf-4ccc-ada1-e890bd1a9f0d"
SECRET = "SECRET" * 14 + "AA=="
REFRESH = "01h4eks80yjzqxvjmkk2hbexfr1688561328991"


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def client(transport: FakeTransport) -> Client:
    return Client(transport, ACCOUNT, CLIENT_ID)


# Requests


def test_issue_is_sent_as_specified(client: Client, transport: FakeTransport) -> None:
    client.issue(SECRET)
    body = {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
    }
    headers = {"accountId": ACCOUNT}
    assert transport.sent == [Sent("POST", "/v1/auth/token/issue", headers, body, False, True)]


def test_refresh_is_sent_as_specified(client: Client, transport: FakeTransport) -> None:
    client.refresh(REFRESH, SEED)
    body = {"grant_type": "refresh_token", "refresh_token": REFRESH}
    headers = {"accountId": ACCOUNT, "Authorization": f"Bearer {SEED}"}
    assert transport.sent == [Sent("POST", "/v1/auth/token/refresh", headers, body, False, True)]


def test_refresh_needs_no_secret(client: Client, transport: FakeTransport) -> None:
    client.issue(SECRET)
    client.refresh(REFRESH, SEED)
    issue, refresh = map(str, transport.sent)
    assert SECRET in issue
    assert SECRET not in refresh
    assert CLIENT_ID not in refresh


def test_revoke_and_probe_are_idempotent(client: Client, transport: FakeTransport) -> None:
    client.revoke(SEED)
    client.probe(SEED)
    assert [sent.idempotent for sent in transport.sent] == [True, True]


def test_lost_answer_is_not_retried(client: Client, transport: FakeTransport) -> None:
    transport.reply = TransportFailure("the connection failed or was cut")
    readings = [client.issue(SECRET), client.refresh(REFRESH, SEED)]
    assert [reading.verdict for reading in readings] == [Verdict.UNKNOWN] * 2
    assert [grant_of(reading) for reading in readings] == [None, None]
    assert len(transport.sent) == 2


def test_client_can_act_for_another_account(client: Client, transport: FakeTransport) -> None:
    client.of_account(OTHER_ACCOUNT).issue(SECRET)
    client.issue(SECRET)
    assert [sent.headers["accountId"] for sent in transport.sent] == [OTHER_ACCOUNT, ACCOUNT]
    assert transport.sent[0].body == transport.sent[1].body


# Answers


@pytest.mark.parametrize("call", ["issue", "refresh"])
def test_grant_holds_documented_fields(client: Client, transport: FakeTransport, call: str) -> None:
    end = "2022-07-08T14:33:00Z"
    transport.grants(
        access_token=SEED, refresh_token=REFRESH, expiresAt=end, businessId=ACCOUNT, more="more"
    )
    reading = client.issue(SECRET) if call == "issue" else client.refresh(REFRESH, SEED)
    assert grant_of(reading) == Grant(SEED, REFRESH, end, ACCOUNT)
    assert set(reading.data) == {"access_token", "refresh_token", "expiresAt", "businessId"}


@pytest.mark.parametrize("value", [None, "", 17, [], {"a": 1}, True], ids=repr)
def test_answer_without_token_is_no_grant(
    client: Client, transport: FakeTransport, value: object
) -> None:
    transport.grants(access_token=value, refresh_token=REFRESH)
    assert grant_of(client.issue(SECRET)) is None


@pytest.mark.parametrize("value", [None, "", 17, [], {"a": 1}, True], ids=repr)
def test_field_other_than_text_is_left_out_of_grant(
    client: Client, transport: FakeTransport, value: object
) -> None:
    transport.grants(access_token=SEED, refresh_token=value, expiresAt=value, businessId=value)
    assert grant_of(client.issue(SECRET)) == Grant(SEED)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "00"), (500, "00"), (200, "400"), (200, None), (302, "00")]
)
def test_token_in_failed_answer_is_no_grant(
    client: Client, transport: FakeTransport, status: int, code: str | None
) -> None:
    body = {"code": code, "data": {"access_token": SEED}}
    transport.reply = HttpAnswer(status, {}, json.dumps(body).encode())
    assert grant_of(client.issue(SECRET)) is None


def test_repr_of_grant_omits_secrets(client: Client, transport: FakeTransport) -> None:
    transport.grants(access_token=SEED, refresh_token=REFRESH, businessId=ACCOUNT)
    reading = client.issue(SECRET)
    shown = f"{reading!r} {grant_of(reading)!r}"
    assert not [one for one in (SEED, REFRESH, SECRET) if one in shown]
    assert ACCOUNT in shown


@pytest.mark.parametrize(
    ("grant", "account"),
    [
        (Grant(SEED, business_id=OTHER_ACCOUNT), OTHER_ACCOUNT),
        (Grant(token(OTHER_ACCOUNT)), OTHER_ACCOUNT),
        (Grant(rs256()), None),
        (Grant("invalid"), None),
    ],
    ids=["in answer", "in claim", "no claim", "no JWT"],
)
def test_grant_has_account(grant: Grant, account: str | None) -> None:
    assert grant.account() == account
