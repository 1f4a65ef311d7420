# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening what is compressed or archived, as streams, nested, with bounded sizes.

Pure: a stream of bytes comes in, and texts go to a visitor. Nothing is written to a disk, and the
memory does not depend on the size of the content. Zip archives are read by their local headers, so
that they need not be seekable. A part that cannot be read is reported to the visitor.
"""

from __future__ import annotations

import bz2
import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Protocol

from ansible_collections.nomba.auth.plugins.module_utils._containers import (
    Container,
    is_tar,
    recognize,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_encodings import BASE64
from ansible_collections.nomba.auth.plugins.module_utils._scan_reader import (
    EARLY_END,
    Problem,
    Reader,
)

_KIB, _MIB = 1024, 1024 * 1024
# Bytes of the start of a content that show its format.
HEAD = 1024
# Bytes that a decompressor returns at a time.
_PIECE = 1024 * _KIB
# Bytes that it is given at a time: what it does not yet need is copied each time.
_INPUT = 64 * _KIB
# The same in damaged content, whose last piece is lost.
_SMALL_PIECE = 64
# A file may unpack to this many times its size, and always to this many bytes. A log that repeats
# one line is compressed 1:150, a bomb 1:1000 and more.
_MAX_RATIO = 200
_MIN_UNPACKED = 1024 * _MIB
# Bytes that an archive's member costs in addition to its content, which may be empty.
_MEMBER_COST = 8 * _KIB
_MAX_DEPTH = 8
# Bytes of the dictionary of xz and lzma; `xz -9` needs 64 MiB. Nested ones share it.
_MAX_DICTIONARY = 80 * _MIB
# Bytes of a name in an archive.
_MAX_NAME = 64 * _KIB

_BOMB = f"it unpacks to more than 1 GiB and more than {_MAX_RATIO} times the size of the file"
_DEEP = f"it is nested more than {_MAX_DEPTH} deep; unpack it and scan again"
_DAMAGED = "it is damaged ({}): {}"
_ENCRYPTED = "it is encrypted (zip), which is not opened; decrypt it and scan again"
_METHOD = "it is compressed (zip method {}), which is not opened; unpack it and scan again"
_NO_SIZE = "a member's header has no size"
_BAD_HEADER = "a member has no valid header"
_ZIP_AT_END = "it ends with a zip archive, which is not opened; unpack it and scan again"
_TOO_MUCH_MEMORY = "it needs too much memory"
_LARGE_BASE64 = (
    "it contains more than 4 MiB of compressed data in base64, which is not decoded; "
    "decode it and scan again"
)
_TRAILING = "other data follows its end"


@dataclass(frozen=True)
class Place:
    """Where a content is: the path of a file, and what follows it, as shown to users."""

    path: str
    inside: str = ""


class Visitor(Protocol):
    """Receives what is in a content."""

    def text(self, place: Place, chunks: Iterator[bytes]) -> Iterator[bytes | None]:
        """Search a text to its end, and yield what is compressed in it in base64.

        None if that is too large to decode.
        """

    def member(self, place: Place, name: bytes) -> Place | None:
        """Search the name of a member; return its place, or None to leave it out."""

    def unread(self, place: Place, reason: str) -> None:
        """Note that a content cannot be read completely."""

    def archive(self) -> None:
        """Count a content that is compressed or an archive."""


@dataclass
class Budget:
    """How much a file may unpack to. left, memory: bytes."""

    left: int
    memory: int = _MAX_DICTIONARY

    @classmethod
    def for_size(cls, size: int) -> Budget:
        """Return the budget of a file of this size in bytes."""
        return cls(max(_MIN_UNPACKED, size * _MAX_RATIO))

    def spend(self, count: int) -> None:
        """Spend bytes. Raises Problem if there were not so many left."""
        self.left -= count
        if self.left < 0:
            raise Problem(_BOMB)


def is_text(content: bytes) -> bool:
    """Return whether a whole content is only text; its first and its last HEAD bytes are enough."""
    tail = content[-len(_ZIP_TAIL) - 18 :]
    return recognize(content[:HEAD]) is None and not tail.startswith(_ZIP_TAIL)


@dataclass(frozen=True)
class _Context:
    """What all parts of a file have in common, and the number of containers around a part."""

    visitor: Visitor
    budget: Budget
    depth: int = 0
    in_base64: bool = False


def search_content(place: Place, chunks: Iterable[bytes], visitor: Visitor, budget: Budget) -> None:
    """Search a content of any format: a text, or what it contains."""
    _search_content(place, chunks, _Context(visitor, budget))


def search_plain(place: Place, chunks: Iterator[bytes], visitor: Visitor, budget: Budget) -> None:
    """Search a content that is a text, whatever its start looks like."""
    _search_plain(place, chunks, _Context(visitor, budget))


def open_packed(
    place: Place, contents: Iterator[bytes | None], visitor: Visitor, budget: Budget
) -> None:
    """Open what is compressed in base64 in a text, as its visitor yields it."""
    _open_packed(place, contents, _Context(visitor, budget))


def _search_content(place: Place, chunks: Iterable[bytes], context: _Context) -> None:
    reader, visitor = Reader(chunks), context.visitor
    head = reader.peek(HEAD)
    container = recognize(head)
    if container is None or (container.weak and not _starts_well(container, head)):
        _search_text(place, reader, context)
        return
    opener = _OPENERS.get(container.name)
    if opener is None or (container.name in _DECOMPRESSORS and not _decompressor(container.name)):
        visitor.unread(place, container.reason)
    elif context.depth >= _MAX_DEPTH:
        visitor.unread(place, _DEEP)
    else:
        visitor.archive()
        try:
            opener(place, reader, replace(context, depth=context.depth + 1))
        except Problem as problem:
            visitor.unread(place, _reason(container.name, problem))
        if context.budget.left < 0:
            return
    _search_plain(place, reader.rest(), context)


def _search_plain(place: Place, chunks: Iterator[bytes], context: _Context) -> None:
    """Search a text, and open what is compressed in it in base64."""
    _open_packed(place, context.visitor.text(place, chunks), context)


def _open_packed(place: Place, contents: Iterator[bytes | None], context: _Context) -> None:
    inner = replace(place, inside=f"{place.inside} ({BASE64})")
    for content in contents:
        if content is None:
            context.visitor.unread(inner, _LARGE_BASE64)
        elif context.depth >= _MAX_DEPTH:
            context.visitor.unread(inner, _DEEP)
        else:
            deeper = replace(context, depth=context.depth + 1, in_base64=True)
            _search_content(inner, [content], deeper)


def _search_text(place: Place, reader: Reader, context: _Context) -> None:
    """Search a text. A program may end with a zip archive, which is not opened."""
    tail = b""

    def chunks() -> Iterator[bytes]:
        nonlocal tail
        for chunk in reader.rest():
            tail = chunk[-len(_ZIP_TAIL) - 18 :]
            yield chunk

    _search_plain(place, chunks(), context)
    if tail.startswith(_ZIP_TAIL):
        context.visitor.unread(place, _ZIP_AT_END)


def _reason(name: str, problem: Problem) -> str:
    text = str(problem)
    return text if text == _BOMB else _DAMAGED.format(name, text)


# Compressed


class _Decompressor(Protocol):
    """The interface of the decompressors of bz2, lzma and zstd."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether it can return nothing more without more data."""

    @property
    def unused_data(self) -> bytes:
        """The data after the end of the stream."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most this many bytes."""


class _Zlib:
    """The decompressor of zlib with the interface of the others."""

    def __init__(self, window: int) -> None:
        self._zlib = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        data = self._zlib.unconsumed_tail + data
        before = self._zlib.copy()
        try:
            return self._zlib.decompress(data, max_length)
        except zlib.error:
            # The valid part, which zlib does not return. The next call raises the error.
            pieces = []
            with suppress(zlib.error):
                while piece := before.decompress(data, _SMALL_PIECE):
                    pieces.append(piece)
                    self._zlib, data = before, before.unconsumed_tail
                    before = self._zlib.copy()
            if not pieces:
                raise
            return b"".join(pieces)


def _xz(memory: int, form: int = lzma.FORMAT_AUTO) -> _Decompressor:
    return lzma.LZMADecompressor(form, memlimit=memory)


def _zstd() -> _Decompressor:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore] # Python 3.14

    largest = {zstd.DecompressionParameter.window_log_max: 26}
    return zstd.ZstdDecompressor(options=largest)  # type: ignore[no-any-return,unused-ignore]


_DECOMPRESSORS: dict[str, Callable[[int], _Decompressor]] = {
    "gzip": lambda _memory: _Zlib(16 + zlib.MAX_WBITS),
    "zlib": lambda _memory: _Zlib(zlib.MAX_WBITS),
    "deflate": lambda _memory: _Zlib(-zlib.MAX_WBITS),
    "bzip2": lambda _memory: bz2.BZ2Decompressor(),
    "xz": _xz,
    "lzma": _xz,
    "zstd": lambda _memory: _zstd(),
}
_DICTIONARIES = ("xz", "lzma", "zstd")
_ERRORS = (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError)


def _decompressor(name: str, memory: int = _MAX_DICTIONARY) -> _Decompressor | None:
    """Return a new decompressor; None if this Python has none."""
    try:
        return _DECOMPRESSORS[name](memory)
    except ImportError:
        return None


def _starts_well(container: Container, head: bytes) -> bool:
    """Return whether the start of a content is valid, if its first bytes prove little."""
    decompressor = _decompressor(container.name)
    if decompressor is None:
        return False
    try:
        decompressor.decompress(head, _PIECE)
    except _ERRORS as error:
        return _explain(error) == _TOO_MUCH_MEMORY
    return True


def _unpack(
    name: str, reader: Reader, budget: Budget, problems: list[Problem], several: bool
) -> Iterator[bytes]:
    """Yield the unpacked content of a stream, and note the problem that ended it.

    several: whether streams of the same format may follow each other.
    """
    memory = budget.memory
    try:
        yield from _unpack_one(name, reader, budget, memory)
        while several and _another(name, reader):
            yield from _unpack_one(name, reader, budget, memory)
    except Problem as problem:
        problems.append(problem)
    except _ERRORS as error:
        problems.append(Problem(_explain(error)))
    except MemoryError:
        problems.append(Problem(_TOO_MUCH_MEMORY))


def _unpack_one(name: str, reader: Reader, budget: Budget, memory: int) -> Iterator[bytes]:
    """Yield the unpacked content of one stream. Raises Problem, and the errors of the library."""
    decompressor = _decompressor(name, memory)
    if decompressor is None:
        raise Problem("this Python has no library for it")
    while not decompressor.eof:
        data = reader.part(_INPUT) if decompressor.needs_input else b""
        if not data and decompressor.needs_input:
            raise Problem(EARLY_END)
        piece = decompressor.decompress(data, _PIECE)
        budget.spend(len(piece))
        if piece:
            yield piece
    reader.unread(decompressor.unused_data)


def _explain(error: Exception) -> str:
    large = isinstance(error, lzma.LZMAError) and "limit" in str(error)
    return _TOO_MUCH_MEMORY if large else "its content is not valid"


def _another(name: str, reader: Reader) -> bool:
    """Return whether another stream of the same format follows, after padding."""
    reader.skip_zeros()
    following = recognize(reader.peek(HEAD))
    return following is not None and following.name == name


def _open_compressed(name: str, place: Place, reader: Reader, context: _Context) -> None:
    problems: list[Problem] = []
    chunks = _unpack(name, reader, context.budget, problems, several=True)
    _search_unpacked(name, place, chunks, context)
    if problems:
        raise problems[0]
    if reader.peek(1) and not context.in_base64:  # where base64 ends is not always certain
        raise Problem(_TRAILING)


def _search_unpacked(name: str, place: Place, chunks: Iterator[bytes], context: _Context) -> None:
    """Search an unpacked content; the memory for dictionaries is shared with what is in it."""
    budget = context.budget
    memory = budget.memory
    first = next(chunks, b"")  # this creates the decompressor
    if name in _DICTIONARIES:
        budget.memory //= 4
    try:
        _search_content(place, chain([first], chunks), context)
    finally:
        budget.memory = memory


# Tar

_BLOCK = 512
_TAR_WITHOUT_DATA = b"123456"
_PAX_RECORD = re.compile(rb"\d+ (path|size|GNU\.sparse\.name)=([^\n]*)\n")


def _open_tar(place: Place, reader: Reader, context: _Context) -> None:
    """Search the members of a tar archive: those of POSIX and of GNU."""
    attributes: dict[bytes, bytes] = {}
    while True:
        if reader.peek(1)[:1] == b"\0":
            reader.skip_zeros()  # the end, after which another archive may follow
        if not reader.peek(1):
            return
        header = reader.read(_BLOCK)
        if not is_tar(header):
            reader.unread(header)
            raise Problem(_BAD_HEADER)
        context.budget.spend(_MEMBER_COST)
        kind = header[156:157]
        size = 0 if kind in _TAR_WITHOUT_DATA else _tar_size(attributes, header)
        if kind in b"LKxXg" and kind:
            attributes.update(_tar_attributes(kind, reader, size))
            continue
        name = attributes.get(b"path") or _tar_name(header)
        attributes = {}
        if kind == b"S":
            _skip_sparse_headers(header, reader)
        _search_member(place, name, reader, size, context)
        if reader.peek(1):
            reader.skip(-size % _BLOCK)


def _tar_size(attributes: dict[bytes, bytes], header: bytes) -> int:
    given = attributes.get(b"size", b"")
    if given.isdigit():
        return int(given[:20])
    field = header[124:136]
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits and not re.fullmatch(rb"[0-7]+", digits):
        raise Problem(_BAD_HEADER)
    return int(digits or b"0", 8)


def _tar_name(header: bytes) -> bytes:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    posix = header[257:263] == b"ustar\0"
    return prefix + b"/" + name if posix and prefix else name


def _tar_attributes(kind: bytes, reader: Reader, size: int) -> dict[bytes, bytes]:
    """Read a header that describes the next member."""
    if size > _MIB:
        raise Problem(_BAD_HEADER)
    data = reader.read(size)
    if reader.peek(1):
        reader.skip(-size % _BLOCK)
    if kind == b"L":
        return {b"path": data.split(b"\0")[0]}
    if kind in b"xX":
        found = dict(_PAX_RECORD.findall(data))
        name = found.pop(b"GNU.sparse.name", None)
        return {**found, b"path": name} if name else found
    return {}


def _skip_sparse_headers(header: bytes, reader: Reader) -> None:
    more = header[482]
    while more:
        more = reader.read(_BLOCK)[504]


class _Counted:
    """Chunks that are counted."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._size += len(chunk)
            yield chunk

    def require(self, size: int) -> None:
        """Skip the chunks that are left. Raises Problem unless all have this many bytes."""
        for __ in self:
            pass
        if self._size < size:
            raise Problem(EARLY_END)


def _search_member(place: Place, name: bytes, reader: Reader, size: int, context: _Context) -> None:
    """Search the next bytes as a member. Raises Problem if the stream ends before."""
    content = _Counted(reader.take(size))
    member = context.visitor.member(place, name[:_MAX_NAME])
    if member is not None:
        _search_content(member, content, context)
    content.require(size)


# Debian packages

_AR_MEMBER = re.compile(rb"(.{16}).{32}([0-9]+) *`\n", re.DOTALL)


def _open_deb(place: Place, reader: Reader, context: _Context) -> None:
    """Search the members of an ar archive."""
    reader.skip(8)
    while reader.peek(1):
        header = _AR_MEMBER.fullmatch(reader.read(60))
        if not header:
            raise Problem(_BAD_HEADER)
        context.budget.spend(_MEMBER_COST)
        size = int(header[2])
        _search_member(place, header[1].rstrip(b" /"), reader, size, context)
        if size % 2 and reader.peek(1):
            reader.skip(1)


# Zip

_ZIP_MEMBER, _ZIP_SPANNED = b"PK\3\4", (b"PK\7\x08", b"PK00")
_ZIP_ENDS = (b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\x08")
_ZIP_TAIL = b"PK\5\6"
_ZIP_HEADER = struct.Struct("<4sHHHHHIIIHH")
_ZIP_METHODS = {0: "", 8: "deflate", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}
_ZIP_AES = 99
_ZIP64 = 0xFFFFFFFF


@dataclass(frozen=True)
class _ZipHeader:
    """The local header of a member. packed: its size; None if only its content shows it."""

    name: bytes
    encrypted: bool
    method: int
    packed: int | None
    has_descriptor: bool

    @property
    def compression(self) -> str | None:
        """The name of the compression, empty without any; None if it is not known here."""
        name = _ZIP_METHODS.get(self.method)
        return name if not name or _decompressor(name) else None

    def unread_reason(self) -> str:
        """Return why the member cannot be read; empty if it can."""
        if self.encrypted or self.method == _ZIP_AES:
            return _ENCRYPTED
        return _METHOD.format(self.method) if self.compression is None else ""


def _open_zip(place: Place, reader: Reader, context: _Context) -> None:
    """Search the members of a zip archive by their local headers."""
    if reader.peek(4) in _ZIP_SPANNED:
        reader.skip(4)
    while (signature := reader.peek(4)) == _ZIP_MEMBER:
        context.budget.spend(_MEMBER_COST)
        header = _zip_header(reader)
        _open_zip_member(context.visitor.member(place, header.name), header, reader, context)
        if header.has_descriptor:
            _skip_descriptor(reader)
    if not signature:
        raise Problem(EARLY_END)
    if signature not in _ZIP_ENDS:
        raise Problem(_BAD_HEADER)


def _zip_header(reader: Reader) -> _ZipHeader:
    fields = _ZIP_HEADER.unpack(reader.read(_ZIP_HEADER.size))
    __, __, flags, method, __, __, __, packed, unpacked, name_size, extra_size = fields
    name, extra = reader.read(name_size), reader.read(extra_size)
    if packed == _ZIP64:
        packed = _zip64_size(extra, after_unpacked=unpacked == _ZIP64)
    has_descriptor = bool(flags & 8)
    size = None if has_descriptor and not packed else packed
    return _ZipHeader(name, bool(flags & 1), method, size, has_descriptor)


def _open_zip_member(
    member: Place | None, header: _ZipHeader, reader: Reader, context: _Context
) -> None:
    """Search a member, or skip it if it is None. Raises Problem if its end cannot be found."""
    reason, compression = header.unread_reason(), header.compression
    if header.packed is None and (reason or compression in ("", "lzma")):
        if member is not None:
            context.visitor.unread(member, reason or _DAMAGED.format("zip", _NO_SIZE))
        raise Problem(_NO_SIZE)
    content = _Counted(reader.take(header.packed or 0))
    source = reader if header.packed is None else Reader(content)
    if reason:
        if member is not None:
            context.visitor.unread(member, reason)
    elif compression:
        _open_zip_content(compression, member, source, context)
    elif member is not None:
        _search_content(member, content, context)
    content.require(header.packed or 0)


def _open_zip_content(
    compression: str, member: Place | None, reader: Reader, context: _Context
) -> None:
    problems: list[Problem] = []
    if compression == "lzma":
        reader = Reader(chain([_lzma_header(reader)], reader.rest()))
    chunks = _unpack(compression, reader, context.budget, problems, several=False)
    if member is None:
        for __ in chunks:
            pass
        return
    _search_unpacked(compression, member, chunks, context)
    if problems and str(problems[0]) == _BOMB:
        raise problems[0]
    if problems:
        context.visitor.unread(member, _reason("zip", problems[0]))


def _lzma_header(reader: Reader) -> bytes:
    """Return the header of an lzma stream of unknown size, for that of a zip archive."""
    __, size = struct.unpack("<HH", reader.read(4))
    return reader.read(size) + b"\xff" * 8


def _zip64_size(extra: bytes, after_unpacked: bool) -> int:
    """Return the packed size in an extra field."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        offset = 4 + 8 * after_unpacked
        if kind == 1 and size >= offset + 4:
            return int(struct.unpack_from("<Q", extra, offset)[0])
        extra = extra[4 + size :]
    raise Problem(_BAD_HEADER)


def _skip_descriptor(reader: Reader) -> None:
    """Skip the sizes after a member: with or without a signature, of 4 or 8 bytes each."""
    data = reader.peek(28)
    for size in (16, 12, 24, 20):
        if data[size : size + 4] in (_ZIP_MEMBER, *_ZIP_ENDS):
            reader.skip(size)
            return


_Opener = Callable[[Place, Reader, _Context], None]
_OPENERS: dict[str, _Opener] = {
    **{
        name: partial(_open_compressed, name)
        for name in ("gzip", "bzip2", "xz", "lzma", "zlib", "zstd")
    },
    "tar": _open_tar,
    "zip": _open_zip,
    "deb": _open_deb,
}
