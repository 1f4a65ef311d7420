# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a rotation against a model of hosts, API, stores and concurrent runs.

After each effect, the model requires that no host holds a token that a run has revoked, except a
leaked one; that each live token is recorded; that no report contradicts the model; and that check
mode changes nothing. From each reached state, at most three ordinary runs must lead to a state in
which all hosts use the only live token and a further run changes nothing.

Two searches reach these states: all plays with at most one deviation from success (each failure and
a kill after each effect), breadth first from the reached states; and random sequences of plays,
which hypothesis shortens. ROTATION_MODEL_SECONDS=600 extends the first search to that time for each
kind of world, ROTATION_MODEL_EXAMPLES=20000 sets the number of the second one:

    ROTATION_MODEL_SECONDS=60 make quick ARGS="tests/unit/modules/test_rotation_model.py -s"
"""

from __future__ import annotations

import copy
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.plugin_utils import _control_host as control_host
from tests.unit.rotation_world import (
    At,
    Choices,
    Kind,
    NoDeviation,
    Run,
    World,
    established,
)

SECONDS = float(os.environ.get("ROTATION_MODEL_SECONDS", "0"))
EXAMPLES = int(os.environ.get("ROTATION_MODEL_EXAMPLES", "160"))
# The plays of the first search without ROTATION_MODEL_SECONDS, for each kind of world.
PLAYS = 110

FORCED = Kind()
DUE = Kind("due", force=False)
THERE = Kind("there", machine="there")
EMERGENCY = Kind("emergency", emergency=True)
INCIDENT = Kind("incident", emergency=True, incident="INC-1")
TAKEOVER = replace(EMERGENCY, name="takeover", machine="there", lock_timeout=0)
REMOVED = Kind("removed", without=("h2",), removed=("h2",))
KINDS = (
    *(FORCED, DUE, THERE, EMERGENCY, INCIDENT, TAKEOVER, REMOVED),
    Kind("all at once", batch=0),
    Kind("check", check=True),
    Kind("check of an emergency", check=True, emergency=True),
    Kind("missing", without=("h2",)),
    Kind("emergency without a host", emergency=True, without=("h2",)),
    Kind("adopt", adopt=True),
    Kind("same process", same_process=True),
    Kind("emergency in the same process", same_process=True, emergency=True),
    Kind("two", other=FORCED),
    Kind("two machines", other=THERE),
    Kind("two, one takes over", batch=0, other=replace(THERE, lock_timeout=0)),
    Kind("emergency meanwhile", other=TAKEOVER),
    Kind("other run in an emergency", emergency=True, other=THERE),
    replace(INCIDENT, other=replace(INCIDENT, machine="there")),
)
CHANGES = (
    *("", "h1 sick", "h2 sick", "h1 sick new", "h2 sick new", "h1 unreachable", "h2 unreachable"),
    *("h1 unknown", "h2 unknown", "h1 damaged", "h2 damaged", "new h3", "current dies"),
    *("clock 7200", "clock -7200", "healthy"),
)
WORLDS: list[dict[str, Any]] = [
    {"store": store, "single_session": is_single}
    for store in ("file", "hashi_vault", "custom")
    for is_single in (False, True)
]


@pytest.fixture(autouse=True, scope="module")
def short_tokens() -> Iterator[None]:
    """Let short names be the tokens of the model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(control_host, "jwts_in", lambda name: [name.decode()])
        yield


def played(world: World, *script: tuple[str, Kind, Choices]) -> Run:
    """Play the script, require that the world can be settled, and return the last run."""
    run = None
    for change, kind, choices in script:
        world.change(change)
        run = world.play(kind, choices)
    copy.deepcopy(world).settle()
    assert run is not None
    return run


def test_a_rotation_without_failures() -> None:
    world = established()
    run = played(world, ("", FORCED, NoDeviation()))
    assert run.errors == []
    assert [one.service for one in world.hosts.values()] == ["token-2", "token-2"]
    assert world.alive == {"token-1": False, "token-2": True}


@pytest.mark.parametrize("change", ["h1 unknown", "current dies"])
def test_a_run_without_its_plan_is_no_success(change: str) -> None:
    run = played(established(), (change, FORCED, At.of(("skip prepare", 1, "skip"))))
    assert run.errors is None


def test_a_run_whose_preparation_failed_is_no_success() -> None:
    choices = At.of(("store", 1, "fails"), ("ignore the failure of prepare", 1, "ignore"))
    assert played(World(), ("", FORCED, choices)).errors is None


@pytest.mark.parametrize(
    ("store", "number"), [("store", 5), ("vault", 5), ("custom write", 5)], ids=str
)
def test_a_run_whose_last_state_was_not_saved_is_no_success(store: str, number: int) -> None:
    kind = {"store": "file", "vault": "hashi_vault", "custom write": "custom"}[store]
    world = established(store=kind)
    ignore = ("ignore the failure of retire", 1, "ignore")
    run = played(world, ("", FORCED, At.of((store, number, "fails"), ignore)))
    assert world.state["rotation"]
    assert run.errors is None


def test_an_emergency_without_its_revocation_does_not_rotate() -> None:
    world = established()
    run = played(world, ("", EMERGENCY, At.of(("skip revoke_compromised", 1, "skip"))))
    assert (run.errors, run.mutations) == (None, [])


def test_a_resumed_emergency_holds_the_lock_before_it_writes() -> None:
    failure = At.of(("revoke token-1", 1, "fails"), ("kill after store written", 1, "kill"))
    played(established(), ("", EMERGENCY, failure), ("", EMERGENCY, NoDeviation()))


@pytest.mark.parametrize("change", ["h1 damaged", "new h3"])
def test_a_rollback_gives_hosts_without_evidence_the_old_token(change: str) -> None:
    world = established()
    run = played(world, (change, FORCED, At.of(("issue", 1, "fails"))))
    assert run.errors
    assert "Rolled back: the hosts hold" in " ".join(run.errors)
    assert {one.service for one in world.hosts.values()} == {"token-1"}


@pytest.mark.parametrize(("change", "name"), [("h1 damaged", "h1"), ("new h3", "h3")])
def test_a_rollback_is_not_claimed_for_a_host_without_evidence(change: str, name: str) -> None:
    choices = At.of(("issue", 1, "fails"), (f"file of {name}", 2, "fails"))
    run = played(established(), (change, FORCED, choices))
    assert run.errors
    assert "the hosts hold" not in " ".join(run.errors)


def test_a_resumed_rollback_includes_a_new_host() -> None:
    world = established()
    lost = At.of(("after the write of h1", 1, "unreachable"))
    run = played(world, ("new h3", FORCED, lost), ("", DUE, NoDeviation()))
    assert run.errors
    assert world.hosts["h3"].service == "token-1"


@pytest.mark.parametrize("is_single", [False, True])
def test_a_resumed_retirement_includes_a_host_that_was_away(is_single: bool) -> None:
    world = established(single_session=is_single)
    kill = At.of(("kill after store written", 5, "kill"))
    run = played(world, ("", REMOVED, kill), ("", DUE, NoDeviation()))
    assert run.errors == []
    assert world.hosts["h2"].service == "token-2"


def test_a_resumed_rollback_reports_the_failure() -> None:
    choices = At.of(("issue", 1, "fails"), ("kill after store written", 3, "kill"))
    world = World()
    run = played(world, ("", EMERGENCY, choices), ("", DUE, NoDeviation()))
    assert run.errors
    assert "issue: the API is not available" in run.errors[0]


@pytest.mark.parametrize("change", ["current dies", "h1 damaged"])
def test_a_resumed_run_does_not_publish_a_dead_token(change: str) -> None:
    world = established()
    kill = At.of(("kill after token-1 revoked", 1, "kill"))
    world.change("")
    world.play(FORCED, kill)
    world.change("current dies")
    run = played(world, (change, DUE, NoDeviation()))
    assert run.errors == []
    assert {one.service for one in world.hosts.values()} == {"token-3"}


def test_a_service_that_was_not_reloaded_keeps_its_token() -> None:
    world = established()
    world.play(FORCED, At.of(("health of h1", 1, "fails"), ("reload of h1", 2, "fails")))
    run = played(world, ("", DUE, At.of(("reload of h1", 1, "fails"))))
    assert run.errors
    assert (world.hosts["h1"].service, world.alive["token-2"]) == ("token-2", True)


def test_a_resumed_rollback_does_not_return_hosts_to_a_dead_token() -> None:
    world = established()
    world.play(FORCED, At.of(("reload of h1", 1, "ends")))
    run = played(world, ("current dies", DUE, At.of(("issue", 1, "fails"))))
    assert run.errors
    assert world.hosts["h1"].service == "token-2"
    assert world.alive["token-2"]


@pytest.mark.untraced
@pytest.mark.parametrize("number", range(len(WORLDS)))
def test_all_plays_with_one_deviation(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    seen: set[str] = set()
    ends, plays = time.monotonic() + SECONDS, 0
    for world, change, kind, choices, todo in _plays(number):
        if plays >= PLAYS and time.monotonic() >= ends:
            break
        plays += 1
        reached = _after(world, change, kind, choices)
        if reached.key() not in seen:
            seen.add(reached.key())
            todo.append(reached)
            copy.deepcopy(reached).settle()
    if SECONDS:
        with capsys.disabled():
            print(f"\n{WORLDS[number]}: {plays} plays, {len(seen)} states")  # noqa: T201


def _plays(number: int) -> Iterator[tuple[World, str, Kind, Choices, deque[World]]]:
    """Return all plays from a kind of world, breadth first. The caller adds the reached worlds.

    The order of the plays differs for each kind of world, so that short searches differ.
    """
    todo = deque([established(**WORLDS[number]), World(**WORLDS[number])])
    starts = [("", kind) for kind in KINDS] + [(change, FORCED) for change in CHANGES[1:]]
    first = number * len(starts) // len(WORLDS)
    while todo:
        world = todo.popleft()
        for change, kind in starts[first:] + starts[:first]:
            for choices in _deviations():
                yield world, change, kind, choices, todo


def _after(world: World, change: str, kind: Kind, choices: Choices) -> World:
    world = copy.deepcopy(world)
    world.change(change)
    world.play(kind, choices)
    return world


def _deviations() -> Iterator[Choices]:
    """Return choices without a deviation, then, when it was played, those with one."""
    first = Choices()
    yield first
    for position, (__, number) in enumerate(first.trace):
        for option in range(1, number):
            yield Choices({position: option})


DEVIATIONS = st.dictionaries(st.integers(0, 110), st.integers(1, 5), max_size=3)
SCRIPTS = st.lists(
    st.tuples(st.sampled_from(CHANGES), st.sampled_from(KINDS), DEVIATIONS), min_size=1, max_size=4
)


@pytest.mark.untraced
@settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from(WORLDS), st.booleans(), SCRIPTS)
def test_random_plays(
    options: Mapping[str, Any], is_new: bool, script: list[tuple[str, Kind, dict[int, int]]]
) -> None:
    world = World(**options) if is_new else established(**options)
    played(world, *((change, kind, Choices(found)) for change, kind, found in script))
