# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests of the client."""

from __future__ import annotations

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._answer import (
    HttpAnswer,
    TransportFailure,
    Verdict,
)
from ansible_collections.nomba.auth.plugins.module_utils._client import Client

from .fake_transport import FakeTransport, Sent
from .token_factory import ACCOUNT, SEED

pytestmark = pytest.mark.pure

CLIENT_ID = "2242b79d-f2cf-4ccc-ada1-e890bd1a9f0d"


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def client(transport: FakeTransport) -> Client:
    return Client(transport, ACCOUNT, CLIENT_ID)


def test_revoke_is_sent_as_specified(client: Client, transport: FakeTransport) -> None:
    client.revoke(SEED, reserve=9.0)
    headers = {"accountId": ACCOUNT}
    body = {"clientId": CLIENT_ID, "access_token": SEED}
    assert transport.sent == [Sent("POST", "/v1/auth/token/revoke", headers, body, reserve=9.0)]


def test_probe_is_sent_as_specified(client: Client, transport: FakeTransport) -> None:
    client.probe(SEED)
    headers = {"accountId": ACCOUNT, "Authorization": f"Bearer {SEED}"}
    assert transport.sent == [Sent("GET", "/v1/accounts/balance", headers, None)]
    client.probe(SEED, exclusive=True)
    assert transport.sent[-1].exclusive


def test_token_is_sent_exactly_once_and_never_in_path(
    client: Client, transport: FakeTransport
) -> None:
    client.revoke(SEED)
    client.probe(SEED)
    assert [str(sent).count(SEED) for sent in transport.sent] == [1, 1]
    assert not any(SEED in sent.path for sent in transport.sent)


def test_one_call_is_one_request(client: Client, transport: FakeTransport) -> None:
    transport.reply = TransportFailure("the connection was cut", attempts=6)
    assert client.revoke(SEED).problem == "the connection was cut"
    assert client.probe(SEED).attempts == 6
    assert len(transport.sent) == 2


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (HttpAnswer(200, {}, b'{"code":"00"}'), Verdict.SUCCEEDED),
        (HttpAnswer(401, {}, b'{"code":"401"}'), Verdict.REJECTED),
        (HttpAnswer(502, {}, b""), Verdict.UNKNOWN),
        (TransportFailure("nothing"), Verdict.UNKNOWN),
    ],
    ids=["succeeded", "rejected", "unknown", "no answer"],
)
def test_answers_are_interpreted(
    client: Client, transport: FakeTransport, reply: HttpAnswer | TransportFailure, verdict: Verdict
) -> None:
    transport.reply = reply
    assert client.revoke(SEED).verdict is verdict
    assert client.probe(SEED).verdict is verdict


def test_balance_is_not_kept(client: Client, transport: FakeTransport) -> None:
    transport.reply = HttpAnswer(200, {}, b'{"code":"00","data":{"amount":"4120.00"}}')
    seen = client.probe(SEED)
    assert seen.data == {}
    assert "4120" not in repr(seen)
