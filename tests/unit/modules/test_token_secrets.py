# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nomba_token shows no part of a token or of the client secret."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.simulator.settings import OTHER_ACCOUNT_ID, SECOND_CLIENT_ID

from .canary import Canary, make_canary
from .harness import ModuleResult, capture_syslog
from .token_harness import Token

Situation = Callable[[Token, Canary], ModuleResult]


def _plain(**options: Any) -> Situation:
    return lambda token, _canary: token(**options)


def _faulty(on: str, kind: str, **how: Any) -> Situation:
    def situation(token: Token, _canary: Canary) -> ModuleResult:
        token.simulator.fault(on, kind, times=0, **how)
        return token(force=True, revoke_replaced=True)

    return situation


def _configured(**settings: Any) -> Situation:
    def situation(token: Token, _canary: Canary) -> ModuleResult:
        token.simulator.configure(**settings)
        return token(force=True, revoke_replaced=True)

    return situation


def _raising(token: Token, canary: Canary) -> ModuleResult:
    def send(*_words: Any, **_options: Any) -> None:
        raise requests.ConnectionError(" ".join((canary.token, canary.email, *canary.others)))

    token.monkeypatch.setattr(requests.Session, "send", send)
    return token(force=True)


def _unwritten(token: Token, _canary: Canary) -> ModuleResult:
    def replace(*_words: Any, **_options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    token.monkeypatch.setattr(os, "replace", replace)
    return token(force=True)


def _broken(token: Token, _canary: Canary) -> ModuleResult:
    token.dest.write_bytes(token.dest.read_bytes()[:-3])
    return token()


def _issued(token: Token, _canary: Canary) -> ModuleResult:
    token.dest.unlink()
    return token(diff=True)


SITUATIONS: dict[str, Situation] = {
    "kept": _plain(),
    "issued": _issued,
    "refreshed": _plain(force=True, diff=True),
    "retired": _plain(force=True, revoke_replaced=True, diff=True),
    "check": _plain(check=True, diff=True),
    "check and force": _plain(check=True, diff=True, force=True),
    "another client": _plain(client_id=SECOND_CLIENT_ID),
    "forbidden": _plain(account_id=OTHER_ACCOUNT_ID),
    "bad mode": _plain(mode="0644"),
    "bad owner": _plain(owner="no-such-user-here"),
    "broken file": _broken,
    "not written": _unwritten,
    "not retired": _configured(revoke_effective=False),
    "refresh refused": _configured(refresh_enabled=False),
    "wrong account": _configured(business_id=OTHER_ACCOUNT_ID),
    "echo of the refresh": _faulty("refresh", "echo"),
    "echo of the issue": _faulty("any", "echo"),
    "echo of the issue with 403": _faulty("any", "echo", status=403),
    "echo with success": _faulty("any", "echo", status=200),
    "echo of the revoke": _faulty("revoke", "echo"),
    "reset": _faulty("any", "reset"),
    "HTML": _faulty("any", "html"),
    "requests.ConnectionError": _raising,
}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_no_secret_of_a_stored_token_is_in_output_or_logs(
    token: Token, situation: Situation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lines = capture_syslog(token.monkeypatch)
    refresh = token.simulator.mint_pair()["refresh_token"]
    older = make_canary(token.simulator)
    canary = make_canary(token.simulator, token.simulator.client_secret, refresh, older.email)
    pair = {"access_token": canary.token, "refresh_token": refresh}
    token.write(pair, replaced=[older.token])
    result = situation(token, canary)
    seen = [result.output, *lines, caplog.text]
    assert canary.leaks(*seen) == []
    assert older.leaks(*seen) == []
    # This includes new tokens: every JWT begins with these letters.
    assert "eyJ" not in "".join(seen)


@pytest.mark.parametrize("fault", ["echo", "status"])
def test_written_tokens_are_not_in_the_result(token: Token, fault: str) -> None:
    token.hold(lifetime=60)
    token.simulator.fault("refresh", fault, status=403)
    result = token()
    new = Canary(token.document["access_token"], token.document["refresh_token"])
    assert new.leaks(result.output) == []
    assert token.document["refresh_token"] not in result.output
    assert [entry.operation for entry in token.simulator.requests()] == ["refresh", "issue"]


@pytest.mark.parametrize("to_file", [True, False], ids=["file", "returned"])
def test_secret_that_is_echoed_is_not_repeated(token: Token, to_file: bool) -> None:
    token.simulator.fault("issue", "echo", status=403)
    place: dict[str, Any] = {} if to_file else {"dest": None}
    result = token(**place)
    assert result.error == "forbidden"
    assert token.simulator.client_secret[:20] not in result.output
    assert len(token.simulator.requests("issue")) == 1
