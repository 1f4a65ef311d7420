# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kept token: the JSON document that holds it, and whether it is still good enough to use.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._client import Grant
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import parse_time
from ansible_collections.nomba.auth.plugins.module_utils._token import read

_NEEDED = ("access_token", "api_url", "account_id", "client_id")


@dataclass(frozen=True)
class Owner:
    """Whose token it is. One that another API, account or client issued is not ours to use."""

    api_url: str
    account_id: str
    client_id: str


@dataclass(frozen=True)
class StoredToken:
    """A token with what is needed to go on using it.

    expires_at is the API's own text (RFC 3339, UTC). replaced holds older tokens that are still to
    be revoked, so that a run that was killed is finished by the next one.
    """

    owner: Owner
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False, default=None)
    expires_at: str | None = None
    replaced: tuple[str, ...] = field(repr=False, default=())

    def can_refresh(self, owner: Owner) -> bool:
        """Whether this owner may try to refresh it."""
        return self.owner == owner and bool(self.refresh_token)

    def usable_until(self) -> float | None:
        """When to stop using it: the *earlier* of exp and expires_at, in seconds (UTC).

        None when neither can be read. This is the safe side for *using* a token. The safe side
        for *skipping* a revocation is the later time, see `_token.classify`.
        """
        moments = (read(self.access_token).expires_at, parse_time(self.expires_at))
        known = [moment for moment in moments if moment is not None]
        return min(known) if known else None

    def valid_for(self, now: float, least: float) -> bool:
        """Whether it can be used for at least so many seconds more."""
        until = self.usable_until()
        return until is not None and until - now >= least


def keep(owner: Owner, grant: Grant, replaced: tuple[str, ...] = ()) -> StoredToken:
    """What to keep of a grant."""
    others = tuple(token for token in replaced if token != grant.access_token)
    return StoredToken(owner, grant.access_token, grant.refresh_token, grant.expires_at, others)


def without_replaced(kept: StoredToken, dead: frozenset[str]) -> StoredToken:
    """The same, less the replaced tokens that are dead."""
    return replace(kept, replaced=tuple(token for token in kept.replaced if token not in dead))


def dump(kept: StoredToken) -> bytes:
    """The document. Programs read `access_token` and `expires_at`; the rest is ours."""
    document = {**asdict(kept), **asdict(kept.owner)}
    del document["owner"]
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def load(text: bytes) -> StoredToken | None:
    """The kept token in a document; None when it is not such a document."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not all(_is_text(document, name) for name in _NEEDED):
        return None  # other programs keep an access_token in a file too
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
