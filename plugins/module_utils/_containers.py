# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are not only text, by their first bytes: compressed, archived, encrypted.

Pure. Which of them a scan opens: see _scan_archives. Of the others it reads the uncompressed parts.
Formats that store text unchanged are not listed here: cpio archives, databases such as SQLite, core
dumps. Neither are images and programs, which contain no text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_COMPRESSED = "it is compressed ({}), which is not opened; unpack it and scan again"
_ARCHIVE = "it is an archive ({}), which is not opened; unpack it and scan again"
_ENCRYPTED = "it is encrypted ({}), which is not opened; decrypt it and scan again"
_PDF = "it is a PDF document, whose text is compressed; extract the text and scan again"
_JOURNAL = (
    "it is a systemd journal, which compresses long entries; "
    "write it to a file with journalctl and scan that file"
)
_DUMP = "it is a database dump ({}), which is compressed; dump it as plain text and scan again"

JOURNAL_START = b"LPKSHHRH"
# One pattern per format, anchored at the start of the file. Where the documented signature has only
# two bytes, the pattern includes the bytes that must follow.
_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x1f\x8b\x08", _COMPRESSED, "gzip"),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", _COMPRESSED, "bzip2"),
    (rb"\xfd7zXZ\0", _COMPRESSED, "xz"),
    # A dictionary of 64 KiB or more, and an unknown size or one below 1 TiB.
    (rb"\x5d\0\0.[\0-\x1f](?:\xff{8}|.{5}\0{3})", _COMPRESSED, "lzma"),
    (rb"\x28\xb5\x2f\xfd", _COMPRESSED, "zstd"),
    (rb"[\x50-\x5f]\x2a\x4d\x18", _COMPRESSED, "zstd or lz4"),
    (rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18", _COMPRESSED, "lz4"),
    (rb"mozLz40\0", _COMPRESSED, "lz4"),
    (rb"LZIP[\0\x01]", _COMPRESSED, "lzip"),
    (rb"\x89LZO\0\r\n\x1a\n", _COMPRESSED, "lzop"),
    (rb"LRZI\0", _COMPRESSED, "lrzip"),
    (rb"\x1f[\x9d\xa0]", _COMPRESSED, "compress"),
    (rb"\xff\x06\0\0sNaPpY", _COMPRESSED, "snappy"),
    (rb"\x78[\x01\x9c\xda]", _COMPRESSED, "zlib"),
    (rb"PACK\0\0\0[\x02\x03]", _ARCHIVE, "Git pack"),
    (rb"# v[23] git bundle\n", _ARCHIVE, "Git bundle"),
    (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", _ARCHIVE, "zip"),
    (rb"7z\xbc\xaf\x27\x1c", _ARCHIVE, "7z"),
    (rb"Rar!\x1a\x07", _ARCHIVE, "rar"),
    (rb"MSCF\0\0\0\0", _ARCHIVE, "cab"),
    (rb"xar!\0", _ARCHIVE, "xar"),
    (rb"!<arch>\ndebian", _ARCHIVE, "deb"),
    (rb"\xed\xab\xee\xdb", _ARCHIVE, "rpm"),
    (rb"(?:hsqs|sqsh)", _ARCHIVE, "SquashFS"),
    (rb"MSWIM\0\0\0", _ARCHIVE, "wim"),
    (rb"PAR1\x15", _COMPRESSED, "Parquet"),
    (rb"REDIS[0-9]{4}", _DUMP, "Redis"),
    (rb"PGDMP[\0-\x1f]", _DUMP, "pg_dump"),
    (rb"%PDF-", _PDF, ""),
    (JOURNAL_START, _JOURNAL, "journal"),
    (rb"\$ANSIBLE_VAULT;", _ENCRYPTED, "Ansible Vault"),
    (rb"age-encryption\.org/|-----BEGIN AGE ENCRYPTED FILE-----", _ENCRYPTED, "age"),
    (rb"-----BEGIN PGP MESSAGE-----", _ENCRYPTED, "OpenPGP"),
    # A session key packet (RFC 4880, 4.2 and 5.1): tag, length, version 3.
    (rb"(?:\x84.|\x85[\x01-\x04].|\xc1[\x20-\xdf].|\xc1.)\x03", _ENCRYPTED, "OpenPGP"),
    (rb"[\x8c\xc3][\x04-\x40][\x04-\x06][\x01-\x0d][\x01-\x03]", _ENCRYPTED, "OpenPGP"),
    (rb"Salted__|U2FsdGVkX1", _ENCRYPTED, "OpenSSL"),
    (rb"\0GITCRYPT\0", _ENCRYPTED, "git-crypt"),
    (rb"LUKS\xba\xbe", _ENCRYPTED, "LUKS"),
    (rb"\x03\xd9\xa2\x9a[\x65-\x67]\xfb\x4b\xb5", _ENCRYPTED, "KeePass"),
)
_TAR = "tar"
# Formats whose first bytes are not rare in other files: their content decides.
_WEAK = ("zlib", "lzma")
_COMPILED = tuple(
    (re.compile(pattern, re.DOTALL), reason.format(name), name)
    for pattern, reason, name in _FORMATS
)
_ANY = re.compile(b"|".join(b"(?:%s)" % pattern for pattern, __, __ in _FORMATS), re.DOTALL)
_TAR_BLOCK = 512
_TAR_CHECKSUM = re.compile(rb"[ \0]*[0-7]{1,7}[ \0]*")


@dataclass(frozen=True)
class Container:
    """A format. reason: why a scan that does not open it cannot read all. weak: see _WEAK."""

    name: str
    reason: str
    weak: bool = False


def recognize(head: bytes) -> Container | None:
    """Return the format of a file with these first bytes (512 or more, if any); None for text."""
    if _ANY.match(head):
        for pattern, reason, name in _COMPILED:
            if pattern.match(head):
                return Container(name, reason, name in _WEAK)
    return Container(_TAR, _ARCHIVE.format(_TAR)) if is_tar(head) else None


def is_tar(head: bytes) -> bool:
    """Return whether these bytes start with the header of a tar archive: its checksum is valid."""
    if len(head) < _TAR_BLOCK or not head[0]:
        return False
    field = head[148:156]
    if not _TAR_CHECKSUM.fullmatch(field):
        return False
    total = sum(head[:148]) + 8 * 32 + sum(head[156:_TAR_BLOCK])
    return total == int(field.strip(b" \0"), 8)
