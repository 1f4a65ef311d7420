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
  - Revokes tokens in options, or in files and folders, and proves for each one that the API
    refuses it afterwards. A success answer of the API alone is not proof.
  - Every distinct token has its own result. A failure of one token does not affect the others.
  - Tokens whose C(exp) claim is in the past by more than the O(leeway) are skipped without a
    request. A token whose C(exp) is missing or unreadable is revoked.
  - No result contains a token or an e-mail address. Tokens are shown as fingerprints, C(sha256:)
    and the first 16 hexadecimal digits of the SHA-256 of the token.
  - Nomba's API revokes access tokens only. Assume that the refresh token of a revoked token is
    still valid. If it leaked too, regenerate or suspend the key in the dashboard.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._connection
  - nomba.auth._tokens
  - nomba.auth._scan
  - nomba.auth._attributes
attributes:
  check_mode:
    support: full
    details:
      - Tokens are probed with a read-only request, as in a real run, and nothing is revoked.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  expired:
    description:
      - What to do with a token whose C(exp) is in the past.
      - V(skip) sends no request. The error of this host's clock must not be larger than the
        O(leeway), unless a request for another token of the same run shows the API's time.
      - V(revoke) treats it like any other token. Use this if the clock may be wrong.
    type: str
    choices:
      - skip
      - revoke
    default: skip
  proof:
    description:
      - V(required) probes each token after the revoke. If the API returned success and no probe
        proved that the token is dead, it fails with RV(results[].outcome=unknown).
      - V(attempt) reports such a token as RV(results[].outcome=revoked) with
        RV(results[].verified=false), a warning, and C(NOT VERIFIED) as the first words of
        RV(ignore:msg).
      - V(none) does the same without the probe after the revoke, which saves one request per token.
    type: str
    choices:
      - required
      - attempt
      - none
    default: required
  abort_after:
    description:
      - If the API rejects the first tokens of an account, this many and with the same answer, the
        other tokens of that account are V(not_attempted). Tokens of other accounts are not
        affected.
      - Set V(0) to try every token.
    type: int
    default: 5
  concurrency:
    description:
      - The number of tokens that are processed concurrently, from 1 to 64. The API's rate limits
        are always respected.
    type: int
    default: 4
  progress:
    description:
      - A file on the host to which a long run appends its progress. Follow it with C(tail -f),
        because Ansible shows no output of a task before it ends.
      - It is created with mode C(0600). Each line is a JSON object with the C(time) in UTC and the
        numbers C(done), C(failed) and C(tokens) of the tokens that are not skipped. At most one
        line is written per second. It contains no token.
      - It must be a regular file of root or of the user who runs the module. A link in its place
        is refused, and so is a link of another user in its path.
      - Incomplete lines are never written. After a line that could not be written, no line follows.
      - Check mode does not write it.
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

- name: Revoke every token in a log folder
  nomba.auth.nomba_token_revoke:
    account_id: "{{ nomba_account_id }}"
    client_id: "{{ nomba_client_id }}"
    sources:
      - /var/log/payments
      - /srv/payments/.env
    progress: /root/nomba_revoke.progress
  register: revocation

- name: Show where the tokens were found
  ansible.builtin.debug:
    msg: "{{ revocation.results | map(attribute='found_in') | flatten }}"

- name: Set the connection options once for all modules of this collection
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
  description: One row for each distinct token, those of the options first.
  returned: when the options are valid
  type: list
  elements: dict
  contains:
    fingerprint:
      description: The fingerprint of the token.
      type: str
      sample: sha256:5a2a0e1b9c3d4f60
    outcome:
      description:
        - V(revoked), the API revoked the token and, if RV(results[].verified=true), now refuses it.
        - V(already_revoked), the API refused the token before the revoke.
        - V(expired), the token was skipped because of its C(exp).
        - V(refused), the API rejected the revoke, and the token may be valid.
        - V(still_accepted), the API returned success, but still accepts the token.
        - V(unknown), no answer shows whether the token is valid.
        - V(malformed), the token is not a complete JWT, so nothing was sent.
        - V(not_attempted), nothing was sent because of the deadline, a signal, a failed connection,
          or O(abort_after).
      type: str
      sample: revoked
    verified:
      description: Whether a probe proved that the API refuses the token.
      type: bool
    reason:
      description: The reason for the outcome.
      type: str
      sample: "HTTP 200, code 00; valid before, rejected after"
    expires_at:
      description: The token's C(exp) in UTC, if any.
      type: str
      sample: "2026-01-13T17:38:20Z"
    attempts:
      description: The number of times that the revoke was sent.
      type: int
    http_status:
      description: The HTTP status of the decisive answer, if any.
      type: int
    code:
      description: The code in that answer, if any.
      type: str
      sample: "00"
    evidence:
      description: The answers of the API that decided the outcome, in order.
      type: list
      elements: dict
      contains:
        step:
          description: V(probe_before), V(revoke) or V(probe_after).
          type: str
          sample: probe_after
        result:
          description: >-
            Of a probe V(accepted), V(refused) or V(inconclusive); of the revoke V(succeeded),
            V(rejected) or V(unknown).
          type: str
          sample: refused
        http_status:
          description: The HTTP status, if there was an answer.
          type: int
          sample: 401
        time:
          description: The time of the answer by the API's clock, in UTC, if it sent one.
          type: str
          sample: "2026-01-13T14:38:20Z"
    found_in:
      description: The files and the paths that contain the token.
      type: list
      elements: dict
      contains:
        path:
          description:
            - The path of the file. If the token is in a name or in the target of a link, the path
              of that file or folder.
            - An exclamation mark separates the parts of an archive, C(logs.tar.gz!dir/app.log). For
              a Git repository, the name of the object and its path follow,
              C(/srv/app/.git@3f2a90c1d5e7:config/app.env). An encoding follows in brackets,
              C(secret.yml (base64)).
            - A token in a path is shown as its fingerprint, an e-mail address as C(<e-mail>), a
              byte that is not UTF-8 as V(\\xff), a control character as V(\\x0a), and a backslash
              doubled.
          type: str
        line:
          description: The first line with the token in the unpacked file, from 1. Null if the path
            contains it.
          type: int
summary:
  description: The number of tokens by outcome, and numbers of the scan.
  returned: when the options are valid
  type: dict
  contains:
    tokens:
      description: The number of distinct tokens.
      type: int
    verified:
      description: The number of tokens that the API provably refuses.
      type: int
    not_verified:
      description: The number of tokens that are V(revoked) without a probe that confirmed it.
        Always 0 with O(proof=required).
      type: int
    outcomes:
      description: The number of tokens for each outcome.
      type: dict
    files:
      description: The number of files read.
      type: int
    bytes:
      description: The number of bytes read, before anything is unpacked.
      type: int
    archives:
      description: The number of compressed files and archives that were opened.
      type: int
    objects:
      description: The number of objects of Git repositories that were read.
      type: int
    excluded:
      description: The number of files, folders and members of archives that O(exclude) left out.
        The content of an excluded folder is not counted.
      type: int
    unread:
      description: The number of rows in RV(unread).
      type: int
    other_jwts:
      description: The number of distinct JWTs in the sources that name no Nomba account and were
        ignored.
      type: int
unread:
  description:
    - The sources that could not be read completely. They may contain live tokens.
    - A file that is encrypted, damaged, compressed in a format that is not opened, larger than
      O(max_file_size), or unpacks to an extreme size is listed here. What can be read of it is
      scanned nevertheless.
  returned: when the options are valid
  type: list
  elements: dict
  contains:
    path:
      description: The file or folder, or the part of an archive, shown like the paths in
        RV(results[].found_in).
      type: str
    reason:
      description: The operating system's error, or why the file was not read completely.
      type: str
      sample: it is encrypted (zip), which is not opened; decrypt it and scan again
error:
  description: Why the module failed. The code is for playbooks, RV(ignore:msg) is for users.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - The worst outcome of the run, V(still_accepted), V(unknown), V(refused),
          V(not_attempted) or V(malformed).
        - V(source_unread), all tokens found are dead, but some of the O(sources) could not be read
          completely.
        - V(no_token), no option contains a token.
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
from ansible_collections.nomba.auth.plugins.module_utils._connection_options import (
    connection,
    identity,
    seconds,
    spec,
    workers,
)
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._progress import Progress
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    ABORT_AFTER,
    Policy,
    ProgressCallback,
    Proof,
    Revocation,
    no_progress,
)
from ansible_collections.nomba.auth.plugins.module_utils._revocation_report import (
    render,
    render_diff,
)
from ansible_collections.nomba.auth.plugins.module_utils._token_options import (
    TOKEN_OPTIONS,
    scan_tokens,
)
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Revoke the tokens, and return the result for each."""
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
    result = render(report, found, check_mode=module.check_mode)
    diff = {"diff": render_diff(report)} if module._diff else {}
    return {**result, **diff}


def _progress(module: AnsibleModule, stack: ExitStack) -> ProgressCallback:
    """Return the callback for the progress of the run."""
    path = module.params["progress"]
    if path is None or module.check_mode:
        return no_progress
    return stack.enter_context(closing(Progress(path, SYSTEM))).update


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
        raise InvalidOption("abort_after", "set a number of tokens, or 0 to try every token")
    return count


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
