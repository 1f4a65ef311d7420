# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of place that a scan opens. Each kind is a file with a token on its second line."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import quopri
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

Content = Callable[[str], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    content: returns it for a token. shown: what the location has in addition to the file's path.
    line: where the token is found.
    """

    name: str
    content: Content
    shown: str = ""
    line: int = 2


def log(token: str) -> bytes:
    """Return a log with a token on its second line."""
    return f"the first line\n2026-01-13 DEBUG token={token} sent\nthe last line\n".encode()


def lines(text: str, width: int, end: str = "\n") -> str:
    """Wrap a text at a width, in the middle of words."""
    return end.join(text[i : i + width] for i in range(0, len(text), width))


def on_line_two(write: Callable[[str], str]) -> Content:
    """Return a content that has what is written for a token on its second line."""
    return lambda token: f"the first line\n{write(token)}\nthe last line\n".encode()


def encode(write: Callable[[bytes], bytes], before: str = "", after: str = "") -> Content:
    """Return a content with a token, and text around it, in an encoding."""

    def content(token: str) -> bytes:
        return b"the first line\n" + write(f"{before}{token}{after}".encode()) + b"\nthe last\n"

    return content


def tar(token: str, form: int = tarfile.GNU_FORMAT, name: str = "dir/app.log") -> bytes:
    """Return a tar archive with a log, and a file and a folder before it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        folder = tarfile.TarInfo("dir")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for member_name, data in (("dir/empty", b""), ("dir/odd", b"x" * 700), (name, log(token))):
            member = tarfile.TarInfo(member_name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def archive_zip(token: str, method: int = zipfile.ZIP_DEFLATED, seekable: bool = True) -> bytes:
    """Return a zip archive with a log; one that is not seekable has no sizes in its headers."""
    stream = io.BytesIO() if seekable else _Pipe()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("empty", b"")
        archive.writestr("dir/other.txt", b"other " * 500)
        archive.writestr("dir/app.log", log(token))
    return stream.getvalue()


class _Pipe(io.BytesIO):
    """A stream that cannot be seeked."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_args: int) -> int:
        raise OSError

    def tell(self) -> int:
        raise OSError


def deb(token: str) -> bytes:
    """Return a Debian package."""
    data = lzma.compress(tar(token))
    members = [(b"debian-binary", b"2.0\n"), (b"data.tar.xz", data)]
    packed = b"".join(
        b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name, 0, 0, 0, 0o100644, len(one))
        + one
        + b"\n" * (len(one) % 2)
        for name, one in members
    )
    return b"!<arch>\n" + packed


def two_members(token: str) -> bytes:
    """Return two gzip files in one; the token is in the second."""
    return gzip.compress(b"the first line\n") + gzip.compress(log(token)[15:])


def skipping(write: Callable[[bytes], bytes]) -> Content:
    """Return a content that is the log, as this function writes it."""
    return lambda token: write(log(token))


def nested(depth: int) -> Content:
    """Return a zip archive in a zip archive, and so on; the log is in the innermost."""

    def content(token: str) -> bytes:
        data = archive_zip(token)
        for __ in range(depth - 1):
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("in.zip", data)
            data = stream.getvalue()
        return data

    return content


def urlsafe(data: bytes) -> bytes:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def wrapped(width: int, data: bytes) -> bytes:
    """Return base64 in lines."""
    return lines(base64.b64encode(data).decode(), width).encode()


def escaped(form: str, text: str) -> str:
    """Return a text with each character escaped."""
    return "".join(form % ord(character) for character in text)


def json_in_json(token: str) -> str:
    """Return a line of a container's log, whose message is JSON."""
    return json.dumps({"log": json.dumps({"access_token": token}) + "\n", "stream": "stdout"})


def binary_yaml(token: str) -> bytes:
    """Return YAML with compressed data in base64, in indented lines."""
    noise = "".join(f"{random.Random(n).getrandbits(256):x}\n" for n in range(60))
    packed = base64.b64encode(gzip.compress(log(token) + noise.encode())).decode()
    return f"data: !!binary |\n  {lines(packed, 76, chr(10) + '  ')}\nkey: value\n".encode()


PLAIN = [
    Kind("app.log", log),
    Kind("core.bin", lambda token: bytes(range(256)) + b"\n" + token.encode() + b"\0", line=3),
    Kind("utf-16", lambda token: log(token).decode().encode("utf-16")),
    Kind("utf-16-le", lambda token: log(token).decode().encode("utf-16-le")),
    Kind("utf-16-be", lambda token: log(token).decode().encode("utf-16-be")),
    Kind("container.log", on_line_two(json_in_json)),
    Kind("environ", lambda token: f"A=1\0NOMBA_ACCESS_TOKEN={token}\0B=2\0".encode(), line=1),
]
COMPRESSED = [
    Kind("gzip", skipping(gzip.compress)),
    Kind("gzip with two members", two_members),
    Kind("bzip2", skipping(bz2.compress)),
    Kind("xz", skipping(lzma.compress)),
    Kind("lzma", skipping(partial(lzma.compress, format=lzma.FORMAT_ALONE))),
    Kind("zlib", skipping(zlib.compress)),
    Kind("gzip in xz", lambda token: lzma.compress(gzip.compress(log(token)))),
]
ARCHIVES = [
    Kind("tar", tar, "!dir/app.log"),
    Kind("tar, ustar", partial(tar, form=tarfile.USTAR_FORMAT), "!dir/app.log"),
    Kind(
        "tar, pax",
        partial(tar, form=tarfile.PAX_FORMAT, name="dir/\u00e9.log"),
        "!dir/\u00e9.log",
    ),
    Kind("tar, long name", partial(tar, name="d/" * 80 + "log"), "!" + "d/" * 80 + "log"),
    Kind("two tars in one", lambda token: tar("")[:-512] + tar(token), "!dir/app.log"),
    Kind("tar.gz", lambda token: gzip.compress(tar(token)), "!dir/app.log"),
    Kind("tar.xz", lambda token: lzma.compress(tar(token)), "!dir/app.log"),
    Kind("zip", archive_zip, "!dir/app.log"),
    Kind("zip, stored", partial(archive_zip, method=zipfile.ZIP_STORED), "!dir/app.log"),
    Kind("zip, bzip2", partial(archive_zip, method=zipfile.ZIP_BZIP2), "!dir/app.log"),
    Kind("zip, lzma", partial(archive_zip, method=zipfile.ZIP_LZMA), "!dir/app.log"),
    Kind("zip, streamed", partial(archive_zip, seekable=False), "!dir/app.log"),
    Kind("zip in zip in zip", nested(3), "!in.zip!in.zip!dir/app.log"),
    Kind("deb", deb, "!data.tar.xz!dir/app.log"),
]
ENCODED = [
    *(
        Kind(f"base64 at {n}", encode(base64.b64encode, "~" * n, " and more"), " (base64)")
        for n in range(3)
    ),
    *(Kind(f"base64url at {n}", encode(urlsafe, "~" * n), " (base64)") for n in range(3)),
    *(
        Kind(f"base64 in lines of {width}", encode(partial(wrapped, width)), " (base64)")
        for width in (60, 64, 76)
    ),
    Kind(
        "secret.yml",
        on_line_two(lambda token: "  token: " + base64.b64encode(token.encode()).decode()),
        " (base64)",
    ),
    Kind(
        "traffic.har",
        on_line_two(
            lambda token: json.dumps(
                {"text": base64.encodebytes(b'{"access_token":"%s"}' % token.encode()).decode()}
            )
        ),
        " (base64)",
    ),
    Kind("percent", on_line_two(partial(escaped, "%%%02X")), " (percent-encoding)"),
    Kind("percent, twice", on_line_two(partial(escaped, "%%25%02x")), " (percent-encoding)"),
    Kind(
        "percent, dots",
        on_line_two(lambda token: "a=" + token.replace(".", "%2E") + "&b=1"),
        " (percent-encoding)",
    ),
    Kind("JSON escapes", on_line_two(partial(escaped, "\\u%04x")), " (escapes)"),
    Kind("JSON escapes, twice", on_line_two(partial(escaped, "\\\\u%04x")), " (escapes)"),
    Kind(
        "JSON escapes, dots",
        on_line_two(lambda token: token.replace(".", "\\u002e")),
        " (escapes)",
    ),
    Kind(
        "base64 of base64",
        encode(lambda data: base64.b64encode(base64.b64encode(data)), "token: ", " and more"),
        " (base64)",
    ),
    Kind(
        "base64 of base64 in lines",
        encode(lambda data: wrapped(76, base64.b64encode(data)), "token: ", " and more"),
        " (base64)",
    ),
    Kind(
        "base64 of UTF-16",
        encode(lambda data: base64.b64encode(data.decode().encode("utf-16"))),
        " (base64)",
    ),
    Kind(
        "base64 of UTF-16, big-endian",
        encode(lambda data: base64.b64encode(data.decode().encode("utf-16-be")), "~"),
        " (base64)",
    ),
    *(
        Kind(f"base64 of {name}", encode(compress, more, "\nthe last line\n"), " (base64)")
        for name, compress, more in (
            ("gzip", lambda data: base64.b64encode(gzip.compress(data)), "first\n"),
            ("bzip2", lambda data: base64.b64encode(bz2.compress(data)), "first\n"),
            ("xz", lambda data: base64.b64encode(lzma.compress(data)), "first\n"),
            ("zlib", lambda data: base64.b64encode(zlib.compress(data)), "first\n"),
            ("gzip in lines", lambda data: wrapped(76, gzip.compress(data)), "first\n"),
            ("gzip, url", lambda data: urlsafe(gzip.compress(data)), "first\n"),
            (
                "base64 of gzip",
                lambda data: base64.b64encode(base64.b64encode(gzip.compress(data))),
                "first\n",
            ),
        )
    ),
    Kind(
        "base64 of tar",
        lambda token: b"payload: " + base64.b64encode(gzip.compress(tar(token))) + b"\n",
        " (base64)!dir/app.log",
    ),
    Kind(
        "indented base64",
        on_line_two(
            lambda token: "  " + lines(base64.b64encode(token.encode()).decode(), 64, "\n  ")
        ),
        " (base64)",
    ),
    Kind("binary.yml", binary_yaml, " (base64)"),
    Kind(
        "JSON after white space",
        lambda token: b"\n  " + json.dumps({"access_token": token}).encode(),
    ),
    Kind(
        "quoted-printable",
        lambda token: quopri.encodestring(b"the first line\n\xe9=" + token.encode() + b" end\n"),
        " (quoted-printable)",
    ),
]
WRAPPED = [
    Kind("color", on_line_two(lambda t: f"\x1b[1;31m{t[:30]}\x1b[0m{t[30:90]}\x1b[K{t[90:]}")),
    Kind("mail", on_line_two(lambda token: lines(token, 76))),
    *(
        Kind(f"lines of {width}", on_line_two(partial(lines, width=width)))
        for width in (20, 24, 36)
    ),
    Kind("mail, quoted", on_line_two(lambda token: "> " + lines(token, 70, "\n> "))),
    Kind("mail, CR LF", on_line_two(lambda token: lines(token, 64, "\r\n"))),
    Kind("lines at dots", on_line_two(lambda token: token.replace(".", "\n."))),
    Kind("lines after dots", on_line_two(lambda token: token.replace(".", ".\n"))),
    Kind(
        "folded.yml", on_line_two(lambda token: "token: >-\n  " + lines(token, 60, "\n  ")), line=3
    ),
    Kind("shell", on_line_two(lambda token: "export TOKEN=" + lines(token, 60, "\\\n"))),
    Kind("JSON with line breaks", on_line_two(lambda token: json.dumps(lines(token, 64)))),
    Kind("python", on_line_two(lambda t: 'TOKEN = ("' + lines(t, 60, '"\n         "') + '")')),
    Kind("javascript", on_line_two(lambda t: "token = '" + lines(t, 60, "' +\n  '") + "';")),
    Kind("java", on_line_two(lambda t: 'token = "' + lines(t, 60, '"\n  + "') + '";')),
    Kind("php", on_line_two(lambda t: "$token = '" + lines(t, 60, "'\n  . '") + "';")),
    Kind("one line of code", on_line_two(lambda t: 'token = "' + lines(t, 60, '" + "') + '";')),
]
KINDS = [*PLAIN, *COMPRESSED, *ARCHIVES, *ENCODED, *WRAPPED]
