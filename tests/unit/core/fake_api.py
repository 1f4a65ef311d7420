# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client without a network: an API of a few lines, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from ansible_collections.nomba.auth.plugins.module_utils._answer import Reading, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    Policy,
    Report,
    Revocation,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import read
from tests.unit.clock import NOW, StillClock

from .making import ACCOUNT, token

YES = Reading(Verdict.YES, "HTTP 200, code 00", 200, "00")
UNAUTHORIZED = Reading(Verdict.NO, "HTTP 401, code 401", 401, "401")
FORBIDDEN = Reading(Verdict.NO, "HTTP 403, code 403", 403, "403")
NO_ANSWER = Reading(Verdict.UNCLEAR, "the connection was cut")
NOT_SENT = Reading(Verdict.UNCLEAR, "the run's deadline came first", attempts=0)


def live(**claims: Any) -> str:
    """A token that is good for another hour."""
    return token(**{"iat": int(NOW) - 60, "exp": int(NOW) + 3600, **claims})


def many(count: int) -> list[str]:
    """Different live tokens."""
    return [live(number=number) for number in range(count)]


@dataclass
class FakeApi:
    """Takes the tokens that it issued until they are revoked, and tells what it was asked.

    answer: what a revoke is told, None for the truth. effect: seconds until a revoke takes effect,
    None for never. probes: what the next probes are told in place of the truth, None for the truth.
    checks: whether tokens are looked at at all. ahead: its clock's advance on NOW's, None for no
    Date; dated: which answers carry one. latency: seconds that a request takes.
    """

    clock: StillClock = field(default_factory=StillClock)
    answer: Reading | Callable[[str], Reading] = YES
    effect: float | None = 0.0
    probes: list[Reading | None] = field(default_factory=list)
    checks: bool = True
    ahead: float | None = None
    dated: tuple[str, ...] = ("probe", "revoke")
    latency: float = 0.0
    deadline: float = 120.0
    issued: set[str] = field(default_factory=set)
    dies: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def run(self, texts: Sequence[str], **policy: Any) -> Report:
        """Revoke tokens, all of which this API issued, by a policy."""
        self.issued.update(texts)
        wanted = Policy(**{"account_id": ACCOUNT, "concurrency": 1, **policy})
        client = cast(Client, self)
        work = Revocation(client, self.clock.as_clock(), self.remaining, wanted)
        return work.run([read(text) for text in texts])

    def outcomes(self, texts: Sequence[str], **policy: Any) -> list[str]:
        """The outcomes of a run, in order."""
        return [result.outcome.value for result in self.run(texts, **policy).results]

    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - self.clock.passed

    @property
    def operations(self) -> list[str]:
        """What was asked, in order."""
        return [operation for operation, __ in self.asked]

    # What a client does

    def revoke(self, text: str) -> Reading:
        """Revoke a token."""
        self._arrive("revoke", text)
        if self.effect is not None:
            self.dies.setdefault(text, self.clock.passed + self.effect)
        said = self.answer(text) if callable(self.answer) else self.answer
        return self._dated(said)

    def probe(self, text: str) -> Reading:
        """Tell whether a token is taken."""
        self._arrive("probe" if text in self.issued else "control", text)
        said = self.probes.pop(0) if self.probes else None
        return self._dated(said or (YES if self._takes(text) else UNAUTHORIZED))

    def _takes(self, text: str) -> bool:
        alive = text in self.issued and self.clock.passed < self.dies.get(text, float("inf"))
        return alive or not self.checks

    def _arrive(self, operation: str, text: str) -> None:
        self.asked.append((operation, text))
        if self.latency:
            self.clock.slept.append(self.latency)

    def _dated(self, said: Reading) -> Reading:
        if self.ahead is None or self.operations[-1] not in self.dated:
            return said
        return replace(said, server_time=NOW + self.ahead + self.clock.passed)
