# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rotation's state document: what is in service, what is on its way, and each step between.

    begin ---> set_pending ---> promote ---> end        a new token goes into service
      |          `--> roll_back ------------^         it does not, and the old one stays
      `--> mark_compromised                                  the old one has leaked: it goes first

Every step takes a state and returns the next one, which the store then writes in one piece. The
state is the journal as well: whatever a run that was killed had begun is finished by the next.
Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import parse_time, show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

FORMAT = 1

# The events of the last rotations stay in the document until they are surely in the audit record.
_EVENTS = 200
# Somebody else's error text, like that of a health check, may repeat a token.
_TOKEN = re.compile(r"eyJ[\w-]*(?:\.[\w-]*)*")
_UNPROVABLE = (
    "credential_rotation_api_url: this API accepts a token that nobody issued, as Nomba's sandbox "
    "does, so that no revocation can be proved on it. Nothing was done; rotate on an API that "
    "checks tokens"
)
# In the name that the lookup playbook_run gives to a run.
_PROCESS = re.compile(r"/([0-9]+)/")


class Mode(str, Enum):
    """Why a rotation is done, a closed list."""

    TOKEN = "token"  # noqa: S105 -- the name of a mode
    CLIENT = "client"
    EMERGENCY = "emergency"


class Phase(str, Enum):
    """What an unfinished rotation has left to do, a closed list."""

    ISSUING = "issuing"
    RETIRING = "retiring"
    RETURNING = "returning"


@dataclass(frozen=True)
class Credential:
    """A token in the document. since: when it came in (seconds since the epoch, UTC)."""

    owner: Owner
    access_token: str = field(repr=False)
    expires_at: str | None
    since: float

    @property
    def fingerprint(self) -> str:
        """What people see."""
        return fingerprint(self.access_token)


@dataclass(frozen=True)
class Rotation:
    """One that is not finished. run: who is at it; renewed: when that run last wrote (UTC)."""

    id: str
    mode: Mode
    phase: Phase
    began: float
    run: str
    renewed: float
    reason: str = ""


@dataclass(frozen=True)
class State:
    """The whole document. events: what happened, as the audit record will tell it."""

    current: Credential | None = None
    pending: Credential | None = None
    previous: tuple[Credential, ...] = ()
    rotation: Rotation | None = None
    events: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Actor:
    """Who does a step, where and when. now: seconds since the epoch (UTC)."""

    now: float
    run: str
    actor: str
    host: str


# The steps


def begin(state: State, actor: Actor, mode: str, why: str) -> State:
    """Take the rotation over, or start one. Nobody else can write from here on."""
    if state.rotation is not None:
        return _record_event(_renewed(state, actor), actor, "begin", "resumed", why)
    started = Rotation(_name(actor), Mode(mode), Phase.ISSUING, actor.now, actor.run, actor.now)
    return _record_event(replace(state, rotation=started), actor, "begin", "begun", why)


def mark_compromised(state: State, actor: Actor) -> State:
    """Give up every token that may have leaked, before there is a new one."""
    rotation = _ongoing(state)
    leaked = _present(state.current, state.pending)
    state = replace(state, current=None, pending=None, previous=(*state.previous, *leaked))
    changed = replace(rotation, mode=Mode.EMERGENCY, phase=Phase.ISSUING)
    marks = [one.fingerprint for one in leaked]
    return _record_event(
        _renewed(replace(state, rotation=changed), actor),
        actor,
        "mark_compromised",
        "compromised",
        *marks,
    )


def set_pending(state: State, actor: Actor, credential: Mapping[str, Any]) -> State:
    """Note the token that was issued."""
    _ongoing(state)
    given = _credential({**credential, "since": actor.now}, "credential")
    if state.pending is not None:
        raise BadState("a token is on its way into service already")
    if given.access_token in {one.access_token for one in _present(state.current, *state.previous)}:
        raise BadState("this token is not new: it is, or was, in service")
    with_pending = replace(state, pending=given)
    return _record_event(_renewed(with_pending, actor), actor, "issue", "issued", given.fingerprint)


def promote(state: State, actor: Actor, hosts: Iterable[str], died: bool = False) -> State:
    """The new token is proved and published: it is the current one now.

    died: whether the old one died before. Then there was an outage from the issue until now.
    """
    rotation, new = _ongoing(state), state.pending
    if new is None:
        raise BadState("there is no token to promote")
    old = _present(state.current)
    following = replace(rotation, phase=Phase.RETIRING)
    state = replace(state, current=new, pending=None, previous=(*state.previous, *old))
    state = _renewed(replace(state, rotation=following), actor)
    state = _record_event(state, actor, "verify", "accepted", new.fingerprint)
    state = _record_event(state, actor, "publish", "published", new.fingerprint, *hosts)
    if died or rotation.mode is Mode.EMERGENCY:
        seconds = f"at most {actor.now - rotation.began:.1f} s"
        state = _record_event(state, actor, "publish", "outage", seconds)
    return _record_event(state, actor, "promote", "promoted", new.fingerprint)


def roll_back(state: State, actor: Actor, failed_step: str, reason: str) -> State:
    """The new token does not go into service: the old one stays, the new one is to be revoked."""
    rotation, new = _ongoing(state), _present(state.pending)
    reason = _TOKEN.sub("(a token)", reason)
    leaving = replace(rotation, phase=Phase.RETURNING, reason=f"{failed_step}: {reason}")
    state = replace(state, pending=None, previous=(*state.previous, *new), rotation=leaving)
    return _record_event(
        _renewed(state, actor), actor, "rollback", "failed", f"{failed_step}: {reason}"
    )


def finish(state: State, actor: Actor, results: Iterable[Mapping[str, Any]]) -> State:
    """Drop what is proved dead, and be done; what is not stays for the next run.

    results: rows of nomba_token_revoke, each with fingerprint, outcome and verified. Only the API's
    own refusal of a token removes it. `expired` is an unverified claim compared with a clock that
    may be wrong, and an unverified `revoked` is the API's answer without proof.
    """
    if state.rotation is not None and state.rotation.phase is Phase.ISSUING:
        raise BadState("the rotation is not finished: promote or roll_back its token first")
    rows = {str(row["fingerprint"]): row for row in results}
    for row in rows.values():
        state = _record_event(state, actor, "retire", str(row["outcome"]), str(row["fingerprint"]))
    left = tuple(one for one in state.previous if not _is_dead(rows.get(one.fingerprint)))
    state = replace(state, previous=left)
    if state.rotation is None:
        return state
    returned = state.rotation.phase is Phase.RETURNING
    outcome = "rolled_back" if returned else "finished"
    detail = [one.fingerprint for one in _present(state.current)]
    return replace(_record_event(state, actor, "report", outcome, *detail), rotation=None)


STEPS = {
    step.__name__: step
    for step in (begin, mark_compromised, set_pending, promote, roll_back, finish)
}


# The plan


@dataclass(frozen=True)
class RotationOptions:
    """What the user wants. max_age and lock_timeout in seconds."""

    owner: Owner
    max_age: float
    lock_timeout: float
    force: bool = False
    emergency: bool = False


@dataclass(frozen=True)
class Plan:
    """What this run has to do. blocked: why it must not begin, empty when it may."""

    mode: str
    why: str
    begin: bool = False
    mark_compromised: bool = False
    issue: bool = False
    rollback: bool = False
    blocked: str = ""


def plan(
    state: State, actor: Actor, options: RotationOptions, probe: str, lock_holder: str
) -> Plan:
    """What to do with a state.

    probe: what a probe of the current token showed. lock_holder: whether the run that holds an
    unfinished rotation is alive, dead, or elsewhere, where its state is unknown.
    """
    mode = _mode(state, options)
    blocked = _blocked(state, actor, options, lock_holder)
    if blocked:
        return Plan(mode.value, "", blocked=blocked)
    if state.rotation is not None:
        return _resumed(state, state.rotation, options, mode)
    why = _reason_to_rotate(state, actor, options, probe)
    due = bool(why)
    if due and probe == "meaningless" and not options.emergency:
        return Plan(mode.value, "", blocked=_UNPROVABLE)
    return Plan(mode.value, why, begin=due, mark_compromised=due and options.emergency, issue=due)


def _resumed(state: State, rotation: Rotation, options: RotationOptions, mode: Mode) -> Plan:
    """How to go on where an earlier run was stopped."""
    # An emergency that has compromised already has left no current token.
    begun_only = rotation.phase is Phase.ISSUING and state.current is not None
    compromise_now = options.emergency and (rotation.mode is not Mode.EMERGENCY or begun_only)
    why = f"an earlier run was stopped while it was {rotation.phase.value}"
    if rotation.phase is Phase.RETURNING and not compromise_now:
        return Plan(mode.value, why, begin=True, rollback=True)
    issuing = compromise_now or rotation.phase is Phase.ISSUING
    return Plan(mode.value, why, begin=True, mark_compromised=compromise_now, issue=issuing)


def _mode(state: State, options: RotationOptions) -> Mode:
    if options.emergency:
        return Mode.EMERGENCY
    if state.rotation is not None:
        return state.rotation.mode
    return Mode.CLIENT if _other_client(state.current, options) else Mode.TOKEN


def _reason_to_rotate(state: State, actor: Actor, options: RotationOptions, probe: str) -> str:
    """Why a new token is needed; empty when it is not."""
    if options.emergency:
        return "the credentials may have leaked"
    if state.current is None:
        return "the store holds no token"
    if _other_client(state.current, options):
        return "the client has changed"
    if probe == "refused":
        return "the API refuses the current token"
    return _too_old(state.current, actor.now, options.max_age) or ("it was forced" * options.force)


def _too_old(current: Credential, now: float, max_age: float) -> str:
    """Why the current token is due by this machine's clock; empty when it is not.

    A clock that is ahead rotates early. A clock that is behind, or was ahead when the token was
    issued, rotates late by as much; the probe still replaces a token that the API refuses.
    """
    ends = parse_time(current.expires_at)
    if ends is not None and ends <= now:
        return "the current token has expired"
    return (
        f"the current token is older than {max_age:.0f} s" if now - current.since >= max_age else ""
    )


def _other_client(current: Credential | None, options: RotationOptions) -> bool:
    return current is not None and not _same(current.owner.client_id, options.owner.client_id)


def _same(kept: str, given: str) -> bool:
    """Whether two ids, or two URLs, are the same but for how a person wrote them."""
    return kept.strip().rstrip("/").lower() == given.strip().rstrip("/").lower()


def _blocked(state: State, actor: Actor, options: RotationOptions, lock_holder: str) -> str:
    rotation = state.rotation
    for known in _present(state.current, state.pending, *state.previous):
        for name in ("api_url", "account_id"):
            if not _same(getattr(known.owner, name), getattr(options.owner, name)):
                return (
                    f"credential_rotation_{name}: the store holds the credentials of another one; "
                    "give each its own store"
                )
    if rotation is None or rotation.run == actor.run or lock_holder == "dead":
        return ""
    if lock_holder == "alive":
        return (
            f"another rotation is at work on this machine, {_begun(state, rotation)}; "
            "wait until it has ended"
        )
    left = rotation.renewed + options.lock_timeout - actor.now
    if left <= 0:
        return ""
    return (
        f"another rotation is at work on another machine, {_begun(state, rotation)}, and "
        f"last wrote {actor.now - rotation.renewed:.0f} s ago; wait {left:.0f} s more, or set "
        "credential_rotation_lock_timeout to 0 if it is surely dead"
    )


def _begun(state: State, rotation: Rotation) -> str:
    """By whom, when, and in which process, as far as the run's name tells it."""
    events = [event for event in state.events if event.get("rotation") == rotation.id]
    by = [f"by {event['actor']}" for event in events if event.get("actor")][-1:]
    process = _PROCESS.search(rotation.run)
    where = [f"(process {process.group(1)})"] if process else []
    when = show_time(rotation.began) or "an unknown time"
    return " ".join(["begun", *by, "at", when, *where])


# The document


def load(document: object) -> State:
    """The state in a document. Raises BadState, also for one that is there and holds nothing."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise BadState("the store holds something else than the state of a rotation")
    try:
        return State(
            current=_optional(document["current"], "current"),
            pending=_optional(document["pending"], "pending"),
            previous=tuple(_credential(one, "previous") for one in document["previous"]),
            rotation=_rotation(document["rotation"]),
            events=tuple(dict(event) for event in document["events"]),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise BadState(f"the store's document is damaged ({type(error).__name__})") from None


def dump(state: State) -> dict[str, Any]:
    """The document of a state. It holds tokens."""
    return {
        "format": FORMAT,
        "current": _shown(state.current),
        "pending": _shown(state.pending),
        "previous": [_shown(one) for one in state.previous],
        "rotation": None if state.rotation is None else _plain(state.rotation),
        "events": [dict(event) for event in state.events],
    }


def _optional(given: Any, name: str) -> Credential | None:
    return None if given is None else _credential(given, name)


def _credential(given: Mapping[str, Any], name: str) -> Credential:
    texts = [given.get(one) for one in ("api_url", "account_id", "client_id", "access_token")]
    if not all(isinstance(text, str) and text for text in texts):
        raise BadState(f"{name} lacks a token, or whose it is")
    api_url, account_id, client_id, token = (str(text) for text in texts)
    ends = given.get("expires_at")
    owner = Owner(api_url, account_id, client_id)
    return Credential(owner, token, None if ends is None else str(ends), float(given["since"]))


def _rotation(given: Mapping[str, Any] | None) -> Rotation | None:
    if given is None:
        return None
    return Rotation(
        id=str(given["id"]),
        mode=Mode(given["mode"]),
        phase=Phase(given["phase"]),
        began=float(given["began"]),
        run=str(given["run"]),
        renewed=float(given["renewed"]),
        reason=str(given["reason"]),
    )


def _shown(one: Credential | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "access_token": one.access_token,
        "fingerprint": one.fingerprint,
        "expires_at": one.expires_at,
        "since": one.since,
        "api_url": one.owner.api_url,
        "account_id": one.owner.account_id,
        "client_id": one.owner.client_id,
    }


def _plain(rotation: Rotation) -> dict[str, Any]:
    return {**vars(rotation), "mode": rotation.mode.value, "phase": rotation.phase.value}


# What the steps share


def _ongoing(state: State) -> Rotation:
    if state.rotation is None:
        raise BadState("no rotation has begun")
    return state.rotation


def _present(*credentials: Credential | None) -> list[Credential]:
    return [one for one in credentials if one is not None]


def _is_dead(row: Mapping[str, Any] | None) -> bool:
    if row is None or row.get("verified") is not True:
        return False
    return row["outcome"] in ("revoked", "already_revoked")


def _renewed(state: State, actor: Actor) -> State:
    if state.rotation is None:
        return state
    return replace(state, rotation=replace(state.rotation, run=actor.run, renewed=actor.now))


def _name(actor: Actor) -> str:
    """What to call a rotation: when it began, and something of its run's own."""
    return f"{show_time(actor.now)} {fingerprint(actor.run)[7:15]}"


def _record_event(state: State, actor: Actor, step: str, outcome: str, *details: str) -> State:
    """Note an event. Its id is the same when the same event is written twice."""
    name = state.rotation.id if state.rotation else _name(actor)
    events = [event for event in state.events if event.get("rotation") == name]
    number = int(str(events[-1]["id"]).rpartition(" ")[2]) + 1 if events else 1
    event = {
        "id": f"{name} {number}",
        "rotation": name,
        "time": show_time(actor.now),
        "actor": actor.actor,
        "host": actor.host,
        "mode": state.rotation.mode.value if state.rotation else "",
        "step": step,
        "outcome": outcome,
        "fingerprints": [one for one in details if one.startswith("sha256:")],
        "detail": ", ".join(one for one in details if not one.startswith("sha256:")),
    }
    return replace(state, events=(*state.events, event)[-_EVENTS:])
