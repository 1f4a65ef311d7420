# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Searching in other processes: the parts of a large file, and what this process unpacks.

The result is that of one process. The others are forks of it, so they share its open files. Each
sends what it finds through a pipe, and this process reads the pipes in the order of the parts. No
process outlives the search.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple
from typing import Any, NamedTuple, Union

from ansible_collections.nomba.auth.plugins.module_utils._scan_parts import Part
from ansible_collections.nomba.auth.plugins.module_utils._scan_reader import Problem, Reader
from ansible_collections.nomba.auth.plugins.module_utils._scan_text import (
    PackedFinding,
    TextFinding,
    search_text,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import Token

_MAX_PROCESSES = 4
# The threads of this process. The fork of a process with several threads may never end.
_THREADS = "/proc/self/task"
_PIECE = 64 * 1024
# Bytes of text that may wait in a pipe. With the default of 64 KiB, two processes work in turns.
_WAITING = 1024 * 1024
_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 1031)  # Python 3.9 has no name for it
# Bytes of the size that is before a chunk or a record.
_SIZE = 8
# Seconds between two looks at whether a signal stopped the run.
_LOOK = 0.5

_ENDED = "a process that read it was killed"


class End(NamedTuple):
    """The end of a part. size: the bytes that were read. unread: the reasons, if not all was."""

    line_breaks: int
    size: int
    unread: Sequence[str]
    is_stopped: bool


Record = Union[TextFinding, PackedFinding, End]


def usable_processes() -> int:
    """Return how many processes may search at the same time; 1 without forks."""
    try:
        processors = len(os.sched_getaffinity(0))
        threads = sum(1 for __ in os.scandir(_THREADS))
    except (AttributeError, OSError):
        return 1
    return min(processors, _MAX_PROCESSES) if threads == 1 else 1


class Processes:
    """Processes that search the parts of a file, until they are closed."""

    def __init__(
        self, count: int, parts: Sequence[Part], search: Callable[[Part], Iterator[Record]]
    ) -> None:
        """search: yields what is in a part, and its end. Raises OSError without a process."""
        self._count = len(parts)
        self._children: list[int] = []
        self._pipes: list[int] = []
        try:
            for number in range(count):
                self._start(parts[number::count], search)
        except OSError:
            self.close()
            raise

    def records(self, stopped: Callable[[], bool]) -> Iterator[Record]:
        """Yield what all parts contain, in order, each with its end."""
        readers = [Reader(_chunks(pipe, stopped)) for pipe in self._pipes]
        for number in range(self._count):
            record: Record | None = None
            while not isinstance(record, End):
                try:
                    record = _receive(readers[number % len(readers)])
                except Problem:
                    record = End(0, 0, () if stopped() else (_ENDED,), stopped())
                yield record

    def _start(self, parts: Sequence[Part], search: Callable[[Part], Iterator[Record]]) -> None:
        reading, writing = os.pipe()
        self._pipes.append(reading)
        try:
            records = (record for part in parts for record in search(part))
            self._children.append(_fork(records, writing, self._pipes))
        finally:
            os.close(writing)

    def close(self) -> None:
        """Kill the processes."""
        for pipe in self._pipes:
            os.close(pipe)
        for child in self._children:
            _kill(child)
        self._pipes, self._children = [], []


class TextProcess:
    """A process that searches a text, until it is closed."""

    def __init__(self) -> None:
        """Raises OSError without a process."""
        self._reading, records = os.pipe()
        chunks, self._writing = os.pipe()
        try:
            self._child = _fork(_search(chunks), records, [self._reading, self._writing])
        except OSError:
            self._close_pipes()
            raise
        finally:
            os.close(records)
            os.close(chunks)
        os.set_blocking(self._writing, False)
        with suppress(OSError):  # the limit of this user is reached
            fcntl.fcntl(self._writing, _F_SETPIPE_SZ, _WAITING)

    def records(self, chunks: Iterator[bytes]) -> Iterator[Record]:
        """Yield what a text contains, and its end."""
        problems: list[Problem] = []
        reader = Reader(self._exchange(_frames(chunks, problems)))
        record: Record | None = None
        while not isinstance(record, End):
            try:
                record = _receive(reader)
            except Problem:
                record = End(0, 0, (_ENDED,), is_stopped=False)
            yield record
        if problems:
            raise problems[0]

    def close(self) -> None:
        """Kill the process."""
        self._close_pipes()
        _kill(self._child)

    def _close_pipes(self) -> None:
        os.close(self._reading)
        os.close(self._writing)

    def _exchange(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        """Send frames, and yield what the process sends, until it ends."""
        data = memoryview(b"")
        while True:
            data = data or memoryview(next(frames, b""))
            writing = [self._writing] if data else []
            readable, writable, __ = select.select([self._reading], writing, [])
            if writable:
                try:
                    data = data[os.write(self._writing, data) :]
                except BrokenPipeError:
                    data, frames = memoryview(b""), iter(())
            if readable:
                received = os.read(self._reading, _PIECE)
                if not received:
                    return
                yield received


def _frames(chunks: Iterator[bytes], problems: list[Problem]) -> Iterator[bytes]:
    """Yield chunks, each after its size, and then no size; note the problem that ended them."""
    try:
        for chunk in chunks:
            if chunk:
                yield len(chunk).to_bytes(_SIZE, "big")
                yield chunk
    except Problem as problem:
        problems.append(problem)
    yield bytes(_SIZE)


def _search(pipe: int) -> Iterator[Record]:
    """Search the text whose frames come through a pipe."""
    with os.fdopen(pipe, "rb") as stream:
        sizes = iter(lambda: int.from_bytes(stream.read(_SIZE), "big"), 0)
        yield from search_text(stream.read(size) for size in sizes)
    yield End(0, 0, (), is_stopped=False)


def _fork(records: Iterator[Record], pipe: int, parents_pipes: Iterable[int]) -> int:
    """Return the id of a new process, which sends records through a pipe and ends."""
    child = os.fork()
    if child:
        return child
    try:
        for other in parents_pipes:
            os.close(other)  # so that writing fails when the parent has ended
        with os.fdopen(pipe, "wb") as stream:
            for record in records:
                stream.write(_packed(record))
                if isinstance(record, End):
                    stream.flush()
    finally:
        os._exit(0)  # whatever happened: the parent misses the end of a part


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _chunks(pipe: int, stopped: Callable[[], bool]) -> Iterator[bytes]:
    """Yield what a process sends, until it ends or a signal stops the run."""
    while not stopped():
        if select.select([pipe], [], [], _LOOK)[0]:
            chunk = os.read(pipe, _PIECE)
            if not chunk:
                return
            yield chunk


def _packed(record: Record) -> bytes:
    """Return a record as JSON after its size; a content may follow."""
    content = b""
    fields: list[Any]
    if isinstance(record, TextFinding):
        fields = ["text", astuple(record.token), record.line, record.encoding]
    elif isinstance(record, PackedFinding):
        content = record.content or b""
        fields = ["packed", None if record.content is None else len(content), record.line]
    else:
        fields = ["end", *record]
    text = json.dumps(fields).encode("ascii")
    return len(text).to_bytes(_SIZE, "big") + text + content


def _receive(reader: Reader) -> Record:
    """Return the next record. Raises Problem if there is no complete one."""
    kind, *fields = json.loads(reader.read(int.from_bytes(reader.read(_SIZE), "big")))
    if kind == "text":
        values, line, encoding = fields
        # Interned: a hundred thousand tokens of one account share one string.
        values[-1] = tuple(sys.intern(account) for account in values[-1])
        return TextFinding(Token(*values), line, encoding)
    if kind == "packed":
        size, line = fields
        return PackedFinding(None if size is None else reader.read(size), line)
    return End(*fields)
