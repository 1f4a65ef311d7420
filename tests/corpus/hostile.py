# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that try to exhaust a scan, or that it cannot open. Each has a reason to be unread."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .kinds import archive_zip, log, nested, tar

MIB = 1024 * 1024
# MiB to which a bomb unpacks. Tests set the limit of a scan, in bytes, to LIMIT.
UNPACKED = 100
LIMIT = 64 * MIB
BOMB = "it unpacks to more than"


@dataclass(frozen=True)
class Hostile:
    """A hostile file. content: for a token. reasons: part of a reason for each unread row."""

    name: str
    content: Callable[[str], bytes]
    reasons: tuple[str, ...]


def zeros(compressor: zlib._Compress | bz2.BZ2Compressor | lzma.LZMACompressor, size: int) -> bytes:
    """Return so many MiB of zeros, compressed."""
    data = bytes(MIB)
    return b"".join(compressor.compress(data) for __ in range(size)) + compressor.flush()


def gzip_of(data: bytes) -> bytes:
    """Return a gzip file that a scan does not take for damaged."""
    return gzip.compress(data, 9, mtime=0)


def gzip_bomb(_token: str) -> bytes:
    """Return zeros in gzip."""
    return zeros(zlib.compressobj(1, zlib.DEFLATED, 31), UNPACKED)


def nested_bomb(_token: str) -> bytes:
    """Return zeros that are compressed three times."""
    return gzip_of(gzip_of(gzip_bomb("")))


def bzip2_bomb(_token: str) -> bytes:
    """Return zeros that are compressed twice with bzip2."""
    part = bz2.compress(bytes(10 * MIB))
    return bz2.compress(part * (UNPACKED // 10))


def zip_bomb(_token: str) -> bytes:
    """Return many members with zeros."""
    data = zeros(zlib.compressobj(9, zlib.DEFLATED, -15), 10)
    header = struct.Struct("<4sHHHHHIIIHH")
    member = header.pack(b"PK\3\4", 20, 0, 8, 0, 0, 0, len(data), 10 * MIB, 1, 0) + b"a" + data
    return member * (UNPACKED // 10) + b"PK\5\6" + bytes(18)


def many_members(_token: str) -> bytes:
    """Return a tar archive with very many empty members, in gzip."""
    member = tarfile.TarInfo("a").tobuf()
    return gzip_of(gzip_of(member * 1024) * UNPACKED)


def many_encrypted(_token: str) -> bytes:
    """Return a zip archive with a thousand encrypted members."""
    header = struct.Struct("<4sHHHHHIIIHH")
    member = header.pack(b"PK\3\4", 20, 1, 8, 0, 0, 0, 3, 3, 1, 0) + b"a" + b"xyz"
    return member * 1000 + b"PK\5\6" + bytes(18)


def encrypted(token: str) -> bytes:
    """Return a zip archive with an encrypted member, and one with a token that is not."""
    header = struct.Struct("<4sHHHHHIIIHH")
    name = b"secret.log"
    member = header.pack(b"PK\3\4", 20, 1, 0, 0, 0, 0, 20, 8, len(name), 0) + name + b"?" * 20
    return member + archive_zip(token)


def endless_name(_token: str) -> bytes:
    """Return a tar archive whose long name has 8 GiB."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 8**11 - 1
    return member.tobuf(tarfile.GNU_FORMAT) + b"x" * 5000


def overwritten_tar(token: str) -> bytes:
    """Return a tar archive with a damaged header before the last member."""
    data = bytearray(tar(token))
    at = data.index(b"dir/app.log")
    data[at] ^= 1
    return bytes(data)


def broken_gzip(token: str) -> bytes:
    """Return a gzip file with a damaged byte after the token."""
    noise = os.urandom(200_000)
    data = bytearray(gzip.compress(log(token) + noise))
    data[-8] ^= 255
    return bytes(data)


def large_dictionary(token: str) -> bytes:
    """Return an lzma file that needs a dictionary of 256 MiB."""
    data = lzma.compress(log(token), lzma.FORMAT_ALONE)
    return data[:1] + struct.pack("<I", 256 * MIB) + data[5:]


def executable_zip(token: str) -> bytes:
    """Return a program that ends with a zip archive."""
    return b"#!/bin/sh\nexec java -jar $0\n" + archive_zip(token)


def hidden_in_zip(_token: str) -> bytes:
    """Return a zip archive with a file of 7z in it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04")
    return stream.getvalue()


# Files in which the token is found as well.
WITH_TOKEN = [
    Hostile(
        "gzip, truncated", lambda t: gzip.compress(log(t) + os.urandom(9000))[:-900], ("ends",)
    ),
    Hostile("gzip, damaged", broken_gzip, ("it is damaged (gzip): its content is not valid",)),
    Hostile("gzip, with more", lambda t: gzip.compress(b"x") + log(t), ("other data follows",)),
    Hostile("zip, one encrypted", encrypted, ("it is encrypted (zip)",)),
    Hostile("tar, truncated", lambda t: tar(t)[: 3072 + len(log(t)) - 5], ("it ends early",)),
    Hostile("tar, damaged", overwritten_tar, ("a member has no valid header",)),
]
WITHOUT_TOKEN = [
    Hostile("gzip bomb", gzip_bomb, (BOMB,)),
    Hostile("nested bomb", nested_bomb, (BOMB,)),
    Hostile("bzip2 bomb", bzip2_bomb, (BOMB,)),
    Hostile("zip bomb", zip_bomb, (BOMB,)),
    Hostile("many members", many_members, (BOMB,)),
    Hostile("many encrypted", many_encrypted, ("it is encrypted (zip)", "more parts of it")),
    Hostile("nine levels", nested(9), ("it is nested more than 8 deep",)),
    Hostile("endless name", endless_name, ("a member has no valid header",)),
    Hostile("large dictionary", large_dictionary, ("it needs too much memory",)),
    Hostile("executable zip", executable_zip, ("it ends with a zip archive",)),
    Hostile("unknown in zip", hidden_in_zip, ("it is an archive (7z)",)),
    Hostile("gzip, start only", lambda _t: b"\x1f\x8b\x08\0", ("it is damaged (gzip)",)),
    Hostile("zip, start only", lambda _t: b"PK\3\4\0", ("it is damaged (zip)",)),
    Hostile("xz, start only", lambda _t: b"\xfd7zXZ\0" + b"x" * 99, ("it is damaged (xz)",)),
]


def write_tree(folder: Path, token: str) -> None:
    """Write files whose names and kinds are hostile; one of them contains a token."""
    os.mkfifo(folder / "fifo")
    with (folder / "zeros").open("wb") as stream:
        stream.truncate(2048 * MIB)
    for name in (b"\xff\xfe", b"new\nline", b"-rf", b"a!b", b" ", b"\x1b[31m", b"*?[x]", b"..."):
        (folder / os.fsdecode(name)).write_text("text\n", encoding="ascii")
    deep = folder
    for __ in range(200):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / os.fsdecode(b"\xff.log")).write_bytes(log(token))
