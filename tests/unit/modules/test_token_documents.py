# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation of nomba_token agrees with its code."""

from __future__ import annotations

import sys

import yaml

from ansible_collections.nomba.auth.plugins.module_utils import _errors
from ansible_collections.nomba.auth.plugins.module_utils._issue import _CAUSES
from ansible_collections.nomba.auth.plugins.modules import nomba_token

from .test_documents import ANSIBLES_OWN, VALUE
from .token_harness import Token

NAME = "nomba_token"


def test_documented_codes_of_nomba_token_are_those_it_can_produce() -> None:
    returned = yaml.safe_load(nomba_token.RETURN)
    codes = " ".join(returned["error"]["contains"]["code"]["description"])
    kinds = (
        _errors.InvalidOption,
        _errors.LibraryMissing,
        _errors.Locked,
        _errors.NoClearAnswer,
        _errors.NotSent,
        _errors.WrongAccount,
        _errors.NotWritten,
    )
    refusals = {code for code, __ in _CAUSES.values()} | {"refused"}
    assert set(VALUE.findall(codes)) == {kind.code for kind in kinds} | refusals | {"not_retired"}


def test_documented_results_of_nomba_token_are_what_is_returned(token: Token) -> None:
    returned = yaml.safe_load(nomba_token.RETURN)
    token.simulator.configure(revoke_effective=False)
    token.hold(lifetime=60)
    module_result = token(revoke_replaced=True, diff=True)
    assert set(module_result.result) - ANSIBLES_OWN == set(returned) - {"access_token"}
    assert set(module_result["replaced"][0]) == set(returned["replaced"]["contains"])
    assert set(module_result["error"]) == set(returned["error"]["contains"])
    handed_over = token(dest=None)
    assert set(handed_over.result) - ANSIBLES_OWN == set(returned) - {"replaced", "error"}
    assert len(token.simulator.requests("issue")) == 1


def test_documented_keys_of_the_file_are_in_it(token: Token) -> None:
    token()
    described = " ".join(
        yaml.safe_load(nomba_token.DOCUMENTATION)["options"]["dest"]["description"]
    )
    for key in ("access_token", "refresh_token", "expires_at"):
        assert f"RV(ignore:{key})" in described
        assert token.document[key]
    assert len(token.simulator.writes()) == 1


def test_missing_library_is_reported_before_an_issue(token: Token) -> None:
    token.monkeypatch.setitem(sys.modules, "requests", None)
    module_result = token()
    assert module_result.error == "library_missing"
    assert token.files == [".token.json.lock"]
    assert token.simulator.requests() == []
