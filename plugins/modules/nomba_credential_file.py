#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a private file that contains a Nomba token, and show fingerprints only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_credential_file
version_added: 0.1.0
short_description: Write a private file that contains a Nomba token, and show fingerprints only
description:
  - Replaces a file atomically and durably, with a mode of C(0600) or stricter. Other processes
    read the old content or the new content, never a part.
  - Other modules show the content of such a file in a diff, or write it to a temporary file first.
    This module shows the fingerprints of its tokens, so that C(--check --diff) shows which host has
    which token.
  - The role P(nomba.auth.credential_rotation#role) publishes tokens and stores its state with this
    module.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._private_file
  - nomba.auth._attributes
  - ansible.builtin.files
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows only the fingerprints of the tokens in the file.
  idempotent:
    support: full
  action_group:
    support: none
    membership: []
    details:
      - This module sends no request to the API and has none of the group's options.
options:
  dest:
    description:
      - The file. Its folder must exist. A file larger than 1 MiB is refused, because it is not a
        file with a token.
    type: path
    required: true
  content:
    description:
      - The content of the file, at most 1 MiB.
    type: str
    required: true
  expected:
    description:
      - The SHA-256 of the file's content when it was read, in hexadecimal digits, or an empty
        string for no file. If the file has another content now, another run is active, and the
        module fails without writing.
      - If this is set, the file is locked while it is compared and replaced. The lock file is
        beside it, with the name of O(dest) between a dot and C(.lock).
    type: str
seealso:
  - module: nomba.auth.nomba_token
"""

EXAMPLES = r"""
- name: Publish the token to the payment service
  nomba.auth.nomba_credential_file:
    dest: /etc/payments/nomba.env
    content: |
      NOMBA_ACCESS_TOKEN={{ nomba.access_token }}
    owner: payments
    group: payments
  notify: Restart the payment service
"""

RETURN = r"""
fingerprints:
  description: The fingerprints of the tokens in O(content).
  returned: success
  type: list
  elements: str
  sample: ["sha256:5a2a0e1b9c3d4f60"]
before:
  description: The fingerprints of the tokens that were in the file before.
  returned: success
  type: list
  elements: str
  sample: []
checksum:
  description: The SHA-256 of O(content), which the module has read back after a write, for the
    option O(expected) of the next run.
  returned: success
  type: str
error:
  description: Why the module failed. The code is for playbooks, RV(ignore:msg) is for users.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(conflict), the file does not have the content of O(expected), or another program has
          changed it right after the write; another run is active.
        - V(locked), another run held the file's lock for ten seconds.
        - V(not_written), the file could not be written and is unchanged.
        - V(invalid_option), an option's value cannot be used.
      type: str
      sample: conflict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    MAX_FILE_SIZE,
    SetAttributes,
    checksum,
    read_file,
    replace_if_unchanged,
    require_unchanged,
    set_existing,
)
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._errors import Conflict, InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._module import (
    NombaModule,
    private_file,
    run,
)
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    FileEntry,
    printable,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprints_in


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Write the content to the file."""
    with private_file(module, "dest") as (entry, set_attributes):
        return _write(module, entry, set_attributes)


def _write(
    module: AnsibleModule, entry: FileEntry, set_attributes: SetAttributes
) -> dict[str, Any]:
    content, expected = _content(module), module.params["expected"]
    if module.check_mode:
        current = read_file(entry)
        require_unchanged(current, expected)
        changed = current != content or set_existing(entry, set_attributes)
    else:
        current, changed = replace_if_unchanged(entry, content, expected, set_attributes, SYSTEM)
        if read_file(entry) != content:
            raise Conflict("dest: another program has changed it right after the write; inspect it")
    before, after = fingerprints_in(current or b""), fingerprints_in(content)
    result = {
        "changed": changed,
        "before": before,
        "fingerprints": after,
        "checksum": checksum(content),
        "msg": "The file was replaced." if changed else "The file is up to date.",
    }
    if module._diff:
        path = printable(entry.path)
        header = {"before_header": path, "after_header": path}
        result["diff"] = {**header, "before": _lines(before), "after": _lines(after)}
    return result


def _content(module: AnsibleModule) -> bytes:
    content = str(module.params["content"]).encode()
    if len(content) > MAX_FILE_SIZE:
        raise InvalidOption(
            "content", "it is larger than 1 MiB; set the content of a file with a token"
        )
    return content


def _lines(fingerprints: list[str]) -> str:
    return "".join(f"{fingerprint}\n" for fingerprint in fingerprints)


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "content": {"type": "str", "required": True, "no_log": True},
            "expected": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
