#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the tokens in files and folders of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_token_find
short_description: Find the tokens in files and folders of a host
version_added: 0.1.0
description:
  - A part of the playbook C(nomba.auth.scan) and of the role
    P(nomba.auth.credential_rotation#role), which run it on the hosts. It is not for playbooks of
    users, because its result contains tokens. Use M(nomba.auth.nomba_token_info) there.
  - It reads only. It sends no request, and the host needs no client id and no route to the API.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
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
  action_group:
    support: none
    membership: []
    details:
      - This module sends no request to the API and has none of the group's options.
options:
  sources:
    description:
      - Files and folders. Folders are read with all that is in them. What is opened and decoded is
        the same as for O(nomba.auth.nomba_token_info#module:sources).
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Find the tokens in the cache of a service
  nomba.auth.nomba_token_find:
    sources:
      - /var/cache/payments
  no_log: true
"""

RETURN = r"""
tokens:
  description: Each distinct token that was found.
  returned: success
  type: list
  elements: str
found_in:
  description:
    - The locations of each token, by its fingerprint. They are shown as in
      RV(nomba.auth.nomba_token_info#module:results[].found_in).
  returned: success
  type: dict
summary:
  description:
    - The number of tokens, and the numbers of the scan, which are those of
      RV(nomba.auth.nomba_token_info#module:summary).
  returned: success
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
      type: int
    unread:
      description: The number of rows in RV(unread).
      type: int
    other_jwts:
      description: The number of distinct JWTs that name no Nomba account.
      type: int
unread:
  description: The sources that could not be read completely. They may contain live tokens.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file or folder.
      type: str
    reason:
      description: Why it was not read completely.
      type: str
error:
  description: Why the module failed. The code is for playbooks, RV(ignore:msg) is for users.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(invalid_option), an option cannot be used.
      type: str
      sample: invalid_option
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._token_options import (
    SCAN_OPTIONS,
    scan_sources,
)


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Return the tokens in the sources."""
    found = scan_sources(module)
    return {
        "changed": False,
        "tokens": [token.text for token in found.tokens],
        "found_in": {token.fingerprint: found.found_in(token) for token in found.tokens},
        "summary": {"tokens": len(found.tokens), **found.counts()},
        "unread": found.unread_rows(),
    }


def main() -> None:
    """Run the module."""
    sources = {**SCAN_OPTIONS["sources"], "required": True}
    module = NombaModule(
        argument_spec={**SCAN_OPTIONS, "sources": sources},
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
