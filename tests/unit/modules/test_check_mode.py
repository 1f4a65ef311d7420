# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode sends no write and predicts the real run; diff mode shows the change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import OTHER_ACCOUNT_ID
from tests.simulator.tokens import fingerprint

from .harness import Revoke
from .request_log import controls, operations

Options = Mapping[str, Any]


def _live(simulator: ControlClient, _folder: Path) -> Options:
    return {"access_tokens": simulator.mint_many(3)}


def _expired(simulator: ControlClient, _folder: Path) -> Options:
    return {"access_token": simulator.mint(age=7200, lifetime=3600)}


def _expired_revoke(simulator: ControlClient, folder: Path) -> Options:
    return {**_expired(simulator, folder), "expired": "revoke"}


def _past_exp(simulator: ControlClient, _folder: Path) -> Options:
    return {"access_token": simulator.mint(claims={"exp": 1600000000}), "expired": "revoke"}


def _already_revoked(simulator: ControlClient, _folder: Path) -> Options:
    return {"access_token": simulator.mint(known=False)}


def _undated(simulator: ControlClient, _folder: Path) -> Options:
    return {"access_token": simulator.mint(claims={"exp": "soon"})}


def _malformed(simulator: ControlClient, _folder: Path) -> Options:
    return {"access_tokens": [simulator.mint(), "this is no token"]}


def _nothing(_simulator: ControlClient, folder: Path) -> Options:
    return {"sources": [str(folder)]}


def _scanned(simulator: ControlClient, folder: Path) -> Options:
    (folder / "app.log").write_text(f"GET /v1 Bearer {simulator.mint()} 200\n")
    return {"sources": [str(folder)]}


def _unread(simulator: ControlClient, folder: Path) -> Options:
    return {"sources": [str(folder / "missing")], "access_token": simulator.mint()}


def _sandbox(simulator: ControlClient, _folder: Path) -> Options:
    simulator.configure(sandbox=True)
    return {"access_token": simulator.mint()}


def _inconclusive(simulator: ControlClient, _folder: Path) -> Options:
    # With proof=required it depends on the probe after the revoke, which a check run does not send.
    simulator.fault("balance", "status", status=403, times=0)
    return {"access_token": simulator.mint(), "proof": "attempt"}


def _other_account(simulator: ControlClient, _folder: Path) -> Options:
    return {"access_token": simulator.mint(), "account_id": OTHER_ACCOUNT_ID}


def _dead_of_other_account(simulator: ControlClient, _folder: Path) -> Options:
    return {"access_token": simulator.mint(known=False), "account_id": OTHER_ACCOUNT_ID}


def _no_account(simulator: ControlClient, _folder: Path) -> Options:
    return {"access_token": simulator.mint(claims={f"G:{simulator.account_id}": None})}


def _mixed(simulator: ControlClient, folder: Path) -> Options:
    texts = [simulator.mint(), simulator.mint(known=False), "this is no token"]
    return {**_scanned(simulator, folder), "access_tokens": texts, "concurrency": 8}


SITUATIONS: dict[str, Callable[[ControlClient, Path], Options]] = {
    "live": _live,
    "expired": _expired,
    "expired: revoke": _expired_revoke,
    "past exp": _past_exp,
    "already revoked": _already_revoked,
    "undated": _undated,
    "malformed": _malformed,
    "nothing found": _nothing,
    "scanned": _scanned,
    "unread": _unread,
    "sandbox": _sandbox,
    "inconclusive": _inconclusive,
    "other account": _other_account,
    "dead token of another account": _dead_of_other_account,
    "no account": _no_account,
    "mixed": _mixed,
}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_check_run_predicts_the_real_run(
    revoke: Revoke, tmp_path: Path, situation: Callable[[ControlClient, Path], Options]
) -> None:
    options = situation(revoke.simulator, tmp_path)
    alive = revoke.simulator.live()
    checked = revoke(check=True, diff=True, **options)
    assert revoke.simulator.writes() == []
    assert revoke.simulator.live() == alive
    real = revoke(check=False, diff=True, **options)
    assert (checked.outcomes, checked["changed"]) == (real.outcomes, real["changed"])
    assert checked.result.get("error") == real.result.get("error")
    assert checked["diff"] == real["diff"]
    assert bool(revoke.simulator.writes()) is real["changed"]


def test_check_run_probes_once_and_revokes_nothing(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    returned = revoke(token, check=True)
    assert operations(revoke.simulator, fingerprint(token)) == ["balance"]
    assert operations(revoke.simulator) == ["balance", "balance"]
    assert len(controls(revoke.simulator)) == 1
    assert returned["msg"] == "Check mode: nothing was revoked. A real run: 1 token(s): 1 revoked."
    assert returned.row["reason"] == "it would be revoked: it is valid"
    assert (returned.row["verified"], returned.row["attempts"]) == (False, 0)
    assert returned.warnings == ""


def test_diff_shows_fingerprints_moving_from_live_to_revoked(revoke: Revoke) -> None:
    tokens = revoke.simulator.mint_many(2)
    expired = revoke.simulator.mint(age=7200, lifetime=3600)
    returned = revoke(*tokens, expired, diff=True)
    first, second = map(fingerprint, tokens)
    assert returned["diff"]["before"] == f"{first} live\n{second} live\n"
    assert returned["diff"]["after"] == f"{first} revoked\n{second} revoked\n"
    assert revoke.simulator.live() == []


@pytest.mark.parametrize("check", [True, False], ids=["check", "real"])
def test_diff_is_returned_in_diff_mode_only(revoke: Revoke, check: bool) -> None:
    returned = revoke(revoke.simulator.mint(), check=check)
    assert "diff" not in returned.result
    assert bool(revoke.simulator.writes()) is not check


def test_unchanged_state_is_an_empty_diff(revoke: Revoke) -> None:
    returned = revoke(revoke.simulator.mint(known=False), diff=True)
    assert returned["diff"] == {"before": "", "after": ""}
    assert returned["changed"] is False
    assert revoke.simulator.writes() == []
