# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probing tokens: whether the API accepts a token, and when its refusal is evidence.

A refusal is evidence only when it is recognisably this API's own refusal of this token: its
documented envelope, or the answer that it gave, in this run, to a token that nobody issued while
it accepted another one. No network and no clock of its own: both come in as arguments.
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

# How often the negative control is asked when its answers say nothing.
_CONTROL_TRIES = 3
_HOUR = 3600.0


class Probe(Enum):
    """What the API made of a token on a harmless call."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"
    OMITTED = "omitted"


@dataclass(frozen=True)
class ProbeResult:
    """What a probe of one token showed.

    account_id: the account under which it was made. names_account: the token's own claim names
    that account, so that a refusal is about the token and not about the account.
    """

    probe: Probe
    reading: ApiResult
    account_id: str
    names_account: bool

    @property
    def proves_dead(self) -> bool:
        """Whether this alone proves that the API refuses the token."""
        return self.probe is Probe.REFUSED and self.names_account


@dataclass(frozen=True)
class TokenStatus:
    """What people are shown: accepted, refused, inconclusive or meaningless, and why."""

    probe: str
    reason: str


class NegativeControl:
    """What this API answers to a token that nobody issued, learned while it accepts another one.

    checks_tokens: False when it accepts that token too, so that its probes prove nothing.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._tries = 0
        self._refusal: str | None = None
        self.checks_tokens = True

    def learn(self, accepted: Token, account_id: str) -> None:
        """Ask once a run, at the first token that the API accepts."""
        with self._lock:
            if self._tries < _CONTROL_TRIES and self._ask(accepted, account_id):
                self._tries = _CONTROL_TRIES
            self._tries += 1

    def refuses(self, reading: ApiResult) -> bool:
        """Whether an answer is recognisably this API's refusal of a token."""
        known = reading.signature is not None and reading.signature == self._refusal
        return reading.refuses_token or known

    def _ask(self, accepted: Token, account_id: str) -> bool:
        """Whether there was an answer that settles it."""
        client = self._client.of_account(account_id)
        reading = client.probe(self._unissued(accepted, account_id), exclusive=True)
        if reading.verdict is Verdict.SUCCEEDED:
            self.checks_tokens = False
            return True
        if reading.signature is None or reading.refuses_token:
            return reading.refuses_token
        # No documented refusal. It is the API's own if the way to it still works: something
        # between, which begins to refuse every request, would refuse the accepted token as well.
        if client.probe(accepted.text, exclusive=True).verdict is not Verdict.SUCCEEDED:
            return False
        self._refusal = reading.signature
        return True

    def _unissued(self, accepted: Token, account_id: str) -> str:
        """A token that differs from the accepted one by its signature, not by its time."""
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
        """False when the host was seen to accept any token, so that a probe proves nothing."""
        return self._control.checks_tokens

    def probe(self, token: Token) -> ProbeResult:
        """Probe a token of which nothing is known.

        In the ordinary case the first try shares a connection with other requests, because an
        acceptance under the account that the token names is no evidence of anything. A refusal is,
        so that it is read again on a connection of its own.
        """
        if token.accounts != (self._client.account_id.lower(),):
            return self.confirm(token)
        first = self._probe_as(token, self._client.account_id, exclusive=False)
        return self.confirm(token) if first.probe is Probe.REFUSED else first

    def confirm(self, token: Token, accepted: ProbeResult | None = None) -> ProbeResult:
        """Probe a token for evidence, on connections of its own.

        Under the user's account and, while that is rejected, under each that the token names:
        it is refused only if it is under all of them. accepted: an earlier probe that was
        accepted; this one is made under the same account.
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
        """The same result, or that of another probe if more is known of this API's refusals now."""
        open_question = result.probe is Probe.INCONCLUSIVE and result.reading.signature is not None
        known = open_question and self._control.refuses(result.reading)
        return self.confirm(token) if known else result

    def _accounts(self, token: Token) -> list[str]:
        """The user's account, and all others that the token names."""
        account_id = self._client.account_id
        return [account_id, *(other for other in token.accounts if other != account_id.lower())]

    def _probe_as(self, token: Token, account_id: str, exclusive: bool) -> ProbeResult:
        reading = self._client.of_account(account_id).probe(token.text, exclusive)
        probe = Probe.INCONCLUSIVE
        if reading.verdict is Verdict.SUCCEEDED:
            probe = Probe.ACCEPTED
            self._control.learn(token, account_id)
        elif self._control.refuses(reading):
            probe = Probe.REFUSED
        return ProbeResult(probe, reading, account_id, token.belongs_to(account_id))


def probe_tokens(
    tokens: Sequence[Token], client: Client, clock: Clock, workers: int
) -> list[TokenStatus]:
    """Probe tokens, a few at a time, and say what each probe showed. Raises LibraryMissing."""
    prober = Prober(client, clock)

    def probe(token: Token) -> ProbeResult | None:
        return prober.probe(token) if token.well_formed else None

    def status(token: Token, result: ProbeResult | None) -> TokenStatus:
        if result is None:
            reason = "it is not a whole JWT, so it was not sent"
            return TokenStatus(Probe.INCONCLUSIVE.value, reason)
        return interpret(prober.reconsider(token, result), prober.checks_tokens)

    if not tokens:
        return []
    with ThreadPoolExecutor(min(workers, len(tokens))) as pool:
        return list(pool.map(status, tokens, list(pool.map(probe, tokens))))


def interpret(result: ProbeResult, checks_tokens: bool) -> TokenStatus:
    """What a probe shows of its token, given whether the host checks tokens at all."""
    if result.probe is Probe.REFUSED and not result.names_account:
        reason = f"{result.reading.problem}; this may be about account_id"
        return TokenStatus(Probe.INCONCLUSIVE.value, reason)
    if result.probe is Probe.ACCEPTED and not checks_tokens:
        return TokenStatus("meaningless", "this host accepts any token")
    return TokenStatus(result.probe.value, result.reading.problem)


def _is_rejected(result: ProbeResult) -> bool:
    """Whether a server said no, be it about the token, about the account, or in no known form."""
    return result.reading.verdict is Verdict.REJECTED or result.reading.signature is not None
