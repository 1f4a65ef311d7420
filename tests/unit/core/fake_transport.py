# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A transport that sends nothing and records its requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._answer import HttpAnswer, TransportFailure


@dataclass(frozen=True)
class Sent:
    """One request to the transport."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, str] | None
    idempotent: bool = True
    exclusive: bool = False
    reserve: float = 0.0


@dataclass
class FakeTransport:
    """Record each request and return always the same reply."""

    reply: HttpAnswer | TransportFailure = field(
        default_factory=lambda: HttpAnswer(200, {}, b'{"code":"00"}')
    )
    sent: list[Sent] = field(default_factory=list)

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, str] | None = None,
        *,
        idempotent: bool = True,
        exclusive: bool = False,
        reserve: float = 0.0,
    ) -> HttpAnswer | TransportFailure:
        self.sent.append(Sent(method, path, headers, body, idempotent, exclusive, reserve))
        return self.reply

    def grants(self, **data: Any) -> None:
        """Return this data from now on."""
        self.reply = HttpAnswer(200, {}, json.dumps({"code": "00", "data": data}).encode())
