# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup that reads the token which nomba_token keeps in a file on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stored_token
author:
  - The nomba.auth contributors (@nomba-auth)
version_added: 0.1.0
short_description: Read the token that nomba_token keeps in a file on the controller
description:
  - Returns the token in the O(nomba.auth.nomba_token#module:dest) of
    M(nomba.auth.nomba_token). It never issues or refreshes one, and sends no request.
  - Fails if the file does not exist, if other users can access it, or if it contains no token of
    M(nomba.auth.nomba_token). Also fails if the token expired more than 5 minutes ago; a difference
    between the clocks can be that large.
  - From ansible-core 2.22 on, Ansible masks the token in its output. With older versions, set
    C(no_log=true) on each task that uses the token.
options:
  _terms:
    description:
      - The path of the file. C(~) is the home of the user who runs Ansible, and a relative path
        begins in the folder of the playbook.
    type: list
    elements: str
    required: true
  field:
    description:
      - What to return. The API needs the account id beside the token, in the header C(accountId).
    type: str
    choices:
      - access_token
      - account_id
      - api_url
      - expires_at
    default: access_token
requirements:
  - PyJWT on the controller
seealso:
  - module: nomba.auth.nomba_token
"""

EXAMPLES = r"""
- name: Issue or refresh the token
  nomba.auth.nomba_token:
    dest: ~/nomba-token.json
  delegate_to: localhost
  run_once: true

- name: Read the balance
  ansible.builtin.uri:
    url: "{{ lookup('nomba.auth.stored_token', file, field='api_url') }}/v1/accounts/balance"
    headers:
      Authorization: "Bearer {{ lookup('nomba.auth.stored_token', file) }}"
      accountId: "{{ lookup('nomba.auth.stored_token', file, field='account_id') }}"
  vars:
    file: ~/nomba-token.json
  no_log: true
"""

RETURN = r"""
_raw:
  description: The field of each file. The access token is a secret.
  type: list
  elements: str
"""

import os
import stat
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    MAX_FILE_SIZE,
    open_existing,
    read_all,
)
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption, NombaError
from ansible_collections.nomba.auth.plugins.module_utils._rotation import hide_tokens
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import FileEntry, open_entry
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import StoredToken, load
from ansible_collections.nomba.auth.plugins.module_utils._token import DEFAULT_LEEWAY

try:
    from ansible.module_utils.secrets import register_secrets
except ImportError:  # ansible-core 2.21 and older
    register_secrets = None


class LookupModule(LookupBase):  # type: ignore[misc] # Ansible ships no type information
    """Returns a field of a token file."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[str | None]:
        """Return the field of each file."""
        self.set_options(var_options=variables, direct=kwargs)
        if not terms or not all(isinstance(term, str) and term for term in terms):
            raise AnsibleLookupError("stored_token: pass the path of a file")
        field = self.get_option("field")
        try:
            found = [_read(self._loader.path_dwim(term)) for term in terms]
        except NombaError as error:
            raise AnsibleLookupError(f"stored_token: {hide_tokens(str(error))}") from None
        if field in ("account_id", "api_url"):
            return [str(getattr(one.owner, field)) for one in found]
        if field == "access_token" and register_secrets is not None:
            register_secrets([one.access_token for one in found])
        return [getattr(one, field) for one in found]


def _read(path: str) -> StoredToken:
    """Return the token in a file. Raises InvalidOption, LibraryMissing."""
    with open_entry(path, path, follow_link=True) as entry:
        status = entry.status()
        if status is None:
            raise InvalidOption(path, "it does not exist; issue the token with nomba_token first")
        content = _read_private(entry.owned_by(status.st_uid))
    stored = load(content)
    if stored is None:
        raise InvalidOption(path, "it does not contain a token of nomba_token")
    until = stored.usable_until()
    if until is not None and until + DEFAULT_LEEWAY < SYSTEM.now():
        expired = f"its token {stored.fingerprint} has expired"
        raise InvalidOption(path, f"{expired}; issue another one with nomba_token")
    return stored


def _read_private(entry: FileEntry) -> bytes:
    try:
        with open_existing(entry) as file:
            mode = stat.S_IMODE(os.fstat(file.descriptor).st_mode)
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                problem = f"other users can access it (mode {mode:04o}); replace the token"
                raise InvalidOption(entry.option, f"{problem}, and set the mode 0600")
            return read_all(file.descriptor, MAX_FILE_SIZE)
    except FileNotFoundError:
        raise InvalidOption(entry.option, "it was removed while it was read") from None
    except OSError as error:
        raise InvalidOption(entry.option, f"it cannot be read: {error.strerror}") from None
