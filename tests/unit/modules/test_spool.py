# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values that the tasks of a rotation pass to each other, and the lookup that returns them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from ansible import constants
from ansible.errors import AnsibleError, AnsibleLookupError
from cryptography.fernet import Fernet

from ansible_collections.nomba.auth.plugins.lookup import rotation_value
from ansible_collections.nomba.auth.plugins.plugin_utils import _spool
from ansible_collections.nomba.auth.plugins.plugin_utils._spool import Spool
from tests.unit.core.token_factory import token
from tests.unit.tables import each_row

SECRET = token(jti="a secret")


@pytest.fixture
def spool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Spool:
    """An empty spool in the temporary folder of a run."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(temporary_folder(tmp_path, "this")))
    return Spool.create()


def temporary_folder(tmp_path: Path, run: str) -> Path:
    """Create Ansible's temporary folder of a run."""
    folder = tmp_path / f"ansible-local-{run}"
    folder.mkdir()
    return folder


def files(spool: Spool) -> list[Path]:
    """Return the files of a spool."""
    return sorted(spool.folder.iterdir())


# Values


@each_row("value", [None, True, 0, "", SECRET, [1, "a"], {"access_token": SECRET}], ids=repr)
def test_value_is_returned_by_each_spool_with_its_handle(spool: Spool, value: Any) -> None:
    spool.put("name", value)
    assert Spool.opened(dict(spool.handle)).get("name", "default") == value


def test_value_is_replaced_and_removed(spool: Spool) -> None:
    spool.put("name", "first")
    spool.put("name", "second")
    assert spool.get("name") == "second"
    assert len(files(spool)) == 1
    spool.remove("name")
    spool.remove("name")
    assert (spool.get("name", "default"), files(spool)) == ("default", [])


@each_row(
    "name", ["credential", "evidence ../../etc", "evidence a/b", "x" * 5000, "é\n\0"], ids=repr
)
def test_any_name_is_a_file_of_the_folder(spool: Spool, name: str) -> None:
    spool.put(name, "value")
    assert spool.get(name) == "value"
    assert {path.parent for path in files(spool)} == {spool.folder}


# Confidentiality


def test_another_key_reads_nothing(spool: Spool) -> None:
    spool.put("credential", SECRET)
    other = Spool(str(spool.folder), Fernet.generate_key().decode())
    assert other.get("credential") is None
    assert other.get("credential", "default") == "default"


def test_each_run_has_a_key_and_a_folder_of_its_own(spool: Spool) -> None:
    other = Spool.create()
    assert other.handle["key"] != spool.handle["key"]
    assert other.folder != spool.folder
    assert other.folder.parent == spool.folder.parent


def test_file_contains_neither_value_nor_key(spool: Spool) -> None:
    spool.put("credential", {"access_token": SECRET})
    (file,) = files(spool)
    content = file.read_bytes()
    for text in (SECRET, SECRET.partition(".")[0], "access_token", spool.handle["key"]):
        assert text.encode() not in content
    assert "credential" not in file.name


def test_file_and_folder_are_private(spool: Spool) -> None:
    spool.put("credential", SECRET)
    assert [stat.S_IMODE(path.stat().st_mode) for path in files(spool)] == [0o600]
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700


def test_damaged_file_is_a_missing_value(spool: Spool) -> None:
    spool.put("name", "value")
    (file,) = files(spool)
    for content in (b"", b"x", file.read_bytes()[:-1], b"\xff" * 100):
        file.write_bytes(content)
        assert spool.get("name", "default") == "default"


def test_discarded_spool_leaves_nothing(spool: Spool) -> None:
    spool.put("credential", SECRET)
    spool.discard()
    spool.discard()
    assert not spool.folder.exists()
    assert spool.get("credential") is None


def test_spools_of_dead_runs_are_removed(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spool.put("credential", SECRET)
    states = {"dead": "dead", "a/b.c/1": "dead", "alive": "alive", "elsewhere": "elsewhere"}
    left = {}
    for number, run in enumerate(states):
        other = temporary_folder(tmp_path, str(number))
        monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(other))
        monkeypatch.setattr(_spool, "this_run", lambda run=run: run)
        left[run] = Spool.create()
        left[run].put("credential", SECRET)
    (tmp_path / "ansible-local-0" / "nomba-other-file").touch()
    monkeypatch.setattr(_spool, "state_of", lambda run: states.get(run, "alive"))
    Spool.create()
    assert {run for run, one in left.items() if one.folder.exists()} == {"alive", "elsewhere"}
    assert spool.get("credential") == SECRET


@each_row("handle", [None, "", {}, {"folder": "x"}, {"key": "x"}, "folder key", ["folder", "key"]])
def test_task_without_handle_is_rejected(handle: Any) -> None:
    with pytest.raises(AnsibleError, match="was not started by its first task") as caught:
        Spool.opened(handle)
    assert "--start-at-task" in str(caught.value)


# The lookup


def look_up(*terms: str, run: Any = None) -> Any:
    """Return the result of the lookup."""
    lookup = rotation_value.LookupModule()
    lookup.set_options = lambda **_options: None
    lookup.get_option = lambda name, **_more: {"run": run}[name]
    (value,) = lookup.run(list(terms), variables={}, run=run)
    return value


def test_lookup_returns_credential_and_document(spool: Spool) -> None:
    spool.put("credential", {"access_token": SECRET})
    spool.put("document", "the document")
    assert look_up("credential", run=spool.handle) == {"access_token": SECRET}
    assert look_up("document", run=spool.handle) == "the document"


@each_row("name", ["credential", "document"])
def test_lookup_without_value_returns_an_empty_dictionary(spool: Spool, name: str) -> None:
    assert look_up(name, run=spool.handle) == {}
    spool.put(name, None)
    assert look_up(name, run=spool.handle) == {}


@each_row("terms", [(), ("state",), ("known",), ("credential", "document"), ("evidence a",)])
def test_lookup_returns_no_other_value(spool: Spool, terms: tuple[str, ...]) -> None:
    spool.put("state", SECRET)
    with pytest.raises(AnsibleLookupError, match="pass one of credential, document"):
        look_up(*terms, run=spool.handle)


def test_lookup_outside_of_a_rotation_is_rejected() -> None:
    with pytest.raises(AnsibleError, match="was not started by its first task"):
        look_up("credential", run={})


def test_token_is_masked_in_output(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr(rotation_value, "register_secrets", masked.extend)
    spool.put("credential", {"access_token": SECRET})
    look_up("credential", run=spool.handle)
    assert masked == [SECRET]
