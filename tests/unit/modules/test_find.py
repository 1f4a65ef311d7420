# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nomba_token_find returns the tokens of a host, where they are, and what was not read."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from ansible_collections.nomba.auth.plugins.modules import nomba_token_find
from tests.corpus.kinds import log
from tests.unit.core.token_factory import token

from .harness import run_module


def test_tokens_of_opened_files_are_returned_without_pyjwt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.setitem(sys.modules, "requests", None)
    (tmp_path / "app.log.gz").write_bytes(gzip.compress(log(token())))
    (tmp_path / "large").write_bytes(b"x" * 2000)
    (tmp_path / "excluded.log").write_text(token(n=1))
    options = {"sources": [str(tmp_path)], "exclude": ["*.log"], "max_file_size": "1K"}
    result = run_module(nomba_token_find.main, options, monkeypatch)
    assert result["tokens"] == [token()]
    ((place,),) = result["found_in"].values()
    assert place == {"path": f"{tmp_path}/app.log.gz", "line": 2}
    assert [row["path"] for row in result["unread"]] == [f"{tmp_path}/large"]
    counted = {name: result["summary"][name] for name in ("tokens", "archives", "excluded")}
    assert counted == {"tokens": 1, "archives": 1, "excluded": 1}
    assert result["changed"] is False


def test_size_without_meaning_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"sources": [str(tmp_path)], "max_file_size": "0"}
    assert run_module(nomba_token_find.main, options, monkeypatch).error == "invalid_option"
