# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens that are encoded or wrapped in text: base64, escapes, colours, line breaks.

Pure. At each mark (see _scan_literals), the text after it is decoded and searched. Only a complete
token that names an account is reported. The removal of a line break may join two texts: a token is
complete only if what was joined certainly belongs together.
"""

from __future__ import annotations

import base64
import re
import string
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ansible_collections.nomba.auth.plugins.module_utils._containers import recognize
from ansible_collections.nomba.auth.plugins.module_utils._scan_literals import (
    BASE64_OFFSETS,
    Kind,
    Mark,
    find_marks,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    MAX_CHARACTERS,
    MAX_HEADER,
    Token,
    cut_token,
    tokens_in,
)

# The encoding as shown to users.
BASE64 = "base64"

# Decoded bytes that are searched after a literal, and bytes of text that may encode them. This is
# twice the size of a token: without a token in it, none starts in its first half.
_MAX_DECODED = 2 * (MAX_HEADER + MAX_CHARACTERS)
LOOKAHEAD = 6 * _MAX_DECODED
# Bytes before a payload in which its header is searched, if a line break is in the header's start.
LOOKBEHIND = 2 * MAX_HEADER
# Searches for a hidden header in one part of a file, and encodings in encodings. Hostile text must
# not take more time than its size explains.
_MAX_SEARCHES = 50
# Characters of the shortest token that names an account.
_MIN_TOKEN = 128
_MAX_DEPTH = 3
# Bytes of a run that are decoded at a time, and those that the next part repeats.
MAX_RUN = 4 * 1024 * 1024
_OVERLAP = 64 * 1024
# Characters of a line of base64 in a run, on average.
_MIN_LINE = 16
# Characters of base64 that show the format of what they encode.
_HEAD = 1024
# The formats that are opened in base64, or reported. The first bytes of the others are not rare in
# keys and signatures.
_PACKED = frozenset(
    {
        *("gzip", "bzip2", "xz", "lzma", "zlib", "zstd", "zip", "tar"),
        *("7z", "deb", "lzip", "lzop", "rar", "rpm"),
    }
)


@dataclass(frozen=True)
class Encoded:
    """A token in text. start, end: the indexes of its first byte, and after its last byte.

    encoding: as shown to users; empty if the token is only wrapped.
    """

    start: int
    end: int
    token: Token
    encoding: str


_CODE = rb"(?:%(?:25)*|=|\\+u00|\\+x)(?P<hex>[2-7][0-9A-Fa-f])"
_COLOR = rb"(?:\x1b|\\+(?:u001[bB]|x1[bB]|033|e))\[[0-9;:]{0,40}[mK]"
_BREAK = rb"(?:\r?\n|(?:\\+r)?\\+n|%0[dD]%0[aA]|%0[aA])[ \t]{0,200}(?:[>|#*+][ \t]?){0,9}"
_OPERATOR = rb"(?:[+.&|~\\]|<<|\.\.|&[ ]_)"
# What may stand between two characters of a token: each alternative begins with another character
# than those of a token.
_UNITS = rb"""
    (?P<run> [%s]+ )
  | (?P<codes> (?: (?:%%(?:25)*|=|\\+u00|\\+x) [2-7][0-9A-Fa-f] )+ )
  | (?P<joint>
        (?: %s )+
      | =\r?\n
      | \\+\r?\n [ \t]{0,200}
      | \\+(?=/)
      | \\*["'`] [ \t]*
        (?: %s [ \t]* (?: \r?\n [ \t]* )? | \r?\n [ \t]* %s [ \t]* )
        [bfru]{0,2} \\*["'`]
    )
  | (?P<break>
        %s
      | \\*["'`] [ \t]* \r?\n [ \t]* [bfru]{0,2} \\*["'`]
    )
"""


@dataclass(frozen=True)
class Packed:
    """Compressed content in base64. content: None if it is too large to decode."""

    start: int
    end: int
    content: bytes | None


@dataclass(frozen=True)
class _Alphabet:
    """The characters of a text, and the pattern of one unit of it: see _UNITS."""

    characters: bytes
    # What follows a line break must be a line of its own.
    whole_lines: bool
    unit: re.Pattern[bytes]


def _alphabet(characters: bytes, whole_lines: bool) -> _Alphabet:
    parts = (characters, _COLOR, _OPERATOR, _OPERATOR, _BREAK)
    unit = re.compile(_UNITS % parts, re.VERBOSE)
    return _Alphabet(characters, whole_lines, unit)


_INDENTATION = re.compile(rb"[ \t]*(?:[>|#*+][ \t]?)*")
_JWT = _alphabet(rb"A-Za-z0-9_.-", whole_lines=True)
_BASE64 = _alphabet(rb"A-Za-z0-9_+/-", whole_lines=False)

_CODES = re.compile(_CODE)
# A line of a run, and what ends it; an escaped line break ends with a letter.
_LINE = re.compile(rb"[A-Za-z0-9+/_-]+")
_ESCAPED_LINE = re.compile(rb"(?:[A-Za-z0-9+/_-](?<!\\[rn]))+")
_LINE_BREAK = re.compile(rb"(?:\\+[rn]|[\r\n][ \t]*)+")
_EMPTY_LINE = re.compile(rb"(?:\r?\n){2}")
# What follows the last character of a line, or of a text in a line.
_END_OF_LINE = re.compile(rb"[ \t]*(?:[,;.)\]}]*(?:\r|\n|\Z)|[\"'`<\\\x1b]|=\r?\n|%0)")
_BASE64_CHARACTERS = f"{string.ascii_letters}{string.digits}_-+/".encode()
_JWT_CHARACTERS = f"{string.ascii_letters}{string.digits}_-".encode()
_JWT_CHARACTER = re.compile(rb"[A-Za-z0-9_-]")
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")


_NOTHING: list[Encoded | Packed] = []


class Spans:
    """Parts of a text: starts, and ends, which are not included."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []  # the largest end of the parts so far
        self.end = 0
        for start, end in sorted(spans):
            self.end = max(self.end, end)
            self._starts.append(start)
            self._ends.append(self.end)

    def contain(self, index: int) -> bool:
        """Return whether an index is in one of the parts."""
        part = bisect_right(self._starts, index)
        return part > 0 and index < self._ends[part - 1]

    def outside(self, marks: Iterable[Mark]) -> list[Mark]:
        """Return the marks that are not completely in one of the parts."""
        return [
            mark
            for mark in marks
            if not (self.contain(mark.start) and self.contain(max(mark.start, mark.end - 1)))
        ]


def find_encoded(data: bytes, marks: list[Mark], depth: int = 0) -> list[Encoded | Packed]:
    """Return the tokens at marks, and what is compressed in base64.

    data: contains LOOKBEHIND bytes before the first mark, and LOOKAHEAD bytes after the last, if
    any.
    """
    found: list[Encoded | Packed] = []

    def left(kind: Kind) -> list[Mark]:
        marks_left = Spans((one.start, one.end) for one in found).outside(marks)
        return [mark for mark in marks_left if mark.kind is kind]

    if depth < _MAX_DEPTH:
        for run in left(Kind.RUN):
            found += _in_run(data, run, depth)
        for kind, offset in BASE64_OFFSETS.items():
            found += _in_base64(data, left(kind), offset, depth)
    for kind in (Kind.START, Kind.ESCAPE):
        found += _interrupted(data, left(kind))
    return found


def next_part(data: bytes, run: Mark) -> int:
    """Return where the search for the rest of a run continues: at a whole group of base64."""
    at = run.end - _OVERLAP
    while data[at - 3 : at].translate(None, _BASE64_CHARACTERS):  # a line ends near
        at -= 1
    return at - _join_lines(data, run.start, at).size % 4


class _Break(NamedTuple):
    """A line break that was removed: the index of the next byte, and the possible columns."""

    at: int
    columns: frozenset[int]


@dataclass
class _Joined:
    """Text without what interrupts it, and the indexes that its parts had.

    end: the index after its last byte in the original text.
    """

    end: int
    size: int = 0
    encoding: str = ""
    breaks: list[_Break] = field(default_factory=list)
    _parts: list[bytes] = field(default_factory=list)
    _own: list[int] = field(default_factory=list)
    _original: list[int] = field(default_factory=list)
    _widths: list[int] = field(default_factory=list)

    def add(self, text: bytes, start: int, end: int) -> None:
        """Add the text of the bytes between two indexes."""
        if text:
            self._parts.append(text)
            self._own.append(self.size)
            self._original.append(start)
            self._widths.append((end - start) // len(text))
            self.size += len(text)
        self.end = end

    def text(self) -> bytes:
        return b"".join(self._parts)

    def original(self, index: int) -> int:
        """Return the index that a byte had; the end for one after the last."""
        if index >= self.size:
            return self.end
        part = bisect_right(self._own, index) - 1
        return self._original[part] + (index - self._own[part]) * self._widths[part]

    def own(self, original: int) -> int:
        """Return the index of the byte that had an index."""
        part = bisect_right(self._original, original) - 1
        return self._own[part] + (original - self._original[part]) // self._widths[part]

    def is_plain(self, start: int, end: int) -> bool:
        """Return whether the text between two indexes is the same as in the original."""
        part = bisect_right(self._own, start) - 1
        return self._widths[part] == 1 and end <= self._own[part] + len(self._parts[part])


def _join(data: bytes, start: int, alphabet: _Alphabet) -> _Joined:
    """Return the text from an index on, without what may stand between characters of a token."""
    joined = _Joined(start)
    lines, at, stop = _line_starts(data, start), start, min(len(data), start + LOOKAHEAD)
    while joined.size < _MAX_DECODED and (unit := alphabet.unit.match(data, at, stop)):
        kind, text, at = unit.lastgroup, unit.group(), unit.end()
        if kind == "codes":
            decoded = bytes(int(code, 16) for code in _CODES.findall(text))
            whole = alphabet.unit.match(decoded)
            usable = (whole and whole.group("run")) or b""
            joined.encoding = joined.encoding or _encoding(text)
            joined.add(usable, unit.start(), at)
            if usable != decoded:
                break
        elif kind == "run":
            joined.add(text, unit.start(), at)
        elif kind == "break":
            if alphabet.whole_lines and not _is_line(data, at, stop, alphabet):
                break
            joined.breaks.append(
                _Break(joined.size, frozenset(unit.start() - line for line in lines))
            )
            lines = {at}
        elif text in (b"=\n", b"=\r\n"):
            joined.encoding = joined.encoding or "quoted-printable"
    return joined


def _line_starts(data: bytes, start: int) -> set[int]:
    """Return where the line with this index may start, after its indentation."""
    before = max(0, start - LOOKBEHIND)
    newline = data.rfind(b"\n", before, start) + 1 or before
    indentation = _INDENTATION.match(data, newline, start)
    quotes = [data.rfind(mark, before, start) for mark in (b'"', b"'", b"n")]
    return {indentation.end() if indentation else newline, max(quotes) + 1 or newline}


def _join_around(data: bytes, index: int, alphabet: _Alphabet) -> tuple[_Joined, int]:
    """Return the joined text that contains the byte at this index, and its index there."""
    start = max(0, index - LOOKBEHIND)
    joined = _join(data, start, alphabet)
    while joined.end <= index:
        start = max(joined.end, start + 1)
        joined = _join(data, start, alphabet)
    return joined, joined.own(index)


def _is_line(data: bytes, start: int, stop: int, alphabet: _Alphabet) -> bool:
    """Return whether characters of the alphabet fill the line that starts here."""
    unit = alphabet.unit.match(data, start, stop)
    if not unit or unit.lastgroup not in ("run", "codes"):
        return False
    return unit.end() == stop or _END_OF_LINE.match(data, unit.end(), stop) is not None


def _encoding(code: bytes) -> str:
    return {b"%": "percent-encoding", b"=": "quoted-printable"}.get(code[:1], "escapes")


def _interrupted(data: bytes, marks: Iterable[Mark]) -> Iterator[Encoded]:
    """Yield the tokens in the texts that start at these indexes, if something interrupts them."""
    done, left = 0, _MAX_SEARCHES
    for start in (mark.start for mark in marks):
        if start < done:
            continue
        joined = _join(data, start, _JWT)
        found = list(_tokens(joined))
        if not found and left and _has_hidden_header(data, start):
            left -= 1
            around, __ = _join_around(data, start, _JWT)
            found = [one for one in _tokens(around) if one.start < start < one.end]
        yield from found
        done = max([start + 1, _searched(joined), *(one.end for one in found)])


def _has_hidden_header(data: bytes, start: int) -> bool:
    """Return whether a payload may start here, whose header does not start in the same line."""
    if data[start - 1 : start] != b".":
        return False
    before = data[max(0, start - 1 - MAX_HEADER) : start - 1]
    return not before[len(before.rstrip(_JWT_CHARACTERS)) :].startswith(b"ey")


def _searched(joined: _Joined) -> int:
    """Return the index before which no other token starts, after a search of the joined text."""
    return joined.original(joined.size // 2) if joined.size >= _MAX_DECODED else joined.end


def _tokens(joined: _Joined) -> Iterator[Encoded]:
    """Yield the complete tokens of an account in a joined text that were interrupted."""
    if joined.size < _MIN_TOKEN or joined.is_plain(0, joined.size):
        return
    text = joined.text()
    for start, end, token in _complete_tokens(text):
        if joined.is_plain(start, end) or _JWT_CHARACTER.match(text, end):
            continue
        length = _certain_length(token.text, start, joined.breaks)
        first, last = joined.original(start), joined.original(start + length)
        yield Encoded(first, last, cut_token(token, length), joined.encoding)


def _certain_length(token: str, start: int, breaks: Iterable[_Break]) -> int:
    """Return the number of characters of a token that certainly belong together.

    A line break in the header or the payload is certain, because both are complete. The signature
    has no such proof: what follows a line break in it may be another text. The break is certain if
    another one of the token is in the same column, or like it directly after a dot.
    """
    inside = [one._replace(at=one.at - start) for one in breaks if 0 < one.at - start < len(token)]
    payload, signature = token.index(".") + 1, token.rindex(".") + 1
    proofs = {column for one in inside if one.at < signature for column in one.columns}
    after_dot = any(one.at == payload for one in inside)
    for one in inside:
        if one.at < signature or one.columns & proofs or (one.at == signature and after_dot):
            continue
        return one.at
    return len(token)


def _complete_tokens(text: bytes) -> Iterator[tuple[int, int, Token]]:
    """Yield start, end and token of the complete tokens that name an account."""
    for dot, token in tokens_in(text, 0, len(text)):
        if token.well_formed and token.accounts:
            start = dot - token.text.index(".")
            yield start, start + len(token.text), token


def _in_base64(
    data: bytes, marks: Iterable[Mark], offset: int, depth: int
) -> Iterator[Encoded | Packed]:
    """Yield the tokens in base64 or base64url, wrapped or not, that start at marks.

    offset: the number of characters before them in their group of four.
    """
    joined, done, aligned, left = _Joined(0), 0, set[int](), _MAX_SEARCHES
    for index in (mark.start for mark in marks):
        if index >= done:
            joined, aligned = _join(data, max(0, index - offset), _BASE64), set()
            done = _searched(joined)
        skip = (joined.own(index) - offset) % 4 if joined.end > index else -1
        if skip in aligned:
            continue
        aligned.add(skip)
        text, found = b"", _NOTHING
        if skip >= 0 and joined.size >= _MIN_TOKEN:
            text = _decode(joined, skip)
            found = list(_in_decoded(joined, skip, text, depth))
        if not found and left and (skip < 0 or _names_an_account(text)):
            left -= 1
            around, own = _join_around(data, index, _BASE64)
            skip = (own - offset) % 4
            found = list(_in_decoded(around, skip, _decode(around, skip), depth))
        yield from found


def _decode(joined: _Joined, skip: int) -> bytes:
    """Decode a text that is base64 or base64url from an index on."""
    return _decode_base64(joined.text()[skip:])


def _decode_base64(text: bytes) -> bytes:
    text = text.translate(_TO_BASE64)
    usable = len(text) - (len(text) % 4 == 1)
    return base64.b64decode(text[:usable] + b"=" * (-usable % 4))


def _in_decoded(joined: _Joined, skip: int, text: bytes, depth: int) -> Iterator[Encoded | Packed]:
    """Yield what is in a text decoded from base64, with indexes in the original text."""
    plain = text.translate(None, b"\0")  # UTF-16
    scale = 4 / 3 * len(text) / max(1, len(plain))
    breaks = [one._replace(at=int((one.at - skip) / scale)) for one in joined.breaks]

    def original(index: int) -> int:
        return joined.original(skip + int(index * scale))

    for start, end, token in _complete_tokens(plain):
        found = cut_token(token, _certain_length(token.text, start, breaks))
        yield Encoded(original(start), original(end), found, BASE64)
    for one in find_encoded(plain, find_marks(plain), depth + 1):
        yield _moved(one, original(one.start), original(one.end))


def _moved(one: Encoded | Packed, start: int, end: int) -> Encoded | Packed:
    """Return what was found in a decoded text as it is found in the original text."""
    if isinstance(one, Packed):
        return replace(one, start=start, end=end)
    return replace(one, start=start, end=end, encoding=BASE64)


# Runs: base64 of anything that is not a token, such as compressed content


def _in_run(data: bytes, run: Mark, depth: int) -> Iterator[Encoded | Packed]:
    """Yield what is in a run. Its first lines may be another text than base64."""
    breaks_in_run = data.count(b"\n", run.start, run.end) + data.count(b"\\", run.start, run.end)
    if breaks_in_run * _MIN_LINE > run.end - run.start:
        return  # words, one in each line
    stop = min(run.end, run.start + _HEAD)
    breaks = (one.search(data, run.start, stop) for one in (_LINE_BREAK, _EMPTY_LINE))
    starts = sorted({run.start, *(found.end() for found in breaks if found)})
    for start in starts:
        container = recognize(_decode_base64(_lines(data, start, min(run.end, start + _HEAD))))
        if container is not None and container.name in _PACKED:
            whole = run.end - start < MAX_RUN
            content = _decode_base64(_lines(data, start, run.end)) if whole else None
            yield Packed(start, run.end, content)
            return
    aligned = set()
    for start in starts:
        encoded = _lines(data, start, run.end)
        if len(encoded) % 4 not in aligned:
            text = _decode_base64(encoded)
            if find_marks(text.translate(None, b"\0")):
                yield from _in_decoded(_join_lines(data, start, run.end), 0, text, depth)
        aligned.add(len(encoded) % 4)


def _lines(data: bytes, start: int, end: int) -> bytes:
    """Return the text of the lines between two indexes."""
    lines = data[start:end]
    if b"\\" in lines:
        lines = _LINE_BREAK.sub(b"", lines)
    return lines.translate(None, b" \t\r\n\\")


def _join_lines(data: bytes, start: int, end: int) -> _Joined:
    """Return the lines between two indexes as one text."""
    joined = _Joined(start)
    pattern = _LINE if data.find(b"\\", start, end) < 0 else _ESCAPED_LINE
    widths: dict[int, frozenset[int]] = {}
    line = start
    for match in pattern.finditer(data, start, end):
        if joined.size:
            width = joined.end - line
            columns = widths.setdefault(width, frozenset([width]))
            joined.breaks.append(_Break(joined.size, columns))
            line = match.start()
        joined.add(match.group(), match.start(), match.end())
    return joined


def _names_an_account(text: bytes) -> bool:
    """Return whether a text starts with a payload that names an account."""
    return any(token.accounts for __, token in tokens_in(b"." + text, 0, 1))
