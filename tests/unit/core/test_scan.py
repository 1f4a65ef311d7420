# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scanning options, files and folders for tokens, and listing unread files."""

from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils import _scan_sources
from ansible_collections.nomba.auth.plugins.module_utils._scan import (
    Location,
    ScanResult,
    scan,
    shown_path,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from tests.unit.tables import each_row

from .token_factory import ACCOUNT, SEED, claims, jwt, rs256, signed, token

pytestmark = pytest.mark.pure

ONE, TWO, THREE = (token(n=number) for number in range(1, 4))


def texts(scanned: ScanResult) -> list[str]:
    """Return the tokens, in order."""
    return [found.text for found in scanned.tokens]


def places(scanned: ScanResult, text: str) -> list[tuple[str, int | None]]:
    """Return the locations of a token: file names and lines."""
    return [(Path(place.path).name, place.line) for place in scanned.locations[fingerprint(text)]]


def scan_folder(*sources: Path) -> ScanResult:
    """Scan these sources."""
    return scan([], map(str, sources))


# Options


def test_tokens_of_options_keep_their_order() -> None:
    assert texts(scan([TWO, ONE, THREE], [])) == [TWO, ONE, THREE]


@each_row("again", [ONE, f" {ONE}\n", f"Bearer {ONE}", f"bearer  {ONE}"])
def test_duplicate_tokens_are_merged(again: str) -> None:
    scanned = scan([ONE, TWO, again], [])
    assert texts(scanned) == [ONE, TWO]
    assert scanned.locations == {fingerprint(ONE): [], fingerprint(TWO): []}


@each_row("text", ["invalid", rs256()], ids=["no JWT", "another service"])
def test_any_text_of_options_is_a_token(text: str) -> None:
    scanned = scan([text], [])
    assert texts(scanned) == [text]
    assert scanned.other_jwts == 0


def test_no_input_gives_empty_result() -> None:
    assert scan([], []) == ScanResult()


# Order and locations


def test_order_is_options_then_sources_then_names(tmp_path: Path) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "a").write_text(THREE)
    (tmp_path / "folder" / "b").write_text(TWO)
    (tmp_path / "folder" / "a").write_text(ONE)
    last = token(n=4)
    (tmp_path / "single").write_text(last)
    found = scan(["given"], [str(tmp_path / "single"), str(tmp_path / "folder")])
    assert texts(found) == ["given", last, ONE, TWO, THREE]


def test_folders_are_walked_in_order_of_their_names(tmp_path: Path) -> None:
    for name, text in (("c", THREE), ("a", ONE), ("b", TWO)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    assert texts(scan_folder(tmp_path)) == [ONE, TWO, THREE]


def test_token_in_options_and_files_is_merged_with_all_locations(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"\n{ONE}")
    (tmp_path / "b").write_text(f"{TWO}\n\n{ONE}")
    scanned = scan([ONE], [str(tmp_path)])
    assert texts(scanned) == [ONE, TWO]
    assert places(scanned, ONE) == [("a", 2), ("b", 3)]
    assert places(scanned, TWO) == [("b", 1)]


def test_file_is_one_location_with_first_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"first\n{ONE} {ONE}\n{TWO}\n{ONE}\n")
    scanned = scan_folder(tmp_path)
    assert places(scanned, ONE) == [("log", 2)]
    assert places(scanned, TWO) == [("log", 3)]


def test_location_has_whole_path(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(ONE)
    assert scan_folder(tmp_path).locations[fingerprint(ONE)] == [
        Location(str(tmp_path / "leak"), 1)
    ]


@each_row("chunk", [1, 7, 64, 300])
def test_result_is_independent_of_read_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    (tmp_path / "log").write_text(f"first\n{ONE}\n{TWO}\n")
    monkeypatch.setattr(_scan_sources, "_CHUNK", chunk)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE, TWO]
    assert (places(scanned, ONE), places(scanned, TWO)) == ([("log", 2)], [("log", 3)])


# Kinds of files


@each_row("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_token_is_found_in_usual_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "text").write_text(f"first\ntoken = {ONE}\n", encoding=encoding)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert places(scanned, ONE) == [("text", 2)]


def test_binary_file_is_scanned(tmp_path: Path) -> None:
    noise = bytes(range(256))
    (tmp_path / "core").write_bytes(noise + b"=" + ONE.encode() + b"\0" + noise)
    assert texts(scan_folder(tmp_path)) == [ONE]


def test_hidden_files_are_scanned(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / ".env").write_text(ONE)
    assert texts(scan_folder(tmp_path)) == [ONE]


def test_file_name_other_than_utf8_is_scanned(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff\n")).write_text(ONE)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert places(scanned, ONE) == [(r"\xff\x0a", 1)]


def test_jwts_of_other_services_are_counted_once(tmp_path: Path) -> None:
    other = rs256(b'{"iss":"another"}')
    (tmp_path / "a").write_text(f"{rs256()}\n{ONE}\n{rs256()}")
    (tmp_path / "b").write_text(f"{rs256()}\n{other}")
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.other_jwts == 2
    assert scanned.files == 2


def test_files_without_token_are_read_and_counted(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("nothing here")
    assert scan_folder(tmp_path) == ScanResult(files=2, bytes=12)


def test_empty_folder_gives_empty_result(tmp_path: Path) -> None:
    assert scan_folder(tmp_path) == ScanResult()


# Links, and files found twice


def test_source_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(ONE)
    scanned = scan_folder(tmp_path, tmp_path / "leak", tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.files == 1


def test_file_with_two_names_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "b").write_text(ONE)
    os.link(tmp_path / "b", tmp_path / "c")
    (tmp_path / "a").symlink_to("b")
    scanned = scan_folder(tmp_path)
    assert scanned.files == 1
    assert places(scanned, ONE) == [("a", 1)]


def test_link_to_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(ONE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("../elsewhere")
    assert places(scan_folder(tmp_path / "folder"), ONE) == [("link", 1)]


def test_link_to_folder_is_followed_only_as_source(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "leak").write_text(ONE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "elsewhere")
    assert scan_folder(tmp_path / "folder") == ScanResult()
    assert texts(scan_folder(tmp_path / "folder" / "link")) == [ONE]


def test_folder_that_links_to_itself_is_walked_once(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "again").symlink_to(tmp_path)
    (tmp_path / "below" / "leak").write_text(ONE)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert (scanned.files, scanned.unread) == (1, [])


# Unreadable sources


def missing(folder: Path) -> Path:
    """Return the path of a missing file."""
    return folder / "missing"


def below_a_file(folder: Path) -> Path:
    """Return a path below a file."""
    (folder / "file").touch()
    return folder / "file" / "below"


def dangling(folder: Path) -> Path:
    """Create a broken link."""
    (folder / "link").symlink_to("missing")
    return folder / "link"


def link_to_itself(folder: Path) -> Path:
    """Create a link to itself."""
    (folder / "link").symlink_to("link")
    return folder / "link"


def too_long(folder: Path) -> Path:
    """Return a name above the limit of the file system."""
    return folder / ("x" * 300)


def pipe(folder: Path) -> Path:
    """Create a pipe, which blocks a reader."""
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


UNREADABLE = {
    missing: os.strerror(errno.ENOENT),
    below_a_file: os.strerror(errno.ENOTDIR),
    dangling: os.strerror(errno.ENOENT),
    link_to_itself: os.strerror(errno.ELOOP),
    too_long: os.strerror(errno.ENAMETOOLONG),
    pipe: "it is neither a file nor a folder",
}


@pytest.mark.parametrize(
    ("make", "reason"), UNREADABLE.items(), ids=lambda it: getattr(it, "__name__", "")
)
def test_unreadable_source_is_listed_and_others_are_read(
    tmp_path: Path, make: Any, reason: str
) -> None:
    (tmp_path / "leak").write_text(ONE)
    source = make(tmp_path)
    scanned = scan_folder(source, tmp_path / "leak")
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(str(source), reason)]


@each_row("source", ["a\0b", "\ud800"], ids=["NUL", "surrogate"])
def test_invalid_source_name_is_listed_as_unread(tmp_path: Path, source: str) -> None:
    (tmp_path / "leak").write_text(ONE)
    scanned = scan([], [source, str(tmp_path)])
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(shown_path(source), "it cannot be read")]


@each_row("source", ["", " ", "\n"], ids=["empty", "space", "newline"])
def test_empty_source_is_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "leak").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    scanned = scan([], [source])
    assert texts(scanned) == []
    assert [path for path, reason in scanned.unread] == [shown_path(source)]


@pytest.mark.parametrize("make", [dangling, link_to_itself], ids=["dangling", "to itself"])
def test_broken_link_in_folder_is_listed_as_unread(tmp_path: Path, make: Any) -> None:
    (tmp_path / "leak").write_text(ONE)
    link = make(tmp_path)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(str(link), UNREADABLE[make])]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the opened paths."""
    paths: list[str] = []
    open_ = os.open

    def note(path: str, *how: Any) -> int:
        paths.append(path)
        return open_(path, *how)

    monkeypatch.setattr(os, "open", note)
    return paths


def test_pipe_in_folder_is_not_opened(tmp_path: Path, opened: list[str]) -> None:
    pipe(tmp_path)
    assert scan_folder(tmp_path) == ScanResult()
    assert opened == []


def test_file_replaced_with_pipe_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_text(ONE)
    file = (tmp_path / "log").stat()
    (tmp_path / "log").unlink()
    os.mkfifo(tmp_path / "log")
    monkeypatch.setattr(os, "stat", lambda *_args, **_options: file)
    scanned = scan_folder(tmp_path / "log")
    assert texts(scanned) == []
    assert scanned.unread == [(str(tmp_path / "log"), "it is neither a file nor a folder")]


def test_file_without_permission_is_listed_as_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = os.open

    def refuse(path: str, *how: Any) -> int:
        if Path(path).name == "secret":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return open_(path, *how)

    (tmp_path / "secret").write_text(ONE)
    (tmp_path / "leak").write_text(TWO)
    monkeypatch.setattr(os, "open", refuse)
    scanned = scan_folder(tmp_path)
    assert (texts(scanned), scanned.files) == ([TWO], 1)
    assert scanned.unread == [(str(tmp_path / "secret"), os.strerror(errno.EACCES))]


def test_folder_without_permission_is_listed_as_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def refuse(folder: str) -> Any:
        if Path(folder).name == "secret":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return listed(folder)

    (tmp_path / "secret").mkdir()
    (tmp_path / "leak").write_text(ONE)
    monkeypatch.setattr(os, "scandir", refuse)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(str(tmp_path / "secret"), os.strerror(errno.EACCES))]


def test_entries_listed_before_error_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leak").write_text(ONE)
    scandir = os.scandir

    @contextmanager
    def break_off(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        def listed() -> Iterator[os.DirEntry[str]]:
            yield from entries
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with scandir(folder) as entries:
            yield listed()

    monkeypatch.setattr(os, "scandir", break_off)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(str(tmp_path), os.strerror(errno.EIO))]


def reading(monkeypatch: pytest.MonkeyPatch, *chunks: bytes | OSError) -> None:
    """Replace the chunks read from any file; raise an error among them."""
    results = itertools.chain(chunks, itertools.repeat(b""))
    monkeypatch.setattr(os, "read", Mock(side_effect=results))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(), "it cannot be read"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (
            BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
            "reading it would block until another process writes to it",
        ),
    ],
    ids=["no message", "disk error", "would block"],
)
def test_tokens_found_before_read_error_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    (tmp_path / "log").touch()
    reading(monkeypatch, f"{ONE} and more".encode(), error)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(str(tmp_path / "log"), reason)]


def test_all_files_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_text(ONE)
    pipe(tmp_path)
    before = set(Path("/proc/self/fd").iterdir())
    scan_folder(tmp_path)
    reading(monkeypatch, OSError())
    scan_folder(tmp_path)
    assert set(Path("/proc/self/fd").iterdir()) == before


# Endless files


def test_growing_file_is_read_up_to_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.write_text(f"{ONE}\n")
    read = os.read

    def read_and_write(descriptor: int, size: int) -> bytes:
        with log.open("a") as stream:
            stream.write("x" * 1023 + "\n")
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", read_and_write)
    monkeypatch.setattr(_scan_sources, "_MAX_GROWTH", 100_000)
    monkeypatch.setattr(_scan_sources, "_SMALL", 0)  # small files are read at once
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert [path for path, reason in scanned.unread if "it did not end" in reason] == [str(log)]


def test_slightly_growing_file_is_read_completely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").touch()
    reading(monkeypatch, f"{ONE}\n".encode(), f"{TWO}\n".encode())
    scanned = scan_folder(tmp_path)
    assert (texts(scanned), scanned.unread) == ([ONE, TWO], [])


def test_file_of_impossible_size_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "core").write_text(ONE)
    (tmp_path / "log").write_text(TWO[:100])
    monkeypatch.setattr(_scan_sources, "_MAX_SIZE", len(ONE) - 1)
    scanned = scan_folder(tmp_path)
    assert scanned.files == 1
    ((path, reason),) = scanned.unread
    assert path == str(tmp_path / "core")
    assert "more than 64 TiB" in reason


def test_holes_of_sparse_file_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terabyte = 1024**4
    with (tmp_path / "sparse").open("wb") as stream:
        stream.write(f"{ONE}\n".encode())
        stream.seek(terabyte)
        stream.write(f"\n{TWO}".encode())
        stream.truncate(3 * terabyte)
    sizes: list[int] = []
    read = os.read

    def count(descriptor: int, size: int) -> bytes:
        chunk = read(descriptor, size)
        sizes.append(len(chunk))
        return chunk

    monkeypatch.setattr(os, "read", count)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE, TWO]
    assert places(scanned, TWO) == [("sparse", 3)]
    assert scanned.unread == []
    assert sum(sizes) < 10 * 1024**2


def test_proc_file_of_size_zero_is_read() -> None:
    assert Path("/proc/self/environ").stat().st_size == 0
    child = subprocess.Popen(
        ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"NOMBA_ACCESS_TOKEN": ONE}
    )
    with child as process:
        source = f"/proc/{process.pid}/environ"
        process.stdin.write(b"ready")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        process.stdout.read(5)  # type: ignore[union-attr]
        scanned = scan([], [source])
        process.communicate()
    assert (texts(scanned), scanned.unread) == ([ONE], [])


# Containers


def test_container_that_is_not_opened_is_scanned_raw_and_unread(tmp_path: Path) -> None:
    (tmp_path / "logs").write_bytes(b"7z\xbc\xaf\x27\x1c\0\x04" + ONE.encode())
    scanned = scan_folder(tmp_path)
    assert (texts(scanned), scanned.archives) == ([ONE], 0)
    assert [(Path(path).name, reason.split(",")[0]) for path, reason in scanned.unread] == [
        ("logs", "it is an archive (7z)"),
    ]


def test_container_is_detected_by_content_not_name(tmp_path: Path) -> None:
    (tmp_path / "app.log.gz").write_text(ONE)
    scanned = scan_folder(tmp_path)
    assert (texts(scanned), scanned.unread) == ([ONE], [])


# Truncated tokens


def test_truncated_token_is_listed_with_location(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"\ntoken={ONE[:-5]}\n")
    scanned = scan_folder(tmp_path)
    (found,) = scanned.tokens
    assert not found.well_formed
    assert places(scanned, found.text) == [("log", 2)]


@pytest.mark.parametrize("where", ["before", "behind", "given"])
@pytest.mark.parametrize("cut", [1, 30, 43, 44], ids=["1", "30", "no signature", "no dot"])
def test_prefix_of_known_token_is_location_of_whole_token(
    tmp_path: Path, where: str, cut: int
) -> None:
    prefix, whole = ("b", "a") if where == "behind" else ("a", "b")
    (tmp_path / prefix).write_text(f"\n{ONE[:-cut]}\n")
    (tmp_path / whole).write_text("" if where == "given" else ONE)
    scanned = scan([ONE] if where == "given" else [], [str(tmp_path)])
    assert texts(scanned) == [ONE]
    in_files = set() if where == "given" else {(whole, 1)}
    assert set(places(scanned, ONE)) == {(prefix, 2), *in_files}


def test_ambiguous_prefix_is_separate_token(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"{ONE}\n{TWO}\n{ONE[:150]}\n")
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE, TWO, ONE[:150]]
    assert [found.well_formed for found in scanned.tokens] == [True, True, False]


def test_truncated_token_with_another_signature_is_separate_token(tmp_path: Path) -> None:
    head, __, signature = ONE.rpartition(".")
    other = f"{head}.{signature[::-1][:-5]}"
    (tmp_path / "a").write_text(f"{ONE}\n{other}\n")
    assert texts(scan_folder(tmp_path)) == [ONE, other]


def test_truncated_token_of_options_stays_separate(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"{ONE}\n{ONE[:-5]}\n")
    assert texts(scan([ONE[:-5]], [str(tmp_path)])) == [ONE[:-5], ONE]


# Paths


def test_token_in_path_is_found_and_redacted(tmp_path: Path) -> None:
    (tmp_path / ONE / "below").mkdir(parents=True)
    (tmp_path / ONE / "below" / f"x{TWO}.log").write_text(f"\n{TWO}{THREE}")
    marks = [fingerprint(text) for text in (ONE, TWO, THREE)]
    scanned = scan_folder(tmp_path)
    folder = f"{tmp_path}/{marks[0]}"
    log = f"{folder}/below/x{marks[1]}.log"
    assert texts(scanned) == [ONE, TWO, THREE]
    assert scanned.locations[marks[0]] == [Location(folder, None)]
    assert scanned.locations[marks[1]] == [Location(log, None), Location(log, 2)]
    assert scanned.locations[marks[2]] == [Location(log, 2)]


@each_row("source", ["/missing/{}/x", "{}", "{}\0", "/dev/null/{}", "x{}\udcff"])
def test_token_in_path_of_unreadable_source_is_found(source: str) -> None:
    path = source.format(ONE)
    scanned = scan([], [path, path])
    assert texts(scanned) == [ONE]
    assert scanned.locations[fingerprint(ONE)] == [Location(shown_path(path), None)]
    assert [path for path, __ in scanned.unread] == [shown_path(path)] * 2
    assert fingerprint(ONE) in shown_path(path)


def test_token_in_name_of_unreadable_file_is_found(tmp_path: Path) -> None:
    (tmp_path / ONE).symlink_to("missing")
    os.mkfifo(tmp_path / TWO)
    scanned = scan_folder(tmp_path)
    assert sorted(texts(scanned)) == sorted([ONE, TWO])
    assert [path for path, __ in scanned.unread] == [f"{tmp_path}/{fingerprint(ONE)}"]


def test_token_in_link_target_is_found(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(f"{ONE}:8080")
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert places(scanned, ONE) == [("lock", None)]


def test_token_truncated_by_name_limit_is_malformed(tmp_path: Path) -> None:
    long = signed("HS512", 64, json.dumps({**claims(), "sub": "x" * 200}).encode())
    (tmp_path / long[:255]).touch()
    (found,) = scan_folder(tmp_path).tokens
    assert (found.well_formed, found.accounts) == (False, (ACCOUNT,))


def test_jwt_of_another_service_in_path_is_counted_and_redacted(tmp_path: Path) -> None:
    other = jwt(b'{"iss":"x"}')
    (tmp_path / other).write_text(ONE)
    scanned = scan_folder(tmp_path)
    assert (texts(scanned), scanned.other_jwts) == ([ONE], 1)
    assert places(scanned, ONE) == [(fingerprint(other), 1)]


def test_address_in_path_is_redacted(tmp_path: Path) -> None:
    (tmp_path / "ada@bank.example").mkdir()
    (tmp_path / "ada@bank.example" / "log").write_text(ONE)
    (tmp_path / "ada@bank.example" / "link").symlink_to("missing")
    scanned = scan_folder(tmp_path)
    assert scanned.locations[fingerprint(ONE)] == [Location(f"{tmp_path}/<e-mail>/log", 1)]
    assert scanned.unread == [
        (f"{tmp_path}/<e-mail>/link", os.strerror(errno.ENOENT)),
    ]


@each_row(
    ("name", "shown"),
    [
        (b"\xff", r"\xff"),
        (b"a\n\x1b[31m", r"a\x0a\x1b[31m"),
        (rb"dev-sda\x2d1", r"dev-sda\\x2d1"),
        ("\u00e9".encode(), "\u00e9"),
        ("\u0085".encode(), r"\u0085"),
        (b"\x85", r"\x85"),
        ("\u202egol".encode(), r"\u202egol"),
    ],
)
def test_path_is_shown_as_utf8_on_one_line(name: bytes, shown: str) -> None:
    assert shown_path(os.fsdecode(b"/srv/" + name)) == f"/srv/{shown}"


# Bidirectional overrides and isolates; marks have the class of a letter.
BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
BIDI_MARKS = "\u061c\u200e\u200f"


def controls_terminal(character: str) -> bool:
    """Return whether a terminal interprets a character instead of showing it."""
    control = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
    return control or unicodedata.bidirectional(character) in BIDI_CONTROLS


@given(st.binary(max_size=30), st.binary(max_size=30))
@example("\u06dd".encode(), "\u202e\u2028\u200f".encode())
@example(b"\xad", "\xad".encode())
def test_different_paths_are_shown_differently(one: bytes, two: bytes) -> None:
    shown = [shown_path(os.fsdecode(path)) for path in (one, two)]
    assert [c for c in "".join(shown) if controls_terminal(c) or c in BIDI_MARKS] == []
    assert (shown[0] == shown[1]) is (one == two)


# Depth


def nest(top: Path, name: str, depth: int) -> None:
    """Create nested folders; the path of the deepest may be too long to open."""
    above = os.open(top, os.O_RDONLY)
    for __ in range(depth):
        os.mkdir(name, dir_fd=above)
        below = os.open(name, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    os.close(above)


def test_deeply_nested_folders_are_read(tmp_path: Path) -> None:
    depth = 1500
    nest(tmp_path, "d", depth)
    deepest = tmp_path.joinpath(*["d"] * depth)
    (deepest / "leak").write_text(ONE)
    try:
        scanned = scan_folder(tmp_path)
        assert (texts(scanned), scanned.unread) == ([ONE], [])
    finally:  # the cleanup of pytest recurses and would fail
        (deepest / "leak").unlink()
        os.removedirs(deepest)
        tmp_path.mkdir(exist_ok=True)


def test_folder_with_too_long_path_is_listed_as_unread(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(ONE)
    nest(tmp_path, "d" * 250, 20)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    ((path, reason),) = scanned.unread
    assert len(path) > 4000
    assert reason == os.strerror(errno.ENAMETOOLONG)


def test_stopped_scan_lists_unread_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scan_sources, "_SMALL", 0)  # small files are read at once
    first, second, third = (tmp_path / name for name in ("1", "2", "3"))
    for folder in (first, second, third):
        folder.mkdir()
        (folder / "a.log").write_text(SEED)
    stopped = iter(
        [False, False, False]
    )  # for the first file: when it is opened, and at each chunk
    found = scan([], [str(first), str(second), str(third)], lambda: next(stopped, True))
    assert [token.text for token in found.tokens] == [SEED]
    assert found.files == 2
    unread = dict(found.unread)
    assert set(unread) == {str(second), str(third)}
    assert all("stopped by a signal" in reason for reason in unread.values())
