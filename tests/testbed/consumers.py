# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop the consumers, and read their statistics."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from .folder import HOSTS, Testbed
from .processes import start, stop, wait_until

# The service that uses a token, see consumer.py.
TOKEN_CONSUMER = ("tests.testbed.consumer",)


def start_consumers(
    testbed: Testbed,
    url: str,
    hosts: Sequence[str] = HOSTS,
    program: Sequence[str] = TOKEN_CONSUMER,
) -> None:
    """Start one consumer per host, and wait until the API has accepted a request of each.

    program: its module and further arguments.
    """
    record = testbed.read()
    for name in hosts:
        record["pids"][f"consumer-{name}"] = _start_consumer(testbed, name, url, program)
        testbed.write(record)
    for name in hosts:
        pid = record["pids"][f"consumer-{name}"]
        has_access = partial(_has_access, testbed, name)
        wait_until(has_access, f"the consumer of {name}", pid, testbed.folder)


def stop_consumers(testbed: Testbed) -> None:
    """Stop all consumers, and wait until they have ended."""
    pids = testbed.read()["pids"]
    started = [pid for name, pid in pids.items() if name not in without_consumers(pids)]
    stop([*started, *consumer_pids(testbed)], testbed.folder)


def consumer_pids(testbed: Testbed) -> list[int]:
    """Return the process ids from the PID files; a playbook may have restarted a consumer."""
    paths = [testbed.host(name) / "consumer.pid" for name in HOSTS]
    texts = [path.read_text(encoding="utf-8").strip() for path in paths if path.exists()]
    return [int(text) for text in texts if text.isdecimal()]


def without_consumers(pids: Mapping[str, int]) -> dict[str, int]:
    """Return the processes that are no consumers."""
    return {name: pid for name, pid in pids.items() if not name.startswith("consumer-")}


def consumer_statistics(testbed: Testbed) -> dict[str, dict[str, Any]]:
    """Return the statistics of each consumer that has been started, by host."""
    found = {name: _statistics(testbed, name) for name in HOSTS}
    return {name: statistics for name, statistics in found.items() if statistics is not None}


def _start_consumer(testbed: Testbed, name: str, url: str, program: Sequence[str]) -> int:
    folder = str(testbed.host(name))
    command = [sys.executable, "-m", *program, "--folder", folder, "--url", url]
    return start(command, testbed.logs / f"consumer-{name}.log")


def _has_access(testbed: Testbed, name: str) -> bool:
    statistics = _statistics(testbed, name)
    return statistics is not None and statistics["accepted"] > 0


def _statistics(testbed: Testbed, name: str) -> dict[str, Any] | None:
    path = testbed.host(name) / "consumer.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
