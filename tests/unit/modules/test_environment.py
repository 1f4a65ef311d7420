# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environment variables are a fallback for options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.simulator.settings import OTHER_ACCOUNT_ID
from tests.simulator.tokens import fingerprint

from .harness import Revoke
from .request_log import ONE_LIVE_TOKEN, operations


@pytest.mark.parametrize("form", ["{}", " Bearer {}\n"], ids=["plain", "with Bearer"])
def test_token_can_come_from_the_environment(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    token = revoke.simulator.mint()
    monkeypatch.setenv("NOMBA_ACCESS_TOKEN", form.format(token))
    result = revoke()
    assert result.outcomes == ["revoked"]
    assert token not in result.output
    assert not revoke.simulator.accepts(token)


@pytest.mark.parametrize("way", ["access_token", "access_tokens", "sources"])
def test_given_token_overrides_the_environment(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    given, in_environment = revoke.simulator.mint_many(2)
    monkeypatch.setenv("NOMBA_ACCESS_TOKEN", in_environment)
    (tmp_path / "log").write_text(given)
    ways: dict[str, Any] = {
        "access_token": given,
        "access_tokens": [given],
        "sources": [str(tmp_path)],
    }
    result = revoke(**{way: ways[way]})
    assert result.row["fingerprint"] == fingerprint(given)
    assert revoke.simulator.live() == [fingerprint(in_environment)]
    assert revoke.simulator.requests(fingerprint=fingerprint(in_environment)) == []


def test_source_without_tokens_overrides_the_environment(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOMBA_ACCESS_TOKEN", revoke.simulator.mint())
    result = revoke(sources=[str(tmp_path)])
    assert result["results"] == []
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("empty", ["", "  "], ids=["empty", "white space"])
def test_empty_variable_is_no_token(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    monkeypatch.setenv("NOMBA_ACCESS_TOKEN", empty)
    result = revoke()
    assert result.error == "no_token"
    assert "set the complete token" in result["msg"]
    assert revoke.simulator.requests() == []


def test_connection_can_come_from_the_environment(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOMBA_BASE_URL", revoke.simulator.url)
    monkeypatch.setenv("NOMBA_ACCOUNT_ID", revoke.simulator.account_id)
    monkeypatch.setenv("NOMBA_CLIENT_ID", revoke.simulator.client_id)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", revoke.simulator.ca_path)
    result = revoke(
        revoke.simulator.mint(), api_url=None, account_id=None, client_id=None, ca_path=None
    )
    assert result.outcomes == ["revoked"]
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN


def test_options_override_the_environment(revoke: Revoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMBA_BASE_URL", "https://192.0.2.1")
    monkeypatch.setenv("NOMBA_ACCOUNT_ID", OTHER_ACCOUNT_ID)
    monkeypatch.setenv("NOMBA_CLIENT_ID", OTHER_ACCOUNT_ID)
    result = revoke(revoke.simulator.mint())
    assert result.outcomes == ["revoked"]
    assert {e.account_id for e in revoke.simulator.requests()} == {revoke.simulator.account_id}
