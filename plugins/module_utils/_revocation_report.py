# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a revocation: result rows, summary, message and diff, as Ansible returns them.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._errors import SOURCE_UNREAD
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    WORST_FIRST,
    Outcome,
    Report,
    Result,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan import ScanResult
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time

# The likely causes of a failure, by the HTTP status of the answer that decided.
HINTS = {
    401: "HTTP 401 means that the API did not accept the token: check account_id and api_url.",
    403: (
        "HTTP 403 has many causes: client_id or account_id of another account, the id of a "
        "sub-account, a token of the other environment, an address that is not on the API's allow "
        "list, a firewall."
    ),
    404: "HTTP 404 means that client_id is unknown or suspended, or that api_url is wrong.",
    429: "The API's rate limit outlasted the deadline: run again with a longer deadline.",
}


def render(report: Report, found: ScanResult, check_mode: bool = False) -> dict[str, Any]:
    """Return the return values of nomba_token_revoke.

    They contain `error` when the run failed. In check mode the message names a prediction.
    """
    results = report.results
    failed = [result for kind in WORST_FIRST for result in results if result.outcome is kind]
    changed = any(result.outcome.changed for result in results)
    summary = _summary(results, found)
    values: dict[str, Any] = {
        "changed": changed,
        "results": [_row(result, found) for result in results],
        "summary": summary,
        "unread": found.unread_rows(),
        "msg": _verdict(summary, check_mode, changed)
        + _message(results, failed)
        + found.unread_message(),
    }
    if failed or found.unread:
        values["error"] = {"code": failed[0].outcome.value if failed else SOURCE_UNREAD}
    return values


def render_diff(report: Report) -> dict[str, str]:
    """Return the diff of a run: one line for each token that is revoked, by its fingerprint."""
    results = report.results
    revoked = [one.token.fingerprint for one in results if one.outcome is Outcome.REVOKED]
    return {
        "before": "".join(f"{fingerprint} live\n" for fingerprint in revoked),
        "after": "".join(f"{fingerprint} revoked\n" for fingerprint in revoked),
    }


def _row(result: Result, found: ScanResult) -> dict[str, Any]:
    token = result.token
    return {
        "fingerprint": token.fingerprint,
        "outcome": result.outcome.value,
        "verified": result.verified,
        "reason": result.reason,
        "expires_at": show_time(token.expires_at),
        "attempts": result.attempts,
        "http_status": result.status,
        "code": result.code,
        "evidence": [one.row() for one in result.evidence],
        "found_in": found.found_in(token),
    }


def _summary(results: Sequence[Result], found: ScanResult) -> dict[str, Any]:
    outcomes = [result.outcome for result in results]
    unproved = [one for one in results if one.outcome is Outcome.REVOKED and not one.verified]
    return {
        "tokens": len(outcomes),
        "verified": sum(result.verified for result in results),
        "not_verified": len(unproved),
        "outcomes": {kind.value: outcomes.count(kind) for kind in Outcome},
        **found.counts(),
    }


def _verdict(summary: dict[str, Any], check_mode: bool, changed: bool) -> str:
    """Return what the message begins with: nothing was revoked, or nothing was proved."""
    if check_mode and changed:
        return "Check mode: nothing was revoked. A real run: "
    if summary["not_verified"]:
        return f"NOT VERIFIED: {summary['not_verified']} of {summary['tokens']} token(s). "
    return ""


def _message(results: Sequence[Result], failed: Sequence[Result]) -> str:
    """Return the number of tokens by outcome, the worst result, and its likely cause."""
    kinds = [result.outcome for result in results]
    counts = ", ".join(f"{kinds.count(kind)} {kind.value}" for kind in Outcome if kind in kinds)
    message = f"{len(results)} token(s): {counts}." if results else "No Nomba token was found."
    if failed:
        worst = failed[0]
        message += f" {worst.token.fingerprint} is {worst.outcome.value}: {worst.reason}."
        message += f" {HINTS[worst.status]}" if worst.status in HINTS else ""
    return message
