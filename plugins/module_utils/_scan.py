# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gathering tokens: from options, and from files and folders, which are read as streams."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from ansible_collections.nomba.auth.plugins.module_utils._clock import STOPPED
from ansible_collections.nomba.auth.plugins.module_utils._containers import hides_text
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    Token,
    find_tokens,
    read,
    redact,
)

_MIB = 1024 * 1024
_CHUNK = _MIB
# How far a file may grow while it is read. It is also the limit for files that report no size, as
# those of /proc do.
_MAX_GROWTH = 64 * _MIB
# /proc/kcore claims 128 TiB. No file system in use holds a file of this size that has data in it.
_MAX_SIZE = 64 * 1024**2 * _MIB
# Holes of a sparse file that are shorter than this are read like data: that costs less than a
# second, and does not rely on what a file system says about data not yet written.
_MIN_HOLE = 1024 * _MIB
# O_NONBLOCK: neither opening nor reading may wait for somebody who writes.
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_NOT_A_FILE = "it is neither a file nor a folder"
_TOO_LARGE = "it claims to be larger than 64 TiB, which no real file is"
_WOULD_BLOCK = "reading it would wait for data that is still to be written"
_STOPPED = f"it was not read to its end: {STOPPED}"
_ENDLESS = f"it did not end {_MAX_GROWTH // _MIB} MiB after the size that it reported"

# Bytes that are no UTF-8 (surrogates), the backslash, and characters that a terminal acts on.
_ESCAPED = re.compile(
    "[\x00-\x1f\\\\\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True)
class Location:
    """Where a token stands: a path as `shown_path` shows it, and the first line there (from 1).

    line: None when the token stands in the path itself.
    """

    path: str
    line: int | None


@dataclass
class ScanResult:
    """Distinct tokens in the order met, and what was seen on the way.

    places: by fingerprint, one per file and one per path. unread: path, as it is shown, and reason.
    other_jwts: how many distinct JWTs name no Nomba account and were ignored. files: how many files
    were read.
    """

    tokens: list[Token] = field(default_factory=list)
    places: dict[str, list[Location]] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)
    other_jwts: int = 0
    files: int = 0

    def found_in(self, token: Token) -> list[dict[str, object]]:
        """Where a token stands, as results tell it."""
        return [
            {"path": place.path, "line": place.line} for place in self.places[token.fingerprint]
        ]

    def unread_rows(self) -> list[dict[str, str]]:
        """Return one row for each unread source, as results contain it."""
        return [{"path": path, "reason": reason} for path, reason in self.unread]

    def unread_message(self) -> str:
        """Return a sentence on the unread sources, after a space; empty without any."""
        if not self.unread:
            return ""
        path, reason = self.unread[0]
        return f" sources: {len(self.unread)} could not be read, {path} first: {reason}."


def _never() -> bool:
    return False


def scan(
    texts: Iterable[str], sources: Iterable[str], stopped: Callable[[], bool] = _never
) -> ScanResult:
    """Read the given tokens, then all tokens in the sources. Raises LibraryMissing.

    stopped: whether to end early; the sources that were not read to their end are then unread.
    """
    scan = _Scan(stopped)
    for text in texts:
        scan.add(read(text))
    given = len(scan.result.tokens)
    for source in sources:
        scan.source_unless_stopped(source)
    scan.result.other_jwts = len(scan.other_jwts)
    _merge_pieces(scan.result, given)
    return scan.result


@lru_cache(maxsize=16)  # a file with many tokens asks for one path again and again
def shown_path(path: str) -> str:
    r"""A path as people are shown it: valid UTF-8 on one line, without tokens and addresses.

    A byte that is no UTF-8 is shown as `\xff`, a control character as `\x0a` or `\u202e`, and a
    backslash doubled, so that no two paths look alike for that reason.
    """
    return _ESCAPED.sub(_escape, redact(path))


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character == "\\":
        return r"\\"
    if 0xDC80 <= code <= 0xDCFF:
        return rf"\x{code - 0xDC00:02x}"
    return rf"\x{code:02x}" if code < 0x80 else rf"\u{code:04x}"


def _merge_pieces(result: ScanResult, given: int) -> None:
    """Drop a found token that was cut short, when the whole one is known: it is the same token.

    Only a piece that holds the whole payload tells that for sure. Its places are kept.
    """
    whole = {_signed_part(token): token for token in result.tokens if token.well_formed}
    kept = result.tokens[:given]
    for token in result.tokens[given:]:
        owner = None if token.well_formed else whole.get(_signed_part(token))
        if owner is None or not owner.text.startswith(token.text):
            kept.append(token)
            continue
        places = result.places[owner.fingerprint]
        found = result.places.pop(token.fingerprint)
        places.extend(place for place in found if place not in places)
    result.tokens = kept


def _signed_part(token: Token) -> str:
    return ".".join(token.text.split(".")[:2])


class _Stopped(Exception):
    """The run was asked to end."""


class _Scan:
    """One scan: what it found, and which files it has read."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped
        self.result = ScanResult()
        self.other_jwts: set[str] = set()
        self._files: set[tuple[int, int]] = set()

    def add(self, token: Token, place: Location | None = None) -> None:
        """Add a token, and where it stands."""
        if token.fingerprint not in self.result.places:
            self.result.places[token.fingerprint] = []
            self.result.tokens.append(token)
        places = self.result.places[token.fingerprint]
        if place and not _is_listed(place, places):
            places.append(place)

    def source_unless_stopped(self, path: str) -> None:
        """Read a file, or all files in a folder and below it, until the run is asked to end."""
        try:
            self._source(path)
        except _Stopped:
            self._unread(path, _STOPPED)

    def _source(self, path: str) -> None:
        self._search_path(path, path)
        status = self._status(path)
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            self._folder(path)
        elif stat.S_ISREG(status.st_mode):
            self._file(path)
        else:
            self._unread(path, _NOT_A_FILE)

    def _folder(self, source: str) -> None:
        """Read a folder and all below it: first its files, then its folders, both by name."""
        waiting = [source]
        while waiting:
            folder, folders = waiting.pop(), []
            for name, is_folder in self._list(folder):
                path = os.path.join(folder, name)  # noqa: PTH118  a Path takes too long to make
                self._search_path(path, name)
                if is_folder:
                    folders.append(path)
                else:
                    self._file(path)
            waiting.extend(reversed(folders))

    def _list(self, folder: str) -> list[tuple[str, bool]]:
        """The names in a folder, and whether each is a folder itself, and no link to one."""
        found: list[tuple[str, bool]] = []
        try:
            with os.scandir(folder) as entries:
                found.extend((entry.name, _is_folder(entry)) for entry in entries)
        except OSError as error:
            self._note(folder, error)
        return sorted(found)

    def _search_path(self, path: str, part: str) -> None:
        """Find the tokens in a part of a path, and in the target of a link."""
        texts = [part]
        with suppress(OSError, ValueError):
            texts.append(os.readlink(path))  # noqa: PTH115  an empty Path is the current folder
        for text in texts:
            if ".e" in text:
                for finding in find_tokens([text.encode("utf-8", "surrogatepass")]):
                    self._found(finding.token, Location(shown_path(path), None))

    def _file(self, path: str) -> None:
        """Read a file. What is no file is passed over, and so is one that was read before."""
        self._require_time()
        status = self._status(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return
        try:
            descriptor = os.open(path, _OPEN)
        except OSError as error:
            self._note(path, error)
            return
        try:
            self._read(path, descriptor)
        except BlockingIOError:
            self._unread(path, _WOULD_BLOCK)
        except OSError as error:
            self._note(path, error)
        finally:
            os.close(descriptor)

    def _read(self, path: str, descriptor: int) -> None:
        status = os.fstat(descriptor)  # of what was opened: the name may stand for another by now
        file = (status.st_dev, status.st_ino)
        if file in self._files:
            return
        self._files.add(file)
        if not stat.S_ISREG(status.st_mode):
            self._unread(path, _NOT_A_FILE)
        elif status.st_size > _MAX_SIZE:
            self._unread(path, _TOO_LARGE)
        else:
            self.result.files += 1
            for finding in find_tokens(self._chunks(path, descriptor, status.st_size)):
                self._found(finding.token, Location(shown_path(path), finding.line))

    def _chunks(self, path: str, descriptor: int, size: int) -> Iterator[bytes]:
        """The contents of a file, as long as it was when it was opened, and what it grew by."""
        position, limit = 0, size + _MAX_GROWTH
        while chunk := os.read(descriptor, _CHUNK):
            if position == 0 and (reason := hides_text(chunk)):
                self._unread(path, reason)
            yield chunk
            self._require_time()
            position = _skip_hole(descriptor, position + len(chunk), size)
            if position > limit:
                self._unread(path, _ENDLESS)
                return

    def _require_time(self) -> None:
        if self._stopped():
            raise _Stopped

    def _found(self, token: Token, place: Location) -> None:
        if token.accounts:
            self.add(token, place)
        else:
            self.other_jwts.add(token.fingerprint)

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(path)  # noqa: PTH116  an empty Path is the current folder
        except (OSError, ValueError) as error:  # ValueError: no file can have such a name
            self._note(path, error)
            return None

    def _note(self, path: str, error: Exception) -> None:
        self._unread(path, getattr(error, "strerror", None) or "it cannot be read")

    def _unread(self, path: str, reason: str) -> None:
        self.result.unread.append((shown_path(path), reason))


def _is_listed(place: Location, places: list[Location]) -> bool:
    """Whether a place is among those of a token, where a file counts by its first line only."""
    if place.line is None:
        return place in places
    return any(last.path == place.path and last.line is not None for last in places[-1:])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # what is wrong with it shows when it is opened as a file


def _skip_hole(descriptor: int, position: int, size: int) -> int:
    """Go past a long hole of a sparse file, which holds NUL bytes only; the new position."""
    if size - position < _MIN_HOLE:
        return position
    try:
        data = os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        data = size if error.errno == errno.ENXIO else position  # ENXIO: only a hole is left
    go_on = data if data - position >= _MIN_HOLE else position
    return os.lseek(descriptor, go_on, os.SEEK_SET)
