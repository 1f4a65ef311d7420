# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup that finds misspelled options among a host's variables."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unknown_variables
author:
  - The nomba.auth contributors (@nomba-auth)
version_added: 0.1.0
short_description: Find misspelled options among a host's variables
description:
  - Ansible ignores unused variables. A misspelled option of a role or playbook has no effect, and
    the run succeeds.
  - This lookup compares the names of all variables of the task's host with the options that exist.
    It reads names only, no values.
options:
  _terms:
    description:
      - The names of the options. A variable with a similar but different name is reported.
    type: list
    elements: str
    required: true
  reserved:
    description:
      - A prefix. Every variable with this prefix must be an option or be listed in O(others).
    type: str
    default: ""
  others:
    description:
      - Names of other variables that may have the prefix O(reserved).
    type: list
    elements: str
    default: []
notes:
  - Variables can differ from host to host. Use it in a task that runs for every host.
"""

EXAMPLES = r"""
- name: Check the names of the variables
  ansible.builtin.assert:
    that: misspelled | length == 0
    fail_msg: "{{ misspelled | join(' ') }}"
  any_errors_fatal: true
  vars:
    misspelled: "{{ query('nomba.auth.unknown_variables', *options, reserved='payments_') }}"
    options: [payments_region, payments_hosts]
"""

RETURN = r"""
_raw:
  description: A sentence for each misspelled name, with the similar option.
  type: list
  elements: str
  sample:
    - "payments_regoin: no such option; did you mean payments_region?"
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.nomba.auth.plugins.plugin_utils._variable_names import find_misspelled


class LookupModule(LookupBase):  # type: ignore[misc] # Ansible ships no type information
    """Finds misspelled options."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:
        """Return one sentence per misspelled name."""
        if not terms or not all(isinstance(term, str) for term in terms):
            raise AnsibleLookupError("unknown_variables: pass the names of options as strings")
        self.set_options(var_options=variables, direct=kwargs)
        names = [name for name in variables or () if isinstance(name, str)]
        reserved, others = self.get_option("reserved"), self.get_option("others")
        return find_misspelled(names, terms, others, reserved)
