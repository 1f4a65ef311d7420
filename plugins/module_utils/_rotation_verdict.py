# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict of a rotation: the line that a person reads first.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._rotation import (
    CLIENT_REFUSED,
    is_dead,
    unreturned,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    SINK,
    Credential,
    Kind,
    State,
)


def name_of(credential: Credential | None) -> str:
    """Return the name that a person knows: a client's id, or the fingerprint of a token."""
    if credential is None:
        return ""
    is_client = credential.kind is Kind.CLIENT
    return credential.owner.client_id if is_client else credential.fingerprint


def verdict(
    state: State,
    before: str,
    *,
    members: Sequence[str],
    events: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    has_failed: bool,
) -> str:
    """Return the verdict of a run; empty if the run changed nothing and did not fail.

    before: the name of what was in service when the run began. members: hosts and sinks. events: of
    this run. rows: of the retired credentials, found: of the tokens that were found. has_failed:
    whether the run fails.
    """
    outcomes = {str(event["outcome"]) for event in events}
    in_service, retired = _in_service(state, members), _retired(rows, found)
    probed = [*found, *(() if state.kind is Kind.CLIENT else rows)]
    # A token that was revoked again has several rows; the last one counts.
    tokens = {str(row["fingerprint"]): row for row in probed}.values()
    alive = [row for row in tokens if not is_dead(row)]
    if alive:
        return f"NOT VERIFIED: {len(alive)} of {len(tokens)} tokens not proved dead"
    on_hosts = _on_hosts(state, in_service)
    if working := [name_of(one) for one in state.previous if _still_works(one, rows)]:
        return f"OLD CLIENT STILL WORKS: {', '.join(working)}; {on_hosts}"
    if "promoted" in outcomes:
        done = "NOT FINISHED: rotated" if has_failed else "ROTATED"
        replaced = [name_of(one) for one in state.previous[-1:]]
        names = [before] if before else replaced  # the first rotation adopts what hosts hold
        change = " -> ".join([*names, name_of(state.current)])
        details = ", ".join([in_service, *retired, _outage(events)])
        return f"{done} {state.kind.noun if state.kind else ''} {change}: {details}"
    if state.current and outcomes & {"rolled_back", "failed"}:
        return f"{'ROLLBACK INCOMPLETE' if unreturned(state) else 'ROLLED BACK'}: {on_hosts}"
    if has_failed:
        return f"NOT FINISHED: {on_hosts}"
    published = f"PUBLISHED AGAIN: {on_hosts}" if "published" in outcomes else ""
    return f"RETIRED: {', '.join(retired)}" if retired else published


def _still_works(one: Credential, rows: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether the API has issued a token to a client that was replaced."""
    marks = {row["fingerprint"] for row in rows if row["outcome"] == "issued"}
    return one.kind is Kind.CLIENT and one.fingerprint in marks


def _on_hosts(state: State, in_service: str) -> str:
    if state.current is None:
        return "no credential is in service"
    return f"{state.current.kind.noun} {name_of(state.current)} on {in_service}"


def _in_service(state: State, members: Sequence[str]) -> str:
    """Return how many hosts and sinks provably use the current credential."""
    sinks = [name for name in members if name.startswith(SINK)]
    hosts = [name for name in members if name not in sinks]
    parts = []
    for names, noun in (hosts, "host"), (sinks, "sink"):
        if names:
            states = [state.hosts[one] for one in names if one in state.hosts]
            users = sum(one.uses(state.current) for one in states)
            parts.append(f"{users} of {len(names)} {noun}{'s' * (len(names) != 1)}")
    return ", ".join(parts)


def _retired(rows: Iterable[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> list[str]:
    parts = []
    for row in rows:
        if is_dead(row):
            is_client = row["outcome"] == CLIENT_REFUSED
            what = "old client refused" if is_client else "old token revoked and verified"
            parts.append(f"{what} {row.get('at', '')}".rstrip())
    if found:
        dead = sum(is_dead(row) for row in found)
        parts.append(f"{dead} of {len(found)} found token{'s' * (len(found) != 1)} dead")
    return parts


def _outage(events: Iterable[Mapping[str, Any]]) -> str:
    seconds = next((event["detail"] for event in events if event["outcome"] == "outage"), "0 s")
    return f"outage {seconds}"
