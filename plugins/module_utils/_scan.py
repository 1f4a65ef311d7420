# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scans: find tokens in options, and in files and folders, which are read as streams.

The standard library only: a scan runs on any host. What is in a file: see _scan_archives and
_scan_text.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain

from ansible_collections.nomba.auth.plugins.module_utils._clock import STOPPED
from ansible_collections.nomba.auth.plugins.module_utils._containers import JOURNAL_START
from ansible_collections.nomba.auth.plugins.module_utils._scan_archives import (
    Budget,
    Place,
    is_text,
    search_content,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_git import (
    GitFailed,
    GitObject,
    Repository,
    is_repository,
    short,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_journal import export_journal
from ansible_collections.nomba.auth.plugins.module_utils._scan_programs import ProgramFailed
from ansible_collections.nomba.auth.plugins.module_utils._scan_reader import Problem
from ansible_collections.nomba.auth.plugins.module_utils._scan_text import (
    is_clean,
    search_text,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    Token,
    find_tokens,
    read,
    redact,
)

_MIB = 1024 * 1024
_CHUNK = _MIB
# Bytes. Smaller files get a fast first look.
_SMALL = 64 * 1024
# Bytes by which a file may grow while it is read. Also the limit for files that report no size,
# such as those in /proc.
_MAX_GROWTH = 64 * _MIB
# Bytes. /proc/kcore reports 128 TiB. No file system in use can store this much data in one file.
_MAX_SIZE = 64 * 1024**2 * _MIB
# Bytes. Shorter holes of a sparse file are read like data: that takes less than a second, and does
# not depend on how a file system reports data that is not yet written.
_MIN_HOLE = 1024 * _MIB
# O_NONBLOCK: neither opening nor reading may wait for a writer.
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

# Rows of unread parts for one file.
_MAX_UNREAD = 20

_NOT_A_FILE = "it is neither a file nor a folder"
_TOO_LARGE = "it reports a size of more than 64 TiB, which no regular file has"
_LARGER = "it is larger than max_file_size ({} bytes) and was not read"
_MORE = "more parts of it could not be read"
_WOULD_BLOCK = "reading it would block until another process writes to it"
_STOPPED = f"it was not read completely: {STOPPED}"
_ENDLESS = f"it did not end {_MAX_GROWTH // _MIB} MiB after the size that it reported"

# Bytes that are not UTF-8 (surrogates), the backslash, and control characters of a terminal.
_ESCAPED = re.compile(
    "[\x00-\x1f\\\\\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True)
class Location:
    """Where a token was found: a path as of `shown_path`, and the first line in it (from 1).

    path: the parts of archives are separated by `!`, as in `logs.tar.gz!dir/app.log`. An encoding
    follows in brackets, as in `secret.yml (base64)`. line: None if the token is in the path itself.
    """

    path: str
    line: int | None


@dataclass
class ScanResult:
    """The distinct tokens in the order found, and their locations.

    locations: by fingerprint, one per file and one per path. unread: shown path and reason of each
    source that was not read completely. other_jwts: the number of distinct JWTs that name no Nomba
    account and were ignored. files, bytes: the number of files that were read, and their size.
    archives: the number of compressed files and archives that were opened, nested ones included.
    objects: the number of Git objects that were read. excluded: the number of files, folders and
    members of archives that were excluded.
    """

    tokens: list[Token] = field(default_factory=list)
    locations: dict[str, list[Location]] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)
    other_jwts: int = 0
    files: int = 0
    bytes: int = 0
    archives: int = 0
    objects: int = 0
    excluded: int = 0

    def counts(self) -> dict[str, int]:
        """Return the numbers of the scan, as the summary of a result contains them."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "archives": self.archives,
            "objects": self.objects,
            "excluded": self.excluded,
            "unread": len(self.unread),
            "other_jwts": self.other_jwts,
        }

    def found_in(self, token: Token) -> list[dict[str, object]]:
        """Return the locations of a token, as results contain them."""
        return [
            {"path": location.path, "line": location.line}
            for location in self.locations[token.fingerprint]
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


@dataclass(frozen=True)
class ScanOptions:
    """What to leave out of a scan.

    exclude: globs of names, or of whole paths if they contain a slash. max_file_size: bytes; a
    larger file is unread. None has no limit.
    """

    exclude: tuple[str, ...] = ()
    max_file_size: int | None = None


def _never() -> bool:
    return False


def scan(
    texts: Iterable[str],
    sources: Iterable[str],
    stopped: Callable[[], bool] = _never,
    options: ScanOptions = ScanOptions(),
) -> ScanResult:
    """Return the tokens in `texts`, then those in the sources.

    Raises LibraryMissing if there are texts. stopped: returns whether to stop early; the sources
    that are not read completely are unread.
    """
    scan = _Scan(stopped, options)
    for text in texts:
        scan.add(read(text))
    from_texts = len(scan.result.tokens)
    for source in sources:
        scan.source_unless_stopped(source)
    scan.result.other_jwts = len(scan.other_jwts)
    _merge_cut_tokens(scan.result, from_texts)
    return scan.result


@lru_cache(maxsize=16)  # one path is shown for each token in a file
def shown_path(path: str) -> str:
    r"""Return a path as valid UTF-8 on one line, without tokens and e-mail addresses.

    A byte that is not UTF-8 is shown as `\xff`, a control character as `\x0a` or `\u202e`, and a
    backslash is doubled, so that this escaping never makes two paths look the same.
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


def _merge_cut_tokens(result: ScanResult, first: int) -> None:
    """Remove a token that is cut short if the complete one was found; keep its locations.

    Only a piece with the complete payload is certainly the same token. first: the index of the
    first token that was found in a source.
    """
    whole = {_signed_part(token): token for token in result.tokens if token.well_formed}
    tokens = result.tokens[:first]
    for token in result.tokens[first:]:
        owner = None if token.well_formed else whole.get(_signed_part(token))
        if owner is None or not owner.text.startswith(token.text):
            tokens.append(token)
            continue
        locations = result.locations[owner.fingerprint]
        found = result.locations.pop(token.fingerprint)
        locations.extend(location for location in found if location not in locations)
    result.tokens = tokens


def _signed_part(token: Token) -> str:
    return ".".join(token.text.split(".")[:2])


class _Stopped(Exception):
    """A signal stopped the run."""


class _Excludes:
    """The globs of what to leave out."""

    def __init__(self, globs: Iterable[str]) -> None:
        globs = list(globs)
        self._names = self._compile(one.rstrip("/") for one in globs if "/" not in one.rstrip("/"))
        self._paths = self._compile(one.rstrip("/") for one in globs if "/" in one.rstrip("/"))

    def __bool__(self) -> bool:
        return bool(self._names or self._paths)

    def match(self, path: str, name: str) -> bool:
        """Return whether a glob matches the whole path, or its last name."""
        of_name = self._names and self._names.match(name)
        return bool(of_name or (self._paths and self._paths.match(path)))

    @staticmethod
    def _compile(globs: Iterable[str]) -> re.Pattern[str] | None:
        pattern = "|".join(fnmatch.translate(one) for one in globs)
        return re.compile(pattern) if pattern else None


class _Scan:
    """One scan: its result, and the files that it has read. It visits what is in the files."""

    def __init__(self, stopped: Callable[[], bool], options: ScanOptions) -> None:
        self._stopped = stopped
        self._excludes = _Excludes(options.exclude)
        self._max_file_size = options.max_file_size
        self.result = ScanResult()
        self.other_jwts: set[str] = set()
        self._files: set[tuple[int, int]] = set()
        self._is_stopped = False
        self._unread_in_file = 0
        self._findings = 0

    def add(self, token: Token, location: Location | None = None) -> None:
        """Add a token and its location."""
        if token.fingerprint not in self.result.locations:
            self.result.locations[token.fingerprint] = []
            self.result.tokens.append(token)
        locations = self.result.locations[token.fingerprint]
        if location and not _is_listed(location, locations):
            locations.append(location)

    def source_unless_stopped(self, path: str) -> None:
        """Read a file, or a folder recursively, until a signal stops the run."""
        try:
            self._source(path)
        except _Stopped:
            self._add_unread(path, _STOPPED)

    def _source(self, path: str) -> None:
        self._search_path(path, path, may_be_link=True)
        status = self._status(path)
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            self._folder(path)
        elif stat.S_ISREG(status.st_mode):
            self._file(path)
        else:
            self._add_unread(path, _NOT_A_FILE)

    def _folder(self, source: str) -> None:
        """Read a folder recursively: first its files, then its folders, both by name."""
        waiting = [source]
        while waiting:
            folder, folders = waiting.pop(), []
            entries = self._list(folder)
            names = {name for name, __ in entries}
            has_objects = is_repository(names) and self._repository(folder)
            start = os.path.join(folder, "")  # noqa: PTH118  a Path takes too long to make
            for name, kind in entries:
                path = start + name
                if self._excludes and self._excludes.match(path, name):
                    self.result.excluded += 1
                    continue
                self._search_path(path, name, may_be_link=kind not in ("folder", "file"))
                if kind == "folder":
                    if not (has_objects and name == "objects"):
                        folders.append(path)
                elif kind == "file" or self._is_file(path):
                    self._file(path)
            waiting.extend(reversed(folders))

    def _list(self, folder: str) -> list[tuple[str, str]]:
        """Return the names in a folder, and whether each is a folder, a file or something else."""
        found: list[tuple[str, str]] = []
        try:
            with os.scandir(folder) as entries:
                found.extend((entry.name, _kind(entry)) for entry in entries)
        except OSError as error:
            self._add_error(folder, error)
        return sorted(found)

    def _search_path(self, path: str, part: str, may_be_link: bool) -> None:
        """Search a part of a path, and the target of a link."""
        texts = [part]
        if may_be_link:
            with suppress(OSError, ValueError):
                texts.append(os.readlink(path))  # noqa: PTH115  an empty Path is the current folder
        for text in texts:
            self._search_name(Place(path), text.encode("utf-8", "surrogatepass"))

    def _search_name(self, place: Place, name: bytes) -> None:
        if b".e" in name:
            for finding in find_tokens([name]):
                self._found(finding.token, Location(_shown(place), None))

    def _is_file(self, path: str) -> bool:
        """Return whether a path leads to a regular file; list it as unread if that is unknown."""
        status = self._status(path)
        return status is not None and stat.S_ISREG(status.st_mode)

    def _file(self, path: str) -> None:
        """Read a file, unless it was already read."""
        self._require_not_stopped()
        try:
            descriptor = os.open(path, _OPEN)
        except OSError as error:
            self._add_error(path, error)
            return
        try:
            self._read(path, descriptor)
        finally:
            os.close(descriptor)
        if self._is_stopped:
            raise _Stopped

    def _read(self, path: str, descriptor: int) -> None:
        status = os.fstat(descriptor)  # of the open file: the name may now be another file's
        file = (status.st_dev, status.st_ino)
        if file in self._files:
            return
        self._files.add(file)
        size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            self._add_unread(path, _NOT_A_FILE)
        elif size > _MAX_SIZE:
            self._add_unread(path, _TOO_LARGE)
        elif self._max_file_size is not None and size > self._max_file_size:
            self._add_unread(path, _LARGER.format(self._max_file_size))
        else:
            self.result.files += 1
            if self._is_clean(descriptor, size):
                return
            self._unread_in_file = 0
            chunks = self._chunks(path, descriptor, size)
            first = next(chunks, b"")
            if not (first.startswith(JOURNAL_START) and self._journal(path, descriptor)):
                whole = chain([first], chunks)
                search_content(Place(path), whole, self, Budget.for_size(size))

    def _is_clean(self, descriptor: int, size: int) -> bool:
        """Return whether a small file certainly contains nothing to find: a fast first look."""
        if not 0 < size < _SMALL:
            return False
        try:
            content = os.pread(descriptor, size + 1, 0)
        except OSError:
            return False  # reading it again reports the error
        if len(content) != size or not is_clean(content) or not is_text(content):
            return False
        self.result.bytes += size
        return True

    def _chunks(self, path: str, descriptor: int, size: int) -> Iterator[bytes]:
        """Yield the content of a file, with at most _MAX_GROWTH more than its size when opened.

        Ends early, and lists the file as unread, when an error occurs.
        """
        position, limit = 0, size + _MAX_GROWTH
        length = min(_CHUNK, size + 1) if size else _CHUNK
        try:
            while chunk := os.read(descriptor, length):
                self.result.bytes += len(chunk)
                yield chunk
                if self._stopped():
                    self._is_stopped = True
                    return
                if len(chunk) < length and position + len(chunk) == size:
                    return
                position = _skip_hole(descriptor, position + len(chunk), size)
                if position > limit:
                    self._add_unread(path, _ENDLESS)
                    return
        except BlockingIOError:
            self._add_unread(path, _WOULD_BLOCK)
        except OSError as error:
            self._add_error(path, error)

    def _journal(self, path: str, descriptor: int) -> bool:
        """Search a systemd journal; return whether all of it was read."""
        try:
            with export_journal(descriptor, self._stopped) as chunks:
                if chunks is None:
                    return False
                self.text(Place(path, " (journal export)"), chunks)
        except ProgramFailed as failure:
            self._add_unread(path, f"journalctl could not read all of it: {redact(str(failure))}")
            return False
        return True

    def _repository(self, folder: str) -> bool:
        """Search the objects of a Git repository; return whether all were read."""
        found: set[str] = set()
        try:
            repository = Repository(folder, self._stopped)
            with closing(repository.objects()) as objects:
                for one in objects:
                    self._object(Place(folder, f"@{short(one.name)}"), one, found)
            if found:
                self._name_objects(folder, repository.paths(found))
        except (GitFailed, ProgramFailed, Problem) as failure:
            self._add_unread(folder, redact(str(failure)))
            return False
        return True

    def _object(self, place: Place, one: GitObject, found: set[str]) -> None:
        """Search an object, and note it if it contains a token."""
        self.result.objects += 1
        self._unread_in_file = 0
        if self._max_file_size is not None and one.size > self._max_file_size:
            self.unread(place, _LARGER.format(self._max_file_size))
            return
        before = self._findings
        search_content(place, self._counted(one.content), self, Budget.for_size(one.size))
        if self._findings > before:
            found.add(one.name)

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.result.bytes += len(chunk)
            yield chunk

    def _name_objects(self, folder: str, paths: dict[str, bytes]) -> None:
        """Add the paths of objects to their locations."""
        names = {_shown(Place(folder, f"@{short(one)}")): paths[one] for one in paths}
        length = len(next(iter(names), ""))
        for locations in self.result.locations.values():
            for index, location in enumerate(locations):
                start, rest = location.path[:length], location.path[length:]
                if start in names:
                    path = f"{start}:{shown_path(os.fsdecode(names[start]))}{rest}"
                    locations[index] = replace(location, path=path)

    # What a visitor does: see _scan_archives.

    def text(self, place: Place, chunks: Iterator[bytes]) -> None:
        """Search a text."""
        for finding in search_text(chunks):
            encoding = f" ({finding.encoding})" if finding.encoding else ""
            self._found(finding.token, Location(_shown(place) + encoding, finding.line))

    def member(self, place: Place, name: bytes) -> Place | None:
        """Search the name of a member; return its place, or None if it is excluded."""
        text = os.fsdecode(name)
        member = Place(place.path, f"{place.inside}!{shown_path(text)}")
        if self._excludes and self._excludes.match(text, text.rstrip("/").rpartition("/")[2]):
            self.result.excluded += 1
            return None
        self._search_name(member, name)
        return member

    def unread(self, place: Place, reason: str) -> None:
        """List a part of a file as unread; not each of very many."""
        self._unread_in_file += 1
        if self._unread_in_file <= _MAX_UNREAD:
            self.result.unread.append((_shown(place), reason))
        elif self._unread_in_file == _MAX_UNREAD + 1:
            self.result.unread.append((shown_path(place.path), _MORE))

    def archive(self) -> None:
        """Count a compressed file or an archive."""
        self.result.archives += 1

    def _require_not_stopped(self) -> None:
        if self._stopped():
            raise _Stopped

    def _found(self, token: Token, location: Location) -> None:
        if token.accounts:
            self._findings += 1
            self.add(token, location)
        else:
            self.other_jwts.add(token.fingerprint)

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(path)  # noqa: PTH116  an empty Path is the current folder
        except (OSError, ValueError) as error:  # ValueError: an invalid file name
            self._add_error(path, error)
            return None

    def _add_error(self, path: str, error: Exception) -> None:
        self._add_unread(path, getattr(error, "strerror", None) or "it cannot be read")

    def _add_unread(self, path: str, reason: str) -> None:
        self.result.unread.append((shown_path(path), reason))


def _shown(place: Place) -> str:
    return shown_path(place.path) + place.inside


def _is_listed(location: Location, locations: list[Location]) -> bool:
    """Return whether a location is listed; a file is listed once, with its first line."""
    if location.line is None:
        return location in locations
    return any(last.path == location.path and last.line is not None for last in locations[-1:])


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what an entry of a folder is, without following a link."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        return "file" if entry.is_file(follow_symlinks=False) else ""
    except OSError:
        return ""  # the status of the path then reports the error


def _skip_hole(descriptor: int, position: int, size: int) -> int:
    """Skip a long hole of a sparse file, which has only NUL bytes; return the new offset."""
    if size - position < _MIN_HOLE:
        return position
    try:
        data = os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        data = size if error.errno == errno.ENXIO else position  # ENXIO: only a hole is left
    offset = data if data - position >= _MIN_HOLE else position
    return os.lseek(descriptor, offset, os.SEEK_SET)
