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
    CLIENT_REFUSED,
    due,
    holders,
    is_dead,
    retire_at,
    unreturned,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_plan import (
    RotationOptions,
    is_due,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Credential,
    Host,
    Kind,
    Mode,
    Phase,
    State,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_verdict import verdict
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time

_SESSIONS = (
    "To verify a client, a token is issued with it. If Nomba allows one session for each client or "
    "account, this ends the session of an application, which must issue another token."
)
# The answers to an issue by which the API refuses a client.
CLIENT_REFUSALS = ("forbidden", "unknown_client")


@dataclass(frozen=True)
class Findings:
    """What a run found that the state does not contain.

    before: the name of the credential that was in service when the run began. mode and why: of the
    plan. would: what a real run would do. rows: of the revoked tokens.
    failure: why the rotation is not finished. refused: the tokens that the API refused. seen: the
    id of the last event before this run. old_client: how the API answered the old client; empty if
    it was not asked. found: rows of the tokens that were found. unread: the sources that could not
    be read. kept: the number of found tokens that only the new client can have issued. lifetime: of
    the tokens seen, in seconds. verify_only: whether the run only verified the client. command: the
    command that resumes the rotation.
    """

    hosts: Sequence[str] = ()
    before: str = ""
    mode: str = ""
    why: str = ""
    would: Sequence[str] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    failure: str = ""
    refused: Sequence[str] = ()
    seen: str = ""
    old_client: str = ""
    found: Sequence[Mapping[str, Any]] = ()
    unread: Sequence[str] = ()
    kept: int = 0
    lifetime: float = 0.0
    check_mode: bool = False
    verify_only: bool = False
    command: str = ""


@dataclass(frozen=True)
class RotationReport:
    """The result of a run.

    lines: what it did, the verdict first. errors: why it failed; empty if it succeeded. printed:
    the one of them that the failed task has printed.
    """

    values: Mapping[str, Any]
    lines: Sequence[str]
    errors: Sequence[str] = field(default_factory=list)
    printed: str = ""

    @property
    def shown(self) -> list[str]:
        """The lines that a person reads: the verdict, and what explains it."""
        verdict = [self.values["verdict"]] if self.values["verdict"] else []
        others = [one for one in self.errors if one != self.printed]
        return [*verdict, *(others if self.errors else self.lines)]


def report(
    state: State, findings: Findings, options: RotationOptions, now: float
) -> RotationReport:
    """Return the report of a run. now: seconds since the epoch (UTC)."""
    events = _events_since(state, findings.seen)
    errors = _errors(state, findings, options, events, now)
    current = state.current
    values = {
        "verdict": _verdict(state, findings, events, has_failed=bool(errors)),
        "mode": findings.mode,
        "reason": findings.why,
        "current": current.fingerprint if current else "",
        "clients": _clients(state, findings),
        "expires_at": (current.expires_at or "") if current else "",
        "events": [dict(event) for event in events],
        "outage": next((one["detail"] for one in events if one["outcome"] == "outage"), ""),
        "not_revoked": [one.fingerprint for one in state.previous],
        "retire_at": _retire_at(state, options),
        "retired": [dict(row) for row in findings.rows],
        "found": [dict(row) for row in findings.found],
        "unread": list(findings.unread),
        "hosts": [_host(state, name, findings) for name in findings.hosts],
        "unknown": _unknown(findings, options, now),
        "host_errors": _host_errors(state, findings, events),
        "errors": errors,
    }
    return RotationReport(values, _lines(state, findings, options, events, now), errors)


def stopped_report(reason: str, command: str) -> RotationReport:
    """Return the report of a run that stopped before its end.

    reason: why a step failed; empty if tasks were skipped, or if the task of a user failed.
    """
    options = RotationOptions(Owner("", "", ""), max_age=0.0, lock_timeout=0.0)
    found = report(State(), Findings(), options, 0.0)
    first = "NOT FINISHED: the run stopped before its end"
    errors = [reason or f"{first}.", *([f"Next: {command}"] if command else [])]
    values = {**found.values, "verdict": first, "errors": errors}
    return RotationReport(values, [], errors, printed=reason)


def _clients(state: State, findings: Findings) -> dict[str, str]:
    """Return the id of each client of the store, and of those that this run retired."""
    retired = {row["fingerprint"]: row["client_id"] for row in findings.rows if "client_id" in row}
    stored = [one for one in state.credentials if one.kind is Kind.CLIENT]
    return {**retired, **{one.fingerprint: one.owner.client_id for one in stored}}


def _host(state: State, name: str, findings: Findings) -> dict[str, Any]:
    """Return what is proved about a host or sink, for the report."""
    host = state.hosts.get(name, Host())
    in_service = host.uses(state.current)
    error = "" if findings.verify_only else host.error  # of an earlier run
    return {
        "name": name,
        "may_hold": list(host.may_hold),
        "in_service": in_service,
        "error": error,
    }


def _unknown(findings: Findings, options: RotationOptions, now: float) -> list[str]:
    """Return what no run can prove about clients that are retired."""
    if not any(row.get("outcome") == CLIENT_REFUSED for row in findings.rows):
        return []
    end = show_time(now + max(findings.lifetime, options.token_lifetime))
    return [f"Tokens that an old client issued and that were not found may live until {end}."]


def _verdict(
    state: State, findings: Findings, events: Sequence[Mapping[str, Any]], has_failed: bool
) -> str:
    if findings.check_mode:
        return ""
    if findings.verify_only and has_failed:
        return "NOT VERIFIED: the client of the options; nothing was changed"
    if findings.verify_only:
        return "VERIFIED: the API accepts the client of the options"
    return verdict(
        state,
        findings.before,
        members=findings.hosts,
        events=events,
        rows=findings.rows,
        found=findings.found,
        has_failed=has_failed,
    )


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
        first = f"Check mode: a real run would {'; '.join(findings.would)}.{why}"
        return [first, *_ahead(findings, options)]
    if not findings.why:
        no_change = _no_change(state.current, findings, options, now)
        return [no_change, *_client_lines(state, findings, options, now)]
    lines = [_line(event) for event in events]
    lines += [*_client_lines(state, findings, options, now), *_ahead(findings, options)]
    return lines if any(findings.why in line for line in lines) else [findings.why, *lines]


def _line(event: Mapping[str, Any]) -> str:
    parts = (event["step"], event["outcome"], " ".join(event["fingerprints"]), event["detail"])
    return "  ".join(part for part in parts if part)


def _no_change(
    current: Credential | None, findings: Findings, options: RotationOptions, now: float
) -> str:
    if current is None:
        return "No change: no rotation is due."
    if current.kind is Kind.CLIENT:
        name = f"{current.owner.client_id} ({current.fingerprint})"
        return f"No change: client {name} is in service; {len(findings.hosts)} host(s) use it."
    age = f"{current.fingerprint} is {now - current.since:.0f} s old, limit {options.max_age:.0f} s"
    return f"No change: token {age}; {len(findings.hosts)} host(s) use it."


def _retire_at(state: State, options: RotationOptions) -> dict[str, str]:
    """Return when each replaced client is due (UTC), by fingerprint."""
    ends = {
        one.fingerprint: retire_at(one, options.retire_after)
        for one in state.previous
        if one.until is not None
    }
    return {name: show_time(end) or "" if end else "now" for name, end in ends.items()}


def _client_lines(
    state: State, findings: Findings, options: RotationOptions, now: float
) -> list[str]:
    """Return what a person must know and do about clients."""
    lines = []
    for one in state.previous:
        end = retire_at(one, options.retire_after)
        if one.kind is Kind.CLIENT and not one.withdrawn and end > now:
            lines.append(
                f"The old client {one.owner.client_id} ({one.fingerprint}) is due at "
                f"{show_time(end)}. Run again then: that run revokes its tokens, and says when to "
                "delete it in Nomba's dashboard."
            )
    if findings.kept:
        lines.append(
            f"{findings.kept} token(s) that were found were issued after the new client was "
            "verified, and were kept."
        )
    lines += _unknown(findings, options, now)
    if is_due(state, options, now) and state.current:
        lines.append(_due_client(state.current, options))
    if options.plain_store:
        lines.append(
            "The store is a file that is not encrypted, and it contains client secrets. Set "
            "credential_rotation_vault_password, or use the store hashi_vault."
        )
    return lines


def _ahead(findings: Findings, options: RotationOptions) -> list[str]:
    """Return what applications will meet, for a run that publishes a client or that looks ahead."""
    if options.kind is not Kind.CLIENT or findings.mode not in ("", Mode.CLIENT.value):
        return []
    lifetime = max(findings.lifetime, options.token_lifetime)
    if options.retire_after >= lifetime:
        return [_SESSIONS]
    refusals = (
        "An application that keeps its token when it is reloaded meets refusals when this token is "
        f"revoked. To avoid them, set credential_rotation_retire_after to {lifetime:.0f} s or more."
    )
    return [_SESSIONS, refusals]


def _client_errors(
    state: State, findings: Findings, options: RotationOptions, now: float, is_alone: bool
) -> list[str]:
    """Return what a person must do about clients. is_alone: nothing else has failed."""
    errors = []
    if findings.unread:
        errors.append(f"Not searched for tokens: {'; '.join(findings.unread)}.")
    current = state.current
    if current is None or current.kind is not Kind.CLIENT:
        return errors
    if options.fail_if_due and is_due(state, options, now):
        errors.append(_due_client(current, options))
    if is_alone and not findings.verify_only and current.fingerprint != options.client:
        name = f"{current.owner.client_id} ({current.fingerprint})"
        first = "An earlier rotation was finished first"
        errors.append(f"{first}: the client {name} is in service. Run again.")
    return errors


def _due_client(current: Credential, options: RotationOptions) -> str:
    return (
        f"The client {current.owner.client_id} is older than {options.max_age:.0f} s. Make another "
        "one in Nomba's dashboard, set credential_rotation_client_id and "
        "credential_rotation_client_secret, and run again."
    )


def _errors(
    state: State,
    findings: Findings,
    options: RotationOptions,
    events: Sequence[Mapping[str, Any]],
    now: float,
) -> list[str]:
    """Return a sentence for each reason why the run failed, the worst first."""
    if findings.check_mode:
        return []
    if findings.verify_only:
        return _not_verified(findings)
    noun = options.kind.noun
    errors = [*_alive(findings), *_not_retired(state, findings, options, now)]
    errors += _not_returned(state)
    failed = _failures(state, events)
    if failed:
        errors.append(f"No new {noun} is in service: {failed[-1].rstrip('.')}.")
        errors += _rolled_back(state, findings)
    if findings.failure:
        errors.append(f"The rotation is not finished: {findings.failure}.")
    if state.current and state.current.fingerprint in findings.refused:
        errors.append(f"The API refuses the current token {state.current.fingerprint}.")
    reported = " ".join(errors)
    hosts = [one for one in _host_errors(state, findings, events) if f" {one}" not in reported]
    if hosts:
        errors.append(f"Failed hosts: {'; '.join(hosts).rstrip('.')}.")
    elif state.rotation is not None and not errors:
        errors.append(f"The rotation is not finished: it is {state.rotation.phase.value}.")
    errors += _old_client(findings.old_client)
    errors += _client_errors(state, findings, options, now, is_alone=not errors)
    if errors and findings.command:
        errors.append(f"Next: {findings.command}")
    return errors


def _not_verified(findings: Findings) -> list[str]:
    """Return why the client was not verified, in a run that does nothing else."""
    if not findings.failure:
        return []
    problem = findings.failure.partition(": ")[2].rstrip(".")
    remedy = "Correct credential_rotation_client_id and credential_rotation_client_secret"
    return [f"{problem[:1].upper()}{problem[1:]}. {remedy}, then run again."]


def _alive(findings: Findings) -> list[str]:
    """Return the tokens that were found and are not proved dead."""
    rows = [row for row in findings.found if not is_dead(row)]
    listed = ", ".join(f"{row['fingerprint']} ({row.get('reason', '')})" for row in rows)
    return [f"NOT VERIFIED as revoked: {listed}."] if listed else []


def _not_retired(
    state: State, findings: Findings, options: RotationOptions, now: float
) -> list[str]:
    """Return which replaced credentials are due and not proved dead."""
    if options.kind is Kind.ACCESS_TOKEN:
        return _not_revoked(state, findings)
    reasons = {str(row["fingerprint"]): row for row in findings.rows}
    errors = []
    for one in due(state, now, options.retire_after):
        row = reasons.get(one.fingerprint, {})
        name = f"The old client {one.owner.client_id} ({one.fingerprint})"
        if row.get("outcome") == "issued" and not row.get("reason"):
            problem = f"{name} still gets tokens; the token just issued is revoked."
            errors.append(f"{problem} Delete the client in Nomba's dashboard, then run again.")
        elif row.get("outcome") in CLIENT_REFUSALS and not row.get("reason"):
            errors.append(f"{name} is kept in the store until the tokens that were found are dead.")
        else:
            why = row.get("reason") or row.get("outcome") or "not attempted"
            errors.append(f"{name} is not proved to be refused: {why}. Run again.")
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
    """Return why tokens were not published, also for a rollback of an earlier run that ended."""
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
    left = f"Not proved to use {name}: {', '.join(unproved)}."
    return [f"Rolled back: no host holds the new {state.current.kind.noun}. {left}"]


def _host_errors(
    state: State, findings: Findings, events: Iterable[Mapping[str, Any]]
) -> list[str]:
    if findings.verify_only:
        return []  # those in the state are of an earlier run
    was_rolled_back = any(one["outcome"] in ("failed", "rolled_back") for one in events)
    # Only an emergency leaves out a host that is known.
    failed = [
        f"{name}: it is not in this run, and may hold a compromised credential"
        for name in sorted(set(state.hosts) - set(findings.hosts))
        if not state.hosts[name].uses(state.current)
    ]
    for name in findings.hosts:
        host = state.hosts.get(name)
        if host is None or not host.error:
            continue
        is_old = state.current is not None and host.may_hold == (state.current.fingerprint,)
        noun = state.current.kind.noun if state.current else ""
        also = f" (with the old {noun}, too)" if is_old and was_rolled_back else ""
        failed.append(f"{name}: {host.error}{also}")
    return failed


def _old_client(answer: str) -> list[str]:
    if not answer or answer in CLIENT_REFUSALS:
        return []
    if answer == "issued":
        problem = "The old client still gets tokens; the token just issued is revoked."
        return [f"{problem} Delete the client, then run again."]
    return [f"The check of the old client is inconclusive ({answer}): run again."]
