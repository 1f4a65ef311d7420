# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a rotation finds: the token file or the .env file of a host, and the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from .folder import pretty


@dataclass(frozen=True)
class SeedToken:
    """The token in use when a test starts. Times are seconds since the epoch."""

    access_token: str
    fingerprint: str
    issued_at: float
    expires_at: float
    api_url: str
    account_id: str
    client_id: str

    @property
    def expires_at_text(self) -> str:
        """Return the expiry in RFC 3339, UTC, whole seconds."""
        return datetime.fromtimestamp(int(self.expires_at), timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )


def token_env(token: SeedToken) -> str:
    """Return the content of a host's token file."""
    lines = {
        "NOMBA_ACCESS_TOKEN": token.access_token,
        "NOMBA_TOKEN_EXPIRES_AT": token.expires_at_text,
        "NOMBA_BASE_URL": token.api_url,
        "NOMBA_ACCOUNT_ID": token.account_id,
        "NOMBA_CLIENT_ID": token.client_id,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


# 40 variables of an application, in all forms that a rotation must keep.
_OTHERS = """\
# Settings of the shop, in the order in which they were added
APP_ENV=production
APP_URL="https://shop.example/?a=1&b=2#top"
APP_NAME='The "Shop"'
APP_MOTTO="Buy more, pay less"   # printed on receipts
export APP_LOCALE=en_NG
APP_EMPTY=
\t
DB_HOST=db.internal
DB_PASSWORD='p@ss #1 $HOME `x` \\n'
DB_OPTIONS=sslmode=require
# NOMBA_CLIENT_SECRET was changed in May

SMTP_USER=mailer@shop.example
"""
_BLOCK = "".join(f"FEATURE_{number:02}=value-{number}\n" for number in range(1, 30))


def client_env(client: Mapping[str, str], api_url: str) -> str:
    """Return the .env file of an application: a client among 40 other variables."""
    return (
        f"{_OTHERS}export NOMBA_CLIENT_ID={client['client_id']}\n"
        f"{_BLOCK}NOMBA_BASE_URL={api_url}\n"
        f"NOMBA_CLIENT_SECRET='{client['client_secret']}' # from the dashboard\n"
        f'NOMBA_ACCOUNT_ID="{client["account_id"]}"\n# The last line has no end'
    )


def store_document(token: SeedToken, hosts: Iterable[str] = ()) -> str:
    """Return the store as a successful rotation on these hosts leaves it."""
    current = {
        "access_token": token.access_token,
        "fingerprint": token.fingerprint,
        "expires_at": token.expires_at_text,
        "api_url": token.api_url,
        "account_id": token.account_id,
        "client_id": token.client_id,
        "since": token.issued_at,
    }
    host = {"may_hold": [token.fingerprint], "in_service": True, "error": ""}
    empty: dict[str, object] = {"pending": None, "previous": [], "rotation": None, "events": []}
    return pretty({"format": 1, "current": current, "hosts": dict.fromkeys(hosts, host), **empty})
