# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the simulator, the store, the hosts, the consumers and the audit log hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint

from .client_consumer import KEY, Redis
from .consumers import consumer_statistics
from .folder import HOSTS, Testbed
from .token_files import client_env

WRITES = ("issue", "refresh", "revoke")
# Files that a rotation keeps in its folder.
_PERMANENT = {
    "credentials.json",
    "audit.jsonl",
    ".credentials.json.lock",
    ".issued.json.lock",
    ".client-check.json.lock",
}


def observe(testbed: Testbed) -> dict[str, Any]:
    """Return all of it, with fingerprints in place of tokens."""
    simulator = ControlClient.from_announcement(testbed.announcement)
    requests = [one for name in WRITES for one in simulator.requests(operation=name)]
    order = [one.operation for one in sorted(requests, key=lambda one: one.n)]
    tokens = sorted(simulator.tokens(), key=lambda token: token["issued_at"])
    clients = simulator.settings["clients"]
    events = _events(testbed.rotation / "audit.jsonl")
    return {
        "live": [token["fingerprint"] for token in tokens if token["accepted"]],
        "live_clients": sorted({one["client_id"] for one in tokens if one["accepted"]}),
        "env_clients": {
            name: _client_of(path.read_text(encoding="utf-8"), clients, simulator.url)
            for name in HOSTS
            if (path := testbed.host(name) / ".env").exists()
        },
        "cached": _cached(testbed),
        "seeded": tokens[0]["fingerprint"] if tokens else None,
        "seeded_client": tokens[0]["client_id"] if tokens else None,
        "issued": len(tokens) - 1,
        "operations": {name: order.count(name) for name in ("issue", "revoke")},
        "order": order,
        "writes": len(order),
        "store": _store(testbed.rotation / "credentials.json"),
        "hosts": _tokens_of_hosts(testbed),
        "consumers": {
            name: _with_outage(statistics)
            for name, statistics in consumer_statistics(testbed).items()
        },
        "audit": [event["outcome"] for event in events],
        "audit_ids": [event["id"] for event in events],
        "outage": _outage(events),
        "leftovers": sorted({path.name for path in testbed.rotation.glob("*")} - _PERMANENT),
    }


def _store(path: Path) -> dict[str, Any] | None:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text or text.startswith("$ANSIBLE_VAULT;"):
        return None
    state = json.loads(text)
    tokens = {name: (state[name] or {}).get("fingerprint") for name in ("current", "pending")}
    previous = [one["fingerprint"] for one in state["previous"]]
    client = (state["current"] or {}).get("client_id")
    return {**tokens, "previous": previous, "rotation": state["rotation"], "client": client}


def _tokens_of_hosts(testbed: Testbed) -> dict[str, str]:
    """Return the fingerprint of the token in each host's token file."""
    paths = {name: testbed.host(name) / "token.env" for name in HOSTS}
    return {name: _token_of(path) for name, path in paths.items() if path.exists()}


def _token_of(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return fingerprint(dict(line.split("=", 1) for line in lines)["NOMBA_ACCESS_TOKEN"])


def _client_of(text: str, clients: list[dict[str, str]], url: str) -> str | None:
    """Return the id of the client in a seeded .env file; None if another byte differs."""
    found = [one["client_id"] for one in clients if client_env(one, url) == text]
    return found[0] if found else None


def _cached(testbed: Testbed) -> str | None:
    """Return the fingerprint of the token in Redis."""
    port = testbed.read().get("redis")
    if port is None:
        return None
    redis = Redis(port)
    cached = json.loads(redis.get(KEY) or "{}").get("access_token")
    redis.close()
    return fingerprint(cached) if cached else None


def _with_outage(statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Add the seconds between the first and the last refusal."""
    begin, end = statistics["first_refused_at"], statistics["last_refused_at"]
    return {**statistics, "outage": end - begin if begin is not None else 0.0}


def _events(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _outage(events: list[dict[str, Any]]) -> float:
    """Return the outage in seconds that the audit log records."""
    details = [event["detail"] for event in events if event["outcome"] == "outage"]
    return float(details[-1].split()[2]) if details else 0.0
