# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup that returns a secret which a task of a rotation has passed to other tasks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_value
author:
  - The nomba.auth contributors (@nomba-auth)
version_added: 0.1.0
short_description: Return the token or the document that a rotation passes to task files
description:
  - A part of the role P(nomba.auth.credential_rotation#role), which defines the variables
    C(credential_rotation_service) and C(credential_rotation_next) with it. Use these variables.
  - The tasks of the role pass secrets to each other in encrypted files on the controller, which
    exist during the run only. This lookup reads such a file.
options:
  _terms:
    description:
      - One name, C(credential) or C(document).
    type: list
    elements: str
    required: true
  run:
    description:
      - The value C(run) that the first task of the role has returned. It contains the key.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show when the token of a rotation expires
  ansible.builtin.debug:
    msg: "{{ lookup('nomba.auth.rotation_value', 'credential', run=handle).expires_at }}"
"""

RETURN = r"""
_raw:
  description: The value; an empty dictionary if there is none. It contains a secret.
  type: list
  elements: raw
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import Kind
from ansible_collections.nomba.auth.plugins.plugin_utils._spool import Spool

try:
    from ansible.module_utils.secrets import register_secrets
except ImportError:  # ansible-core 2.21 and older
    register_secrets = None

_NAMES = ("credential", "document")


class LookupModule(LookupBase):  # type: ignore[misc] # Ansible ships no type information
    """Returns a value of the spool."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[Any]:
        """Return the value."""
        self.set_options(var_options=variables, direct=kwargs)
        if len(terms) != 1 or terms[0] not in _NAMES:
            raise AnsibleLookupError(f"rotation_value: pass one of {', '.join(_NAMES)}")
        value = Spool.opened(self.get_option("run")).get(terms[0])
        if register_secrets is not None and isinstance(value, dict):
            register_secrets([value[one.value] for one in Kind if one.value in value])
        return [{} if value is None else value]
