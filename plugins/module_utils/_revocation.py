# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Revoking tokens: the decisions, as pure functions, and the one loop that carries them out.

For each token: classify, probe, revoke, prove. The API's word ("00") is not proof; the proof is
that the API refuses the token afterwards. No network and no clock of its own: the client, the
clock and the run's remaining time come in as arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import Enum

from ansible_collections.nomba.auth.plugins.module_utils._answer import Reading, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._probing import (
    Control,
    Probe,
    read_probe,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    Token,
    TokenClass,
    classify,
    fingerprint,
)

# How long a token may go on being accepted after the API said that it revoked it (seconds).
# Nomba documents no delay; a token that outlives this is reported as still accepted.
PROOF_WINDOW = 15.0
_FIRST_PAUSE = 0.25

# When the API refuses this many tokens first of all, each with the same answer, the account or
# the client id is wrong, and the rest would only cost time.
ABORT_AFTER = 5


class Proof(str, Enum):
    """How much proof the user wants."""

    REQUIRED = "required"
    ATTEMPT = "attempt"
    NONE = "none"


class Outcome(str, Enum):
    """What a revocation came to: a closed list."""

    REVOKED = "revoked"
    ALREADY_REVOKED = "already_revoked"
    EXPIRED = "expired"
    REFUSED = "refused"
    STILL_ACCEPTED = "still_accepted"
    UNKNOWN = "unknown"
    MALFORMED = "malformed"
    NOT_ATTEMPTED = "not_attempted"

    @property
    def changed(self) -> bool:
        """Whether something may be different now; doubt counts as a change."""
        return self in (Outcome.REVOKED, Outcome.STILL_ACCEPTED, Outcome.UNKNOWN)

    @property
    def failed(self) -> bool:
        """Whether the token may still do harm, or nobody knows."""
        return self not in (Outcome.REVOKED, Outcome.ALREADY_REVOKED, Outcome.EXPIRED)


# The order in which a run with several failures names its error: the worst first.
WORST_FIRST = (
    Outcome.STILL_ACCEPTED,
    Outcome.UNKNOWN,
    Outcome.REFUSED,
    Outcome.NOT_ATTEMPTED,
    Outcome.MALFORMED,
)


@dataclass(frozen=True)
class Evidence:
    """All that was seen of one token, the input of the decision.

    names_account: the token's own claim names our account, so that a refusal is about the token
    and not about a wrong account id. checks_tokens: False when the host takes a bogus token too.
    """

    before: Probe
    answer: Verdict
    after: Probe
    names_account: bool
    checks_tokens: bool = True


@dataclass(frozen=True)
class Policy:
    """What the user asked for. leeway in seconds."""

    account_id: str
    skip_expired: bool = True
    leeway: float = 300.0
    proof: Proof = Proof.ATTEMPT
    concurrency: int = 4
    write: bool = True


@dataclass(frozen=True)
class Result:
    """What became of one token. verified: the API was seen to refuse it."""

    token: Token
    outcome: Outcome
    reason: str
    verified: bool = False
    attempts: int = 0
    status: int | None = None
    code: str | None = None


@dataclass(frozen=True)
class Report:
    """A result per token, in the order given, and what the user should know besides."""

    results: Sequence[Result]
    warnings: Sequence[str] = field(default_factory=tuple)


def needs_no_revoke(before: Probe, names_account: bool) -> bool:
    """Whether the refusal of a probe already proves the token dead."""
    return before is Probe.REFUSED and names_account


def decide(seen: Evidence, proof: Proof) -> tuple[Outcome, bool]:
    """The outcome of a revoke that was sent, and whether it is verified."""
    about_token = seen.before is Probe.ACCEPTED or seen.names_account
    if seen.after is Probe.REFUSED and about_token:
        ours = seen.answer is not Verdict.NO or seen.before is Probe.ACCEPTED
        return (Outcome.REVOKED if ours else Outcome.ALREADY_REVOKED), True
    if seen.answer is Verdict.NO:
        return Outcome.REFUSED, False
    if seen.answer is Verdict.UNCLEAR:
        return Outcome.UNKNOWN, False
    if seen.after is Probe.ACCEPTED and seen.checks_tokens:
        return Outcome.STILL_ACCEPTED, False
    return (Outcome.UNKNOWN if proof is Proof.REQUIRED else Outcome.REVOKED), False


def refused_alike(results: Iterable[Result]) -> bool:
    """Whether the first results are all the same refusal, so that the rest would be too."""
    first = list(results)[:ABORT_AFTER]
    alike = {(result.outcome, result.status, result.code) for result in first}
    return len(first) == ABORT_AFTER and len(alike) == 1 and first[0].outcome is Outcome.REFUSED


# Called after each token that is not skipped: how many are done, failed, and to do in all.
Watch = Callable[[int, int, int], None]


def unwatched(_done: int, _failed: int, _tokens: int) -> None:
    """Nobody wants to know how far the run is."""


class Revocation:
    """One run over many tokens."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        remaining: Callable[[], float],
        policy: Policy,
        watch: Watch = unwatched,
    ) -> None:
        self._client = client
        self._clock = clock
        self._remaining = remaining
        self._policy = policy
        self._watch = watch
        self._control = Control(client, clock, policy.account_id)
        self._finished: list[Result] = []
        self._skew = 0.0

    def run(self, tokens: Sequence[Token]) -> Report:
        """Work through distinct tokens. Raises LibraryMissing; all else is a token's result."""
        done: dict[str, Result] = {}
        self._work([token for token in tokens if not self._settled(token, 0.0)], done)
        # Only now is the server's clock known. A token that it may still take is no skip.
        skipped = [token for token in tokens if token.fingerprint not in done]
        if self._wrong_clock():
            self._work([token for token in skipped if not self._settled(token, self._skew)], done)
        results = tuple(done.get(token.fingerprint) or self._unsent(token) for token in tokens)
        return Report(results, tuple(self._warnings(results)))

    def _settled(self, token: Token, skew: float) -> bool:
        """Whether nothing is to be sent for a token, by a clock that is off by skew (seconds)."""
        kind = classify(token, self._clock.now() + skew, self._policy.leeway)
        return kind is TokenClass.MALFORMED or (
            kind is TokenClass.EXPIRED and self._policy.skip_expired
        )

    def _unsent(self, token: Token) -> Result:
        if token.well_formed:
            return Result(token, Outcome.EXPIRED, "its exp and the leeway lie in the past")
        return Result(
            token,
            Outcome.MALFORMED,
            "it is not a whole JWT: give all three parts, separated by dots",
        )

    def _work(self, tokens: Sequence[Token], done: dict[str, Result]) -> None:
        if not tokens:
            return
        failed, of = 0, len(done) + len(tokens)
        with ThreadPoolExecutor(min(self._policy.concurrency, len(tokens))) as pool:
            for result in pool.map(self._attend, tokens):
                done[result.token.fingerprint] = result
                failed += result.outcome.failed
                self._watch(len(done), failed, of)

    def _attend(self, token: Token) -> Result:
        """One token, from first to last; runs in a worker."""
        if self._remaining() <= 0:
            return Result(token, Outcome.NOT_ATTEMPTED, "the run's deadline came first")
        if refused_alike(self._finished):
            return Result(token, Outcome.NOT_ATTEMPTED, "the API refused the first tokens alike")
        result = self._revoke(token)
        if len(self._finished) < ABORT_AFTER:
            self._finished.append(result)
        return result

    def _revoke(self, token: Token) -> Result:
        reading = self._probe(token)
        before, names_account = read_probe(reading), token.belongs_to(self._policy.account_id)
        if needs_no_revoke(before, names_account):
            reason = "this API already refuses it; if another one issued it, revoke it there"
            return _result(token, Outcome.ALREADY_REVOKED, reading, reason, verified=True)
        if not self._policy.write:
            reason = f"it would be revoked: a probe of it was {before.value}"
            return _result(token, Outcome.REVOKED, reading, reason)
        answer = self._client.revoke(token.text)
        if not answer.attempts:
            return Result(token, Outcome.NOT_ATTEMPTED, answer.problem)
        self._compare_clocks(answer)
        after = self._prove(token, before, answer.verdict)
        seen = Evidence(before, answer.verdict, after, names_account, self._control.checks_tokens)
        outcome, verified = decide(seen, self._policy.proof)
        result = _result(token, outcome, answer, _reason(seen, answer), verified)
        return replace(result, attempts=answer.attempts)

    def _prove(self, token: Token, before: Probe, answer: Verdict) -> Probe:
        """Probe until the token is refused, more time cannot help, or the window ends."""
        if answer is Verdict.YES and self._policy.proof is Proof.NONE:
            return Probe.OMITTED
        ends = self._clock.monotonic() + min(PROOF_WINDOW, self._remaining())
        pause = _FIRST_PAUSE
        after = read_probe(self._probe(token))
        while self._may_change(before, answer, after):
            left = ends - self._clock.monotonic()
            if left <= 0:
                break
            self._clock.sleep(min(pause, left))
            pause *= 2
            seen = read_probe(self._probe(token))
            # A probe that says nothing takes nothing back of what was seen.
            after = after if seen is Probe.INCONCLUSIVE else seen
        return after

    def _may_change(self, before: Probe, answer: Verdict, after: Probe) -> bool:
        """Whether another probe, later, could say something else."""
        if after is Probe.REFUSED or answer is Verdict.NO:
            return False
        if after is Probe.INCONCLUSIVE:
            return before is not Probe.INCONCLUSIVE
        return self._control.ask()

    def _probe(self, token: Token) -> Reading:
        reading = self._client.probe(token.text)
        self._compare_clocks(reading)
        return reading

    def _compare_clocks(self, reading: Reading) -> None:
        if reading.server_time is not None:
            self._skew = reading.server_time - self._clock.now()

    def _wrong_clock(self) -> bool:
        return abs(self._skew) > self._policy.leeway

    def _warnings(self, results: Sequence[Result]) -> Iterable[str]:
        if self._wrong_clock():
            where = "behind" if self._skew > 0 else "ahead of"
            yield (
                f"This host's clock is {abs(self._skew):.0f} s {where} the API's. "
                "Tokens were classed by the API's clock; set this host's clock right."
            )
        counts = Counter(result.outcome for result in results if not result.verified)
        if counts[Outcome.REVOKED] and self._policy.write and self._policy.proof is Proof.ATTEMPT:
            yield (
                f"{counts[Outcome.REVOKED]} token(s) were revoked by the API's word only: "
                "no probe proved it. See the reason of each result."
            )
        yield from self._foreign_accounts(results)

    def _foreign_accounts(self, results: Sequence[Result]) -> Iterable[str]:
        foreign = {
            account
            for result in results
            if result.outcome not in (Outcome.EXPIRED, Outcome.MALFORMED)
            for account in result.token.accounts
            if not result.token.belongs_to(self._policy.account_id)
        }
        for account in sorted(foreign):
            yield (
                f"Some tokens name the account {fingerprint(account)}, "
                f"but account_id is {fingerprint(self._policy.account_id)}."
            )


def _result(
    token: Token, outcome: Outcome, reading: Reading, reason: str, verified: bool = False
) -> Result:
    """A result that quotes the answer which decided it."""
    return Result(token, outcome, reason, verified, status=reading.status, code=reading.code)


def _reason(seen: Evidence, answer: Reading) -> str:
    """One sentence on how the outcome came about."""
    if not seen.checks_tokens:
        after = "this host accepts any token, so that no probe can prove anything"
    else:
        after = f"a probe before was {seen.before.value}, after {seen.after.value}"
    return f"{answer.problem}; {after}"
