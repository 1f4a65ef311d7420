# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where plain and encoded tokens may start in text: the fast part of a search. Pure.

A scan spends nearly all of its time here. The search for a byte that is rare in the text is many
times faster than any other, so a literal is searched by its rarest letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

# Bytes: every _STEP-th shows how frequent a letter is. A letter that is more frequent than one in
# _RARE bytes is searched by a regular expression.
_STEP = 251
_RARE = 1024

# A run is text that may be base64, in lines or not, and is long enough for a token that is encoded
# twice, compressed, or in UTF-16. Every _STRIDE-th byte is examined.
MIN_RUN = 320
_STRIDE, _FINE = 16, 3
_SAMPLES = b"\1" * (MIN_RUN // _STRIDE - 1)
_RUN_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\\\r\n"
_IN_RUN = bytes(byte in _RUN_CHARACTERS for byte in range(256))
# Its lines may be indented.
_IN_LINES = bytes(byte in _RUN_CHARACTERS + b" \t" for byte in range(256))
_RUN = re.compile(rb"[A-Za-z0-9+/\-_\\\r\n]*")
_INDENTATION = re.compile(rb"(?<=\n)[ \t]+")
_MAX_LINE = 1024

# Escaped tokens are longer than _SAMPLED bytes, with an escape in each of _LONGEST_ESCAPE bytes.
_SAMPLED = 512
_LONGEST_ESCAPE = 12

# Between the letters of a start, a line may end, and the next one may be indented or quoted.
_GAP = rb"(?:[^A-Za-z0-9_.-]{1,40})?"
_SPLIT_START = re.compile(rb"e%sy%s\Z" % (_GAP, _GAP))
_MAX_SPLIT = 82
_GAP_ENDS = b"\n\t >\"'`"
_LETTER_J = re.compile(rb"J(?<=[y\n\t >\"'`]J)")


class Kind(Enum):
    """What a mark is the start of."""

    START = "eyJ"  # `{"` and a letter in base64url, as a header or a payload starts
    ESCAPE = "escape"  # the same with an escape for each character
    BASE64_0 = "ZXlK"  # the same in base64, for each position in a group of three bytes
    BASE64_1 = "V5S"
    BASE64_2 = "leU"
    RUN = "run"


# The number of characters before the literal in its group of four.
BASE64_OFFSETS = {Kind.BASE64_0: 0, Kind.BASE64_1: 2, Kind.BASE64_2: 3}
_ESCAPES = (
    (b"%", re.compile(rb"%(?:25)*65%(?:25)*79")),
    (b"\\", re.compile(rb"\\(?:u00|x)65\\+(?:u00|x)79")),
)


class Mark(NamedTuple):
    """A place where a token may start. end: of a run, otherwise equal to the start."""

    start: int
    kind: Kind
    end: int


def find_marks(data: bytes) -> list[Mark]:
    """Return the places in a whole text where tokens may start."""
    return find_starts(data, 0, len(data)) + find_runs(data, 0)


def find_starts(data: bytes, start: int, end: int) -> list[Mark]:
    """Return the places between two indexes where tokens may start, by kind and in order."""
    stop = min(len(data), end + _MAX_SPLIT)
    sample = data[start:end:_STEP]
    found = [(Kind.START, _starts(data, start, stop, sample))]
    found += [
        (kind, _literals(data, start, stop, kind.value.encode(), sample)) for kind in BASE64_OFFSETS
    ]
    found += [(Kind.ESCAPE, list(_escapes(data, start, stop)))]
    return [Mark(index, kind, index) for kind, indexes in found for index in indexes if index < end]


def _starts(data: bytes, start: int, stop: int, sample: bytes) -> list[int]:
    """Return the indexes of starts, also of those with a line break in them."""
    found = []
    for at in _candidates(data, start, stop, _LETTER_J, sample):
        split = None
        if data.startswith(b"ey", at - 2):
            found.append(at - 2)
        elif data[at - 1] in _GAP_ENDS and data.rfind(b"y", max(0, at - _MAX_SPLIT), at) >= 0:
            split = _SPLIT_START.search(data, max(0, at - _MAX_SPLIT), at)
        if split:
            found.append(split.start())
    return [index for index in found if index >= start]


def _literals(data: bytes, start: int, stop: int, text: bytes, sample: bytes) -> list[int]:
    """Return the indexes of a literal, found by its rarest letter."""
    __, index = min((sample.count(text[i : i + 1]), i) for i in range(len(text)))
    found = _candidates(data, start + index, stop, _pattern(text, index), sample)
    return [at - index for at in found if data.startswith(text, at - index)]


@lru_cache(maxsize=16)
def _pattern(text: bytes, index: int) -> re.Pattern[bytes]:
    """Return a pattern that starts with the letter at an index of a literal."""
    letter, before, after = text[index : index + 1], text[: index + 1], text[index + 1 :]
    return re.compile(b"%s(?<=%s)%s" % (letter, before, after))


def _candidates(
    data: bytes, start: int, stop: int, pattern: re.Pattern[bytes], sample: bytes
) -> list[int]:
    """Return the indexes of the letter with which a pattern starts; at least those of the pattern.

    A search for the letter alone is the fastest, unless the letter is frequent.
    """
    letter = pattern.pattern[:1]
    if sample.count(letter) * _RARE > len(sample):
        return [match.start() for match in pattern.finditer(data, start, stop)]
    found: list[int] = []
    at, find, add = data.find(letter, start, stop), data.find, found.append
    while at >= 0:
        add(at)
        at = find(letter, at + 1, stop)
    return found


def _escapes(data: bytes, start: int, stop: int) -> Iterator[int]:
    """Yield the indexes of escaped starts, if there are escapes as dense as in such a token."""
    columns = range(start, start + _LONGEST_ESCAPE)
    sample = b"".join(data[column:stop:_SAMPLED] for column in columns)
    for mark, pattern in _ESCAPES:
        if mark in sample:
            yield from (match.start() for match in pattern.finditer(data, start, stop))


def find_runs(data: bytes, start: int) -> list[Mark]:
    """Return the runs after an index."""
    return [Mark(first, Kind.RUN, end) for first, end in _runs(data, start)]


def _runs(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each run."""
    samples = data[start::_STRIDE].translate(_IN_RUN)
    sample, end = 0, start
    while (sample := samples.find(_SAMPLES, sample)) >= 0:
        at = start + sample * _STRIDE
        # The last byte of these that is not part of a run: no run starts before it.
        other = data[at : at + MIN_RUN - 2 * _STRIDE : _FINE].translate(_IN_LINES).rfind(b"\0")
        if other >= 0:
            sample += other * _FINE // _STRIDE + 1
            continue
        last = _run_end(data, at)
        if last - at >= MIN_RUN - 2 * _STRIDE:
            first = _run_start(data, at, end)
            if last - first >= MIN_RUN:
                yield first, last
        end = last
        sample = (last - start) // _STRIDE + 1


def _run_end(data: bytes, at: int) -> int:
    """Return where the run ends that contains an index: the lines may be indented."""
    while run := _RUN.match(data, at):
        indentation = _INDENTATION.match(data, run.end())
        if not indentation:
            return run.end()
        at = indentation.end()
    return at


def _run_start(data: bytes, at: int, floor: int) -> int:
    """Return where the run starts that contains an index: some lines above it, if it has lines."""
    while True:
        newline = data.rfind(b"\n", max(floor, at - _MAX_LINE), at)
        line = data[newline + 1 if newline >= 0 else max(floor, at - _MAX_LINE) : at]
        first = at - len(line) + len(line.rstrip(_RUN_CHARACTERS))
        if newline < 0 or data[newline + 1 : first].strip(b" \t"):
            return first
        above = data[max(floor, newline - _MAX_LINE) : newline].rstrip(b"\r")
        if not above or above[-1] not in _RUN_CHARACTERS:
            return first
        at = newline
