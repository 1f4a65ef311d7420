# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A replaced token is revoked after the new one is written, or recorded for the next run."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _issue
from ansible_collections.nomba.auth.plugins.module_utils._client import Grant
from tests.simulator.tokens import fingerprint

from .request_log import ONE_DEAD_TOKEN, ONE_LIVE_TOKEN, operations
from .token_harness import Token


def _first_tried(how: str) -> dict[str, Any]:
    """Return the change of the document that leads to this operation."""
    return {} if how == "refresh" else {"refresh_token": None}


@pytest.mark.parametrize("how", ["refresh", "issue"])
def test_replaced_token_is_revoked_after_the_new_one_is_issued(token: Token, how: str) -> None:
    made = token.hold(lifetime=200, **_first_tried(how))
    returned = token(revoke_replaced=True)
    (row,) = returned["replaced"]
    assert (row["fingerprint"], row["outcome"]) == (made["fingerprint"], "revoked")
    assert row["verified"] is True
    assert token.simulator.live() == [returned["fingerprint"]]
    assert token.document["replaced"] == []
    assert token.mode == 0o600
    assert operations(token.simulator) == [how, *ONE_LIVE_TOKEN]


def test_new_token_is_written_before_the_revoke(token: Token) -> None:
    made = token.hold(lifetime=200)
    token.simulator.fault("revoke", "status", status=403)
    replaces: list[str] = []
    replace = os.replace

    def seen(name: str, target: str, **folders: int) -> None:
        replaces.append(target)
        assert operations(token.simulator) == ["refresh"]
        replace(name, target, **folders)

    token.monkeypatch.setattr(os, "replace", seen)
    returned = token(revoke_replaced=True)
    assert returned.error == "not_retired"
    assert replaces == ["token.json"]
    assert token.document["replaced"] == [made["access_token"]]


def test_replaced_token_stays_alive_without_the_option(token: Token) -> None:
    made = token.hold(lifetime=200)
    returned = token()
    assert "replaced" not in returned.result
    assert token.document["replaced"] == []
    assert token.simulator.accepts(made["access_token"])
    assert operations(token.simulator) == ["refresh"]


def test_replaced_token_that_stays_alive_is_recorded_and_fails_the_run(token: Token) -> None:
    token.simulator.configure(revoke_effective=False)
    made = token.hold(lifetime=200)
    returned = token(revoke_replaced=True)
    assert (returned.error, returned["changed"]) == ("not_retired", True)
    assert returned.failed
    assert made["fingerprint"] in returned["msg"]
    assert returned["replaced"][0]["outcome"] == "still_accepted"
    assert token.document["replaced"] == [made["access_token"]]
    assert token.document["access_token"] != made["access_token"]
    assert set(token.simulator.live()) == {returned["fingerprint"], made["fingerprint"]}
    assert operations(token.simulator)[:5] == ["refresh", *ONE_LIVE_TOKEN]


def test_next_run_finishes_a_revoke_that_failed(token: Token) -> None:
    token.simulator.configure(revoke_effective=False)
    made = token.hold(lifetime=200)
    token(revoke_replaced=True)
    token.simulator.configure(revoke_effective=True)
    token.simulator.forget_requests()
    returned = token(revoke_replaced=True)
    assert (returned["action"], returned["changed"]) == ("kept", True)
    assert returned["replaced"][0]["fingerprint"] == made["fingerprint"]
    assert token.simulator.live() == [returned["fingerprint"]]
    assert token.document["replaced"] == []
    assert operations(token.simulator) == ONE_LIVE_TOKEN
    assert token(revoke_replaced=True)["changed"] is False


def test_run_that_was_killed_before_the_revoke_is_finished(token: Token) -> None:
    older = token.simulator.mint_many(2)
    made = token.hold(replaced=older)
    returned = token(revoke_replaced=True, client_secret=None)
    assert [row["outcome"] for row in returned["replaced"]] == ["revoked", "revoked"]
    assert token.simulator.live() == [made["fingerprint"]]
    assert token.document["replaced"] == []
    assert len(token.simulator.requests("revoke")) == 2


def test_replaced_token_is_added_to_the_pending_ones(token: Token) -> None:
    older = token.simulator.mint()
    made = token.hold(lifetime=200, replaced=[older])
    returned = token(revoke_replaced=True)
    assert [row["fingerprint"] for row in returned["replaced"]] == [
        fingerprint(older),
        made["fingerprint"],
    ]
    assert token.simulator.live() == [returned["fingerprint"]]
    assert token.document["replaced"] == []
    assert len(token.simulator.requests("revoke")) == 2


def test_replaced_token_with_a_past_exp_is_revoked(token: Token) -> None:
    looks_dead = token.simulator.mint(claims={"exp": 1600000000})
    token.hold(replaced=[looks_dead])
    returned = token(revoke_replaced=True)
    assert returned["replaced"][0]["outcome"] == "revoked"
    assert not token.simulator.accepts(looks_dead)
    assert operations(token.simulator) == ONE_LIVE_TOKEN


def test_file_without_its_replaced_tokens_has_the_mode_asked_for(token: Token) -> None:
    token.hold(replaced=[token.simulator.mint()])
    returned = token(revoke_replaced=True, mode="0400")
    assert not returned.failed
    assert token.mode == 0o400
    assert len(token.simulator.writes()) == 1


def test_pending_tokens_survive_a_run_without_the_option(token: Token) -> None:
    older = token.simulator.mint()
    token.hold(lifetime=200, replaced=[older])
    returned = token()
    assert returned["action"] == "refreshed"
    assert token.document["replaced"] == [older]
    assert token.simulator.accepts(older)
    assert operations(token.simulator) == ["refresh"]


def test_only_dead_replaced_tokens_are_removed(token: Token) -> None:
    stubborn, other = token.simulator.mint_many(2)
    token.hold(replaced=[stubborn, other])
    mark = fingerprint(stubborn)
    token.simulator.fault("revoke", "status", status=403, times=0, fingerprint=mark)
    returned = token(revoke_replaced=True)
    assert returned.error == "not_retired"
    assert token.document["replaced"] == [stubborn]
    assert not token.simulator.accepts(other)
    assert token.simulator.accepts(token.document["access_token"])
    assert len(token.simulator.requests("revoke")) == 2


@pytest.mark.parametrize("how", ["refresh", "issue"])
def test_token_that_the_newer_session_ended_is_verified(token: Token, how: str) -> None:
    token.simulator.configure(sessions="single")
    made = token.hold(lifetime=200, **_first_tried(how))
    returned = token(revoke_replaced=True)
    assert returned["replaced"][0]["outcome"] == "already_revoked"
    assert returned["replaced"][0]["verified"] is True
    assert token.document["replaced"] == []
    assert not token.simulator.accepts(made["access_token"])
    assert operations(token.simulator) == [how, *ONE_DEAD_TOKEN]


def test_same_token_granted_again_is_not_revoked(token: Token) -> None:
    made = token.hold(lifetime=60)
    again = Grant(made["access_token"])
    token.monkeypatch.setattr(_issue, "grant_of", lambda _reading: again)
    returned = token(revoke_replaced=True)
    assert returned["action"] == "refreshed"
    assert token.document["replaced"] == []
    assert token.simulator.accepts(made["access_token"])
    assert operations(token.simulator) == ["refresh"]


def test_next_run_clears_a_list_that_could_not_be_written(token: Token) -> None:
    token.hold(replaced=[token.simulator.mint()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", _refuse)
        returned = token(revoke_replaced=True)
    assert not returned.failed
    assert returned["replaced"][0]["outcome"] == "revoked"
    assert "next run" in returned.warnings
    assert len(token.document["replaced"]) == 1
    assert token(revoke_replaced=True)["replaced"][0]["outcome"] == "already_revoked"
    assert token.document["replaced"] == []
    assert len(token.simulator.writes()) == 1


def _refuse(*_words: Any) -> int:
    raise OSError(28, "No space left on device")
