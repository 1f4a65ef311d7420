# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state machine of a rotation: the state document, its transitions, and the plan of a run.

    begin ---> set_pending ---> promote ---> finish      the new token replaces the old one
      |          `--> roll_back --------------^          the old token stays current
      `--> mark_compromised                              emergency: the old tokens are revoked first

Each transition takes a state and returns the next one, which the store writes atomically. The next
run resumes a rotation of a killed run from this document. Pure: no Ansible, no network, no clock,
no disk.
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

# Events that the document keeps, so that the next run can append missing ones to the audit log.
_EVENTS = 200
# The error text of another program, such as a health check, may contain a token.
_TOKEN = re.compile(r"eyJ[\w-]*(?:\.[\w-]*)*")
_UNPROVABLE = (
    "credential_rotation_api_url: this API accepts a token that was never issued, as Nomba's "
    "sandbox does, so no revocation can be proved on it. Nothing was changed; rotate on an API "
    "that checks tokens"
)
# The process number in a run name of the lookup playbook_run.
_PROCESS = re.compile(r"/([0-9]+)/")


class Mode(str, Enum):
    """The kind of a rotation, a closed list."""

    TOKEN = "token"  # noqa: S105 -- the name of a mode
    CLIENT = "client"
    EMERGENCY = "emergency"


class Phase(str, Enum):
    """The next task of an unfinished rotation, a closed list."""

    ISSUING = "issuing"
    RETIRING = "retiring"
    RETURNING = "returning"


@dataclass(frozen=True)
class Credential:
    """A token in the document. since: when it was stored (seconds since the epoch, UTC)."""

    owner: Owner
    access_token: str = field(repr=False)
    expires_at: str | None
    since: float

    @property
    def fingerprint(self) -> str:
        """The text that represents the token in results and messages."""
        return fingerprint(self.access_token)


@dataclass(frozen=True)
class Rotation:
    """An unfinished rotation, locked by a run.

    run: the lock holder. renewed: its last heartbeat. Times in seconds since the epoch (UTC).
    """

    id: str
    mode: Mode
    phase: Phase
    began: float
    run: str
    renewed: float
    reason: str = ""


@dataclass(frozen=True)
class State:
    """The state document. events: the last events, as in the audit log."""

    current: Credential | None = None
    pending: Credential | None = None
    previous: tuple[Credential, ...] = ()
    rotation: Rotation | None = None
    events: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Actor:
    """The run, user and host of a transition. now: seconds since the epoch (UTC)."""

    now: float
    run: str
    actor: str
    host: str


# The transitions


def begin(state: State, actor: Actor, mode: str, why: str) -> State:
    """Start a rotation, or resume an unfinished one. This run then holds the lock."""
    if state.rotation is not None:
        return _record_event(_renewed(state, actor), actor, "begin", "resumed", why)
    started = Rotation(_name(actor), Mode(mode), Phase.ISSUING, actor.now, actor.run, actor.now)
    return _record_event(replace(state, rotation=started), actor, "begin", "begun", why)


def mark_compromised(state: State, actor: Actor) -> State:
    """Move all tokens that may have leaked to `previous`, before a new one is issued.

    Raises BadState without a rotation.
    """
    rotation = _ongoing(state)
    leaked = _present(state.current, state.pending)
    state = replace(state, current=None, pending=None, previous=(*state.previous, *leaked))
    changed = replace(rotation, mode=Mode.EMERGENCY, phase=Phase.ISSUING)
    fingerprints = [one.fingerprint for one in leaked]
    return _record_event(
        _renewed(replace(state, rotation=changed), actor),
        actor,
        "mark_compromised",
        "compromised",
        *fingerprints,
    )


def set_pending(state: State, actor: Actor, credential: Mapping[str, Any]) -> State:
    """Store the issued token as pending. Raises BadState if it is not new."""
    _ongoing(state)
    new = _credential({**credential, "since": actor.now}, "credential")
    if state.pending is not None:
        raise BadState("a token is already pending")
    if new.access_token in {one.access_token for one in _present(state.current, *state.previous)}:
        raise BadState("this token is not new: it is the current one or a previous one")
    with_pending = replace(state, pending=new)
    return _record_event(_renewed(with_pending, actor), actor, "issue", "issued", new.fingerprint)


def promote(state: State, actor: Actor, hosts: Iterable[str], died: bool = False) -> State:
    """Make the pending token, which is verified and published on the hosts, the current one.

    died: whether the old token became invalid before; then there was an outage since begin.
    Raises BadState without a pending token.
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
    """Keep the old token current, and move the pending one to `previous`, to be revoked.

    Raises BadState without a rotation.
    """
    rotation, new = _ongoing(state), _present(state.pending)
    reason = _TOKEN.sub("(a token)", reason)
    leaving = replace(rotation, phase=Phase.RETURNING, reason=f"{failed_step}: {reason}")
    state = replace(state, pending=None, previous=(*state.previous, *new), rotation=leaving)
    return _record_event(
        _renewed(state, actor), actor, "rollback", "failed", f"{failed_step}: {reason}"
    )


def finish(state: State, actor: Actor, results: Iterable[Mapping[str, Any]]) -> State:
    """Remove the tokens that are proved dead, and end the rotation; others stay for the next run.

    results: rows of nomba_token_revoke, each with fingerprint, outcome and verified. Only the API's
    own refusal of a token removes it. `expired` is an unverified claim compared with a clock that
    may be wrong, and an unverified `revoked` is the API's answer without proof. Raises BadState
    before promote or roll_back.
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
    """The options of a rotation. max_age and lock_timeout in seconds."""

    owner: Owner
    max_age: float
    lock_timeout: float
    force: bool = False
    emergency: bool = False


@dataclass(frozen=True)
class Plan:
    """The steps of this run. blocked: why it must not begin; empty if it may."""

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
    """Return the steps of this run for a state.

    probe: the result of a probe of the current token. lock_holder: whether the run that holds the
    lock is alive, dead, or elsewhere, which is on another machine, where its state is unknown.
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
    """Return the plan that resumes the rotation of an earlier run."""
    # After mark_compromised there is no current token.
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
    """Return why a new token is needed; empty if it is not."""
    if options.emergency:
        return "the credentials may have leaked"
    if state.current is None:
        return "the store contains no token"
    if _other_client(state.current, options):
        return "the client has changed"
    if probe == "refused":
        return "the API refuses the current token"
    return _too_old(state.current, actor.now, options.max_age) or ("it was forced" * options.force)


def _too_old(current: Credential, now: float, max_age: float) -> str:
    """Return why the current token is due by this machine's clock; empty if it is not.

    With a clock that is ahead, the rotation is early. With a clock that is behind, or was ahead
    at the issue, it is late by the difference; the probe still finds a refused token.
    """
    expires_at = parse_time(current.expires_at)
    if expires_at is not None and expires_at <= now:
        return "the current token has expired"
    return (
        f"the current token is older than {max_age:.0f} s" if now - current.since >= max_age else ""
    )


def _other_client(current: Credential | None, options: RotationOptions) -> bool:
    return current is not None and not _same(current.owner.client_id, options.owner.client_id)


def _same(one: str, other: str) -> bool:
    """Return whether two ids or URLs are the same, apart from case and a trailing slash."""
    return one.strip().rstrip("/").lower() == other.strip().rstrip("/").lower()


def _blocked(state: State, actor: Actor, options: RotationOptions, lock_holder: str) -> str:
    rotation = state.rotation
    for one in _present(state.current, state.pending, *state.previous):
        for name in ("api_url", "account_id"):
            if not _same(getattr(one.owner, name), getattr(options.owner, name)):
                return (
                    f"credential_rotation_{name}: the store contains credentials of another one; "
                    "use a separate store for each"
                )
    if rotation is None or rotation.run == actor.run or lock_holder == "dead":
        return ""
    if lock_holder == "alive":
        return (
            f"another rotation is active on this machine, {_begun(state, rotation)}; "
            "wait until it has ended"
        )
    left = rotation.renewed + options.lock_timeout - actor.now
    if left <= 0:
        return ""
    return (
        f"another rotation is active on another machine, {_begun(state, rotation)}; its last "
        f"heartbeat was {actor.now - rotation.renewed:.0f} s ago; wait {left:.0f} s more, or set "
        "credential_rotation_lock_timeout to 0 if it is certainly dead"
    )


def _begun(state: State, rotation: Rotation) -> str:
    """Return who began the rotation, when, and in which process if the run's name contains it."""
    events = [event for event in state.events if event.get("rotation") == rotation.id]
    by = [f"by {event['actor']}" for event in events if event.get("actor")][-1:]
    process = _PROCESS.search(rotation.run)
    where = [f"(process {process.group(1)})"] if process else []
    when = show_time(rotation.began) or "an unknown time"
    return " ".join(["begun", *by, "at", when, *where])


# The document


def load(document: object) -> State:
    """Return the state in a document. Raises BadState, also for an empty document."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise BadState("the store contains something else than the state of a rotation")
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
    """Return the document of a state. It contains tokens."""
    return {
        "format": FORMAT,
        "current": _shown(state.current),
        "pending": _shown(state.pending),
        "previous": [_shown(one) for one in state.previous],
        "rotation": None if state.rotation is None else _plain(state.rotation),
        "events": [dict(event) for event in state.events],
    }


def _optional(entry: Any, name: str) -> Credential | None:
    return None if entry is None else _credential(entry, name)


def _credential(entry: Mapping[str, Any], name: str) -> Credential:
    texts = [entry.get(one) for one in ("api_url", "account_id", "client_id", "access_token")]
    if not all(isinstance(text, str) and text for text in texts):
        raise BadState(f"{name} lacks a token or its owner")
    api_url, account_id, client_id, token = (str(text) for text in texts)
    expires_at = entry.get("expires_at")
    owner = Owner(api_url, account_id, client_id)
    return Credential(
        owner, token, None if expires_at is None else str(expires_at), float(entry["since"])
    )


def _rotation(entry: Mapping[str, Any] | None) -> Rotation | None:
    if entry is None:
        return None
    return Rotation(
        id=str(entry["id"]),
        mode=Mode(entry["mode"]),
        phase=Phase(entry["phase"]),
        began=float(entry["began"]),
        run=str(entry["run"]),
        renewed=float(entry["renewed"]),
        reason=str(entry["reason"]),
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


# Shared by the transitions


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
    """Return the id of a rotation: its start, and a hash of its run."""
    return f"{show_time(actor.now)} {fingerprint(actor.run)[7:15]}"


def _record_event(state: State, actor: Actor, step: str, outcome: str, *details: str) -> State:
    """Add an event. Its id is the same when a transition is repeated."""
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
