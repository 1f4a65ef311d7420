#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Revoke Nomba access tokens and prove it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_token_revoke
short_description: Revoke Nomba access tokens and prove that they are dead
version_added: 0.1.0
description:
  - Revokes tokens that are given, or that are found in files and folders, and proves for each one
    that the API refuses
    it afterwards. The API's word alone is not taken as proof.
  - Every distinct token has its own result. One that fails takes nothing away from the others.
  - Tokens whose C(exp) claim lies in the past by more than the O(leeway) are skipped without any
    request. A token whose
    C(exp) is missing or cannot be read is revoked.
  - Nothing that is returned holds a token or an e-mail address. Tokens are named by their
    fingerprint, C(sha256:) and the
    first 16 hexadecimal digits of the SHA-256 of the token.
  - Nomba's API revokes access tokens only. Assume that the refresh token issued with one goes on
    working, and
    regenerate or suspend the key in the dashboard when it leaked as well.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._connection
  - nomba.auth._tokens
  - nomba.auth._attributes
attributes:
  check_mode:
    support: full
    details:
      - Tokens are probed with a harmless read, exactly as in a real run, and nothing is revoked.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  expired:
    description:
      - What to do with a token whose C(exp) lies in the past.
      - V(skip) sends nothing. It relies on this host's clock being right to within the O(leeway),
        unless another token of
        the same run makes the API tell its time.
      - V(revoke) treats it like any other token. Use this when the clock cannot be trusted.
    type: str
    choices:
      - skip
      - revoke
    default: skip
  proof:
    description:
      - V(required) probes each token afterwards. A token for which the API returned success, but
        whose death no probe proved, fails as RV(results[].outcome=unknown).
      - V(attempt) reports such a token as RV(results[].outcome=revoked) with
        RV(results[].verified=false), a warning, and C(NOT VERIFIED) as the first words of
        RV(ignore:msg).
      - V(none) does the same without the probe afterwards, which saves one request for each token.
    type: str
    choices:
      - required
      - attempt
      - none
    default: required
  abort_after:
    description:
      - When the API rejects this many tokens of one account first of all, each with the same
        answer, the other tokens of that account are V(not_attempted). Tokens of other accounts
        are not affected.
      - Set V(0) to try every token.
    type: int
    default: 5
  concurrency:
    description:
      - How many tokens are worked on at a time, from 1 to 64. The API's rate limits are kept in
        any case.
    type: int
    default: 4
  progress:
    description:
      - A file on the host to which a long run appends how far it is, to be followed with
        C(tail -f), because Ansible shows nothing of a task before it ends.
      - It is made for its owner alone and gets a JSON object a line, at most one a second, with
        the C(time) in UTC and the numbers C(done), C(failed) and C(tokens) of those that are not
        skipped. It names no token.
      - It is a regular file of root or of the user who runs the module. Nothing is written through
        a link in its place, nor through a link of another user in the place of one of its folders.
      - A line is written whole or not at all. After a line that could not be written, there are no
        more.
      - Check mode leaves it alone.
    type: path
seealso:
  - name: Nomba's page on revoking an access token
    description: The API that this module calls.
    link: https://developer.nomba.com/nomba-api-reference/authenticate/revoke-an-access_token
"""

EXAMPLES = r"""
- name: Revoke one leaked token
  nomba.auth.nomba_token_revoke:
    account_id: "{{ nomba_account_id }}"
    client_id: "{{ nomba_client_id }}"
    access_token: "{{ leaked_token }}"

- name: Revoke every token that is found in a log folder
  nomba.auth.nomba_token_revoke:
    account_id: "{{ nomba_account_id }}"
    client_id: "{{ nomba_client_id }}"
    sources:
      - /var/log/payments
      - /srv/payments/.env
    progress: /root/nomba_revoke.progress
  register: sweep

- name: Show where the tokens stood
  ansible.builtin.debug:
    msg: "{{ sweep.results | map(attribute='found_in') | flatten }}"

- name: Set the connection once for all modules of this collection
  module_defaults:
    group/nomba.auth.nomba:
      account_id: "{{ nomba_account_id }}"
      client_id: "{{ nomba_client_id }}"
  block:
    - name: Revoke the tokens that a scanner found
      nomba.auth.nomba_token_revoke:
        access_tokens: "{{ scanner_findings }}"
        expired: revoke
"""

RETURN = r"""
results:
  description: One row for each distinct token, in the order given, then in the order found.
  returned: when the options could be used
  type: list
  elements: dict
  contains:
    fingerprint:
      description: What stands for the token.
      type: str
      sample: sha256:5a2a0e1b9c3d4f60
    outcome:
      description:
        - V(revoked), the API said so and, where RV(results[].verified=true), refuses the token
          now.
        - V(already_revoked), the API refused it before anything was sent.
        - V(expired), skipped by its C(exp).
        - V(refused), the API said no, and the token may be alive.
        - V(still_accepted), the API said that it revoked the token, and goes on accepting it.
        - V(unknown), no answer that settles it.
        - V(malformed), not a whole JWT, so nothing was sent.
        - V(not_attempted), nothing was sent, because of the deadline, a signal, a failed
          connection, or the abort rule of O(abort_after).
      type: str
      sample: revoked
    verified:
      description: Whether the API was seen to refuse the token.
      type: bool
    reason:
      description: How the outcome came about.
      type: str
      sample: "HTTP 200, code 00; valid before, rejected after"
    expires_at:
      description: The token's C(exp) in UTC, when it has one.
      type: str
      sample: "2026-01-13T17:38:20Z"
    attempts:
      description: How often the revoke was sent.
      type: int
    http_status:
      description: The HTTP status of the answer that decided, when there was one.
      type: int
    code:
      description: The code in that answer, when there was one.
      type: str
      sample: "00"
    found_in:
      description: The files that hold the token, and the paths that do.
      type: list
      elements: dict
      contains:
        path:
          description:
            - The path of the file, or of the file or folder whose own name, or whose link, holds
              the token.
            - A token in a path is shown by its fingerprint, an e-mail address as C(<e-mail>), a
              byte that is not UTF-8 as V(\\xff), a control character as V(\\x0a), and a backslash
              doubled.
          type: str
        line:
          description: The first line with the token, from 1. Null when the path holds it.
          type: int
summary:
  description: How many tokens came to each outcome, and how far the sweep went.
  returned: when the options could be used
  type: dict
  contains:
    tokens:
      description: The number of distinct tokens.
      type: int
    verified:
      description: The number of tokens that the API was seen to refuse.
      type: int
    not_verified:
      description: The number of tokens that are V(revoked) although no probe confirmed it, which
        O(proof=required) never reports.
      type: int
    outcomes:
      description: The number of tokens for every outcome of the list above.
      type: dict
    files:
      description: The number of files read.
      type: int
    foreign:
      description: The number of distinct JWTs in the sources that name no Nomba account and were
        left alone.
      type: int
unread:
  description:
    - The sources that could not be read, or not as a whole. There may be live tokens in them.
    - A compressed, archived or encrypted file is recognised by its contents and listed here. What
      it holds in clear is scanned all the same.
  returned: when the options could be used
  type: list
  elements: dict
  contains:
    path:
      description: The file or folder, shown like the paths in RV(results[].found_in).
      type: str
    reason:
      description: What the operating system reported, or why the file was not read as a whole.
      type: str
      sample: it is compressed (gzip), which is not opened; unpack it and scan again
error:
  description: Why the module failed. Playbooks decide by the code, people read RV(ignore:msg).
  returned: failure
  type: dict
  contains:
    code:
      description:
        - The worst outcome of the run, V(still_accepted), V(unknown), V(refused),
          V(not_attempted) or V(malformed).
        - V(source_unread), all tokens found are dead, but some of the O(sources) could not be
          read.
        - V(no_token), none was given.
        - V(invalid_option), an option's value cannot be used.
        - V(library_missing), requests or PyJWT is not installed on the host.
      type: str
      sample: still_accepted
"""

from contextlib import ExitStack, closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._module import (
    TOKEN_OPTIONS,
    NombaModule,
    connection,
    identity,
    run,
    scan_tokens,
    seconds,
    spec,
    unread_message,
    unread_rows,
    workers,
)
from ansible_collections.nomba.auth.plugins.module_utils._progress import Progress
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    ABORT_AFTER,
    WORST_FIRST,
    Outcome,
    Policy,
    ProgressCallback,
    Proof,
    Report,
    Result,
    Revocation,
    no_progress,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan import ScanResult
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport

_HINTS = {
    401: "HTTP 401 means that the API did not take the token: check account_id and api_url.",
    403: (
        "HTTP 403 has many causes: client_id or account_id of another account, the id of a "
        "sub-account, a token of the other environment, an address off the API's allow list, "
        "a firewall."
    ),
    404: "HTTP 404 means that client_id is unknown or suspended, or that api_url is wrong.",
    429: "The API's rate limit outlasted the deadline: run again with a longer deadline.",
}


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Gather the tokens, revoke them, and say what became of each."""
    params = module.params
    policy = _policy(params, write=not module.check_mode)
    client_id = identity(params, "client_id")
    api = connection(params)
    found = scan_tokens(module)
    with ExitStack() as stack:
        progress = _progress(module, stack)
        transport = stack.enter_context(closing(HttpTransport(api, SYSTEM)))
        client = Client(transport, policy.account_id, client_id)
        report = Revocation(client, SYSTEM, transport.remaining, policy, progress).run(found.tokens)
    for warning in report.warnings:
        module.warn(warning)
    result = _outcome(report, found, with_diff=module._diff)
    if module.check_mode and result["changed"]:
        result["msg"] = f"Check mode: nothing was revoked. A real run: {result['msg']}"
    elif not_verified := result["summary"]["not_verified"]:
        tokens = result["summary"]["tokens"]
        result["msg"] = f"NOT VERIFIED: {not_verified} of {tokens} token(s). {result['msg']}"
    return result


def _progress(module: AnsibleModule, stack: ExitStack) -> ProgressCallback:
    """The callback that gets the progress of the run."""
    path = module.params["progress"]
    if path is None or module.check_mode:
        return no_progress
    return stack.enter_context(closing(Progress(path, SYSTEM))).tell


def _policy(params: dict[str, Any], write: bool) -> Policy:
    return Policy(
        account_id=identity(params, "account_id"),
        skip_expired=params["expired"] == "skip",
        leeway=seconds(params, "leeway", least=0),
        proof=Proof(params["proof"]),
        concurrency=workers(params),
        write=write,
        abort_after=_abort_after(params),
    )


def _abort_after(params: dict[str, Any]) -> int:
    count = int(params["abort_after"])
    if count < 0:
        raise InvalidOption("abort_after", "give a number of tokens, or 0 to try every token")
    return count


def _outcome(report: Report, found: ScanResult, with_diff: bool) -> dict[str, Any]:
    results = report.results
    failed = [result for kind in WORST_FIRST for result in results if result.outcome is kind]
    result: dict[str, Any] = {
        "changed": any(result.outcome.changed for result in results),
        "results": [_row(result, found) for result in results],
        "summary": _summary(report, found),
        "unread": unread_rows(found),
        "msg": _message(results, failed) + unread_message(found),
    }
    if failed or found.unread:
        result["error"] = {"code": failed[0].outcome.value if failed else "source_unread"}
    if with_diff:
        result["diff"] = _diff(results)
    return result


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
        "found_in": found.found_in(token),
    }


def _summary(report: Report, found: ScanResult) -> dict[str, Any]:
    results = report.results
    outcomes = [result.outcome for result in results]
    unproved = [one for one in results if one.outcome is Outcome.REVOKED and not one.verified]
    return {
        "tokens": len(outcomes),
        "verified": sum(result.verified for result in results),
        "not_verified": len(unproved),
        "outcomes": {kind.value: outcomes.count(kind) for kind in Outcome},
        "files": found.files,
        "foreign": found.foreign,
    }


def _message(results: Any, failed: list[Result]) -> str:
    """What a person in trouble reads first."""
    kinds = [result.outcome for result in results]
    counts = ", ".join(f"{kinds.count(kind)} {kind.value}" for kind in Outcome if kind in kinds)
    said = f"{len(results)} token(s): {counts}." if results else "No Nomba token was found."
    if failed:
        worst = failed[0]
        said += f" {worst.token.fingerprint} is {worst.outcome.value}: {worst.reason}."
        said += f" {_HINTS[worst.status]}" if worst.status in _HINTS else ""
    return said


def _diff(results: Any) -> dict[str, str]:
    revoked = [result.token.fingerprint for result in results if result.outcome is Outcome.REVOKED]
    return {
        "before": "".join(f"{mark} live\n" for mark in revoked),
        "after": "".join(f"{mark} revoked\n" for mark in revoked),
    }


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec=spec(
            **TOKEN_OPTIONS,
            expired={"type": "str", "choices": ["skip", "revoke"], "default": "skip"},
            proof={
                "type": "str",
                "choices": ["required", "attempt", "none"],
                "default": "required",
            },
            abort_after={"type": "int", "default": ABORT_AFTER},
            concurrency={"type": "int", "default": 4},
            progress={"type": "path"},
        ),
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
