# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Obtaining a token: by refresh where possible, by issue otherwise; and the causes of a refusal.

No network and no clock of its own: the client is an argument. Sources: Nomba's OpenAPI
specification; for the refusals, live calls (developer notes), which contradict Nomba's page on
error codes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.nomba.auth.plugins.module_utils._answer import ApiResult, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client, Grant, grant_of
from ansible_collections.nomba.auth.plugins.module_utils._errors import (
    BAD_REQUEST,
    FORBIDDEN,
    REFUSED,
    UNKNOWN_CLIENT,
    InvalidOption,
    IssueRefused,
    NoClearAnswer,
    NombaError,
    NotSent,
)
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import StoredToken

ISSUED, REFRESHED = "issued", "refreshed"

_BAD_REQUEST_CAUSES = (
    "the API did not receive account_id, or client_id is invalid; a proxy may have changed the "
    "request"
)
_FORBIDDEN_CAUSES = (
    "likely causes: client_secret is wrong (the dashboard calls it private key; an extra '=' is "
    "enough), account_id is another account or a sub-account instead of the client's parent "
    "account, this host's address is not on Nomba's allow list, or a firewall in front of the API "
    "blocks this country or cloud"
)
_UNKNOWN_CLIENT_CAUSES = (
    "client_id is unknown or suspended: check that it belongs to this API, because test and live "
    "keys come in pairs"
)
_CAUSES = {
    "400": (BAD_REQUEST, _BAD_REQUEST_CAUSES),
    "403": (FORBIDDEN, _FORBIDDEN_CAUSES),
    "404": (UNKNOWN_CLIENT, _UNKNOWN_CLIENT_CAUSES),
}
_LOST = "A token may have been issued that is in no file; it is valid until it expires."


@dataclass(frozen=True)
class Obtained:
    """A grant, how it was obtained (ISSUED or REFRESHED), and warnings."""

    grant: Grant
    how: str
    warnings: tuple[str, ...] = ()


def obtain(client: Client, secret: str | None, stored: StoredToken | None) -> Obtained:
    """Refresh the stored token, or issue one.

    Raises InvalidOption, IssueRefused, NoClearAnswer, NotSent.
    """
    if stored is None or not stored.refresh_token:
        return Obtained(issue(client, secret), ISSUED)
    result = client.refresh(stored.refresh_token, stored.access_token)
    grant = grant_of(result)
    if grant is not None:
        return Obtained(grant, REFRESHED)
    warning = f"The API did not refresh the token ({result.problem}), so one was issued."
    if result.sent and result.verdict is not Verdict.REJECTED:
        warning += f" {_LOST}"
    try:
        return Obtained(issue(client, secret), ISSUED, (warning,))
    except NombaError as error:
        error.args = (f"{error} Before that: {warning}",)  # both failures are reported
        raise


def issue(client: Client, secret: str | None) -> Grant:
    """Issue a token. Raises InvalidOption, IssueRefused, NoClearAnswer, NotSent."""
    result = client.issue(require(secret))
    grant = grant_of(result)
    if grant is None:
        raise refusal(result)
    return grant


def require(secret: str | None) -> str:
    """Return the client secret without white space. Raises InvalidOption if it is not set."""
    if not secret or not secret.strip():
        raise InvalidOption("client_secret", "it is needed to issue a token, and it is not set")
    return secret.strip()


def refusal(result: ApiResult) -> Exception:
    """Return the exception for an answer to issue without a token."""
    if not result.sent:
        return NotSent(f"No token was issued: {result.problem}.")
    if result.verdict is not Verdict.REJECTED:
        return NoClearAnswer(f"The API gave no clear answer: {result.problem}. {_LOST}")
    # HTTP 200 may carry a failure; then its code is the HTTP status of other failures.
    kind = result.code if result.status == 200 else str(result.status)
    code, causes = _CAUSES.get(kind or "", (REFUSED, "the API returned no reason"))
    return IssueRefused(code, f"The API issued no token ({result.problem}): {causes}.")
