# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gathering tokens from options, files and folders, and what is said of those unread."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _sources
from ansible_collections.nomba.auth.plugins.module_utils._sources import Harvest, Place, gather
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

from .making import rs256, token

pytestmark = pytest.mark.pure

ONE, TWO, THREE = (token(n=number) for number in range(1, 4))


def texts(harvest: Harvest) -> list[str]:
    """The tokens, in order."""
    return [found.text for found in harvest.tokens]


def places(harvest: Harvest, text: str) -> list[tuple[str, int]]:
    """Where a token stands: names of files, and lines."""
    return [(Path(place.path).name, place.line) for place in harvest.places[fingerprint(text)]]


def sweep(*sources: Path) -> Harvest:
    """What these sources hold."""
    return gather([], map(str, sources))


# Options


def test_given_tokens_keep_their_order() -> None:
    assert texts(gather([TWO, ONE, THREE], [])) == [TWO, ONE, THREE]


@pytest.mark.parametrize("again", [ONE, f" {ONE}\n", f"Bearer {ONE}", f"bearer  {ONE}"])
def test_a_token_given_twice_is_one(again: str) -> None:
    harvest = gather([ONE, TWO, again], [])
    assert texts(harvest) == [ONE, TWO]
    assert harvest.places == {fingerprint(ONE): [], fingerprint(TWO): []}


@pytest.mark.parametrize("text", ["nonsense", rs256()], ids=["no JWT", "another service's"])
def test_what_was_given_is_gathered_whatever_it_is(text: str) -> None:
    harvest = gather([text], [])
    assert texts(harvest) == [text]
    assert harvest.foreign == 0


def test_nothing_given_is_an_empty_harvest() -> None:
    assert gather([], []) == Harvest()


# Order and places


def test_options_come_first_then_sources_in_order_then_names_in_order(tmp_path: Path) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "a").write_text(THREE)
    (tmp_path / "folder" / "b").write_text(TWO)
    (tmp_path / "folder" / "a").write_text(ONE)
    last = token(n=4)
    (tmp_path / "single").write_text(last)
    found = gather(["given"], [str(tmp_path / "single"), str(tmp_path / "folder")])
    assert texts(found) == ["given", last, ONE, TWO, THREE]


def test_folders_are_walked_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, text in (("c", THREE), ("a", ONE), ("b", TWO)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    assert texts(sweep(tmp_path)) == [ONE, TWO, THREE]


def test_a_token_of_options_and_files_is_one_with_all_its_places(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"\n{ONE}")
    (tmp_path / "b").write_text(f"{TWO}\n\n{ONE}")
    harvest = gather([ONE], [str(tmp_path)])
    assert texts(harvest) == [ONE, TWO]
    assert places(harvest, ONE) == [("a", 2), ("b", 3)]
    assert places(harvest, TWO) == [("b", 1)]


def test_a_file_is_a_place_once_by_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"first\n{ONE} {ONE}\n{TWO}\n{ONE}\n")
    harvest = sweep(tmp_path)
    assert places(harvest, ONE) == [("log", 2)]
    assert places(harvest, TWO) == [("log", 3)]


def test_a_place_is_the_whole_path(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(ONE)
    assert sweep(tmp_path).places[fingerprint(ONE)] == [Place(str(tmp_path / "leak"), 1)]


@pytest.mark.parametrize("chunk", [1, 7, 64, 300])
def test_the_size_of_what_is_read_at_once_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    (tmp_path / "log").write_text(f"first\n{ONE}\n{TWO}\n")
    monkeypatch.setattr(_sources, "_CHUNK", chunk)
    harvest = sweep(tmp_path)
    assert texts(harvest) == [ONE, TWO]
    assert (places(harvest, ONE), places(harvest, TWO)) == ([("log", 2)], [("log", 3)])


# What a file may be


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_text_may_have_any_of_the_usual_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "text").write_text(f"first\ntoken = {ONE}\n", encoding=encoding)
    harvest = sweep(tmp_path)
    assert texts(harvest) == [ONE]
    assert places(harvest, ONE) == [("text", 2)]


def test_a_binary_file_is_searched_too(tmp_path: Path) -> None:
    noise = bytes(range(256))
    (tmp_path / "core").write_bytes(noise + b"=" + ONE.encode() + b"\0" + noise)
    assert texts(sweep(tmp_path)) == [ONE]


def test_hidden_files_are_searched_too(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / ".env").write_text(ONE)
    assert texts(sweep(tmp_path)) == [ONE]


def test_a_name_may_be_no_text(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff\n")).write_text(ONE)
    harvest = sweep(tmp_path)
    assert texts(harvest) == [ONE]
    assert places(harvest, ONE) == [("\udcff\n", 1)]


def test_jwts_of_other_services_are_counted_once_and_left_alone(tmp_path: Path) -> None:
    other = rs256(b'{"iss":"another"}')
    (tmp_path / "a").write_text(f"{rs256()}\n{ONE}\n{rs256()}")
    (tmp_path / "b").write_text(f"{rs256()}\n{other}")
    harvest = sweep(tmp_path)
    assert texts(harvest) == [ONE]
    assert harvest.foreign == 2
    assert harvest.files == 2


def test_files_without_a_token_are_read_and_counted(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "words").write_text("nothing here")
    assert sweep(tmp_path) == Harvest(files=2)


def test_an_empty_folder_is_no_trouble(tmp_path: Path) -> None:
    assert sweep(tmp_path) == Harvest()


# Links, and files that are met twice


def test_a_source_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(ONE)
    harvest = sweep(tmp_path, tmp_path / "leak", tmp_path)
    assert texts(harvest) == [ONE]
    assert harvest.files == 1


def test_a_file_with_two_names_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "b").write_text(ONE)
    os.link(tmp_path / "b", tmp_path / "c")
    (tmp_path / "a").symlink_to("b")
    harvest = sweep(tmp_path)
    assert harvest.files == 1
    assert places(harvest, ONE) == [("a", 1)]


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(ONE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("../elsewhere")
    assert places(sweep(tmp_path / "folder"), ONE) == [("link", 1)]


def test_a_link_to_a_folder_is_followed_only_as_a_source(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "leak").write_text(ONE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "elsewhere")
    assert sweep(tmp_path / "folder") == Harvest()
    assert texts(sweep(tmp_path / "folder" / "link")) == [ONE]


def test_a_folder_that_links_to_itself_is_walked_once(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "again").symlink_to(tmp_path)
    (tmp_path / "below" / "leak").write_text(ONE)
    harvest = sweep(tmp_path)
    assert texts(harvest) == [ONE]
    assert (harvest.files, harvest.unread) == (1, [])


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
    harvest = sweep(source, tmp_path / "leak")
    assert texts(harvest) == [ONE]
    assert harvest.unread == [(str(source), reason)]


@pytest.mark.parametrize("source", ["a\0b", "\ud800"], ids=["NUL", "surrogate"])
def test_a_source_that_no_file_can_be_named_is_noted(tmp_path: Path, source: str) -> None:
    (tmp_path / "leak").write_text(ONE)
    harvest = gather([], [source, str(tmp_path)])
    assert texts(harvest) == [ONE]
    assert harvest.unread == [(source, "it cannot be read")]


@pytest.mark.parametrize("source", ["", " ", "\n"], ids=["empty", "space", "newline"])
def test_an_empty_source_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "leak").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    harvest = gather([], [source])
    assert texts(harvest) == []
    assert [path for path, reason in harvest.unread] == [source]


@pytest.mark.parametrize("make", [dangling, link_to_itself], ids=["dangling", "to itself"])
def test_a_link_in_a_folder_that_leads_nowhere_is_noted(tmp_path: Path, make: Any) -> None:
    (tmp_path / "leak").write_text(ONE)
    link = make(tmp_path)
    harvest = sweep(tmp_path)
    assert texts(harvest) == [ONE]
    assert harvest.unread == [(str(link), UNREADABLE[make])]


def test_a_pipe_in_a_folder_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, *_how: object) -> None:
        raise OSError(errno.EIO, f"{path} was opened")

    pipe(tmp_path)
    monkeypatch.setattr(Path, "open", fail)
    assert sweep(tmp_path) == Harvest()


def test_a_file_that_may_not_be_read_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *how: Any) -> Any:
        if path.name == "secret":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return io.open(path, *how)  # noqa: UP020  what it stands for is replaced

    (tmp_path / "secret").write_text(ONE)
    (tmp_path / "leak").write_text(TWO)
    monkeypatch.setattr(Path, "open", refuse)
    harvest = sweep(tmp_path)
    assert (texts(harvest), harvest.files) == ([TWO], 1)
    assert harvest.unread == [(str(tmp_path / "secret"), os.strerror(errno.EACCES))]


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
    harvest = sweep(tmp_path)
    assert texts(harvest) == [ONE]
    assert harvest.unread == [(str(tmp_path / "secret"), os.strerror(errno.EACCES))]


class Broken(io.BytesIO):
    """A file on a disk that fails, without words, after what this holds."""

    def read(self, size: int | None = -1) -> bytes:
        """What there is, and then an error."""
        piece = super().read(size)
        if not piece:
            raise OSError
        return piece


def test_what_was_found_before_a_disk_failed_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").touch()
    monkeypatch.setattr(Path, "open", lambda *_how: Broken(f"{ONE} and more".encode()))
    harvest = sweep(tmp_path)
    assert texts(harvest) == [ONE]
    assert harvest.unread == [(str(tmp_path / "log"), "it cannot be read")]
