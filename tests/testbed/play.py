# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The beginning of a play: one token, three consumers that live on it, and how they fared."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.simulator.control_client import ControlClient

from .folder import HOSTS, Testbed, write_private
from .formats import Minted, store_document, token_env
from .processes import start, stop, wait_until
from .services import clients, service_pids

_TOLD = (
    "calls",
    "accepted",
    "refused",
    "failed",
    "fingerprint",
    "first_refused_at",
    "last_refused_at",
    "accepted_after_refusal_at",
    "longest_gap",
)


def seed(testbed: Testbed, settings: Mapping[str, object]) -> ControlClient:
    """Clear the testbed: no consumers, no files, and a simulator that was just reset."""
    record = testbed.read()
    simulator = ControlClient.from_announcement(testbed.announcement)
    stop_consumers(testbed)
    testbed.clear()
    simulator.reset(**settings)
    record["clients"] = clients(simulator)
    testbed.write({**record, "pids": _without_consumers(record["pids"])})
    return simulator


def seed_token(testbed: Testbed, simulator: ControlClient, *, age: float, lifetime: float) -> str:
    """Give one token to store and hosts, start the consumers; return its fingerprint."""
    minted = _mint(simulator, age, lifetime)
    write_private(testbed.rotation / "credentials.json", store_document(minted))
    for name in HOSTS:
        write_private(testbed.host(name) / "token.env", token_env(minted))
    start_consumers(testbed, simulator.http_url)
    return minted.fingerprint


def start_consumers(testbed: Testbed, url: str) -> None:
    """Start one on each host, and wait until the API has accepted a call of each."""
    record = testbed.read()
    for name in HOSTS:
        record["pids"][f"consumer-{name}"] = _start_consumer(testbed, name, url)
        testbed.write(record)
    for name in HOSTS:
        pid = record["pids"][f"consumer-{name}"]
        is_served = partial(_is_served, testbed, name)
        wait_until(is_served, f"the consumer of {name}", pid, testbed.folder)


def stop_consumers(testbed: Testbed) -> None:
    """End them, and wait for their end."""
    pids = testbed.read()["pids"]
    started = [pid for name, pid in pids.items() if name not in _without_consumers(pids)]
    stop([*started, *service_pids(testbed)], testbed.folder)


def consumers(testbed: Testbed) -> dict[str, dict[str, Any] | None]:
    """How the consumers fared, or null where there is none."""
    result = {name: _tally(testbed, name) for name in HOSTS}
    return {name: {key: one[key] for key in _TOLD} if one else None for name, one in result.items()}


def consumers_whole(testbed: Testbed) -> dict[str, dict[str, Any] | None]:
    """The same with all that they tell."""
    return {name: _tally(testbed, name) for name in HOSTS}


def _mint(simulator: ControlClient, age: float, lifetime: float) -> Minted:
    made = simulator.mint_pair(age=age, lifetime=lifetime)
    return Minted(
        access_token=made["access_token"],
        fingerprint=made["fingerprint"],
        issued_at=made["issued_at"],
        expires_at=made["expires_at"],
        api_url=simulator.url,
        account_id=simulator.account_id,
        client_id=simulator.client_id,
    )


def _start_consumer(testbed: Testbed, name: str, url: str) -> int:
    folder = str(testbed.host(name))
    command = [sys.executable, "-m", "tests.testbed.consumer", "--folder", folder, "--url", url]
    return start(command, testbed.logs / f"consumer-{name}.log")


def _without_consumers(pids: Mapping[str, int]) -> dict[str, int]:
    return {name: pid for name, pid in pids.items() if not name.startswith("consumer-")}


def _is_served(testbed: Testbed, name: str) -> bool:
    result = _tally(testbed, name)
    return result is not None and result["accepted"] > 0


def _tally(testbed: Testbed, name: str) -> dict[str, Any] | None:
    path: Path = testbed.host(name) / "consumer.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
