# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Searching a stream of bytes for tokens, plain and encoded, in one pass and little memory.

Pure: the stream is an argument.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.nomba.auth.plugins.module_utils._scan_encodings import (
    BASE64_LITERALS,
    LOOKAHEAD,
    LOOKBEHIND,
    find_encoded,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import Token, tokens_in

# Bytes. A token in UTF-16 is longer, and each second byte of it is NUL.
_EDGE = 256


# Each token contains one of these, in any encoding.
_LITERALS = (b"eyJ", b".ey", b".ew", *BASE64_LITERALS, b"%", b"\\", b"\0")


@dataclass(frozen=True)
class TextFinding:
    """A token in text. line: from 1. encoding: empty if the token is plain, or only wrapped."""

    token: Token
    line: int
    encoding: str


@dataclass(frozen=True)
class _Found:
    index: int
    token: Token
    encoding: str


def search_text(chunks: Iterable[bytes]) -> Iterator[TextFinding]:
    """Find tokens in a stream of bytes of any format; memory is bounded by the size of a chunk.

    A plain token may be cut short, or name no account; an encoded one is complete and names one.
    The NUL bytes of UTF-16 text are removed first.
    """
    data, start, line, covered = b"", 0, 1, 0
    for chunk in chunks:
        data += chunk.translate(None, b"\0") if _may_be_utf16(chunk) else chunk
        end = len(data) - LOOKAHEAD
        if end <= start:
            continue
        covered = yield from _search(data, start, end, line, covered)
        keep = max(0, end - LOOKBEHIND)
        line += data.count(b"\n", 0, keep)
        data, start, covered = data[keep:], end - keep, covered - keep
    yield from _search(data, start, len(data), line, covered)


def is_clean(text: bytes) -> bool:
    """Return whether a whole text certainly contains no token; fast for small texts."""
    return not any(literal in text for literal in _LITERALS)


def _may_be_utf16(chunk: bytes) -> bool:
    """Return whether a chunk contains a token in UTF-16 or UTF-32, or a part of one."""
    edges = chunk[:_EDGE] + chunk[-_EDGE:]
    return b"\0" in edges or b"\0" in chunk[::_EDGE] or b"\0" in chunk[1::_EDGE]


def _search(
    data: bytes, start: int, end: int, line: int, covered: int
) -> Generator[TextFinding, None, int]:
    """Yield the tokens between two indexes, and return the index after the last one.

    line: that of index 0. covered: the index after the last encoded token that was found before.
    """
    encoded = sorted(find_encoded(data, start, end), key=lambda one: one.start)
    starts = [one.start for one in encoded]
    found = [_Found(one.start, one.token, one.encoding) for one in encoded]
    for dot, token in tokens_in(data, start, end):
        before = bisect_left(starts, dot)
        is_part = dot < covered or (before > 0 and dot < encoded[before - 1].end)
        if token.well_formed or not is_part:
            found.append(_Found(dot, token, ""))
    counted = 0
    for one in sorted(found, key=lambda one: one.index):
        line += data.count(b"\n", counted, one.index)
        counted = one.index
        yield TextFinding(one.token, line, one.encoding)
    return max([covered, *(one.end for one in encoded)])
