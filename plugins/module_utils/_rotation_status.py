# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status of a store and of the hosts that use it, as a screen, as values and as metrics.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._rotation import Inspection, retire_at
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Credential,
    Host,
    Kind,
    State,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_verdict import name_of
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import parse_time, show_time

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SHOWN_HOSTS = 20
_METRICS = {
    "nomba_credential_age_seconds": "Seconds since the credential in service was stored.",
    "nomba_credential_expires_in_seconds": "Seconds until the token in service expires.",
    "nomba_credential_last_success_timestamp": "When the last rotation finished, Unix time.",
    "nomba_credential_rotation_open": "Whether a rotation is unfinished.",
    "nomba_credential_not_proved_dead": "Replaced credentials that are not proved dead.",
    "nomba_credential_hosts_not_in_line": "Hosts that do not provably use the credential.",
}


@dataclass(frozen=True)
class Status:
    """The status. values: for tasks. lines: for people. metrics: in Prometheus' text format."""

    values: Mapping[str, Any]
    lines: Sequence[str]
    metrics: str


def status(
    state: State,
    found: Mapping[str, Inspection | None],
    sinks: Sequence[str],
    *,
    store: str,
    retire_after: float,
    now: float,
) -> Status:
    """Return the status.

    found: what the file of each host contains, None for a host that was not inspected. store: its
    name, for the metrics. retire_after in seconds, now in seconds since the epoch (UTC).
    """
    hosts = [_host(state, name, one) for name, one in found.items()]
    hosts += [_sink(state, name) for name in sinks]
    hosts += [
        _other(state, name) for name in state.hosts if name not in found and name not in sinks
    ]
    wrong = [one for one in hosts if one["state"] != "in line"]
    ends = {one.fingerprint: _grace_end(state, one, retire_after) for one in state.previous}
    current, rotation = state.current, state.rotation
    values: dict[str, Any] = {
        "verdict": _verdict(state, hosts, wrong, ends.values(), now),
        "current": current.fingerprint if current else "",
        "name": name_of(current),
        "age": now - current.since if current else None,
        "expires_in": _expires_in(current, now),
        "rotation": rotation.phase.value if rotation else "",
        "retire_at": {
            name: "" if end is None else show_time(end) if end > now else "now"
            for name, end in ends.items()
        },
        "last_success": _last_success(state),
        "hosts": hosts,
    }
    lines = _lines(state, values, wrong, ends, now)
    return Status(values, lines, _metrics(values, len(wrong), store))


def _grace_end(state: State, one: Credential, retire_after: float) -> float | None:
    """Return when a replaced credential is due (seconds since the epoch, UTC); 0 for now.

    None if it is in its grace period, whose length is not among the options: a run without a grace
    period asks the API for a token of the client, and records the answer.
    """
    end = retire_at(one, retire_after)
    asked = any(
        event["step"] == "retire" and one.fingerprint in event["fingerprints"]
        for event in state.events
    )
    return None if end and not retire_after and not asked else end


def _host(state: State, name: str, found: Inspection | None) -> dict[str, Any]:
    """Compare what a host holds with the store."""
    if found is None:
        return {"name": name, "holds": [], "state": "not inspected: it is unreachable"}
    held, current = list(found.fingerprints), state.current
    if found.error:
        return {"name": name, "holds": held, "state": f"not readable: {found.error}"}
    if current is None:
        wrong = "no credential is in the store"
    elif held != [current.fingerprint]:
        known = {one.fingerprint for one in state.credentials}
        others = [one for one in held if one not in known]
        wrong = "holds an unknown credential" if others else "holds another credential of the store"
        wrong = wrong if held else "holds no credential"
    elif found.differs:
        wrong = "holds the credential; the rest of its file differs"
    elif not state.hosts.get(name, Host()).uses(current):
        wrong = "holds the credential; not proved that its service uses it"
    else:
        wrong = "in line"
    return {"name": name, "holds": held, "state": wrong}


def _sink(state: State, name: str) -> dict[str, Any]:
    host = state.hosts.get(name, Host())
    proved = "in line" if host.uses(state.current) else "not proved to hold the credential"
    return {"name": name, "holds": list(host.may_hold), "state": proved}


def _other(state: State, name: str) -> dict[str, Any]:
    held = list(state.hosts[name].may_hold)
    return {"name": name, "holds": held, "state": "in the store, and not among these hosts"}


def _verdict(
    state: State,
    hosts: Sequence[Mapping[str, Any]],
    wrong: Sequence[object],
    ends: Collection[float | None],
    now: float,
) -> str:
    """Return the verdict. ends: when each replaced credential is due; None if it is not known."""
    if state.current is None:
        return "NOTHING STORED: no rotation has finished with this store"
    count = f"{len(hosts) - len(wrong)} of {len(hosts)} hosts and sinks in line"
    if state.rotation:
        return f"ROTATION OPEN ({state.rotation.phase.value}): {count}"
    if wrong:
        return f"NOT IN LINE: {count}"
    overdue = [one for one in ends if one is not None and one <= now]
    if overdue:
        return f"NOT RETIRED: {len(overdue)} of {len(ends)} replaced; {count}"
    if ends:
        known = [one for one in ends if one is not None]
        until = f" until {show_time(min(known))}" if known else ""
        return f"IN GRACE PERIOD{until}: {len(ends)} replaced; {count}"
    return f"IN LINE: {count}"


def _lines(
    state: State,
    values: Mapping[str, Any],
    wrong: Sequence[Mapping[str, Any]],
    ends: Mapping[str, float | None],
    now: float,
) -> list[str]:
    lines = [str(values["verdict"])]
    if state.current:
        left = values["expires_in"]
        expires = "" if left is None else f", expires in {_duration(left)}"
        expires = ", EXPIRED" if left is not None and left <= 0 else expires
        age = _duration(now - state.current.since)
        lines.append(f"in service: {_named(state.current)}, {age} old{expires}")
    for one in state.previous:
        when = _due(one, ends[one.fingerprint], now)
        lines.append(f"replaced: {_named(one)}, {'compromised, ' * one.compromised}{when}")
    if state.rotation:
        open_ = state.rotation
        began, beat = _duration(now - open_.began), _duration(now - open_.renewed)
        lines.append(f"rotation: {open_.phase.value}, began {began} ago, last heartbeat {beat} ago")
    if values["last_success"] is not None:
        lines.append(f"last success: {show_time(values['last_success'])}")
    rows = [*wrong, *(one for one in values["hosts"] if one not in wrong)]
    width = max([len(one["name"]) for one in rows[:_SHOWN_HOSTS]] or [0])
    for one in rows[:_SHOWN_HOSTS]:
        held = " ".join(one["holds"]) or "nothing"
        lines.append(f"{one['name']:<{width}}  {held}  {one['state']}")
    if len(rows) > _SHOWN_HOSTS:
        lines.append(f"{len(rows) - _SHOWN_HOSTS} more are in hosts of credential_rotation_status.")
    return lines


def _due(one: Credential, end: float | None, now: float) -> str:
    if end is None:
        remedy = "set credential_rotation_retire_after to see when it is due"
        return f"replaced at {show_time(one.until)}; {remedy}"
    return f"due {show_time(end)}" if end > now else "due now"


def _named(credential: Credential) -> str:
    if credential.kind is Kind.CLIENT:
        return f"client {credential.owner.client_id} ({credential.fingerprint})"
    return f"token {credential.fingerprint}"


def _duration(seconds: float) -> str:
    """Return a duration with one unit, rounded down."""
    count, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "s"))
    return f"{int(seconds // count)} {unit}"


def _expires_in(current: Credential | None, now: float) -> float | None:
    end = parse_time(current.expires_at) if current else None
    return None if end is None else end - now


def _last_success(state: State) -> float | None:
    times = [str(one["time"]) for one in state.events if one["outcome"] == "finished"]
    return parse_time(times[-1]) if times else None


def _metrics(values: Mapping[str, Any], wrong: int, store: str) -> str:
    label = store.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    numbers = {
        "nomba_credential_age_seconds": values["age"],
        "nomba_credential_expires_in_seconds": values["expires_in"],
        "nomba_credential_last_success_timestamp": values["last_success"],
        "nomba_credential_rotation_open": int(bool(values["rotation"])),
        "nomba_credential_not_proved_dead": len(values["retire_at"]),
        "nomba_credential_hosts_not_in_line": wrong,
    }
    lines = []
    for name, number in numbers.items():
        if number is not None:
            lines += [f"# HELP {name} {_METRICS[name]}", f"# TYPE {name} gauge"]
            lines.append(f'{name}{{store="{label}"}} {number:.0f}')
    return "\n".join(lines) + "\n"
