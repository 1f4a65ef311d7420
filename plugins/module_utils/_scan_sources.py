# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files and folders of a scan, which are read as streams.

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
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import chain

from ansible_collections.nomba.auth.plugins.module_utils._clock import STOPPED
from ansible_collections.nomba.auth.plugins.module_utils._containers import JOURNAL_START
from ansible_collections.nomba.auth.plugins.module_utils._scan import (
    Location,
    ScanOptions,
    ScanResult,
    shown_path,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_archives import (
    HEAD,
    Budget,
    Place,
    is_text,
    open_packed,
    search_content,
    search_plain,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_batch import Batch
from ansible_collections.nomba.auth.plugins.module_utils._scan_parts import Part, cut
from ansible_collections.nomba.auth.plugins.module_utils._scan_processes import (
    End,
    Processes,
    Record,
    TextProcess,
    usable_processes,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_reader import Problem
from ansible_collections.nomba.auth.plugins.module_utils._scan_text import (
    PackedFinding,
    TextFinding,
    search_part,
    search_text,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import Token, find_tokens, redact

_MIB = 1024 * 1024
_CHUNK = _MIB
# Bytes. Smaller files are examined together.
_SMALL = 64 * 1024
# Bytes. The allocator of glibc returns freed memory to the system and gets it again for each block
# that is read. It keeps twice as much as the largest object that was freed before.
_KEPT_MEMORY = 8 * _MIB
# Bytes. Larger files are searched in several processes. To start one takes as long as the search of
# about 5 MiB.
_LARGE = 32 * _MIB
# Bytes. Longer texts are searched in another process if this one has to unpack them.
_LONG = 4 * _MIB
# Bytes of a block in the status of a file. A sparse file has fewer than its size explains.
_BLOCK = 512
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

# Names in the folder of a Git repository.
_REPOSITORY = frozenset({"HEAD", "objects", "refs"})
# Characters of the name of a Git object, as shown to users.
_SHORT = 12

# Rows of unread parts for one file.
_MAX_UNREAD = 20

_NOT_A_FILE = "it is neither a file nor a folder"
_TOO_LARGE = "it reports a size of more than 64 TiB, which no regular file has"
_LARGER = "it is larger than max_file_size ({} bytes) and was not read"
_MORE = "more parts of it could not be read"
_WOULD_BLOCK = "reading it would block until another process writes to it"
_STOPPED = f"it was not read completely: {STOPPED}"
_ENDLESS = f"it did not end {_MAX_GROWTH // _MIB} MiB after the size that it reported"


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


class Sources:
    """The files and folders of one scan, and the result. It visits what is in the files."""

    def __init__(
        self, result: ScanResult, stopped: Callable[[], bool], options: ScanOptions
    ) -> None:
        self.result = result
        self._stopped = stopped
        self._excludes = _Excludes(options.exclude)
        self._max_file_size = options.max_file_size
        self._other_jwts: set[str] = set()
        self._files: set[tuple[int, int]] = set()
        self._is_stopped = False
        self._has_processes = False
        self._unread_in_file = 0
        self._findings = 0
        self._batch = Batch()

    def scan(self, sources: Iterable[str]) -> None:
        """Read files, and folders recursively, until a signal stops the run."""
        bytes(_KEPT_MEMORY)
        for source in sources:
            try:
                self._source(source)
            except _Stopped:
                self._add_unread(source, _STOPPED)
            self._search_batch()
        self.result.other_jwts = len(self._other_jwts)

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
            has_objects = names >= _REPOSITORY and self._repository(folder)
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
            if ".e" in text:  # encoding each of many names takes longer
                self._search_name(Place(path), text.encode("utf-8", "surrogatepass"))

    def _search_name(self, place: Place, name: bytes) -> None:
        if b".e" in name:
            self._search_batch()  # tokens are listed in the order of the files
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
            small = self._small_text(descriptor, size)
            if small:
                if self._batch.add(path, small):
                    self._search_batch()
                return
            self._search_batch()
            self._unread_in_file = 0
            if size >= _LARGE and self._search_in_parts(path, descriptor, status):
                return
            chunks = self._chunks(path, descriptor, size)
            first = next(chunks, b"")
            if not (first.startswith(JOURNAL_START) and self._journal(path, descriptor)):
                whole = chain([first], chunks)
                search_content(Place(path), whole, self, Budget.for_size(size))

    def _small_text(self, descriptor: int, size: int) -> bytes:
        """Return the content of a small file that is only text, else nothing."""
        if not 0 < size < _SMALL:
            return b""
        try:
            content = os.pread(descriptor, size + 1, 0)
        except OSError:
            return b""  # reading it again reports the error
        if len(content) != size or b"\0" in content or not is_text(content):
            return b""
        self.result.bytes += size
        return content

    def _search_batch(self) -> None:
        """Search the small files that were read."""
        for path, content in self._batch.take():
            self._unread_in_file = 0
            search_content(Place(path), [content], self, Budget.for_size(len(content)))

    def _search_in_parts(self, path: str, descriptor: int, status: os.stat_result) -> bool:
        """Search a large text in several processes, if that is possible; return whether it was."""
        size, count = status.st_size, self._usable_processes()
        if count == 1 or status.st_blocks * _BLOCK < size:
            return False
        try:
            if not is_text(os.pread(descriptor, HEAD, 0) + os.pread(descriptor, HEAD, size - HEAD)):
                return False
            parts = cut(size, lambda length, offset: os.pread(descriptor, length, offset))
            processes = Processes(
                min(count, len(parts)), parts, lambda part: self._part(path, descriptor, size, part)
            )
        except OSError:
            return False  # reading it in this process reports the error
        with self._while_open(processes):
            findings = self._merged(path, processes.records(self._stopped))
            contents = self._report(Place(path), findings)
            open_packed(Place(path), contents, self, Budget.for_size(size))
        return True

    def _part(self, path: str, descriptor: int, size: int, part: Part) -> Iterator[Record]:
        """Search a part of a file in a process of its own; yield its end too."""
        unread, position = len(self.result.unread), part.first

        def chunks() -> Iterator[bytes]:
            nonlocal position
            # Opened again, because forks share the offset of an open file.
            own = os.open(f"/proc/self/fd/{descriptor}", _OPEN)
            os.lseek(own, part.first, os.SEEK_SET)
            for chunk in self._chunks(path, own, size, part.first):
                left = len(chunk) if part.end is None else part.end - position
                position += min(len(chunk), left)
                yield chunk[:left]
                if position == part.end:
                    break
            os.close(own)

        line_breaks = yield from search_part(chunks(), part.context)
        reasons = [reason for __, reason in self.result.unread[unread:]]
        read = max(0, position - part.first - part.context)
        yield End(line_breaks, read, reasons, self._is_stopped)

    def _merged(
        self, path: str, records: Iterator[Record]
    ) -> Iterator[TextFinding | PackedFinding]:
        """Yield what was found in all parts of a file, until one could not be read."""
        line_breaks = 0
        for record in records:
            if not isinstance(record, End):
                yield replace(record, line=record.line + line_breaks)
                continue
            line_breaks += record.line_breaks
            self.result.bytes += record.size
            for reason in record.unread:
                self._add_unread(path, reason)
            self._is_stopped = self._is_stopped or record.is_stopped
            if record.unread or record.is_stopped:
                return

    def _chunks(self, path: str, descriptor: int, size: int, position: int = 0) -> Iterator[bytes]:
        """Yield the content of a file, with at most _MAX_GROWTH more than its size when opened.

        Ends early, and lists the file as unread, when an error occurs.
        """
        limit = size + _MAX_GROWTH
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
        # here: slow to import, seldom needed
        from ansible_collections.nomba.auth.plugins.module_utils._scan_journal import export_journal

        try:
            with export_journal(descriptor, self._stopped) as chunks:
                if chunks is None:
                    return False
                place = Place(path, " (journal export)")
                search_plain(place, chunks, self, Budget.for_size(os.fstat(descriptor).st_size))
        except Problem as failure:
            self._add_unread(path, f"journalctl could not read all of it: {redact(str(failure))}")
            return False
        return True

    def _repository(self, folder: str) -> bool:
        """Search the objects of a Git repository; return whether all were read."""
        # here: slow to import, seldom needed
        from ansible_collections.nomba.auth.plugins.module_utils._scan_git import Repository

        self._search_batch()
        found: set[str] = set()
        try:
            repository = Repository(folder, self._stopped)
            with closing(repository.objects()) as objects:
                for one in objects:
                    place = Place(folder, f"@{one.name[:_SHORT]}")
                    if self._object(place, one.size, one.content):
                        found.add(one.name)
            if found:
                self._name_objects(folder, repository.paths(found))
        except Problem as failure:
            self._add_unread(folder, redact(str(failure)))
            return False
        return True

    def _object(self, place: Place, size: int, content: Iterator[bytes]) -> bool:
        """Search an object; return whether it contains a token."""
        self.result.objects += 1
        self._unread_in_file = 0
        if self._max_file_size is not None and size > self._max_file_size:
            self.unread(place, _LARGER.format(self._max_file_size))
            return False
        before = self._findings
        search_content(place, self._counted(content), self, Budget.for_size(size))
        return self._findings > before

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.result.bytes += len(chunk)
            yield chunk

    def _name_objects(self, folder: str, paths: dict[str, bytes]) -> None:
        """Add the paths of objects to their locations."""
        names = {_shown(Place(folder, f"@{one[:_SHORT]}")): path for one, path in paths.items()}
        length = len(next(iter(names), ""))
        for locations in self.result.locations.values():
            for index, location in enumerate(locations):
                start, rest = location.path[:length], location.path[length:]
                if start in names:
                    path = f"{start}:{shown_path(os.fsdecode(names[start]))}{rest}"
                    locations[index] = replace(location, path=path)

    # What a visitor does: see _scan_archives.

    def text(self, place: Place, chunks: Iterator[bytes]) -> Iterator[bytes | None]:
        """Search a text, and yield what is compressed in it in base64."""
        return self._report(place, self._searched(place, chunks))

    def _searched(
        self, place: Place, chunks: Iterator[bytes]
    ) -> Iterator[TextFinding | PackedFinding]:
        """Search a text: in another process if it is long, and this one has to unpack it."""
        before, first = self.result.bytes, _first_chunks(chunks)
        is_unpacked = self.result.bytes - before < _LONG // 2
        is_long = sum(map(len, first)) >= _LONG
        process = self._text_process() if is_long and is_unpacked else None
        whole = chain(_each_once(first), chunks)
        if process is None:
            yield from search_text(whole)
            return
        with self._while_open(process):
            for record in process.records(whole):
                if not isinstance(record, End):
                    yield record
                elif record.unread:
                    self.unread(place, record.unread[0])
                    for __ in whole:  # what follows the text is read nevertheless
                        pass

    def _text_process(self) -> TextProcess | None:
        try:
            return TextProcess() if self._usable_processes() > 1 else None
        except OSError:
            return None

    def _usable_processes(self) -> int:
        """Return how many processes may search; 1 if others do already."""
        return 1 if self._has_processes else usable_processes()

    @contextmanager
    def _while_open(self, processes: Processes | TextProcess) -> Iterator[None]:
        """Close processes at the end; meanwhile no others are started."""
        self._has_processes = True
        try:
            yield
        finally:
            self._has_processes = False
            processes.close()

    def _report(
        self, place: Place, findings: Iterator[TextFinding | PackedFinding]
    ) -> Iterator[bytes | None]:
        """Add what was found in a text, and yield what is compressed in it in base64."""
        for finding in findings:
            if isinstance(finding, PackedFinding):
                yield finding.content
                continue
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
            self.result.add(token, location)
        else:
            self._other_jwts.add(token.fingerprint)

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


def _first_chunks(chunks: Iterator[bytes]) -> list[bytes]:
    """Return the chunks of a text until there are _LONG bytes."""
    found, size = [], 0
    while size < _LONG and (chunk := next(chunks, None)) is not None:
        found.append(chunk)
        size += len(chunk)
    return found


def _each_once(chunks: list[bytes]) -> Iterator[bytes]:
    """Yield chunks, and keep none of them in memory."""
    chunks.reverse()
    while chunks:
        yield chunks.pop()


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what an entry of a folder is, without following a link."""
    try:
        if entry.is_file(follow_symlinks=False):
            return "file"
        return "folder" if entry.is_dir(follow_symlinks=False) else ""
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
