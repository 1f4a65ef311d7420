# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a rotation: every sentence that a user reads about it, rendered from the state.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._rotation import (
    holders,
    is_dead,
    unreturned,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_plan import RotationOptions
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Credential,
    Phase,
    State,
)

# The answers to an issue by which the API refuses the old client.
_OLD_CLIENT_REFUSED = ("forbidden", "unknown_client")


@dataclass(frozen=True)
class Findings:
    """What a run found that the state does not contain.

    mode and why: of the plan. would: what a real run would do. rows: of the revoked tokens.
    failure: why the rotation is not finished. refused: the tokens that the API refused. seen: the
    id of the last event before this run. old_client: how the API answered the old client; empty if
    it was not asked. command: the command that resumes the rotation.
    """

    hosts: Sequence[str] = ()
    mode: str = ""
    why: str = ""
    would: Sequence[str] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    failure: str = ""
    refused: Sequence[str] = ()
    seen: str = ""
    old_client: str = ""
    check_mode: bool = False
    command: str = ""


@dataclass(frozen=True)
class RotationReport:
    """The result of a run. errors: why it failed; empty if it succeeded."""

    values: Mapping[str, Any]
    lines: Sequence[str]
    errors: Sequence[str] = field(default_factory=list)


def report(
    state: State, findings: Findings, options: RotationOptions, now: float
) -> RotationReport:
    """Return the report of a run. now: seconds since the epoch (UTC)."""
    events = _events_since(state, findings.seen)
    errors = _errors(state, findings, events)
    current = state.current
    values = {
        "mode": findings.mode,
        "reason": findings.why,
        "current": current.fingerprint if current else "",
        "expires_at": (current.expires_at or "") if current else "",
        "events": [dict(event) for event in events],
        "outage": next((one["detail"] for one in events if one["outcome"] == "outage"), ""),
        "not_revoked": [one.fingerprint for one in state.previous],
        "host_errors": _host_errors(state, findings),
        "errors": errors,
    }
    return RotationReport(values, _lines(state, findings, options, events, now), errors)


def revocation_verdict(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return which tokens are dead and since when, worst first.

    names: the fingerprints of all tokens that were to be revoked.
    """
    found = {str(row["fingerprint"]): row for row in rows}
    dead = [name for name in names if is_dead(found.get(name))]
    alive = [name for name in names if name not in dead]
    parts = []
    if alive:
        reasons = (f"{name} ({found.get(name, {}).get('reason', 'no result')})" for name in alive)
        parts.append(f"NOT VERIFIED as revoked: {', '.join(reasons)}.")
    if dead:
        times = (f"{name} (at {found[name].get('at', 'an unknown time')})" for name in dead)
        parts.append(f"Revoked and verified: {', '.join(times)}.")
    return " ".join(parts) or "The store contains no token to revoke."


def _events_since(state: State, seen: str) -> list[Mapping[str, Any]]:
    names = [str(event["id"]) for event in state.events]
    start = names.index(seen) + 1 if seen in names else 0
    return list(state.events[start:])


def _lines(
    state: State,
    findings: Findings,
    options: RotationOptions,
    events: Iterable[Mapping[str, Any]],
    now: float,
) -> list[str]:
    if findings.check_mode and findings.would:
        why = f" Reason: {findings.why}." if findings.why else ""
        return [f"Check mode: a real run would {'; '.join(findings.would)}.{why}"]
    if not findings.why:
        return [_no_change(state.current, findings, options, now)]
    return [findings.why, *(_line(event) for event in events)]


def _line(event: Mapping[str, Any]) -> str:
    parts = (event["step"], event["outcome"], " ".join(event["fingerprints"]), event["detail"])
    return "  ".join(part for part in parts if part)


def _no_change(
    current: Credential | None, findings: Findings, options: RotationOptions, now: float
) -> str:
    if current is None:
        return "No change: no rotation is due."
    age = f"{current.fingerprint} is {now - current.since:.0f} s old, limit {options.max_age:.0f} s"
    return f"No change: token {age}; {len(findings.hosts)} host(s) use it."


def _errors(state: State, findings: Findings, events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each reason why the run failed, the worst first."""
    if findings.check_mode:
        return []
    errors = [*_not_revoked(state, findings), *_not_returned(state)]
    failed = _failures(state, events)
    if failed:
        errors.append(f"No new token is in service: {failed[-1]}.")
        errors += _rolled_back(state, findings)
    if findings.failure:
        errors.append(f"The rotation is not finished: {findings.failure}.")
    if state.current and state.current.fingerprint in findings.refused:
        errors.append(f"The API refuses the current token {state.current.fingerprint}.")
    hosts = _host_errors(state, findings)
    if hosts:
        errors.append(f"Failed hosts: {'; '.join(hosts)}.")
    elif state.rotation is not None and not errors:
        errors.append(f"The rotation is not finished: it is {state.rotation.phase.value}.")
    errors += _old_client(findings.old_client)
    if errors and findings.command:
        errors.append(f"Next: {findings.command}")
    return errors


def _not_revoked(state: State, findings: Findings) -> list[str]:
    held = unreturned(state)
    reasons = {str(row["fingerprint"]): row.get("reason", "") for row in findings.rows}
    left = [
        one
        for one in state.previous
        if not held or one.compromised or one.refused or one.fingerprint in reasons
    ]
    if not left:
        return []
    listed = (
        f"{one.fingerprint} ({reasons.get(one.fingerprint) or 'not attempted'})" for one in left
    )
    return [f"NOT VERIFIED as revoked: {', '.join(listed)}. Run again to revoke these tokens."]


def _not_returned(state: State) -> list[str]:
    hosts = unreturned(state)
    if not hosts:
        return []
    held = [one for one in state.previous if holders(state, one)]
    tokens = ", ".join(one.fingerprint for one in held if not (one.compromised or one.refused))
    is_rollback = state.rotation is not None and state.rotation.phase is Phase.RETURNING
    verdict = "ROLLBACK INCOMPLETE: " * is_rollback
    problem = f"{verdict}{', '.join(hosts)} may still use {tokens}, which this run does not revoke."
    return [f"{problem} Repair the host, then run again."]


def _failures(state: State, events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why tokens were not published; also of an earlier run whose rollback has ended."""
    ended = {event["rotation"] for event in events if event["outcome"] == "rolled_back"}
    return [
        str(event["detail"])
        for event in state.events
        if event["outcome"] == "failed" and (event in events or event["rotation"] in ended)
    ]


def _rolled_back(state: State, findings: Findings) -> list[str]:
    """Return which token the hosts use after a rollback, only as far as it is proved."""
    if state.current is None or unreturned(state):
        return []
    name = state.current.fingerprint
    unproved = [
        host
        for host in findings.hosts
        if host not in state.hosts or not state.hosts[host].uses(state.current)
    ]
    if not unproved:
        return [f"Rolled back: the hosts hold {name} again."]
    problem = f"Not proved to use {name}: {', '.join(unproved)}."
    return [f"Rolled back: no host holds the new token. {problem}"]


def _host_errors(state: State, findings: Findings) -> list[str]:
    failed = []
    for name in findings.hosts:
        host = state.hosts.get(name)
        if host is None or not host.error:
            continue
        is_old = state.current is not None and host.may_hold == (state.current.fingerprint,)
        was_rolled_back = any(event["outcome"] == "failed" for event in state.events[-20:])
        also = " (with the old token, too)" if is_old and was_rolled_back else ""
        failed.append(f"{name}: {host.error}{also}")
    return failed


def _old_client(answer: str) -> list[str]:
    if not answer or answer in _OLD_CLIENT_REFUSED:
        return []
    if answer == "issued":
        problem = "The old client still gets tokens; the token just issued is revoked."
        return [f"{problem} Delete the client, then run again."]
    return [f"The check of the old client is inconclusive ({answer}): run again."]
