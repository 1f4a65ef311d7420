# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of a rotation, built by its transitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils import _rotation as rotation
from ansible_collections.nomba.auth.plugins.module_utils._rotation import HostEvidence, Inspection
from ansible_collections.nomba.auth.plugins.module_utils._rotation_plan import RotationOptions
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Actor,
    Credential,
    Host,
    Mode,
    Phase,
    Rotation,
    State,
)
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from tests.unit.clock import NOW

from .token_factory import ACCOUNT, token

OWNER = Owner("https://api.example", ACCOUNT, "2242b79d-f2cf-4ccc-ada1-e890bd1a9f0d")
OLDEST, OLD, NEW, FOREIGN = (token(jti=name) for name in ("oldest", "old", "new", "foreign"))
MARKS = {text: fingerprint(text) for text in (OLDEST, OLD, NEW, FOREIGN)}
HOSTS = ("a", "b")


def actor(after: float = 0, run: str = "here/1/1") -> Actor:
    """Return the actor ada, a number of seconds after NOW."""
    return Actor(NOW + after, run, "ada", "controller")


def held(text: str, since: float = NOW - 100, **more: Any) -> Credential:
    """Return a credential in the document; more: fields of its owner, compromised, refused."""
    flags = {name: more.pop(name) for name in ("compromised", "refused") if name in more}
    return Credential(replace(OWNER, **more), text, show_time(NOW + 3600), since, **flags)


def issued(text: str = NEW, **more: Any) -> dict[str, Any]:
    """Return a token document as nomba_token writes it."""
    fields = {**vars(OWNER), "access_token": text, "expires_at": show_time(NOW + 3600)}
    return {**fields, "refresh_token": "a refresh token", "replaced": [], **more}


def using(*texts: str, error: str = "") -> Host:
    """Return a host; with one token and no error, it provably uses the token."""
    return Host(tuple(MARKS[one] for one in texts), len(texts) == 1 and not error, error)


def in_progress(
    phase: Phase = Phase.ISSUING,
    mode: Mode = Mode.TOKEN,
    pending: str = "",
    run: str = "here/1/1",
    hosts: Mapping[str, Host] | None = None,
) -> State:
    """Return an unfinished rotation of OLD with its last heartbeat at NOW; the hosts use OLD."""
    by_name = {name: using(OLD) for name in HOSTS} if hosts is None else dict(hosts)
    one = Rotation("a rotation", mode, phase, NOW, run, NOW, hosts=tuple(by_name))
    return State(held(OLD), held(pending) if pending else None, rotation=one, hosts=by_name)


def options(max_age: float = 900, lock_timeout: float = 600, **more: Any) -> RotationOptions:
    """Return the options of a rotation."""
    return RotationOptions(more.pop("owner", OWNER), max_age, lock_timeout, **more)


def row(text: str, outcome: str = "revoked", verified: Any = True, **more: Any) -> dict[str, Any]:
    """Return the result row of a revocation."""
    return {"fingerprint": fingerprint(text), "outcome": outcome, "verified": verified, **more}


def evidence(state: State, **more: Any) -> HostEvidence:
    """Return the complete evidence of a host that uses the target of a state."""
    name = state.rotation.id if state.rotation else ""
    mark = state.target.fingerprint if state.target else ""
    return HostEvidence(**{"rotation": name, "fingerprint": mark, **COMPLETE, **more})


COMPLETE: dict[str, Any] = {"reloaded": True, "healthy": True}


def events_of(state: State) -> list[tuple[str, str]]:
    """Return step and outcome of all events."""
    return [(event["step"], event["outcome"]) for event in state.events]


# Rotations, step by step


def begun(mode: str = "token", why: str = "it was forced") -> State:
    """Return a rotation that has begun on hosts that use OLD."""
    in_service = State(held(OLD), hosts={name: using(OLD) for name in HOSTS})
    state = rotation.begin(in_service, actor(), mode, why)
    return rotation.set_hosts(state, actor(), dict.fromkeys(HOSTS, Inspection((MARKS[OLD],))))


def publishing(old: str = "accepted") -> State:
    """Return a rotation whose new token is verified."""
    state = rotation.set_pending(begun(), actor(1), issued())
    return rotation.verify(state, actor(2), "accepted", old)


def recorded(state: State, **more: Any) -> State:
    """Return the state after a batch; more: the evidence of hosts, complete if not given."""
    names = [*rotation.to_publish(state)]
    state = rotation.start_batch(state, actor(3), names)
    for name in names:
        found = more.get(name, evidence(state))
        state = rotation.record_host(state, actor(4), name, found)
    return state


def promoted() -> State:
    """Return a rotation whose token all hosts use."""
    return rotation.promote(recorded(publishing()), actor(5))


def whole_rotation() -> State:
    """Return the state after a rotation from OLD to NEW."""
    return rotation.finish(rotation.retire(promoted(), actor(6), [row(OLD)]), actor(6))


def returning(**more: Any) -> State:
    """Return a rotation with a failed host b; more: the evidence of hosts before the rollback."""
    state = publishing()
    failed = {"b": evidence(state, healthy=False, error="Run the health check: HTTP 503"), **more}
    state = recorded(state, **failed)
    return rotation.roll_back(state, actor(5), "publish", f"b: {state.hosts['b'].error}")


def failed_rotation() -> State:
    """Return the state after a rotation that was rolled back on each host."""
    state = rotation.retire(recorded(returning()), actor(7), [row(NEW)])
    return rotation.finish(state, actor(8))


def emergency() -> State:
    """Return an emergency with two leaked tokens, before it issues a new one."""
    in_service = State(
        held(OLD), previous=(held(OLDEST),), hosts={name: using(OLD) for name in HOSTS}
    )
    state = rotation.begin(in_service, actor(), "emergency", "the credentials may have leaked")
    return rotation.mark_compromised(state, actor(1))


def emergency_rotation() -> State:
    """Return the state after an emergency with a token that is not proved dead."""
    rows = [row(OLD), row(OLDEST, "unknown", verified=False)]
    state = rotation.retire(emergency(), actor(2), rows)
    state = rotation.set_hosts(state, actor(2), dict.fromkeys(HOSTS, Inspection((MARKS[OLD],))))
    state = rotation.set_pending(state, actor(3), issued())
    state = recorded(rotation.verify(state, actor(4), "accepted", "none"))
    return rotation.finish(rotation.promote(state, actor(9.5)), actor(10))


ROTATIONS: dict[str, Callable[[], State]] = {
    "whole": whole_rotation,
    "failed": failed_rotation,
    "emergency": emergency_rotation,
}
