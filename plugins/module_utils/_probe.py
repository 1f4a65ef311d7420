# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes: whether the API accepts a token, and when its refusal is evidence.

A refusal is evidence only if it is this API's own refusal of this token: its documented envelope,
or the same answer as that to the negative control, a token that was never issued, in this run and
while the API accepted another token. No network and no clock of its own: both are arguments.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from ansible_collections.nomba.auth.plugins.module_utils._answer import ApiResult, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._token import Token, make_unissued_token

# Seconds after a successful revoke within which the API must refuse the token. Nomba documents no
# delay. A token that the API still accepts after that is reported as still accepted.
PROOF_WINDOW = 15.0

# Seconds within which the API must accept a new token, and between two probes of it.
SETTLE_WINDOW = 20.0
_SETTLE_PAUSE = 1.0
_SETTLE_WORKERS = 4

# The status of every token at a host that accepts any token.
_MEANINGLESS = "meaningless"

# Attempts of the negative control while its answers are inconclusive.
_CONTROL_TRIES = 3
_HOUR = 3600.0


class Probe(Enum):
    """The result of a read-only request with a token."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"
    OMITTED = "omitted"


@dataclass(frozen=True)
class ProbeResult:
    """The result of a probe of one token.

    account_id: the account that was sent. names_account: the token's own claim names that account,
    so that a refusal is about the token and not about the account.
    """

    probe: Probe
    answer: ApiResult
    account_id: str
    names_account: bool

    @property
    def proves_dead(self) -> bool:
        """Whether this result alone proves that the API refuses the token."""
        return self.probe is Probe.REFUSED and self.names_account


@dataclass(frozen=True)
class TokenStatus:
    """A probe's result for users: accepted, refused, inconclusive or meaningless, and why."""

    probe: str
    reason: str


class NegativeControl:
    """The API's answer to a token that was never issued, taken while it accepts another token.

    checks_tokens: False if it accepts that token too, so that its probes prove nothing.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._tries = 0
        self._refusal: str | None = None
        self.checks_tokens = True

    def run_once(self, accepted: Token, account_id: str) -> None:
        """Run the control once per run, at the first token that the API accepts."""
        with self._lock:
            if self._tries < _CONTROL_TRIES and self._attempt(accepted, account_id):
                self._tries = _CONTROL_TRIES
            self._tries += 1

    def refuses(self, answer: ApiResult) -> bool:
        """Return whether an answer is this API's own refusal of a token."""
        same = answer.signature is not None and answer.signature == self._refusal
        return answer.refuses_token or same

    def _attempt(self, accepted: Token, account_id: str) -> bool:
        """Send the control; return whether the answer is conclusive."""
        client = self._client.of_account(account_id)
        answer = client.probe(self._unissued(accepted, account_id), exclusive=True)
        if answer.verdict is Verdict.SUCCEEDED:
            self.checks_tokens = False
            return True
        if answer.signature is None or answer.refuses_token:
            return answer.refuses_token
        # Not the documented refusal. It is the API's own if the API still accepts the other token:
        # a proxy that has started to refuse every request would refuse that token as well.
        if client.probe(accepted.text, exclusive=True).verdict is not Verdict.SUCCEEDED:
            return False
        self._refusal = answer.signature
        return True

    def _unissued(self, accepted: Token, account_id: str) -> str:
        """Return a token with the times of the accepted one and an invalid signature."""
        now = self._clock.now()
        issued_at = now if accepted.issued_at is None else accepted.issued_at
        expires_at = now + _HOUR if accepted.expires_at is None else accepted.expires_at
        return make_unissued_token(account_id, issued_at, expires_at)


class Prober:
    """Probes the tokens of one run."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._control = NegativeControl(client, clock)

    @property
    def checks_tokens(self) -> bool:
        """False if the host accepts any token, so that a probe proves nothing."""
        return self._control.checks_tokens

    def probe(self, token: Token) -> ProbeResult:
        """Probe a token before it is revoked.

        If the token names the user's account, the first attempt may share a connection with other
        requests, because an acceptance is not used as evidence. A refusal is, so the probe is then
        repeated on a connection of its own.
        """
        if token.accounts != (self._client.account_id.lower(),):
            return self.confirm(token)
        first = self._probe_as(token, self._client.account_id, exclusive=False)
        return self.confirm(token) if first.probe is Probe.REFUSED else first

    def confirm(self, token: Token, accepted: ProbeResult | None = None) -> ProbeResult:
        """Probe a token for evidence, on connections of its own.

        Under the user's account and, if that is rejected, under each account that the token names:
        the token is refused only if it is refused under all of them. accepted: an earlier probe
        that was accepted; this one uses the same account.
        """
        rejected: list[ProbeResult] = []
        for account_id in [accepted.account_id] if accepted else self._accounts(token):
            result = self._probe_as(token, account_id, exclusive=True)
            if not _is_rejected(result):
                return result
            rejected.append(result)
        named = [one for one in rejected if one.names_account]
        doubtful = [one for one in named if one.probe is not Probe.REFUSED]
        return (doubtful or named or rejected)[-1]

    def reconsider(self, token: Token, result: ProbeResult) -> ProbeResult:
        """Return the same result, or that of a new probe if the negative control has run since."""
        undecided = result.probe is Probe.INCONCLUSIVE and result.answer.signature is not None
        repeat = undecided and self._control.refuses(result.answer)
        return self.confirm(token) if repeat else result

    def _accounts(self, token: Token) -> list[str]:
        """Return the user's account, and all others that the token names."""
        account_id = self._client.account_id
        return [account_id, *(other for other in token.accounts if other != account_id.lower())]

    def _probe_as(self, token: Token, account_id: str, exclusive: bool) -> ProbeResult:
        answer = self._client.of_account(account_id).probe(token.text, exclusive)
        probe = Probe.INCONCLUSIVE
        if answer.verdict is Verdict.SUCCEEDED:
            probe = Probe.ACCEPTED
            self._control.run_once(token, account_id)
        elif self._control.refuses(answer):
            probe = Probe.REFUSED
        return ProbeResult(probe, answer, account_id, token.belongs_to(account_id))


def probe_tokens(
    tokens: Sequence[Token], client: Client, clock: Clock, workers: int
) -> list[TokenStatus]:
    """Probe tokens concurrently; return one status per token. Raises LibraryMissing."""
    prober = Prober(client, clock)

    def probe(token: Token) -> ProbeResult | None:
        return prober.probe(token) if token.well_formed else None

    def status(token: Token, result: ProbeResult | None) -> TokenStatus:
        if result is None:
            reason = "it is not a complete JWT, so it was not sent"
            return TokenStatus(Probe.INCONCLUSIVE.value, reason)
        return interpret(prober.reconsider(token, result), prober.checks_tokens)

    if not tokens:
        return []
    with ThreadPoolExecutor(min(workers, len(tokens))) as pool:
        return list(pool.map(status, tokens, list(pool.map(probe, tokens))))


def probe_until_accepted(
    tokens: Sequence[Token], client: Client, clock: Clock
) -> list[TokenStatus]:
    """Probe tokens; return one status per token.

    The API may reject a new token for a moment. The first token is probed until it is accepted, for
    at most SETTLE_WINDOW.
    """
    end = clock.monotonic() + SETTLE_WINDOW
    while True:
        statuses = probe_tokens(tokens, client, clock, _SETTLE_WORKERS)
        is_clear = not statuses or statuses[0].probe in (Probe.ACCEPTED.value, _MEANINGLESS)
        if is_clear or clock.monotonic() >= end or clock.stopped_at() is not None:
            return statuses
        clock.sleep(_SETTLE_PAUSE)


def interpret(result: ProbeResult, checks_tokens: bool) -> TokenStatus:
    """Return the status of a token by its probe, and by whether the host checks tokens."""
    if result.probe is Probe.REFUSED and not result.names_account:
        reason = f"{result.answer.problem}; this may be about account_id"
        return TokenStatus(Probe.INCONCLUSIVE.value, reason)
    if result.probe is Probe.ACCEPTED and not checks_tokens:
        return TokenStatus(_MEANINGLESS, "this host accepts any token")
    return TokenStatus(result.probe.value, result.answer.problem)


def _is_rejected(result: ProbeResult) -> bool:
    """Return whether a server rejected the request: the token, the account, or in another form."""
    return result.answer.verdict is Verdict.REJECTED or result.answer.signature is not None
