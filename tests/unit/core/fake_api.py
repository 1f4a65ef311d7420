# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client without a network: a small fake API in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from ansible_collections.nomba.auth.plugins.module_utils._answer import ApiResult, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    Policy,
    Report,
    Revocation,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import read
from tests.unit.clock import NOW, StillClock

from .token_factory import ACCOUNT, token

SUCCESS = ApiResult(Verdict.SUCCEEDED, "HTTP 200, code 00", 200, "00")
UNAUTHORIZED = ApiResult(Verdict.REJECTED, "HTTP 401, code 401", 401, "401")
# Without the documented envelope; only the signature distinguishes them.
EMPTY_401 = ApiResult(Verdict.UNKNOWN, "HTTP 401, an empty answer", 401, signature="empty")
PROXY_401 = ApiResult(Verdict.UNKNOWN, "HTTP 401, an empty answer", 401, signature="proxy")
FORBIDDEN = ApiResult(Verdict.REJECTED, "HTTP 403, code 403", 403, "403")
NO_ANSWER = ApiResult(Verdict.UNKNOWN, "the connection was cut")
NOT_SENT = ApiResult(Verdict.UNKNOWN, "the run's deadline came first", attempts=0, sent=False)


def live(**claims: Any) -> str:
    """Return a token that expires in one hour."""
    subject = "5e26cfb0-529f-417b-b8d2-abc471f4c9db"
    return token(**{"iat": int(NOW) - 60, "sub": subject, "exp": int(NOW) + 3600, **claims})


def many(count: int) -> list[str]:
    """Return different live tokens."""
    return [live(number=number) for number in range(count)]


@dataclass
class FakeApi:
    """Accept issued tokens until they are revoked, and record the requests.

    answer: the result of a revoke. effect: seconds until a revoke takes effect, None for never.
    probes: results of the next probes, None for the result that follows from the state.
    checks: whether tokens are checked at all. ahead: offset of the server clock from NOW, None for
    no Date header; dated: the operations whose answers carry one. latency: seconds per request.
    refusal: the result of a probe that rejects a token. reserves, exclusive: the arguments of
    revokes and probes.
    """

    clock: StillClock = field(default_factory=StillClock)
    answer: ApiResult | Callable[[str], ApiResult] = SUCCESS
    effect: float | None = 0.0
    probes: list[ApiResult | None] = field(default_factory=list)
    checks: bool = True
    ahead: float | None = None
    dated: tuple[str, ...] = ("probe", "revoke")
    latency: float = 0.0
    refusal: ApiResult = UNAUTHORIZED
    reserves: list[float] = field(default_factory=list)
    exclusive: list[bool] = field(default_factory=list)
    deadline: float = 120.0
    issued: set[str] = field(default_factory=set)
    dies: dict[str, float] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def run(self, texts: Sequence[str], **policy: Any) -> Report:
        """Issue and revoke tokens with a policy."""
        self.issued.update(texts)
        chosen = Policy(**{"account_id": ACCOUNT, "concurrency": 1, **policy})
        client = cast(Client, self)
        revocation = Revocation(client, self.clock.as_clock(), self.remaining, chosen)
        return revocation.run([read(text) for text in texts])

    def outcomes(self, texts: Sequence[str], **policy: Any) -> list[str]:
        """Return the outcomes of a run, in order."""
        return [result.outcome.value for result in self.run(texts, **policy).results]

    def remaining(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline - self.clock.passed

    @property
    def operations(self) -> list[str]:
        """The operations of all requests, in order."""
        return [operation for operation, __ in self.requests]

    # The interface of Client

    @property
    def account_id(self) -> str:
        """The user's account."""
        return ACCOUNT

    def of_account(self, account_id: str) -> Client:
        """Return a client of another account."""
        return cast(Client, _ClientOf(self, account_id))

    def revoke(self, text: str, reserve: float = 0.0) -> ApiResult:
        """Revoke a token."""
        self.reserves.append(reserve)
        self._arrive("revoke", text)
        if self.effect is not None:
            self.dies.setdefault(text, self.clock.passed + self.effect)
        answer = self.answer(text) if callable(self.answer) else self.answer
        return self._dated(answer)

    def probe(self, text: str, exclusive: bool = False, account_id: str = ACCOUNT) -> ApiResult:
        """Probe a token under an account."""
        self.exclusive.append(exclusive)
        self._arrive("probe" if text in self.issued else "control", text)
        answer = self.probes.pop(0) if self.probes else None
        accepted = self._accepts(text) and self._is_of(text, account_id)
        return self._dated(answer or (SUCCESS if accepted else self.refusal))

    def _accepts(self, text: str) -> bool:
        alive = text in self.issued and self.clock.passed < self.dies.get(text, float("inf"))
        return alive or not self.checks

    def _is_of(self, text: str, account_id: str) -> bool:
        return not self.checks or account_id in (read(text).accounts or (ACCOUNT,))

    def _arrive(self, operation: str, text: str) -> None:
        self.requests.append((operation, text))
        if self.latency:
            self.clock.slept.append(self.latency)

    def _dated(self, result: ApiResult) -> ApiResult:
        if self.ahead is None or self.operations[-1] not in self.dated:
            return result
        return replace(result, server_time=NOW + self.ahead + self.clock.passed)


@dataclass(frozen=True)
class _ClientOf:
    """The same API under another account."""

    api: FakeApi
    account_id: str

    def of_account(self, account_id: str) -> Client:
        return self.api.of_account(account_id)

    def probe(self, text: str, exclusive: bool = False) -> ApiResult:
        return self.api.probe(text, exclusive, self.account_id)
