# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gathering tokens from options, files and folders, and what is said of those unread."""

from __future__ import annotations

import errno
import gzip
import itertools
import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils import _scan
from ansible_collections.nomba.auth.plugins.module_utils._scan import (
    Location,
    ScanResult,
    scan,
    shown_path,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

from .token_factory import ACCOUNT, SEED, claims, jwt, rs256, signed, token

pytestmark = pytest.mark.pure

ONE, TWO, THREE = (token(n=number) for number in range(1, 4))


def texts(scanned: ScanResult) -> list[str]:
    """The tokens, in order."""
    return [found.text for found in scanned.tokens]


def places(scanned: ScanResult, text: str) -> list[tuple[str, int | None]]:
    """Where a token stands: names of files, and lines."""
    return [(Path(place.path).name, place.line) for place in scanned.locations[fingerprint(text)]]


def scan_folder(*sources: Path) -> ScanResult:
    """What these sources hold."""
    return scan([], map(str, sources))


# Options


def test_given_tokens_keep_their_order() -> None:
    assert texts(scan([TWO, ONE, THREE], [])) == [TWO, ONE, THREE]


@pytest.mark.parametrize("again", [ONE, f" {ONE}\n", f"Bearer {ONE}", f"bearer  {ONE}"])
def test_a_token_given_twice_is_one(again: str) -> None:
    scanned = scan([ONE, TWO, again], [])
    assert texts(scanned) == [ONE, TWO]
    assert scanned.locations == {fingerprint(ONE): [], fingerprint(TWO): []}


@pytest.mark.parametrize("text", ["nonsense", rs256()], ids=["no JWT", "another service's"])
def test_what_was_given_is_gathered_whatever_it_is(text: str) -> None:
    scanned = scan([text], [])
    assert texts(scanned) == [text]
    assert scanned.other_jwts == 0


def test_nothing_given_is_an_empty_result() -> None:
    assert scan([], []) == ScanResult()


# Order and places


def test_options_come_first_then_sources_in_order_then_names_in_order(tmp_path: Path) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "a").write_text(THREE)
    (tmp_path / "folder" / "b").write_text(TWO)
    (tmp_path / "folder" / "a").write_text(ONE)
    last = token(n=4)
    (tmp_path / "single").write_text(last)
    found = scan(["given"], [str(tmp_path / "single"), str(tmp_path / "folder")])
    assert texts(found) == ["given", last, ONE, TWO, THREE]


def test_folders_are_walked_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, text in (("c", THREE), ("a", ONE), ("b", TWO)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    assert texts(scan_folder(tmp_path)) == [ONE, TWO, THREE]


def test_a_token_of_options_and_files_is_one_with_all_its_places(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"\n{ONE}")
    (tmp_path / "b").write_text(f"{TWO}\n\n{ONE}")
    scanned = scan([ONE], [str(tmp_path)])
    assert texts(scanned) == [ONE, TWO]
    assert places(scanned, ONE) == [("a", 2), ("b", 3)]
    assert places(scanned, TWO) == [("b", 1)]


def test_a_file_is_a_place_once_by_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"first\n{ONE} {ONE}\n{TWO}\n{ONE}\n")
    scanned = scan_folder(tmp_path)
    assert places(scanned, ONE) == [("log", 2)]
    assert places(scanned, TWO) == [("log", 3)]


def test_a_place_is_the_whole_path(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(ONE)
    assert scan_folder(tmp_path).locations[fingerprint(ONE)] == [
        Location(str(tmp_path / "leak"), 1)
    ]


@pytest.mark.parametrize("chunk", [1, 7, 64, 300])
def test_the_size_of_what_is_read_at_once_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    (tmp_path / "log").write_text(f"first\n{ONE}\n{TWO}\n")
    monkeypatch.setattr(_scan, "_CHUNK", chunk)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE, TWO]
    assert (places(scanned, ONE), places(scanned, TWO)) == ([("log", 2)], [("log", 3)])


# What a file may be


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_text_may_have_any_of_the_usual_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "text").write_text(f"first\ntoken = {ONE}\n", encoding=encoding)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert places(scanned, ONE) == [("text", 2)]


def test_a_binary_file_is_searched_too(tmp_path: Path) -> None:
    noise = bytes(range(256))
    (tmp_path / "core").write_bytes(noise + b"=" + ONE.encode() + b"\0" + noise)
    assert texts(scan_folder(tmp_path)) == [ONE]


def test_hidden_files_are_searched_too(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / ".env").write_text(ONE)
    assert texts(scan_folder(tmp_path)) == [ONE]


def test_a_name_may_be_no_text(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff\n")).write_text(ONE)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert places(scanned, ONE) == [(r"\xff\x0a", 1)]


def test_jwts_of_other_services_are_counted_once_and_left_alone(tmp_path: Path) -> None:
    other = rs256(b'{"iss":"another"}')
    (tmp_path / "a").write_text(f"{rs256()}\n{ONE}\n{rs256()}")
    (tmp_path / "b").write_text(f"{rs256()}\n{other}")
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.other_jwts == 2
    assert scanned.files == 2


def test_files_without_a_token_are_read_and_counted(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "words").write_text("nothing here")
    assert scan_folder(tmp_path) == ScanResult(files=2)


def test_an_empty_folder_is_no_trouble(tmp_path: Path) -> None:
    assert scan_folder(tmp_path) == ScanResult()


# Links, and files that are met twice


def test_a_source_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(ONE)
    scanned = scan_folder(tmp_path, tmp_path / "leak", tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.files == 1


def test_a_file_with_two_names_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "b").write_text(ONE)
    os.link(tmp_path / "b", tmp_path / "c")
    (tmp_path / "a").symlink_to("b")
    scanned = scan_folder(tmp_path)
    assert scanned.files == 1
    assert places(scanned, ONE) == [("a", 1)]


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(ONE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("../elsewhere")
    assert places(scan_folder(tmp_path / "folder"), ONE) == [("link", 1)]


def test_a_link_to_a_folder_is_followed_only_as_a_source(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "leak").write_text(ONE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "elsewhere")
    assert scan_folder(tmp_path / "folder") == ScanResult()
    assert texts(scan_folder(tmp_path / "folder" / "link")) == [ONE]


def test_a_folder_that_links_to_itself_is_walked_once(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "again").symlink_to(tmp_path)
    (tmp_path / "below" / "leak").write_text(ONE)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert (scanned.files, scanned.unread) == (1, [])


# What cannot be read


def missing(folder: Path) -> Path:
    """A file that is not there."""
    return folder / "missing"


def below_a_file(folder: Path) -> Path:
    """A path that leads through a file."""
    (folder / "file").touch()
    return folder / "file" / "below"


def dangling(folder: Path) -> Path:
    """A link to nothing."""
    (folder / "link").symlink_to("missing")
    return folder / "link"


def link_to_itself(folder: Path) -> Path:
    """A link that never ends."""
    (folder / "link").symlink_to("link")
    return folder / "link"


def too_long(folder: Path) -> Path:
    """A name that no file can have."""
    return folder / ("x" * 300)


def pipe(folder: Path) -> Path:
    """Something that would be waited for."""
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
def test_a_source_that_cannot_be_read_is_noted_and_the_others_are_read(
    tmp_path: Path, make: Any, reason: str
) -> None:
    (tmp_path / "leak").write_text(ONE)
    source = make(tmp_path)
    scanned = scan_folder(source, tmp_path / "leak")
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(str(source), reason)]


@pytest.mark.parametrize("source", ["a\0b", "\ud800"], ids=["NUL", "surrogate"])
def test_a_source_that_no_file_can_be_named_is_noted(tmp_path: Path, source: str) -> None:
    (tmp_path / "leak").write_text(ONE)
    scanned = scan([], [source, str(tmp_path)])
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(shown_path(source), "it cannot be read")]


@pytest.mark.parametrize("source", ["", " ", "\n"], ids=["empty", "space", "newline"])
def test_an_empty_source_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "leak").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    scanned = scan([], [source])
    assert texts(scanned) == []
    assert [path for path, reason in scanned.unread] == [shown_path(source)]


@pytest.mark.parametrize("make", [dangling, link_to_itself], ids=["dangling", "to itself"])
def test_a_link_in_a_folder_that_leads_nowhere_is_noted(tmp_path: Path, make: Any) -> None:
    (tmp_path / "leak").write_text(ONE)
    link = make(tmp_path)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(str(link), UNREADABLE[make])]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are opened."""
    paths: list[str] = []
    open_ = os.open

    def note(path: str, *how: Any) -> int:
        paths.append(path)
        return open_(path, *how)

    monkeypatch.setattr(os, "open", note)
    return paths


def test_a_pipe_in_a_folder_is_not_opened(tmp_path: Path, opened: list[str]) -> None:
    pipe(tmp_path)
    assert scan_folder(tmp_path) == ScanResult()
    assert opened == []


def test_pipe_put_in_the_place_of_a_file_is_not_waited_for(
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


def test_a_file_that_may_not_be_read_is_noted(
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


def test_a_folder_that_may_not_be_listed_is_noted(
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


def test_what_was_listed_before_a_folder_failed_is_read(
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
    """Replace what is read of any file; an error is raised."""
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
    ids=["without words", "a disk", "would block"],
)
def test_what_was_found_before_a_read_failed_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    (tmp_path / "log").touch()
    reading(monkeypatch, f"{ONE} and more".encode(), error)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert scanned.unread == [(str(tmp_path / "log"), reason)]


def test_no_file_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_text(ONE)
    pipe(tmp_path)
    before = set(Path("/proc/self/fd").iterdir())
    scan_folder(tmp_path)
    reading(monkeypatch, OSError())
    scan_folder(tmp_path)
    assert set(Path("/proc/self/fd").iterdir()) == before


# Files that do not end


def test_file_that_grows_while_it_is_read_is_read_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.write_text(f"{ONE}\n")
    read = os.read

    def read_and_write(descriptor: int, size: int) -> bytes:
        with log.open("a") as stream:
            stream.write("x" * 1023 + "\n")
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", read_and_write)
    monkeypatch.setattr(_scan, "_MAX_GROWTH", 100_000)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert [path for path, reason in scanned.unread if "it did not end" in reason] == [str(log)]


def test_file_that_grew_a_little_is_read_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").touch()
    reading(monkeypatch, f"{ONE}\n".encode(), f"{TWO}\n".encode())
    scanned = scan_folder(tmp_path)
    assert (texts(scanned), scanned.unread) == ([ONE, TWO], [])


def test_file_that_claims_an_impossible_size_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "core").write_text(ONE)
    (tmp_path / "log").write_text(TWO[:100])
    monkeypatch.setattr(_scan, "_MAX_SIZE", len(ONE) - 1)
    scanned = scan_folder(tmp_path)
    assert scanned.files == 1
    ((path, reason),) = scanned.unread
    assert path == str(tmp_path / "core")
    assert "more than 64 TiB" in reason


def test_holes_of_a_sparse_file_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_file_of_proc_is_read_though_it_reports_no_size() -> None:
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


# Files that hide text


def test_container_is_scanned_as_it_is_and_listed_as_unread(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "logs", "w") as archive:
        archive.writestr("app.log", ONE)
    with gzip.open(tmp_path / "app.log", "w") as stream:
        stream.write(TWO.encode())
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert [name for name, __ in places(scanned, ONE)] == ["logs"]
    assert [(Path(path).name, reason.split(",")[0]) for path, reason in scanned.unread] == [
        ("app.log", "it is compressed (gzip)"),
        ("logs", "it is an archive (zip)"),
    ]
    assert scanned.files == 2


def test_name_makes_no_container(tmp_path: Path) -> None:
    (tmp_path / "app.log.gz").write_text(ONE)
    scanned = scan_folder(tmp_path)
    assert (texts(scanned), scanned.unread) == ([ONE], [])


# Tokens that were cut short


def test_cut_token_is_listed_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"\ntoken={ONE[:-5]}\n")
    scanned = scan_folder(tmp_path)
    (found,) = scanned.tokens
    assert not found.well_formed
    assert places(scanned, found.text) == [("log", 2)]


@pytest.mark.parametrize("where", ["before", "behind", "given"])
@pytest.mark.parametrize("cut", [1, 30, 43, 44], ids=["1", "30", "no signature", "no dot"])
def test_piece_of_a_known_token_is_a_place_of_the_whole_one(
    tmp_path: Path, where: str, cut: int
) -> None:
    piece, whole = ("b", "a") if where == "behind" else ("a", "b")
    (tmp_path / piece).write_text(f"\n{ONE[:-cut]}\n")
    (tmp_path / whole).write_text("" if where == "given" else ONE)
    scanned = scan([ONE] if where == "given" else [], [str(tmp_path)])
    assert texts(scanned) == [ONE]
    in_files = set() if where == "given" else {(whole, 1)}
    assert set(places(scanned, ONE)) == {(piece, 2), *in_files}


def test_piece_that_two_tokens_may_begin_with_is_a_row_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"{ONE}\n{TWO}\n{ONE[:150]}\n")
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE, TWO, ONE[:150]]
    assert [found.well_formed for found in scanned.tokens] == [True, True, False]


def test_piece_that_was_given_keeps_its_row(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"{ONE}\n{ONE[:-5]}\n")
    assert texts(scan([ONE[:-5]], [str(tmp_path)])) == [ONE[:-5], ONE]


# Paths


def test_token_in_a_path_is_found_and_not_shown(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("source", ["/missing/{}/x", "{}", "{}\0", "/dev/null/{}", "x{}\udcff"])
def test_token_in_the_path_of_a_source_that_cannot_be_read_is_found(source: str) -> None:
    path = source.format(ONE)
    scanned = scan([], [path, path])
    assert texts(scanned) == [ONE]
    assert scanned.locations[fingerprint(ONE)] == [Location(shown_path(path), None)]
    assert [path for path, __ in scanned.unread] == [shown_path(path)] * 2
    assert fingerprint(ONE) in shown_path(path)


def test_token_in_a_name_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    (tmp_path / ONE).symlink_to("missing")
    os.mkfifo(tmp_path / TWO)
    scanned = scan_folder(tmp_path)
    assert sorted(texts(scanned)) == sorted([ONE, TWO])
    assert [path for path, __ in scanned.unread] == [f"{tmp_path}/{fingerprint(ONE)}"]


def test_token_in_the_target_of_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(f"{ONE}:8080")
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    assert places(scanned, ONE) == [("lock", None)]


def test_token_cut_by_the_longest_name_is_malformed(tmp_path: Path) -> None:
    long = signed("HS512", 64, json.dumps({**claims(), "sub": "x" * 200}).encode())
    (tmp_path / long[:255]).touch()
    (found,) = scan_folder(tmp_path).tokens
    assert (found.well_formed, found.accounts) == (False, (ACCOUNT,))


def test_jwt_of_another_service_in_a_path_is_counted_and_not_shown(tmp_path: Path) -> None:
    other = jwt(b'{"iss":"x"}')
    (tmp_path / other).write_text(ONE)
    scanned = scan_folder(tmp_path)
    assert (texts(scanned), scanned.other_jwts) == ([ONE], 1)
    assert places(scanned, ONE) == [(fingerprint(other), 1)]


def test_address_in_a_path_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "ada@bank.example").mkdir()
    (tmp_path / "ada@bank.example" / "log").write_text(ONE)
    (tmp_path / "ada@bank.example" / "link").symlink_to("missing")
    scanned = scan_folder(tmp_path)
    assert scanned.locations[fingerprint(ONE)] == [Location(f"{tmp_path}/<e-mail>/log", 1)]
    assert scanned.unread == [
        (f"{tmp_path}/<e-mail>/link", os.strerror(errno.ENOENT)),
    ]


@pytest.mark.parametrize(
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


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_no_two_paths_are_shown_alike(one: bytes, two: bytes) -> None:
    shown = [shown_path(os.fsdecode(path)) for path in (one, two)]
    assert "".join(shown).encode().decode().isprintable() or "\xad" in "".join(shown)
    assert (shown[0] == shown[1]) is (one == two)


# Depth


def nest(top: Path, name: str, depth: int) -> None:
    """Make a folder in a folder, and so on; the path of the last may be too long to be opened."""
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
    finally:  # what removes temporary folders recurses, too
        (deepest / "leak").unlink()
        os.removedirs(deepest)
        tmp_path.mkdir(exist_ok=True)


def test_folder_whose_path_is_too_long_is_noted(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(ONE)
    nest(tmp_path, "d" * 250, 20)
    scanned = scan_folder(tmp_path)
    assert texts(scanned) == [ONE]
    ((path, reason),) = scanned.unread
    assert len(path) > 4000
    assert reason == os.strerror(errno.ENAMETOOLONG)


def test_a_scan_that_is_stopped_lists_what_it_did_not_read(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("1", "2", "3"))
    for folder in (first, second, third):
        folder.mkdir()
        (folder / "a.log").write_text(SEED)
    asked = iter([False, False, False])  # for the first file: when it is opened, and at each chunk
    found = scan([], [str(first), str(second), str(third)], lambda: next(asked, True))
    assert [token.text for token in found.tokens] == [SEED]
    assert found.files == 2
    unread = dict(found.unread)
    assert set(unread) == {str(second), str(third)}
    assert all("stopped by a signal" in reason for reason in unread.values())
