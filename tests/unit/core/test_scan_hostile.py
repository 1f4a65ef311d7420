# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that try to exhaust a scan, or that it cannot open: each is listed with its reason."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils import _scan_archives
from ansible_collections.nomba.auth.plugins.module_utils._scan import (
    Location,
    ScanOptions,
    scan,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_archives import (
    Budget,
    Place,
    search_content,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_text import (
    PackedFinding,
    search_text,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from tests.corpus.hostile import LIMIT, WITH_TOKEN, WITHOUT_TOKEN, Hostile, write_tree
from tests.corpus.kinds import ARCHIVES, COMPRESSED, KINDS, Kind, tar
from tests.unit.tables import each_row

from .token_factory import token

pytestmark = pytest.mark.pure

TOKEN = token(iat=1_800_000_000, exp=1_800_003_600)
MIB = 1024 * 1024


def check(tmp_path: Path, one: Hostile) -> list[str]:
    """Scan a hostile file; return the complete tokens."""
    file = tmp_path / "file"
    file.write_bytes(one.content(TOKEN))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_scan_archives, "_MIN_UNPACKED", LIMIT)
        scanned = scan([], [str(file)])
    assert 1 <= len(scanned.unread) <= 21, scanned.unread
    assert all(path.startswith(str(file)) for path, __ in scanned.unread)
    for part in one.reasons:
        assert any(part in reason for __, reason in scanned.unread), scanned.unread
    return [token.text for token in scanned.tokens if token.well_formed]


@each_row("one", WITH_TOKEN, ids=[one.name for one in WITH_TOKEN])
def test_damaged_file_is_unread_and_read_as_far_as_possible(tmp_path: Path, one: Hostile) -> None:
    assert check(tmp_path, one) == [TOKEN]


@pytest.mark.parametrize("one", WITHOUT_TOKEN, ids=[one.name for one in WITHOUT_TOKEN])
def test_hostile_file_is_unread(tmp_path: Path, one: Hostile) -> None:
    assert check(tmp_path, one) == []


def test_hostile_tree_is_read(tmp_path: Path) -> None:
    write_tree(tmp_path, TOKEN)
    scanned = scan([], [str(tmp_path)])
    assert [one.text for one in scanned.tokens] == [TOKEN]
    assert scanned.unread == []
    assert scanned.files == 10


class Nobody:
    """A visitor that reads everything and keeps nothing."""

    def text(self, _place: Place, chunks: Iterator[bytes]) -> Iterator[bytes | None]:
        """Read a text."""
        for one in search_text(chunks):
            if isinstance(one, PackedFinding):
                yield one.content

    def member(self, place: Place, _name: bytes) -> Place:
        """Return the same place."""
        return place

    def unread(self, _place: Place, _reason: str) -> None:
        """Do nothing."""

    def archive(self) -> None:
        """Do nothing."""


SAMPLES = [kind.content(TOKEN) for kind in (*COMPRESSED, *ARCHIVES)]


@given(st.sampled_from(SAMPLES), st.data())
def test_any_damage_ends_without_an_exception(sample: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sample[: data.draw(st.integers(0, len(sample)))])
    for __ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    search_content(Place("file"), [bytes(damaged)], Nobody(), Budget(8 * MIB))


@given(st.sampled_from(SAMPLES), st.integers(1, 3000))
def test_archive_in_chunks_of_any_size_is_read(sample: bytes, size: int) -> None:
    found: list[str] = []

    class Finder(Nobody):
        def text(self, _place: Place, chunks: Iterator[bytes]) -> Iterator[bytes | None]:
            for one in search_text(chunks):
                if isinstance(one, PackedFinding):
                    yield one.content
                else:
                    found.append(one.token.text)

        def unread(self, _place: Place, reason: str) -> None:
            raise AssertionError(reason)

    chunks = (sample[i : i + size] for i in range(0, len(sample), size))
    search_content(Place("file"), chunks, Finder(), Budget(8 * MIB))
    assert found == [TOKEN]


def test_zstd_without_library_is_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_memory: int) -> None:
        raise ImportError

    (tmp_path / "a.zst").write_bytes(bytes.fromhex("28b52ffd2006310000616263646566"))
    monkeypatch.setitem(_scan_archives._DECOMPRESSORS, "zstd", missing)  # type: ignore[arg-type]
    ((path, reason),) = scan([], [str(tmp_path)]).unread
    assert (path, "zstd" in reason) == (str(tmp_path / "a.zst"), True)


def test_repetitive_log_is_no_bomb(tmp_path: Path) -> None:
    one = b"2026-01-13T10:00:00.000Z INFO health check ok\n" * 100_000
    for kind in COMPRESSED[:4]:
        (tmp_path / kind.name).write_bytes(kind.content(TOKEN + "\n" + one.decode()))
    assert scan([], [str(tmp_path)]).unread == []


# What a user leaves out


@each_row(
    ("globs", "left"),
    [
        ([], {"a.log", "b.txt", "c/a.log", "c/d.pdf"}),
        (["*.log"], {"b.txt", "c/d.pdf"}),
        (["c"], {"a.log", "b.txt"}),
        (["c/"], {"a.log", "b.txt"}),
        (["*/c/*.log"], {"a.log", "b.txt", "c/d.pdf"}),
        (["*.log", "*.pdf"], {"b.txt"}),
        (["[ab].*"], {"c/d.pdf"}),
    ],
)
def test_excluded_files_are_not_read_and_counted(
    tmp_path: Path, globs: list[str], left: set[str]
) -> None:
    (tmp_path / "x" / "c").mkdir(parents=True, exist_ok=True)
    names = ["a.log", "b.txt", "c/a.log", "c/d.pdf"]
    for number, name in enumerate(names):
        (tmp_path / "x" / name).write_text(token(n=number))
    scanned = scan([], [str(tmp_path / "x")], options=ScanOptions(exclude=tuple(globs)))
    found = {place.path for places in scanned.locations.values() for place in places}
    assert found == {str(tmp_path / "x" / name) for name in left}
    assert scanned.unread == []
    assert (scanned.excluded > 0) is (left != set(names))


def test_excluded_members_of_archives_are_not_read(tmp_path: Path) -> None:
    for kind in ARCHIVES:
        (tmp_path / kind.name.replace("/", "-")).write_bytes(kind.content(TOKEN))
    options = ScanOptions(exclude=("*log",))
    scanned = scan([], [str(tmp_path)], options=options)
    assert (scanned.tokens, scanned.unread) == ([], [])
    assert scanned.excluded >= len(ARCHIVES)


def test_source_that_is_named_is_never_excluded(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(TOKEN)
    options = ScanOptions(exclude=("*.log", "*"))
    assert len(scan([], [str(tmp_path / "a.log")], options=options).tokens) == 1


def test_larger_file_is_unread(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000 + TOKEN.encode())
    (tmp_path / "b").write_text(token(n=1))
    scanned = scan([], [str(tmp_path)], options=ScanOptions(max_file_size=1000))
    assert [one.text for one in scanned.tokens] == [token(n=1)]
    assert scanned.unread == [
        (str(tmp_path / "a"), "it is larger than max_file_size (1000 bytes) and was not read")
    ]


def test_token_in_the_name_of_a_member_is_found_and_redacted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(tar("none", form=tarfile.PAX_FORMAT, name=f"dir/{TOKEN}"))
    scanned = scan([], [str(tmp_path)])
    mark = fingerprint(TOKEN)
    assert scanned.locations == {mark: [Location(f"{tmp_path}/a!dir/{mark}", None)]}


def test_all_kinds_in_one_archive_are_found(tmp_path: Path) -> None:
    kinds: list[Kind] = [kind for kind in KINDS if kind.name != "journal"]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for number, kind in enumerate(kinds):
            data = kind.content(token(n=number, exp=1_800_003_600))
            member = tarfile.TarInfo(f"{number}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    (tmp_path / "all.tgz").write_bytes(stream.getvalue())
    scanned = scan([], [str(tmp_path)])
    assert (len(scanned.tokens), scanned.unread) == (len(kinds), [])
    assert all("all.tgz!" in one[0].path for one in scanned.locations.values())
