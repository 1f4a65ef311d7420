# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code that the tests keep of packed modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import packed_modules


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(packed_modules, "FOLDER", str(tmp_path))
    return tmp_path


def _value(source: bytes, path: str = "/archive.zip/module.py") -> object:
    values: dict[str, object] = {}
    exec(packed_modules.compile_once(path, source), values)
    return values["value"]


def test_kept_code_is_that_of_the_same_source(folder: Path) -> None:
    assert [_value(b"value = 1"), _value(b"value = 2"), _value(b"value = 1")] == [1, 2, 1]
    assert len(list(folder.iterdir())) == 2


@pytest.mark.usefixtures("folder")
def test_kept_code_is_used_with_the_path_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    source = b"def path(): pass\nvalue = path.__code__.co_filename"
    _value(source, "/first.zip/module.py")
    monkeypatch.setattr(packed_modules, "_compile", None)
    assert _value(source, "/second.zip/module.py") == "/second.zip/module.py"


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_damaged_code_is_compiled_again(folder: Path, content: bytes) -> None:
    _value(b"value = 1")
    (kept,) = folder.iterdir()
    kept.write_bytes(content)
    assert _value(b"value = 1") == 1
    assert kept.read_bytes() != content


def test_folder_that_cannot_be_written_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_modules, "FOLDER", str(tmp_path / "missing"))
    assert _value(b"value = 1") == 1
