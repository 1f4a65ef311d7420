#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module that brings credentials to a host, and shows fingerprints in their place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_credential_file
version_added: 0.1.0
short_description: Write a private file that holds a Nomba token, and show fingerprints only
description:
  - Replaces a file in one step, for its owner alone, and durably. Readers see the old content or
    the new one, and never a part.
  - Other modules show such a file's content in a diff, or put it into a temporary file first. This
    one shows the fingerprints of the tokens in it, so that C(--check --diff) tells which host holds
    which token.
  - The role P(nomba.auth.credential_rotation#role) publishes tokens with it, and keeps its state.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - ansible.builtin.files
  - nomba.auth._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the fingerprints of the tokens in the file, and nothing else of it.
  idempotent:
    support: full
  action_group:
    support: none
    membership: []
    details:
      - It does not speak to the API, and has none of the group's options.
options:
  dest:
    description:
      - The file. Its folder must exist. One that holds more than 1 MiB is refused, because it is
        no file with a token.
      - It is a regular file. A link is followed only when it belongs to root or to the user who
        runs the module, and nobody else can exchange it.
      - No folder of its path may be one that others can write, except root, the user who runs the
        module and the owner of the file. That is O(owner) or, where this is not set, who owns the
        file now. So a folder of an application's user needs O(owner).
      - A file that root replaces keeps its owner and group where O(owner) and O(group) are not set.
    type: path
    required: true
  content:
    description:
      - What the file shall hold, 1 MiB at most.
    type: str
    required: true
  expected:
    description:
      - The SHA-256 of what the file held when it was read, in hexadecimal digits, or an empty
        string when there was no file. When it holds something else now, the module fails and
        writes nothing, because another run is at work.
      - The file is then also locked while it is compared and replaced, by a file beside it named
        like O(dest) with a dot before and C(.lock) behind.
    type: str
  mode:
    description:
      - The mode of O(dest), C(0600) or stricter. Others must never be able to read a token.
    type: raw
    default: '0600'
  unsafe_writes:
    description:
      - It has no effect. The file is always replaced in one step, and completely.
    type: bool
    default: false
  attributes:
    description:
      - The attributes of O(dest), as C(lsattr) shows them. C(a) and C(i) are refused, because a
        file that has them cannot be replaced.
    type: str
seealso:
  - module: nomba.auth.nomba_token
"""

EXAMPLES = r"""
- name: Bring the token to the payment service
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
  description: What stands for the tokens in O(content).
  returned: success
  type: list
  elements: str
  sample: ["sha256:5a2a0e1b9c3d4f60"]
before:
  description: What stands for the tokens that the file held.
  returned: success
  type: list
  elements: str
  sample: []
checksum:
  description: The SHA-256 of O(content), for O(expected) of the next run.
  returned: success
  type: str
error:
  description: Why the module failed. Playbooks decide by the code, people read RV(ignore:msg).
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(conflict), the file is not what was expected; another run is at work.
        - V(locked), another run has held the file's lock for ten seconds.
        - V(not_written), the file could not be written, and is as it was.
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
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
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
    """Bring the file in line with the content."""
    with private_file(module, "dest") as (entry, set_attributes):
        return _write(module, entry, set_attributes)


def _write(
    module: AnsibleModule, entry: FileEntry, set_attributes: SetAttributes
) -> dict[str, Any]:
    content, expected = _content(module), module.params["expected"]
    if module.check_mode:
        held = read_file(entry)
        require_unchanged(held, expected)
        changed = held != content or set_existing(entry, set_attributes)
    else:
        held, changed = replace_if_unchanged(entry, content, expected, set_attributes, SYSTEM)
    before, after = fingerprints_in(held or b""), fingerprints_in(content)
    result = {
        "changed": changed,
        "before": before,
        "fingerprints": after,
        "checksum": checksum(content),
        "msg": "The file was replaced." if changed else "The file is as it should be.",
    }
    if module._diff:
        path = printable(entry.path)
        header = {"before_header": path, "after_header": path}
        result["diff"] = {**header, "before": _shown(before), "after": _shown(after)}
    return result


def _content(module: AnsibleModule) -> bytes:
    content = str(module.params["content"]).encode()
    if len(content) > MAX_FILE_SIZE:
        raise InvalidOption("content", "it is longer than 1 MiB; give a file with a token")
    return content


def _shown(marks: list[str]) -> str:
    return "".join(f"{mark}\n" for mark in marks)


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
