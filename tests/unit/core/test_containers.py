# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detection of files whose text a scan cannot read, by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._containers import Container, recognize
from tests.unit.tables import each_row

pytestmark = pytest.mark.pure

TEXT = b"a line of a log\n" * 100


def zipped(content: bytes, method: int) -> bytes:
    """Return a zip archive with one file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("app.log", content)
    return stream.getvalue()


def tarred(content: bytes) -> bytes:
    """Return a tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("app.log")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def recognized(content: bytes) -> Container:
    """Return the format of a content that has one."""
    container = recognize(content)
    assert container is not None
    return container


# Written by a library, or the first bytes that the tool of the format writes.
HIDDEN = {
    "gzip": gzip.compress(TEXT),
    "gzip, empty": gzip.compress(b""),
    "bzip2": bz2.compress(TEXT),
    "bzip2, empty": bz2.compress(b""),
    "xz": lzma.compress(TEXT),
    "lzma": lzma.compress(TEXT, lzma.FORMAT_ALONE),
    "lzma, small": lzma.compress(TEXT, lzma.FORMAT_ALONE, preset=0),
    "lzma, large": lzma.compress(TEXT, lzma.FORMAT_ALONE, preset=9),
    "zlib": zlib.compress(TEXT),
    "zlib, as in Git": zlib.compress(TEXT, 1),
    "zlib, best": zlib.compress(TEXT, 9),
    "zip": zipped(TEXT, zipfile.ZIP_DEFLATED),
    "zip, stored": zipped(TEXT, zipfile.ZIP_STORED),
    "zip, empty": b"PK\x05\x06" + bytes(18),
    "zstd": bytes.fromhex("28b52ffd64b0036d00003068656c6c6f"),
    "zstd, skippable": bytes.fromhex("502a4d1804000000"),
    "lz4": bytes.fromhex("04224d186440a7140000006f68656c6c"),
    "lz4, old": bytes.fromhex("02214c18140000006f68656c6c6f2006"),
    "lzip": b"LZIP\x01\x0c",
    "lzop": b"\x89LZO\0\r\n\x1a\n\x10\x40",
    "compress": b"\x1f\x9d\x90\x61",
    "snappy": b"\xff\x06\0\0sNaPpY\0",
    "7z": b"7z\xbc\xaf\x27\x1c\0\x04",
    "rar 4": b"Rar!\x1a\x07\0",
    "rar 5": b"Rar!\x1a\x07\x01\0",
    "tar": tarred(TEXT),
    "Git bundle": b"# v2 git bundle\n-",
    "deb": b"!<arch>\ndebian-binary   1410122664  0     0     100644  4         `\n2.0\n",
    "rpm": b"\xed\xab\xee\xdb\x03\0\0\0",
    "SquashFS": b"hsqs\x02\0\0\0",
    "Git pack": b"PACK\0\0\0\x02\0\0\0\x01",
    "Parquet": b"PAR1\x15\x04\x15",
    "Redis": b"REDIS0011\xfa\tredis-ver",
    "pg_dump": b"PGDMP\x01\x0f\0",
    "PDF": b"%PDF-1.7\n",
    "journal": b"LPKSHHRH\x04\0\0\0",
    "Ansible Vault": b"$ANSIBLE_VAULT;1.1;AES256\n6162",
    "age": b"age-encryption.org/v1\n-> X25519 abc\n",
    "age, armored": b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n",
    "OpenPGP, armored": b"-----BEGIN PGP MESSAGE-----\n\njA0ECQMC\n",
    "OpenPGP, password": bytes.fromhex("8c0d04090302953d2ba2f6f8069bffd2"),
    "OpenPGP, RSA": bytes.fromhex("85010c036a4df7788ca2264401080083"),
    "OpenPGP, ECDH": bytes.fromhex("845e03b0d1380a735a628c120107404a"),
    "OpenSSL": b"Salted__\x5f\x00\x8a\x42",
    "OpenSSL, base64": b"U2FsdGVkX1+2PRJm\n",
    "git-crypt": b"\0GITCRYPT\0abc",
    "LUKS": b"LUKS\xba\xbe\0\x02",
    "KeePass": b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5",
}


@each_row("content", HIDDEN.values(), ids=HIDDEN.keys())
def test_container_is_detected_by_its_contents(content: bytes) -> None:
    assert "scan" in recognized(content).reason
    assert recognize(b" " + content) is None


@each_row(
    ("name", "reason"),
    [
        ("gzip", "it is compressed (gzip), which is not opened; unpack it and scan again"),
        ("zip", "it is an archive (zip), which is not opened; unpack it and scan again"),
        ("age", "it is encrypted (age), which is not opened; decrypt it and scan again"),
    ],
)
def test_reason_names_format_and_remedy(name: str, reason: str) -> None:
    assert recognized(HIDDEN[name]) == Container(name, reason)


@each_row("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@each_row(
    "text",
    [
        "",
        "]\n",
        "x^2 + 1",
        "PK and BZh9 and Rar! and PAR1",
        "BZh9",
        "PACKAGE=1",
        "REDIS_URL=redis://",
        "PAR1=2",
        "!<arch>\n/               0",
        "$ANSIBLE_VAULT_PASSWORD_FILE",
        "-----BEGIN PGP SIGNED MESSAGE-----",
        "-----BEGIN PRIVATE KEY-----",
        "\u00e9t\u00e9",
        "07070100000000",
    ],
)
def test_plain_text_is_no_container(text: str, encoding: str) -> None:
    assert recognize(text.encode(encoding)) is None


@each_row(
    "content",
    [
        b"\x7fELF\x02\x01\x01\0",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"GIF89a",
        b"SQLite format 3\0",
        b"wOF2\0\x01\0\0",
        b"\xcb\r\r\n\0\0\0\0",
        b"\xca\xfe\xba\xbe\0\0\0A",
        bytes(64),
    ],
    ids=["ELF", "PNG", "JPEG", "GIF", "SQLite", "WOFF2", "pyc", "class", "NUL"],
)
def test_other_binary_file_is_no_container(content: bytes) -> None:
    assert recognize(content) is None
