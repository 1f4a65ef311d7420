# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where plain and encoded tokens may start in text: the fast part of a search. Pure.

A scan spends nearly all of its time here. The search for a byte that is rare in the text is many
times faster than any other, so a literal is searched by its rarest letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

# Bytes: every _STEP-th shows how frequent a letter is. A letter that is more frequent than one in
# _RARE bytes is searched by a regular expression, which takes the same time for any letter.
_STEP = 251
_RARE = 800

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
_BEFORE_J = b"y" + _GAP_ENDS


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


class Letter(NamedTuple):
    """The rarest letter of a literal in some text. before, after: bytes one of which is next to it.

    offset: of the letter in the literal. Only one of before and after is not empty.
    """

    letter: bytes
    offset: int
    before: bytes
    after: bytes
    is_rare: bool


Letters = Mapping[Kind, Letter]


def find_marks(data: bytes) -> list[Mark]:
    """Return the places in a whole text where tokens may start."""
    return find_starts(data, 0, len(data), choose_letters(data, 0)) + find_runs(data, 0)


def choose_letters(data: bytes, start: int) -> Letters:
    """Return the letters by which each literal is found the fastest after an index."""
    sample = data[start::_STEP]

    def letter(text: bytes, index: int, before: bytes, after: bytes) -> Letter:
        one = text[index : index + 1]
        return Letter(one, index, before, after, sample.count(one) * _RARE <= len(sample))

    letters = {Kind.START: letter(b"eyJ", 2, _BEFORE_J, b"")}
    for kind in BASE64_OFFSETS:
        text = kind.value.encode()
        __, index = min((sample.count(text[i : i + 1]), i) for i in range(len(text)))
        before, after = (text[index - 1 : index], b"") if index else (b"", text[1:2])
        letters[kind] = letter(text, index, before, after)
    return letters


def find_starts(data: bytes, start: int, end: int, letters: Letters) -> list[Mark]:
    """Return the places between two indexes where tokens may start, by kind and in order."""
    stop = min(len(data), end + _MAX_SPLIT)
    found = [(Kind.START, _starts(data, start, stop, letters[Kind.START]))]
    found += [
        (kind, _literals(data, start, stop, kind.value.encode(), letters[kind]))
        for kind in BASE64_OFFSETS
    ]
    found += [(Kind.ESCAPE, list(_escapes(data, start, stop)))]
    return [Mark(index, kind, index) for kind, indexes in found for index in indexes if index < end]


def _starts(data: bytes, start: int, stop: int, letter: Letter) -> list[int]:
    """Return the indexes of starts, also of those with a line break in them."""
    found = []
    for at in _candidates(data, start, stop, letter):
        split = None
        if data.startswith(b"ey", at - 2):
            found.append(at - 2)
        elif data[at - 1] in _GAP_ENDS and data.rfind(b"y", max(0, at - _MAX_SPLIT), at) >= 0:
            split = _SPLIT_START.search(data, max(0, at - _MAX_SPLIT), at)
        if split:
            found.append(split.start())
    return [index for index in found if index >= start]


def _literals(data: bytes, start: int, stop: int, text: bytes, letter: Letter) -> list[int]:
    """Return the indexes of a literal, found by one of its letters."""
    first, last = start + letter.offset, stop - len(text) + 1 + letter.offset
    found = (at - letter.offset for at in _candidates(data, first, last, letter))
    return [at for at in found if data.startswith(text, at)]


def _candidates(data: bytes, start: int, stop: int, letter: Letter) -> list[int]:
    """Return the indexes of a letter that is next to one of the bytes that it must be next to.

    A search for the letter alone is the fastest, unless the letter is frequent.
    """
    if not letter.is_rare:
        return [match.start() for match in _pattern(letter).finditer(data, start, stop)]
    side, beside = (-1, letter.before) if letter.before else (1, letter.after)
    found: list[int] = []
    at, find = data.find(letter.letter, start, stop), data.find
    while at >= 0:
        if data[at + side] in beside:
            found.append(at)
        at = find(letter.letter, at + 1, stop)
    return found


@lru_cache(maxsize=16)
def _pattern(letter: Letter) -> re.Pattern[bytes]:
    """Return a pattern whose first part is the letter alone, which makes it fast."""
    if letter.before:
        return re.compile(b"%s(?<=[%s]%s)" % (letter.letter, letter.before, letter.letter))
    return re.compile(b"%s(?=[%s])" % (letter.letter, letter.after))


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
