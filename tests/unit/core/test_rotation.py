# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transitions of a rotation: the evidence that each one requires, and what it records."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _rotation as rotation
from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState
from ansible_collections.nomba.auth.plugins.module_utils._rotation import HostEvidence, Inspection
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Actor,
    Credential,
    Host,
    Mode,
    Phase,
    Rotation,
    State,
    text,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from tests.unit.clock import NOW
from tests.unit.tables import each_row

from .rotation_factory import (
    FOREIGN,
    HOSTS,
    MARKS,
    NEW,
    OLD,
    OLDEST,
    ROTATIONS,
    actor,
    begun,
    emergency,
    emergency_rotation,
    events_of,
    evidence,
    failed_rotation,
    held,
    in_progress,
    issued,
    promoted,
    publishing,
    recorded,
    returning,
    row,
    using,
    whole_rotation,
)

pytestmark = pytest.mark.pure

DEAD = ("revoked", "already_revoked")
NOT_DEAD = (
    *("expired", "refused", "still_accepted", "unknown", "malformed", "not_attempted", "failed"),
)
OPEN = (Phase.ISSUING, Phase.PUBLISHING)


def phase_of(state: State) -> Phase | None:
    """Return the phase of the rotation of a state."""
    return state.rotation.phase if state.rotation else None


# Begin


@each_row("mode", Mode)
def test_begin_starts_with_first_task_of_mode(mode: Mode) -> None:
    state = rotation.begin(State(held(OLD)), actor(), mode.value, "it was forced")
    phase = Phase.PUBLISHING if mode is Mode.REPAIR else Phase.ISSUING
    assert state.rotation is not None
    assert state.rotation == Rotation(state.rotation.id, mode, phase, NOW, "here/1/1", NOW)
    assert (state.current, state.pending, state.previous) == (held(OLD), None, ())
    assert events_of(state) == [("begin", "begun")]


@each_row("phase", Phase)
def test_interrupted_rotation_is_resumed_unchanged(phase: Phase) -> None:
    stopped = in_progress(phase, Mode.CLIENT, NEW, run="there/2/2")
    state = rotation.begin(stopped, actor(50), "token", "an earlier run was stopped")
    assert stopped.rotation is not None
    taken = replace(stopped.rotation, run="here/1/1", renewed=NOW + 50)
    assert replace(state, events=()) == replace(stopped, rotation=taken)
    assert events_of(state) == [("begin", "resumed")]


def test_repeated_begin_of_same_run_changes_nothing() -> None:
    state = begun()
    assert rotation.begin(state, actor(50), "client", "why") is state


def test_rotation_ids_are_unique_per_run_and_time() -> None:
    actors = [actor(), actor(1), actor(run="there/2/2")]
    started = [rotation.begin(State(), one, "token", "why").rotation for one in actors]
    assert len({one.id for one in started if one}) == len(actors)
    assert all(one is not None and one.run not in one.id for one in started)


# Hosts


@each_row(
    ("before", "found", "after"),
    [
        (None, Inspection(), Host()),
        (None, Inspection((MARKS[OLD],)), Host((MARKS[OLD],))),
        (using(OLD), Inspection((MARKS[OLD],)), using(OLD)),
        # The service may still use a token that is no longer in its file.
        (using(OLD), Inspection(()), using(OLD)),
        (using(OLD), Inspection((MARKS[OLD],), differs=True), Host((MARKS[OLD],))),
        (using(OLD), Inspection((FOREIGN,)), Host((MARKS[OLD], FOREIGN))),
        (using(OLD, error="it failed"), Inspection((MARKS[OLD],)), Host((MARKS[OLD],))),
        (using(OLD), Inspection(error="no such folder"), using(OLD, error="no such folder")),
        (using(OLD), None, using(OLD, error=rotation._NOT_INSPECTED)),
        (None, None, Host(error=rotation._NOT_INSPECTED)),
    ],
)
def test_host_keeps_tokens_that_it_may_hold(
    before: Host | None, found: Inspection | None, after: Host
) -> None:
    state = replace(begun(), hosts={"a": before} if before else {})
    state = rotation.set_hosts(state, actor(), {"a": found})
    if found is not None and found.error:
        after = replace(after, in_service=True)
    assert state.hosts == {"a": after}
    assert state.rotation is not None
    assert state.rotation.hosts == ("a",)


def test_inspection_error_of_host_hides_tokens() -> None:
    found = Inspection(error=f"cannot parse {OLD}")
    state = rotation.set_hosts(begun(), actor(), dict.fromkeys(HOSTS, found))
    assert {host.error for host in state.hosts.values()} == {"cannot parse (a token)"}


@each_row("mode", [one for one in Mode if one is not Mode.EMERGENCY])
def test_host_that_may_hold_token_must_be_in_run(mode: Mode) -> None:
    state = in_progress(mode=mode)
    with pytest.raises(BadState, match=r"^not in this run: b$"):
        rotation.set_hosts(state, actor(), {"a": Inspection()})


def test_emergency_does_not_wait_for_hosts_that_are_not_in_run() -> None:
    state = rotation.set_hosts(emergency(), actor(), {"a": Inspection()})
    assert set(state.hosts) == set(HOSTS)
    assert state.rotation is not None
    assert state.rotation.hosts == ("a",)


def test_removed_host_is_forgotten() -> None:
    state = rotation.set_hosts(begun(), actor(), {"a": Inspection()}, removed=["b", "never seen"])
    assert set(state.hosts) == {"a"}


def test_removed_host_that_is_in_run_holds_only_what_its_file_contains() -> None:
    found = dict.fromkeys(HOSTS, Inspection((FOREIGN,)))
    state = rotation.set_hosts(begun(), actor(), found, removed=["b"])
    assert state.hosts["b"] == Host((FOREIGN,))


# Mark compromised, and adopt


def test_mark_compromised_removes_current_and_pending() -> None:
    before = replace(in_progress(pending=NEW), previous=(held(OLDEST),))
    state = rotation.mark_compromised(before, actor(5))
    assert (state.current, state.pending) == (None, None)
    assert state.previous == tuple(held(one, compromised=True) for one in (OLDEST, OLD, NEW))
    assert state.rotation is not None
    assert state.rotation.renewed == NOW + 5
    assert state.events[-1]["fingerprints"] == [MARKS[OLD], MARKS[NEW], MARKS[OLDEST]]


@each_row("phase", Phase)
@each_row("mode", Mode)
def test_mark_compromised_starts_emergency_in_issuing(phase: Phase, mode: Mode) -> None:
    state = rotation.mark_compromised(in_progress(phase, mode), actor())
    assert state.rotation is not None
    assert (state.rotation.mode, state.rotation.phase) == (Mode.EMERGENCY, Phase.ISSUING)
    assert state.rotation.current_dead is True
    assert (state.events[-1]["mode"], events_of(state)) == (
        "emergency",
        [("mark_compromised", "compromised")],
    )


def test_mark_compromised_without_token_is_no_error() -> None:
    state = rotation.mark_compromised(replace(in_progress(), current=None), actor())
    assert state.previous == ()
    assert (events_of(state), state.events[0]["fingerprints"]) == (
        [("mark_compromised", "compromised")],
        [],
    )


def test_token_outside_of_store_is_compromised_too() -> None:
    state = rotation.mark_compromised(in_progress(), actor(5), [issued(FOREIGN)])
    assert state.previous == (
        held(FOREIGN, since=NOW + 5, compromised=True),
        held(OLD, compromised=True),
    )
    assert state.events[-1]["fingerprints"] == [MARKS[OLD], MARKS[FOREIGN]]


def test_incident_is_recorded() -> None:
    state = begun()
    for number in range(60):
        state = rotation.mark_compromised(state, actor(), incident=f"INC-{number}")
    assert state.incidents == tuple(f"INC-{number}" for number in range(10, 60))
    assert rotation.mark_compromised(state, actor()).incidents == state.incidents


@each_row(
    ("state", "current"),
    [(begun(), OLD), (replace(begun(), current=None, hosts={}), FOREIGN)],
    ids=["in service", "no token"],
)
def test_adopted_token_is_current_only_without_another_one(state: State, current: str) -> None:
    adopted = rotation.adopt(state, actor(5), [issued(FOREIGN)])
    assert adopted.current is not None
    assert adopted.current.secret == current
    expected = () if current == FOREIGN else (held(FOREIGN, since=NOW + 5),)
    assert adopted.previous == expected
    assert events_of(adopted)[-1] == ("inspect", "adopted")
    assert adopted.events[-1]["fingerprints"] == [MARKS[FOREIGN]]


def test_several_adopted_tokens_are_previous() -> None:
    state = replace(begun(), current=None)
    state = rotation.adopt(state, actor(5), [issued(FOREIGN), issued(OLDEST)])
    assert state.current is None
    assert state.previous == (held(FOREIGN, since=NOW + 5), held(OLDEST, since=NOW + 5))


def test_token_that_is_adopted_in_emergency_is_compromised() -> None:
    state = rotation.adopt(emergency(), actor(5), [issued(FOREIGN)])
    assert state.current is None
    assert state.previous[-1] == held(FOREIGN, since=NOW + 5, compromised=True)


def test_adopt_of_nothing_records_nothing() -> None:
    state = begun()
    assert rotation.adopt(state, actor(), []) is state


@each_row("known", [OLD, OLDEST, NEW], ids=["current", "previous", "pending"])
def test_token_of_store_is_not_adopted_again(known: str) -> None:
    state = replace(in_progress(pending=NEW), previous=(held(OLDEST),))
    with pytest.raises(BadState, match=r"^the token is already in the store$"):
        rotation.adopt(state, actor(), [issued(FOREIGN), issued(known)])


# Set pending


def test_issued_token_is_pending() -> None:
    state = rotation.set_pending(in_progress(), actor(5), issued(since=0, refused=True))
    assert state.pending == held(NEW, since=NOW + 5)
    assert state.current == held(OLD)
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.renewed) == (Phase.ISSUING, NOW + 5)
    assert events_of(state) == [("issue", "issued")]
    assert state.events[0]["fingerprints"] == [MARKS[NEW]]
    assert "refresh" not in text(state)


def test_second_pending_token_is_rejected() -> None:
    with pytest.raises(BadState, match=r"^a token is already pending$"):
        rotation.set_pending(in_progress(pending=NEW), actor(), issued(FOREIGN))


@each_row("phase", [one for one in Phase if one is not Phase.ISSUING])
def test_token_is_issued_only_while_issuing(phase: Phase) -> None:
    message = f"^a token is issued before the rotation is {phase.value}$"
    with pytest.raises(BadState, match=message):
        rotation.set_pending(in_progress(phase), actor(), issued())


@each_row("used", [OLD, OLDEST], ids=["current", "previous"])
def test_token_used_before_is_rejected(used: str) -> None:
    state = replace(in_progress(), previous=(held(OLDEST),))
    with pytest.raises(BadState, match="this token is not new") as caught:
        rotation.set_pending(state, actor(), issued(used))
    assert used not in repr(caught.value)


@each_row("name", ["access_token", "api_url", "account_id", "client_id"])
@each_row("value", [None, "", 17, ["a"]], ids=repr)
def test_token_without_owner_is_rejected(name: str, value: object) -> None:
    given_fields = {**issued(), name: value}
    with pytest.raises(BadState, match="credential lacks a token or its owner") as caught:
        rotation.set_pending(in_progress(), actor(), given_fields)
    assert NEW not in repr(caught.value)
    del given_fields[name]
    with pytest.raises(BadState, match="credential lacks"):
        rotation.set_pending(in_progress(), actor(), given_fields)


# Verify


@each_row(
    ("current", "old", "is_dead"),
    [
        *((OLD, "accepted", False), (OLD, "inconclusive", False), (OLD, "meaningless", False)),
        *((OLD, "refused", True), ("", "none", True)),
    ],
)
def test_verify_starts_publishing(current: str, old: str, is_dead: bool) -> None:
    state = replace(in_progress(pending=NEW), current=held(current) if current else None)
    state = rotation.verify(state, actor(5), "accepted", old)
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.current_dead) == (Phase.PUBLISHING, is_dead)
    assert state.rotation.renewed == NOW + 5
    assert events_of(state) == [("verify", "accepted")]


def test_repeated_verify_records_no_event() -> None:
    state = rotation.verify(
        in_progress(Phase.PUBLISHING, pending=NEW), actor(), "accepted", "refused"
    )
    assert state.rotation is not None
    assert (state.rotation.current_dead, state.events) == (True, ())


@each_row("phase", OPEN)
def test_refused_pending_token_is_set_aside(phase: Phase) -> None:
    state = rotation.verify(in_progress(phase, pending=NEW), actor(5), "refused", "accepted")
    assert (state.pending, state.previous) == (None, (held(NEW, refused=True),))
    assert (phase_of(state), events_of(state)) == (Phase.ISSUING, [("verify", "refused")])


@each_row("probe", ["inconclusive", "meaningless", "none", "", "revoked"], ids=repr)
def test_token_that_is_not_accepted_is_not_published(probe: str) -> None:
    with pytest.raises(BadState, match=f"did not accept the new token \\(probe: {probe}\\)$"):
        rotation.verify(in_progress(pending=NEW), actor(), probe, "accepted")


# Publish


def test_host_may_hold_token_from_start_of_batch() -> None:
    state = rotation.start_batch(publishing(), actor(5), ["a"])
    assert state.hosts == {"a": Host((MARKS[OLD], MARKS[NEW])), "b": using(OLD)}
    assert state.rotation is not None
    assert state.rotation.renewed == NOW + 5
    assert rotation.start_batch(state, actor(9), ["a"]) is state


def test_rollback_publishes_old_token() -> None:
    state = rotation.start_batch(returning(), actor(5), ["a", "b"])
    assert set(state.hosts["b"].may_hold) == {MARKS[OLD], MARKS[NEW]}
    assert set(state.hosts["a"].may_hold) == {MARKS[OLD], MARKS[NEW]}


def test_nothing_is_published_before_verify() -> None:
    with pytest.raises(BadState, match=r"^nothing is published while the rotation is issuing$"):
        rotation.start_batch(in_progress(pending=NEW), actor(), ["a"])


def test_nothing_is_published_without_token() -> None:
    state = replace(in_progress(Phase.PUBLISHING), current=None)
    with pytest.raises(BadState, match=r"^nothing is published while the rotation is publishing$"):
        rotation.start_batch(state, actor(), ["a"])


@each_row(
    ("proof", "host"),
    [
        ({}, using(NEW)),
        ({"healthy": False}, using(NEW, error=rotation.NOT_HEALTHY)),
        ({"healthy": False, "error": "HTTP 503"}, using(NEW, error="HTTP 503")),
        ({"error": f"HTTP 401 for {NEW}"}, using(NEW, error="HTTP 401 for (a token)")),
        ({"reloaded": False, "healthy": False}, using(OLD, NEW, error=rotation.NO_EVIDENCE)),
        ({"reloaded": False, "error": "reload failed"}, using(OLD, NEW, error="reload failed")),
        # A health check without a reload proves nothing about the token in the service.
        ({"reloaded": False}, using(OLD, NEW, error=rotation.NO_EVIDENCE)),
    ],
)
def test_host_is_in_service_only_with_complete_evidence(
    proof: Mapping[str, Any], host: Host
) -> None:
    state = rotation.start_batch(publishing(), actor(), ["a"])
    state = rotation.record_host(state, actor(), "a", evidence(state, **proof))
    assert state.hosts["a"] == host
    complete = not {"reloaded", "healthy", "error"} & set(proof)
    assert state.hosts["a"].uses(state.pending) is complete


def test_new_host_is_not_in_service_without_reload() -> None:
    state = replace(begun("repair"), hosts={})
    state = rotation.set_hosts(state, actor(), {"a": Inspection()})
    state = rotation.start_batch(state, actor(), ["a"])
    state = rotation.record_host(state, actor(), "a", evidence(state, reloaded=False))
    assert state.hosts["a"] == using(OLD, error=rotation.NO_EVIDENCE)


def test_host_without_evidence_may_hold_both_tokens() -> None:
    state = rotation.start_batch(publishing(), actor(), ["a"])
    state = rotation.record_host(state, actor(), "a", None)
    assert state.hosts["a"] == using(OLD, NEW, error=rotation.NO_EVIDENCE)


STALE: dict[str, dict[str, str]] = {
    "another rotation": {"rotation": "an earlier one"},
    "another token": {"fingerprint": MARKS[OLD]},
    "no write": {"rotation": "", "fingerprint": ""},
}


@each_row("changes", STALE.values(), ids=STALE.keys())
def test_evidence_of_another_rotation_is_rejected(changes: dict[str, Any]) -> None:
    state = rotation.start_batch(publishing(), actor(), ["a"])
    message = "^the evidence of a is about another rotation or token$"
    with pytest.raises(BadState, match=message):
        rotation.record_host(state, actor(), "a", evidence(state, **changes))


@each_row("changes", STALE.values(), ids=STALE.keys())
def test_error_before_write_is_recorded_without_evidence(changes: dict[str, Any]) -> None:
    state = rotation.start_batch(publishing(), actor(), ["a"])
    found = evidence(state, error=f"Write the token file: {NEW}", **changes)
    state = rotation.record_host(state, actor(), "a", found)
    assert state.hosts["a"] == using(OLD, NEW, error="Write the token file: (a token)")


def test_other_hosts_are_rejected() -> None:
    state = publishing()
    for call in (
        lambda: rotation.start_batch(state, actor(), ["a", "stranger"]),
        lambda: rotation.record_host(state, actor(), "stranger", None),
    ):
        with pytest.raises(BadState, match=r"^stranger is not a host of this rotation$"):
            call()


def test_hosts_to_publish_are_those_without_proof() -> None:
    state = publishing()
    assert rotation.to_publish(state) == ["a", "b"]
    state = rotation.start_batch(state, actor(), ["a"])
    assert rotation.to_publish(state) == ["a", "b"]
    state = rotation.record_host(state, actor(), "a", evidence(state))
    assert rotation.to_publish(state) == ["b"]
    assert rotation.to_publish(rotation.record_host(state, actor(), "b", None)) == []
    assert rotation.to_publish(promoted()) == []
    assert rotation.to_publish(State(held(OLD))) == []


def test_last_phase_publishes_to_hosts_whose_evidence_was_lost() -> None:
    state = promoted()
    state = replace(state, hosts={**state.hosts, "b": Host((MARKS[NEW],))})
    assert rotation.to_publish(state) == ["b"]
    state = rotation.start_batch(state, actor(), ["b"])
    state = rotation.record_host(state, actor(), "b", evidence(state))
    assert rotation.to_publish(state) == []


def test_no_host_returns_to_dead_token() -> None:
    state = returning()
    assert state.rotation is not None
    state = replace(state, rotation=replace(state.rotation, current_dead=True))
    assert rotation.to_publish(state) == []


def test_rollback_publishes_to_hosts_that_may_hold_new_token() -> None:
    state = publishing()
    state = rotation.start_batch(state, actor(), ["a"])
    state = rotation.record_host(state, actor(), "a", None)
    state = rotation.roll_back(state, actor(), "publish", "a: no result")
    assert rotation.to_publish(state) == ["a"]


# Promote


def test_promote_replaces_current_token() -> None:
    before = replace(recorded(publishing()), previous=(held(OLDEST),))
    state = rotation.promote(before, actor(5))
    assert (state.current, state.pending) == (held(NEW, since=NOW + 1), None)
    assert state.previous == (held(OLDEST), held(OLD))
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.renewed) == (Phase.RETIRING, NOW + 5)
    assert events_of(state)[-2:] == [("publish", "published"), ("promote", "promoted")]
    published = state.events[-2]
    assert (published["detail"], published["fingerprints"]) == ("a, b", [MARKS[NEW]])


def test_promote_of_first_token_leaves_no_previous() -> None:
    state = replace(recorded(publishing("refused")), current=None)
    assert rotation.promote(state, actor()).previous == ()


UNPROVED: dict[str, dict[str, Any]] = {
    "unreachable": {"b": None},
    "unhealthy": {"b": HostEvidence("", "", error="HTTP 503")},
}


@each_row("found", UNPROVED.values(), ids=UNPROVED.keys())
def test_promote_requires_evidence_of_each_host(found: dict[str, Any]) -> None:
    state = recorded(publishing(), **found)
    with pytest.raises(BadState, match=r"^no evidence that these hosts use the new token: b$"):
        rotation.promote(state, actor())


def test_promote_requires_evidence_of_host_that_got_nothing() -> None:
    with pytest.raises(BadState, match=r"use the new token: a, b$"):
        rotation.promote(publishing(), actor())


@each_row("found", UNPROVED.values(), ids=UNPROVED.keys())
def test_dead_old_token_is_replaced_without_evidence(found: dict[str, Any]) -> None:
    state = rotation.promote(recorded(publishing("refused"), **found), actor(5))
    assert state.previous == (held(OLD, refused=True),)
    assert state.events[-3]["detail"] == "a"


@each_row("phase", [one for one in Phase if one is not Phase.PUBLISHING])
def test_promote_requires_published_token(phase: Phase) -> None:
    message = f"^there is no token to promote while the rotation is {phase.value}$"
    with pytest.raises(BadState, match=message):
        rotation.promote(in_progress(phase, pending=NEW), actor())


def test_repair_is_promoted_without_pending_token() -> None:
    found = dict.fromkeys(HOSTS, Inspection((MARKS[OLD],), differs=True))
    state = rotation.set_hosts(begun("repair"), actor(), found)
    state = rotation.promote(recorded(state, b=None), actor(5))
    assert (state.current, state.previous, phase_of(state)) == (held(OLD), (), Phase.RETIRING)
    assert events_of(state)[-1] == ("publish", "published")
    assert (state.events[-1]["detail"], state.events[-1]["fingerprints"]) == ("a", [MARKS[OLD]])


@each_row(
    ("mode", "is_dead", "outage"),
    [
        *((Mode.TOKEN, False, False), (Mode.CLIENT, False, False), (Mode.TOKEN, True, True)),
        *((Mode.CLIENT, True, True), (Mode.EMERGENCY, True, True)),
    ],
)
def test_outage_is_recorded(mode: Mode, is_dead: bool, outage: bool) -> None:
    hosts = {name: using(NEW) for name in HOSTS}
    state = in_progress(Phase.PUBLISHING, mode, NEW, hosts=hosts)
    assert state.rotation is not None
    state = replace(state, rotation=replace(state.rotation, current_dead=is_dead))
    if mode is Mode.EMERGENCY:
        state = replace(state, current=None)
    state = rotation.promote(state, actor(7.25))
    details = [one["detail"] for one in state.events if one["outcome"] == "outage"]
    assert details == (["at most 7.2 s"] if outage else [])
    assert events_of(state)[-1] == ("promote", "promoted")


def test_first_token_causes_no_outage() -> None:
    state = replace(recorded(publishing("refused")), current=None)
    assert "outage" not in dict(map(reversed, events_of(rotation.promote(state, actor()))))


# Another token


@each_row("phase", Phase)
@each_row("mode", Mode)
def test_rotation_that_would_end_with_dead_token_needs_another(phase: Phase, mode: Mode) -> None:
    state = in_progress(phase, mode)
    needed = mode is Mode.REPAIR or phase in (Phase.RETIRING, Phase.RETURNING)
    assert rotation.needs_another_token(state, "refused") is needed
    assert rotation.needs_another_token(state, "inconclusive") is False
    assert rotation.needs_another_token(State(held(OLD)), "refused") is False


@each_row(("mode", "after"), [(Mode.REPAIR, Mode.TOKEN), (Mode.CLIENT, Mode.CLIENT)])
@each_row("phase", [one for one in Phase if one is not Phase.ISSUING])
def test_another_token_is_issued_after_current_one_died(
    phase: Phase, mode: Mode, after: Mode
) -> None:
    state = rotation.issue_another(in_progress(phase, mode), actor(5))
    assert state.rotation is not None
    assert (state.rotation.mode, state.rotation.phase) == (after, Phase.ISSUING)
    assert (state.rotation.current_dead, state.rotation.renewed) == (True, NOW + 5)
    assert rotation.set_pending(state, actor(6), issued()).pending == held(NEW, since=NOW + 6)


@each_row(("phase", "pending"), [(Phase.ISSUING, ""), (Phase.PUBLISHING, NEW)])
def test_another_token_is_not_issued_before_last_phase(phase: Phase, pending: str) -> None:
    with pytest.raises(BadState, match=r"^another token is issued only in the last phase of a"):
        rotation.issue_another(in_progress(phase, pending=pending), actor())


# Roll back


def test_roll_back_keeps_old_token() -> None:
    state = rotation.roll_back(publishing(), actor(5), "verify", f"the API refuses {NEW}")
    assert (state.current, state.pending) == (held(OLD), None)
    assert state.previous == (held(NEW, since=NOW + 1),)
    assert state.rotation is not None
    assert (state.rotation.phase, state.rotation.renewed) == (Phase.RETURNING, NOW + 5)
    assert state.rotation.reason == "verify: the API refuses (a token)"
    assert events_of(state)[-1] == ("rollback", "failed")
    assert state.events[-1]["detail"] == state.rotation.reason


def test_roll_back_before_issue_is_possible() -> None:
    state = rotation.roll_back(begun(), actor(), "issue", "the API does not answer")
    assert (state.current, state.previous, phase_of(state)) == (held(OLD), (), Phase.RETURNING)


def test_roll_back_clears_errors_of_hosts_that_may_hold_new_token() -> None:
    state = recorded(publishing(), b=None)
    unrelated = {**state.hosts, "c": Host((MARKS[OLD],), error="no such folder")}
    state = rotation.roll_back(replace(state, hosts=unrelated), actor(), "publish", "b")
    assert {name: host.error for name, host in state.hosts.items()} == {
        "a": "",
        "b": "",
        "c": "no such folder",
    }


def with_dead_token(pending: str, hosts: Mapping[str, Host]) -> State:
    """Return a rotation whose old token is dead."""
    state = in_progress(Phase.PUBLISHING, pending=pending, hosts=hosts)
    assert state.rotation is not None
    return replace(state, rotation=replace(state.rotation, current_dead=True))


ROLLBACKS: dict[str, tuple[State, bool]] = {
    "old token alive": (publishing(), True),
    "old token alive, published": (recorded(publishing()), True),
    "old token dead, nothing issued": (with_dead_token("", {"a": using(OLD)}), True),
    "old token dead, not published": (with_dead_token(NEW, {"a": using(OLD)}), True),
    "old token dead, published": (with_dead_token(NEW, {"a": using(OLD, NEW)}), False),
    "no old token, published": (
        replace(with_dead_token(NEW, {"a": using(NEW)}), current=None),
        False,
    ),
    "promoted": (promoted(), False),
    "rolled back": (returning(), False),
}


@each_row(("state", "possible"), ROLLBACKS.values(), ids=ROLLBACKS.keys())
def test_roll_back_is_possible_while_hosts_can_use_old_token(state: State, possible: bool) -> None:
    assert rotation.can_roll_back(state) is possible
    if possible:
        assert phase_of(rotation.roll_back(state, actor(), "publish", "b")) is Phase.RETURNING
    else:
        with pytest.raises(BadState, match=r"^a rollback is not possible"):
            rotation.roll_back(state, actor(), "publish", "b")


def test_roll_back_without_rotation_is_impossible() -> None:
    assert rotation.can_roll_back(State(held(OLD))) is False


# Retire


def previous(one: Credential, phase: Phase | None, *holding: str) -> State:
    """Return a state with one previous token and the hosts that may hold it."""
    hosts = {name: Host((one.fingerprint,)) for name in holding}
    state = in_progress(phase or Phase.RETIRING, hosts=hosts)
    return replace(state, previous=(one,), rotation=state.rotation if phase else None)


REVOCABLE: list[tuple[Credential, Phase | None, tuple[str, ...], bool]] = [
    *((held(OLDEST), phase, (), phase not in OPEN) for phase in (*Phase, None)),
    *((held(OLDEST), phase, ("a",), False) for phase in (*Phase, None)),
    *((held(OLDEST, refused=True), phase, ("a",), phase not in OPEN) for phase in (*Phase, None)),
    *((held(OLDEST, compromised=True), phase, ("a",), True) for phase in (*Phase, None)),
]


@each_row(("one", "phase", "holding", "revocable"), REVOCABLE)
def test_token_is_revoked_only_if_no_host_needs_it(
    one: Credential, phase: Phase | None, holding: tuple[str, ...], revocable: bool
) -> None:
    state = previous(one, phase, *holding)
    assert rotation.revocable(state) == ([one] if revocable else [])
    if revocable:
        assert rotation.retire(state, actor(), [row(OLDEST)]).previous == ()
    else:
        with pytest.raises(BadState, match=r"^a token was revoked that a host may still hold$"):
            rotation.retire(state, actor(), [row(OLDEST)])


@each_row("unknown", [OLD, NEW, FOREIGN], ids=["current", "pending", "not in the store"])
def test_result_of_another_token_is_rejected(unknown: str) -> None:
    state = in_progress(Phase.RETIRING, pending=NEW)
    with pytest.raises(BadState, match=r"^a token was revoked that a host may still hold$"):
        rotation.retire(state, actor(), [row(unknown)])


TWO = replace(in_progress(Phase.RETIRING), previous=(held(OLDEST), held(NEW)))


@each_row("outcome", DEAD)
def test_revoked_tokens_are_removed(outcome: str) -> None:
    state = rotation.retire(TWO, actor(), [row(OLDEST, outcome), row(NEW, outcome)])
    assert (state.current, state.previous) == (held(OLD), ())
    assert events_of(state) == [("retire", outcome)] * 2


@each_row("outcome", NOT_DEAD)
def test_tokens_not_revoked_are_kept(outcome: str) -> None:
    state = rotation.retire(TWO, actor(), [row(OLDEST, outcome), row(NEW, "revoked")])
    assert state.previous == (held(OLDEST),)
    assert events_of(state) == [("retire", outcome), ("retire", "revoked")]


@each_row("outcome", [*DEAD, "expired"])
@each_row("verified", [False, None, "true", 1], ids=repr)
def test_unverified_tokens_are_kept(outcome: str, verified: object) -> None:
    state = rotation.retire(TWO, actor(), [row(OLDEST, outcome, verified), row(NEW, "revoked")])
    assert state.previous == (held(OLDEST),)
    unknown = {"fingerprint": MARKS[OLDEST], "outcome": outcome}
    assert rotation.retire(state, actor(), [unknown]).previous == (held(OLDEST),)


def test_tokens_without_result_are_kept() -> None:
    assert rotation.retire(TWO, actor(), []) == TWO


# Finish


@each_row(
    ("state", "outcome"),
    [(promoted(), "finished"), (recorded(returning()), "rolled_back")],
    ids=["promoted", "rolled back"],
)
def test_finish_records_current_token(state: State, outcome: str) -> None:
    ended = rotation.finish(state, actor())
    assert ended.rotation is None
    assert events_of(ended)[-1] == ("report", outcome)
    assert state.current is not None
    assert ended.events[-1]["fingerprints"] == [state.current.fingerprint]


UNFINISHED: dict[str, State] = {
    "begun": begun(),
    "publishing": publishing(),
    "published": recorded(publishing()),
    "a host may hold the new token": returning(),
    "a host was lost in the rollback": recorded(returning(), b=None),
}


@each_row("state", UNFINISHED.values(), ids=UNFINISHED.keys())
def test_finish_before_promote_or_complete_rollback_is_rejected(state: State) -> None:
    assert rotation.can_finish(state) is False
    with pytest.raises(BadState, match=r"^the rotation is not finished: promote its token"):
        rotation.finish(state, actor())


def test_finish_without_rotation_is_rejected() -> None:
    assert rotation.can_finish(State(held(OLD))) is False
    with pytest.raises(BadState, match=r"^no rotation has begun$"):
        rotation.finish(State(held(OLD)), actor())


@each_row("flag", ["compromised", "refused"])
def test_rollback_does_not_wait_for_hosts_with_dead_token(flag: str) -> None:
    state = returning()
    (left,) = state.previous
    flagged: dict[str, Any] = {flag: True}
    state = replace(state, previous=(replace(left, **flagged),))
    assert (rotation.unreturned(state), rotation.can_finish(state)) == ([], True)


def test_unreturned_hosts_are_those_that_may_hold_new_token() -> None:
    assert rotation.unreturned(returning()) == ["a", "b"]
    assert rotation.unreturned(recorded(returning(), b=None)) == ["b"]
    assert rotation.unreturned(recorded(returning())) == []


# All transitions


def set_hosts(state: State, who: Actor) -> State:
    """Set the hosts of a rotation."""
    return rotation.set_hosts(state, who, dict.fromkeys(HOSTS, Inspection()))


TRANSITIONS: dict[str, Callable[[State, Actor], State]] = {
    "set_hosts": set_hosts,
    "mark_compromised": rotation.mark_compromised,
    "adopt": lambda state, who: rotation.adopt(state, who, [issued(FOREIGN)]),
    "set_pending": lambda state, who: rotation.set_pending(state, who, issued()),
    "verify": lambda state, who: rotation.verify(state, who, "accepted", "accepted"),
    "start_batch": lambda state, who: rotation.start_batch(state, who, ["a"]),
    "record_host": lambda state, who: rotation.record_host(state, who, "a", None),
    "issue_another": rotation.issue_another,
    "promote": rotation.promote,
    "roll_back": lambda state, who: rotation.roll_back(state, who, "issue", "no answer"),
}


@each_row("name", TRANSITIONS)
def test_transition_without_rotation_is_rejected(name: str) -> None:
    with pytest.raises(BadState, match=r"^no rotation has begun$"):
        TRANSITIONS[name](State(held(OLD), held(OLDEST)), actor())


@each_row("name", TRANSITIONS)
@each_row("phase", Phase)
def test_transition_of_run_without_lock_is_rejected(name: str, phase: Phase) -> None:
    state = in_progress(phase, pending=NEW, run="there/2/2")
    with pytest.raises(BadState, match=r"^this run does not hold the lock; run the role from its"):
        TRANSITIONS[name](state, actor())


@each_row("name", ["verify", "promote"])
def test_transition_without_pending_token_is_rejected(name: str) -> None:
    with pytest.raises(BadState, match=r"^there is no pending token$"):
        TRANSITIONS[name](in_progress(Phase.PUBLISHING), actor())


def test_transitions_do_not_modify_their_input() -> None:
    state = replace(recorded(publishing()), previous=(held(OLDEST),))
    document = text(state)
    for transition in (set_hosts, rotation.mark_compromised, rotation.promote):
        transition(state, actor(5))
    rotation.roll_back(state, actor(5), "verify", "refused")
    rotation.retire(replace(state, rotation=None), actor(5), [row(OLDEST)])
    assert text(state) == document


def test_whole_rotation_leaves_one_token() -> None:
    state = whole_rotation()
    assert state.current == held(NEW, since=NOW + 1)
    assert (state.pending, state.previous, state.rotation) == (None, (), None)
    assert state.hosts == {name: using(NEW) for name in HOSTS}


def test_failed_rotation_leaves_old_token() -> None:
    state = failed_rotation()
    assert state.current == held(OLD)
    assert (state.pending, state.previous, state.rotation) == (None, (), None)
    assert state.hosts == {name: using(OLD) for name in HOSTS}


def test_emergency_keeps_tokens_not_revoked() -> None:
    state = emergency_rotation()
    assert state.current == held(NEW, since=NOW + 3)
    assert state.previous == (held(OLDEST, compromised=True),)
    assert (state.pending, state.rotation) == (None, None)


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
    state = rotation.begin(State(), actor(), "client", "the client has changed")
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


@each_row("answer", ["issued", "forbidden", "no_clear_answer"])
def test_answer_to_old_client_is_recorded(answer: str) -> None:
    for state in (promoted(), whole_rotation()):
        after = rotation.record_old_client(state, actor(9), answer)
        assert events_of(after)[-1] == ("check_old_client", answer)
        assert replace(after, events=state.events) == state


@each_row("rotate", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_event_ids_are_unique_and_deterministic(rotate: Callable[[], State]) -> None:
    ids = [event["id"] for event in rotate().events]
    assert len(set(ids)) == len(ids)
    assert [event["id"] for event in rotate().events] == ids
    assert len({event["rotation"] for event in rotate().events}) == 1


def test_resumed_rotation_keeps_its_id() -> None:
    state = rotation.begin(State(), actor(), "token", "why")
    state = rotation.begin(state, actor(50, "there/2/2"), "token", "it was stopped")
    first, second = state.events
    assert first["rotation"] == second["rotation"]
    assert first["id"] != second["id"]


def test_next_rotation_has_another_id() -> None:
    state = rotation.begin(whole_rotation(), actor(60), "token", "it was forced")
    ids = [event["id"] for event in state.events]
    assert len(set(ids)) == len(ids)
    assert state.events[-1]["rotation"] != state.events[-2]["rotation"]


def test_events_without_rotation_have_unique_ids() -> None:
    state = State(previous=(held(OLD), held(NEW)))
    state = rotation.retire(state, actor(), [row(OLD, "unknown"), row(NEW, "unknown")])
    state = rotation.retire(state, actor(60), [row(OLD), row(NEW)])
    assert len({event["id"] for event in state.events}) == 4
    assert [event["mode"] for event in state.events] == [""] * 4


def test_oldest_events_are_removed_above_limit() -> None:
    state = whole_rotation()
    for number in range(80):
        state = rotation.begin(state, actor(100 + number), "token", f"number {number}")
        state = rotation.roll_back(state, actor(100 + number), "issue", "no answer")
        state = rotation.finish(state, actor(100 + number))
    assert len(state.events) == 200
    assert len({event["id"] for event in state.events}) == 200
    assert state.events[-3]["detail"] == "number 79"


@each_row("rotate", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_events_contain_only_fingerprints(rotate: Callable[[], State]) -> None:
    content = json.dumps(rotate().events)
    assert MARKS[NEW] in content
    assert "eyJ" not in content
    assert not [one for one in MARKS if one in content or one.rpartition(".")[2] in content]
    assert all(event["detail"].count("sha256:") == 0 for event in rotate().events)


@each_row(
    ("message", "shown"),
    [
        (f"401 for {NEW}", "401 for (a token)"),
        (f"Bearer {OLD}, {NEW}.", "Bearer (a token), (a token)"),
        (NEW.partition(".")[0], "(a token)"),
        ("eyJ is a prefix", "(a token) is a prefix"),
        ("HTTP 503", "HTTP 503"),
    ],
)
def test_tokens_in_messages_are_hidden(message: str, shown: str) -> None:
    assert rotation.hide_tokens(message) == shown


def test_dead_token_has_verified_row() -> None:
    assert rotation.is_dead(row(OLD, "already_revoked"))
    assert not rotation.is_dead(None)
    assert not rotation.is_dead(row(OLD, verified=False))
