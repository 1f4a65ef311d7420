# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state document of a rotation: its steps, its plan, and its events."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils import _rotation as rotation
from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState
from ansible_collections.nomba.auth.plugins.module_utils._rotation import (
    STEPS,
    Actor,
    Credential,
    Mode,
    Phase,
    Plan,
    Rotation,
    RotationOptions,
    State,
    begin,
    dump,
    finish,
    load,
    mark_compromised,
    plan,
    promote,
    roll_back,
    set_pending,
)
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from tests.unit.clock import NOW
from tests.unit.tables import each_row

from .token_factory import ACCOUNT, OTHER_ACCOUNT, token

pytestmark = pytest.mark.pure

OWNER = Owner("https://api.example", ACCOUNT, "2242b79d-f2cf-4ccc-ada1-e890bd1a9f0d")
OLDEST, OLD, NEW = (token(jti=name) for name in ("oldest", "old", "new"))
MARKS = {text: fingerprint(text) for text in (OLDEST, OLD, NEW)}
DEAD = ("revoked", "already_revoked")
NOT_DEAD = (
    *("expired", "refused", "still_accepted", "unknown", "malformed", "not_attempted", "failed"),
)


def actor(after: float = 0, run: str = "here/1/1") -> Actor:
    """Return the actor ada, a number of seconds after NOW."""
    return Actor(NOW + after, run, "ada", "controller")


def held(text: str, since: float = NOW - 100, **owner: Any) -> Credential:
    """Return a credential in the document."""
    return Credential(replace(OWNER, **owner), text, show_time(NOW + 3600), since)


def issued(text: str = NEW, **more: Any) -> dict[str, Any]:
    """Return a token document as nomba_token writes it."""
    fields = {**vars(OWNER), "access_token": text, "expires_at": show_time(NOW + 3600)}
    return {**fields, "refresh_token": "a refresh token", "replaced": [], **more}


def in_progress(
    phase: Phase = Phase.ISSUING, mode: Mode = Mode.TOKEN, pending: str = "", run: str = "here/1/1"
) -> State:
    """Return an unfinished rotation of the token OLD with its last heartbeat at NOW."""
    one = Rotation("a rotation", mode, phase, NOW, run, NOW)
    return State(held(OLD), held(pending) if pending else None, rotation=one)


def row(text: str, outcome: str, verified: Any = True) -> dict[str, Any]:
    """Return the result row of a revocation."""
    return {"fingerprint": fingerprint(text), "outcome": outcome, "verified": verified}


def events_of(state: State) -> list[tuple[str, str]]:
    """Return step and outcome of all events."""
    return [(event["step"], event["outcome"]) for event in state.events]


def whole_rotation() -> State:
    """Return the state after a rotation from OLD to NEW."""
    state = begin(State(held(OLD)), actor(0), "token", "it was forced")
    state = set_pending(state, actor(1), issued())
    state = promote(state, actor(2), ["a", "b"])
    return finish(state, actor(3), [row(OLD, "revoked")])


def failed_rotation() -> State:
    """Return the state after a rotation that was rolled back."""
    state = begin(State(held(OLD)), actor(0), "token", "it was forced")
    state = set_pending(state, actor(1), issued())
    state = roll_back(state, actor(2), "verify", "the API refuses it")
    return finish(state, actor(3), [row(NEW, "revoked")])


def emergency_rotation() -> State:
    """Return the state after an emergency rotation with a leaked pending token."""
    leaked = State(held(OLD), held(OLDEST))
    state = mark_compromised(begin(leaked, actor(0), "emergency", "a leak"), actor(1))
    state = promote(set_pending(state, actor(2), issued()), actor(9.5), ["a"])
    return finish(state, actor(10), [row(OLD, "revoked"), row(OLDEST, "alive")])


ROTATIONS: dict[str, Callable[[], State]] = {
    "whole": whole_rotation,
    "failed": failed_rotation,
    "emergency": emergency_rotation,
}


# Begin


@each_row("mode", Mode)
def test_begin_issues_nothing(mode: Mode) -> None:
    state = begin(State(held(OLD)), actor(), mode.value, "it was forced")
    assert state.rotation is not None
    assert state.rotation == Rotation(
        state.rotation.id, mode, Phase.ISSUING, NOW, "here/1/1", NOW, ""
    )
    assert (state.current, state.pending, state.previous) == (held(OLD), None, ())
    assert events_of(state) == [("begin", "begun")]


@each_row("phase", Phase)
def test_interrupted_rotation_is_resumed_unchanged(phase: Phase) -> None:
    stopped = in_progress(phase, Mode.CLIENT, NEW, run="there/2/2")
    state = begin(stopped, actor(50), "token", "an earlier run was stopped")
    assert stopped.rotation is not None
    taken = replace(stopped.rotation, run="here/1/1", renewed=NOW + 50)
    assert replace(state, events=()) == replace(stopped, rotation=taken)
    assert events_of(state) == [("begin", "resumed")]


def test_rotation_ids_are_unique_per_run_and_time() -> None:
    actors = [actor(), actor(1), actor(run="there/2/2")]
    begun = [begin(State(), one, "token", "why").rotation for one in actors]
    assert len({one.id for one in begun if one}) == len(actors)
    assert all(one is not None and one.run not in one.id for one in begun)


# Mark compromised


def test_mark_compromised_removes_current_and_pending() -> None:
    state = mark_compromised(replace(in_progress(pending=NEW), previous=(held(OLDEST),)), actor(5))
    assert (state.current, state.pending) == (None, None)
    assert state.previous == (held(OLDEST), held(OLD), held(NEW))
    assert state.rotation is not None
    assert state.rotation.renewed == NOW + 5
    assert state.events[-1]["fingerprints"] == [MARKS[OLD], MARKS[NEW]]


@each_row("phase", Phase)
@each_row("mode", Mode)
def test_mark_compromised_starts_emergency_in_issuing(phase: Phase, mode: Mode) -> None:
    state = mark_compromised(in_progress(phase, mode), actor())
    assert state.rotation is not None
    assert (state.rotation.mode, state.rotation.phase) == (Mode.EMERGENCY, Phase.ISSUING)
    assert (state.events[-1]["mode"], events_of(state)) == (
        "emergency",
        [("mark_compromised", "compromised")],
    )


def test_mark_compromised_without_token_is_no_error() -> None:
    state = mark_compromised(replace(in_progress(), current=None), actor())
    assert state.previous == ()
    assert (events_of(state), state.events[0]["fingerprints"]) == (
        [("mark_compromised", "compromised")],
        [],
    )


# Set pending


def test_issued_token_is_pending() -> None:
    state = set_pending(in_progress(), actor(5), issued())
    assert state.pending == held(NEW, since=NOW + 5)
    assert state.current == held(OLD)
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.renewed) == (Phase.ISSUING, NOW + 5)
    assert events_of(state) == [("issue", "issued")]
    assert state.events[0]["fingerprints"] == [MARKS[NEW]]


def test_pending_token_has_time_of_set_pending() -> None:
    state = set_pending(in_progress(), actor(5), issued(since=0))
    assert state.pending is not None
    assert state.pending.since == NOW + 5


def test_document_omits_refresh_token() -> None:
    state = set_pending(in_progress(), actor(), issued())
    assert "refresh" not in json.dumps(dump(state))


def test_second_pending_token_is_rejected() -> None:
    with pytest.raises(BadState, match="already pending"):
        set_pending(in_progress(pending=NEW), actor(), issued(token(jti="another")))


@each_row("text", [OLD, OLDEST], ids=["current", "previous"])
def test_token_used_before_is_rejected(text: str) -> None:
    state = replace(in_progress(), previous=(held(OLDEST),))
    with pytest.raises(BadState, match="is not new") as caught:
        set_pending(state, actor(), issued(text))
    assert text not in repr(caught.value)


@each_row("name", ["access_token", "api_url", "account_id", "client_id"])
@each_row("value", [None, "", 17, ["a"]], ids=repr)
def test_token_without_owner_is_rejected(name: str, value: object) -> None:
    given_fields = {**issued(), name: value}
    with pytest.raises(BadState, match="credential lacks a token or its owner") as caught:
        set_pending(in_progress(), actor(), given_fields)
    assert NEW not in repr(caught.value)
    del given_fields[name]
    with pytest.raises(BadState, match="credential lacks"):
        set_pending(in_progress(), actor(), given_fields)


# Promote


def test_promote_replaces_current_token() -> None:
    state = promote(
        replace(in_progress(pending=NEW), previous=(held(OLDEST),)), actor(5), ["a", "b"]
    )
    assert (state.current, state.pending) == (held(NEW), None)
    assert state.previous == (held(OLDEST), held(OLD))
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.renewed) == (Phase.RETIRING, NOW + 5)
    assert events_of(state) == [
        ("verify", "accepted"),
        ("publish", "published"),
        ("promote", "promoted"),
    ]


def test_promote_records_hosts() -> None:
    state = promote(in_progress(pending=NEW), actor(), ["a", "b"])
    published = state.events[1]
    assert (published["detail"], published["fingerprints"]) == ("a, b", [MARKS[NEW]])


def test_promote_of_first_token_leaves_no_previous() -> None:
    state = promote(replace(in_progress(pending=NEW), current=None), actor(), [])
    assert (state.current, state.previous) == (held(NEW), ())


def test_promote_without_pending_is_rejected() -> None:
    with pytest.raises(BadState, match="there is no token to promote"):
        promote(in_progress(), actor(), ["a"])


@each_row(
    ("mode", "died", "outage"),
    [
        (Mode.TOKEN, False, False),
        (Mode.CLIENT, False, False),
        (Mode.TOKEN, True, True),
        (Mode.CLIENT, True, True),
        (Mode.EMERGENCY, False, True),
        (Mode.EMERGENCY, True, True),
    ],
)
def test_outage_is_recorded(mode: Mode, died: bool, outage: bool) -> None:
    state = promote(in_progress(mode=mode, pending=NEW), actor(7.25), ["a"], died=died)
    details = [one["detail"] for one in state.events if one["outcome"] == "outage"]
    assert details == (["at most 7.2 s"] if outage else [])
    assert events_of(state)[-1] == ("promote", "promoted")


# Roll back


def test_roll_back_keeps_old_token() -> None:
    state = roll_back(in_progress(pending=NEW), actor(5), "verify", "the API refuses it")
    assert (state.current, state.pending, state.previous) == (held(OLD), None, (held(NEW),))
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.renewed) == (Phase.RETURNING, NOW + 5)
    assert state.rotation.reason == "verify: the API refuses it"
    assert events_of(state) == [("rollback", "failed")]
    assert state.events[0]["detail"] == "verify: the API refuses it"


def test_roll_back_before_issue_is_possible() -> None:
    state = roll_back(in_progress(), actor(), "issue", "the API does not answer")
    assert (state.current, state.previous) == (held(OLD), ())
    assert state.rotation is not None
    assert state.rotation.phase is Phase.RETURNING


# Finish


@each_row("outcome", DEAD)
def test_finish_removes_revoked_tokens(outcome: str) -> None:
    state = replace(in_progress(Phase.RETIRING), previous=(held(OLDEST), held(NEW)))
    state = finish(state, actor(), [row(OLDEST, outcome), row(NEW, outcome)])
    assert (state.current, state.previous, state.rotation) == (held(OLD), (), None)
    assert events_of(state) == [("retire", outcome)] * 2 + [("report", "finished")]


@each_row("outcome", NOT_DEAD)
def test_finish_keeps_tokens_not_revoked(outcome: str) -> None:
    state = replace(in_progress(Phase.RETIRING), previous=(held(OLDEST), held(NEW)))
    state = finish(state, actor(), [row(OLDEST, outcome), row(NEW, "revoked")])
    assert (state.previous, state.rotation) == ((held(OLDEST),), None)
    assert events_of(state)[0] == ("retire", outcome)


@each_row("outcome", [*DEAD, "expired"])
@each_row("verified", [False, None, "true", 1], ids=repr)
def test_finish_keeps_unverified_tokens(outcome: str, verified: object) -> None:
    state = replace(in_progress(Phase.RETIRING), previous=(held(OLDEST), held(NEW)))
    state = finish(state, actor(), [row(OLDEST, outcome, verified), row(NEW, "revoked")])
    assert (state.previous, state.rotation) == ((held(OLDEST),), None)
    unknown = {"fingerprint": MARKS[OLDEST], "outcome": outcome}
    assert finish(state, actor(), [unknown]).previous == (held(OLDEST),)


def test_finish_keeps_tokens_without_result() -> None:
    state = finish(replace(in_progress(Phase.RETIRING), previous=(held(OLDEST),)), actor(), [])
    assert state.previous == (held(OLDEST),)
    assert events_of(state) == [("report", "finished")]


def test_finish_never_removes_current_token() -> None:
    state = finish(in_progress(Phase.RETIRING), actor(), [row(OLD, "revoked")])
    assert state.current == held(OLD)


@each_row(("phase", "outcome"), [(Phase.RETIRING, "finished"), (Phase.RETURNING, "rolled_back")])
def test_finish_records_current_token(phase: Phase, outcome: str) -> None:
    state = finish(in_progress(phase), actor(), [])
    report = state.events[-1]
    assert (report["step"], report["outcome"]) == ("report", outcome)
    assert report["fingerprints"] == [MARKS[OLD]]


@each_row("pending", ["", NEW], ids=["none yet", "pending"])
def test_finish_before_promote_or_roll_back_is_rejected(pending: str) -> None:
    state = in_progress(Phase.ISSUING, pending=pending)
    with pytest.raises(BadState, match="not finished: promote or roll_back its token first"):
        finish(state, actor(), [])


def test_finish_without_rotation_removes_revoked_tokens() -> None:
    state = finish(State(held(NEW), previous=(held(OLD),)), actor(), [row(OLD, "already_revoked")])
    assert (state.current, state.previous, state.rotation) == (held(NEW), (), None)
    assert events_of(state) == [("retire", "already_revoked")]
    assert (state.events[0]["mode"], state.events[0]["fingerprints"]) == ("", [MARKS[OLD]])


# All steps


BEFORE_ANY: dict[str, tuple[Any, ...]] = {
    "mark_compromised": (),
    "set_pending": (issued(),),
    "promote": (["a"],),
    "roll_back": ("issue", "no answer"),
}


@each_row("name", BEFORE_ANY)
def test_step_without_rotation_is_rejected(name: str) -> None:
    state = State(held(OLD), held(OLDEST))
    with pytest.raises(BadState, match="no rotation has begun"):
        STEPS[name](state, actor(), *BEFORE_ANY[name])


def test_steps_are_named_after_functions() -> None:
    assert set(STEPS) == {*BEFORE_ANY, "begin", "finish"}
    assert all(getattr(rotation, name) is step for name, step in STEPS.items())


def test_steps_do_not_modify_their_input() -> None:
    before = replace(in_progress(pending=NEW), previous=(held(OLDEST),))
    document = json.dumps(dump(before))
    mark_compromised(before, actor(5))
    promote(before, actor(5), ["a"])
    roll_back(before, actor(5), "verify", "refused")
    finish(replace(before, rotation=None), actor(5), [row(OLDEST, "revoked")])
    assert json.dumps(dump(before)) == document


def test_whole_rotation_leaves_one_token() -> None:
    state = whole_rotation()
    assert state.current == held(NEW, since=NOW + 1)
    assert (state.pending, state.previous, state.rotation) == (None, (), None)


def test_failed_rotation_leaves_old_token() -> None:
    state = failed_rotation()
    assert state.current == held(OLD)
    assert (state.pending, state.previous, state.rotation) == (None, (), None)


def test_emergency_keeps_tokens_not_revoked() -> None:
    state = emergency_rotation()
    assert state.current == held(NEW, since=NOW + 2)
    assert (state.pending, state.previous, state.rotation) == (None, (held(OLDEST),), None)


# Events


def test_complete_rotation_records_all_events() -> None:
    assert events_of(whole_rotation()) == [
        ("begin", "begun"),
        ("issue", "issued"),
        ("verify", "accepted"),
        ("publish", "published"),
        ("promote", "promoted"),
        ("retire", "revoked"),
        ("report", "finished"),
    ]


def test_event_has_all_fields() -> None:
    state = begin(State(), actor(), "client", "the client has changed")
    (event,) = state.events
    assert state.rotation is not None
    assert event == {
        "id": f"{state.rotation.id} 1",
        "rotation": state.rotation.id,
        "time": show_time(NOW),
        "actor": "ada",
        "host": "controller",
        "mode": "client",
        "step": "begin",
        "outcome": "begun",
        "fingerprints": [],
        "detail": "the client has changed",
    }


@each_row("rotate", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_event_ids_are_unique_and_deterministic(rotate: Callable[[], State]) -> None:
    ids = [event["id"] for event in rotate().events]
    assert len(set(ids)) == len(ids)
    assert [event["id"] for event in rotate().events] == ids
    assert len({event["rotation"] for event in rotate().events}) == 1


def test_resumed_rotation_keeps_its_id() -> None:
    state = begin(State(), actor(), "token", "why")
    state = begin(state, actor(50, "there/2/2"), "token", "it was stopped")
    first, second = state.events
    assert first["rotation"] == second["rotation"]
    assert first["id"] != second["id"]


def test_next_rotation_has_another_id() -> None:
    state = begin(whole_rotation(), actor(60), "token", "it was forced")
    ids = [event["id"] for event in state.events]
    assert len(set(ids)) == len(ids)
    assert state.events[-1]["rotation"] != state.events[-2]["rotation"]


def test_events_without_rotation_have_unique_ids() -> None:
    state = State(previous=(held(OLD), held(NEW)))
    state = finish(state, actor(), [row(OLD, "unknown"), row(NEW, "unknown")])
    state = finish(state, actor(60), [row(OLD, "revoked"), row(NEW, "revoked")])
    assert len({event["id"] for event in state.events}) == 4


def test_oldest_events_are_removed_above_limit() -> None:
    state = whole_rotation()
    for number in range(60):
        state = begin(state, actor(100 + number), "token", f"number {number}")
        state = roll_back(state, actor(100 + number), "issue", "no answer")
        state = finish(state, actor(100 + number), [row(OLD, "unknown")])
    assert len(state.events) == 200
    assert len({event["id"] for event in state.events}) == 200
    assert state.events[-4]["detail"] == "number 59"


@each_row("rotate", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_events_contain_only_fingerprints(rotate: Callable[[], State]) -> None:
    state = rotate()
    text = json.dumps(state.events)
    assert MARKS[NEW] in text
    assert "eyJ" not in text
    assert not [one for one in MARKS if one in text or one.rpartition(".")[2] in text]
    assert all(event["detail"].count("sha256:") == 0 for event in state.events)


@each_row("rotate", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_repr_omits_tokens(rotate: Callable[[], State]) -> None:
    for state in (rotate(), replace(in_progress(pending=NEW), previous=(held(OLDEST),))):
        for thing in (state, state.current, state.pending, state.previous, state.rotation):
            assert "eyJ" not in f"{thing!r} {thing}"


# The document


nonempty = st.text(min_size=1, max_size=20)
times = st.floats(0, 4e9, allow_nan=False)
credentials = st.builds(
    Credential,
    owner=st.builds(Owner, nonempty, nonempty, nonempty),
    access_token=nonempty,
    expires_at=st.none() | st.text(max_size=20),
    since=times,
)
rotations = st.builds(
    Rotation,
    nonempty,
    st.sampled_from(Mode),
    st.sampled_from(Phase),
    times,
    nonempty,
    times,
    nonempty,
)
states = st.builds(
    State,
    current=st.none() | credentials,
    pending=st.none() | credentials,
    previous=st.lists(credentials, max_size=3).map(tuple),
    rotation=st.none() | rotations,
    events=st.lists(st.dictionaries(nonempty, nonempty, max_size=3), max_size=3).map(tuple),
)


@given(states)
def test_dump_and_load_are_inverse(state: State) -> None:
    assert load(json.loads(json.dumps(dump(state)))) == state


@each_row("rotate", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_document_of_rotation_is_loaded_unchanged(rotate: Callable[[], State]) -> None:
    state = rotate()
    assert load(json.loads(json.dumps(dump(state)))) == state


def test_document_has_documented_fields() -> None:
    document = dump(in_progress(pending=NEW))
    assert document["format"] == 1
    assert document["current"] == {
        **vars(OWNER),
        "access_token": OLD,
        "fingerprint": MARKS[OLD],
        "expires_at": show_time(NOW + 3600),
        "since": NOW - 100,
    }
    assert document["pending"]["access_token"] == NEW
    assert (document["rotation"]["mode"], document["rotation"]["phase"]) == ("token", "issuing")


def test_expires_at_is_optional() -> None:
    document = dump(State(held(OLD)))
    del document["current"]["expires_at"]
    assert load(document) == State(replace(held(OLD), expires_at=None))


@each_row(
    "document",
    [
        *("text", OLD, 17, ["a"], {"current": None}, {"format": None}, {"format": 2}),
        *({"format": "1"}, [], "", 0, None, False, {}),
    ],
    ids=lambda document: repr(document)[:24],
)
def test_document_of_another_format_is_rejected(document: object) -> None:
    with pytest.raises(BadState, match="something else than the state of a rotation") as caught:
        load(document)
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
        ("previous", None),
        ("previous", 17),
        ("rotation", 17),
        ("rotation", "token"),
        ("rotation", {}),
        ("events", None),
        ("events", [17]),
        ("events", ["text"]),
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


# The plan: whether a token is due


def rotation_options(
    max_age: float = 900, lock_timeout: float = 600, **more: Any
) -> RotationOptions:
    """Return rotation options."""
    return RotationOptions(more.pop("owner", OWNER), max_age, lock_timeout, **more)


def planned(state: State, probe: str = "accepted", lock_holder: str = "dead", **more: Any) -> Plan:
    """Return the plan at NOW."""
    return plan(state, actor(), rotation_options(**more), probe, lock_holder)


def due(why: str, mode: str = "token", mark_compromised: bool = False) -> Plan:
    """Return the plan of a rotation that must begin."""
    return Plan(mode, why, begin=True, mark_compromised=mark_compromised, issue=True)


@each_row("probe", ["accepted", "meaningless", "none", "not made"])
def test_valid_token_is_not_due(probe: str) -> None:
    assert planned(State(held(OLD)), probe) == Plan("token", "")


def test_previous_tokens_do_not_start_rotation() -> None:
    assert planned(State(held(NEW), previous=(held(OLD),))) == Plan("token", "")


def test_rotation_is_due_without_token() -> None:
    assert planned(State(), "none") == due("the store contains no token")


def test_rotation_is_due_when_api_rejects_token() -> None:
    assert planned(State(held(OLD)), "refused") == due("the API refuses the current token")


@each_row(("left", "is_due"), [(-1, True), (0, True), (1, False)])
def test_rotation_is_due_when_token_has_expired(left: float, is_due: bool) -> None:
    current = replace(held(OLD), expires_at=show_time(NOW + left))
    reason = "the current token has expired"
    assert planned(State(current)) == (due(reason) if is_due else Plan("token", ""))


@each_row(("age", "is_due"), [(899, False), (900, True), (901, True)])
@each_row("expires_at", [None, "some day", show_time(NOW + 9)])
def test_rotation_is_due_at_max_age(age: float, is_due: bool, expires_at: str | None) -> None:
    current = replace(held(OLD, since=NOW - age), expires_at=expires_at)
    reason = "the current token is older than 900 s"
    assert planned(State(current)) == (due(reason) if is_due else Plan("token", ""))


def test_rotation_is_due_when_forced() -> None:
    assert planned(State(held(OLD)), force=True) == due("it was forced")


def test_rotation_is_due_for_another_client() -> None:
    owner = replace(OWNER, client_id="another client")
    assert planned(State(held(OLD)), owner=owner) == due("the client has changed", "client")


@each_row("client_id", [OWNER.client_id.upper(), f" {OWNER.client_id}\n"])
def test_client_id_is_normalized(client_id: str) -> None:
    owner = replace(OWNER, client_id=client_id)
    assert planned(State(held(OLD)), owner=owner) == Plan("token", "")


@each_row("state", [State(), State(held(OLD))], ids=["empty", "in service"])
def test_emergency_is_due_in_any_state(state: State) -> None:
    reason = "the credentials may have leaked"
    assert planned(state, emergency=True) == due(reason, "emergency", mark_compromised=True)


def test_most_severe_reason_is_reported() -> None:
    owner = replace(OWNER, client_id="another client")
    old = State(held(OLD, since=0))
    assert planned(old, "refused", owner=owner, force=True).why == "the client has changed"
    assert planned(old, "refused", force=True).why == "the API refuses the current token"
    assert planned(old, force=True).why == "the current token is older than 900 s"
    assert planned(old, "refused", owner=owner, emergency=True).mode == "emergency"


@each_row("changes", [{"force": True}, {"max_age": 0}], ids=["forced", "old"])
def test_api_that_accepts_any_token_blocks_rotation(changes: dict[str, Any]) -> None:
    one = planned(State(held(OLD)), "meaningless", **changes)
    assert one == Plan("token", "", blocked=one.blocked)
    assert one.blocked.startswith("credential_rotation_api_url: this API accepts a token that")


def test_api_that_accepts_any_token_does_not_block_emergency_or_resume() -> None:
    assert planned(State(held(OLD)), "meaningless", emergency=True).mark_compromised
    assert planned(in_progress(Phase.RETIRING), "meaningless").begin


# The plan: resume


@each_row(
    ("phase", "issue", "rollback"),
    [
        (Phase.ISSUING, True, False),
        (Phase.RETIRING, False, False),
        (Phase.RETURNING, False, True),
    ],
)
@each_row("mode", Mode)
def test_interrupted_rotation_is_planned_from_its_phase(
    phase: Phase, issue: bool, rollback: bool, mode: Mode
) -> None:
    state = in_progress(phase, mode)
    if mode is Mode.EMERGENCY:
        state = replace(state, current=None, previous=(held(OLD),))
    why = f"an earlier run was stopped while it was {phase.value}"
    assert planned(state) == Plan(mode.value, why, begin=True, issue=issue, rollback=rollback)


@each_row("phase", [Phase.ISSUING, Phase.RETIRING])
@each_row("mode", [Mode.TOKEN, Mode.CLIENT])
def test_emergency_marks_token_of_interrupted_rotation_compromised(
    phase: Phase, mode: Mode
) -> None:
    one = planned(in_progress(phase, mode, NEW), emergency=True)
    assert one == Plan("emergency", one.why, begin=True, mark_compromised=True, issue=True)
    assert one.why == f"an earlier run was stopped while it was {phase.value}"


@each_row(("phase", "issue"), [(Phase.ISSUING, True), (Phase.RETIRING, False)])
def test_interrupted_emergency_marks_nothing_compromised_again(phase: Phase, issue: bool) -> None:
    state = mark_compromised(begin(State(held(OLD)), actor(), "emergency", "a leak"), actor())
    assert state.rotation is not None
    state = replace(state, rotation=replace(state.rotation, phase=phase))
    one = planned(state, emergency=True)
    assert (one.mode, one.begin, one.mark_compromised, one.issue) == (
        "emergency",
        True,
        False,
        issue,
    )


def test_interrupted_rotation_is_finished_before_other_options_apply() -> None:
    owner = replace(OWNER, client_id="another client")
    one = planned(in_progress(Phase.RETIRING), "refused", owner=owner, force=True)
    assert (one.mode, one.begin, one.issue, one.rollback) == ("token", True, False, False)


# The plan: blocked


@each_row("lock_holder", ["alive", "dead", "elsewhere"])
def test_run_does_not_block_itself(lock_holder: str) -> None:
    assert planned(in_progress(), lock_holder=lock_holder).blocked == ""


@each_row("emergency", [False, True])
@each_row("lock_timeout", [0, 600])
def test_live_lock_holder_blocks_other_runs(lock_timeout: float, emergency: bool) -> None:
    state = in_progress(run="here/2/2")
    one = planned(state, lock_holder="alive", lock_timeout=lock_timeout, emergency=emergency)
    assert one == Plan("emergency" if emergency else "token", "", blocked=one.blocked)
    assert one.blocked.startswith("another rotation is active on this machine")


@each_row("lock_holder", ["alive", "elsewhere"])
def test_blocked_run_names_lock_holder(lock_holder: str) -> None:
    state = begin(State(held(OLD)), actor(0, "here.boot/77/1"), "token", "it was forced")
    one = plan(state, replace(actor(5), actor="bob"), rotation_options(), "accepted", lock_holder)
    assert f"begun by ada at {show_time(NOW)} (process 77)" in one.blocked
    nameless = plan(in_progress(run="there"), actor(), rotation_options(), "accepted", lock_holder)
    assert f", begun at {show_time(NOW)}" in nameless.blocked


def test_dead_lock_holder_does_not_block() -> None:
    assert planned(in_progress(run="here/2/2"), lock_holder="dead").begin


@each_row(("after", "left"), [(0, 600), (1, 599), (599, 1)])
def test_remote_lock_holder_blocks_until_lock_timeout(after: float, left: int) -> None:
    one = plan(
        in_progress(run="there/2/2"), actor(after), rotation_options(), "accepted", "elsewhere"
    )
    assert one == Plan("token", "", blocked=one.blocked)
    assert f"last heartbeat was {after} s ago; wait {left} s more" in one.blocked
    assert "credential_rotation_lock_timeout" in one.blocked


@each_row(("after", "lock_timeout"), [(600, 600), (601, 600), (0, 0), (1, 0)])
def test_remote_lock_holder_does_not_block_after_lock_timeout(
    after: float, lock_timeout: float
) -> None:
    one = plan(
        in_progress(run="there/2/2"),
        actor(after),
        rotation_options(lock_timeout=lock_timeout),
        "accepted",
        "elsewhere",
    )
    assert (one.blocked, one.begin) == ("", True)


def test_lock_timeout_starts_at_last_heartbeat() -> None:
    state = begin(in_progress(), actor(500, "there/2/2"), "token", "it was stopped")
    one = plan(state, actor(700), rotation_options(), "accepted", "elsewhere")
    assert "last heartbeat was 200 s ago; wait 400 s more" in one.blocked


def test_finished_rotation_does_not_block() -> None:
    assert planned(whole_rotation(), lock_holder="alive").blocked == ""


OTHERS: dict[str, Any] = {"account_id": OTHER_ACCOUNT, "api_url": "https://sandbox.example"}


@each_row("name", OTHERS)
@each_row("location", ["current", "pending"])
def test_store_of_another_account_or_api_blocks(name: str, location: str) -> None:
    other: dict[str, Any] = {name: OTHERS[name]}
    states_by_location = {
        "current": State(held(OLD, **other)),
        "pending": replace(in_progress(), current=None, pending=held(NEW, **other)),
    }
    one = planned(states_by_location[location], "refused", emergency=True)
    assert one == Plan("emergency", "", blocked=one.blocked)
    assert one.blocked.startswith(f"credential_rotation_{name}: the store contains")


@each_row(
    ("name", "value"),
    [
        ("account_id", ACCOUNT.upper()),
        ("account_id", f" {ACCOUNT}\n"),
        ("api_url", f"{OWNER.api_url}/"),
        ("api_url", "HTTPS://API.Example"),
    ],
)
def test_owner_is_normalized(name: str, value: str) -> None:
    same: dict[str, Any] = {name: value}
    assert planned(State(held(OLD)), owner=replace(OWNER, **same)) == Plan("token", "")
    assert planned(State(held(OLD, **same))) == Plan("token", "")
    assert planned(in_progress(pending=NEW), owner=replace(OWNER, **same)).blocked == ""


@each_row("emergency", [False, True])
def test_plan_omits_tokens(emergency: bool) -> None:
    for state in (State(held(OLD)), in_progress(pending=NEW), in_progress(run="there/2/2")):
        for lock_holder in ("alive", "dead", "elsewhere"):
            assert "eyJ" not in repr(planned(state, lock_holder=lock_holder, emergency=emergency))
