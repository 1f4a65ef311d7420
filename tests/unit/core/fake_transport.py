# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A transport that sends nothing and remembers what it was given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._answer import HttpAnswer, TransportFailure


@dataclass(frozen=True)
class Sent:
    """One request, as it was handed to the transport."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, str] | None
    idempotent: bool = True
    exclusive: bool = False
    reserve: float = 0.0


@dataclass
class FakeTransport:
    """Keeps what it is given, and always says the same."""

    says: HttpAnswer | TransportFailure = field(
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
        return self.says

    def grants(self, **data: Any) -> None:
        """Answer with this data from now on."""
        self.says = HttpAnswer(200, {}, json.dumps({"code": "00", "data": data}).encode())
