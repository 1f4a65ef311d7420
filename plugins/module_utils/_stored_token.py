# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stored token: the JSON document that contains it, and whether it can still be used.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._client import Grant
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import parse_time
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint, read

_NEEDED = ("access_token", "api_url", "account_id", "client_id")


@dataclass(frozen=True)
class Owner:
    """The API, account and client that a token was issued for.

    A token of another owner is never refreshed or kept.
    """

    api_url: str
    account_id: str
    client_id: str


@dataclass(frozen=True)
class StoredToken:
    """A token and the data to use, refresh and replace it.

    expires_at: the API's own text (RFC 3339, UTC). replaced: older tokens that are still to be
    revoked, so that the next run finishes a run that was killed.
    """

    owner: Owner
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False, default=None)
    expires_at: str | None = None
    replaced: tuple[str, ...] = field(repr=False, default=())

    @classmethod
    def from_grant(cls, owner: Owner, grant: Grant, replaced: tuple[str, ...] = ()) -> StoredToken:
        """Return the token of a grant. replaced: the tokens that are to be revoked."""
        others = tuple(token for token in replaced if token != grant.access_token)
        return cls(owner, grant.access_token, grant.refresh_token, grant.expires_at, others)

    @property
    def fingerprint(self) -> str:
        """The text that represents the token in results and messages."""
        return fingerprint(self.access_token)

    def can_refresh(self, owner: Owner) -> bool:
        """Return whether this owner can try to refresh the token."""
        return self.owner == owner and bool(self.refresh_token)

    def usable_until(self) -> float | None:
        """Return the *earlier* of exp and expires_at, in seconds since the epoch (UTC).

        None when neither can be read. The earlier time is safe for *using* a token. For *skipping*
        a revocation the later time is safe, see `_token.classify`.
        """
        moments = (read(self.access_token).expires_at, parse_time(self.expires_at))
        return min((moment for moment in moments if moment is not None), default=None)

    def valid_for(self, now: float, seconds: float) -> bool:
        """Return whether the token can be used for at least so many more seconds.

        now: seconds since the epoch (UTC).
        """
        until = self.usable_until()
        return until is not None and until - now >= seconds


def without_replaced(stored: StoredToken, dead: frozenset[str]) -> StoredToken:
    """Return the same without the replaced tokens that are dead."""
    return replace(stored, replaced=tuple(one for one in stored.replaced if one not in dead))


def dump(stored: StoredToken) -> bytes:
    """Return the JSON document. `access_token` and `expires_at` are for other programs."""
    document = {**asdict(stored), **asdict(stored.owner)}
    del document["owner"]
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def load(text: bytes) -> StoredToken | None:
    """Return the token in a document; None when it is not a document of `dump`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not all(_is_text(document, name) for name in _NEEDED):
        return None  # files of other programs may have an access_token too
    owner = Owner(document["api_url"], document["account_id"], document["client_id"])
    return StoredToken(
        owner=owner,
        access_token=document["access_token"],
        refresh_token=_text(document, "refresh_token"),
        expires_at=_text(document, "expires_at"),
        replaced=_texts(document.get("replaced")),
    )


def _texts(listed: object) -> tuple[str, ...]:
    texts = listed if isinstance(listed, list) else []
    return tuple(text for text in texts if isinstance(text, str))


def _is_text(document: Mapping[str, Any], name: str) -> bool:
    return bool(_text(document, name))


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) else None
