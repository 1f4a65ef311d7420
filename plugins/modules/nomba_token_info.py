#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at Nomba access tokens without exposing them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_token_info
short_description: Look at Nomba access tokens without exposing them
version_added: 0.1.0
description:
  - Tells what can be read of tokens that are given, or that are found in files and folders, and on
    request whether the API takes them.
  - Claims are read without verification, because only Nomba holds the key. They are hints. The
    probe is what tells whether a token opens doors.
  - Tokens are named by their fingerprint. E-mail addresses are never shown.
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
      - This module never changes anything.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  account_id:
    description:
      - The id of the B(parent) account, sent as the header C(accountId). Needed with O(probe=true).
      - The environment variable E(NOMBA_ACCOUNT_ID) is used when this is not set.
    type: str
    required: false
  client_id:
    description:
      - Not used. It is here so that C(module_defaults) can be set for the whole collection. The
        environment variable E(NOMBA_CLIENT_ID) is read as everywhere.
    type: str
    required: false
  probe:
    description:
      - Whether to ask the API for something harmless with each token that is no nonsense.
    type: bool
    default: false
  concurrency:
    description:
      - How many tokens are probed at a time, from 1 to 64.
    type: int
    default: 4
"""
EXAMPLES = r"""
- name: See which tokens stand in a folder, and whether the API takes them
  nomba.auth.nomba_token_info:
    account_id: "{{ nomba_account_id }}"
    sources:
      - /srv/payments
    probe: true
  register: inventory

- name: Look at one token without sending it anywhere
  nomba.auth.nomba_token_info:
    access_token: "{{ nomba_token }}"
  register: info

- name: Say when it ends
  ansible.builtin.debug:
    msg: "{{ info.results[0].fingerprint }} ends in {{ info.results[0].expires_in }} s"
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
    class:
      description:
        - V(live), its C(exp) and the O(leeway) are not over; V(expired), they are.
        - V(undated), it has no C(exp) to rely on; V(malformed), it is not a whole JWT.
      type: str
      sample: live
    issued_at:
      description: The C(iat) claim in UTC, when there is one.
      type: str
      sample: "2026-01-13T14:38:20Z"
    expires_at:
      description: The C(exp) claim in UTC, when there is one.
      type: str
      sample: "2026-01-13T17:38:20Z"
    expires_in:
      description: Seconds until then, negative when it is over.
      type: int
      sample: 8120
    account:
      description: The account that the C(G:) claim names, when there is one.
      type: str
    roles:
      description: What the C(R:) claims name.
      type: list
      elements: str
      sample: [VENDOR_API_ADMIN]
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
    probe:
      description:
        - V(accepted) or V(refused), the API takes the token or does not.
        - V(inconclusive), the answer does not settle it, or is not about the token.
        - V(meaningless), this host takes a token that nobody issued, too.
      returned: O(probe=true)
      type: str
      sample: refused
    reason:
      description: The answer behind the probe.
      returned: O(probe=true)
      type: str
summary:
  description: How far the search went.
  returned: when the options could be used
  type: dict
  contains:
    tokens:
      description: The number of distinct tokens.
      type: int
    files:
      description: The number of files read.
      type: int
    foreign:
      description: The number of distinct JWTs in the sources that name no Nomba account.
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
        - V(source_unread), some of the O(sources) could not be read; what could is in the results.
        - V(no_token), none was given.
        - V(invalid_option), an option's value cannot be used.
        - V(library_missing), requests or PyJWT is not installed on the host.
      type: str
      sample: source_unread
"""

import math
from contextlib import closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._module import (
    TOKEN_OPTIONS,
    NombaModule,
    connection,
    identity,
    optional_identity,
    run,
    scan_tokens,
    seconds,
    spec,
    unread_message,
    unread_rows,
    workers,
)
from ansible_collections.nomba.auth.plugins.module_utils._probe import TokenStatus, probe_tokens
from ansible_collections.nomba.auth.plugins.module_utils._scan import ScanResult
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    Token,
    classify,
    shown_claims,
)
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Gather the tokens, and tell what can be seen of each."""
    params = module.params
    leeway = seconds(params, "leeway", least=0)
    statuses = _probe if params["probe"] else _no_probe
    found = scan_tokens(module)
    now = SYSTEM.now()
    rows = [_row(token, found, now, leeway) for token in found.tokens]
    for row, seen in zip(rows, statuses(module, found)):
        row.update(probe=seen.probe, reason=seen.reason)
    result: dict[str, Any] = {
        "changed": False,
        "results": rows,
        "summary": {"tokens": len(rows), "files": found.files, "foreign": found.foreign},
        "unread": unread_rows(found),
        "msg": f"{len(rows)} token(s)." + unread_message(found),
    }
    if found.unread:
        result["error"] = {"code": "source_unread"}
    return result


def _probe(module: AnsibleModule, found: ScanResult) -> list[TokenStatus]:
    params = module.params
    account_id, at_a_time = identity(params, "account_id"), workers(params)
    client_id = optional_identity(params, "client_id")
    with closing(HttpTransport(connection(params), SYSTEM)) as transport:
        client = Client(transport, account_id, client_id)
        return probe_tokens(found.tokens, client, SYSTEM, at_a_time)


def _no_probe(_module: AnsibleModule, _found: ScanResult) -> list[TokenStatus]:
    return []


def _row(token: Token, found: ScanResult, now: float, leeway: float) -> dict[str, Any]:
    claims = shown_claims(token.text)
    left = None if token.expires_at is None else math.floor(token.expires_at - now)
    return {
        "fingerprint": token.fingerprint,
        "class": classify(token, now, leeway).value,
        "issued_at": show_time(token.issued_at),
        "expires_at": show_time(token.expires_at),
        "expires_in": left,
        "account": claims["account"],
        "roles": claims["roles"],
        "found_in": found.found_in(token),
    }


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec=spec(
            **TOKEN_OPTIONS,
            probe={"type": "bool", "default": False},
            concurrency={"type": "int", "default": 4},
        ),
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
