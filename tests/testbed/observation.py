# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the server, the store, the hosts, the consumers and the audit log hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint

from .folder import HOSTS, Testbed
from .play import consumers_whole

WRITES = ("issue", "refresh", "revoke")
_OWN = {
    "credentials.json",
    "audit.jsonl",
    ".credentials.json.lock",
    ".issued.json.lock",
    ".old-client.json.lock",
}


def observe(testbed: Testbed) -> dict[str, Any]:
    """Return all of it, with fingerprints only."""
    simulator = ControlClient.from_announcement(testbed.announcement)
    sent = [one.operation for name in WRITES for one in simulator.requests(operation=name)]
    tokens = sorted(simulator.tokens(), key=lambda token: token["issued_at"])
    events = _events(testbed.rotation / "audit.jsonl")
    return {
        "live": simulator.live(),
        "seeded": tokens[0]["fingerprint"] if tokens else None,
        "issued": len(tokens) - 1,
        "operations": {name: sent.count(name) for name in ("issue", "revoke")},
        "order": _order(simulator),
        "writes": len(sent),
        "store": _store(testbed.rotation / "credentials.json"),
        "hosts": {name: _held(testbed.host(name) / "token.env") for name in HOSTS},
        "consumers": {
            name: _fared(result) for name, result in consumers_whole(testbed).items() if result
        },
        "audit": [event["outcome"] for event in events],
        "audit_ids": [event["id"] for event in events],
        "outage": _outage(events),
        "leftovers": sorted({path.name for path in testbed.rotation.glob("*")} - _OWN),
    }


def _order(simulator: ControlClient) -> list[str]:
    """The writes in the order of their arrival."""
    sent = [one for name in WRITES for one in simulator.requests(operation=name)]
    return [one.operation for one in sorted(sent, key=lambda one: one.n)]


def _store(path: Path) -> dict[str, Any] | None:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text or text.startswith("$ANSIBLE_VAULT;"):
        return None  # there is none, or only its owner can read it
    state = json.loads(text)
    marks = {name: (state[name] or {}).get("fingerprint") for name in ("current", "pending")}
    previous = [one["fingerprint"] for one in state["previous"]]
    client = (state["current"] or {}).get("client_id")
    return {**marks, "previous": previous, "rotation": state["rotation"], "client": client}


def _held(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return fingerprint(dict(line.split("=", 1) for line in lines)["NOMBA_ACCESS_TOKEN"])


def _fared(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a consumer tells, and for how long it was refused, in seconds."""
    begin, end = result["first_refused_at"], result["last_refused_at"]
    return {**result, "outage": end - begin if begin is not None else 0.0}


def _events(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _outage(events: list[dict[str, Any]]) -> float:
    """The seconds that the record names."""
    result = [event["detail"] for event in events if event["outcome"] == "outage"]
    return float(result[-1].split()[2]) if result else 0.0
