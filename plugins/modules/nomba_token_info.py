#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show the properties of Nomba access tokens without exposing them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_token_info
short_description: Show the properties of Nomba access tokens without exposing them
version_added: 0.1.0
description:
  - Returns the claims of tokens in options, or in files and folders, and on request whether the
    API accepts them.
  - Claims are read without verification, because only Nomba has the key. They are hints. Only a
    probe shows whether the API accepts a token.
  - Tokens are shown as fingerprints. E-mail addresses are never shown.
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
      - This module never changes anything.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  account_id:
    description:
      - The id of the B(parent) account, sent as the header C(accountId). Required with
        O(probe=true).
      - The environment variable E(NOMBA_ACCOUNT_ID) is used when this is not set.
    type: str
    required: false
  client_id:
    description:
      - Not used. This option exists so that C(module_defaults) can be set for all modules of the
        collection. The environment variable E(NOMBA_CLIENT_ID) is read too.
    type: str
    required: false
  probe:
    description:
      - Whether to probe each complete token with a read-only request.
    type: bool
    default: false
  concurrency:
    description:
      - The number of tokens that are probed concurrently, from 1 to 64.
    type: int
    default: 4
"""
EXAMPLES = r"""
- name: Find the tokens in a folder, and probe them
  nomba.auth.nomba_token_info:
    account_id: "{{ nomba_account_id }}"
    sources:
      - /srv/payments
    probe: true
  register: inventory

- name: Show one token without sending it
  nomba.auth.nomba_token_info:
    access_token: "{{ nomba_token }}"
  register: info

- name: Show when it expires
  ansible.builtin.debug:
    msg: "{{ info.results[0].fingerprint }} expires in {{ info.results[0].expires_in }} s"
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
    class:
      description:
        - V(live), its C(exp) plus the O(leeway) is not in the past; V(expired), it is.
        - V(undated), it has no reliable C(exp); V(malformed), it is not a complete JWT.
      type: str
      sample: live
    issued_at:
      description: The C(iat) claim in UTC, if any.
      type: str
      sample: "2026-01-13T14:38:20Z"
    expires_at:
      description: The C(exp) claim in UTC, if any.
      type: str
      sample: "2026-01-13T17:38:20Z"
    expires_in:
      description: Seconds until RV(results[].expires_at), negative after it.
      type: int
      sample: 8120
    account:
      description: The account in the C(G:) claim, if any.
      type: str
    roles:
      description: The roles in the C(R:) claims.
      type: list
      elements: str
      sample: [VENDOR_API_ADMIN]
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
    probe:
      description:
        - V(accepted) or V(refused), the API accepts or refuses the token.
        - V(inconclusive), the answer is unclear, or is not about the token.
        - V(meaningless), the host also accepts a token that was never issued.
      returned: O(probe=true)
      type: str
      sample: refused
    reason:
      description: The API's answer to the probe.
      returned: O(probe=true)
      type: str
summary:
  description: Numbers of the scan.
  returned: when the options are valid
  type: dict
  contains:
    tokens:
      description: The number of distinct tokens.
      type: int
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
      description: The number of distinct JWTs in the sources that name no Nomba account.
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
        - V(source_unread), some of the O(sources) could not be read completely.
        - V(no_token), no option contains a token.
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
from ansible_collections.nomba.auth.plugins.module_utils._connection_options import (
    connection,
    identity,
    optional_identity,
    seconds,
    spec,
    workers,
)
from ansible_collections.nomba.auth.plugins.module_utils._errors import SOURCE_UNREAD
from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._probe import TokenStatus, probe_tokens
from ansible_collections.nomba.auth.plugins.module_utils._scan import ScanResult
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    Token,
    classify,
    shown_claims,
)
from ansible_collections.nomba.auth.plugins.module_utils._token_options import (
    TOKEN_OPTIONS,
    scan_tokens,
)
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Return the properties of each token."""
    params = module.params
    leeway = seconds(params, "leeway", least=0)
    statuses = _probe if params["probe"] else _no_probe
    found = scan_tokens(module)
    now = SYSTEM.now()
    rows = [_row(token, found, now, leeway) for token in found.tokens]
    for row, status in zip(rows, statuses(module, found)):
        row.update(probe=status.probe, reason=status.reason)
    result: dict[str, Any] = {
        "changed": False,
        "results": rows,
        "summary": {"tokens": len(rows), **found.counts()},
        "unread": found.unread_rows(),
        "msg": f"{len(rows)} token(s)." + found.unread_message(),
    }
    if found.unread:
        result["error"] = {"code": SOURCE_UNREAD}
    return result


def _probe(module: AnsibleModule, found: ScanResult) -> list[TokenStatus]:
    params = module.params
    account_id, concurrency = identity(params, "account_id"), workers(params)
    client_id = optional_identity(params, "client_id")
    with closing(HttpTransport(connection(params), SYSTEM)) as transport:
        client = Client(transport, account_id, client_id)
        return probe_tokens(found.tokens, client, SYSTEM, concurrency)


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
