# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Searching a stream of bytes for tokens, plain and encoded, in one pass and little memory. Pure.

Most text never leaves the fast part, which is _scan_literals.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.nomba.auth.plugins.module_utils._scan_encodings import (
    LOOKAHEAD,
    LOOKBEHIND,
    MAX_RUN,
    Encoded,
    Packed,
    Spans,
    find_encoded,
    next_part,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_literals import (
    MIN_RUN,
    Kind,
    Letters,
    Mark,
    choose_letters,
    find_runs,
    find_starts,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    Token,
    payload_dot,
    tokens_at,
)

# Bytes that are searched at a time, if the stream has so many.
_BLOCK = 1024 * 1024
# Bytes at the end of a block that are searched with the next one: a mark may be on the border.
# A run on the border is in _SEAM bytes on each side of it.
_BORDER = 128
_SEAM = 2 * MIN_RUN
# Bytes of which the marks are in memory at a time.
_SLICE = 256 * 1024
# Bytes. A token in UTF-16 is longer, and each second byte of it is NUL.
_EDGE = 256


@dataclass(frozen=True)
class TextFinding:
    """A token in text. line: from 1. encoding: empty if the token is plain, or only wrapped."""

    token: Token
    line: int
    encoding: str


@dataclass(frozen=True)
class PackedFinding:
    """Compressed content in base64, which starts in a line; None if it is too large to decode."""

    content: bytes | None
    line: int


@dataclass(frozen=True)
class _Found:
    index: int
    token: Token
    encoding: str


def search_text(chunks: Iterable[bytes]) -> Iterator[TextFinding | PackedFinding]:
    """Find tokens in a stream of bytes of any format; the memory does not depend on its size.

    A plain token may be cut short, or name no account; an encoded one is complete and names one.
    The NUL bytes of UTF-16 text are removed first.
    """
    yield from search_part(chunks, 0)


def search_part(
    chunks: Iterable[bytes], context: int
) -> Generator[TextFinding | PackedFinding, None, int]:
    """Find tokens in a part of a text, as search_text does; return the number of its line breaks.

    context: the bytes at the start of the first chunk that are before the part. Lines are numbered
    from its start. Where a text may be cut into parts: see _scan_parts.
    """
    window, waiting = _Window(), b""
    for block in _blocks(chunks):
        if waiting:
            yield from window.search(waiting)
        elif context:
            window.precede(block[:context])
        waiting, context = block[context:], 0
    yield from window.search(waiting, is_last=True)
    return window.line_breaks()


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks, those of UTF-16 without NUL bytes; short ones are joined."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk.translate(None, b"\0") if _may_be_utf16(chunk) else chunk)
        size += len(waiting[-1])
        if size >= _BLOCK:
            yield b"".join(waiting) if len(waiting) > 1 else waiting[0]
            waiting, size = [], 0
    yield b"".join(waiting)


def _may_be_utf16(chunk: bytes) -> bool:
    """Return whether a chunk contains a token in UTF-16 or UTF-32, or a part of one."""
    edges = chunk[:_EDGE] + chunk[-_EDGE:]
    return b"\0" in edges or b"\0" in chunk[::_EDGE] or b"\0" in chunk[1::_EDGE]


class _Window:
    """The part of a stream that is in memory."""

    def __init__(self) -> None:
        self._data = b""
        self._line = 1  # of the byte at the next index
        self._counted = 0  # the index before which the lines are counted
        self._start = 0  # of what is not yet searched
        self._whole = 0  # the index after the last complete token that nothing interrupts
        self._covered = 0  # the index after the last encoded or wrapped token
        self._run = -1  # the start of a run that was searched in part
        self._after_run = 0  # the index after the last run that was searched

    def precede(self, context: bytes) -> None:
        """Add what is before the first byte to search."""
        self._data = context
        self._start = self._counted = len(context)

    def line_breaks(self) -> int:
        """Return the number of line breaks in what was searched."""
        return self._line_at(len(self._data)) - 1

    def search(self, block: bytes, is_last: bool = False) -> Iterator[TextFinding | PackedFinding]:
        """Search what follows, as far as what may start in it is complete."""
        self._data += block
        runs, size = self._runs(), len(self._data)
        letters = choose_letters(self._data, self._start)
        tail = size if is_last else max(self._start, size - LOOKAHEAD)
        end = size if is_last else self._end(runs, tail, letters)
        runs = [run for run in runs if run.start < end]
        for start in range(self._start, min(tail, end), _SLICE):
            stop = min(tail, end, start + _SLICE)
            marks = find_starts(self._data, start, stop, letters) + [
                run for run in runs if start <= max(run.start, self._start) < stop
            ]
            yield from self._search(sorted(marks, key=lambda mark: mark.start))
        yield from self._search([run for run in runs if run.start >= tail])
        self._start = end
        if not is_last:
            self._continue_run(runs)
        self._forget(max(0, self._start - LOOKBEHIND))

    def _runs(self) -> list[Mark]:
        """Return the runs in what is not yet searched, in order."""
        found = find_runs(self._data, max(0, self._start - _SEAM))
        return [
            run._replace(start=max(run.start, self._run))
            for run in found
            if run.end > max(self._start, self._after_run)
        ]

    def _end(self, runs: list[Mark], tail: int, letters: Letters) -> int:
        """Return the index before which all that starts is complete.

        tail: what starts after this index may not be complete. No token starts between it and the
        index returned.
        """
        last = len(self._data) - _BORDER
        waiting = [run.start for run in runs if not self._is_complete(run)]
        starts = find_starts(self._data, tail, max(tail, last), letters)
        return max(self._start, min([last, *waiting, *(mark.start for mark in starts)]))

    def _is_complete(self, run: Mark) -> bool:
        """Return whether a run ends in the window, or is too large for it."""
        return run.end < len(self._data) or run.end - run.start >= MAX_RUN

    def _continue_run(self, runs: list[Mark]) -> None:
        """Search the last part of a run that is too large again, with what follows it."""
        if self._start > self._run:
            self._run = -1
        for run in runs:
            self._after_run = run.end
            if run.end == len(self._data):
                self._run = self._start = next_part(self._data, run)

    def _forget(self, size: int) -> None:
        self._line_at(size)
        self._data = self._data[size:]
        self._counted -= size
        self._start -= size
        self._whole -= size
        self._covered -= size
        self._after_run -= size
        self._run = max(-1, self._run - size)

    def _search(self, marks: list[Mark]) -> Iterator[TextFinding | PackedFinding]:
        """Yield what is at marks, in order."""
        first = max(self._whole, self._covered)
        marks = [mark for mark in marks if mark.kind is Kind.RUN or mark.start >= first]
        if not marks:
            return
        tokens = list(self._plain_tokens(marks))
        complete = Spans(_span(dot, token) for dot, token in tokens if token.well_formed)
        encoded = list(find_encoded(self._data, complete.outside(marks)))
        parts = Spans((one.start, one.end) for one in encoded)
        found: list[tuple[int, Encoded | Packed | Token]] = [(one.start, one) for one in encoded]
        for dot, token in tokens:
            if token.well_formed or not (dot < self._covered or parts.contain(dot)):
                found.append((dot, token))
        self._whole, self._covered = max(self._whole, complete.end), max(self._covered, parts.end)
        for index, one in sorted(found, key=lambda each: each[0]):
            yield _finding(one, self._line_at(index))

    def _line_at(self, index: int) -> int:
        """Return the line of the byte at an index. Each byte is counted once, if possible."""
        if index < self._counted:
            return self._line - self._data.count(b"\n", index, self._counted)
        self._line += self._data.count(b"\n", self._counted, index)
        self._counted = index
        return self._line

    def _plain_tokens(self, marks: list[Mark]) -> Iterator[tuple[int, Token]]:
        """Yield the tokens that nothing interrupts, complete or cut short, each with its dot."""
        starts = (mark.start for mark in marks if mark.kind is Kind.START)
        dots = {payload_dot(self._data, start) for start in starts}
        for dot in sorted(dots - {-1}):
            for token in tokens_at(self._data, dot):
                yield dot, token


def _span(dot: int, token: Token) -> tuple[int, int]:
    start = dot - token.text.index(".")
    return start, start + len(token.text)


def _finding(one: Encoded | Packed | Token, line: int) -> TextFinding | PackedFinding:
    if isinstance(one, Packed):
        return PackedFinding(one.content, line)
    if isinstance(one, Encoded):
        return TextFinding(one.token, line, one.encoding)
    return TextFinding(one, line, "")
