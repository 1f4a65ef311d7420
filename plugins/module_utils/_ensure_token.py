# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ensure one valid token in a file: inspect, refresh or issue, write, revoke the old one.

The results are the return values of nomba_token, without Ansible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

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
    NOT_RETIRED,
    InvalidOption,
    NotWritten,
    WrongAccount,
)
from ansible_collections.nomba.auth.plugins.module_utils._issue import (
    ISSUED,
    REFRESHED,
    issue,
    obtain,
    require,
)
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
    load,
    without_replaced,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import read

KEPT = "kept"

_STILL_LISTED = (
    "dest could not be written again: it still lists tokens that are dead. "
    "The next run removes them."
)


@dataclass(frozen=True)
class TokenRequirements:
    """The requirements for the token in the file. min_remaining in seconds.

    probe: whether to replace a stored token that the API refuses. force: whether to replace every
    stored token. revoke_replaced: whether to revoke what was replaced.
    """

    owner: Owner
    min_remaining: float
    probe: bool = True
    force: bool = False
    revoke_replaced: bool = False


@dataclass(frozen=True)
class EnsureResult:
    """The results of one run. values: the return values of nomba_token.

    diff: `before` and `after`, with fingerprints only; None without a file.
    """

    values: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    diff: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Ensured:
    """The token in the file. before: the token that was there. retired: results of revoking."""

    before: StoredToken | None
    after: StoredToken
    action: str
    changed: bool
    warnings: tuple[str, ...] = ()
    retired: tuple[Result, ...] = ()


class TokenKeeper:
    """Issues, refreshes and revokes the tokens of one client.

    remaining: seconds that the run has left. secret: the client secret, None when it is not set.
    """

    def __init__(
        self, client: Client, clock: Clock, remaining: Callable[[], float], secret: str | None
    ) -> None:
        self._client = client
        self._clock = clock
        self._remaining = remaining
        self._secret = secret

    def issue(self, owner: Owner) -> EnsureResult:
        """Issue a token that is in no file; the result contains it.

        Raises InvalidOption, IssueRefused, NoClearAnswer, NotSent, WrongAccount.
        """
        grant = issue(self._client, self._secret)
        self._check_account(grant, owner)
        token = StoredToken.from_grant(owner, grant)
        values = {"changed": True, "action": ISSUED, "access_token": grant.access_token}
        message = f"{token.fingerprint} was issued."
        return EnsureResult({**_described(token), **values, "msg": message})

    def issue_check_mode(self) -> EnsureResult:
        """Return the results of `issue` without sending a request. Raises InvalidOption."""
        require(self._secret)
        values = {"changed": True, "action": ISSUED, "msg": "A token would be issued."}
        return EnsureResult(values)

    def ensure(
        self, entry: FileEntry, required: TokenRequirements, set_attributes: SetAttributes
    ) -> EnsureResult:
        """Ensure that the file holds a token that meets the requirements.

        Raises InvalidOption, Locked, IssueRefused, NoClearAnswer, NotSent, WrongAccount,
        NotWritten.
        """
        self._inspect(entry, required)  # invalid input creates not even a lock file
        with file_lock(entry, self._clock, self._remaining()):
            stored, usable, warnings = self._inspect_and_probe(entry, required)
            if stored is not None and usable:
                changed = set_existing(entry, set_attributes)
                done = _Ensured(stored, stored, KEPT, changed, warnings)
            else:
                done = self._replace(entry, stored, required, set_attributes)
            if required.revoke_replaced:
                done = self._retire(entry, done, set_attributes)
        return _result(done)

    def ensure_check_mode(
        self, entry: FileEntry, required: TokenRequirements, set_attributes: SetAttributes
    ) -> EnsureResult:
        """Return the results of `ensure`; write nothing, and send no request but a probe.

        Raises InvalidOption.
        """
        stored, usable, warnings = self._inspect_and_probe(entry, required)
        if stored is not None and usable:
            changed = set_existing(entry, set_attributes)
            changed = changed or bool(required.revoke_replaced and stored.replaced)
            values = {"changed": changed, "action": KEPT, "msg": "The token is valid."}
            diff = {"before": _line(stored), "after": _line(stored)}
            return EnsureResult({**_described(stored), **values}, warnings, diff)
        action = REFRESHED if stored and stored.can_refresh(required.owner) else ISSUED
        values = {"changed": True, "action": action, "msg": f"A token would be {action}."}
        diff = {"before": _line(stored), "after": f"a token that is {action}\n"}
        return EnsureResult(values, warnings, diff)

    def _inspect(
        self, entry: FileEntry, required: TokenRequirements
    ) -> tuple[StoredToken | None, bool]:
        """Return the stored token, and whether it meets the requirements. Send no request.

        Raises InvalidOption, also when a token must be issued and the client secret is not set.
        """
        stored = _stored(entry)
        usable = self._is_usable(stored, required)
        if not usable and not (stored and stored.can_refresh(required.owner)):
            require(self._secret)
        return stored, usable

    def _inspect_and_probe(
        self, entry: FileEntry, required: TokenRequirements
    ) -> tuple[StoredToken | None, bool, tuple[str, ...]]:
        """Return the stored token, whether to keep it, and warnings."""
        stored, usable = self._inspect(entry, required)
        if stored is None or not usable or not required.probe:
            return stored, usable, ()
        usable, warnings = self._probe(stored)
        return stored, usable, warnings

    def _probe(self, stored: StoredToken) -> tuple[bool, tuple[str, ...]]:
        """Return whether to keep a token, and warnings. Only a refusal replaces it."""
        (status,) = probe_tokens([read(stored.access_token)], self._client, self._clock, workers=1)
        if status.probe == Probe.INCONCLUSIVE.value:
            kept = f"{stored.fingerprint} was kept, but no probe confirmed it"
            return True, (f"dest: {kept}: {status.reason}.",)
        return status.probe != Probe.REFUSED.value, ()

    def _is_usable(self, stored: StoredToken | None, required: TokenRequirements) -> bool:
        return (
            stored is not None
            and not required.force
            and stored.owner == required.owner
            and stored.valid_for(self._clock.now(), required.min_remaining)
        )

    def _replace(
        self,
        entry: FileEntry,
        stored: StoredToken | None,
        required: TokenRequirements,
        set_attributes: SetAttributes,
    ) -> _Ensured:
        own = stored if stored and stored.owner == required.owner else None
        with AtomicReplacement(entry) as replacement:
            set_attributes(replacement.file)
            replacement.reserve()
            obtained = obtain(self._client, self._secret, own)
            # From here to the commit a token exists that is in no file.
            grant = obtained.grant
            self._check_account(grant, required.owner)
            new = StoredToken.from_grant(required.owner, grant, _to_retire(own, required))
            try:
                replacement.commit(dump(new))
            except OSError as error:
                raise NotWritten(f"dest: {error.strerror}. {self._discard(grant)}") from None
        warnings = (
            *obtained.warnings,
            *_foreign_token_warning(stored, own),
            *self._short_life_warning(new, required),
        )
        return _Ensured(stored, new, obtained.how, True, warnings)

    def _short_life_warning(self, new: StoredToken, required: TokenRequirements) -> tuple[str, ...]:
        if new.valid_for(self._clock.now(), required.min_remaining):
            return ()
        return ("min_remaining: the API's tokens live shorter, so every run replaces this one.",)

    def _check_account(self, grant: Grant, owner: Owner) -> None:
        account_id = grant.account()
        if account_id and account_id.lower() != owner.account_id.lower():
            accounts = f"{account_id} and not {owner.account_id}"
            problem = f"account_id: the API issued the token for another account, {accounts}"
            raise WrongAccount(f"{problem}. {self._discard(grant)}")

    def _discard(self, grant: Grant) -> str:
        """Revoke a token that is in no file; return a sentence with the result."""
        # Under the account that the token names: only that account's refusal is proof.
        account = next(iter(read(grant.access_token).accounts), grant.business_id)
        (result,) = self._revoke([grant.access_token], account)
        name = result.token.fingerprint
        if result.outcome.failed:
            return f"The new token {name} could not be revoked ({result.reason}): it is valid."
        return f"The new token {name} was revoked again."

    def _retire(self, entry: FileEntry, done: _Ensured, set_attributes: SetAttributes) -> _Ensured:
        """Revoke the replaced tokens; one that is not proved dead stays in the file."""
        if not done.after.replaced:
            return done
        results = self._revoke(done.after.replaced, done.after.owner.account_id)
        dead = frozenset(result.token.text for result in results if not _may_be_alive(result))
        after = without_replaced(done.after, dead)
        warnings = done.warnings
        if dead:
            try:
                with AtomicReplacement(entry) as replacement:
                    set_attributes(replacement.file)
                    replacement.commit(dump(after))
            except (OSError, InvalidOption):
                warnings += (_STILL_LISTED,)
        return replace(done, after=after, changed=True, warnings=warnings, retired=tuple(results))

    def _revoke(self, tokens: Iterable[str], account_id: str | None) -> list[Result]:
        account = account_id or ""
        client = self._client.of_account(account) if account else self._client
        policy = Policy(account, skip_expired=False, proof=Proof.REQUIRED)
        run = Revocation(client, self._clock, self._remaining, policy)
        return list(run.run([read(token) for token in tokens]).results)


def _stored(entry: FileEntry) -> StoredToken | None:
    content = read_file(entry)
    stored = load(content) if content else None
    if content and stored is None:
        raise InvalidOption("dest", "it contains something else; name another file, or remove it")
    return stored


def _to_retire(own: StoredToken | None, required: TokenRequirements) -> tuple[str, ...]:
    if own is None:
        return ()
    return (*own.replaced, own.access_token) if required.revoke_replaced else own.replaced


def _may_be_alive(result: Result) -> bool:
    """Return whether the token may be alive. A malformed one never was a token."""
    return result.outcome.failed and result.outcome is not Outcome.MALFORMED


def _foreign_token_warning(stored: StoredToken | None, own: StoredToken | None) -> tuple[str, ...]:
    if stored is None or own is not None:
        return ()
    owner = "of another client, account or API"
    return (f"dest contained {stored.fingerprint} {owner}; it was replaced, not revoked.",)


def _result(done: _Ensured) -> EnsureResult:
    values: dict[str, Any] = {
        **_described(done.after),
        "changed": done.changed,
        "action": done.action,
        "msg": f"{done.after.fingerprint} was {done.action}.",
    }
    if done.retired:
        values["replaced"] = [outcome_row(result) for result in done.retired]
    alive = [result for result in done.retired if result.outcome.failed]
    if alive:
        name, reason = alive[0].token.fingerprint, alive[0].reason
        values["msg"] += f" {name}, which it replaced, is not proved dead: {reason}."
        values["error"] = {"code": NOT_RETIRED}
    diff = {"before": _line(done.before), "after": _line(done.after)}
    return EnsureResult(values, done.warnings, diff)


def outcome_row(result: Result) -> dict[str, Any]:
    """Return what is reported about a token that was revoked."""
    return {
        "fingerprint": result.token.fingerprint,
        "outcome": result.outcome.value,
        "verified": result.verified,
        "reason": result.reason,
        "evidence": [one.row() for one in result.evidence],
    }


def _described(token: StoredToken) -> dict[str, Any]:
    return {"fingerprint": token.fingerprint, "expires_at": show_time(token.usable_until())}


def _line(token: StoredToken | None) -> str:
    return "" if token is None else "{fingerprint} until {expires_at}\n".format(**_described(token))
