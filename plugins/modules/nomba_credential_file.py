#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a Nomba credential to a file, and show fingerprints only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_credential_file
version_added: 0.1.0
short_description: Write a Nomba credential to a file, and show fingerprints only
description:
  - Replaces a file atomically and durably. Other processes read the old content or the new content,
    never a part.
  - With O(content), writes a whole file with a mode of C(0600) or stricter.
  - With O(variables), changes only the named variables of an existing C(.env) file. All other bytes
    stay, and so do the file's mode, owner, group and access control list.
  - Other modules show the content of such a file in a diff, or write it to a temporary file first.
    This module shows the fingerprints of its tokens or variables, so that C(--check --diff) shows
    which host has which credential.
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
      - Shows only the fingerprints of the tokens in the file, or of the values of O(variables).
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
      - Exactly one of O(content) and O(variables) is required.
    type: str
  variables:
    description:
      - Names and values of variables in a C(.env) file. Each value is a string.
      - Only the values of these variables change. Comments, order, other variables, line ends and
        C(export) stay. Each assignment of a name is changed, so that no old secret stays in the
        file. A name that is not in the file is added at its end. A missing file is created.
      - A value keeps its quotation marks if these can hold it. It is written so that python-dotenv,
        the setting C(EnvironmentFile) of systemd and a POSIX shell read the same value. A value
        that cannot be written so is refused, for example one with a line break, with C(${), or with
        a backslash at its end.
      - The module fails without writing if these three programs read the current value of a
        variable differently, or if a quotation mark before it is not closed.
      - A line keeps what one of the three does not support. Systemd ignores a line with C(export),
        and takes a comment after a value as a part of the value. A shell accepts no spaces around
        C(=), and takes the carriage return of a Windows line end as a part of the value.
    type: dict
  mode:
    description:
      - The mode of O(dest), C(0600) or stricter. Other users must never be able to read a secret.
      - If this is not set, the mode is C(0600). With O(variables), an existing file keeps its mode,
        and the module warns if every user can read the file.
    type: raw
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

- name: Set the client pair in the .env file of an application
  nomba.auth.nomba_credential_file:
    dest: /srv/shop/.env
    variables:
      NOMBA_CLIENT_ID: "{{ nomba_client_id }}"
      NOMBA_CLIENT_SECRET: "{{ nomba_client_secret }}"
  notify: Restart the shop
"""

RETURN = r"""
fingerprints:
  description: The fingerprints of the tokens in O(content), or of the values of O(variables).
  returned: success
  type: list
  elements: str
  sample: ["sha256:5a2a0e1b9c3d4f60"]
before:
  description: The fingerprints of the tokens, or of the values of these variables, that were in
    the file before.
  returned: success
  type: list
  elements: str
  sample: []
variables:
  description: For each name in O(variables), the fingerprint of the value in the file before, empty
    if the file did not assign it, and of the value after.
  returned: success and O(variables) is set
  type: dict
  sample:
    NOMBA_CLIENT_SECRET: {before: "sha256:5a2a0e1b9c3d4f60", after: "sha256:0c11f5a2be7d9934"}
checksum:
  description: The SHA-256 of the file's content, which the module has read back after a write, for
    the option O(expected) of the next run.
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

from collections.abc import Callable
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    MAX_FILE_SIZE,
    Replacement,
    checksum,
    predict_replacement,
    replace_and_read_back,
)
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._env_file import (
    fingerprints_of,
    replace_values,
    require_writable,
)
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._file_options import private_file
from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    FileEntry,
    printable,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprints_in


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Write the content, or the variables, to the file."""
    variables = module.params["variables"]
    if variables is None:
        if module.params["mode"] is None:
            module.params["mode"] = "0600"
        new_content, find = partial(_content, module), _tokens
    else:
        require_writable(variables)
        new_content = partial(replace_values, variables)
        find = partial(fingerprints_of, variables)
    with private_file(module, "dest", keep=variables is not None) as (entry, set_attributes):
        replace = predict_replacement if module.check_mode else replace_and_read_back
        done = replace(entry, new_content, module.params["expected"], set_attributes, SYSTEM)
        return _result(module, entry, done, find)


def _result(
    module: AnsibleModule,
    entry: FileEntry,
    done: Replacement,
    find: Callable[[bytes], list[tuple[str, str]]],
) -> dict[str, Any]:
    """Return the result; find: returns the names, if any, and the fingerprints in a content."""
    before, after = find(done.before or b""), find(done.after)
    result = {
        "changed": done.changed,
        "before": [fingerprint for __, fingerprint in before],
        "fingerprints": [fingerprint for __, fingerprint in after],
        "checksum": checksum(done.after),
        "msg": "The file was replaced." if done.changed else "The file is up to date.",
    }
    if module.params["variables"] is not None:
        old = dict(before)
        result["variables"] = {
            name: {"before": old.get(name, ""), "after": new} for name, new in after
        }
    if module._diff:
        path = printable(entry.path)
        header = {"before_header": path, "after_header": path}
        result["diff"] = {**header, "before": _lines(before), "after": _lines(after)}
    return result


def _tokens(data: bytes) -> list[tuple[str, str]]:
    return [("", fingerprint) for fingerprint in fingerprints_in(data)]


def _content(module: AnsibleModule, _current: bytes | None) -> bytes:
    content = str(module.params["content"]).encode()
    if len(content) > MAX_FILE_SIZE:
        raise InvalidOption(
            "content", "it is larger than 1 MiB; set the content of a file with a token"
        )
    return content


def _lines(found: list[tuple[str, str]]) -> str:
    return "".join(f"{name}=({one})\n" if name else f"{one}\n" for name, one in found)


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "content": {"type": "str", "no_log": True},
            "variables": {"type": "dict", "no_log": True},
            "expected": {"type": "str"},
            "mode": {"type": "raw"},
        },
        add_file_common_args=True,
        mutually_exclusive=[("content", "variables")],
        required_one_of=[("content", "variables")],
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
