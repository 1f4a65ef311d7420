# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state machine of a rotation: its transitions, and the evidence that each one requires.

    begin --> set_pending --> verify --> start_batch, record_host ... --> promote --> retire, finish
      |            `------------`------------`--> roll_back --> start_batch ... ----> retire, finish
      `--> mark_compromised                       emergency: the old tokens are revoked first

issue_another leads from the last phase to set_pending, because the API refuses the current token.

Each transition takes a state and returns the next one, which the store writes atomically. It raises
BadState without its evidence, whatever the order in which tasks call it. The next run resumes the
rotation of a killed run from the document.

* A token is promoted only if every host provably uses it, or if the old one is dead.
* A token is revoked only if no host may hold it, if the API refuses it, or in an emergency.
* A rollback ends only if no host may hold the new token.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Actor,
    Credential,
    Host,
    Kind,
    Mode,
    Phase,
    Rotation,
    State,
    credential_from,
    fingerprints,
    present,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

# Events that the document keeps, so that the next run can append missing ones to the audit log.
_EVENTS = 200
_INCIDENTS = 50
# The error text of another program, such as a health check, may contain a token.
_TOKEN = re.compile(r"eyJ[\w-]*(?:\.[\w-]*)*")
_NOT_INSPECTED = "it was not inspected: it is unreachable, or the task was skipped"
NO_EVIDENCE = "no result: it became unreachable, or its play ended before the last task"
# The outcome of a client for which the API issues no token any longer.
CLIENT_REFUSED = "client_refused"
NOT_HEALTHY = "it was reloaded, but its health check did not succeed"


@dataclass(frozen=True)
class Inspection:
    """What the token file of a host contains.

    fingerprints: of the tokens in it. differs: whether it differs from what the current token would
    make it. error: why it cannot be written; empty if it can.
    """

    fingerprints: tuple[str, ...] = ()
    differs: bool = False
    error: str = ""


@dataclass(frozen=True)
class HostEvidence:
    """What was proved about a host during a rotation.

    rotation: the id of that rotation. fingerprint: of the token in the file, which was read back
    after the write. reloaded, healthy: whether these tasks have succeeded since.
    """

    rotation: str
    fingerprint: str
    reloaded: bool = False
    healthy: bool = False
    error: str = ""


def begin(state: State, actor: Actor, mode: str, why: str) -> State:
    """Start a rotation, or resume an unfinished one. This run then holds the lock."""
    if state.rotation is None:
        kind = Mode(mode)
        phase = Phase.PUBLISHING if kind is Mode.REPAIR else Phase.ISSUING
        rotation = Rotation(_name(actor), kind, phase, actor.now, actor.run, actor.now)
        return _record_event(replace(state, rotation=rotation), actor, "begin", "begun", why)
    if state.rotation.run == actor.run:
        return state
    return _record_event(_renewed(state, actor), actor, "begin", "resumed", why)


def needs_another_token(state: State, probe: str) -> bool:
    """Return whether the open rotation would end with a current token that the API refuses.

    probe: of the current token.
    """
    rotation = state.rotation
    if rotation is None or probe != "refused":
        return False
    return rotation.mode is Mode.REPAIR or rotation.phase in (Phase.RETIRING, Phase.RETURNING)


def issue_another(state: State, actor: Actor) -> State:
    """Continue with another token, because the API refuses the current one in the last phase."""
    rotation = _held_by(state, actor)
    if rotation.phase is Phase.ISSUING or state.pending is not None:
        raise BadState("another token is issued only in the last phase of a rotation")
    mode = Mode.TOKEN if rotation.mode is Mode.REPAIR else rotation.mode
    rotation = replace(rotation, mode=mode, phase=Phase.ISSUING, reason="", current_dead=True)
    return _renewed(replace(state, rotation=rotation), actor)


def set_hosts(
    state: State,
    actor: Actor,
    hosts: Mapping[str, Inspection | None],
    removed: Iterable[str] = (),
) -> State:
    """Set the hosts of the rotation. None: the host was not inspected. removed: hosts to forget.

    A host keeps the tokens that it may hold, because its service may still use one that is no
    longer in its file. Raises BadState for another host that may hold a token, outside of an
    emergency.
    """
    rotation = _held_by(state, actor)
    known = {name: host for name, host in state.hosts.items() if name not in set(removed)}
    missing = sorted(set(known) - set(hosts))
    if missing and rotation.mode is not Mode.EMERGENCY:
        raise BadState(f"not in this run: {', '.join(missing)}")
    merged = {name: _merge(known.get(name, Host()), found) for name, found in hosts.items()}
    state = replace(state, hosts={**known, **merged})
    return replace(state, rotation=replace(rotation, hosts=tuple(hosts)))


def _merge(host: Host, found: Inspection | None) -> Host:
    if found is None:
        return replace(host, in_service=False, error=_NOT_INSPECTED)
    held = tuple(dict.fromkeys([*host.may_hold, *found.fingerprints]))
    is_same = host.in_service and held == host.may_hold and not found.differs
    return Host(held, is_same, hide_tokens(found.error))


def mark_compromised(
    state: State, actor: Actor, others: Iterable[Mapping[str, Any]] = (), incident: str = ""
) -> State:
    """Move all tokens that may have leaked to `previous`, before a new one is issued.

    others: tokens that are not in the document. incident: its id, which a later run with the same
    id recognizes. Raises BadState without a rotation of this run.
    """
    rotation = _held_by(state, actor)
    state = adopt(state, actor, others)
    leaked = [one for one in state.credentials if not one.compromised]
    every = [*state.previous, *present(state.current, state.pending)]
    marked = [replace(one, compromised=True) for one in every]
    rotation = replace(rotation, mode=Mode.EMERGENCY, phase=Phase.ISSUING, current_dead=True)
    state = replace(state, current=None, pending=None, previous=tuple(marked), rotation=rotation)
    if incident:
        state = replace(state, incidents=(*state.incidents, incident)[-_INCIDENTS:])
    names = fingerprints(*leaked)
    return _record_event(_renewed(state, actor), actor, "mark_compromised", "compromised", *names)


def adopt(state: State, actor: Actor, found: Iterable[Mapping[str, Any]]) -> State:
    """Add tokens that are not in the document.

    A single one becomes the current token if there is none, so that a rollback can return to it.
    Others become `previous`, so that they are revoked; in an emergency, all are compromised.
    Raises BadState without a rotation of this run, or if a token is no new one.
    """
    is_emergency = _held_by(state, actor).mode is Mode.EMERGENCY
    new = [credential_from({"since": actor.now, **one}, "an unknown token") for one in found]
    new = [replace(one, compromised=is_emergency) for one in new]
    if {one.fingerprint for one in new} & {one.fingerprint for one in state.credentials}:
        raise BadState("the token is already in the store")
    if not new:
        return state
    if state.current is None and len(new) == 1 and not is_emergency:
        state = replace(state, current=new[0])
    else:
        state = replace(state, previous=(*state.previous, *(_replaced(one, actor) for one in new)))
    return _record_event(state, actor, "inspect", "adopted", *fingerprints(*new))


def set_pending(state: State, actor: Actor, credential: Mapping[str, Any]) -> State:
    """Store the issued token, or the client of the options, as pending.

    A previous client can be the next one: that is the way back. Raises BadState for a token that is
    not new, and for a compromised client.
    """
    rotation = _held_by(state, actor)
    new = credential_from({**credential, "since": actor.now}, "credential")
    if state.pending is not None:
        raise BadState(f"a {new.kind.noun} is already pending")
    if rotation.phase is not Phase.ISSUING:
        raise BadState(f"a {new.kind.noun} is issued before the rotation is {rotation.phase.value}")
    same = [one for one in state.credentials if one.secret == new.secret]
    is_return = new.kind is Kind.CLIENT and same and same[0] != state.current
    if same and not (is_return and not same[0].compromised):
        raise BadState(f"this {new.kind.noun} is not new: it is the current one or a previous one")
    previous = tuple(one for one in state.previous if one not in same)
    pending = replace(new, compromised=False, refused=False)
    state = replace(state, pending=pending, previous=previous)
    outcome = "taken" if new.kind is Kind.CLIENT else "issued"
    return _record_event(_renewed(state, actor), actor, "issue", outcome, new.fingerprint)


def replace_pending(state: State, actor: Actor) -> State:
    """Withdraw the pending client, because another one shall be in service.

    Raises BadState without a pending client and a rotation of this run.
    """
    rotation, pending = _held_by(state, actor), _pending(state)
    if pending.kind is not Kind.CLIENT:
        raise BadState("only a pending client can be replaced")
    previous = (*state.previous, _withdrawn(pending))
    issuing = replace(rotation, phase=Phase.ISSUING)
    state = replace(state, pending=None, previous=previous, rotation=issuing)
    return _record_event(_renewed(state, actor), actor, "issue", "withdrawn", pending.fingerprint)


def verify(state: State, actor: Actor, new: str, old: str, issued_at: float | None = None) -> State:
    """Record the probes of the pending and of the current token; publishing may then begin.

    A refused pending token is set aside, and another one must be issued. issued_at: the `iat` of
    the token that verified a client. Raises BadState if the pending token was neither accepted nor
    refused.
    """
    rotation, pending = _held_by(state, actor), _pending(state)
    if new == "refused":
        refused = replace(pending, refused=True)
        issuing = replace(rotation, phase=Phase.ISSUING)
        state = replace(state, pending=None, previous=(*state.previous, refused), rotation=issuing)
        state = _renewed(state, actor)
        return _record_event(state, actor, "verify", "refused", pending.fingerprint)
    if new != "accepted":
        raise BadState(f"the API did not accept the new token (probe: {new})")
    if issued_at is not None:
        state = replace(state, pending=replace(pending, issued_at=issued_at))
    is_first = rotation.phase is Phase.ISSUING
    is_dead = state.current is None or old == "refused"
    rotation = replace(rotation, phase=Phase.PUBLISHING, current_dead=is_dead)
    state = _renewed(replace(state, rotation=rotation), actor)
    if not is_first:
        return state
    return _record_event(state, actor, "verify", "accepted", pending.fingerprint)


def start_batch(state: State, actor: Actor, hosts: Iterable[str]) -> State:
    """Record that these hosts may hold the target from now on, before their files are written.

    Raises BadState before verify.
    """
    rotation, target = _held_by(state, actor), state.target
    if target is None or rotation.phase is Phase.ISSUING:
        raise BadState(f"nothing is published while the rotation is {rotation.phase.value}")
    started = {}
    for name in hosts:
        host = _host(state, name)
        held = tuple(dict.fromkeys([*host.may_hold, target.fingerprint]))
        started[name] = Host(may_hold=held)
    if all(state.hosts[name] == host for name, host in started.items()):
        return state
    return _renewed(replace(state, hosts={**state.hosts, **started}), actor)


def record_host(state: State, actor: Actor, name: str, evidence: HostEvidence | None) -> State:
    """Record the result of a host. None: there is no evidence.

    Raises BadState for evidence of another rotation or token.
    """
    rotation, host, target = _held_by(state, actor), _host(state, name), state.target
    if evidence is None:
        return _with_host(state, name, replace(host, in_service=False, error=NO_EVIDENCE))
    wanted = (rotation.id, target.fingerprint if target else "")
    if (evidence.rotation, evidence.fingerprint) != wanted:
        if not evidence.error:
            raise BadState(f"the evidence of {name} is about another rotation or token")
        return _with_host(
            state, name, replace(host, in_service=False, error=hide_tokens(evidence.error))
        )
    held = (evidence.fingerprint,) if evidence.reloaded else host.may_hold
    error = hide_tokens(evidence.error)
    if not error and not (evidence.reloaded and evidence.healthy):
        error = NOT_HEALTHY if evidence.reloaded else NO_EVIDENCE
    return _with_host(state, name, Host(held, not error, error))


def promote(state: State, actor: Actor) -> State:
    """Make the pending token the current one; a repair has none, and only ends its publishing.

    Raises BadState unless each host provably uses it. If the old token is dead, hosts without
    evidence do not prevent it: they lose nothing, and the next run repairs them.
    """
    rotation = _held_by(state, actor)
    if rotation.phase is not Phase.PUBLISHING:
        raise BadState(f"there is no token to promote while the rotation is {rotation.phase.value}")
    users = [name for name in rotation.hosts if state.hosts[name].uses(state.target)]
    following = replace(rotation, phase=Phase.RETIRING)
    if rotation.mode is Mode.REPAIR:
        state = _renewed(replace(state, rotation=following), actor)
        return _record_event(
            state, actor, "publish", "published", *fingerprints(state.current), *users
        )
    new, others = _pending(state), [name for name in rotation.hosts if name not in users]
    if others and not rotation.current_dead:
        raise BadState(f"no evidence that these hosts use the new token: {', '.join(others)}")
    is_refused = rotation.current_dead and new.kind is Kind.ACCESS_TOKEN
    old = [replace(_replaced(one, actor), refused=is_refused) for one in present(state.current)]
    state = replace(
        state, current=new, pending=None, previous=(*state.previous, *old), rotation=following
    )
    state = _record_event(
        _renewed(state, actor), actor, "publish", "published", new.fingerprint, *users
    )
    if rotation.current_dead and (old or rotation.mode is Mode.EMERGENCY):
        seconds = f"at most {actor.now - rotation.began:.1f} s"
        state = _record_event(state, actor, "publish", "outage", seconds)
    return _record_event(state, actor, "promote", "promoted", new.fingerprint)


def can_roll_back(state: State) -> bool:
    """Return whether the hosts can use the current token again, or never got the pending one."""
    rotation = state.rotation
    if rotation is None or rotation.phase not in (Phase.ISSUING, Phase.PUBLISHING):
        return False
    is_alive = state.current is not None and not rotation.current_dead
    return is_alive or state.pending is None or not holders(state, state.pending)


def roll_back(state: State, actor: Actor, failed_step: str, reason: str) -> State:
    """Keep the old token current, and move the pending one to `previous`, to be revoked later.

    Raises BadState without a rotation of this run, or if the hosts need the pending token.
    """
    rotation = _held_by(state, actor)
    if not can_roll_back(state):
        raise BadState("a rollback is not possible: the old token is dead")
    text = f"{failed_step}: {hide_tokens(reason)}"
    leaving = replace(rotation, phase=Phase.RETURNING, reason=text)
    previous = (*state.previous, *map(_withdrawn, present(state.pending)))
    hosts = {
        name: replace(host, error="") if state.pending and _holds(host, state.pending) else host
        for name, host in state.hosts.items()
    }
    state = replace(state, pending=None, previous=previous, rotation=leaving, hosts=hosts)
    return _record_event(_renewed(state, actor), actor, "rollback", "failed", text)


def revocable(state: State) -> list[Credential]:
    """Return the tokens that may be revoked now, or the clients that may be retired.

    A withdrawn client is not retired: no host uses it, and the user may still need it.
    """
    rotation = state.rotation
    is_open = rotation is not None and rotation.phase in (Phase.ISSUING, Phase.PUBLISHING)
    return [
        one
        for one in state.previous
        if not one.withdrawn
        and (one.compromised or (not is_open and (one.refused or not holders(state, one))))
    ]


def due(state: State, now: float, retire_after: float) -> list[Credential]:
    """Return what is to be retired now: without clients in their grace period, in seconds."""
    return [one for one in revocable(state) if now >= retire_at(one, retire_after)]


def retire_at(one: Credential, retire_after: float) -> float:
    """Return when a replaced credential is due (seconds since the epoch, UTC); 0 for now."""
    return 0.0 if one.until is None or one.compromised else one.until + retire_after


def without_withdrawn(state: State) -> State:
    """Return the state without the clients that a rollback has removed from every host."""
    left = [one for one in state.previous if not one.withdrawn or holders(state, one)]
    return replace(state, previous=tuple(left))


def retire(state: State, actor: Actor, results: Iterable[Mapping[str, Any]]) -> State:
    """Remove the tokens that are proved dead; others stay for the next run.

    results: rows of nomba_token_revoke, each with fingerprint, outcome and verified. Only the API's
    own refusal of a token removes it. `expired` is an unverified claim compared with a clock that
    may be wrong, and an unverified `revoked` is the API's answer without proof. Raises BadState
    for a token that was not revocable.
    """
    rows = {str(row["fingerprint"]): row for row in results}
    if set(rows) - {one.fingerprint for one in revocable(state)}:
        raise BadState("a token was revoked that a host may still hold")
    for row in rows.values():
        state = _record_event(state, actor, "retire", str(row["outcome"]), str(row["fingerprint"]))
    left = tuple(one for one in state.previous if not is_dead(rows.get(one.fingerprint)))
    return replace(state, previous=left)


def record_found(state: State, actor: Actor, rows: Iterable[Mapping[str, Any]]) -> State:
    """Record the outcome of each token that was found and revoked."""
    for row in rows:
        mark = str(row["fingerprint"])
        state = _record_event(state, actor, "revoke_found", str(row["outcome"]), mark)
    return state


def can_finish(state: State) -> bool:
    """Return whether the rotation can end: promoted, or rolled back on each host."""
    rotation = state.rotation
    if rotation is None or rotation.phase in (Phase.ISSUING, Phase.PUBLISHING):
        return False
    return rotation.phase is Phase.RETIRING or not unreturned(state)


def unreturned(state: State) -> list[str]:
    """Return the hosts that may hold a token which is to be revoked and is not dead."""
    left = [one for one in state.previous if not (one.compromised or one.refused)]
    return sorted({name for one in left for name in holders(state, one)})


def finish(state: State, actor: Actor) -> State:
    """End the rotation. Raises BadState unless can_finish."""
    rotation = _ongoing(state)
    if not can_finish(state):
        raise BadState("the rotation is not finished: promote its token, or roll back each host")
    outcome = "rolled_back" if rotation.phase is Phase.RETURNING else "finished"
    ended = _record_event(state, actor, "report", outcome, *fingerprints(state.current))
    return replace(ended, rotation=None)


def record_old_client(state: State, actor: Actor, answer: str) -> State:
    """Record how the API answered the request of the old client for a token.

    A repeated check that issued no token adds no event if nothing has happened since.
    """
    last = dict(state.events[-1]) if state.events else {}
    is_repeated = (last.get("step"), last.get("outcome")) == ("check_old_client", answer)
    if is_repeated and answer != "issued":
        return state
    return _record_event(state, actor, "check_old_client", answer)


def to_publish(state: State) -> list[str]:
    """Return the hosts that still need the target and that have not failed in this run.

    That includes, in a run that resumes the last phase, hosts whose evidence was lost since. No
    host returns to a dead token.
    """
    rotation, target = state.rotation, state.target
    if rotation is None or target is None or rotation.phase is Phase.ISSUING:
        return []
    if rotation.phase is Phase.RETURNING and rotation.current_dead:
        return []
    names = [name for name in rotation.hosts if not state.hosts[name].error]
    return [name for name in names if not state.hosts[name].uses(target)]


def holders(state: State, credential: Credential) -> list[str]:
    """Return the hosts that may hold a token."""
    return sorted(name for name, host in state.hosts.items() if _holds(host, credential))


def hide_tokens(message: str) -> str:
    """Return a message of another program without tokens."""
    return _TOKEN.sub("(a token)", message)


def _replaced(one: Credential, actor: Actor) -> Credential:
    """Return a credential that leaves service; the grace period of a client begins."""
    return replace(one, until=actor.now) if one.kind is Kind.CLIENT else one


def _withdrawn(one: Credential) -> Credential:
    """Return a pending credential that is given up; a client is not retired then."""
    return replace(one, withdrawn=True) if one.kind is Kind.CLIENT else one


def _holds(host: Host, credential: Credential) -> bool:
    return credential.fingerprint in host.may_hold


def _host(state: State, name: str) -> Host:
    rotation = _ongoing(state)
    if name not in rotation.hosts:
        raise BadState(f"{name} is not a host of this rotation")
    return state.hosts[name]


def _with_host(state: State, name: str, host: Host) -> State:
    return replace(state, hosts={**state.hosts, name: host})


def _pending(state: State) -> Credential:
    if state.pending is None:
        raise BadState("there is no pending token")
    return state.pending


def _ongoing(state: State) -> Rotation:
    if state.rotation is None:
        raise BadState("no rotation has begun")
    return state.rotation


def _held_by(state: State, actor: Actor) -> Rotation:
    """Return the rotation if this run holds its lock."""
    rotation = _ongoing(state)
    if rotation.run != actor.run:
        raise BadState("this run does not hold the lock; run the role from its first task")
    return rotation


def is_dead(row: Mapping[str, Any] | None) -> bool:
    """Return whether a row of nomba_token_revoke proves that the API refuses its token."""
    if row is None or row.get("verified") is not True:
        return False
    return row["outcome"] in ("revoked", "already_revoked", CLIENT_REFUSED)


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
