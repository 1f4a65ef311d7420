# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two formats that a rotation finds: the token file of a host, and the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from .folder import pretty


@dataclass(frozen=True)
class Minted:
    """The token that is in use when the play begins; moments are seconds since the epoch."""

    access_token: str
    fingerprint: str
    issued_at: float
    expires_at: float
    api_url: str
    account_id: str
    client_id: str

    @property
    def expires_at_text(self) -> str:
        """RFC 3339, UTC, whole seconds."""
        return datetime.fromtimestamp(int(self.expires_at), timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )


def token_env(minted: Minted) -> str:
    """The token file, as a service reads it."""
    lines = {
        "NOMBA_ACCESS_TOKEN": minted.access_token,
        "NOMBA_TOKEN_EXPIRES_AT": minted.expires_at_text,
        "NOMBA_BASE_URL": minted.api_url,
        "NOMBA_ACCOUNT_ID": minted.account_id,
        "NOMBA_CLIENT_ID": minted.client_id,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def store_document(minted: Minted) -> str:
    """The store, as a rotation that went well leaves it."""
    current = {
        "access_token": minted.access_token,
        "fingerprint": minted.fingerprint,
        "expires_at": minted.expires_at_text,
        "api_url": minted.api_url,
        "account_id": minted.account_id,
        "client_id": minted.client_id,
        "since": minted.issued_at,
    }
    empty: dict[str, object] = {"pending": None, "previous": [], "rotation": None, "events": []}
    return pretty({"format": 1, "current": current, **empty})
