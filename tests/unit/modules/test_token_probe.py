# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nomba_token probes a stored token and replaces one that was revoked."""

from __future__ import annotations

from typing import Any

import pytest

from .request_log import operations
from .token_harness import Token


def revoke(token: Token, text: str) -> None:
    """Revoke a token at the server, as another program would."""
    body = {"clientId": token.simulator.client_id, "access_token": text}
    token.simulator._send("POST", f"{token.simulator.http_url}/v1/auth/token/revoke", body, {})
    assert not token.simulator.accepts(text)
    token.simulator.forget_requests()


def test_token_that_the_api_accepts_is_kept(token: Token) -> None:
    token.hold()
    result = token(probe=None)  # on by default
    assert (result["action"], result["changed"], result.failed) == ("kept", False, False)
    assert operations(token.simulator) == ["balance", "balance"]  # the token, and the control
    assert token.simulator.writes() == []


def test_token_that_was_revoked_is_replaced(token: Token) -> None:
    held = token.hold()
    revoke(token, held["access_token"])
    result = token(probe=None)
    assert (result["action"], result["changed"]) == ("refreshed", True)
    assert token.simulator.accepts(token.document["access_token"])
    assert token(probe=None)["changed"] is False


def test_revoked_token_is_kept_without_the_probe(token: Token) -> None:
    held = token.hold()
    revoke(token, held["access_token"])
    assert token(probe=False)["action"] == "kept"
    assert token.simulator.requests() == []


def test_check_mode_reports_the_refresh_and_sends_no_write(token: Token) -> None:
    held = token.hold()
    revoke(token, held["access_token"])
    content = token.dest.read_bytes()
    result = token(probe=None, check=True)
    assert (result["action"], result["changed"]) == ("refreshed", True)
    assert token.simulator.writes() == []
    assert token.dest.read_bytes() == content


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "answer", "status": 401},
        {"kind": "answer", "status": 401, "body": '{"message":"Unauthorized"}'},
        {"kind": "html", "status": 403},
        {"kind": "status", "status": 500},
    ],
    ids=["proxy", "gateway", "firewall", "outage"],
)
def test_probe_without_a_result_keeps_the_token_with_a_warning(
    token: Token, fault: dict[str, Any]
) -> None:
    held = token.hold()
    token.simulator.fault("balance", times=0, **fault)
    result = token(probe=None)
    assert (result["action"], result["changed"]) == ("kept", False)
    assert "no probe confirmed it" in result.warnings
    assert token.document["access_token"] == held["access_token"]
    assert token.simulator.writes() == []


def test_replaced_token_that_was_revoked_already_is_proved_dead(token: Token) -> None:
    held = token.hold()
    revoke(token, held["access_token"])
    result = token(probe=None, revoke_replaced=True)
    assert [row["outcome"] for row in result["replaced"]] == ["already_revoked"]
    assert [row["verified"] for row in result["replaced"]] == [True]
    assert len(token.simulator.live()) == 1
