# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stored token is refreshed in time, or a new one is issued."""

from __future__ import annotations

import pytest

from tests.simulator.tokens import fingerprint

from .request_log import operations
from .token_harness import Token


def test_token_that_is_due_is_refreshed_without_the_secret(token: Token) -> None:
    token.simulator.configure(refresh_needs_bearer=True)
    made = token.hold(lifetime=200)
    result = token(client_secret=None)
    (post,) = token.simulator.requests()
    assert (result["action"], result["changed"]) == ("refreshed", True)
    assert post.path == "/v1/auth/token/refresh"
    assert post.body_fields == ("grant_type", "refresh_token")
    assert post.fingerprint == fingerprint(made["refresh_token"])
    assert (post.account_id, post.authorization) == (token.simulator.account_id, True)


def test_both_tokens_are_new_after_a_refresh(token: Token) -> None:
    made = token.hold(lifetime=200)
    result = token()
    document = token.document
    assert result["fingerprint"] == fingerprint(document["access_token"])
    assert document["access_token"] != made["access_token"]
    assert document["refresh_token"] != made["refresh_token"]
    assert token.simulator.accepts(document["access_token"])
    assert token()["action"] == "kept"
    assert operations(token.simulator) == ["refresh"]


@pytest.mark.parametrize(
    ("exp", "expires_at", "action"),
    [(250, 3600, "refreshed"), (3600, 250, "refreshed"), (350, 3600, "kept"), (3600, 350, "kept")],
)
def test_earlier_of_both_times_decides(
    token: Token, exp: int, expires_at: int, action: str
) -> None:
    token.hold(lifetime=exp, expires_at=token.moment(expires_at))
    result = token()
    assert result["action"] == action
    assert result["changed"] is (action == "refreshed")
    assert operations(token.simulator) == ([] if action == "kept" else ["refresh"])


@pytest.mark.parametrize(("least", "action"), [(1000, "refreshed"), (800, "kept"), (0, "kept")])
def test_min_remaining_decides(token: Token, least: int, action: str) -> None:
    token.hold(lifetime=900)
    result = token(min_remaining=least)
    assert result["action"] == action
    assert len(token.simulator.writes()) == (action == "refreshed")


def test_expired_token_is_refreshed(token: Token) -> None:
    token.simulator.configure(refresh_needs_bearer=True)
    made = token.simulator.mint_pair(age=7200, lifetime=3600)
    token.write(made)
    result = token(min_remaining=0)
    assert result["action"] == "refreshed"
    assert result.warnings == ""
    assert operations(token.simulator) == ["refresh"]


def test_token_without_an_expiry_is_refreshed(token: Token) -> None:
    made = token.simulator.mint_pair(claims={"exp": None})
    token.write(made)
    result = token()
    assert result["action"] == "refreshed"
    assert operations(token.simulator) == ["refresh"]


def test_without_a_refresh_token_one_is_issued(token: Token) -> None:
    token.hold(lifetime=60, refresh_token=None)
    result = token()
    assert result["action"] == "issued"
    assert result.warnings == ""
    assert operations(token.simulator) == ["issue"]


def test_rejected_refresh_is_followed_by_an_issue(token: Token) -> None:
    token.simulator.configure(refresh_enabled=False)
    token.hold(lifetime=60)
    result = token()
    assert result["action"] == "issued"
    assert "did not refresh" in result.warnings
    assert "in no file" not in result.warnings
    assert token.simulator.accepts(token.document["access_token"])
    assert operations(token.simulator) == ["refresh", "issue"]


def test_dead_refresh_token_is_followed_by_an_issue(token: Token) -> None:
    other = token.simulator.mint_pair(known=False)
    token.hold(lifetime=60, refresh_token=other["refresh_token"])
    result = token()
    assert result["action"] == "issued"
    assert "did not refresh" in result.warnings
    assert other["refresh_token"] not in result.output
    assert operations(token.simulator) == ["refresh", "issue"]


@pytest.mark.parametrize("kind", ["lost_answer", "reset", "html", "truncated", "empty"])
def test_lost_refresh_is_followed_by_an_issue_and_not_repeated(token: Token, kind: str) -> None:
    token.hold(lifetime=60)
    token.simulator.fault("refresh", kind)
    result = token()
    assert result["action"] == "issued"
    assert "did not refresh" in result.warnings
    assert "in no file" in result.warnings
    assert result["fingerprint"] in token.simulator.live()
    assert operations(token.simulator) == ["refresh", "issue"]


def test_rejected_refresh_without_a_secret_names_the_option(token: Token) -> None:
    token.simulator.configure(refresh_enabled=False)
    made = token.hold(lifetime=60)
    result = token(client_secret=None)
    assert result.error == "invalid_option"
    assert result["msg"].startswith("client_secret: ")
    assert token.document["access_token"] == made["access_token"]
    assert operations(token.simulator) == ["refresh"]
