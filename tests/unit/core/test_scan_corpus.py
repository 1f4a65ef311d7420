# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of place in which a scan finds a token, and texts in which it finds none."""

from __future__ import annotations

import base64
import errno
import gzip
import json
import os
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils import _scan_text
from ansible_collections.nomba.auth.plugins.module_utils._scan import Location, scan
from ansible_collections.nomba.auth.plugins.module_utils._scan_text import (
    TextFinding,
    search_text,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from tests.corpus.kinds import ARCHIVES, COMPRESSED, KINDS, Kind, lines, log
from tests.corpus.var_log import write_var_log
from tests.unit.tables import each_row

from .token_factory import ACCOUNT, jwt, rs256, token

pytestmark = pytest.mark.pure

TOKEN = token(iat=1_800_000_000, exp=1_800_003_600)
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")


def found(data: bytes) -> list[tuple[str, int]]:
    """Return the complete tokens in a text, and their lines."""
    return [(one.token.text, one.line) for one in findings([data]) if one.token.well_formed]


def findings(chunks: Iterable[bytes]) -> list[TextFinding]:
    """Return all tokens in a text."""
    return [one for one in search_text(chunks) if isinstance(one, TextFinding)]


@each_row("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_token_is_found_in_its_place(tmp_path: Path, kind: Kind) -> None:
    file = tmp_path / "file"
    file.write_bytes(kind.content(TOKEN))
    scanned = scan([], [str(file)])
    assert [one.text for one in scanned.tokens] == [TOKEN]
    place = Location(f"{file}{kind.shown}", kind.line)
    assert scanned.locations == {fingerprint(TOKEN): [place]}
    assert (scanned.unread, scanned.files) == ([], 1)


@each_row("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_kind_without_token_is_clean(tmp_path: Path, kind: Kind) -> None:
    file = tmp_path / "file"
    file.write_bytes(kind.content("no-token-" * 30))
    scanned = scan([], [str(file)])
    assert (scanned.tokens, scanned.unread, scanned.other_jwts) == ([], [], 0)


@each_row("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_token_that_is_cut_short_is_not_found_as_complete(tmp_path: Path, kind: Kind) -> None:
    file = tmp_path / "file"
    file.write_bytes(kind.content(TOKEN[:-9]))
    assert [one for one in scan([], [str(file)]).tokens if one.well_formed] == []


@each_row("kind", [*COMPRESSED, *ARCHIVES], ids=lambda kind: kind.name)
def test_opened_files_are_counted(tmp_path: Path, kind: Kind) -> None:
    (tmp_path / "file").write_bytes(kind.content(TOKEN))
    assert scan([], [str(tmp_path)]).archives >= 1


def test_everything_in_one_folder_and_one_archive(tmp_path: Path) -> None:
    for number, kind in enumerate(KINDS):
        (tmp_path / f"{number:03}").write_bytes(kind.content(token(n=number, exp=1_800_003_600)))
    scanned = scan([], [str(tmp_path)])
    assert len(scanned.tokens) == len(KINDS)
    assert all(one.well_formed for one in scanned.tokens)


def test_ordinary_var_log_is_clean_and_read_completely(tmp_path: Path) -> None:
    write_var_log(tmp_path)
    scanned = scan([], [str(tmp_path)])
    assert (scanned.tokens, scanned.unread, scanned.other_jwts) == ([], [], 0)
    assert (scanned.files, scanned.archives) == (39, 12)
    (tmp_path / "auth.log.3.gz").write_bytes(gzip.compress(log(TOKEN)))
    found = list(scan([], [str(tmp_path)]).locations.values())
    assert found == [[Location(f"{tmp_path}/auth.log.3.gz", 2)]]


def test_logs_of_this_machine_hide_nothing() -> None:
    scanned = scan([], ["/var/log"])
    assert scanned.files
    allowed = {os.strerror(errno.EACCES), os.strerror(errno.ENOENT)}
    assert {reason for __, reason in scanned.unread} <= allowed


# Positions


@given(st.integers(6, 200), st.integers(0, 60), st.sampled_from(["\n", "\r\n", "\n  ", "\\n"]))
def test_token_in_lines_of_any_width_is_found(width: int, before: int, end: str) -> None:
    text = lines("x" * before + ":" + TOKEN, width, end)
    assert [text for text, __ in found(f"first\n{text}\n\nlast".encode())] == [TOKEN]


@given(st.integers(20, 200), st.binary(max_size=60), st.binary(max_size=60))
def test_base64_in_lines_of_any_width_is_found(width: int, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + b'"' + TOKEN.encode() + b'"' + after).decode()
    text = lines(encoded, width)
    assert {text for text, __ in found(f"first\n{text}\n\nlast".encode())} == {TOKEN}


TEXTS = [kind for kind in KINDS if kind not in (*COMPRESSED, *ARCHIVES)]


@given(
    *(st.integers(0, 300), st.sampled_from(TEXTS), st.integers(0, 300_000)),
    st.sampled_from([2000, 40_000, 200_000]),
)
def test_result_does_not_depend_on_the_chunks(
    before: int, kind: Kind, after: int, size: int
) -> None:
    line = b"0123456789 (abc) def\n"
    data = line * (after // 21) + b"x" * before + b"\n" + kind.content(TOKEN) + line * 7000
    expected = list(search_text([data]))
    assert expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_scan_text, "_BLOCK", size)
        chunks = (data[i : i + size] for i in range(0, len(data), size))
        assert list(search_text(chunks)) == expected


def test_large_base64_is_searched_in_parts(tmp_path: Path) -> None:
    size, tokens = 200_000, [token(n=number) for number in range(24)]
    text = "".join(f"{one}\n{'0123456789 (abc)' * (size // 16)}\n" for one in tokens).encode()
    (tmp_path / "a").write_bytes(base64.b64encode(base64.b64encode(text)))
    (tmp_path / "b").write_bytes(base64.encodebytes(base64.b64encode(text)))
    for name in ("a", "b"):
        scanned = scan([], [str(tmp_path / name)])
        assert [one.text for one in scanned.tokens] == tokens
        assert scanned.unread == []


def test_large_compressed_content_in_base64_is_unread(tmp_path: Path) -> None:
    noise = base64.b64encode(gzip.compress(log(TOKEN) + random.Random(1).randbytes(5 * 1024**2)))
    (tmp_path / "a").write_bytes(b"key: " + noise)
    ((path, reason),) = scan([], [str(tmp_path)]).unread
    assert path == f"{tmp_path}/a (base64)"
    assert "more than 4 MiB of compressed data in base64" in reason


PIECES = (
    *(
        b"eyJ",
        b"ey",
        b"J",
        b"ZXlK",
        b"V5S",
        b"leU",
        b"H4sI",
        b"eJwt",
        b".",
        b".e",
        b"%65%79",
        b"%0A",
    ),
    *(
        b"\\u0065\\u0079",
        b"\n",
        b"\r\n",
        b"\n  ",
        b" ",
        b'"',
        b"=",
        b"\\n",
        b"\\",
        b"+",
        b"\0",
        b"\xff",
    ),
    *(b"x" * 400, b"QUJD" * 300, HEADER.encode(), PAYLOAD.encode(), SIGNATURE.encode()),
    *(base64.b64encode(TOKEN.encode()), b"\x1b[0m", b"> ", b"'+'"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_text_is_searched(pieces: list[bytes]) -> None:
    for one in search_text([b"".join(pieces)]):
        assert one.line >= 1


# Near misses


@each_row(
    "text",
    [
        lines(rs256(), 64),
        "\n".join([HEADER, PAYLOAD, SIGNATURE]),
        f"{TOKEN[:-10]}\n2026-01-13T17:38 another line",
        f"{TOKEN[:-10]}\nabcdefghij followed by more words",
        f"{TOKEN[:-4]}\n2026 another line",
        f"{TOKEN[:-10]}\n{TOKEN[:-10]}\n",
        "\n".join([HEADER, SIGNATURE, PAYLOAD]),
        base64.b64encode(TOKEN[:-10].encode()).decode() + "\nQUJDRA==",
        base64.b64encode(jwt(b'{"iss":"https://login.example"}').encode()).decode(),
        json.dumps([TOKEN[:100], TOKEN[100:]]),
        "ZXlK" * 500 + "V5Sg" * 500 + "leUo" * 500,
        "eyJ\n" * 3000,
        "eyJ." * 3000,
        "%65%79%4A" * 500,
        "\\u0065\\u0079\\u004a" * 500,
    ],
    ids=lambda text: text[-16:],
)
def test_near_miss_is_no_complete_token(text: str) -> None:
    assert found(f"first\n{text}\n".encode()) == []


@each_row("end", ["\n", '"', "\r\n", ""])
def test_part_of_wrapped_token_is_not_listed_as_cut_short(end: str) -> None:
    data = ("first\n" + lines(TOKEN, 100) + end).encode()
    assert [(one.token.text, one.token.well_formed) for one in findings([data])] == [(TOKEN, True)]


CUT = TOKEN[:-9]


@each_row(
    "text",
    [
        f"{CUT}\nabcdefghI\n",
        f"token={CUT}\r\nabcdefghI\r\n",
        f"> {CUT}\n> abcdefghI\n",
        f"  {CUT}\n  abcdefghI\n",
        f'"{CUT}"\n"abcdefghI"\n',
        json.dumps(f"{CUT}\nabcdefghI\n"),
        f"{HEADER}.{PAYLOAD}.\n{SIGNATURE[:-1]}A\n",
        lines(CUT, 64) + "\nabcdefghI\n",
        base64.b64encode(CUT.encode()).decode() + "\n" + base64.b64encode(b"abcdefghI").decode(),
    ],
    ids=repr,
)
def test_cut_token_stays_malformed_if_the_next_line_completes_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.log").write_text(text)
    (tmp_path / "b.log").write_text(TOKEN[:-9] + "abcdefgh8")
    tokens = scan([], [str(tmp_path / "a.log")]).tokens
    assert [one.well_formed for one in tokens] == [False]
    assert TOKEN.startswith(tokens[0].text)


@each_row(
    "text",
    [
        lines(TOKEN, 60),
        lines(TOKEN, 60, "\n> "),
        f"{CUT}\\\n{TOKEN[-9:]}",
        f'"{CUT}" +\n  "{TOKEN[-9:]}"',
        f"{CUT}=\n{TOKEN[-9:]}",
        "\n".join([f"{HEADER}.", f"{PAYLOAD}.", SIGNATURE]),
    ],
    ids=repr,
)
def test_wrapped_signature_is_complete_if_its_break_is_certain(text: str) -> None:
    assert [(one.token.text, one.token.well_formed) for one in findings([text.encode()])] == [
        (TOKEN, True)
    ]


def test_encoded_and_plain_token_are_two_locations(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\n" + base64.b64encode(log(TOKEN)) + b"\n" + log(TOKEN))
    places = scan([], [str(file)]).locations[fingerprint(TOKEN)]
    assert places == [Location(f"{file} (base64)", 2), Location(str(file), 4)]


def test_token_of_another_account_is_found_too(tmp_path: Path) -> None:
    other = token(ACCOUNT[::-1])
    (tmp_path / "file").write_bytes(gzip.compress(log(other)))
    assert [one.text for one in scan([], [str(tmp_path)]).tokens] == [other]
