# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A move between stores: at each moment, one store at most is valid, and the state is in one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState, InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._rotation import begin
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Actor,
    State,
    credential_from,
    parse,
    text,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_options import (
    store_name,
    target_options,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import StepFailed
from ansible_collections.nomba.auth.plugins.plugin_utils._store_move import Moved, Place, move
from tests.unit.core.rotation_factory import OLD, OWNER
from tests.unit.tables import each_row

ACTOR = Actor(1_800_000_000.0, "run", "ada", "control")
OWNED = {"api_url": OWNER.api_url, "account_id": OWNER.account_id, "client_id": OWNER.client_id}
CURRENT = credential_from({**OWNED, "access_token": OLD, "since": 1.0}, "current")
STATE = State(current=CURRENT, events=({"id": "1"},))
DOCUMENT = text(STATE)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class FakeStore:
    """A store with check-and-set. writes: how many writes succeed before `failure` is raised."""

    content: str = ""
    seen: str = ""
    writes: int = 99
    failure: BaseException = field(default_factory=Killed)
    is_lost: bool = False  # a write that fails has had its effect
    events: list[Any] = field(default_factory=list)

    def read(self) -> str:
        self.seen = self.content
        return self.content

    def write(self, document: str, events: Sequence[Any]) -> None:
        if self.writes == 0:
            if self.is_lost:
                self.content = document
            raise self.failure
        self.writes -= 1
        if self.content != self.seen:
            raise StepFailed("the store was changed by another run")
        self.content = self.seen = document
        self.events += events


@dataclass
class World:
    """Two stores."""

    old: FakeStore = field(default_factory=lambda: FakeStore(DOCUMENT))
    new: FakeStore = field(default_factory=FakeStore)
    issued: object = None

    def move(self, check_mode: bool = False, back: bool = False) -> Moved:
        places = (
            Place("file /old", self.old, lambda: self.issued),
            Place("file /new", self.new, lambda: None),
        )
        source, target = reversed(places) if back else places
        return move(source, target, ACTOR, check_mode)

    @property
    def valid(self) -> list[str]:
        """The stores that a rotation accepts."""
        return [name for name, store in vars(self).items() if _is_valid(store)]

    @property
    def contents(self) -> tuple[str, str]:
        """The contents of both stores."""
        return self.old.content, self.new.content


def _is_valid(store: object) -> bool:
    try:
        return isinstance(store, FakeStore) and bool(parse(store.content).credentials)
    except BadState:
        return False


def test_move_leaves_a_note_that_no_rotation_accepts() -> None:
    world = World()
    moved = world.move()
    assert (moved.changed, moved.message[:28]) == (True, "MOVED file /old -> file /new")
    assert world.new.content == DOCUMENT
    assert world.new.events == list(STATE.events)
    assert OLD not in world.old.content + moved.message
    assert json.loads(world.old.content)["moved_to"] == "file /new"
    with pytest.raises(BadState, match=r"^the store was moved to file /new; set the options of"):
        parse(world.old.content)
    before = world.contents
    again = world.move()
    assert (again.changed, world.contents) == (False, before)
    assert again.message == "No change: the state is in file /new."


def test_check_mode_changes_nothing() -> None:
    world = World()
    moved = world.move(check_mode=True)
    assert (moved.changed, moved.message[:10]) == (True, "WOULD MOVE")
    assert world.contents == (DOCUMENT, "")


def test_state_returns_to_its_first_store() -> None:
    world = World()
    world.move()
    world.move(back=True)
    assert (world.old.content, world.valid) == (DOCUMENT, ["old"])
    assert "moved to file /old" in _reason(world.new.content)


@each_row(
    ("store", "writes", "is_lost"),
    [(store, number, lost) for store in ("old", "new") for number in (0, 1) for lost in (0, 1)],
)
def test_killed_move_never_leaves_two_valid_stores_and_is_completed(
    store: str, writes: int, is_lost: int
) -> None:
    world = World()
    broken = getattr(world, store)
    broken.writes, broken.is_lost = writes, bool(is_lost)
    if (store, writes) != ("new", 1):  # there is one write only
        with pytest.raises(Killed):
            world.move()
    assert world.valid in ([], ["old"], ["new"])
    assert any(OLD in content for content in world.contents)
    broken.writes = 99
    world.move()
    assert (world.new.content, world.valid) == (DOCUMENT, ["new"])
    assert OLD not in world.old.content


def test_interrupted_move_stops_rotations_and_other_moves() -> None:
    world = World(new=FakeStore(writes=0))
    with pytest.raises(Killed):
        world.move()
    assert _reason(world.old.content) == (
        "the store is being moved to file /new; run nomba.auth.move_store again"
    )
    other = Place("file /other", FakeStore(), lambda: None)
    with pytest.raises(StepFailed, match="was moved to file /new"):
        move(Place("file /old", world.old, lambda: None), other, ACTOR, check_mode=False)


def test_target_that_rejects_the_write_changes_nothing() -> None:
    world = World(new=FakeStore(writes=0, failure=StepFailed("permission denied.")))
    with pytest.raises(StepFailed) as caught:
        world.move()
    assert str(caught.value) == "permission denied. The state is still in file /old, as before."
    assert world.contents == (DOCUMENT, "")


def test_lost_answer_of_the_target_never_leaves_two_valid_stores() -> None:
    world = World(new=FakeStore(writes=0, failure=StepFailed("timeout."), is_lost=True))
    with pytest.raises(StepFailed, match=r"^timeout. The move is not finished.*move_store again"):
        world.move()
    assert world.valid == ["new"]
    world.new.writes = 99
    assert world.move().changed
    assert OLD not in world.old.content


def test_rotation_that_begins_meanwhile_stops_the_move() -> None:
    world = World()
    original = world.new.read

    def read() -> str:
        world.old.content = text(begin(STATE, ACTOR, "token", "it is due"))
        return original()

    world.new.read = read  # type: ignore[method-assign]
    with pytest.raises(StepFailed, match="was changed by another run"):
        world.move()
    assert (world.new.content, world.valid) == ("", ["old"])


def _reason(content: str) -> str:
    with pytest.raises(BadState) as caught:
        parse(content)
    return str(caught.value)


OTHER = DOCUMENT.replace('"since": 1.0', '"since": 2.0')
OPEN = text(begin(STATE, ACTOR, "token", "it is due"))
TO_OLD = json.dumps({"moved_to": "file /old", "state": DOCUMENT})


@each_row(
    ("old", "new", "issued", "message"),
    [
        ("", "", None, "file /old contains no credential to move"),
        (text(State()), "", None, "file /old contains no credential to move"),
        (OPEN, "", None, "A rotation is not finished in file /old"),
        (DOCUMENT, "", {"access_token": OLD}, "A rotation is not finished in file /old"),
        (DOCUMENT, OTHER, None, "file /new is not empty"),
        (DOCUMENT, "{}", None, "file /new is not empty"),
        (DOCUMENT, "NOMBA=1", None, "file /new is not empty"),
        (DOCUMENT, TO_OLD, None, "file /new is not empty"),
        ('{"moved_to": "file /x"}', "", None, "file /old was moved to file /x"),
        ('{"moved_to": "file /new"}', "", None, "The state was moved to file /new, which is empty"),
        ("NOMBA=1", "", None, "the store does not contain JSON"),
        ('{"format": 2}', "", None, "the store contains something else"),
    ],
)
def test_move_that_could_lose_or_double_a_state_is_refused(
    old: str, new: str, issued: object, message: str
) -> None:
    world = World(FakeStore(old), FakeStore(new), issued)
    for check_mode in (True, False):
        with pytest.raises((StepFailed, BadState)) as caught:
            world.move(check_mode)
        assert str(caught.value).startswith(message)
    assert world.contents == (old, new)


def test_state_that_the_target_holds_already_is_not_written_again() -> None:
    world = World(new=FakeStore(DOCUMENT, writes=0))
    assert world.move().changed
    assert world.valid == ["new"]


def test_one_store_is_no_target_of_itself() -> None:
    place = Place("file /old", FakeStore(DOCUMENT), lambda: None)
    with pytest.raises(StepFailed, match="is both the old and the new store"):
        move(place, place, ACTOR, check_mode=False)


# The options

OPTIONS = {
    "store": "file",
    "dir": "~/.nomba",
    "vault_password": "x",
    "hashi_vault_mount": "secret",
    "hashi_vault_path": "nomba",
}


@each_row(
    ("given", "name", "password"),
    [
        ({"store": "file", "dir": "/new"}, "file /new", "x"),
        ({"store": "file", "dir": "", "vault_password": "y"}, "file ~/.nomba", "y"),
        ({"store": "hashi_vault", "hashi_vault_path": "b"}, "hashi_vault secret/b", "x"),
    ],
)
def test_options_of_the_target_default_to_those_of_the_source(
    given: dict[str, str], name: str, password: str
) -> None:
    target = target_options(OPTIONS, given)
    assert (store_name(target), target["vault_password"]) == (name, password)


@each_row(
    ("source", "given", "message"),
    [
        ("file", {}, "nomba_target_store: set file or hashi_vault"),
        ("file", {"store": "custom"}, "nomba_target_store: set file or hashi_vault"),
        ("custom", {"store": "file"}, "credential_rotation_store: a custom store cannot be moved"),
    ],
)
def test_store_of_another_kind_is_refused(source: str, given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        target_options({**OPTIONS, "store": source}, given)
    assert str(caught.value).startswith(message)
