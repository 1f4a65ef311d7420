# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests of a rotation: issue into a file, probe, revoke with proof, check a client.

The results are the return values of nomba_rotation_api, without Ansible. Each method raises
LibraryMissing; those that issue also raise what TokenKeeper.ensure raises.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    make_private,
    read_file,
)
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._ensure_token import (
    TokenKeeper,
    TokenRequirements,
    outcome_row,
)
from ansible_collections.nomba.auth.plugins.module_utils._probe import probe_until_accepted
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    Policy,
    Proof,
    Revocation,
)
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    FileEntry,
    open_entry,
)
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner, load
from ansible_collections.nomba.auth.plugins.module_utils._token import Token, read

# A token that expires within these seconds is not published.
_MIN_REMAINING = 300.0


class RotationRequests:
    """The requests of one client.

    remaining: seconds that the run has left. In the methods, secret is the client secret, and dest
    the private file of the issued token.
    """

    def __init__(
        self, client: Client, clock: Clock, remaining: Callable[[], float], owner: Owner
    ) -> None:
        self._client = client
        self._clock = clock
        self._remaining = remaining
        self._owner = owner

    def issue(self, secret: str | None, dest: str, tokens: Sequence[str]) -> dict[str, Any]:
        """Issue a token into the file, or keep the one that is there; probe it and the others."""
        required = TokenRequirements(self._owner, _MIN_REMAINING, revoke_replaced=True)
        done, content = self._ensure(secret, dest, required)
        if "error" in done:
            return done
        stored = load(content)
        new = [stored.access_token] if stored else []
        issued = base64.b64encode(content).decode()
        probes = self.probe([*new, *tokens])["probes"]
        return {"changed": done["changed"], "issued": issued, "probes": probes}

    def probe(self, tokens: Sequence[str]) -> dict[str, Any]:
        """Probe tokens, the first one until the API accepts it."""
        found = [read(text) for text in tokens]
        statuses = probe_until_accepted(found, self._client, self._clock)
        probes = {token.fingerprint: one.probe for token, one in zip(found, statuses)}
        return {"changed": False, "probes": probes}

    def revoke(self, tokens: Sequence[str], issued_until: float | None = None) -> dict[str, Any]:
        """Revoke tokens, also those whose exp is past: the clock may be wrong.

        issued_until: ignore tokens whose `iat` is later; a token without one is not ignored.
        """
        found = [read(text) for text in tokens]
        return self._revoke(
            [one for one in found if issued_until is None or (one.issued_at or 0) <= issued_until]
        )

    def check_client(self, secret: str | None, dest: str) -> dict[str, Any]:
        """Issue a token and revoke it. While it may be alive, it is in its file."""
        left = self._stored(dest)
        retired: dict[str, Any] = self._revoke(left) if left else {"results": []}
        if not all(row["verified"] for row in retired["results"]):
            return {**retired, "probes": {}, "issued_at": None, "lifetime": 0.0}
        _remove(dest)
        required = TokenRequirements(self._owner, 0.0, force=True)
        done, content = self._ensure(secret, dest, required)
        stored = load(content)
        if "error" in done or stored is None:
            return done
        token = read(stored.access_token)
        probes = self.probe([token.text])["probes"]
        revoked = self._revoke([token])
        if all(row["verified"] for row in revoked["results"]):
            _remove(dest)
        lifetime = (token.expires_at or 0.0) - (token.issued_at or 0.0)
        times = {"issued_at": token.issued_at, "lifetime": max(lifetime, 0.0)}
        return {**revoked, "probes": probes, **times}

    def _ensure(
        self, secret: str | None, dest: str, required: TokenRequirements
    ) -> tuple[dict[str, Any], bytes]:
        """Return the return values of nomba_token, and the content of the file."""
        keeper = TokenKeeper(self._client, self._clock, self._remaining, secret)
        with _opened(dest) as entry:
            done = dict(keeper.ensure(entry, required, make_private).values)
            return done, read_file(entry) or b""

    def _stored(self, dest: str) -> list[Token]:
        """Return the tokens in the file."""
        with _opened(dest) as entry:
            found = load(read_file(entry) or b"")
        return [read(one) for one in (found.access_token, *found.replaced)] if found else []

    def _revoke(self, tokens: Sequence[Token]) -> dict[str, Any]:
        policy = Policy(self._owner.account_id, skip_expired=False, proof=Proof.REQUIRED)
        done = Revocation(self._client, self._clock, self._remaining, policy).run(tokens)
        rows = [outcome_row(result) for result in done.results]
        return {"changed": any(one.outcome.changed for one in done.results), "results": rows}


@contextmanager
def _opened(dest: str) -> Iterator[FileEntry]:
    with open_entry("dest", dest, follow_link=True) as found:
        yield found.owned_by(os.geteuid())


def _remove(dest: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(dest)  # noqa: PTH108 -- pathlib is slow to import
