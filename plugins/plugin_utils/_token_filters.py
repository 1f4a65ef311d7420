# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the filters meet Ansible: their input, and the one place for their errors."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing
from ansible_collections.nomba.auth.plugins.module_utils._token import read


def checked_text(name: str, token: object) -> str:
    """The token as text. Raises AnsibleFilterError, which does not repeat it."""
    if getattr(token, "__ENCRYPTED__", False):
        token = str(token)  # an inline !vault value, which is no str before ansible-core 2.19
    if not isinstance(token, str) or not token.strip():
        raise AnsibleFilterError(f"{name}: give one token, a string that is not empty")
    return token


def checked_token(name: str, token: object) -> str:
    """The token, when its claims can be read. Raises AnsibleFilterError."""
    text = checked_text(name, token)
    try:
        readable = read(text).readable
    except LibraryMissing as error:
        raise AnsibleFilterError(f"{name}: {error} on the controller") from None
    if not readable:
        raise AnsibleFilterError(f"{name}: this is no JWT whose claims can be read")
    return text
