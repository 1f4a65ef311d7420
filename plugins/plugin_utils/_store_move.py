# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Move the state of rotations from one store to another.

    source:  state   ->  note with the state  ->  note with the state  ->  note
    target:  empty   ->  empty                ->  state                ->  state

A rotation rejects a note. Thus never more than one store contains a state that it accepts, and the
state is always in one of them. A move that was killed is completed by the next one. Each write
fails if another run has changed the store since it was read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._errors import NombaError
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    MOVED_STATE,
    MOVED_TO,
    Actor,
    State,
    parse,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_verdict import name_of
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import StepFailed, Store

_UNCHANGED = "Nothing was changed."
_AGAIN = (
    "The move is not finished, and no rotation can run until it is. Run nomba.auth.move_store again"
)


@dataclass(frozen=True)
class Place:
    """A store. name: identifies it. issued: returns the issued token in its folder, or None."""

    name: str
    store: Store
    issued: Callable[[], object]


@dataclass(frozen=True)
class Moved:
    """The result of a move. message: for people."""

    changed: bool
    message: str


class MemoryValues(dict[str, Any]):
    """What a store remembers between a read and a write, in one step."""

    def put(self, name: str, value: Any) -> None:
        """Store a value."""
        self[name] = value

    def remove(self, name: str) -> None:
        """Remove a value."""
        self.pop(name, None)


def move(source: Place, target: Place, actor: Actor, check_mode: bool) -> Moved:
    """Move the state from a store to another one. Raises StepFailed, BadState."""
    if source.name == target.name:
        raise StepFailed(f"{source.name} is both the old and the new store. {_UNCHANGED}")
    found, held = source.store.read(), target.store.read()
    note = _note_in(found)
    if note and note[MOVED_TO] != target.name:
        raise StepFailed(f"{source.name} was moved to {note[MOVED_TO]}. {_UNCHANGED}")
    if note and MOVED_STATE not in note:
        return _confirmed(target, held)
    document = str(note[MOVED_STATE]) if note else found
    state = _movable(source, document)
    _require_free(source, target, held, document)
    what = f"{source.name} -> {target.name}: {_shown(state)}"
    if check_mode:
        return Moved(True, f"WOULD MOVE {what}")
    final = {
        MOVED_TO: target.name,
        "time": show_time(actor.now),
        "actor": actor.actor,
        "control_host": actor.host,
    }
    if not note:
        source.store.write(_text({**final, MOVED_STATE: document}), [])
    try:
        _write_and_compare(target, held, document, state)
    except NombaError as error:
        raise StepFailed(f"{error} {_undo(source, target, held, document)}") from None
    try:
        source.store.write(_text(final), [])
    except NombaError as error:
        raise StepFailed(f"{error} {_AGAIN}") from None
    return Moved(True, f"MOVED {what}")


def _note_in(text: str) -> dict[str, Any]:
    """Return the note in a store; empty if it contains something else."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) and MOVED_TO in document else {}


def _confirmed(target: Place, held: str) -> Moved:
    """Return the result of a repeated move. Raises StepFailed if the state is not there."""
    if not parse(held).credentials:
        raise StepFailed(
            f"The state was moved to {target.name}, which is empty now. Restore that store from "
            "its backup."
        )
    return Moved(False, f"No change: the state is in {target.name}.")


def _movable(source: Place, document: str) -> State:
    state = parse(document)
    if not state.credentials:
        raise StepFailed(f"{source.name} contains no credential to move. {_UNCHANGED}")
    if state.rotation is not None or source.issued() is not None:
        raise StepFailed(
            f"A rotation is not finished in {source.name}. Run nomba.auth.rotate until it is, and "
            f"move the store then. {_UNCHANGED}"
        )
    return state


def _require_free(source: Place, target: Place, held: str, document: str) -> None:
    """Raise StepFailed unless the target is empty, has this state, or has moved to the source."""
    note = _note_in(held)
    has_moved_here = note.get(MOVED_TO) == source.name and MOVED_STATE not in note
    if (held.strip() and held != document and not has_moved_here) or target.issued() is not None:
        raise StepFailed(
            f"{target.name} is not empty. Name an empty store, or remove what is in it if no host "
            f"uses it. {_UNCHANGED}"
        )


def _write_and_compare(target: Place, held: str, document: str, state: State) -> None:
    if held != document:
        target.store.write(document, state.events)
    if target.store.read() != document:
        raise StepFailed(f"{target.name} does not contain what was written to it.")


def _undo(source: Place, target: Place, held: str, document: str) -> str:
    """Make the source valid again if the target does not contain the state; return a sentence."""
    try:
        if held != document and target.store.read() == held:
            source.store.write(document, [])
            return f"The state is still in {source.name}, as before."
    except NombaError:
        pass
    return _AGAIN


def _shown(state: State) -> str:
    noun = state.kind.noun if state.kind else ""
    current = f"{noun} {name_of(state.current)}" if state.current else f"no {noun} in service"
    return f"{current}, {len(state.previous)} not retired, {len(state.hosts)} hosts and sinks"


def _text(note: dict[str, Any]) -> str:
    return json.dumps(note, indent=2) + "\n"
