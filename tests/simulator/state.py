# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a simulator knows at one time; a reset puts a new state in its place."""

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
    """The layers side by side. Only here do they get a clock."""

    def __init__(self, settings: Settings, key: bytes, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.api = Api(settings, key)
        self.limiter = Limiter(settings.rate_class, settings.rate_window)
        self.script = Script()
        self.request_log = RequestLog(settings.request_log_limit)
        self.connections: dict[object, int] = {}

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.api.settings

    def now(self) -> float:
        """The time by the simulator's clock."""
        return self._clock() + self.settings.clock_offset

    def configure(self, settings: Settings) -> None:
        """Put other settings in force; the registry and the log stay."""
        old, self.api.settings = self.settings, settings
        rates = (settings.rate_class, settings.rate_window)
        if rates != (old.rate_class, old.rate_window):
            self.limiter = Limiter(*rates)

    def forget_requests(self) -> None:
        """Begin a new log; connections are numbered from 1 again."""
        self.request_log = RequestLog(self.settings.request_log_limit)
        self.connections = {}

    def connection(self, who: object) -> int:
        """The number of a connection in this log, given at its first request."""
        if who not in self.connections:
            self.request_log.connections += 1
            self.connections[who] = self.request_log.connections
        return self.connections[who]

    def disconnected(self, who: object) -> None:
        """Forget a connection that is gone."""
        self.connections.pop(who, None)


class Simulator:
    """Holds the present state and the key that outlives it."""

    def __init__(
        self, settings: Settings | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self.state = State(settings or Settings(), self._key, clock)

    def reset(self, settings: Settings) -> None:
        """Forget everything. Requests under way finish in the state they began in."""
        self.state = State(settings, self._key, self._clock)
