# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Searching the parts of a large file in several processes. The result is that of one process.

The processes are forks of this one, so they share its open files. Each sends what it finds through
a pipe, and this process reads the pipes in the order of the parts. No process outlives the search.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from typing import Any, NamedTuple, NoReturn, Union

from ansible_collections.nomba.auth.plugins.module_utils._scan_parts import Part
from ansible_collections.nomba.auth.plugins.module_utils._scan_reader import Problem, Reader
from ansible_collections.nomba.auth.plugins.module_utils._scan_text import (
    PackedFinding,
    TextFinding,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import Token

_MAX_PROCESSES = 4
# The threads of this process. The fork of a process with several threads may never end.
_THREADS = "/proc/self/task"
_PIECE = 64 * 1024
# Bytes of a record without the content in it.
_MAX_RECORD = 256 * 1024
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
            child = os.fork()
            if not child:
                self._search(writing, parts, search)
            self._children.append(child)
        finally:
            os.close(writing)

    def _search(
        self, pipe: int, parts: Sequence[Part], search: Callable[[Part], Iterator[Record]]
    ) -> NoReturn:
        """Search parts in this process, which is a fork, and end it."""
        try:
            for other in self._pipes:
                os.close(other)  # so that writing fails when no process reads any longer
            with os.fdopen(pipe, "wb") as stream:
                for part in parts:
                    for record in search(part):
                        stream.write(_packed(record))
                    stream.flush()
        finally:
            os._exit(0)  # whatever happened: the parent misses the end of a part

    def close(self) -> None:
        """Kill the processes."""
        for pipe in self._pipes:
            os.close(pipe)
        for child in self._children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        self._pipes, self._children = [], []


def _chunks(pipe: int, stopped: Callable[[], bool]) -> Iterator[bytes]:
    """Yield what a process sends, until it ends or a signal stops the run."""
    while not stopped():
        if select.select([pipe], [], [], _LOOK)[0]:
            chunk = os.read(pipe, _PIECE)
            if not chunk:
                return
            yield chunk


def _packed(record: Record) -> bytes:
    """Return a record as one line of JSON, which may be followed by a content."""
    content = b""
    fields: list[Any]
    if isinstance(record, TextFinding):
        fields = ["text", astuple(record.token), record.line, record.encoding]
    elif isinstance(record, PackedFinding):
        content = record.content or b""
        fields = ["packed", None if record.content is None else len(content), record.line]
    else:
        fields = ["end", *record]
    return json.dumps(fields).encode("ascii") + b"\n" + content


def _receive(reader: Reader) -> Record:
    """Return the next record. Raises Problem if there is no complete one."""
    kind, *fields = json.loads(reader.line(_MAX_RECORD) or _no_record())
    if kind == "text":
        values, line, encoding = fields
        # Interned: a hundred thousand tokens of one account share one string.
        values[-1] = tuple(sys.intern(account) for account in values[-1])
        return TextFinding(Token(*values), line, encoding)
    if kind == "packed":
        size, line = fields
        return PackedFinding(None if size is None else reader.read(size), line)
    return End(*fields)


def _no_record() -> NoReturn:
    raise Problem(_ENDED)
