# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run without requests or PyJWT reports the missing library, or does not need it."""

from __future__ import annotations

import sys

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.doc_fragments import _connection

from .harness import Revoke
from .token_harness import Token

LIBRARIES = {"requests": "requests", "jwt": "PyJWT"}


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
@pytest.mark.parametrize(("name", "library"), LIBRARIES.items(), ids=LIBRARIES.values())
def test_missing_library_is_reported(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch, name: str, library: str, check: bool
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    module_result = revoke(*revoke.simulator.mint_many(3), check=check)
    assert module_result.error == "library_missing"
    assert module_result["msg"].startswith(
        f"Failed to import the required Python library ({library}) on "
    )
    assert sys.executable in module_result["msg"]
    assert "Traceback" not in module_result["msg"]
    assert revoke.simulator.requests() == []


def test_missing_urllib3_is_reported_as_requests(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "urllib3", None)
    module_result = revoke(revoke.simulator.mint())
    assert module_result.error == "library_missing"
    assert "(requests)" in module_result["msg"]
    assert revoke.simulator.requests() == []


def test_expired_token_is_skipped_without_requests(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    module_result = revoke(revoke.simulator.mint(age=7200, lifetime=3600), "this is no token")
    assert module_result.outcomes == ["expired", "malformed"]
    assert module_result.error == "malformed"
    assert revoke.simulator.requests() == []


def test_malformed_token_is_reported_without_pyjwt(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    module_result = revoke("this is no token")
    assert module_result.outcomes == ["malformed"]
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("dest", [True, False], ids=["into a file", "returned"])
def test_without_a_library_no_token_is_issued(
    token: Token, monkeypatch: pytest.MonkeyPatch, name: str, dest: bool
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    result = token(**({} if dest else {"dest": None}))
    assert result.error == "library_missing"
    assert token.simulator.requests() == []
    assert token.simulator.live() == []
    assert not token.dest.exists()


def test_libraries_are_documented_as_requirements() -> None:
    fragment = yaml.safe_load(_connection.ModuleDocFragment.DOCUMENTATION)
    assert sorted(fragment["requirements"]) == sorted(LIBRARIES.values())
