# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Getting a token: by refresh where that works, by issue otherwise; and what a refusal means.

No network and no clock of its own: the client comes in as an argument. Facts: Nomba's OpenAPI
specification; the refusals as seen live (developer notes), which contradict Nomba's page on
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
    "account_id did not arrive or client_id is not one; a proxy may have changed the request"
)
_FORBIDDEN_CAUSES = (
    "the likely causes are: client_secret is wrong (the dashboard calls it private key; one '=' "
    "too many is enough), account_id is not the client's parent account but another or a "
    "sub-account's, this host's address is not on Nomba's allow list, or a firewall before the "
    "API turned this country or cloud away"
)
_UNKNOWN_CLIENT_CAUSES = (
    "client_id is unknown there or has been suspended: check that it belongs to this API, because "
    "test and live keys come in pairs"
)
_CAUSES = {
    "400": (BAD_REQUEST, _BAD_REQUEST_CAUSES),
    "403": (FORBIDDEN, _FORBIDDEN_CAUSES),
    "404": (UNKNOWN_CLIENT, _UNKNOWN_CLIENT_CAUSES),
}
_LOST = "A token may have been issued that nobody holds; it expires by itself."


@dataclass(frozen=True)
class Obtained:
    """A grant, how it came about, and what the user should know besides."""

    grant: Grant
    how: str
    warnings: tuple[str, ...] = ()


def obtain(client: Client, secret: str | None, kept: StoredToken | None) -> Obtained:
    """A new token. Raises InvalidOption, IssueRefused, NoClearAnswer, NotSent."""
    if kept is None or not kept.refresh_token:
        return Obtained(issue(client, secret), ISSUED)
    reading = client.refresh(kept.refresh_token, kept.access_token)
    grant = grant_of(reading)
    if grant is not None:
        return Obtained(grant, REFRESHED)
    warning = f"The API did not refresh the token ({reading.problem}), so one was issued."
    if reading.sent and reading.verdict is not Verdict.REJECTED:
        warning += f" {_LOST}"
    try:
        return Obtained(issue(client, secret), ISSUED, (warning,))
    except NombaError as error:
        error.args = (f"{error} Before that: {warning}",)  # both failures are reported
        raise


def issue(client: Client, secret: str | None) -> Grant:
    """Issue a token. Raises InvalidOption, IssueRefused, NoClearAnswer, NotSent."""
    reading = client.issue(require(secret))
    grant = grant_of(reading)
    if grant is None:
        raise refusal(reading)
    return grant


def require(secret: str | None) -> str:
    """The secret, or the sentence that asks for it."""
    if not secret or not secret.strip():
        raise InvalidOption("client_secret", "it is needed to issue a token, and it is not set")
    return secret.strip()


def refusal(reading: ApiResult) -> Exception:
    """The error for an issue that returned no token."""
    if not reading.sent:
        return NotSent(f"No token was issued: {reading.problem}.")
    if reading.verdict is not Verdict.REJECTED:
        return NoClearAnswer(f"The API gave no clear answer: {reading.problem}. {_LOST}")
    # HTTP 200 may carry a failure, whose code then says what the status says elsewhere.
    kind = reading.code if reading.status == 200 else str(reading.status)
    code, causes = _CAUSES.get(kind or "", (REFUSED, "the API gives no reason"))
    return IssueRefused(code, f"The API issued no token ({reading.problem}): {causes}.")
