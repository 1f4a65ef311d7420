#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read and write the private folder of a rotation on the control host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_rotation_folder
short_description: Read and write the private folder of a rotation
version_added: 0.1.0
description:
  - A part of the role P(nomba.auth.credential_rotation#role), which runs it on the control host. It
    is not for playbooks, because its result contains tokens.
  - The folder contains C(credentials.json), the state of a file store; C(issued.json), an issued
    token that may not be in the state yet; and C(audit.jsonl), the audit log.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._attributes
attributes:
  check_mode:
    support: full
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
  path:
    description:
      - The folder. It is created with mode C(0700).
    type: path
    required: true
  state_content:
    description:
      - The new content of the state. If it is not set, the state is not written.
    type: str
  expected:
    description:
      - The SHA-256 of the state when it was read, in hexadecimal digits, or an empty string for
        none. If the state has another content now, the module fails and writes nothing.
    type: str
    default: ""
  events:
    description:
      - Events to append to the audit log. An event whose C(id) is in the log is not appended again.
    type: list
    elements: dict
    default: []
  discard_issued:
    description:
      - Whether to remove the issued token, because it is in the state.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Append an event to the audit log of a rotation
  nomba.auth.nomba_rotation_folder:
    path: ~/.nomba
    events:
      - id: 2026-01-13T14:38:20Z 1
        step: report
"""

RETURN = r"""
state_content:
  description: The content of the state; empty if there is none.
  returned: success, if O(state_content) is not set
  type: str
issued:
  description: The content of the file of the issued token; empty if there is none.
  returned: success, if O(state_content) is not set
  type: str
checksum:
  description: The SHA-256 of the state, for O(expected) of the next run.
  returned: success
  type: str
error:
  description: Why the module failed. The code is for playbooks, RV(ignore:msg) is for users.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(conflict), the state does not have the content of O(expected); another run is active.
        - V(locked), another run held the lock of the state for ten seconds.
        - V(not_written), a file could not be written and is unchanged.
        - V(invalid_option), the folder or a file in it cannot be used.
      type: str
      sample: conflict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._rotation_folder import use_folder


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Read or write the folder."""
    return use_folder(module.params, module.check_mode, SYSTEM)


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state_content": {"type": "str", "no_log": True},
            "expected": {"type": "str", "default": ""},
            "events": {"type": "list", "elements": "dict", "default": []},
            "discard_issued": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
