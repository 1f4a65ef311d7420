# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a rotation, with a store, a control host and hosts that exist in memory only."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState
from ansible_collections.nomba.auth.plugins.module_utils._rotation import NO_EVIDENCE
from ansible_collections.nomba.auth.plugins.module_utils._rotation_plan import RotationOptions
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Actor,
    Phase,
    State,
    parse,
    text,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import (
    ClientAnswer,
    RotationRun,
    RunSettings,
    SaveRequired,
    StepFailed,
    StepResult,
    Tools,
)
from tests.unit.clock import NOW
from tests.unit.core.rotation_factory import (
    FOREIGN,
    MARKS,
    NEW,
    OLD,
    OLDEST,
    OWNER,
    held,
    issued,
    options,
    row,
    using,
)
from tests.unit.core.token_factory import OTHER_ACCOUNT, token
from tests.unit.tables import each_row

HOSTS = ("a", "b", "c")
LEAK = "the credentials may have leaked"


class FakeValues:
    """The values of a run; like the spool, it keeps JSON."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def put(self, name: str, value: Any) -> None:
        self.texts[name] = json.dumps(value)

    def get(self, name: str, default: Any = None) -> Any:
        return json.loads(self.texts[name]) if name in self.texts else default

    def remove(self, name: str) -> None:
        self.texts.pop(name, None)


@dataclass
class FakeStore:
    """A store and its audit log. unsaved: the document that a user's task file must write."""

    document: str = ""
    is_custom: bool = False
    failure: str = ""
    events: list[Mapping[str, Any]] = field(default_factory=list)
    unsaved: str = ""
    writes: int = 0

    def read(self) -> str:
        return self.document

    def write(self, document: str, events: Sequence[Mapping[str, Any]]) -> None:
        if self.failure:
            raise StepFailed(self.failure)
        known = [event["id"] for event in self.events]
        self.events += [event for event in events if event["id"] not in known]
        self.writes += 1
        if self.is_custom:
            self.unsaved = document
            raise SaveRequired
        self.document = document


OLD_CLIENT = {"client_id": "old", "client_secret": "an old secret"}


@dataclass
class FakeControl:
    """The API and the issued file on the control host; calls: what was asked of them, in order."""

    file: dict[str, Any] | None = None
    unreadable: str = ""
    issue_failure: str = ""
    probe_failure: str = ""
    probes: dict[str, str] = field(default_factory=dict)
    alive: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    old_client: str = "forbidden"
    clients: dict[str, ClientAnswer] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=lambda: [NEW, *(token(jti=f"{n}") for n in range(9))])
    calls: list[str] = field(default_factory=list)

    def issued(self) -> Mapping[str, Any] | None:
        if self.unreadable:
            raise StepFailed(self.unreadable)
        return self.file

    def issue(self, tokens: Sequence[str]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        self.calls.append("issue")
        if self.issue_failure:
            raise StepFailed(self.issue_failure)
        self.file = self.file or issued(self.fresh.pop(0))
        return self.file, self.probe([self.file["access_token"], *tokens])

    def discard_issued(self) -> None:
        self.file = None

    def probe(self, tokens: Sequence[str]) -> Mapping[str, str]:
        if self.probe_failure:
            raise StepFailed(self.probe_failure)
        return {fingerprint(one): self.probes.get(one, "accepted") for one in tokens}

    def revoke(
        self, client_id: str, tokens: Sequence[str], issued_until: float | None = None
    ) -> list[dict[str, Any]]:
        tokens = [one for one in tokens if issued_until is None or one not in self.later]
        self.calls += [f"revoke {client_id} {fingerprint(one)}" for one in tokens]
        no_answer = {"outcome": "unknown", "verified": False, "reason": "no answer"}
        return [row(one, **(no_answer if one in self.alive else {"reason": ""})) for one in tokens]

    def check_client(self, client_id: str, secret: str) -> ClientAnswer:
        self.calls.append(f"check_client {client_id} {fingerprint(secret)}")
        return self.clients.get(secret, ClientAnswer(self.old_client, "accepted"))

    @property
    def revoked(self) -> list[str]:
        """The fingerprints of the tokens that were to be revoked, in order."""
        return [one.rpartition(" ")[2] for one in self.calls if one.startswith("revoke ")]


def in_service(**changes: Any) -> State:
    """Return a store with a token that all hosts use."""
    return State(replace(held(OLD), **changes), hosts={name: using(OLD) for name in HOSTS})


class Play:
    """Runs the steps as the tasks of the role do; each task has a process of its own.

    lost: the hosts that are unreachable from their next write on. sick: the hosts whose health
    check fails, with the new token or with each one.
    """

    def __init__(self, state: State | None = None, custom: bool = False, **more: Any) -> None:
        names = set(RotationOptions.__dataclass_fields__) - {"owner", "client"}
        given = {name: more.pop(name) for name in list(more) if name in names}
        self.settings = RunSettings(options(**given), HOSTS, **{"command": "again", **more})
        self.store = FakeStore(text(state) if state else "", is_custom=custom)
        self.control = FakeControl()
        self.values = FakeValues()
        self.run = "here/1/1"
        self.lock_holder = "dead"
        self.lost: set[str] = set()
        self.sick: dict[str, tuple[str, ...]] = {}
        self.published: list[list[str]] = []

    @property
    def state(self) -> State:
        """The state in the store."""
        return parse(self.store.document)

    @property
    def events(self) -> list[tuple[str, str]]:
        """Step and outcome of each event in the audit log."""
        return [(one["step"], one["outcome"]) for one in self.store.events]

    @property
    def phase(self) -> Phase | None:
        """The phase of the rotation in the store."""
        return self.state.rotation.phase if self.state.rotation else None

    def _task(self) -> RotationRun:
        def actor() -> Actor:
            return Actor(NOW, self.run, "ada", "controller")

        tools = Tools(self.store, self.control, self.values, actor, lambda _run: self.lock_holder)
        return RotationRun(self.settings, tools)

    def step(self, name: str, *arguments: Any) -> StepResult:
        """Run a step, and with a custom store the task files after it."""
        run = self._task()
        try:
            getattr(run, name)(*arguments)
        except SaveRequired:
            self.store.document = self.store.unsaved
            if run.result.repeat:
                return self.step(name)
        return run.result

    def inspect(self, **found: Any) -> None:
        """Inspect the hosts: each file contains OLD; found: the results of other hosts."""
        for name in HOSTS:
            result = {"fingerprints": [MARKS[OLD]], "differs": False, "error": ""}
            if found.get(name, result) is not None:
                self.values.put(f"inspection {name}", found.get(name, result))

    def write_hosts(self, result: StepResult) -> StepResult:
        """Write the token to a batch, and record what is proved."""
        self.published.append(result.publish)
        for name in result.publish:
            rotation, mark = self.values.get("target", ["", ""])
            is_sick = mark in self.sick.get(name, ())
            evidence = {"rotation": rotation, "fingerprint": mark, "reloaded": True}
            evidence.update({"error": "HTTP 503"} if is_sick else {"healthy": True})
            if name not in self.lost:
                self.values.put(f"evidence {name}", evidence)
        return self.step("record", result.publish)

    def publish(self, result: StepResult) -> None:
        """Publish the token to all batches, and after a failure the old one."""
        for _round in range(result.rounds):
            result = self.write_hosts(result)
        if result.publish:
            self.write_hosts(result)

    def rotate(self, **found: Any) -> dict[str, Any]:
        """Run all steps; return the report."""
        self.step("load")
        if self.settings.options.emergency:
            self.step("revoke_compromised")
        self.inspect(**found)
        self.publish(self.step("prepare"))
        self.step("retire")
        return self.report()

    def report(self) -> dict[str, Any]:
        """Return the report of the run."""
        return self._task().report()


# Load


def test_load_passes_current_token_to_hosts() -> None:
    play = Play(replace(in_service(), previous=(held(OLDEST),)))
    result = play.step("load")
    assert (result.changed, result.message) == (False, "The store was read.")
    assert play.values.get("credential")["access_token"] == OLD
    assert play.values.get("known") == [MARKS[OLD], MARKS[OLDEST]]
    assert play.store.writes == 0


def test_load_of_empty_store_passes_no_token() -> None:
    play = Play()
    play.step("load")
    assert (play.values.get("credential"), play.values.get("known")) == (None, [])


def test_damaged_store_stops_run() -> None:
    play = Play()
    play.store.document = "{}"
    with pytest.raises(BadState, match="something else than the state of a rotation"):
        play.step("load")


def test_store_is_read_once_in_run() -> None:
    play = Play(in_service(), force=True)
    play.step("load")
    play.store.document = text(State())
    play.inspect()
    play.step("prepare")
    assert play.state.current == held(OLD)


# Revoke compromised


def emergency(state: State | None = None, **more: Any) -> Play:
    """Return an emergency run, after load."""
    leaked = state or replace(in_service(), previous=(held(OLDEST),))
    play = Play(leaked, emergency=True, **more)
    play.step("load")
    return play


def test_emergency_revokes_before_hosts_are_inspected() -> None:
    play = emergency()
    result = play.step("revoke_compromised")
    assert play.control.calls == [
        f"revoke {OWNER.client_id} {MARKS[OLD]}",
        f"revoke {OWNER.client_id} {MARKS[OLDEST]}",
    ]
    assert result.message.startswith(f"Revoked and verified: {MARKS[OLD]} (at 2027-01-15T08:00:00Z")
    assert (play.state.current, play.state.previous, play.phase) == (None, (), Phase.ISSUING)
    assert (result.changed, result.repeat) == (True, False)


def test_emergency_revokes_tokens_of_each_client() -> None:
    play = emergency(replace(in_service(), previous=(held(OLDEST, client_id="other"),)))
    play.step("revoke_compromised")
    assert play.control.calls == [
        f"revoke {OWNER.client_id} {MARKS[OLD]}",
        f"revoke other {MARKS[OLDEST]}",
    ]


def test_emergency_without_token_in_store() -> None:
    play = emergency(State())
    assert play.step("revoke_compromised").message == "The store contains no token to revoke."
    assert play.control.calls == []


def test_unreadable_issued_file_does_not_stop_emergency() -> None:
    play = emergency()
    play.control.unreadable = "issued.json does not contain a token"
    with pytest.raises(StepFailed, match=r"^Revoked and verified: .* Afterwards: issued.json"):
        play.step("revoke_compromised")
    assert play.control.revoked == [MARKS[OLD], MARKS[OLDEST]]
    assert play.state.current is None


def test_leftover_issued_token_is_revoked_too() -> None:
    play = emergency()
    play.control.file = issued(FOREIGN)
    play.step("revoke_compromised")
    assert play.control.revoked == [MARKS[OLD], MARKS[OLDEST], MARKS[FOREIGN]]
    assert (play.state.previous, play.control.file) == ((), None)


def test_tokens_that_a_leftover_token_has_replaced_are_revoked_too() -> None:
    play = emergency()
    play.control.file = issued(FOREIGN, replaced=[NEW])
    play.step("revoke_compromised")
    assert play.control.revoked[2:] == [MARKS[FOREIGN], MARKS[NEW]]
    assert (play.state.previous, play.control.file) == ((), None)


def test_leftover_issued_token_that_is_not_proved_dead_is_recorded() -> None:
    play = emergency()
    play.control.file, play.control.alive = issued(FOREIGN), (FOREIGN,)
    result = play.step("revoke_compromised")
    assert result.message.startswith(f"NOT VERIFIED as revoked: {MARKS[FOREIGN]} (no answer). Rev")
    assert play.state.previous == (held(FOREIGN, since=NOW, compromised=True),)
    assert play.control.file is None


@each_row("custom", [False, True])
def test_verdict_is_in_error_of_store(custom: bool) -> None:
    play = emergency(custom=custom)
    play.store.failure = "the store is sealed"
    with pytest.raises(StepFailed) as caught:
        play.step("revoke_compromised")
    message = str(caught.value)
    assert message.startswith("Revoked and verified: ")
    assert MARKS[OLD] in message
    assert MARKS[OLDEST] in message
    assert message.endswith("Afterwards: the store is sealed")


def test_active_rotation_of_another_run_does_not_delay_emergency() -> None:
    other = Play(in_service(), force=True)
    other.step("load")
    other.inspect()
    other.step("prepare")
    play = emergency(other.state)
    play.run, play.lock_holder = "here/2/2", "alive"
    before = play.store.document
    with pytest.raises(StepFailed, match="Afterwards: another rotation is active on this machine"):
        play.step("revoke_compromised")
    assert set(play.control.revoked) == {MARKS[OLD], MARKS[NEW]}
    assert play.store.document == before


def test_emergency_with_store_of_another_account_revokes_nothing() -> None:
    play = emergency(State(held(OLD, account_id=OTHER_ACCOUNT)))
    with pytest.raises(StepFailed, match="credential_rotation_account_id: the store contains"):
        play.step("revoke_compromised")
    assert play.control.calls == []


def test_finished_incident_is_not_repeated() -> None:
    play = Play(in_service(), emergency=True, incident="INC-1")
    assert play.rotate()["errors"] == []
    second = Play(play.state, emergency=True, incident="INC-1")
    second.step("load")
    result = second.step("revoke_compromised")
    assert result.message == "No change: the emergency was handled by an earlier run."
    assert (second.control.calls, second.store.writes) == ([], 0)


def test_repeated_incident_revokes_what_is_left() -> None:
    play = Play(replace(in_service(), previous=(held(OLDEST),)), emergency=True, incident="INC-1")
    play.control.alive = (OLDEST,)
    assert play.rotate()["errors"][0].startswith(f"NOT VERIFIED as revoked: {MARKS[OLDEST]}")
    second = Play(play.state, emergency=True, incident="INC-1")
    second.step("load")
    result = second.step("revoke_compromised")
    assert second.control.revoked == [MARKS[OLDEST]]
    assert result.message.startswith(f"Revoked and verified: {MARKS[OLDEST]}")
    assert second.state.current == play.state.current


def test_emergency_in_check_mode_revokes_nothing() -> None:
    play = emergency(check_mode=True)
    play.step("revoke_compromised")
    assert (play.control.calls, play.store.writes) == ([], 0)
    assert play.values.get("notes")["would"] == [f"revoke first: {MARKS[OLD]}, {MARKS[OLDEST]}"]


# Prepare


def prepared(play: Play, **found: Any) -> StepResult:
    """Return the result of prepare."""
    play.step("load")
    play.inspect(**found)
    return play.step("prepare")


def test_valid_token_needs_no_change() -> None:
    play = Play(in_service())
    report = play.rotate()
    line = f"No change: token {MARKS[OLD]} is 100 s old, limit 900 s; 3 host(s) use it."
    assert (report["lines"], report["errors"]) == ([line], [])
    assert (play.control.calls, play.store.writes, play.published) == ([], 0, [])


def test_token_is_recorded_before_it_is_published() -> None:
    play = Play(in_service(), force=True)
    result = prepared(play)
    assert play.state.pending is not None
    assert play.state.pending.secret == NEW
    assert all(MARKS[NEW] in play.state.hosts[name].may_hold for name in result.publish)
    assert play.values.get("credential")["access_token"] == NEW
    assert play.control.file is None
    assert play.control.calls == ["issue"]


def test_issued_token_is_kept_until_store_contains_it() -> None:
    play = Play(in_service(), force=True)
    play.step("load")
    play.inspect()
    play.store.failure = "the store is sealed"
    with pytest.raises(StepFailed, match="the store is sealed"):
        play.step("prepare")
    assert play.control.calls == []
    play.store.failure = ""
    play.control.file = issued()
    play.step("prepare")
    assert (play.control.file, play.state.pending) == (None, held(NEW, since=NOW))


@each_row(
    ("batch", "batches"),
    [
        (0, [["a", "b", "c"]]),
        (1, [["a"], ["b"], ["c"]]),
        (2, [["a", "b"], ["c"]]),
        (3, [["a", "b", "c"]]),
        (9, [["a", "b", "c"]]),
    ],
)
def test_batches(batch: int, batches: list[list[str]]) -> None:
    play = Play(in_service(), force=True, batch=batch)
    assert play.rotate()["errors"] == []
    assert play.published == batches
    assert (play.state.rotation, play.state.previous) == (None, ())
    assert play.control.revoked == [MARKS[OLD]]


def test_dead_token_is_replaced_on_all_hosts_at_once() -> None:
    play = Play(in_service(), batch=1)
    play.control.probes = {OLD: "refused"}
    assert play.rotate()["errors"] == []
    assert play.published == [["a", "b", "c"]]


def rejected(probe: str) -> str:
    """Return the reason that a token was not accepted."""
    return f"verify: {MARKS[NEW]}: the API does not accept the new token (probe: {probe})"


FAILURES: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "issue": ({"issue_failure": "HTTP 503"}, "issue: HTTP 503", []),
    "probe refused": ({"probes": {NEW: "refused"}}, rejected("refused"), [MARKS[NEW]]),
    "probe inconclusive": (
        {"probes": {NEW: "inconclusive"}},
        rejected("inconclusive"),
        [MARKS[NEW]],
    ),
}


@each_row(("settings", "reason", "revoked"), FAILURES.values(), FAILURES.keys())
def test_failure_before_publishing_touches_no_host(
    settings: dict[str, Any], reason: str, revoked: list[str]
) -> None:
    play = Play(in_service(), force=True)
    play.control.__dict__.update(copy.deepcopy(settings))
    report = play.rotate()
    assert report["errors"] == [
        f"No new token is in service: {reason}.",
        f"Rolled back: the hosts hold {MARKS[OLD]} again.",
        "Next: again",
    ]
    assert (play.published, play.control.revoked) == ([], revoked)
    assert play.state.hosts == in_service().hosts
    assert (play.state.current, play.state.rotation) == (held(OLD), None)


def test_failed_probe_rolls_back() -> None:
    play = Play(stopped(), force=True)
    play.run = "here/2/2"
    play.step("load")
    play.inspect()
    fakes = play.control
    probe = fakes.probe

    def probe_and_break(tokens: Sequence[str]) -> Mapping[str, str]:
        found, fakes.probe_failure = probe(tokens), "no route to host"
        return found

    fakes.probe = probe_and_break  # type: ignore[method-assign]
    play.publish(play.step("prepare"))
    play.step("retire")
    assert play.report()["errors"][0] == "No new token is in service: verify: no route to host."
    assert play.control.revoked == [MARKS[NEW]]


def test_token_that_was_issued_by_a_failed_module_run_is_revoked() -> None:
    play = Play(in_service(), force=True)
    control = play.control

    def issue_and_crash(_tokens: Sequence[str]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        control.file = issued(NEW)
        raise StepFailed("the module has crashed")

    control.issue = issue_and_crash  # type: ignore[method-assign]
    report = play.rotate()
    assert report["errors"][0] == "No new token is in service: issue: the module has crashed."
    assert (control.revoked, control.file) == ([MARKS[NEW]], None)


def stopped(**more: Any) -> State:
    """Return the state that a run left when it was killed after prepare."""
    play = Play(in_service(), force=True, **more)
    prepared(play)
    return play.state


def test_resumed_rotation_publishes_recorded_token() -> None:
    play = Play(stopped(), has_client_secret=False)
    play.run = "here/2/2"
    report = play.rotate()
    assert (
        report["lines"][0] == "begin  resumed  an earlier run was stopped while it was publishing"
    )
    assert (report["errors"], play.control.calls) == (
        [],
        [f"revoke {OWNER.client_id} {MARKS[OLD]}"],
    )
    assert play.state.current == held(NEW, since=NOW)


def test_resumed_token_that_api_refuses_is_replaced() -> None:
    play = Play(stopped())
    play.run = "here/2/2"
    play.control.probes = {NEW: "refused"}
    play.control.fresh = [FOREIGN]
    assert play.rotate()["errors"] == []
    assert play.state.current == held(FOREIGN, since=NOW)
    assert set(play.control.revoked) == {MARKS[OLD], MARKS[NEW]}


def test_hosts_on_dead_tokens_keep_rotation_open() -> None:
    state = stopped()
    assert state.rotation is not None
    state = replace(state, rotation=replace(state.rotation, current_dead=True))
    play = Play(state)
    play.control.probes = {NEW: "inconclusive", OLD: "refused"}
    report = play.rotate()
    assert report["errors"] == [
        f"The rotation is not finished: {rejected('inconclusive')}.",
        f"The API refuses the current token {MARKS[OLD]}.",
        "Next: again",
    ]
    assert (play.phase, play.control.calls) == (Phase.PUBLISHING, [])


def test_issued_token_of_killed_run_is_used() -> None:
    play = Play(in_service(), force=True)
    play.control.file = issued(FOREIGN)
    assert play.rotate()["errors"] == []
    assert play.state.current == held(FOREIGN, since=NOW)


def test_issued_file_with_recorded_token_is_removed() -> None:
    play = Play(stopped())
    play.control.file = issued(NEW)
    prepared(play)
    assert play.control.file is None
    assert play.control.calls == []


def test_blocked_run_changes_nothing() -> None:
    play = Play(in_service(), force=True)
    with pytest.raises(StepFailed, match=r"^b \(unreachable\): cannot receive a token\. Nothing"):
        prepared(play, b=None)
    assert (play.control.calls, play.store.writes) == ([], 0)


def test_emergency_requires_its_first_step() -> None:
    play = emergency()
    play.inspect()
    with pytest.raises(StepFailed, match=r"^The compromised tokens were not revoked: that task"):
        play.step("prepare")
    assert (play.control.calls, play.store.writes) == ([], 0)


def test_retire_requires_prepare() -> None:
    play = Play(in_service(), force=True)
    play.step("load")
    with pytest.raises(StepFailed, match=r"^The rotation was not prepared\. Run the role from its"):
        play.step("retire")


# Unknown tokens


def with_unknown(play: Play) -> StepResult:
    """Return the result of prepare with a token on host b that is not in the store."""
    play.step("load")
    play.values.put("unknown b", [FOREIGN])
    mark = [fingerprint(FOREIGN)]
    play.inspect(b={"fingerprints": mark, "differs": True, "error": ""})
    return play.step("prepare")


def test_unknown_live_token_stops_run() -> None:
    play = Play(in_service())
    with pytest.raises(StepFailed, match=f"{MARKS[FOREIGN]} on b. Nothing was changed"):
        with_unknown(play)
    assert (play.control.calls, play.store.writes) == ([], 0)


def test_adopted_token_is_revoked_after_repair() -> None:
    play = Play(in_service(), adopt_unknown=True)
    play.publish(with_unknown(play))
    assert play.control.calls == []
    play.step("retire")
    assert play.report()["errors"] == []
    assert play.control.revoked == [MARKS[FOREIGN]]
    assert (play.state.current, play.state.previous) == (held(OLD), ())


def test_dead_unknown_token_is_no_reason_to_stop() -> None:
    play = Play(in_service())
    play.control.probes = {FOREIGN: "refused"}
    assert with_unknown(play).publish == ["b"]
    assert play.state.credentials == [held(OLD)]


def test_unknown_token_is_revoked_in_emergency() -> None:
    play = emergency(in_service())
    play.step("revoke_compromised")
    with_unknown(play)
    assert play.control.revoked == [MARKS[OLD], MARKS[FOREIGN]]


# Record


def test_lost_host_rolls_back() -> None:
    play = Play(in_service(), force=True, batch=2)
    play.lost = {"b"}
    report = play.rotate()
    assert play.published == [["a", "b"], ["a", "b"]]
    assert report["errors"][0].startswith("ROLLBACK INCOMPLETE: b may still use ")
    assert (play.phase, play.control.revoked) == (Phase.RETURNING, [])
    assert play.state.hosts["a"] == using(OLD)
    assert set(play.state.hosts["b"].may_hold) == {MARKS[OLD], MARKS[NEW]}


def test_next_run_completes_rollback() -> None:
    play = Play(in_service(), force=True)
    play.lost = {"b"}
    play.rotate()
    second = Play(play.state)
    second.run = "here/2/2"
    assert second.rotate()["errors"] == [
        f"No new token is in service: publish: b: {NO_EVIDENCE}.",
        f"Rolled back: the hosts hold {MARKS[OLD]} again.",
        "Next: again",
    ]
    assert second.published == [["b"]]
    assert second.control.revoked == [MARKS[NEW]]
    assert (second.state.rotation, second.state.current) == (None, held(OLD))


def test_failure_in_second_batch_returns_first_one() -> None:
    play = Play(in_service(), force=True, batch=1)
    play.sick = {"b": (MARKS[NEW],)}
    report = play.rotate()
    assert play.published == [["a"], ["b"], ["a", "b"]]
    assert report["errors"][:2] == [
        "No new token is in service: publish: b: HTTP 503.",
        f"Rolled back: the hosts hold {MARKS[OLD]} again.",
    ]
    assert play.state.hosts == in_service().hosts
    assert play.control.revoked == [MARKS[NEW]]


def test_host_that_is_unhealthy_with_each_token_is_reported() -> None:
    play = Play(in_service(), force=True)
    play.sick = {"b": (MARKS[NEW], MARKS[OLD])}
    errors = play.rotate()["errors"]
    assert errors[2] == "Failed hosts: b: HTTP 503 (with the old token, too)."


def test_failed_host_beside_dead_token_keeps_new_token() -> None:
    play = Play(in_service())
    play.control.probes, play.lost = {OLD: "refused"}, {"b"}
    report = play.rotate()
    assert report["errors"] == [f"Failed hosts: b: {NO_EVIDENCE}.", "Next: again"]
    assert play.state.current == held(NEW, since=NOW)


def test_evidence_of_earlier_batch_is_not_used_again() -> None:
    play = Play(in_service(), force=True, batch=1)
    play.values.put("evidence a", {"rotation": "earlier", "fingerprint": MARKS[NEW]})
    prepared(play)
    assert play.values.get("evidence a") is None


def test_record_without_lock_is_rejected() -> None:
    play = Play(in_service(), force=True)
    result = prepared(play)
    play.run, play.lock_holder = "here/2/2", "alive"
    before = play.store.document
    with pytest.raises(StepFailed, match="another rotation is active on this machine"):
        play.step("record", result.publish)
    play.lock_holder = "dead"
    with pytest.raises(BadState, match="does not hold the lock"):
        play.step("record", result.publish)
    assert play.store.document == before


# Retire, and report


def test_skipped_hosts_prevent_promotion() -> None:
    play = Play(in_service(), force=True)
    prepared(play)
    play.step("retire")
    report = play.report()
    assert report["errors"] == ["The rotation is not finished: it is publishing.", "Next: again"]
    assert (play.phase, play.control.revoked) == (Phase.PUBLISHING, [])


def test_repeated_retire_does_nothing() -> None:
    play = Play(in_service(), force=True)
    play.rotate()
    calls, writes = list(play.control.calls), play.store.writes
    play.step("retire")
    assert (play.control.calls, play.store.writes) == (calls, writes)


def test_token_that_is_not_revoked_stays_in_store() -> None:
    play = Play(in_service(), force=True)
    play.control.alive = (OLD,)
    report = play.rotate()
    assert report["errors"][0].startswith(f"NOT VERIFIED as revoked: {MARKS[OLD]} (no answer)")
    assert [one.secret for one in play.state.previous] == [OLD]
    second = Play(play.state)
    found = {"fingerprints": [MARKS[NEW]], "differs": False, "error": ""}
    assert second.rotate(**dict.fromkeys(HOSTS, found))["errors"] == []
    assert second.control.revoked == [MARKS[OLD]]


@each_row(
    ("answer", "error"),
    [
        ("forbidden", None),
        ("unknown_client", None),
        ("issued", "The old client still gets tokens; the token just issued is revoked."),
        ("no_clear_answer", "The check of the old client is inconclusive (no_clear_answer)"),
    ],
)
@each_row("custom", [False, True])
def test_old_client_is_checked_once(answer: str, error: str | None, custom: bool) -> None:
    play = Play(in_service(), custom=custom, old_client=OLD_CLIENT)
    play.control.old_client = answer
    errors = play.rotate()["errors"]
    assert play.control.calls == [f"check_client old {fingerprint('an old secret')}"]
    assert play.events == [("check_old_client", answer)]
    assert errors[0].startswith(error) if error else errors == []


def test_report_without_retire_is_an_error() -> None:
    play = Play(in_service(), force=True)
    prepared(play)
    found = play.report()
    assert found["values"]["verdict"] == "NOT FINISHED: the run stopped before its end"
    assert found["errors"] == ["NOT FINISHED: the run stopped before its end.", "Next: again"]


# Check mode


CHECKS: dict[str, tuple[State, dict[str, Any], str]] = {
    "rotation": (
        in_service(),
        {"force": True},
        "issue a token and publish it to 3 host(s): a, b, c. Reason: it was forced.",
    ),
    "resumed rotation": (
        stopped(),
        {},
        (
            "resume the rotation on 3 host(s): a, b, c. Reason: an earlier run was stopped while "
            "it was publishing."
        ),
    ),
    "repair": (
        replace(in_service(), hosts={}),
        {},
        (
            "publish the current token again on 3 host(s): a, b, c. Reason: not proved to use the "
            "token: a, b, c."
        ),
    ),
    "emergency": (
        in_service(),
        {"emergency": True},
        (
            f"revoke first: {MARKS[OLD]}; issue a token and publish it to 3 host(s): a, b, c. "
            "Reason: the credentials may have leaked."
        ),
    ),
    "leftover token": (
        replace(in_service(), previous=(held(OLDEST),)),
        {},
        f"revoke the replaced tokens that are left: {MARKS[OLDEST]}.",
    ),
}


@each_row(("state", "given", "would"), CHECKS.values(), CHECKS.keys())
def test_check_mode_reports_what_real_run_would_do(
    state: State, given: dict[str, Any], would: str
) -> None:
    play = Play(state, check_mode=True, **given)
    play.run = "here/2/2"
    report = play.rotate()
    assert report["lines"] == [f"Check mode: a real run would {would}"]
    assert (report["errors"], play.control.calls, play.store.writes) == ([], [], 0)
    assert play.store.document == text(state)


@each_row(("force", "offered"), [(True, False), (False, True)])
def test_check_mode_compares_files_with_new_token(force: bool, offered: bool) -> None:
    play = Play(in_service(), force=force, check_mode=True)
    prepared(play, b={"fingerprints": [], "differs": True, "error": ""})
    assert (play.values.get("credential") is not None) is offered


# The custom store


SCENARIOS: dict[str, dict[str, Any]] = {
    "rotation in batches": {"force": True, "batch": 1},
    "first token": {"state": State()},
    "rollback": {"force": True, "sick": {"b": (MARKS[NEW],)}},
    "incomplete rollback": {"force": True, "lost": {"b"}},
    "failed issue": {"force": True, "control": {"issue_failure": "HTTP 503"}},
    "refused token": {"force": True, "control": {"probes": {NEW: "refused"}}},
    "resumed, refused token": {
        "state": stopped(),
        "control": {"probes": {NEW: "refused"}, "fresh": [FOREIGN]},
    },
    "leftover token": {"force": True, "control": {"file": issued(FOREIGN)}},
    "dead leftover token": {
        "force": True,
        "control": {"file": issued(FOREIGN), "probes": {FOREIGN: "refused"}},
    },
    "emergency": {"emergency": True},
    "emergency with leftover token": {"emergency": True, "control": {"file": issued(FOREIGN)}},
    "emergency that is not verified": {"emergency": True, "control": {"alive": (OLD,)}},
    "old client": {"force": True, "old_client": OLD_CLIENT},
}


def played(scenario: Mapping[str, Any], custom: bool) -> tuple[Play, dict[str, Any]]:
    """Return a run of a scenario, and its report."""
    given = dict(scenario)
    settings, lost, sick = (given.pop(one, {}) for one in ("control", "lost", "sick"))
    play = Play(given.pop("state", in_service()), custom=custom, **given)
    play.control.__dict__.update(copy.deepcopy(settings))
    play.lost, play.sick = set(lost), dict(sick)
    return play, play.rotate()


@each_row("scenario", SCENARIOS.values(), SCENARIOS.keys())
def test_custom_store_ends_like_file_store(scenario: dict[str, Any]) -> None:
    in_file, report = played(scenario, custom=False)
    custom, same_report = played(scenario, custom=True)
    assert same_report == report
    assert custom.store.document == in_file.store.document
    assert custom.events == in_file.events
    assert [one["id"] for one in custom.store.events] == [one["id"] for one in in_file.store.events]
    assert custom.control.calls == in_file.control.calls
    assert custom.published == in_file.published


@each_row("scenario", SCENARIOS.values(), SCENARIOS.keys())
def test_audit_log_contains_events_of_store(scenario: dict[str, Any]) -> None:
    play, report = played(scenario, custom=False)
    assert [dict(one) for one in play.store.events][-len(play.state.events) :] == [
        dict(one) for one in play.state.events
    ] or "state" in scenario
    assert "eyJ" not in json.dumps([*play.store.events, report], default=str)


def test_report_of_emergency_states_its_reason() -> None:
    play = Play(in_service(), emergency=True)
    report = play.rotate()
    assert report["lines"][0] == f"begin  begun  {LEAK}"
    assert (report["values"]["mode"], report["values"]["reason"]) == ("emergency", LEAK)


def test_dead_leftover_token_is_replaced() -> None:
    play, report = played(SCENARIOS["dead leftover token"], custom=False)
    assert report["errors"] == []
    assert play.state.current == held(NEW, since=NOW)
    assert set(play.control.revoked) == {MARKS[OLD], MARKS[FOREIGN]}
