# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests that the simulator received, and clocks that it shares or that advance alone."""

from __future__ import annotations

import threading
from dataclasses import replace

from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from tests.simulator.control_client import ControlClient
from tests.simulator.request_log import Entry
from tests.unit.clock import FastClock

# The requests of a run over one live token: its probe, the negative control (once a run, when the
# API accepts a token for the first time), the revoke, and the probe that verifies it.
ONE_LIVE_TOKEN = ["balance", "balance", "revoke", "balance"]
# Over one dead token: its probe, and the same on a separate connection as evidence.
ONE_DEAD_TOKEN = ["balance", "balance"]


def operations(simulator: ControlClient, fingerprint: str | None = None) -> list[str]:
    """Return the operations of the requests, in order, for one token or for all."""
    return [entry.operation for entry in simulator.requests(fingerprint=fingerprint)]


def controls(simulator: ControlClient) -> list[Entry]:
    """Return the probes of unknown tokens: those of the negative control, if all were minted."""
    known = {entry["fingerprint"] for entry in simulator.tokens()}
    return [entry for entry in simulator.requests("balance") if entry.fingerprint not in known]


def shared(clock: FastClock, simulator: ControlClient) -> Clock:
    """Return the fast clock, which also moves the clock and the rate windows of the simulator."""
    lock = threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:  # the simulator first: no request may come before its window has passed
            simulator.configure(clock_offset=sum(clock.slept) + seconds)
            clock.slept.append(seconds)

    return replace(clock.as_clock(), sleep=sleep)


def ticking(clock: FastClock, seconds: float) -> Clock:
    """Return the fast clock, which also advances by so many seconds at each reading."""
    still = clock.as_clock()

    def monotonic() -> float:
        clock.slept.append(seconds)
        return still.monotonic()

    return replace(still, monotonic=monotonic)
