# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ensure one valid token in a file: inspect, refresh or issue, write, retire the old one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    AtomicReplacement,
    SetAttributes,
    file_lock,
    read_file,
    set_existing,
)
from ansible_collections.nomba.auth.plugins.module_utils._client import Client, Grant
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import (
    InvalidOption,
    NotWritten,
    WrongAccount,
)
from ansible_collections.nomba.auth.plugins.module_utils._issue import issue, obtain, require
from ansible_collections.nomba.auth.plugins.module_utils._probe import Probe, probe_tokens
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    Outcome,
    Policy,
    Proof,
    Result,
    Revocation,
)
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import FileEntry
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import (
    Owner,
    StoredToken,
    dump,
    keep,
    load,
    without_replaced,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint, read

KEPT = "kept"

_STILL_LISTED = (
    "dest could not be written again: it still lists tokens that are dead. The next run tidies up."
)


@dataclass(frozen=True)
class TokenRequirements:
    """What the user wants of the file. min_remaining in seconds.

    probe: whether the API must accept a token for it to be kept.
    """

    owner: Owner
    min_remaining: float
    probe: bool = True
    force: bool = False
    revoke_replaced: bool = False


@dataclass(frozen=True)
class EnsureResult:
    """What came of it. before: what the file held. retired: the fate of what was replaced."""

    before: StoredToken | None
    kept: StoredToken
    action: str
    changed: bool
    warnings: tuple[str, ...] = ()
    retired: tuple[Result, ...] = ()


class TokenKeeper:
    """Gets tokens for one owner, and gets rid of them."""

    def __init__(
        self, client: Client, clock: Clock, remaining: Callable[[], float], secret: str | None
    ) -> None:
        self._client = client
        self._clock = clock
        self._remaining = remaining
        self._secret = secret

    def issue(self, owner: Owner) -> Grant:
        """A token that no file keeps. Raises InvalidOption, IssueRefused, NoClearAnswer."""
        grant = issue(self._client, self._secret)
        self._check_account(grant, owner)
        return grant

    def inspect(
        self, entry: FileEntry, required: TokenRequirements
    ) -> tuple[StoredToken | None, bool]:
        """What the file holds, and whether that is good enough. Sends nothing, writes nothing.

        Raises InvalidOption, also where a token could not be issued for want of a secret.
        """
        held = _held(entry)
        good = self._is_good(held, required)
        if not good and not (held and held.can_refresh(required.owner)):
            require(self._secret)
        return held, good

    def probe(self, held: StoredToken) -> tuple[bool, tuple[str, ...]]:
        """Whether to keep a token that looks good, and warnings. Only a refusal speaks against it.

        Sends a harmless read.
        """
        (status,) = probe_tokens([read(held.access_token)], self._client, self._clock, workers=1)
        if status.probe == Probe.INCONCLUSIVE.value:
            mark = fingerprint(held.access_token)
            return True, (f"dest: {mark} was kept, but no probe confirmed it: {status.reason}.",)
        return status.probe != Probe.REFUSED.value, ()

    def ensure(
        self, entry: FileEntry, required: TokenRequirements, set_attributes: SetAttributes
    ) -> EnsureResult:
        """Make sure that the file holds a good token, and nobody else's."""
        self.inspect(entry, required)  # bad input leaves not even a lock behind
        with file_lock(entry, self._clock, self._remaining()):
            held, good = self.inspect(entry, required)
            warnings: tuple[str, ...] = ()
            if held is not None and good and required.probe:
                good, warnings = self.probe(held)
            if held is not None and good:
                changed = set_existing(entry, set_attributes)
                done = EnsureResult(held, held, KEPT, changed, warnings)
            else:
                done = self._replace(entry, held, required, set_attributes)
            return self._retire(entry, done, set_attributes) if required.revoke_replaced else done

    def _is_good(self, held: StoredToken | None, required: TokenRequirements) -> bool:
        return (
            held is not None
            and not required.force
            and held.owner == required.owner
            and held.valid_for(self._clock.now(), required.min_remaining)
        )

    def _replace(
        self,
        entry: FileEntry,
        held: StoredToken | None,
        required: TokenRequirements,
        set_attributes: SetAttributes,
    ) -> EnsureResult:
        ours = held if held and held.owner == required.owner else None
        with AtomicReplacement(entry) as replacement:
            set_attributes(replacement.file)
            replacement.reserve()
            obtained = obtain(self._client, self._secret, ours)
            # From here to the commit a token exists that no file holds.
            grant = obtained.grant
            self._check_account(grant, required.owner)
            replaced = _to_retire(ours, required)
            kept = keep(required.owner, grant, replaced)
            try:
                replacement.commit(dump(kept))
            except OSError as error:
                raise NotWritten(f"dest: {error.strerror}. {self._discard(grant)}") from None
        warnings = (
            *obtained.warnings,
            *_foreign_token_warning(held, ours),
            *self._too_short(kept, required),
        )
        return EnsureResult(held, kept, obtained.how, True, warnings)

    def _too_short(self, kept: StoredToken, required: TokenRequirements) -> tuple[str, ...]:
        if kept.valid_for(self._clock.now(), required.min_remaining):
            return ()
        return ("min_remaining: the API's tokens live shorter, so every run replaces this one.",)

    def _check_account(self, grant: Grant, owner: Owner) -> None:
        theirs = grant.account()
        if theirs and theirs.lower() != owner.account_id.lower():
            accounts = f"{theirs} and not {owner.account_id}"
            problem = f"account_id: the API issued the token for another account, {accounts}"
            raise WrongAccount(f"{problem}. {self._discard(grant)}")

    def _discard(self, grant: Grant) -> str:
        """Revoke a token that nobody will get to hold, and say what came of it."""
        # By its own claim, because only a refusal of the token's own account proves anything.
        account = next(iter(read(grant.access_token).accounts), grant.business_id)
        (result,) = self._revoke([grant.access_token], account)
        mark = result.token.fingerprint
        if result.outcome.failed:
            return f"The new token {mark} could not be revoked ({result.reason}): it lives on."
        return f"The new token {mark} was revoked again."

    def _retire(
        self, entry: FileEntry, done: EnsureResult, set_attributes: SetAttributes
    ) -> EnsureResult:
        """Revoke what was replaced; what is not proved dead stays in the file for the next run."""
        if not done.kept.replaced:
            return done
        results = self._revoke(done.kept.replaced, done.kept.owner.account_id)
        dead = frozenset(result.token.text for result in results if not _may_be_alive(result))
        kept = without_replaced(done.kept, dead)
        warnings = done.warnings
        if dead:
            try:
                with AtomicReplacement(entry) as replacement:
                    set_attributes(replacement.file)
                    replacement.commit(dump(kept))
            except (OSError, InvalidOption):
                warnings += (_STILL_LISTED,)
        return EnsureResult(done.before, kept, done.action, True, warnings, tuple(results))

    def _revoke(self, tokens: Iterable[str], account_id: str | None) -> list[Result]:
        account = account_id or ""
        client = self._client.of_account(account) if account else self._client
        policy = Policy(account, skip_expired=False, proof=Proof.REQUIRED)
        work = Revocation(client, self._clock, self._remaining, policy)
        return list(work.run([read(token) for token in tokens]).results)


def _held(entry: FileEntry) -> StoredToken | None:
    content = read_file(entry)
    held = load(content) if content else None
    if content and held is None:
        raise InvalidOption("dest", "it holds something else; name another file, or remove it")
    return held


def _to_retire(ours: StoredToken | None, required: TokenRequirements) -> tuple[str, ...]:
    if ours is None:
        return ()
    return (*ours.replaced, ours.access_token) if required.revoke_replaced else ours.replaced


def _may_be_alive(result: Result) -> bool:
    """Whether a token may be alive. What was never a token is nothing to wait for."""
    return result.outcome.failed and result.outcome is not Outcome.MALFORMED


def _foreign_token_warning(held: StoredToken | None, ours: StoredToken | None) -> tuple[str, ...]:
    if held is None or ours is not None:
        return ()
    mark = fingerprint(held.access_token)
    return (f"dest held {mark} of another client, account or API; it was replaced, not revoked.",)
