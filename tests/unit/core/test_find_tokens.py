# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding tokens in any text, in chunks of any size."""

from __future__ import annotations

import itertools
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils import _token
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    Finding,
    find_tokens,
    fingerprint,
    fingerprints_in,
    jwts_in,
)
from tests.unit.tables import each_row

from .token_factory import ACCOUNT, SEED, base64url, claims, jwt, rs256, signed, token

pytestmark = pytest.mark.pure

MIB = 1024 * 1024
HEADER, PAYLOAD, SIGNATURE = SEED.encode().split(b".")
# Length up to which the token contains its account: {"G:<account id>":
NAMED = len(HEADER) + 1 + len(base64url(b'{"G:' + ACCOUNT.encode() + b'":'))
SAMPLE = json.dumps(claims()).encode()
PLANTED = token(iat=1_800_000_000, exp=1_800_003_600)

# What can precede or follow a token in a binary file or in hostile text.
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
    """Return the findings in a stream of chunks."""
    return list(find_tokens(chunks))


def lines_of(planted: str, findings: list[Finding]) -> set[int]:
    """Return the lines on which a token was found."""
    return {finding.line for finding in findings if finding.token.text == planted}


def cut(data: bytes, positions: list[int]) -> list[bytes]:
    """Return the data in chunks that end at these positions."""
    ends = sorted(position % (len(data) + 1) for position in positions)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)])]


# Surroundings


@given(before=surroundings, after=surroundings)
def test_token_is_found_in_any_surroundings(before: bytes, after: bytes) -> None:
    findings = found(before + PLANTED.encode() + after)
    assert lines_of(PLANTED, findings) == {1 + before.count(b"\n")}


@given(before=surroundings, after=surroundings, positions=st.lists(st.integers(0), max_size=6))
def test_token_is_found_across_any_chunk_boundary(
    before: bytes, after: bytes, positions: list[int]
) -> None:
    data = before + PLANTED.encode() + after
    findings = found(*cut(data, positions))
    assert lines_of(PLANTED, findings) == {1 + before.count(b"\n")}


def test_token_is_found_in_chunks_of_one_byte() -> None:
    data = b"one\ntwo " + PLANTED.encode() + b" two\n"
    findings = found(*(bytes([byte]) for byte in data))
    assert lines_of(PLANTED, findings) == {2}


@each_row("size", [1, 7, 400, 1024, 8192, 10_000])
def test_result_is_independent_of_chunk_size(size: int) -> None:
    data = b"x\n" * 5000 + PLANTED.encode() + b"\n" * 3 + SEED.encode() + b"y" * 9000
    findings = found(*(data[i : i + size] for i in range(0, len(data), size)))
    assert lines_of(PLANTED, findings) == {5001}
    assert lines_of(SEED, findings) == {5004}
    assert {finding.token.text for finding in findings} == {PLANTED, SEED}


@each_row(
    "adjacent",
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
    ids=lambda adjacent: adjacent[-12:].decode(),
)
def test_token_is_found_behind_adjacent_text(adjacent: bytes) -> None:
    assert lines_of(PLANTED, found(adjacent + PLANTED.encode())) == {1}


@each_row("adjacent", [b"x", b"_-9" * 5000, b".", b"eyJ", SEED.encode(), b"=="])
def test_text_after_signature_is_excluded(adjacent: bytes) -> None:
    assert lines_of(PLANTED, found(PLANTED.encode() + adjacent)) == {1}


def test_longest_supported_payload_is_found() -> None:
    room = 7000 - len(token(padding="").split(".")[1])
    longest = token(padding="x" * (room * 3 // 4))
    assert lines_of(longest, found(b"a" * 5000, longest[:4000].encode(), longest[4000:].encode()))


# Formats


@each_row(
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
def test_token_is_found_in_any_format(text: str) -> None:
    data = f"first line\n{text.format(PLANTED)}\nlast line\n"
    (finding,) = found(data.encode())
    assert (finding.token.text, finding.line) == (PLANTED, 2)
    assert finding.token.accounts == (ACCOUNT,)


@given(before=utf16_text, after=utf16_text, positions=st.lists(st.integers(0), max_size=4))
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_token_is_found_in_text_of_any_encoding(
    encoding: str, before: str, after: str, positions: list[int]
) -> None:
    data = f"{before}{PLANTED}{after}".encode(encoding)
    assert lines_of(PLANTED, found(*cut(data, positions))) == {1 + before.count("\n")}


def test_several_tokens_on_one_line_are_found_in_order() -> None:
    tokens = [token(number=number) for number in range(5)]
    findings = found(b"\n\n" + ",".join(tokens).encode())
    assert [finding.token.text for finding in findings] == tokens
    assert {finding.line for finding in findings} == {3}


def test_adjacent_tokens_are_all_found() -> None:
    tokens = [token(number=number) for number in range(5)]
    findings = found("".join(tokens).encode())
    assert [finding.token.text for finding in findings] == tokens


def test_lines_are_counted_across_chunks_without_tokens() -> None:
    findings = found(b"\n" * 10, b"\n\nx", b"", b"\n" + SEED.encode() + b"\n", SEED.encode())
    assert [finding.line for finding in findings] == [14, 15]


# Other tokens, and text that is no token


@each_row(
    "other",
    [
        rs256(),
        jwt(b'{"iss":"https://login.example"}'),
        jwt(json.dumps({"G:somebody": True}).encode()),
    ],
    ids=["RS256", "HS256", "a claim of another shape"],
)
def test_jwt_of_another_service_names_no_account(other: str) -> None:
    (finding,) = found(b"session=" + other.encode() + b";")
    assert finding.token.accounts == ()
    assert other.startswith(finding.token.text)


@given(st.text().map(lambda text: text.replace(".eyJ", "")))
def test_text_without_payload_contains_no_token(text: str) -> None:
    assert found(text.encode("utf-8", "surrogatepass")) == []


@each_row(
    "text",
    [
        b"",
        b"eyJ.eyJ." + SIGNATURE,
        HEADER + b".." + SIGNATURE,
        b"eyJhIjox.eyJhIjox." + SIGNATURE,
        HEADER + b".eyJub3QganNvbg." + SIGNATURE,
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
        "commas",
        "spaces",
        "lines",
    ],
)
def test_text_that_resembles_token_is_not_found(text: bytes) -> None:
    assert found(text) == []


# Any alg


KNOWN = [("HS256", 32), ("HS384", 48), ("HS512", 64), ("ES256", 64), ("ES384", 96), ("ES512", 132)]
UNKNOWN = [("RS256", 256), ("PS384", 384), ("RS512", 512), ("EdDSA", 64), ("EdDSA", 114), ("X", 77)]


@each_row(("alg", "length"), [*KNOWN, *UNKNOWN])
@each_row("form", ['"{}"', "x{}", "{}.", "{}.eyJ", "k={}&x", "{}"])
def test_token_of_any_alg_is_found_whole(alg: str, length: int, form: str) -> None:
    text = signed(alg, length)
    (finding,) = found(form.format(text).encode())
    assert (finding.token.text, finding.token.well_formed) == (text, True)
    assert finding.token.accounts == (ACCOUNT,)


@each_row(("alg", "length"), KNOWN)
@each_row("adjacent", ["_and_more", "A", "-" * 5000, "eyJhbGciOiJIUzI1NiJ9"])
def test_text_after_signature_of_known_length_is_cut_off(
    alg: str, length: int, adjacent: str
) -> None:
    text = signed(alg, length)
    (finding,) = found((text + adjacent).encode())
    assert (finding.token.text, finding.token.well_formed) == (text, True)


@each_row(("alg", "length"), [("RS256", 256), ("EdDSA", 64)])
def test_text_after_signature_of_unknown_length_is_malformed(alg: str, length: int) -> None:
    # The API would reject it in this form, and the token would count as revoked.
    (finding,) = found((signed(alg, length) + "_and_more").encode())
    assert not finding.token.well_formed
    assert finding.token.accounts == (ACCOUNT,)


@each_row(("alg", "length"), [*KNOWN, *UNKNOWN])
def test_adjacent_tokens_of_any_alg_are_all_found(alg: str, length: int) -> None:
    tokens = [PLANTED, signed(alg, length), SEED]
    findings = found("".join(tokens).encode())
    assert [finding.token.text for finding in findings] == tokens
    assert all(finding.token.well_formed for finding in findings)


@each_row("space", [b" ", b"\n", b"\r\n  ", b"\t"])
def test_token_with_white_space_in_its_json_is_found(space: bytes) -> None:
    claim = f'"G:{ACCOUNT}":"G:{ACCOUNT}"'.encode()
    text = jwt(b"{" + space + claim + space + b"}", b"{" + space + b'"alg":"HS256"}')
    (finding,) = found(b"token=" + text.encode() + b";")
    assert (finding.token.text, finding.token.well_formed) == (text, True)


@each_row("size", [240, 900, 1500])
def test_token_with_long_header_is_found(size: int) -> None:
    text = jwt(SAMPLE, json.dumps({"alg": "HS256", "kid": "k" * size}).encode())
    (finding,) = found(b"x " + text.encode() + b" y")
    assert (finding.token.text, finding.token.well_formed) == (text, True)


@each_row(
    "text",
    [
        jwt(SAMPLE, json.dumps({"alg": "HS256", "kid": "k" * 9000}).encode()),
        jwt(SAMPLE, b' {"alg":"HS256"}'),
        jwt(SAMPLE, b'["HS256"]'),
        jwt(SAMPLE, b"no JSON"),
        token(padding="x" * 9000),
        token(padding="x" * 90_000),
        signed("none", 32),
        signed("none", 32).rpartition(".")[0] + ".",
    ],
    ids=["long", "space first", "list", "text", "payload", "huge payload", "none", "unsigned"],
)
def test_token_that_cannot_be_sent_is_found_as_malformed(text: str) -> None:
    for size in (len(text), 1000, 8192):
        findings = found(*(text.encode()[i : i + size] for i in range(0, len(text), size)))
        assert [(one.token.well_formed, one.token.accounts) for one in findings] == [
            (False, (ACCOUNT,))
        ]


# Truncated tokens


def test_token_truncated_after_its_account_is_malformed() -> None:
    for length in range(NAMED, len(SEED)):
        for suffix in ("", "\n", '"', "..."):
            (finding,) = found((SEED[:length] + suffix).encode())
            assert not finding.token.well_formed
            assert finding.token.accounts == (ACCOUNT,)
            assert finding.token.text.rstrip(".") == SEED[:length].rstrip(".")


def test_token_truncated_before_its_account_is_not_found() -> None:
    assert [n for n in range(NAMED) if found(SEED[:n].encode())] == []


def test_token_without_start_of_header_is_malformed() -> None:
    for start in range(1, SEED.index(".") + 1):
        (finding,) = found(b" " + SEED[start:].encode())
        assert not finding.token.well_formed
        assert finding.token.accounts == (ACCOUNT,)
    assert [n for n in range(SEED.index(".") + 1, len(SEED)) if found(SEED[n:].encode())] == []


def test_signature_truncated_by_next_token_is_malformed() -> None:
    findings = found((SEED[:-20] + PLANTED).encode())
    assert [(one.token.text, one.token.well_formed) for one in findings] == [
        (SEED[:-20], False),
        (PLANTED, True),
    ]


@each_row("length", [0, 1, 20, 42])
@each_row(
    "other",
    [
        rs256(),
        jwt(b'{"iss":"https://login.example"}'),
        jwt(json.dumps({"G:somebody": True}).encode()),
        jwt(json.dumps({"G:somebody": "G:else"}).encode()),
        jwt(json.dumps({"X": "G:somebody"}).encode()),
    ],
    ids=["RS256", "HS256", "a value", "another name", "no name"],
)
def test_truncated_token_of_another_service_is_not_found(other: str, length: int) -> None:
    head, __, signature = other.rpartition(".")
    assert found(f"session={head}.{signature[:length]};".encode()) == []
    assert found(f"session={head[: -2 - length]};".encode()) == []


@given(text=st.sampled_from([SEED, signed("RS256", 256), signed("EdDSA", 64)]), data=st.data())
def test_token_across_chunks_is_never_truncated(text: str, data: st.DataObject) -> None:
    stream = b"\n" + text.encode() + b"\n"
    positions = data.draw(st.lists(st.integers(0), max_size=6))
    (finding,) = found(*cut(stream, positions))
    assert (finding.token.text, finding.token.well_formed, finding.line) == (text, True, 2)


@given(
    before=surroundings,
    after=surroundings,
    length=st.integers(150, len(SEED)),
    positions=st.lists(st.integers(0), max_size=6),
)
def test_any_chunks_give_the_same_findings(
    before: bytes, after: bytes, length: int, positions: list[int]
) -> None:
    stream = before + SEED[:length].encode() + after
    assert found(*cut(stream, positions)) == found(stream)


# Bounds


@pytest.mark.parametrize(
    "hostile",
    [
        b"eyJ" * (MIB // 3),
        (b"eyJ" * 85 + b".") * (MIB // 1024),
        (b"eyJ" * 85 + b"." + b"eyJ" * 2300 + b".") * (MIB // 16_384),
        (base64url(b'{"a":{}, ' * 160 + b"}}").encode() + b".eyJhIjoiYiI") * 100,
        (HEADER + b".") * 5000,
    ],
    ids=["no dots", "short parts", "long parts", "ends like a header", "headers"],
)
def test_hostile_text_is_decoded_in_linear_time(
    hostile: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    decode = _token._decode
    monkeypatch.setattr(_token, "_decode", lambda part: (read.append(len(part)), decode(part))[1])
    assert found(hostile) == []
    assert sum(read) <= 40 * len(hostile)


def test_hostile_text_is_never_read_as_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_token, "read", pytest.fail)
    assert found((b"eyJ" * 85 + b".") * 100) == []


@pytest.mark.untraced
@pytest.mark.parametrize("filling", [b"a", b"eyJ.", HEADER + b"." + PAYLOAD[:40] + b" " * 400])
def test_memory_is_bounded_by_chunk_size(filling: bytes) -> None:
    chunk = filling * (MIB // len(filling))
    tracemalloc.start()
    try:
        assert sum(1 for __ in find_tokens(itertools.repeat(chunk, 8))) == 0
        assert tracemalloc.get_traced_memory()[1] < 5 * MIB
    finally:
        tracemalloc.stop()


# The tokens of a small file


OTHER = token(jti="another")


@each_row(
    ("data", "texts"),
    [
        (b"", []),
        (b"NOMBA_ACCESS_TOKEN=\n", []),
        (b"eyJ.eyJ.x", []),
        (b"host.example.com v1.2.3", []),
        (PLANTED.encode(), [PLANTED]),
        (f"NOMBA_ACCESS_TOKEN={PLANTED}\nNOMBA_CLIENT_ID=c\n".encode(), [PLANTED]),
        (json.dumps({"access_token": PLANTED}).encode(), [PLANTED]),
        (f"{PLANTED}\n{OTHER} {PLANTED}".encode(), [PLANTED, OTHER]),
        (rs256().encode(), [rs256()]),
        (b"\xff\0" + PLANTED.encode() + b"\0", [PLANTED]),
    ],
)
def test_jwts_of_a_file_are_returned_in_order_and_once(data: bytes, texts: list[str]) -> None:
    assert jwts_in(data) == texts
    assert fingerprints_in(data) == [fingerprint(one) for one in texts]


def test_jwts_are_found_without_reading_their_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_token, "read", pytest.fail)
    assert jwts_in(PLANTED.encode()) == [PLANTED]
