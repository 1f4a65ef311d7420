# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kept token: its document, and for how long it is good."""

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

from .token_factory import ACCOUNT, token

pytestmark = pytest.mark.pure

OWNER = Owner("https://api.example", ACCOUNT, "2242b79d-f2cf-4ccc-ada1-e890bd1a9f0d")
# All that JSON can carry, lone surrogates too.
texts = st.text(max_size=40)
words = st.text(min_size=1, max_size=40)
kepts = st.builds(
    StoredToken,
    owner=st.builds(Owner, words, words, words),
    access_token=words,
    refresh_token=st.none() | texts,
    expires_at=st.none() | texts,
    replaced=st.lists(texts, max_size=4).map(tuple),
)


NEEDED = {
    "access_token": "a token",
    "account_id": OWNER.account_id,
    "api_url": OWNER.api_url,
    "client_id": OWNER.client_id,
}


def kept(exp: float | None = None, expires_at: float | None = None, **more: Any) -> StoredToken:
    """A kept token whose claim and whose field end at these moments."""
    claims = {} if exp is None else {"exp": exp}
    return StoredToken(OWNER, token(**claims), expires_at=show_time(expires_at), **more)


# The document


@given(kepts)
def test_what_is_dumped_is_loaded_as_it_was(one: StoredToken) -> None:
    assert load(dump(one)) == one


def test_the_document_is_made_for_programs() -> None:
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


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"nonsense",
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
def test_what_is_no_such_document_is_none(document: bytes) -> None:
    assert load(document) is None


@given(st.binary(max_size=80))
def test_no_bytes_are_too_strange(document: bytes) -> None:
    assert load(document) is None


def test_a_token_and_its_owner_are_enough() -> None:
    assert load(json.dumps(NEEDED).encode()) == StoredToken(OWNER, "a token")


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("value", [None, "", 17, True, [], {}], ids=repr)
def test_another_programs_document_is_none(name: str, value: object) -> None:
    assert load(json.dumps({**NEEDED, name: value}).encode()) is None
    assert load(json.dumps({k: v for k, v in NEEDED.items() if k != name}).encode()) is None


@pytest.mark.parametrize("value", ["17", "null", "{}", "[1]", "true"])
def test_fields_of_another_kind_are_left_out(value: str) -> None:
    fields = dict.fromkeys(("refresh_token", "expires_at", "replaced"), json.loads(value))
    assert load(json.dumps({**NEEDED, **fields}).encode()) == StoredToken(OWNER, "a token")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=5,
    )
)
def test_any_value_of_a_field_can_be_loaded(value: object) -> None:
    names = ("expires_at", "refresh_token", "replaced")
    one = load(json.dumps({**NEEDED, **dict.fromkeys(names, value)}).encode())
    assert one is not None
    assert load(dump(one)) == one


# Until when


@pytest.mark.parametrize(
    ("exp", "expires_at", "until"),
    [
        (NOW, NOW + 60, NOW),
        (NOW + 60, NOW, NOW),
        (NOW, None, NOW),
        (None, NOW, NOW),
        (None, None, None),
    ],
)
def test_it_is_usable_until_the_earlier_of_both(
    exp: float | None, expires_at: float | None, until: float | None
) -> None:
    assert kept(exp, expires_at).usable_until() == until


@given(st.integers(1, 2**33), st.integers(1, 2**33))
def test_no_later_moment_makes_it_usable_for_longer(one: int, other: int) -> None:
    assert kept(one, other).usable_until() == min(one, other)


@pytest.mark.parametrize("expires_at", ["nonsense", "", "1657290780"])
def test_a_field_that_is_no_moment_is_left_out_of_account(expires_at: str) -> None:
    one = StoredToken(OWNER, token(exp=NOW), expires_at=expires_at)
    assert one.usable_until() == NOW
    assert StoredToken(OWNER, "no JWT", expires_at=expires_at).usable_until() is None


@pytest.mark.parametrize(("left", "good"), [(301, True), (300, True), (299, False), (-1, False)])
def test_it_is_good_for_what_is_left(left: int, good: bool) -> None:
    assert kept(NOW + left).valid_for(NOW, 300) is good
    assert kept(NOW + 9000, NOW + left).valid_for(NOW, 300) is good


def test_what_has_no_end_is_good_for_nothing() -> None:
    assert kept().valid_for(NOW, 0) is False
    assert kept().valid_for(0, 0) is False


# What was replaced


def test_a_grant_is_kept_with_all_that_is_needed() -> None:
    one = StoredToken.from_grant(
        OWNER, Grant("new", "refresh", "2022-07-08T14:33:00Z", ACCOUNT), ("old", "older")
    )
    assert one == StoredToken(OWNER, "new", "refresh", "2022-07-08T14:33:00Z", ("old", "older"))


def test_a_token_never_replaces_itself() -> None:
    assert StoredToken.from_grant(OWNER, Grant("same"), ("same", "old", "same")).replaced == (
        "old",
    )


def test_the_dead_are_forgotten_and_no_others() -> None:
    one = kept(replaced=("a", "b", "c"))
    assert without_replaced(one, frozenset({"b", "x"})).replaced == ("a", "c")
    assert without_replaced(one, frozenset()) == one
    assert without_replaced(one, frozenset("abc")).access_token == one.access_token


def test_a_repr_shows_no_secret() -> None:
    shown = repr(StoredToken(OWNER, "SECRET one", "SECRET two", None, ("SECRET three",)))
    assert "SECRET" not in shown
    assert ACCOUNT in shown
