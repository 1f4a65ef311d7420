# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode sends and writes nothing, and predicts the real run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.modules import nomba_token
from tests.simulator.settings import SECOND_CLIENT_ID

from .token_harness import Token

Situation = Callable[[Token], dict[str, Any]]


def _none(_token: Token) -> dict[str, Any]:
    return {}


def _good(token: Token) -> dict[str, Any]:
    token.hold()
    return {}


def _good_and_force(token: Token) -> dict[str, Any]:
    token.hold()
    return {"force": True}


def _due(token: Token) -> dict[str, Any]:
    token.hold(lifetime=60)
    return {}


def _due_without_refresh(token: Token) -> dict[str, Any]:
    token.hold(lifetime=60, refresh_token=None)
    return {}


def _wrong_mode(token: Token) -> dict[str, Any]:
    token.hold()
    token.dest.chmod(0o644)
    return {}


def _pending(token: Token) -> dict[str, Any]:
    token.hold(replaced=[token.simulator.mint()])
    return {"revoke_replaced": True}


def _pending_but_not_asked(token: Token) -> dict[str, Any]:
    token.hold(replaced=[token.simulator.mint()])
    return {}


def _other_client(token: Token) -> dict[str, Any]:
    token.hold(client_id=SECOND_CLIENT_ID)
    return {}


def _open_mode(token: Token) -> dict[str, Any]:
    token.hold()
    return {"mode": "0644"}


def _open_mode_without_a_file(_token: Token) -> dict[str, Any]:
    return {"mode": "u=rw,o=r"}


SITUATIONS: dict[str, Situation] = {
    "no file": _none,
    "good": _good,
    "good and force": _good_and_force,
    "due": _due,
    "due without refresh token": _due_without_refresh,
    "wrong mode": _wrong_mode,
    "pending": _pending,
    "pending, not asked": _pending_but_not_asked,
    "file of another client": _other_client,
    "open mode": _open_mode,
    "open mode, no file": _open_mode_without_a_file,
}


def _state(token: Token) -> list[Any]:
    paths = sorted(token.folder.iterdir())
    return [(path.name, path.read_bytes(), path.stat().st_mode) for path in paths]


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_check_mode_decides_like_the_run_that_follows(token: Token, situation: Situation) -> None:
    options = situation(token)
    before = _state(token)
    returned = token(check=True, diff=True, **options)
    assert _state(token) == before
    assert token.simulator.requests() == []
    real = token(**options)
    for name in ("changed", "action", "failed", "error"):
        assert returned.result.get(name) == real.result.get(name)


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_valid_token_is_reported_by_fingerprint_and_time(token: Token, check: bool) -> None:
    made = token.hold(expires_at="2026-01-13T17:38:20.512Z")
    token.monkeypatch.setattr(nomba_token, "SYSTEM", replace(SYSTEM, now=lambda: 1768322000.0))
    returned = token(check=check)
    assert returned["fingerprint"] == made["fingerprint"]
    assert returned["expires_at"] == "2026-01-13T17:38:20Z"
    assert returned["changed"] is False
    assert token.simulator.requests() == []


def test_without_a_file_check_mode_returns_no_token(token: Token) -> None:
    returned = token(check=True, dest=None)
    assert (returned["action"], returned["changed"]) == ("issued", True)
    assert {"access_token", "fingerprint"} & set(returned.result) == set()
    assert token.files == []
    assert token.simulator.requests() == []


def test_diff_shows_fingerprints_only(token: Token) -> None:
    made = token.hold(lifetime=60)
    returned = token(diff=True)
    assert set(returned["diff"]) == {"before", "after"}
    assert made["fingerprint"] in returned["diff"]["before"]
    assert returned["fingerprint"] in returned["diff"]["after"]
    assert "eyJ" not in returned.output
    assert len(token.simulator.writes()) == 1


@pytest.mark.parametrize("held", [False, True], ids=["no file", "good file"])
def test_diff_is_empty_without_a_file_or_a_change(token: Token, held: bool) -> None:
    if held:
        token.hold()
    returned = token(diff=True)
    assert bool(returned["diff"]["before"]) is held
    assert (returned["diff"]["before"] == returned["diff"]["after"]) is held
    assert len(token.simulator.writes()) == (not held)
