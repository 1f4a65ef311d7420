# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stored token: its document and its validity."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._client import Grant
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import (
    Owner,
    StoredToken,
    dump,
    load,
    without_replaced,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from tests.unit.clock import NOW
from tests.unit.tables import each_row

from .token_factory import ACCOUNT, token

pytestmark = pytest.mark.pure

OWNER = Owner("https://api.example", ACCOUNT, "2242b79d-f2cf-4ccc-ada1-e890bd1a9f0d")
# Any text in JSON, including lone surrogates.
texts = st.text(max_size=40)
nonempty = st.text(min_size=1, max_size=40)
stored_tokens = st.builds(
    StoredToken,
    owner=st.builds(Owner, nonempty, nonempty, nonempty),
    access_token=nonempty,
    refresh_token=st.none() | texts,
    expires_at=st.none() | texts,
    replaced=st.lists(texts, max_size=4).map(tuple),
)


REQUIRED = {
    "access_token": "a token",
    "account_id": OWNER.account_id,
    "api_url": OWNER.api_url,
    "client_id": OWNER.client_id,
}


def stored(exp: float | None = None, expires_at: float | None = None, **more: Any) -> StoredToken:
    """Return a stored token with these expiry times in claim and field."""
    claims = {} if exp is None else {"exp": exp}
    return StoredToken(OWNER, token(**claims), expires_at=show_time(expires_at), **more)


# The document


@given(stored_tokens)
def test_dump_and_load_are_inverse(one: StoredToken) -> None:
    assert load(dump(one)) == one


def test_document_has_documented_fields() -> None:
    one = StoredToken(OWNER, "a token", "a refresh token", "2022-07-08T14:33:00Z", ("an old one",))
    assert json.loads(dump(one)) == {
        "access_token": "a token",
        "account_id": OWNER.account_id,
        "api_url": OWNER.api_url,
        "client_id": OWNER.client_id,
        "expires_at": "2022-07-08T14:33:00Z",
        "refresh_token": "a refresh token",
        "replaced": ["an old one"],
    }
    assert dump(one).endswith(b"}\n")


@each_row(
    "document",
    [
        b"",
        b"invalid",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"access_token":',
        b'{"access_token":null}',
        b'{"access_token":""}',
        b'{"access_token":17}',
        b'{"access_token":["a"]}',
        b"[" * 100_000,
        token().encode(),
    ],
    ids=lambda document: repr(document)[:24],
)
def test_invalid_document_is_none(document: bytes) -> None:
    assert load(document) is None


@given(st.binary(max_size=80))
def test_random_bytes_are_none(document: bytes) -> None:
    assert load(document) is None


def test_token_and_owner_are_sufficient() -> None:
    assert load(json.dumps(REQUIRED).encode()) == StoredToken(OWNER, "a token")


@each_row("name", REQUIRED)
@each_row("value", [None, "", 17, True, [], {}], ids=repr)
def test_document_without_required_text_is_none(name: str, value: object) -> None:
    assert load(json.dumps({**REQUIRED, name: value}).encode()) is None
    assert load(json.dumps({k: v for k, v in REQUIRED.items() if k != name}).encode()) is None


@each_row("value", ["17", "null", "{}", "[1]", "true"])
def test_fields_of_wrong_type_are_ignored(value: str) -> None:
    fields = dict.fromkeys(("refresh_token", "expires_at", "replaced"), json.loads(value))
    assert load(json.dumps({**REQUIRED, **fields}).encode()) == StoredToken(OWNER, "a token")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=5,
    )
)
def test_any_value_of_field_can_be_loaded(value: object) -> None:
    names = ("expires_at", "refresh_token", "replaced")
    one = load(json.dumps({**REQUIRED, **dict.fromkeys(names, value)}).encode())
    assert one is not None
    assert load(dump(one)) == one


# Validity


@each_row(
    ("exp", "expires_at", "until"),
    [
        (NOW, NOW + 60, NOW),
        (NOW + 60, NOW, NOW),
        (NOW, None, NOW),
        (None, NOW, NOW),
        (None, None, None),
    ],
)
def test_usable_until_is_earlier_of_claim_and_field(
    exp: float | None, expires_at: float | None, until: float | None
) -> None:
    assert stored(exp, expires_at).usable_until() == until


@given(st.integers(1, 2**33), st.integers(1, 2**33))
def test_usable_until_is_minimum(one: int, other: int) -> None:
    assert stored(one, other).usable_until() == min(one, other)


@each_row("expires_at", ["invalid", "", "1657290780"])
def test_invalid_expires_at_is_ignored(expires_at: str) -> None:
    one = StoredToken(OWNER, token(exp=NOW), expires_at=expires_at)
    assert one.usable_until() == NOW
    assert StoredToken(OWNER, "no JWT", expires_at=expires_at).usable_until() is None


@each_row(("left", "valid"), [(301, True), (300, True), (299, False), (-1, False)])
def test_valid_for_compares_remaining_seconds(left: int, valid: bool) -> None:
    assert stored(NOW + left).valid_for(NOW, 300) is valid
    assert stored(NOW + 9000, NOW + left).valid_for(NOW, 300) is valid


def test_token_without_expiry_is_never_valid() -> None:
    assert stored().valid_for(NOW, 0) is False
    assert stored().valid_for(0, 0) is False


# Replaced tokens


def test_grant_is_stored_completely() -> None:
    one = StoredToken.from_grant(
        OWNER, Grant("new", "refresh", "2022-07-08T14:33:00Z", ACCOUNT), ("old", "older")
    )
    assert one == StoredToken(OWNER, "new", "refresh", "2022-07-08T14:33:00Z", ("old", "older"))


def test_token_never_replaces_itself() -> None:
    assert StoredToken.from_grant(OWNER, Grant("same"), ("same", "old", "same")).replaced == (
        "old",
    )


def test_only_revoked_tokens_are_removed_from_replaced() -> None:
    one = stored(replaced=("a", "b", "c"))
    assert without_replaced(one, frozenset({"b", "x"})).replaced == ("a", "c")
    assert without_replaced(one, frozenset()) == one
    assert without_replaced(one, frozenset("abc")).access_token == one.access_token


def test_repr_omits_secrets() -> None:
    shown = repr(StoredToken(OWNER, "SECRET one", "SECRET two", None, ("SECRET three",)))
    assert "SECRET" not in shown
    assert ACCOUNT in shown
