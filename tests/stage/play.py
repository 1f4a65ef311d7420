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

from tests.simulator.handle import Handle

from .folder import HOSTS, Stage, write_private
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


def seed(stage: Stage, settings: Mapping[str, object]) -> Handle:
    """Clear the stage: no consumers, no files, and a simulator that was just reset."""
    record = stage.read()
    handle = Handle.from_announcement(stage.announcement)
    stop_consumers(stage)
    stage.clear()
    handle.reset(**settings)
    record["clients"] = clients(handle)
    stage.write({**record, "pids": _without_consumers(record["pids"])})
    return handle


def seed_token(stage: Stage, handle: Handle, *, age: float, lifetime: float) -> str:
    """Give one token to store and hosts, start the consumers; return its fingerprint."""
    minted = _mint(handle, age, lifetime)
    write_private(stage.rotation / "credentials.json", store_document(minted))
    for name in HOSTS:
        write_private(stage.host(name) / "token.env", token_env(minted))
    start_consumers(stage, handle.http_url)
    return minted.fingerprint


def start_consumers(stage: Stage, url: str) -> None:
    """Start one on each host, and wait until the API has accepted a call of each."""
    record = stage.read()
    for name in HOSTS:
        record["pids"][f"consumer-{name}"] = _start_consumer(stage, name, url)
        stage.write(record)
    for name in HOSTS:
        pid = record["pids"][f"consumer-{name}"]
        is_served = partial(_is_served, stage, name)
        wait_until(is_served, f"the consumer of {name}", pid, stage.folder)


def stop_consumers(stage: Stage) -> None:
    """End them, and wait for their end."""
    pids = stage.read()["pids"]
    started = [pid for name, pid in pids.items() if name not in _without_consumers(pids)]
    stop([*started, *service_pids(stage)], stage.folder)


def consumers(stage: Stage) -> dict[str, dict[str, Any] | None]:
    """How the consumers fared, or null where there is none."""
    result = {name: _tally(stage, name) for name in HOSTS}
    return {name: {key: one[key] for key in _TOLD} if one else None for name, one in result.items()}


def consumers_whole(stage: Stage) -> dict[str, dict[str, Any] | None]:
    """The same with all that they tell."""
    return {name: _tally(stage, name) for name in HOSTS}


def _mint(handle: Handle, age: float, lifetime: float) -> Minted:
    made = handle.mint_pair(age=age, lifetime=lifetime)
    return Minted(
        access_token=made["access_token"],
        fingerprint=made["fingerprint"],
        issued_at=made["issued_at"],
        expires_at=made["expires_at"],
        api_url=handle.url,
        account_id=handle.account_id,
        client_id=handle.client_id,
    )


def _start_consumer(stage: Stage, name: str, url: str) -> int:
    folder = str(stage.host(name))
    command = [sys.executable, "-m", "tests.stage.consumer", "--folder", folder, "--url", url]
    return start(command, stage.logs / f"consumer-{name}.log")


def _without_consumers(pids: Mapping[str, int]) -> dict[str, int]:
    return {name: pid for name, pid in pids.items() if not name.startswith("consumer-")}


def _is_served(stage: Stage, name: str) -> bool:
    result = _tally(stage, name)
    return result is not None and result["accepted"] > 0


def _tally(stage: Stage, name: str) -> dict[str, Any] | None:
    path: Path = stage.host(name) / "consumer.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
