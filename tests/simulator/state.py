# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The complete state of a simulator; a reset replaces it with a new one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from .faults import Script
from .rates import Limiter
from .request_log import RequestLog
from .rules import Api
from .settings import Settings


class State:
    """Rules, rate limits, faults and request log, with the clock."""

    def __init__(self, settings: Settings, key: bytes, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.api = Api(settings, key)
        self.limiter = Limiter(settings.rate_class, settings.rate_window)
        self.script = Script()
        self.request_log = RequestLog(settings.request_log_limit)
        self.connections: dict[object, int] = {}

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self.api.settings

    def now(self) -> float:
        """Return the time of the simulator's clock."""
        return self._clock() + self.settings.clock_offset

    def configure(self, settings: Settings) -> None:
        """Replace the settings; keep the token registry and the request log."""
        old, self.api.settings = self.settings, settings
        rates = (settings.rate_class, settings.rate_window)
        if rates != (old.rate_class, old.rate_window):
            self.limiter = Limiter(*rates)

    def forget_requests(self) -> None:
        """Start a new request log; connections are numbered from 1 again."""
        self.request_log = RequestLog(self.settings.request_log_limit)
        self.connections = {}

    def connection(self, key: object) -> int:
        """Return the number of a connection in this log, assigned at its first request."""
        if key not in self.connections:
            self.request_log.connections += 1
            self.connections[key] = self.request_log.connections
        return self.connections[key]

    def disconnected(self, key: object) -> None:
        """Remove a closed connection."""
        self.connections.pop(key, None)


class Simulator:
    """The current state, and the signing key, which a reset does not change."""

    def __init__(
        self, settings: Settings | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self.state = State(settings or Settings(), self._key, clock)

    def reset(self, settings: Settings) -> None:
        """Replace the state. Active requests complete with the previous state."""
        self.state = State(settings, self._key, self._clock)
