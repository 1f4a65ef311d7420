# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens that are encoded or wrapped in text: base64, escapes, colours, line breaks.

Pure. An encoded token starts with a literal of its encoding. In text without these literals, the
search costs one pass per literal, for its rarest letter. At a literal, the text after it is decoded
and searched. Only a complete token that names an account is reported, because the removal of a line
break may join two texts.
"""

from __future__ import annotations

import base64
import re
import string
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ansible_collections.nomba.auth.plugins.module_utils._token import (
    MAX_CHARACTERS,
    MAX_HEADER,
    Token,
    tokens_in,
)

# Decoded bytes that are searched after a literal, and bytes of text that may encode them. This is
# twice the size of a token: without a token in it, none starts in its first half.
_MAX_DECODED = 2 * (MAX_HEADER + MAX_CHARACTERS)
LOOKAHEAD = 6 * _MAX_DECODED
# Bytes before a payload in which its header is searched, if a line break is in the header's start.
LOOKBEHIND = 2 * MAX_HEADER
# Searches for a hidden header in one part of a file, and encodings in encodings. Hostile text must
# not take more time than its size explains.
_MAX_SEARCHES = 50
_MAX_DEPTH = 3
# Bytes for each of which a letter is rare.
_RARE = 4096


@dataclass(frozen=True)
class Encoded:
    """A token in text. start, end: the indexes of its first byte, and after its last byte.

    encoding: as shown to users; empty if the token is only wrapped.
    """

    start: int
    end: int
    token: Token
    encoding: str


@dataclass(frozen=True)
class _Literal:
    """Text with which a token starts, and the index of a letter in it that is rare in text.

    group: in base64, the number of characters before the literal in its group of four. pattern: the
    letter inside the literal; a pattern that starts with one letter is the fastest to search for.
    """

    text: bytes
    rare: int
    group: int
    pattern: re.Pattern[bytes]

    @classmethod
    def make(cls, text: bytes, rare: int, group: int = 0) -> _Literal:
        before, after = text[: rare + 1], text[rare + 1 :]
        pattern = b"%s(?<=%s)%s" % (text[rare : rare + 1], before, after)
        return cls(text, rare, group, re.compile(pattern))


# `{"` and a letter, as most headers and payloads start.
_PLAIN = _Literal.make(b"eyJ", 2)
# The same three characters in base64, for each position in a group of three bytes.
_IN_BASE64 = (
    _Literal.make(b"ZXlK", 1),
    _Literal.make(b"V5S", 0, 2),
    _Literal.make(b"leU", 2, 3),
)
BASE64_LITERALS = tuple(literal.text for literal in _IN_BASE64)
# The same with an escape for each character: %65%79%4A or \u0065\u0079\u004a.
_IN_ESCAPES = (
    (b"%", re.compile(rb"%(?:25)*65%(?:25)*79")),
    (b"\\", re.compile(rb"\\(?:u00|x)65\\+(?:u00|x)79")),
)
# Such a token is longer than these bytes, and has an escape in each of _LONGEST_ESCAPE bytes.
_SAMPLED = 512
_LONGEST_ESCAPE = 12

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
        (?: %s [ \t]* (?: \r?\n [ \t]* )? | \r?\n [ \t]* (?: %s )? [ \t]* )
        [bfru]{0,2} \\*["'`]
    )
  | (?P<break> %s )
"""


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


_JWT = _alphabet(rb"A-Za-z0-9_.-", whole_lines=True)
_BASE64 = _alphabet(rb"A-Za-z0-9_+/-", whole_lines=False)

_CODES = re.compile(_CODE)
# What follows the last character of a line, or of a text in a line.
_END_OF_LINE = re.compile(rb"[ \t]*(?:[,;.)\]}]*(?:\r|\n|\Z)|[\"'`<\\\x1b]|=\r?\n|%0)")
_JWT_CHARACTERS = f"{string.ascii_letters}{string.digits}_-".encode()
_JWT_CHARACTER = re.compile(rb"[A-Za-z0-9_-]")
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")


def find_encoded(data: bytes, start: int, end: int, depth: int = 0) -> Iterator[Encoded]:
    """Yield the tokens whose literal starts between two indexes.

    data: contains LOOKBEHIND bytes before `start`, and LOOKAHEAD bytes after `end`, if any.
    """
    if depth >= _MAX_DEPTH:
        return
    for literal in _IN_BASE64:
        yield from _in_base64(data, literal, start, end, depth)
    yield from _interrupted(data, _occurrences(data, _PLAIN, start, end))
    sample = _sample(data, start)
    for mark, pattern in _IN_ESCAPES:
        if mark in sample:
            found = pattern.finditer(data, start, min(len(data), end + 32))
            yield from _interrupted(data, (one.start() for one in found if one.start() < end))


def _sample(data: bytes, start: int) -> bytes:
    """Return bytes among which is one of each sequence of escapes, as long as a token."""
    return b"".join(data[start + index :: _SAMPLED] for index in range(_LONGEST_ESCAPE))


def _occurrences(data: bytes, literal: _Literal, start: int, end: int) -> Iterator[int]:
    """Yield the indexes of a literal between two indexes.

    The search for one letter is many times faster than for several, until the letter is frequent.
    """
    text, rare = literal.text, literal.rare
    letter = text[rare : rare + 1]
    left = (end - start) // _RARE + 16
    at = data.find(letter, start + rare, end + rare)
    while at >= 0 and left:
        if data.startswith(text, at - rare):
            yield at - rare
        left -= 1
        at = data.find(letter, at + 1, end + rare)
    if at >= 0:
        stop = min(len(data), end - 1 + len(text))
        for match in literal.pattern.finditer(data, at, stop):
            yield match.start() - rare


@dataclass
class _Joined:
    """Text without what interrupts it, and the indexes that its parts had.

    end: the index after its last byte in the original text.
    """

    end: int
    size: int = 0
    encoding: str = ""
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
    at, stop = start, min(len(data), start + LOOKAHEAD)
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
        elif kind == "break" and alphabet.whole_lines and not _is_line(data, at, stop, alphabet):
            break
        elif text in (b"=\n", b"=\r\n"):
            joined.encoding = joined.encoding or "quoted-printable"
    return joined


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


def _interrupted(data: bytes, starts: Iterable[int]) -> Iterator[Encoded]:
    """Yield the tokens in the texts that start at these indexes, if something interrupts them."""
    done, left = 0, _MAX_SEARCHES
    for start in starts:
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
    return joined.original(joined.size // 2) if joined.size >= _MAX_DECODED else 0


def _tokens(joined: _Joined) -> Iterator[Encoded]:
    """Yield the complete tokens of an account in a joined text that were interrupted."""
    if not joined.size or joined.is_plain(0, joined.size):
        return
    text = joined.text()
    for start, end, token in _complete_tokens(text):
        if not joined.is_plain(start, end) and not _JWT_CHARACTER.match(text, end):
            yield Encoded(joined.original(start), joined.original(end), token, joined.encoding)


def _complete_tokens(text: bytes) -> Iterator[tuple[int, int, Token]]:
    """Yield start, end and token of the complete tokens that name an account."""
    for dot, token in tokens_in(text, 0, len(text)):
        if token.well_formed and token.accounts:
            start = dot - token.text.index(".")
            yield start, start + len(token.text), token


def _in_base64(
    data: bytes, literal: _Literal, start: int, end: int, depth: int
) -> Iterator[Encoded]:
    """Yield the tokens in base64 or base64url, wrapped or not, that start at a literal."""
    done, left = 0, _MAX_SEARCHES
    for index in _occurrences(data, literal, start, end):
        if index < done:
            continue
        first = max(0, index - literal.group)
        joined = _join(data, first, _BASE64)
        text = _decode(joined, 0)
        found = list(_in_decoded(joined, 0, text, depth))
        if not found and left and _names_an_account(text):
            left -= 1
            joined, own = _join_around(data, index, _BASE64)
            skip = (own - literal.group) % 4
            found = list(_in_decoded(joined, skip, _decode(joined, skip), depth))
        yield from found
        done = max([index + 1, _searched(joined), *(one.end for one in found)])


def _decode(joined: _Joined, skip: int) -> bytes:
    """Decode a text that is base64 or base64url from an index on."""
    text = joined.text()[skip:].translate(_TO_BASE64)
    usable = len(text) - (len(text) % 4 == 1)
    return base64.b64decode(text[:usable] + b"=" * (-usable % 4))


def _in_decoded(joined: _Joined, skip: int, text: bytes, depth: int) -> Iterator[Encoded]:
    """Yield the tokens in a text decoded from base64, with their indexes in the original text."""
    plain = text.translate(None, b"\0")  # UTF-16
    scale = 4 / 3 * len(text) / max(1, len(plain))
    found = [(start, end, token) for start, end, token in _complete_tokens(plain)]
    found += [
        (one.start, one.end, one.token) for one in find_encoded(plain, 0, len(plain), depth + 1)
    ]
    for start, end, token in found:
        first, last = (joined.original(skip + int(index * scale)) for index in (start, end))
        yield Encoded(first, last, token, "base64")


def _names_an_account(text: bytes) -> bool:
    """Return whether a text starts with a payload that names an account."""
    return any(token.accounts for __, token in tokens_in(b"." + text, 0, 1))
