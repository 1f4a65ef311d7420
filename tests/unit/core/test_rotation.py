# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rotation's state document: its steps, its plan, and what it tells."""

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
    """Ada's, so many seconds after NOW."""
    return Actor(NOW + after, run, "ada", "controller")


def held(text: str, since: float = NOW - 100, **owner: Any) -> Credential:
    """A token in the document."""
    return Credential(replace(OWNER, **owner), text, show_time(NOW + 3600), since)


def issued(text: str = NEW, **more: Any) -> dict[str, Any]:
    """A token as nomba_token writes it."""
    fields = {**vars(OWNER), "access_token": text, "expires_at": show_time(NOW + 3600)}
    return {**fields, "refresh_token": "a refresh token", "replaced": [], **more}


def at_work(
    phase: Phase = Phase.ISSUING, mode: Mode = Mode.TOKEN, pending: str = "", run: str = "here/1/1"
) -> State:
    """A rotation that is not finished, from an old token; it last wrote at NOW."""
    one = Rotation("a rotation", mode, phase, NOW, run, NOW)
    return State(held(OLD), held(pending) if pending else None, rotation=one)


def row(text: str, outcome: str, verified: Any = True) -> dict[str, Any]:
    """What a revocation says of a token."""
    return {"fingerprint": fingerprint(text), "outcome": outcome, "verified": verified}


def result(state: State) -> list[tuple[str, str]]:
    """Step and outcome of all events."""
    return [(event["step"], event["outcome"]) for event in state.events]


def whole_rotation() -> State:
    """From an old token to a new one."""
    state = begin(State(held(OLD)), actor(0), "token", "it was forced")
    state = set_pending(state, actor(1), issued())
    state = promote(state, actor(2), ["a", "b"])
    return finish(state, actor(3), [row(OLD, "revoked")])


def failed_rotation() -> State:
    """From an old token back to it."""
    state = begin(State(held(OLD)), actor(0), "token", "it was forced")
    state = set_pending(state, actor(1), issued())
    state = roll_back(state, actor(2), "verify", "the API refuses it")
    return finish(state, actor(3), [row(NEW, "revoked")])


def emergency_rotation() -> State:
    """Away from tokens that have leaked, one of which was on its way."""
    leaked = State(held(OLD), held(OLDEST))
    state = mark_compromised(begin(leaked, actor(0), "emergency", "a leak"), actor(1))
    state = promote(set_pending(state, actor(2), issued()), actor(9.5), ["a"])
    return finish(state, actor(10), [row(OLD, "revoked"), row(OLDEST, "alive")])


STORIES: dict[str, Callable[[], State]] = {
    "whole": whole_rotation,
    "failed": failed_rotation,
    "emergency": emergency_rotation,
}


# Begin


@pytest.mark.parametrize("mode", Mode)
def test_a_rotation_begins_with_nothing_issued(mode: Mode) -> None:
    state = begin(State(held(OLD)), actor(), mode.value, "it was forced")
    assert state.rotation is not None
    assert state.rotation == Rotation(
        state.rotation.id, mode, Phase.ISSUING, NOW, "here/1/1", NOW, ""
    )
    assert (state.current, state.pending, state.previous) == (held(OLD), None, ())
    assert result(state) == [("begin", "begun")]


@pytest.mark.parametrize("phase", Phase)
def test_a_rotation_that_was_stopped_is_taken_over_as_it_is(phase: Phase) -> None:
    stopped = at_work(phase, Mode.CLIENT, NEW, run="there/2/2")
    state = begin(stopped, actor(50), "token", "an earlier run was stopped")
    assert stopped.rotation is not None
    taken = replace(stopped.rotation, run="here/1/1", renewed=NOW + 50)
    assert replace(state, events=()) == replace(stopped, rotation=taken)
    assert result(state) == [("begin", "resumed")]


def test_rotations_of_other_runs_and_other_times_have_other_names() -> None:
    hands = [actor(), actor(1), actor(run="there/2/2")]
    begun = [begin(State(), one, "token", "why").rotation for one in hands]
    assert len({one.id for one in begun if one}) == len(hands)
    assert all(one is not None and one.run not in one.id for one in begun)


# Condemn


def test_all_that_may_have_leaked_is_given_up_at_once() -> None:
    state = mark_compromised(replace(at_work(pending=NEW), previous=(held(OLDEST),)), actor(5))
    assert (state.current, state.pending) == (None, None)
    assert state.previous == (held(OLDEST), held(OLD), held(NEW))
    assert state.rotation is not None
    assert state.rotation.renewed == NOW + 5
    assert state.events[-1]["fingerprints"] == [MARKS[OLD], MARKS[NEW]]


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("mode", Mode)
def test_what_is_condemned_is_an_emergency_with_a_token_to_issue(phase: Phase, mode: Mode) -> None:
    state = mark_compromised(at_work(phase, mode), actor())
    assert state.rotation is not None
    assert (state.rotation.mode, state.rotation.phase) == (Mode.EMERGENCY, Phase.ISSUING)
    assert (state.events[-1]["mode"], result(state)) == (
        "emergency",
        [("mark_compromised", "compromised")],
    )


def test_condemning_where_there_is_nothing_is_no_error() -> None:
    state = mark_compromised(replace(at_work(), current=None), actor())
    assert state.previous == ()
    assert (result(state), state.events[0]["fingerprints"]) == (
        [("mark_compromised", "compromised")],
        [],
    )


# Propose


def test_a_token_that_was_issued_is_on_its_way() -> None:
    state = set_pending(at_work(), actor(5), issued())
    assert state.pending == held(NEW, since=NOW + 5)
    assert state.current == held(OLD)
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.renewed) == (Phase.ISSUING, NOW + 5)
    assert result(state) == [("issue", "issued")]
    assert state.events[0]["fingerprints"] == [MARKS[NEW]]


def test_a_token_came_in_when_it_was_proposed_whatever_its_file_says() -> None:
    state = set_pending(at_work(), actor(5), issued(since=0))
    assert state.pending is not None
    assert state.pending.since == NOW + 5


def test_a_refresh_token_does_not_come_into_the_document() -> None:
    state = set_pending(at_work(), actor(), issued())
    assert "refresh" not in json.dumps(dump(state))


def test_a_second_token_is_refused_while_one_is_on_its_way() -> None:
    with pytest.raises(BadState, match="already pending"):
        set_pending(at_work(pending=NEW), actor(), issued(token(jti="another")))


@pytest.mark.parametrize("text", [OLD, OLDEST], ids=["current", "previous"])
def test_a_token_that_was_in_service_is_refused(text: str) -> None:
    state = replace(at_work(), previous=(held(OLDEST),))
    with pytest.raises(BadState, match="is not new") as caught:
        set_pending(state, actor(), issued(text))
    assert text not in repr(caught.value)


@pytest.mark.parametrize("name", ["access_token", "api_url", "account_id", "client_id"])
@pytest.mark.parametrize("value", [None, "", 17, ["a"]], ids=repr)
def test_a_token_without_its_owner_is_refused(name: str, value: object) -> None:
    given_fields = {**issued(), name: value}
    with pytest.raises(BadState, match="credential lacks a token or its owner") as caught:
        set_pending(at_work(), actor(), given_fields)
    assert NEW not in repr(caught.value)
    del given_fields[name]
    with pytest.raises(BadState, match="credential lacks"):
        set_pending(at_work(), actor(), given_fields)


# Promote


def test_a_new_token_takes_the_place_of_the_old_one() -> None:
    state = promote(replace(at_work(pending=NEW), previous=(held(OLDEST),)), actor(5), ["a", "b"])
    assert (state.current, state.pending) == (held(NEW), None)
    assert state.previous == (held(OLDEST), held(OLD))
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.renewed) == (Phase.RETIRING, NOW + 5)
    assert result(state) == [
        ("verify", "accepted"),
        ("publish", "published"),
        ("promote", "promoted"),
    ]


def test_the_hosts_that_have_a_new_token_are_told() -> None:
    state = promote(at_work(pending=NEW), actor(), ["a", "b"])
    published = state.events[1]
    assert (published["detail"], published["fingerprints"]) == ("a, b", [MARKS[NEW]])


def test_the_first_token_replaces_none() -> None:
    state = promote(replace(at_work(pending=NEW), current=None), actor(), [])
    assert (state.current, state.previous) == (held(NEW), ())


def test_nothing_can_be_promoted_when_nothing_was_issued() -> None:
    with pytest.raises(BadState, match="there is no token to promote"):
        promote(at_work(), actor(), ["a"])


@pytest.mark.parametrize(
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
def test_an_outage_is_told_when_there_was_one(mode: Mode, died: bool, outage: bool) -> None:
    state = promote(at_work(mode=mode, pending=NEW), actor(7.25), ["a"], died=died)
    details = [one["detail"] for one in state.events if one["outcome"] == "outage"]
    assert details == (["at most 7.2 s"] if outage else [])
    assert result(state)[-1] == ("promote", "promoted")


# Abandon


def test_the_old_token_stays_when_the_new_one_is_abandoned() -> None:
    state = roll_back(at_work(pending=NEW), actor(5), "verify", "the API refuses it")
    assert (state.current, state.pending, state.previous) == (held(OLD), None, (held(NEW),))
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.renewed) == (Phase.RETURNING, NOW + 5)
    assert state.rotation.reason == "verify: the API refuses it"
    assert result(state) == [("rollback", "failed")]
    assert state.events[0]["detail"] == "verify: the API refuses it"


def test_a_rotation_can_be_abandoned_before_a_token_was_issued() -> None:
    state = roll_back(at_work(), actor(), "issue", "the API does not answer")
    assert (state.current, state.previous) == (held(OLD), ())
    assert state.rotation is not None
    assert state.rotation.phase is Phase.RETURNING


# End


@pytest.mark.parametrize("outcome", DEAD)
def test_what_is_dead_is_dropped_in_the_end(outcome: str) -> None:
    state = replace(at_work(Phase.RETIRING), previous=(held(OLDEST), held(NEW)))
    state = finish(state, actor(), [row(OLDEST, outcome), row(NEW, outcome)])
    assert (state.current, state.previous, state.rotation) == (held(OLD), (), None)
    assert result(state) == [("retire", outcome)] * 2 + [("report", "finished")]


@pytest.mark.parametrize("outcome", NOT_DEAD)
def test_what_is_not_dead_stays_for_the_next_run(outcome: str) -> None:
    state = replace(at_work(Phase.RETIRING), previous=(held(OLDEST), held(NEW)))
    state = finish(state, actor(), [row(OLDEST, outcome), row(NEW, "revoked")])
    assert (state.previous, state.rotation) == ((held(OLDEST),), None)
    assert result(state)[0] == ("retire", outcome)


@pytest.mark.parametrize("outcome", [*DEAD, "expired"])
@pytest.mark.parametrize("verified", [False, None, "true", 1], ids=repr)
def test_what_is_not_verified_stays_for_the_next_run(outcome: str, verified: object) -> None:
    state = replace(at_work(Phase.RETIRING), previous=(held(OLDEST), held(NEW)))
    state = finish(state, actor(), [row(OLDEST, outcome, verified), row(NEW, "revoked")])
    assert (state.previous, state.rotation) == ((held(OLDEST),), None)
    unknown = {"fingerprint": MARKS[OLDEST], "outcome": outcome}
    assert finish(state, actor(), [unknown]).previous == (held(OLDEST),)


def test_what_nothing_is_known_of_stays_for_the_next_run() -> None:
    state = finish(replace(at_work(Phase.RETIRING), previous=(held(OLDEST),)), actor(), [])
    assert state.previous == (held(OLDEST),)
    assert result(state) == [("report", "finished")]


def test_the_current_token_stays_whatever_is_said_of_it() -> None:
    state = finish(at_work(Phase.RETIRING), actor(), [row(OLD, "revoked")])
    assert state.current == held(OLD)


@pytest.mark.parametrize(
    ("phase", "outcome"), [(Phase.RETIRING, "finished"), (Phase.RETURNING, "rolled_back")]
)
def test_the_end_tells_which_token_is_in_service(phase: Phase, outcome: str) -> None:
    state = finish(at_work(phase), actor(), [])
    report = state.events[-1]
    assert (report["step"], report["outcome"]) == ("report", outcome)
    assert report["fingerprints"] == [MARKS[OLD]]


@pytest.mark.parametrize("pending", ["", NEW], ids=["none yet", "pending"])
def test_a_rotation_that_is_not_finished_is_not_ended(pending: str) -> None:
    state = at_work(Phase.ISSUING, pending=pending)
    with pytest.raises(BadState, match="not finished: promote or roll_back its token first"):
        finish(state, actor(), [])


def test_what_was_left_over_can_be_dropped_without_a_rotation() -> None:
    state = finish(State(held(NEW), previous=(held(OLD),)), actor(), [row(OLD, "already_revoked")])
    assert (state.current, state.previous, state.rotation) == (held(NEW), (), None)
    assert result(state) == [("retire", "already_revoked")]
    assert (state.events[0]["mode"], state.events[0]["fingerprints"]) == ("", [MARKS[OLD]])


# All steps


BEFORE_ANY: dict[str, tuple[Any, ...]] = {
    "mark_compromised": (),
    "set_pending": (issued(),),
    "promote": (["a"],),
    "roll_back": ("issue", "no answer"),
}


@pytest.mark.parametrize("name", BEFORE_ANY)
def test_a_step_needs_a_rotation_that_has_begun(name: str) -> None:
    state = State(held(OLD), held(OLDEST))
    with pytest.raises(BadState, match="no rotation has begun"):
        STEPS[name](state, actor(), *BEFORE_ANY[name])


def test_every_step_has_its_own_name() -> None:
    assert set(STEPS) == {*BEFORE_ANY, "begin", "finish"}
    assert all(getattr(rotation, name) is step for name, step in STEPS.items())


def test_a_step_leaves_the_state_before_it_alone() -> None:
    before = replace(at_work(pending=NEW), previous=(held(OLDEST),))
    document = json.dumps(dump(before))
    mark_compromised(before, actor(5))
    promote(before, actor(5), ["a"])
    roll_back(before, actor(5), "verify", "refused")
    finish(replace(before, rotation=None), actor(5), [row(OLDEST, "revoked")])
    assert json.dumps(dump(before)) == document


def test_a_whole_rotation_leaves_one_token() -> None:
    state = whole_rotation()
    assert state.current == held(NEW, since=NOW + 1)
    assert (state.pending, state.previous, state.rotation) == (None, (), None)


def test_a_failed_rotation_leaves_the_old_token() -> None:
    state = failed_rotation()
    assert state.current == held(OLD)
    assert (state.pending, state.previous, state.rotation) == (None, (), None)


def test_an_emergency_leaves_what_could_not_be_revoked() -> None:
    state = emergency_rotation()
    assert state.current == held(NEW, since=NOW + 2)
    assert (state.pending, state.previous, state.rotation) == (None, (held(OLDEST),), None)


# Events


def test_a_whole_rotation_tells_all_it_has_done() -> None:
    assert result(whole_rotation()) == [
        ("begin", "begun"),
        ("issue", "issued"),
        ("verify", "accepted"),
        ("publish", "published"),
        ("promote", "promoted"),
        ("retire", "revoked"),
        ("report", "finished"),
    ]


def test_an_event_says_who_did_what_when_and_where() -> None:
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


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_ids_of_events_are_unique_and_the_same_when_told_again(story: Callable[[], State]) -> None:
    ids = [event["id"] for event in story().events]
    assert len(set(ids)) == len(ids)
    assert [event["id"] for event in story().events] == ids
    assert len({event["rotation"] for event in story().events}) == 1


def test_a_rotation_keeps_its_name_in_other_hands() -> None:
    state = begin(State(), actor(), "token", "why")
    state = begin(state, actor(50, "there/2/2"), "token", "it was stopped")
    first, second = state.events
    assert first["rotation"] == second["rotation"]
    assert first["id"] != second["id"]


def test_a_rotation_after_another_is_told_apart_from_it() -> None:
    state = begin(whole_rotation(), actor(60), "token", "it was forced")
    ids = [event["id"] for event in state.events]
    assert len(set(ids)) == len(ids)
    assert state.events[-1]["rotation"] != state.events[-2]["rotation"]


def test_what_is_retired_without_a_rotation_has_its_own_ids() -> None:
    state = State(previous=(held(OLD), held(NEW)))
    state = finish(state, actor(), [row(OLD, "unknown"), row(NEW, "unknown")])
    state = finish(state, actor(60), [row(OLD, "revoked"), row(NEW, "revoked")])
    assert len({event["id"] for event in state.events}) == 4


def test_old_events_go_in_the_end() -> None:
    state = whole_rotation()
    for number in range(60):
        state = begin(state, actor(100 + number), "token", f"number {number}")
        state = roll_back(state, actor(100 + number), "issue", "no answer")
        state = finish(state, actor(100 + number), [row(OLD, "unknown")])
    assert len(state.events) == 200
    assert len({event["id"] for event in state.events}) == 200
    assert state.events[-4]["detail"] == "number 59"


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_events_name_tokens_by_fingerprint_only(story: Callable[[], State]) -> None:
    state = story()
    text = json.dumps(state.events)
    assert MARKS[NEW] in text
    assert "eyJ" not in text
    assert not [one for one in MARKS if one in text or one.rpartition(".")[2] in text]
    assert all(event["detail"].count("sha256:") == 0 for event in state.events)


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_nothing_shows_a_token_when_it_is_printed(story: Callable[[], State]) -> None:
    for state in (story(), replace(at_work(pending=NEW), previous=(held(OLDEST),))):
        for thing in (state, state.current, state.pending, state.previous, state.rotation):
            assert "eyJ" not in f"{thing!r} {thing}"


# The document


words = st.text(min_size=1, max_size=20)
moments = st.floats(0, 4e9, allow_nan=False)
credentials = st.builds(
    Credential,
    owner=st.builds(Owner, words, words, words),
    access_token=words,
    expires_at=st.none() | st.text(max_size=20),
    since=moments,
)
rotations = st.builds(
    Rotation, words, st.sampled_from(Mode), st.sampled_from(Phase), moments, words, moments, words
)
states = st.builds(
    State,
    current=st.none() | credentials,
    pending=st.none() | credentials,
    previous=st.lists(credentials, max_size=3).map(tuple),
    rotation=st.none() | rotations,
    events=st.lists(st.dictionaries(words, words, max_size=3), max_size=3).map(tuple),
)


@given(states)
def test_what_is_dumped_is_loaded_as_it_was(state: State) -> None:
    assert load(json.loads(json.dumps(dump(state)))) == state


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_real_document_is_loaded_as_it_was(story: Callable[[], State]) -> None:
    state = story()
    assert load(json.loads(json.dumps(dump(state)))) == state


def test_the_document_is_made_for_programs() -> None:
    document = dump(at_work(pending=NEW))
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


def test_a_token_need_not_say_when_it_ends() -> None:
    document = dump(State(held(OLD)))
    del document["current"]["expires_at"]
    assert load(document) == State(replace(held(OLD), expires_at=None))


@pytest.mark.parametrize(
    "document",
    [
        *("text", OLD, 17, ["a"], {"current": None}, {"format": None}, {"format": 2}),
        *({"format": "1"}, [], "", 0, None, False, {}),
    ],
    ids=lambda document: repr(document)[:24],
)
def test_what_is_no_state_is_refused(document: object) -> None:
    with pytest.raises(BadState, match="something else than the state of a rotation") as caught:
        load(document)
    assert "eyJ" not in repr(caught.value)


@pytest.mark.parametrize("name", ["current", "pending", "previous", "rotation", "events"])
def test_a_document_that_lacks_something_is_damaged(name: str) -> None:
    document = dump(whole_rotation())
    del document[name]
    with pytest.raises(BadState, match="the store's document is damaged"):
        load(document)


@pytest.mark.parametrize(
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
def test_a_document_of_other_kinds_of_values_is_damaged(name: str, value: object) -> None:
    document = {**dump(whole_rotation()), name: value}
    with pytest.raises(BadState, match="damaged") as caught:
        load(document)
    assert "eyJ" not in repr(caught.value)


@pytest.mark.parametrize("name", ["id", "mode", "phase", "began", "run", "renewed", "reason"])
def test_a_rotation_that_lacks_something_is_damaged(name: str) -> None:
    document = dump(at_work())
    del document["rotation"][name]
    with pytest.raises(BadState, match="damaged"):
        load(document)


@pytest.mark.parametrize(
    ("name", "value"), [("mode", "x"), ("phase", None), ("began", "x"), ("renewed", None)]
)
def test_a_rotation_of_values_unheard_of_is_damaged(name: str, value: object) -> None:
    document = dump(at_work())
    document["rotation"][name] = value
    with pytest.raises(BadState, match="damaged"):
        load(document)


@pytest.mark.parametrize("place", ["current", "pending", "previous"])
@pytest.mark.parametrize("name", ["access_token", "api_url", "account_id", "client_id"])
@pytest.mark.parametrize("value", [None, "", 17], ids=repr)
def test_a_token_in_the_document_needs_its_owner(place: str, name: str, value: object) -> None:
    damaged = {**(dump(State(held(OLD)))["current"]), name: value}
    document = {**dump(State()), place: [damaged] if place == "previous" else damaged}
    with pytest.raises(BadState, match=f"{place} lacks a token or its owner") as caught:
        load(document)
    assert "eyJ" not in repr(caught.value)


@pytest.mark.parametrize("since", [None, "yesterday", []], ids=repr)
def test_a_token_in_the_document_came_in_at_some_time(since: object) -> None:
    document = dump(State(held(OLD)))
    document["current"]["since"] = since
    with pytest.raises(BadState, match="damaged"):
        load(document)


# The plan: whether a token is due


def rotation_options(
    max_age: float = 900, lock_timeout: float = 600, **more: Any
) -> RotationOptions:
    """What the user wants."""
    return RotationOptions(more.pop("owner", OWNER), max_age, lock_timeout, **more)


def planned(state: State, probe: str = "accepted", lock_holder: str = "dead", **more: Any) -> Plan:
    """The plan at NOW."""
    return plan(state, actor(), rotation_options(**more), probe, lock_holder)


def due(why: str, mode: str = "token", mark_compromised: bool = False) -> Plan:
    """The plan of a rotation that has to begin."""
    return Plan(mode, why, begin=True, mark_compromised=mark_compromised, issue=True)


@pytest.mark.parametrize("probe", ["accepted", "meaningless", "none", "not made"])
def test_nothing_is_due_while_the_token_is_good(probe: str) -> None:
    assert planned(State(held(OLD)), probe) == Plan("token", "")


def test_what_is_left_over_is_no_reason_to_rotate() -> None:
    assert planned(State(held(NEW), previous=(held(OLD),))) == Plan("token", "")


def test_a_token_is_due_when_there_is_none() -> None:
    assert planned(State(), "none") == due("the store contains no token")


def test_a_token_is_due_when_the_api_refuses_the_current_one() -> None:
    assert planned(State(held(OLD)), "refused") == due("the API refuses the current token")


@pytest.mark.parametrize(("left", "over"), [(-1, True), (0, True), (1, False)])
def test_a_token_is_due_when_the_current_one_has_expired(left: float, over: bool) -> None:
    current = replace(held(OLD), expires_at=show_time(NOW + left))
    told_why = "the current token has expired"
    assert planned(State(current)) == (due(told_why) if over else Plan("token", ""))


@pytest.mark.parametrize(("age", "over"), [(899, False), (900, True), (901, True)])
@pytest.mark.parametrize("expires_at", [None, "some day", show_time(NOW + 9)])
def test_a_token_is_due_when_the_current_one_is_old(
    age: float, over: bool, expires_at: str | None
) -> None:
    current = replace(held(OLD, since=NOW - age), expires_at=expires_at)
    told_why = "the current token is older than 900 s"
    assert planned(State(current)) == (due(told_why) if over else Plan("token", ""))


def test_a_token_is_due_when_it_was_forced() -> None:
    assert planned(State(held(OLD)), force=True) == due("it was forced")


def test_a_token_is_due_for_another_client() -> None:
    owner = replace(OWNER, client_id="another client")
    assert planned(State(held(OLD)), owner=owner) == due("the client has changed", "client")


@pytest.mark.parametrize("client_id", [OWNER.client_id.upper(), f" {OWNER.client_id}\n"])
def test_the_same_client_written_otherwise_is_no_other(client_id: str) -> None:
    owner = replace(OWNER, client_id=client_id)
    assert planned(State(held(OLD)), owner=owner) == Plan("token", "")


@pytest.mark.parametrize("state", [State(), State(held(OLD))], ids=["empty", "in service"])
def test_an_emergency_is_due_at_once(state: State) -> None:
    told_why = "the credentials may have leaked"
    assert planned(state, emergency=True) == due(told_why, "emergency", mark_compromised=True)


def test_the_gravest_reason_is_the_one_that_is_told() -> None:
    owner = replace(OWNER, client_id="another client")
    old = State(held(OLD, since=0))
    assert planned(old, "refused", owner=owner, force=True).why == "the client has changed"
    assert planned(old, "refused", force=True).why == "the API refuses the current token"
    assert planned(old, force=True).why == "the current token is older than 900 s"
    assert planned(old, "refused", owner=owner, emergency=True).mode == "emergency"


@pytest.mark.parametrize("changes", [{"force": True}, {"max_age": 0}], ids=["forced", "old"])
def test_no_rotation_begins_on_an_api_that_accepts_any_token(changes: dict[str, Any]) -> None:
    one = planned(State(held(OLD)), "meaningless", **changes)
    assert one == Plan("token", "", blocked=one.blocked)
    assert one.blocked.startswith("credential_rotation_api_url: this API accepts a token that")


def test_an_emergency_begins_and_a_rotation_is_finished_on_an_api_that_accepts_any_token() -> None:
    assert planned(State(held(OLD)), "meaningless", emergency=True).mark_compromised
    assert planned(at_work(Phase.RETIRING), "meaningless").begin


# The plan: how to go on


@pytest.mark.parametrize(
    ("phase", "issue", "rollback"),
    [
        (Phase.ISSUING, True, False),
        (Phase.RETIRING, False, False),
        (Phase.RETURNING, False, True),
    ],
)
@pytest.mark.parametrize("mode", Mode)
def test_a_rotation_is_gone_on_with_where_it_was_stopped(
    phase: Phase, issue: bool, rollback: bool, mode: Mode
) -> None:
    state = at_work(phase, mode)
    if mode is Mode.EMERGENCY:
        state = replace(state, current=None, previous=(held(OLD),))
    why = f"an earlier run was stopped while it was {phase.value}"
    assert planned(state) == Plan(mode.value, why, begin=True, issue=issue, rollback=rollback)


@pytest.mark.parametrize("phase", [Phase.ISSUING, Phase.RETIRING])
@pytest.mark.parametrize("mode", [Mode.TOKEN, Mode.CLIENT])
def test_an_emergency_condemns_what_another_rotation_has_issued(phase: Phase, mode: Mode) -> None:
    one = planned(at_work(phase, mode, NEW), emergency=True)
    assert one == Plan("emergency", one.why, begin=True, mark_compromised=True, issue=True)
    assert one.why == f"an earlier run was stopped while it was {phase.value}"


@pytest.mark.parametrize(("phase", "issue"), [(Phase.ISSUING, True), (Phase.RETIRING, False)])
def test_an_emergency_that_was_stopped_condemns_nothing_again(phase: Phase, issue: bool) -> None:
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


def test_a_rotation_that_was_stopped_is_finished_whatever_else_is_wished() -> None:
    owner = replace(OWNER, client_id="another client")
    one = planned(at_work(Phase.RETIRING), "refused", owner=owner, force=True)
    assert (one.mode, one.begin, one.issue, one.rollback) == ("token", True, False, False)


# The plan: why not to begin


@pytest.mark.parametrize("lock_holder", ["alive", "dead", "elsewhere"])
def test_a_run_is_not_blocked_by_itself(lock_holder: str) -> None:
    assert planned(at_work(), lock_holder=lock_holder).blocked == ""


@pytest.mark.parametrize("emergency", [False, True])
@pytest.mark.parametrize("lock_timeout", [0, 600])
def test_a_run_that_is_alive_blocks_all_others(lock_timeout: float, emergency: bool) -> None:
    state = at_work(run="here/2/2")
    one = planned(state, lock_holder="alive", lock_timeout=lock_timeout, emergency=emergency)
    assert one == Plan("emergency" if emergency else "token", "", blocked=one.blocked)
    assert one.blocked.startswith("another rotation is active on this machine")


@pytest.mark.parametrize("lock_holder", ["alive", "elsewhere"])
def test_who_is_blocked_learns_by_whom(lock_holder: str) -> None:
    state = begin(State(held(OLD)), actor(0, "here.boot/77/1"), "token", "it was forced")
    one = plan(state, replace(actor(5), actor="bob"), rotation_options(), "accepted", lock_holder)
    assert f"begun by ada at {show_time(NOW)} (process 77)" in one.blocked
    nameless = plan(at_work(run="there"), actor(), rotation_options(), "accepted", lock_holder)
    assert f", begun at {show_time(NOW)}" in nameless.blocked


def test_a_run_that_is_dead_blocks_nobody() -> None:
    assert planned(at_work(run="here/2/2"), lock_holder="dead").begin


@pytest.mark.parametrize(("after", "left"), [(0, 600), (1, 599), (599, 1)])
def test_a_run_elsewhere_blocks_others_for_its_lease(after: float, left: int) -> None:
    one = plan(at_work(run="there/2/2"), actor(after), rotation_options(), "accepted", "elsewhere")
    assert one == Plan("token", "", blocked=one.blocked)
    assert f"last heartbeat was {after} s ago; wait {left} s more" in one.blocked
    assert "credential_rotation_lock_timeout" in one.blocked


@pytest.mark.parametrize(("after", "lock_timeout"), [(600, 600), (601, 600), (0, 0), (1, 0)])
def test_a_run_elsewhere_blocks_nobody_after_its_lease(after: float, lock_timeout: float) -> None:
    one = plan(
        at_work(run="there/2/2"),
        actor(after),
        rotation_options(lock_timeout=lock_timeout),
        "accepted",
        "elsewhere",
    )
    assert (one.blocked, one.begin) == ("", True)


def test_a_lease_counts_from_what_a_run_wrote_last() -> None:
    state = begin(at_work(), actor(500, "there/2/2"), "token", "it was stopped")
    one = plan(state, actor(700), rotation_options(), "accepted", "elsewhere")
    assert "last heartbeat was 200 s ago; wait 400 s more" in one.blocked


def test_nobody_is_blocked_when_nothing_is_unfinished() -> None:
    assert planned(whole_rotation(), lock_holder="alive").blocked == ""


OTHERS: dict[str, Any] = {"account_id": OTHER_ACCOUNT, "api_url": "https://sandbox.example"}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("place", ["current", "pending"])
def test_the_store_of_another_account_or_api_is_foreign_token_warning(
    name: str, place: str
) -> None:
    other: dict[str, Any] = {name: OTHERS[name]}
    states_by_place = {
        "current": State(held(OLD, **other)),
        "pending": replace(at_work(), current=None, pending=held(NEW, **other)),
    }
    one = planned(states_by_place[place], "refused", emergency=True)
    assert one == Plan("emergency", "", blocked=one.blocked)
    assert one.blocked.startswith(f"credential_rotation_{name}: the store contains")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account_id", ACCOUNT.upper()),
        ("account_id", f" {ACCOUNT}\n"),
        ("api_url", f"{OWNER.api_url}/"),
        ("api_url", "HTTPS://API.Example"),
    ],
)
def test_the_same_owner_written_otherwise_is_no_other(name: str, value: str) -> None:
    same: dict[str, Any] = {name: value}
    assert planned(State(held(OLD)), owner=replace(OWNER, **same)) == Plan("token", "")
    assert planned(State(held(OLD, **same))) == Plan("token", "")
    assert planned(at_work(pending=NEW), owner=replace(OWNER, **same)).blocked == ""


@pytest.mark.parametrize("emergency", [False, True])
def test_a_plan_holds_no_token(emergency: bool) -> None:
    for state in (State(held(OLD)), at_work(pending=NEW), at_work(run="there/2/2")):
        for lock_holder in ("alive", "dead", "elsewhere"):
            assert "eyJ" not in repr(planned(state, lock_holder=lock_holder, emergency=emergency))
