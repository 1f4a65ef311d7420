# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state document of a rotation: how it is read and written, and what its parts report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Credential,
    Host,
    Kind,
    Mode,
    Phase,
    Rotation,
    State,
    credential_document,
    credential_from,
    dump,
    load,
    parse,
    text,
)
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from tests.unit.clock import NOW
from tests.unit.tables import each_row

from .rotation_factory import (
    MARKS,
    NEW,
    OLD,
    OLDEST,
    OWNER,
    ROTATIONS,
    held,
    in_progress,
    issued,
    using,
    whole_rotation,
)

pytestmark = pytest.mark.pure

nonempty = st.text(min_size=1, max_size=20)
times = st.floats(0, 4e9, allow_nan=False)
fields: dict[str, st.SearchStrategy[Any]] = {
    "owner": st.builds(Owner, nonempty, nonempty, nonempty),
    "secret": nonempty,
    "expires_at": st.none() | st.text(max_size=20),
    "since": times,
    "compromised": st.booleans(),
    "refused": st.booleans(),
}
client_fields: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.just(Kind.CLIENT),
    "until": st.none() | times,
    "issued_at": st.none() | times,
    "withdrawn": st.booleans(),
}
credentials = st.builds(Credential, **fields) | st.builds(Credential, **fields, **client_fields)
names = st.lists(nonempty, max_size=3).map(tuple)
rotations = st.builds(
    Rotation,
    nonempty,
    st.sampled_from(Mode),
    st.sampled_from(Phase),
    times,
    nonempty,
    times,
    st.text(max_size=20),
    names,
    st.booleans(),
)
states = st.builds(
    State,
    current=st.none() | credentials,
    pending=st.none() | credentials,
    previous=st.lists(credentials, max_size=3).map(tuple),
    rotation=st.none() | rotations,
    hosts=st.dictionaries(nonempty, st.builds(Host, names, st.booleans(), st.text(max_size=20))),
    incidents=names,
    events=st.lists(st.dictionaries(nonempty, nonempty, max_size=3), max_size=3).map(tuple),
)


# Parts of the state


@each_row(
    ("host", "uses"),
    [
        (using(OLD), True),
        (using(NEW), False),
        (using(OLD, NEW), False),
        (using(), False),
        (replace(using(OLD), in_service=False), False),
        (replace(using(OLD, NEW), in_service=True), False),
    ],
)
def test_host_uses_only_token_that_is_proved(host: Host, uses: bool) -> None:
    assert host.uses(held(OLD)) is uses
    assert host.uses(None) is False


def test_state_lists_its_credentials_and_target() -> None:
    state = replace(in_progress(pending=NEW), previous=(held(OLDEST),))
    assert state.credentials == [held(OLD), held(NEW), held(OLDEST)]
    assert state.target == held(NEW)
    assert replace(state, pending=None).target == held(OLD)
    assert (State().credentials, State().target) == ([], None)


@each_row("rotate", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_repr_omits_tokens(rotate: Callable[[], State]) -> None:
    for state in (rotate(), replace(in_progress(pending=NEW), previous=(held(OLDEST),))):
        for thing in (state, state.current, state.pending, state.previous, state.rotation):
            assert "eyJ" not in f"{thing!r} {thing}"


# Round trip


@given(states)
def test_dump_and_load_are_inverse(state: State) -> None:
    assert load(json.loads(json.dumps(dump(state)))) == state


@given(states)
def test_text_and_parse_are_inverse(state: State) -> None:
    assert parse(text(state)) == state
    assert text(parse(text(state))) == text(state)


@each_row("rotate", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_document_of_rotation_is_loaded_unchanged(rotate: Callable[[], State]) -> None:
    state = rotate()
    assert parse(text(state)) == state


def test_document_has_documented_fields() -> None:
    document = json.loads(text(in_progress(pending=NEW)))
    assert list(document) == [
        *("format", "current", "pending", "previous", "rotation", "hosts", "incidents", "events"),
    ]
    assert document["format"] == 1
    assert document["current"] == {
        **vars(OWNER),
        "access_token": OLD,
        "fingerprint": MARKS[OLD],
        "expires_at": show_time(NOW + 3600),
        "since": NOW - 100,
        "compromised": False,
        "refused": False,
    }
    assert document["pending"]["access_token"] == NEW
    assert (document["rotation"]["mode"], document["rotation"]["phase"]) == ("token", "issuing")
    assert document["hosts"]["a"] == {"may_hold": [MARKS[OLD]], "in_service": True, "error": ""}


@each_row("content", ["", " ", "\n", "\t\r\n"], ids=repr)
def test_store_without_text_is_empty_state(content: str) -> None:
    assert parse(content) == State()


def test_optional_fields_may_be_missing() -> None:
    document = dump(in_progress(hosts={}))
    for name in ("hosts", "incidents"):
        del document[name]
    for name in ("hosts", "current_dead"):
        del document["rotation"][name]
    for name in ("expires_at", "compromised", "refused"):
        del document["current"][name]
    state = in_progress(hosts={})
    assert load(document) == replace(state, current=replace(held(OLD), expires_at=None))


# Credentials


def test_credential_document_is_read_back() -> None:
    for one in (held(OLD), held(OLD, compromised=True), held(OLD, refused=True)):
        document = credential_document(one)
        assert document is not None
        assert credential_from(document, "current") == one
    assert credential_document(None) is None


@each_row("value", ["true", 1, [True], None], ids=repr)
def test_only_true_permits_revocation_of_token_in_use(value: object) -> None:
    entry = {**issued(OLD), "since": NOW, "compromised": value, "refused": value}
    one = credential_from(entry, "current")
    assert (one.compromised, one.refused) == (False, False)


# Damaged documents


@each_row(
    "content",
    ["$ANSIBLE_VAULT;1.1;AES256\n6139", "{", "eyJ", "[" * 100_000],
    ids=lambda one: one[:9],
)
def test_text_that_is_not_json_is_rejected(content: str) -> None:
    with pytest.raises(BadState, match="does not contain JSON; is it encrypted") as caught:
        parse(content)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@each_row(
    "document",
    [
        *("text", OLD, 17, ["a"], {"current": None}, {"format": None}, {"format": 2}),
        *({"format": "1"}, [], "", 0, None, False, {}),
    ],
    ids=lambda document: repr(document)[:24],
)
def test_document_of_another_format_is_rejected(document: object) -> None:
    for read in (load, lambda one: parse(json.dumps(one))):
        with pytest.raises(BadState, match="something else than the state of a rotation") as caught:
            read(document)
        assert "eyJ" not in repr(caught.value)


@each_row("name", ["current", "pending", "previous", "rotation", "events"])
def test_document_without_field_is_damaged(name: str) -> None:
    document = dump(whole_rotation())
    del document[name]
    with pytest.raises(BadState, match="the store's document is damaged"):
        load(document)


@each_row(
    ("name", "value"),
    [
        *(("previous", None), ("previous", 17), ("current", 17), ("current", ["a"])),
        *(("rotation", 17), ("rotation", "token"), ("rotation", {})),
        *(("hosts", 17), ("hosts", ["a"]), ("hosts", {"a": None}), ("hosts", {"a": {}})),
        *(("hosts", {"a": {"may_hold": 17, "in_service": True, "error": ""}}), ("incidents", 17)),
        *(("events", None), ("events", [17]), ("events", ["text"])),
    ],
)
def test_document_with_wrong_type_is_damaged(name: str, value: object) -> None:
    document = {**dump(whole_rotation()), name: value}
    with pytest.raises(BadState, match="damaged") as caught:
        load(document)
    assert "eyJ" not in repr(caught.value)


@each_row("name", ["id", "mode", "phase", "began", "run", "renewed", "reason"])
def test_rotation_without_field_is_damaged(name: str) -> None:
    document = dump(in_progress())
    del document["rotation"][name]
    with pytest.raises(BadState, match="damaged"):
        load(document)


@each_row(("name", "value"), [("mode", "x"), ("phase", None), ("began", "x"), ("renewed", None)])
def test_rotation_with_invalid_value_is_damaged(name: str, value: object) -> None:
    document = dump(in_progress())
    document["rotation"][name] = value
    with pytest.raises(BadState, match="damaged"):
        load(document)


@each_row("location", ["current", "pending", "previous"])
@each_row("name", ["access_token", "api_url", "account_id", "client_id"])
@each_row("value", [None, "", 17], ids=repr)
def test_credential_in_document_requires_owner(location: str, name: str, value: object) -> None:
    damaged = {**(dump(State(held(OLD)))["current"]), name: value}
    document = {**dump(State()), location: [damaged] if location == "previous" else damaged}
    with pytest.raises(BadState, match=f"{location} lacks a token or its owner") as caught:
        load(document)
    assert "eyJ" not in repr(caught.value)


@each_row("since", [None, "yesterday", []], ids=repr)
def test_credential_in_document_requires_time(since: object) -> None:
    document = dump(State(held(OLD)))
    document["current"]["since"] = since
    with pytest.raises(BadState, match="damaged"):
        load(document)
