# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of tokens."""

from __future__ import annotations

import jwt
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator import tokens
from tests.simulator.settings import DEFAULT_CLIENTS

CLIENT = DEFAULT_CLIENTS[0]


def test_token_is_valid_hs256_jwt() -> None:
    claims = tokens.claims(CLIENT, 100, 4_000_000_000, "abc")
    token = tokens.sign(claims, b"k" * 32)

    assert jwt.decode(token, b"k" * 32, algorithms=["HS256"]) == claims
    assert jwt.get_unverified_header(token) == {"alg": "HS256"}


def test_prefixed_claims_equal_their_names() -> None:
    claims = tokens.claims(CLIENT, 100, 200, "abc")
    named = {name: value for name, value in claims.items() if ":" in name}

    assert f"G:{CLIENT.account_id}" in named
    assert "E:sandbox.abc@vendor_api.com" in named
    assert list(named) == list(named.values())


def test_token_has_specified_length() -> None:
    token = tokens.sign(tokens.claims(CLIENT, 10**9, 10**9, "0123456789abcdef"), b"k" * 32)

    assert 300 <= len(token) <= 600


def test_refresh_token_is_ulid_and_its_milliseconds() -> None:
    # The documented example; both halves encode the same millisecond.
    token = tokens.refresh_token(1688473602.892, bytes(10))

    assert token == "01h4gdx2tc" + "0" * 16 + "1688473602892"


@given(st.text())
def test_fingerprint_of_any_text_has_sixteen_digits(text: str) -> None:
    assert len(tokens.fingerprint(text)) == len("sha256:") + 16
