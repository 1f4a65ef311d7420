# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Revocation: the decisions, as pure functions, and the loop over the tokens.

For each token: classify, probe, revoke, verify. The answer "00" is not proof; the proof is that
the API refuses the token afterwards. No network and no clock of its own: the client, the clock and
the run's remaining time are arguments.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple

from ansible_collections.nomba.auth.plugins.module_utils._answer import ApiResult, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import STOPPED, Clock
from ansible_collections.nomba.auth.plugins.module_utils._probe import (
    PROOF_WINDOW,
    Probe,
    Prober,
    ProbeResult,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    DEFAULT_LEEWAY,
    Token,
    TokenClass,
    classify,
)

# Seconds between the first two probes after a revoke; each pause doubles.
_FIRST_PAUSE = 0.25

# Seconds of the run that retries of a revoke leave for the probe that verifies it, and their
# maximum share of a short deadline.
_PROOF_RESERVE = 10.0
_MAX_RESERVE_SHARE = 0.25

# If the API rejects the first tokens of an account, this many and with the same answer, the account
# id or the client id is wrong, and requests for the account's other tokens would only cost time.
ABORT_AFTER = 5

# The length of a token in characters, by Nomba's OpenAPI specification.
_DOCUMENTED_LENGTH = range(300, 601)


class Proof(str, Enum):
    """The option proof."""

    REQUIRED = "required"
    ATTEMPT = "attempt"
    NONE = "none"


class Outcome(str, Enum):
    """The outcome of a revocation, a closed list."""

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
        """Whether the token may have been revoked; an unknown effect counts as a change."""
        return self in (Outcome.REVOKED, Outcome.STILL_ACCEPTED, Outcome.UNKNOWN)

    @property
    def failed(self) -> bool:
        """Whether the token may still be valid."""
        return self not in (Outcome.REVOKED, Outcome.ALREADY_REVOKED, Outcome.EXPIRED)


# The order of outcomes for the error code of a run with several failures.
WORST_FIRST = (
    Outcome.STILL_ACCEPTED,
    Outcome.UNKNOWN,
    Outcome.REFUSED,
    Outcome.NOT_ATTEMPTED,
    Outcome.MALFORMED,
)


@dataclass(frozen=True)
class Evidence:
    """The results of all requests for one token, the input of `decide`.

    about_token: a refusal after the revoke can only be about the token, because the token names
    the account of that probe, or was accepted under it before. checks_tokens: False if the host
    accepts a token that was never issued.
    """

    before: Probe
    answer: Verdict
    after: Probe
    about_token: bool
    checks_tokens: bool = True


@dataclass(frozen=True)
class Policy:
    """The options of a run. leeway in seconds. abort_after: see ABORT_AFTER; 0 for never."""

    account_id: str
    skip_expired: bool = True
    leeway: float = DEFAULT_LEEWAY
    proof: Proof = Proof.REQUIRED
    concurrency: int = 4
    write: bool = True
    abort_after: int = ABORT_AFTER


class Observation(NamedTuple):
    """An answer of the API about a token.

    step: `probe_before`, `revoke` or `probe_after`. result: of a probe, or of the revoke. time: the
    server's clock by its Date header (seconds since the epoch, UTC), if it sent one.
    """

    step: str
    result: str
    status: int | None
    time: float | None

    def row(self) -> dict[str, Any]:
        """Return it as modules return it."""
        known = {"step": self.step, "result": self.result, "http_status": self.status}
        return {**known, "time": show_time(self.time)}


@dataclass(frozen=True)
class Result:
    """The result for one token.

    verified: a probe proved that the API refuses it. evidence: the answers that decided, in order.
    """

    token: Token
    outcome: Outcome
    reason: str
    verified: bool = False
    attempts: int = 0
    status: int | None = None
    code: str | None = None
    evidence: tuple[Observation, ...] = ()


@dataclass(frozen=True)
class Report:
    """One result per token, in the given order, and warnings."""

    results: Sequence[Result]
    warnings: Sequence[str] = field(default_factory=tuple)


def decide(seen: Evidence, proof: Proof) -> tuple[Outcome, bool]:
    """Return the outcome of a revoke that was sent, and whether it is verified."""
    if seen.after is Probe.REFUSED and seen.about_token:
        ours = seen.answer is not Verdict.REJECTED or seen.before is Probe.ACCEPTED
        return (Outcome.REVOKED if ours else Outcome.ALREADY_REVOKED), True
    if seen.answer is Verdict.REJECTED:
        return Outcome.REFUSED, False
    if seen.answer is Verdict.UNKNOWN:
        return Outcome.UNKNOWN, False
    if seen.after is Probe.ACCEPTED and seen.checks_tokens:
        return Outcome.STILL_ACCEPTED, False
    return (Outcome.UNKNOWN if proof is Proof.REQUIRED else Outcome.REVOKED), False


def same_refusal(results: Iterable[Result], count: int) -> bool:
    """Return whether the first `count` results are the same refusal."""
    first = list(results)[:count]
    kinds = {(result.outcome, result.status, result.code) for result in first}
    return 0 < count == len(first) and len(kinds) == 1 and first[0].outcome is Outcome.REFUSED


_WITHOUT_REQUEST = (Outcome.EXPIRED, Outcome.MALFORMED, Outcome.NOT_ATTEMPTED)

# A probe's result in a reason.
_SHOWN = {
    Probe.ACCEPTED: "valid",
    Probe.REFUSED: "rejected",
    Probe.INCONCLUSIVE: "not known to be valid",
    Probe.OMITTED: "not probed",
}


# Called after each token that is not skipped, with the number of finished, failed and all tokens.
ProgressCallback = Callable[[int, int, int], None]


def no_progress(_done: int, _failed: int, _tokens: int) -> None:
    """Report no progress."""


class Revocation:
    """One run over many tokens. remaining: returns the seconds until the run's deadline."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        remaining: Callable[[], float],
        policy: Policy,
        progress: ProgressCallback = no_progress,
    ) -> None:
        self._client = client
        self._clock = clock
        self._remaining = remaining
        self._policy = policy
        self._progress = progress
        self._prober = Prober(client, clock)
        self._reserve = min(_PROOF_RESERVE, remaining() * _MAX_RESERVE_SHARE)
        self._finished: dict[tuple[str, ...], list[Result]] = defaultdict(list)
        self._skew = 0.0

    def run(self, tokens: Sequence[Token]) -> Report:
        """Revoke distinct tokens. Raises LibraryMissing; any other failure is a token's result."""
        done: dict[str, Result] = {}
        self._work([token for token in tokens if not self._needs_no_request(token, 0.0)], done)
        # The server's clock is known only now. A token that is not expired by it is not skipped.
        skipped = [token for token in tokens if token.fingerprint not in done]
        if self._wrong_clock():
            self._work(
                [token for token in skipped if not self._needs_no_request(token, self._skew)], done
            )
        results = tuple(done.get(token.fingerprint) or self._unsent(token) for token in tokens)
        return Report(results, tuple(self._warnings(results)))

    def _needs_no_request(self, token: Token, skew: float) -> bool:
        """Return whether the token is skipped or malformed. skew: seconds to add to the clock."""
        kind = classify(token, self._clock.now() + skew, self._policy.leeway)
        return kind is TokenClass.MALFORMED or (
            kind is TokenClass.EXPIRED and self._policy.skip_expired
        )

    def _unsent(self, token: Token) -> Result:
        if token.well_formed:
            return Result(
                token,
                Outcome.EXPIRED,
                f"expired more than {self._policy.leeway:.0f} s ago by its exp",
            )
        return Result(
            token,
            Outcome.MALFORMED,
            "it is not a complete JWT: set all three parts, separated by dots",
        )

    def _work(self, tokens: Sequence[Token], done: dict[str, Result]) -> None:
        if not tokens:
            return
        failed, of = 0, len(done) + len(tokens)
        with ThreadPoolExecutor(min(self._policy.concurrency, len(tokens))) as pool:
            for result in pool.map(self._process, tokens):
                done[result.token.fingerprint] = result
                failed += result.outcome.failed
                self._progress(len(done), failed, of)

    def _process(self, token: Token) -> Result:
        """Return the result for one token; runs in a worker thread."""
        if self._clock.stopped_at() is not None:
            return Result(token, Outcome.NOT_ATTEMPTED, STOPPED)
        if self._remaining() <= 0:
            return Result(token, Outcome.NOT_ATTEMPTED, "the run's deadline came first")
        finished, count = self._finished[token.accounts], self._policy.abort_after
        if same_refusal(finished, count):
            reason = f"aborted: the first {count} tokens of this account failed identically"
            return Result(token, Outcome.NOT_ATTEMPTED, reason)
        result = self._revoke(token)
        if len(finished) < count:
            finished.append(result)
        return result

    def _revoke(self, token: Token) -> Result:
        before = self._observed(self._prober.probe(token))
        if before.proves_dead:
            reason = "this API already refuses it; if another API issued it, revoke it there"
            dead = _result(token, Outcome.ALREADY_REVOKED, before.answer, reason, verified=True)
            return replace(dead, evidence=_evidence(before))
        if not before.answer.sent:
            return Result(token, Outcome.NOT_ATTEMPTED, before.answer.problem)
        if not self._policy.write:
            return self._predicted(token, before)
        answer = self._client.revoke(token.text, self._reserve)
        if not answer.sent:
            return Result(token, Outcome.NOT_ATTEMPTED, answer.problem)
        self._compare_clocks(answer)
        after = self._verify(token, before, answer.verdict)
        return self._decided(token, before, answer, after)

    def _predicted(self, token: Token, before: ProbeResult) -> Result:
        """Return the result that a real run would have, by the probe."""
        if not self._prober.checks_tokens and self._policy.proof is Proof.REQUIRED:
            reason = "it would be revoked without proof: this host accepts any token"
            return _result(token, Outcome.UNKNOWN, before.answer, reason)
        reason = f"it would be revoked: it is {_SHOWN[before.probe]}"
        return _result(token, Outcome.REVOKED, before.answer, reason)

    def _decided(
        self, token: Token, before: ProbeResult, answer: ApiResult, after: ProbeResult | None
    ) -> Result:
        about_token = after is not None and (
            after.names_account
            or (before.probe is Probe.ACCEPTED and before.account_id == after.account_id)
        )
        seen = Evidence(
            before.probe,
            answer.verdict,
            Probe.OMITTED if after is None else after.probe,
            about_token,
            self._prober.checks_tokens,
        )
        outcome, verified = decide(seen, self._policy.proof)
        result = _result(token, outcome, answer, _reason(seen, answer), verified)
        return replace(result, attempts=answer.attempts, evidence=_evidence(before, answer, after))

    def _verify(self, token: Token, before: ProbeResult, answer: Verdict) -> ProbeResult | None:
        """Probe until the token is refused, no change is possible, or the proof window ends."""
        if answer is Verdict.SUCCEEDED and self._policy.proof is Proof.NONE:
            return None
        end = self._clock.monotonic() + min(PROOF_WINDOW, self._remaining())
        accepted = before if before.probe is Probe.ACCEPTED else None
        pause = _FIRST_PAUSE
        after = self._observed(self._prober.confirm(token, accepted))
        while self._may_change(before.probe, answer, after.probe):
            left = end - self._clock.monotonic()
            if left <= 0 or self._clock.stopped_at() is not None:
                break
            self._clock.sleep(min(pause, left))
            pause *= 2
            seen = self._observed(self._prober.confirm(token, accepted))
            # An inconclusive probe does not replace the result of an earlier one.
            after = after if seen.probe is Probe.INCONCLUSIVE else seen
        return after

    def _may_change(self, before: Probe, answer: Verdict, after: Probe) -> bool:
        """Return whether a later probe could have another result."""
        if after is Probe.REFUSED or answer is Verdict.REJECTED:
            return False
        if after is Probe.INCONCLUSIVE:
            return before is not Probe.INCONCLUSIVE
        return self._prober.checks_tokens

    def _observed(self, result: ProbeResult) -> ProbeResult:
        self._compare_clocks(result.answer)
        return result

    def _compare_clocks(self, answer: ApiResult) -> None:
        if answer.server_time is not None:
            self._skew = answer.server_time - self._clock.now()

    def _wrong_clock(self) -> bool:
        return abs(self._skew) > self._policy.leeway

    def _warnings(self, results: Sequence[Result]) -> Iterable[str]:
        if self._wrong_clock():
            where = "behind" if self._skew > 0 else "ahead of"
            yield (
                f"This host's clock is {abs(self._skew):.0f} s {where} the API's. "
                "Tokens were classified by the API's clock; correct this host's clock."
            )
        counts = Counter(result.outcome for result in results if not result.verified)
        if counts[Outcome.REVOKED] and self._policy.write:
            yield (
                f"{counts[Outcome.REVOKED]} token(s) NOT verified: the API returned success, no "
                "probe confirmed it. See the reason of each result."
            )
        sent = [one.token for one in results if one.outcome not in _WITHOUT_REQUEST]
        yield from _account_warnings(sent, self._policy.account_id)
        yield from _length_warnings(sent)


def _account_warnings(sent: Sequence[Token], account_id: str) -> Iterable[str]:
    others = {
        account for token in sent if not token.belongs_to(account_id) for account in token.accounts
    }
    for account in sorted(others):
        yield f"Some tokens name the account {account}, but account_id is {account_id}."


def _length_warnings(sent: Sequence[Token]) -> Iterable[str]:
    unusual = [token for token in sent if len(token.text) not in _DOCUMENTED_LENGTH]
    if unusual:
        least, most = _DOCUMENTED_LENGTH[0], _DOCUMENTED_LENGTH[-1]
        yield (
            f"{len(unusual)} token(s) have a length outside {least} to {most} characters, which "
            f"the API documents; they were sent nevertheless. The first is "
            f"{unusual[0].fingerprint} with {len(unusual[0].text)} characters."
        )


def _result(
    token: Token, outcome: Outcome, answer: ApiResult, reason: str, verified: bool = False
) -> Result:
    """Return a result with the status and code of the answer that decided it."""
    return Result(token, outcome, reason, verified, status=answer.status, code=answer.code)


def _evidence(
    before: ProbeResult, answer: ApiResult | None = None, after: ProbeResult | None = None
) -> tuple[Observation, ...]:
    """Return what the API answered about a token, in order."""
    seen = [("probe_before", before.probe.value, before.answer)]
    if answer is not None:
        seen.append(("revoke", answer.verdict.value, answer))
    if after is not None:
        seen.append(("probe_after", after.probe.value, after.answer))
    return tuple(
        Observation(step, result, one.status, one.server_time) for step, result, one in seen
    )


def _reason(seen: Evidence, answer: ApiResult) -> str:
    """Return the reason for the outcome."""
    if not seen.checks_tokens:
        after = "this host accepts any token, so no probe can prove anything"
    else:
        after = f"{_SHOWN[seen.before]} before, {_SHOWN[seen.after]} after"
    return f"{answer.problem}; {after}"
