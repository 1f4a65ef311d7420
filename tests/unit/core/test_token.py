# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading and classifying tokens."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    MAX_CHARACTERS,
    TokenClass,
    classify,
    fingerprint,
    make_unissued_token,
    read,
    redact,
    sensitive_parts,
    strip,
)
from tests.unit.clock import NOW
from tests.unit.tables import each_row

from .token_factory import (
    ACCOUNT,
    OTHER_ACCOUNT,
    SEED,
    SEED_EXPIRES,
    SEED_ISSUED,
    base64url,
    jwt,
    rs256,
    signed,
    token,
)

pytestmark = pytest.mark.pure

LEEWAY = 300.0

times = st.floats(min_value=1.5e9, max_value=4e9)
leeways = st.floats(min_value=0, max_value=86_400)
lifetimes = st.floats(min_value=0, max_value=86_400)


def token_class(text: str, now: float = NOW, leeway: float = LEEWAY) -> TokenClass:
    """Return the class of a token."""
    return classify(read(text), now, leeway)


# Reading


def test_documented_example_is_read() -> None:
    seed = read(SEED)
    assert (seed.issued_at, seed.expires_at) == (SEED_ISSUED, SEED_EXPIRES)
    assert seed.accounts == (ACCOUNT,)
    assert (seed.well_formed, seed.readable) == (True, True)
    assert len(seed.text) == 407


def test_documented_example_expired_in_2023() -> None:
    assert token_class(SEED, now=SEED_EXPIRES) is TokenClass.LIVE
    assert token_class(SEED, now=SEED_EXPIRES + LEEWAY + 1) is TokenClass.EXPIRED


def test_repr_omits_secrets() -> None:
    shown = repr(read(SEED))
    assert SEED.split(".")[2] not in shown
    assert "eyJ" not in shown
    assert "victorshoaga" not in shown
    assert read(SEED).fingerprint in shown


@each_row(
    "form",
    ["{}", " {} ", "\n{}\r\n", "Bearer {}", "bearer {}", "BEARER \t{}\n", "  Bearer  {}  "],
)
def test_whitespace_and_bearer_prefix_are_stripped(form: str) -> None:
    assert strip(form.format(SEED)) == SEED
    assert read(form.format(SEED)) == read(SEED)


@each_row("text", ["BearerToken", "xBearer abc", "abc Bearer"])
def test_only_bearer_prefix_is_stripped(text: str) -> None:
    assert strip(text) == text


@each_row(
    "account",
    [ACCOUNT, ACCOUNT.upper(), ACCOUNT.title()],
    ids=["lower", "upper", "mixed"],
)
def test_account_matches_in_any_case(account: str) -> None:
    assert read(token(account)).belongs_to(ACCOUNT)
    assert read(token()).belongs_to(account)


def test_token_belongs_only_to_its_account() -> None:
    assert not read(token()).belongs_to(OTHER_ACCOUNT)
    assert not read(token()).belongs_to("")
    assert not read(rs256()).belongs_to(ACCOUNT)


def test_token_with_two_account_claims_names_both() -> None:
    both = read(token(**{f"G:{OTHER_ACCOUNT}": f"G:{OTHER_ACCOUNT}"}))
    assert both.accounts == (ACCOUNT, OTHER_ACCOUNT)


@each_row(
    "claim",
    [
        {f"G:{ACCOUNT}": True},
        {f"G:{ACCOUNT}": f"G:{OTHER_ACCOUNT}"},
        {"G": ACCOUNT},
        {f"X:{ACCOUNT}": f"X:{ACCOUNT}"},
    ],
    ids=["value not its name", "value of another", "no colon", "another letter"],
)
def test_claim_of_other_form_names_no_account(claim: dict[str, Any]) -> None:
    assert read(jwt(json.dumps(claim).encode())).accounts == ()


# Well-formed and malformed tokens


@each_row(
    "text",
    [
        "",
        " ",
        "Bearer ",
        "invalid",
        "..",
        "a.b",
        SEED.replace(".", ","),
        SEED.rpartition(".")[0],
        SEED + ".",
        "." + SEED,
        SEED.rpartition(".")[0] + ".",
        SEED.replace("eyJHOj", ".", 1),
        ".".join(["abcd"] * 5),
        SEED + "=",
        SEED.replace(".", "==.", 1),
        SEED.replace("Y", "+"),
        SEED.replace("Y", "/"),
        SEED.replace("Y", "\u0443"),
        SEED.replace(".", ". "),
        SEED[:200] + "\n" + SEED[200:],
        f'"{SEED}"',
        SEED * 2,
    ],
    ids=lambda text: repr(text)[:24],
)
def test_text_without_three_base64url_parts_is_malformed(text: str) -> None:
    assert token_class(text) is TokenClass.MALFORMED
    assert read(text).expires_at is None


@each_row("length", [1, 22, 40, 42])
def test_truncated_signature_is_malformed(length: int) -> None:
    head, __, signature = SEED.rpartition(".")
    assert token_class(f"{head}.{signature[:length]}") is TokenClass.MALFORMED


def test_too_long_signature_is_malformed() -> None:
    assert token_class(SEED + "abc") is TokenClass.MALFORMED


@each_row(
    "text",
    [
        jwt(b"{}", header=b"[]", signature=b"sig"),
        jwt(b"{}", header=b"\xff", signature=b"sig"),
        jwt(b"{}", header=b"{}", signature=b"sig"),
        jwt(b"{}", header=b'{"alg":"XY256","kid":1}', signature=b"sig"),
        signed(256, 3),
        signed(["HS256"], 3),
        signed("hs256", 3),
    ],
    ids=[
        "a list",
        "not JSON",
        "no alg",
        "kid a number",
        "alg a number",
        "alg a list",
        "lower case",
    ],
)
def test_signature_of_unknown_alg_may_have_any_length(text: str) -> None:
    assert token_class(text) is TokenClass.UNDATED


# Signature length in bytes by alg: RFC 7518, 8037, 8812 and 9864.
SIGNATURES = {
    (32,): ["HS256"],
    (48,): ["HS384"],
    (64,): ["HS512", "ES256", "ES256K", "Ed25519"],
    (96,): ["ES384"],
    (114,): ["Ed448"],
    (132,): ["ES512"],
    (64, 114): ["EdDSA"],
    (256, 384, 512): ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
}
LENGTHS = [
    (alg, length) for lengths, algs in SIGNATURES.items() for alg in algs for length in lengths
]


@each_row(("alg", "length"), LENGTHS)
def test_signature_of_length_of_its_alg_is_well_formed(alg: str, length: int) -> None:
    assert token_class(signed(alg, length)) is TokenClass.UNDATED


@each_row(("alg", "length"), LENGTHS)
def test_signature_of_any_other_length_is_malformed(alg: str, length: int) -> None:
    whole = signed(alg, length)
    for text in (
        whole[:-1],
        whole[:-2],
        whole[:-17],
        whole + "A",
        whole + "AA",
        whole + "_and_more",
    ):
        assert token_class(text) is TokenClass.MALFORMED, len(text) - len(whole)


@each_row("length", [1, 32, 256])
def test_token_with_alg_none_is_malformed(length: int) -> None:
    assert token_class(signed("none", length)) is TokenClass.MALFORMED
    assert token_class(signed("none", 1).rpartition(".")[0] + ".") is TokenClass.MALFORMED


@each_row("last", "BZz_9")
def test_signature_with_non_canonical_last_character_is_malformed(last: str) -> None:
    assert token_class(SEED[:-1] + last) is TokenClass.MALFORMED


def test_token_longer_than_any_header_is_malformed() -> None:
    text = token(padding="x" * 100_000)
    assert token_class(text) is TokenClass.MALFORMED
    assert fingerprint(text) == read(text).fingerprint


def test_longest_token_is_read() -> None:
    room = MAX_CHARACTERS - len(token(padding=""))
    text = token(padding="x" * (room * 3 // 4))
    assert MAX_CHARACTERS - 4 < len(text) <= MAX_CHARACTERS
    assert read(text).accounts == (ACCOUNT,)


@each_row(
    "payload",
    [
        b"",
        b"not JSON",
        b'{"exp":',
        b"[1]",
        b'"text"',
        b"17",
        b"null",
        b"\xff\xfe",
        b"[" * 3000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b'{"exp":' + b"9" * 5000 + b"}",
    ],
    ids=lambda payload: repr(payload)[:16],
)
def test_unreadable_payload_is_undated(payload: bytes) -> None:
    text = jwt(payload or b"\0")
    assert token_class(text) is TokenClass.UNDATED
    assert read(text).accounts == ()


def test_deeply_nested_header_is_undated() -> None:
    text = jwt(b"{}", header=b'{"alg":' + b"[" * 5000, signature=b"short")
    assert token_class(text) is TokenClass.UNDATED


# Dates


@each_row(
    "exp",
    [
        "null",
        "-1",
        "0",
        "-0.5",
        '"1681922179"',
        "true",
        "[1681922179]",
        "{}",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "1" + "0" * 400,
        "1681922179000",
        "253402300800",
    ],
    ids=lambda exp: exp[:16],
)
def test_invalid_exp_is_undated(exp: str) -> None:
    text = jwt(f'{{"exp":{exp}}}'.encode())
    assert token_class(text) is TokenClass.UNDATED
    assert read(text).expires_at is None


def test_missing_exp_is_undated() -> None:
    assert token_class(token(iat=int(NOW))) is TokenClass.UNDATED


def test_fractional_exp_is_valid() -> None:
    assert read(token(exp=NOW + 0.5)).expires_at == NOW + 0.5


@each_row("exp", [1, SEED_EXPIRES, 253_402_300_799])
def test_exp_up_to_year_9999_is_valid(exp: int) -> None:
    assert read(token(exp=exp)).expires_at == exp


@each_row("iat", ["0", "-1", '"1"', "true", "NaN", "1e400", "1681922179000"])
def test_invalid_iat_is_ignored(iat: str) -> None:
    text = jwt(f'{{"exp":1,"iat":{iat}}}'.encode())
    assert read(text).issued_at is None
    assert token_class(text) is TokenClass.EXPIRED


# Classes


def test_exp_within_leeway_is_live() -> None:
    assert token_class(token(exp=NOW - LEEWAY)) is TokenClass.LIVE


def test_exp_beyond_leeway_is_expired() -> None:
    assert token_class(token(exp=NOW - LEEWAY - 1)) is TokenClass.EXPIRED


def test_without_leeway_last_second_is_live() -> None:
    assert token_class(token(exp=NOW), leeway=0) is TokenClass.LIVE
    assert token_class(token(exp=NOW - 1), leeway=0) is TokenClass.EXPIRED


def test_iat_in_future_is_undated_instead_of_expired() -> None:
    backwards = token(iat=NOW + LEEWAY + 1, exp=NOW - LEEWAY - 1)
    assert token_class(backwards) is TokenClass.UNDATED


def test_iat_ahead_within_leeway_is_expired() -> None:
    assert token_class(token(iat=NOW + LEEWAY, exp=NOW - LEEWAY - 1)) is TokenClass.EXPIRED


@given(exp=times, leeway=leeways, life=lifetimes, share=st.floats(0, 1, exclude_max=True))
def test_token_that_server_still_accepts_is_never_expired(
    exp: float, leeway: float, life: float, share: float
) -> None:
    server_now = exp - life  # the server accepts the token up to exp
    ahead = leeway * share  # less than the leeway
    for now in (server_now + ahead, server_now - ahead):
        assert token_class(token(exp=exp), now, leeway) is TokenClass.LIVE


@given(exp=times, leeway=leeways, skew=leeways, longer=st.floats(1e-3, 1e9))
def test_token_expired_longer_than_leeway_and_skew_is_expired(
    exp: float, leeway: float, skew: float, longer: float
) -> None:
    server_now = exp + leeway + skew + longer
    for now in (server_now - skew, server_now, server_now + skew):
        assert token_class(token(exp=exp, iat=exp - 3600), now, leeway) is TokenClass.EXPIRED


@given(exp=times, now=times, leeway=leeways, more=leeways)
def test_longer_leeway_never_makes_live_token_expired(
    exp: float, now: float, leeway: float, more: float
) -> None:
    if token_class(token(exp=exp), now, leeway) is TokenClass.LIVE:
        assert token_class(token(exp=exp), now, leeway + more) is TokenClass.LIVE


# Fingerprints


def test_fingerprint_is_stable() -> None:
    assert fingerprint(SEED) == "sha256:c902e0cfc8c0b438"


@given(st.text())
def test_fingerprint_has_sixteen_digits_for_any_text(text: str) -> None:
    assert re.fullmatch(r"sha256:[0-9a-f]{16}", fingerprint(text))
    assert fingerprint(text) == fingerprint(text)


def test_lone_surrogate_has_fingerprint() -> None:
    assert fingerprint("\udc80") != fingerprint("\udc81")


@given(st.text(max_size=60) | st.text(alphabet="eyJ.-_Ab0=", max_size=400))
def test_any_text_is_read_and_classified(text: str) -> None:
    result = read(text)
    assert result.fingerprint == fingerprint(strip(text))
    assert classify(result, NOW, LEEWAY) in TokenClass


# Redaction


@each_row(
    "path",
    [
        "/srv/{}",
        "/srv/{}/log",
        "{}.txt",
        "x{}_y",
        "/a/{} b/{}",
    ],
)
def test_token_in_text_is_replaced_with_its_fingerprint(path: str) -> None:
    assert redact(path.format(SEED, SEED)) == path.format(fingerprint(SEED), fingerprint(SEED))


@each_row(
    "part",
    [SEED[:60], SEED[21:], SEED[21:180], SEED[:-1], SEED[:250], rs256(), SEED + rs256()],
    ids=["beginning", "no header", "payload", "no end", "half", "other service", "two"],
)
def test_part_of_token_in_text_is_redacted(part: str) -> None:
    shown = redact(f"/srv/{part}/log")
    assert not [part[i : i + 12] for i in range(len(part) - 12) if part[i : i + 12] in shown]
    assert shown.startswith("/srv/sha256:")
    assert set(sensitive_parts(f"/srv/{part}/log")) == {part}


def test_part_of_token_beside_whole_token_is_redacted() -> None:
    piece, other = SEED[:-20], token()
    assert redact(f"/{piece}/{SEED}") == f"/{fingerprint(piece)}/{fingerprint(SEED)}"
    # A scan cannot separate the payload of the first from the header of the second.
    assert re.fullmatch(r"/(sha256:[0-9a-f]{16}){2}x", redact(f"/{SEED[:150]}{other}x"))


@each_row(
    ("text", "shown"),
    [
        ("/home/ada@bank.example", "/home/<e-mail>"),
        ("/home/ada.l+x@mail.bank.example/log", "/home/<e-mail>/log"),
        ("a@b.io,c@d.io", "<e-mail>,<e-mail>"),
        ("/home/ad\u00e4@b\u00e4nk.example", "/home/<e-mail>"),
        ("/lib/lodash@4.17.21/x", "/lib/lodash@4.17.21/x"),
        ("/etc/getty@.service", "/etc/getty@.service"),
        ("eyJ.txt", "eyJ.txt"),
        ("\ud800", "\ud800"),
    ],
)
def test_address_in_text_is_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown


# The negative control


def test_unissued_token_has_claims_of_live_token() -> None:
    control = read(make_unissued_token(ACCOUNT, NOW, NOW + 3600))
    assert classify(control, NOW, LEEWAY) is TokenClass.LIVE
    assert control.belongs_to(ACCOUNT)
    assert (control.issued_at, control.expires_at) == (NOW, NOW + 3600)


def test_no_two_unissued_tokens_have_same_signature() -> None:
    assert make_unissued_token(ACCOUNT, 1, 2) != make_unissued_token(ACCOUNT, 1, 2)


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(LibraryMissing, match="library PyJWT is"):
        read(SEED)


def test_malformed_token_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    assert read("invalid").well_formed is False


def test_padded_signature_is_malformed() -> None:
    padded = base64url(b"1") + "=="
    assert token_class(f"{SEED.rpartition('.')[0]}.{padded}") is TokenClass.MALFORMED
