# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event filter: content of the file, content of the event, and rejected folders."""

from __future__ import annotations

import base64
import inspect
import json
import os
import runpy
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.module_utils import _token
from tests.simulator.control_client import ControlClient
from tests.unit.limits import file_size_limit
from tests.unit.tables import each_row

ROOT = Path(_token.__file__).parents[2]
# Loaded as by ansible-rulebook.
FILTER = runpy.run_path(str(ROOT / "extensions/eda/plugins/event_filter/spool_tokens.py"))


def spool(event: object, folder: Path) -> dict[str, Any]:
    """Return the event after the filter."""
    filtered = FILTER["main"](event, folder=str(folder))
    assert list(filtered) == ["nomba_alert"]
    return dict(filtered["nomba_alert"])


def test_token_is_found_in_any_field(simulator: ControlClient, tmp_path: Path) -> None:
    token, other, glued = simulator.mint_many(3)
    deep = [[{"a": {f"see {other}": None}}, 7, True], f"x{glued}.eyJ"]
    alert = spool({"payload": {"secret": token, "more": deep}, "meta": {}}, tmp_path / "new")
    found = _token.find_tokens([Path(alert["spool"]).read_bytes()])
    marks = {_token.fingerprint(one) for one in (token, other, glued)}
    assert {finding.token.fingerprint for finding in found} == marks
    assert set(alert["fingerprints"]) == marks


def test_filtered_event_contains_only_path_and_fingerprints(
    simulator: ControlClient, tmp_path: Path
) -> None:
    token = simulator.mint()
    event = {"payload": {"by": "ada@bank.example", "token": token}, "meta": {"headers": token}}
    alert = spool(event, tmp_path / "new")
    assert sorted(alert) == ["fingerprints", "spool"]
    assert alert["fingerprints"] == [_token.fingerprint(token)]
    assert "ada" not in Path(alert["spool"]).read_text(encoding="ascii")


def test_file_is_readable_by_its_owner_only(simulator: ControlClient, tmp_path: Path) -> None:
    alert = spool({"payload": simulator.mint()}, tmp_path / "new")
    path = Path(alert["spool"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_each_alert_has_its_file(simulator: ControlClient, tmp_path: Path) -> None:
    event = {"payload": simulator.mint()}
    paths = {spool(event, tmp_path / "new")["spool"] for __ in range(2)}
    assert len(paths) == 2


def _with_header(token: str, fields: dict[str, object], signature: int) -> str:
    """Return the token with another header and a signature of this length."""
    header = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}.{'A' * signature}"


CHANGES: dict[str, Callable[[str], str]] = {
    "HS256": str,
    "HS384": lambda token: _with_header(token, {"alg": "HS384"}, 64),
    "RS256": lambda token: _with_header(token, {"alg": "RS256"}, 342),
    "ES512, adjacent text": lambda token: f"x{_with_header(token, {'alg': 'ES512'}, 176)}_and_more",
    "no alg": lambda token: _with_header(token, {"kid": 1}, 50),
    "long header": lambda token: _with_header(token, {"alg": "HS256", "kid": "k" * 900}, 43),
    "unsigned": lambda token: _with_header(token, {"alg": "none"}, 0),
    "truncated": lambda token: token[:-3],
    "no signature": lambda token: token.rpartition(".")[0],
    "an ellipsis": lambda token: token.rpartition(".")[0] + "...",
    "half a payload": lambda token: token[:200],
    "no start of header": lambda token: token[4:],
    "two": lambda token: f"{token}{token[:300]}",
    "half, and another": lambda token: f"{token[:150]}{token}",
}


@each_row("change", CHANGES.values(), ids=CHANGES.keys())
def test_file_contains_tokens_that_modules_find_in_alert(
    simulator: ControlClient, tmp_path: Path, change: Callable[[str], str]
) -> None:
    text = change(simulator.mint())
    alert = spool({"payload": {"secret": f"see '{text}'"}}, tmp_path / "new")
    found = [
        list(_token.find_tokens([data]))
        for data in (text.encode(), Path(alert["spool"]).read_bytes())
    ]
    assert [one.token for one in found[1]] == [one.token for one in found[0]]
    assert set(alert["fingerprints"]) == {one.token.fingerprint for one in found[0]}
    assert found[0]


@each_row("payload", [None, [], {"a": 1.5}, "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.cut"])
def test_alert_without_token_writes_no_file(payload: object, tmp_path: Path) -> None:
    assert spool({"payload": payload}, tmp_path / "new") == {"fingerprints": []}
    assert not (tmp_path / "new").exists()


def test_folder_readable_by_others_is_rejected(simulator: ControlClient, tmp_path: Path) -> None:
    token = simulator.mint()
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(PermissionError, match=r"folder: .*mode 0700") as raised:
        spool({"payload": token}, tmp_path / "open")
    assert token not in str(raised.value)
    assert not list((tmp_path / "open").iterdir())


def test_link_as_folder_is_rejected(simulator: ControlClient, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError):
        spool({"payload": simulator.mint()}, tmp_path / "link")
    assert not list((tmp_path / "real").iterdir())


@pytest.mark.parametrize("is_own", [True, False], ids=["own", "of another user"])
def test_only_link_of_same_owner_is_followed_above_folder(
    simulator: ControlClient, tmp_path: Path, is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    event = {"payload": simulator.mint()}
    if is_own:
        # The path is resolved: a later change of the link does not affect its readers.
        alert = spool(event, link / "new")
        assert Path(alert["spool"]).parent == tmp_path.resolve() / "real" / "new"
        return
    if os.geteuid() == 0:
        os.chown(link, 65534, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(PermissionError, match="folder: other users can write"):
        spool(event, link / "new")
    assert not list((tmp_path / "real").iterdir())


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_folder_below_writable_folder_is_rejected(
    simulator: ControlClient, tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app").chmod(mode)
    if mode == 0o770:
        monkeypatch.setattr(os, "getegid", lambda: 4242)
        if os.getgid() == 0:
            os.chown(tmp_path / "app", -1, 4243)
    token = simulator.mint()
    with pytest.raises(PermissionError, match=r"folder: other users can write .*/app") as raised:
        spool({"payload": token}, tmp_path / "app" / "new")
    assert token not in str(raised.value)
    assert not list((tmp_path / "app").iterdir())


def test_full_disk_leaves_no_partial_file(simulator: ControlClient, tmp_path: Path) -> None:
    event = {"payload": simulator.mint()}
    with file_size_limit(100), pytest.raises(OSError, match="File too large"):
        spool(event, tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    assert Path(spool(event, tmp_path / "new")["spool"]).stat().st_size > 100


def test_documented_default_is_used() -> None:
    options = yaml.safe_load(FILTER["DOCUMENTATION"])["options"]
    signature = inspect.signature(FILTER["main"])
    assert list(options) == list(signature.parameters)[1:]
    assert options["folder"]["default"] == signature.parameters["folder"].default
