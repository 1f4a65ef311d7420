# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API issues no token, or a token of another account."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.modules import nomba_token
from tests.simulator.settings import OTHER_ACCOUNT_ID, SUB_ACCOUNT_ID

from .request_log import ONE_LIVE_TOKEN, operations, shared
from .token_harness import Token

UNKNOWN_CLIENT_ID = "ffffffff-0000-4000-8000-ffffffffffff"

WITHOUT_ANSWER: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "HTML": {"kind": "html"},
    "reset": {"kind": "reset"},
    "lost": {"kind": "lost_answer"},
    "truncated": {"kind": "truncated"},
    "truncated with effect": {"kind": "truncated", "effect": True},
    "stalled": {"kind": "stalled"},
    "empty": {"kind": "empty"},
    "no code": {"kind": "no_code"},
    "success without a token": {"kind": "code", "code": "00"},
}


def _place(to_file: bool) -> dict[str, Any]:
    """The option that leaves out the file, or none."""
    return {} if to_file else {"dest": None}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"client_id": UNKNOWN_CLIENT_ID}, "unknown_client"),
        ({"client_secret": "d3Jvbmc="}, "forbidden"),
        ({"account_id": OTHER_ACCOUNT_ID}, "forbidden"),
        ({"account_id": SUB_ACCOUNT_ID}, "forbidden"),
    ],
    ids=["unknown client", "wrong secret", "other account", "sub-account"],
)
@pytest.mark.parametrize("to_file", [True, False], ids=["file", "returned"])
def test_refused_issue_has_its_code(
    token: Token, options: dict[str, Any], code: str, to_file: bool
) -> None:
    result = token(**_place(to_file), **options)
    assert (result.error, result["changed"]) == (code, False)
    assert not token.dest.exists()
    assert token.simulator.live() == []
    assert operations(token.simulator) == ["issue"]


def test_suspended_client_is_an_unknown_one(token: Token) -> None:
    token.simulator.suspend(token.simulator.client_id)
    result = token()
    assert result.error == "unknown_client"
    assert "suspended" in result["msg"]
    assert operations(token.simulator) == ["issue"]


def test_forbidden_issue_names_all_likely_causes(token: Token) -> None:
    result = token(client_secret="d3Jvbmc=")
    causes = ["client_secret", "account_id", "sub-account", "allow list", "firewall"]
    assert [cause for cause in causes if cause not in result["msg"]] == []
    assert "403" in result["msg"]
    assert operations(token.simulator) == ["issue"]


@pytest.mark.parametrize(("status", "code"), [(400, "bad_request"), (401, "refused")])
def test_another_refusal_has_its_code(token: Token, status: int, code: str) -> None:
    token.simulator.fault("issue", "status", status=status)
    result = token()
    assert result.error == code
    assert str(status) in result["msg"]
    assert operations(token.simulator) == ["issue"]


def test_refused_issue_leaves_the_file_as_it_was(token: Token) -> None:
    token.hold(lifetime=60, refresh_token=None)
    content = token.dest.read_bytes()
    result = token(client_secret="d3Jvbmc=")
    assert result.error == "forbidden"
    assert token.dest.read_bytes() == content
    assert token.files == [".token.json.lock", "token.json"]
    assert operations(token.simulator) == ["issue"]


def test_issue_without_a_clear_answer_is_not_repeated(token: Token) -> None:
    rows = {}
    for name, fault in WITHOUT_ANSWER.items():
        token.simulator.reset()
        token.simulator.fault("issue", **fault)
        result = token(timeout=0.5 if fault["kind"] == "stalled" else 10)
        rows[name] = (
            result.error,
            result["changed"],
            "may have been issued" in result["msg"],
            token.dest.exists(),
            tuple(operations(token.simulator)),
        )
    assert rows == dict.fromkeys(
        WITHOUT_ANSWER, ("no_clear_answer", False, True, False, ("issue",))
    )


def test_rate_limited_issue_is_repeated(token: Token) -> None:
    token.simulator.fault("issue", "rate_limited", retry_after=7)
    token.monkeypatch.setattr(nomba_token, "SYSTEM", shared(token.clock, token.simulator))
    result = token()
    assert result["action"] == "issued"
    assert sum(token.clock.slept) >= 7
    assert [entry.status for entry in token.simulator.requests("issue")] == [429, 200]


def test_missing_secret_is_rejected(token: Token) -> None:
    for secret in (None, "", "  "):
        for to_file in (True, False):
            for check in (False, True):
                result = token(check=check, client_secret=secret, **_place(to_file))
                row = (secret, to_file, check, result.error, result["changed"])
                assert row == (secret, to_file, check, "invalid_option", False)
                assert result["msg"].startswith("client_secret: ")
    assert token.files == []
    assert token.simulator.requests() == []


@pytest.mark.parametrize("variable", ["NOMBA_CLIENT_SECRET", "NOMBA_PRIVATE_KEY"])
def test_secret_can_come_from_the_environment(token: Token, variable: str) -> None:
    token.monkeypatch.setenv(variable, f" {token.simulator.client_secret}\n")
    result = token(client_secret=None)
    assert result["action"] == "issued"
    assert token.simulator.client_secret not in result.output
    assert operations(token.simulator) == ["issue"]


def test_nomba_client_secret_precedes_nomba_private_key(token: Token) -> None:
    token.monkeypatch.setenv("NOMBA_CLIENT_SECRET", token.simulator.client_secret)
    token.monkeypatch.setenv("NOMBA_PRIVATE_KEY", "d3Jvbmc=")
    result = token(client_secret=None)
    assert result["action"] == "issued"
    assert operations(token.simulator) == ["issue"]


@pytest.mark.parametrize("to_file", [True, False], ids=["file", "returned"])
def test_token_of_another_account_is_revoked(token: Token, to_file: bool) -> None:
    token.simulator.configure(business_id=OTHER_ACCOUNT_ID)
    result = token(**_place(to_file))
    assert (result.error, result["changed"]) == ("wrong_account", False)
    assert result["msg"].startswith("account_id: ")
    assert OTHER_ACCOUNT_ID in result["msg"]
    assert token.simulator.live() == []
    assert not token.dest.exists()
    assert operations(token.simulator) == ["issue", *ONE_LIVE_TOKEN]
    assert result["msg"].endswith(" was revoked again.")
    assert token.simulator.requests("revoke")[0].account_id == token.simulator.account_id


def test_refreshed_token_of_another_account_is_revoked(token: Token) -> None:
    made = token.hold(lifetime=200)
    token.simulator.configure(business_id=OTHER_ACCOUNT_ID)
    result = token(revoke_replaced=True)
    assert result.error == "wrong_account"
    assert token.document["access_token"] == made["access_token"]
    assert token.simulator.live() == [made["fingerprint"]]
    assert operations(token.simulator) == ["refresh", *ONE_LIVE_TOKEN]


def test_min_remaining_out_of_range_is_rejected(token: Token) -> None:
    for value in (-1, float("nan"), 1e9):
        result = token(min_remaining=str(value))
        assert (value, result.error) == (value, "invalid_option")
        assert result["msg"].startswith("min_remaining: ")
    assert token.files == []
    assert token.simulator.requests() == []
