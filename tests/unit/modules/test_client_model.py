# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random sequences of rotations of clients: kills, sick and lost hosts, ways back, emergencies.

Each sequence is played with the real steps. After each run, and after each kill, the store must
contain what the hosts hold; and each sequence must be one that can be finished.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._errors import NombaError
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import parse, text
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import ClientAnswer

from .test_client_rotation import GOOD, Rotation
from .test_rotation_run import HOSTS

pytestmark = pytest.mark.untraced

PAIRS = [{"client_id": f"client {n}", "client_secret": f"the secret of {n}"} for n in range(3)]
FORBIDDEN = ClientAnswer("forbidden")


class Killed(BaseException):
    """The run was killed."""


@dataclass(frozen=True)
class RunOf:
    """One run. kill: after how many steps, writes and answers it is killed; 0 for never.

    dead: the pairs that the API refuses. sick, lost: the hosts that fail or are unreachable.
    """

    wanted: int
    dead: frozenset[int] = frozenset()
    sick: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    kill: int = 0
    emergency: bool = False
    batch: int = 0
    grace: bool = False


@dataclass
class World:
    """What lives on between runs."""

    document: str = ""
    held: dict[str, dict[str, str]] = field(default_factory=lambda: dict.fromkeys(HOSTS, PAIRS[0]))
    number: int = 0

    def play(self, run: RunOf) -> list[str] | None:
        """Play a run; return its errors, None if it was killed or stopped."""
        self.number += 1
        play = Rotation(
            parse(self.document) if self.document else None,
            client=PAIRS[run.wanted],
            batch=run.batch,
            retire_after=3600.0 if run.grace else 0.0,
            emergency=run.emergency,
            incident=f"incident {self.number}" if run.emergency else "",
        )
        play.run, play.held = f"here/{self.number}/1", dict(self.held)
        play.control.clients = {
            pair["client_secret"]: FORBIDDEN if n in run.dead else GOOD
            for n, pair in enumerate(PAIRS)
        }
        mark = fingerprint(PAIRS[run.wanted]["client_secret"])
        play.sick = dict.fromkeys(run.sick, (mark,))
        play.lost = set(run.lost)
        left = [run.kill or 10_000]
        self._kill_after(play, left)
        errors = None
        with suppress(Killed, NombaError):
            errors = play.rotate()["errors"]
        self.document, self.held = play.store.document, dict(play.held)
        self.check(run, errors)
        return errors

    def _kill_after(self, play: Rotation, left: list[int]) -> None:
        write, check, host = play.store.write, play.control.check_client, play.write_hosts

        def tick() -> None:
            left[0] -= 1
            if left[0] <= 0:
                raise Killed

        def write_and_tick(*arguments: object) -> None:
            write(*arguments)  # type: ignore[arg-type]
            tick()

        def check_and_tick(client_id: str, secret: str) -> ClientAnswer:
            answer = check(client_id, secret)
            tick()
            return answer

        def host_and_tick(result: object) -> object:
            written = host(result)
            tick()
            return written

        play.store.write = write_and_tick  # type: ignore[method-assign]
        play.control.check_client = check_and_tick  # type: ignore[method-assign]
        play.write_hosts = host_and_tick  # type: ignore[method-assign]

    def check(self, run: RunOf, errors: list[str] | None) -> None:
        """Require what must always hold."""
        held = {one["client_secret"] for one in self.held.values()}
        if self.document:
            state = parse(self.document)
            stored = {one.secret for one in state.credentials}
            if not stored:
                return  # killed before the clients of the hosts were adopted
            assert held <= stored | {PAIRS[run.wanted]["client_secret"]}, "a client is unrecorded"
            assert text(state) == self.document
        if errors == []:
            state = parse(self.document)
            assert state.rotation is None
            assert held == {PAIRS[run.wanted]["client_secret"]}
            assert state.current is not None
            assert {state.current.secret} == held
            if not run.grace:
                assert state.previous == (), "a client is kept"


runs = st.builds(
    RunOf,
    wanted=st.integers(0, 2),
    dead=st.frozensets(st.integers(0, 2), max_size=2),
    sick=st.frozensets(st.sampled_from(HOSTS), max_size=2),
    lost=st.frozensets(st.sampled_from(HOSTS), max_size=1),
    kill=st.integers(0, 9),
    emergency=st.booleans(),
    batch=st.integers(0, 2),
    grace=st.booleans(),
)


@given(st.lists(runs, max_size=4), st.integers(0, 2))
@settings(deadline=None, max_examples=60)
def test_every_sequence_of_runs_can_be_finished(sequence: list[RunOf], wanted: int) -> None:
    world = World()
    for run in sequence:
        world.play(run)
    state = parse(world.document) if world.document else None
    compromised = {one.secret for one in state.previous if one.compromised} if state else set()
    choices = [n for n in (wanted, 0, 1, 2) if PAIRS[n]["client_secret"] not in compromised]
    if not choices:
        return  # a person must make another client
    last = choices[0]
    healthy = RunOf(last, dead=frozenset({0, 1, 2} - {last}))
    outcomes = [world.play(healthy) for _attempt in range(4)]
    assert outcomes[-1] == [], (outcomes, sequence)


def test_the_check_finds_a_client_that_is_retired_too_early() -> None:
    world = World()
    world.play(RunOf(1, grace=True))
    world.document = text(replace(parse(world.document), previous=()))
    world.held["a"] = PAIRS[0]
    with pytest.raises(AssertionError, match="a client is unrecorded"):
        world.check(RunOf(1), None)
