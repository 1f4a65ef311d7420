# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a run: whether it rotates, why, and what prevents it.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.nomba.auth.plugins.module_utils._rotation import (
    Inspection,
    needs_another_token,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Actor,
    Credential,
    Kind,
    Mode,
    Rotation,
    State,
)
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import parse_time, show_time

# The process number in the name of a run.
_PROCESS = re.compile(r"/([0-9]+)/")
UNCHANGED = "Nothing was changed."
_UNPROVABLE = (
    "credential_rotation_api_url: this API accepts a token that was never issued, as Nomba's "
    f"sandbox does, so no revocation can be proved on it. {UNCHANGED} Rotate on an API that checks "
    "tokens."
)
_EXCLUDED = (
    "The run excludes hosts of the play, but the old credential is retired for all hosts. "
    f"{UNCHANGED} Run without --limit and without serial; credential_rotation_batch sets the "
    "number of hosts that get the new one at a time."
)


@dataclass(frozen=True)
class RotationOptions:
    """The options of a rotation. Times in seconds.

    client: the fingerprint of the client that shall be in service. has_old_client: whether the one
    to which a first rotation can return is given. retire_after: the grace period of a replaced
    client. fail_if_due: whether a client that is older than max_age is an error. token_lifetime:
    the longest lifetime of a token that is known. plain_store: whether the store contains client
    secrets and is not encrypted.
    """

    owner: Owner
    max_age: float
    lock_timeout: float
    kind: Kind = Kind.ACCESS_TOKEN
    client: str = ""
    has_old_client: bool = False
    retire_after: float = 0.0
    fail_if_due: bool = False
    plain_store: bool = False
    token_lifetime: float = 0.0
    force: bool = False
    emergency: bool = False
    incident: str = ""
    removed_hosts: tuple[str, ...] = ()
    adopt_unknown: bool = False
    has_client_secret: bool = True


@dataclass(frozen=True)
class Situation:
    """What a run found.

    hosts: the hosts of the play, with what each one's file contains; None if it was not inspected.
    excludes_hosts: whether --limit or serial leaves out hosts of the play. probe: of the current
    token. unknown: the live tokens on hosts that are not in the store, each with its hosts.
    lock_holder: whether the run that holds the lock is alive, dead, or elsewhere, which is on
    another machine, where its state is unknown.
    """

    hosts: Mapping[str, Inspection | None]
    excludes_hosts: bool
    probe: str
    lock_holder: str
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What this run does. blocked: why it must not begin; empty if it may. why: empty if no-op."""

    mode: str
    why: str = ""
    blocked: str = ""


def is_new_emergency(state: State, options: RotationOptions) -> bool:
    """Return whether the tokens of the store are to be revoked first.

    A killed emergency is resumed and not repeated. With an incident id, neither is a finished one.
    """
    if not options.emergency:
        return False
    if options.incident:
        return options.incident not in state.incidents
    return state.rotation is None or state.rotation.mode is not Mode.EMERGENCY


def plan(state: State, actor: Actor, options: RotationOptions, found: Situation) -> Plan:
    """Return the plan of a run that issues and publishes a token, or repairs hosts."""
    mode, why = _mode_and_reason(state, actor, options, found)
    blocked = blocked_by_other(state, actor, options, found.lock_holder)
    blocked = blocked or _blocked(state, options, found, Plan(mode.value, why))
    return Plan(mode.value, why, blocked)


def blocked_by_other(state: State, actor: Actor, options: RotationOptions, holder: str) -> str:
    """Return why the store cannot be used: another owner or kind, or a run that holds the lock."""
    if state.kind not in (None, options.kind):
        kinds = "access tokens" if state.kind is Kind.ACCESS_TOKEN else "clients"
        return (
            f"credential_rotation_credential: the store contains {kinds}. {UNCHANGED} Use a "
            "separate store for each kind of credential."
        )
    for one in state.credentials:
        for name in ("api_url", "account_id"):
            if not same(getattr(one.owner, name), getattr(options.owner, name)):
                return (
                    f"credential_rotation_{name}: the store contains credentials of another one. "
                    f"{UNCHANGED} Use a separate store for each."
                )
    return _locked(state, actor, options, holder)


def _mode_and_reason(
    state: State, actor: Actor, options: RotationOptions, found: Situation
) -> tuple[Mode, str]:
    rotation = state.rotation
    if rotation is not None:
        if rotation.run == actor.run:
            return rotation.mode, rotation.reason or "this run has begun it"
        why = f"an earlier run was stopped while it was {rotation.phase.value}"
        if needs_another_token(state, found.probe):
            mode = Mode.TOKEN if rotation.mode is Mode.REPAIR else rotation.mode
            return mode, f"{why}; the API refuses the current token"
        return rotation.mode, why
    if options.kind is Kind.CLIENT:
        why = _reason_to_rotate_client(state, options, found)
        return (
            (Mode.CLIENT, why) if why else (Mode.REPAIR, _reason_to_repair(state, options, found))
        )
    why = _reason_to_rotate(state, actor, options, found.probe)
    if why:
        return Mode.CLIENT if _other_client(state.current, options) else Mode.TOKEN, why
    return Mode.REPAIR, _reason_to_repair(state, options, found)


def _reason_to_rotate(state: State, actor: Actor, options: RotationOptions, probe: str) -> str:
    """Return why a new token is needed; empty if it is not."""
    if state.current is None:
        return "the store contains no token"
    if _other_client(state.current, options):
        return "the client has changed"
    if probe == "refused":
        return "the API refuses the current token"
    return _too_old(state.current, actor.now, options.max_age) or ("it was forced" * options.force)


def _reason_to_rotate_client(state: State, options: RotationOptions, found: Situation) -> str:
    """Return why the client of the options must be published; empty if it is in service.

    No API creates clients, so that the age of a client is no reason.
    """
    held = [state.current.fingerprint] if state.current else sorted(found.unknown)
    if held == [options.client]:
        return ""
    if not held:
        return "the store contains no client"
    return "the client of the options is not in service"


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


def _reason_to_repair(state: State, options: RotationOptions, found: Situation) -> str:
    reasons = []
    differing = sorted(name for name, one in found.hosts.items() if one and one.differs)
    if differing:
        reasons.append(f"the token file differs: {', '.join(differing)}")
    others = [name for name in found.hosts if name not in differing and found.hosts[name]]
    known = state.hosts
    unproved = sorted(
        name for name in others if name not in known or not known[name].uses(state.current)
    )
    if unproved:
        reasons.append(f"not proved to use the token: {', '.join(unproved)}")
    removed = sorted(set(options.removed_hosts) & set(known))
    if removed:
        reasons.append(f"removed: {', '.join(removed)}")
    if found.unknown:
        reasons.append("unknown tokens were adopted")
    return "; ".join(reasons)


def _blocked(state: State, options: RotationOptions, found: Situation, planned: Plan) -> str:
    if found.excludes_hosts:
        return _EXCLUDED
    mode, why = Mode(planned.mode), planned.why
    blocked = ""
    if mode is not Mode.EMERGENCY:
        blocked = _missing_hosts(state, options, found) or _unknown_tokens(state, options, found)
    if blocked:
        return blocked
    if options.client in [one.fingerprint for one in state.previous if one.compromised]:
        return (
            f"credential_rotation_client_secret: this client is compromised. {UNCHANGED} Make "
            "another one in Nomba's dashboard, and set its id and its secret."
        )
    if why and found.probe == "meaningless":
        return _UNPROVABLE
    issues = bool(why) and mode is not Mode.REPAIR and state.pending is None
    if issues and not options.has_client_secret:
        return (
            f"A new token requires the client secret ({why}). {UNCHANGED} Set "
            "credential_rotation_client_secret, or the environment variable NOMBA_CLIENT_SECRET of "
            "the controller."
        )
    return ""


def _missing_hosts(state: State, options: RotationOptions, found: Situation) -> str:
    absent = sorted(set(state.hosts) - set(found.hosts) - set(options.removed_hosts))
    if absent:
        return (
            f"{', '.join(absent)}: the store contains evidence that they got a token, but they are "
            f"not in this run. {UNCHANGED} Add them to the play, or declare that they no longer "
            "use the token with credential_rotation_removed_hosts."
        )
    # With a dead token, waiting for a host would only prolong the outage of the others.
    is_dead = state.current is None or found.probe == "refused"
    unusable = [
        f"{name} ({one.error if one else 'unreachable'})"
        for name, one in found.hosts.items()
        if one is None or one.error
    ]
    if unusable and not (is_dead and len(unusable) < len(found.hosts)):
        return (
            f"{', '.join(unusable)}: cannot receive a token. {UNCHANGED} Repair the host, or "
            "remove it from the play."
        )
    return ""


def is_due(state: State, options: RotationOptions, now: float) -> bool:
    """Return whether the current client is older than its max_age."""
    current = state.current
    is_client = current is not None and current.kind is Kind.CLIENT
    return is_client and current is not None and now - current.since >= options.max_age


def _unknown_tokens(state: State, options: RotationOptions, found: Situation) -> str:
    if options.adopt_unknown or not found.unknown:
        return ""
    listed = "; ".join(f"{name} on {', '.join(hosts)}" for name, hosts in found.unknown.items())
    if options.kind is Kind.CLIENT:
        if state.current is None and (len(found.unknown) == 1 or options.has_old_client):
            return ""  # the first run adopts what the hosts use
        return (
            f"Clients that are not in the store: {listed}. {UNCHANGED} If this is the wrong store, "
            "correct the options of the store. Otherwise set credential_rotation_old_client_id and "
            "credential_rotation_old_client_secret to the one to return to, and "
            "credential_rotation_unknown_tokens=adopt to retire the others."
        )
    return (
        f"Tokens that may be valid and are not in the store: {listed}. {UNCHANGED} If this is the "
        "wrong store, correct the options of the store; otherwise set "
        "credential_rotation_unknown_tokens=adopt, and they are revoked after the rotation."
    )


def _locked(state: State, actor: Actor, options: RotationOptions, lock_holder: str) -> str:
    rotation = state.rotation
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


def _other_client(current: Credential | None, options: RotationOptions) -> bool:
    return current is not None and not same(current.owner.client_id, options.owner.client_id)


def same(one: str, other: str) -> bool:
    """Return whether two ids or URLs are the same, apart from case and a trailing slash."""
    return one.strip().rstrip("/").lower() == other.strip().rstrip("/").lower()
