# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a stream of chunks in pieces of any size. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

EARLY_END = "it ends early"


class Problem(Exception):
    """A content is damaged, or too large; the text is the reason, for users."""


class Reader:
    """Reads a stream of chunks in pieces of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._start = 0  # of the bytes in the buffer that are left

    def peek(self, size: int) -> bytes:
        """Return the next bytes: this many, or fewer at the end of the stream."""
        while len(self._buffer) - self._start < size and (chunk := next(self._chunks, b"")):
            self.push_back(self._buffer[self._start :] + chunk)
        return self._buffer[self._start : self._start + size]

    def chunk(self) -> bytes:
        """Return the next chunk of any size, empty at the end of the stream."""
        if not self._buffer:
            return next(self._chunks, b"")
        chunk = self._buffer[self._start :] if self._start else self._buffer
        self._buffer, self._start = b"", 0
        return chunk or next(self._chunks, b"")

    def part(self, size: int) -> bytes:
        """Return the next bytes, at most this many; empty at the end of the stream."""
        if self._start >= len(self._buffer):
            self.push_back(next(self._chunks, b""))
        data = self._buffer[self._start : self._start + size]
        self._start += len(data)
        return data

    def push_back(self, data: bytes) -> None:
        """Put the last chunk back, or its end."""
        self._buffer, self._start = data, 0

    def read(self, size: int) -> bytes:
        """Return this many bytes. Raises Problem at the end of the stream."""
        data = self.peek(size)
        self._start += len(data)
        if len(data) < size:
            raise Problem(EARLY_END)
        return data

    def unread(self, data: bytes) -> None:
        """Put back what was read."""
        self.push_back(data + self._buffer[self._start :])

    def take(self, size: int) -> Iterator[bytes]:
        """Yield this many bytes as chunks, fewer if the stream ends before."""
        while size > 0:
            data = self.peek(1)
            if not data:
                return
            chunk = self._buffer[self._start : self._start + size]
            self._start += len(chunk)
            size -= len(chunk)
            yield chunk

    def skip(self, size: int) -> None:
        """Skip this many bytes. Raises Problem at the end of the stream."""
        if sum(map(len, self.take(size))) < size:
            raise Problem(EARLY_END)

    def line(self, size: int) -> bytes:
        """Return the next line with its end, empty at the end of the stream.

        Raises Problem if it has no end, or is longer than `size` bytes.
        """
        head = self.peek(size)
        end = head.find(b"\n") + 1
        if head and not end:
            raise Problem("a line is too long")
        return self.read(end)

    def skip_zeros(self) -> None:
        """Skip NUL bytes."""
        while chunk := self.chunk():
            if rest := chunk.lstrip(b"\0"):
                self.push_back(rest)
                return

    def rest(self) -> Iterator[bytes]:
        """Yield all chunks that are left."""
        while chunk := self.chunk():
            yield chunk
