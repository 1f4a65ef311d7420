# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding tokens in text of any kind, in pieces of any size."""

from __future__ import annotations

import itertools
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils import _token
from ansible_collections.nomba.auth.plugins.module_utils._token import Finding, find_tokens

from .making import ACCOUNT, SEED, base64url, jwt, rs256, token

pytestmark = pytest.mark.pure

MIB = 1024 * 1024
HEADER, PAYLOAD, SIGNATURE = SEED.encode().split(b".")
PLANTED = token(iat=1_800_000_000, exp=1_800_003_600)

# What stands next to a token in a file that is no text, or in text made to hide one.
scraps = st.sampled_from(
    [
        b"eyJ",
        b".",
        b".eyJ",
        b"\n",
        b"\0",
        b"Bearer ",
        b'"',
        HEADER,
        HEADER + b".",
        HEADER + b".eyJ",
        HEADER + b"." + PAYLOAD[:70],
        HEADER + b"." + PAYLOAD + b".",
        HEADER + b"." + PAYLOAD + b"." + SIGNATURE[:30],
        SEED.encode(),
        rs256().encode(),
        b"eyJ" * 100,
        b"a" * 9000,
    ]
)
surroundings = st.lists(st.binary(max_size=20) | scraps, max_size=6).map(b"".join)
utf16_text = st.text(st.characters(codec="ascii"), max_size=40)


def found(*chunks: bytes) -> list[Finding]:
    """What is found in a stream."""
    return list(find_tokens(chunks))


def lines_of(planted: str, findings: list[Finding]) -> set[int]:
    """The lines on which a token was found."""
    return {finding.line for finding in findings if finding.token.text == planted}


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """A stream of the data, cut at these places."""
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)])]


# Anything around it


@given(before=surroundings, after=surroundings)
def test_a_token_is_found_whatever_surrounds_it(before: bytes, after: bytes) -> None:
    findings = found(before + PLANTED.encode() + after)
    assert lines_of(PLANTED, findings) == {1 + before.count(b"\n")}


@given(before=surroundings, after=surroundings, places=st.lists(st.integers(0), max_size=6))
def test_a_token_is_found_wherever_the_stream_is_cut(
    before: bytes, after: bytes, places: list[int]
) -> None:
    data = before + PLANTED.encode() + after
    findings = found(*cut(data, places))
    assert lines_of(PLANTED, findings) == {1 + before.count(b"\n")}


def test_a_token_is_found_in_a_stream_of_single_bytes() -> None:
    data = b"one\ntwo " + PLANTED.encode() + b" two\n"
    findings = found(*(bytes([byte]) for byte in data))
    assert lines_of(PLANTED, findings) == {2}


@pytest.mark.parametrize("size", [1, 7, 400, 1024, 8192, 10_000])
def test_the_size_of_the_pieces_changes_nothing(size: int) -> None:
    data = b"x\n" * 5000 + PLANTED.encode() + b"\n" * 3 + SEED.encode() + b"y" * 9000
    findings = found(*(data[i : i + size] for i in range(0, len(data), size)))
    assert lines_of(PLANTED, findings) == {5001}
    assert lines_of(SEED, findings) == {5004}
    assert {finding.token.text for finding in findings} == {PLANTED, SEED}


@pytest.mark.parametrize(
    "glued",
    [
        b"x",
        b"access_token_",
        b"eyJ",
        b"eyJ" * 200,
        b"a" * 20_000,
        HEADER,
        HEADER + b".",
        HEADER + b".eyJ",
        HEADER + b"." + PLANTED.encode()[21:90],
        HEADER + b"." + PAYLOAD + b"." + SIGNATURE[:23],
        SEED.encode(),
        rs256().encode(),
    ],
    ids=lambda glued: glued[-12:].decode(),
)
def test_text_glued_to_the_front_hides_nothing(glued: bytes) -> None:
    assert lines_of(PLANTED, found(glued + PLANTED.encode())) == {1}


@pytest.mark.parametrize("glued", [b"x", b"_-9" * 5000, b".", b"eyJ", SEED.encode(), b"=="])
def test_text_glued_behind_the_signature_is_no_part_of_the_token(glued: bytes) -> None:
    assert lines_of(PLANTED, found(PLANTED.encode() + glued)) == {1}


def test_the_longest_payload_that_is_looked_for_is_found() -> None:
    room = 7000 - len(token(padding="").split(".")[1])
    longest = token(padding="x" * (room * 3 // 4))
    assert lines_of(longest, found(b"a" * 5000, longest[:4000].encode(), longest[4000:].encode()))


# Formats


@pytest.mark.parametrize(
    "text",
    [
        '{{"access_token":"{}","refresh_token":"x"}}',
        "NOMBA_ACCESS_TOKEN={}",
        "export NOMBA_ACCESS_TOKEN='{}' # old",
        "2026-01-13T17:38:20.971Z DEBUG [auth] token={}, took 12 ms",
        "curl -H 'Authorization: Bearer {}' https://api.nomba.com/v1/accounts/balance",
        "token: {}",
        "GET /callback?access_token={}&expires=3600 HTTP/1.1",
        "GET /callback?access_token%3D{}%26expires HTTP/1.1",
        '"body": "{{\\"access_token\\":\\"{}\\"}}"',
        "<token>{}</token>",
        "a,b,{},d",
        "b'{}\\n'",
        "({})",
        "{}.",
        "token\\u003d{}\\u0026x",
    ],
    ids=[
        "JSON",
        "environment",
        "export",
        "log",
        "shell history",
        "YAML",
        "URL",
        "escaped URL",
        "JSON in JSON",
        "XML",
        "CSV",
        "repr",
        "brackets",
        "end of a sentence",
        "escapes",
    ],
)
def test_a_token_is_found_in_any_format(text: str) -> None:
    data = f"first line\n{text.format(PLANTED)}\nlast line\n"
    (finding,) = found(data.encode())
    assert (finding.token.text, finding.line) == (PLANTED, 2)
    assert finding.token.accounts == (ACCOUNT,)


@given(before=utf16_text, after=utf16_text, places=st.lists(st.integers(0), max_size=4))
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_token_is_found_in_text_of_any_encoding(
    encoding: str, before: str, after: str, places: list[int]
) -> None:
    data = f"{before}{PLANTED}{after}".encode(encoding)
    assert lines_of(PLANTED, found(*cut(data, places))) == {1 + before.count("\n")}


def test_several_tokens_on_a_line_are_all_found_in_order() -> None:
    tokens = [token(number=number) for number in range(5)]
    findings = found(b"\n\n" + ",".join(tokens).encode())
    assert [finding.token.text for finding in findings] == tokens
    assert {finding.line for finding in findings} == {3}


def test_tokens_without_anything_between_them_are_all_found() -> None:
    tokens = [token(number=number) for number in range(5)]
    findings = found("".join(tokens).encode())
    assert [finding.token.text for finding in findings] == tokens


def test_lines_are_counted_across_pieces_without_tokens() -> None:
    findings = found(b"\n" * 10, b"\n\nx", b"", b"\n" + SEED.encode() + b"\n", SEED.encode())
    assert [finding.line for finding in findings] == [14, 15]


# What is not Nomba's, or no token


@pytest.mark.parametrize(
    "foreign",
    [
        rs256(),
        jwt(b'{"iss":"https://login.example"}'),
        jwt(json.dumps({"G:somebody": True}).encode()),
    ],
    ids=["RS256", "HS256", "a claim of another shape"],
)
def test_the_jwt_of_another_service_names_no_account(foreign: str) -> None:
    (finding,) = found(b"session=" + foreign.encode() + b";")
    assert finding.token.accounts == ()
    assert foreign.startswith(finding.token.text)


@given(st.text().map(lambda text: text.replace(".eyJ", "")))
def test_nothing_is_found_in_text_without_a_payload(text: str) -> None:
    assert found(text.encode("utf-8", "surrogatepass")) == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"eyJ.eyJ." + SIGNATURE,
        HEADER + b".." + SIGNATURE,
        b"eyJhIjox.eyJhIjox." + SIGNATURE,
        HEADER + b".eyJub3QganNvbg." + SIGNATURE,
        base64url(b'["alg"]').encode() + b"." + PAYLOAD + b"." + SIGNATURE,
        base64url(b"{" * 99).encode() + b"." + PAYLOAD + b"." + SIGNATURE,
        SEED.replace(".", ",").encode(),
        SEED.replace("G", " ").encode(),
        b"\n".join([HEADER, PAYLOAD, SIGNATURE]),
    ],
    ids=[
        "nothing",
        "no contents",
        "no payload",
        "half JSON",
        "payload not JSON",
        "header a list",
        "header not JSON",
        "commas",
        "spaces",
        "lines",
    ],
)
def test_what_only_looks_like_a_token_is_not_found(text: bytes) -> None:
    assert found(text) == []


def test_a_token_that_was_cut_short_is_not_found() -> None:
    heads = (SEED[:length] for length in range(len(SEED)))
    tails = (SEED[start:] for start in range(1, len(SEED)))
    assert [text for text in itertools.chain(heads, tails) if found(text.encode())] == []


# Bounds


@pytest.mark.parametrize(
    "hostile",
    [
        b"eyJ" * (MIB // 3),
        (b"eyJ" * 85 + b".") * (MIB // 1024),
        (b"eyJ" * 85 + b"." + b"eyJ" * 2300 + b".") * (MIB // 16_384),
    ],
    ids=["no dots", "short parts", "long parts"],
)
def test_hostile_text_is_looked_at_once_from_each_beginning(
    hostile: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bytes] = []
    monkeypatch.setattr(_token, "_has_header", lambda run: looks.append(run[:1]))
    assert found(hostile) == []
    assert len(looks) <= hostile.count(b"eyJ")


def test_hostile_text_is_never_read_as_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_token, "read", pytest.fail)
    assert found((b"eyJ" * 85 + b".") * 100) == []


@pytest.mark.parametrize("filling", [b"a", b"eyJ.", b"eyJhbGciOiJIUzI1NiJ9."])
def test_memory_is_bound_by_a_piece(filling: bytes) -> None:
    piece = filling * (MIB // len(filling))
    tracemalloc.start()
    try:
        assert sum(1 for __ in find_tokens(itertools.repeat(piece, 50))) == 0
        assert tracemalloc.get_traced_memory()[1] < 5 * MIB
    finally:
        tracemalloc.stop()
