# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of place in which a scan finds a token, and texts in which it finds none."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._scan import Location, scan
from ansible_collections.nomba.auth.plugins.module_utils._scan_text import search_text
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from tests.corpus.kinds import ARCHIVES, COMPRESSED, KINDS, Kind, lines, log
from tests.unit.tables import each_row

from .token_factory import ACCOUNT, jwt, rs256, token

pytestmark = pytest.mark.pure

TOKEN = token(iat=1_800_000_000, exp=1_800_003_600)
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")


def found(data: bytes) -> list[tuple[str, int]]:
    """Return the complete tokens in a text, and their lines."""
    findings = search_text([data])
    return [(one.token.text, one.line) for one in findings if one.token.well_formed]


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


# Positions


@given(st.integers(40, 200), st.integers(0, 60), st.sampled_from(["\n", "\r\n", "\n  ", "\\n"]))
def test_token_in_lines_of_any_width_is_found(width: int, before: int, end: str) -> None:
    text = lines("x" * before + ":" + TOKEN, width, end)
    assert [text for text, __ in found(f"first\n{text}\n\nlast".encode())] == [TOKEN]


@given(st.integers(20, 200), st.binary(max_size=60), st.binary(max_size=60))
def test_base64_in_lines_of_any_width_is_found(width: int, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + b'"' + TOKEN.encode() + b'"' + after).decode()
    text = lines(encoded, width)
    assert {text for text, __ in found(f"first\n{text}\n\nlast".encode())} == {TOKEN}


@given(st.integers(0, 150_000), st.sampled_from(KINDS[20:]), st.integers(1000, 200_000))
def test_result_does_not_depend_on_the_chunks(before: int, kind: Kind, size: int) -> None:
    if kind in (*COMPRESSED, *ARCHIVES):
        return
    data = b"0123456789 abcdef\n" * (before // 18) + kind.content(TOKEN)
    chunks = (data[i : i + size] for i in range(0, len(data), size))
    assert list(search_text(chunks)) == list(search_text([data]))


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
    assert [(one.token.text, one.token.well_formed) for one in search_text([data])] == [
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
