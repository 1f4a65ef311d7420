# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The input and the errors of the token filters."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing
from ansible_collections.nomba.auth.plugins.module_utils._token import read


def checked_text(name: str, token: object) -> str:
    """Return the token as a string. Raises AnsibleFilterError, which does not contain it."""
    if getattr(token, "__ENCRYPTED__", False):
        token = str(token)  # an inline !vault value, which is not a str before ansible-core 2.19
    if not isinstance(token, str) or not token.strip():
        raise AnsibleFilterError(f"{name}: pass one token, a string that is not empty")
    return token


def checked_token(name: str, token: object) -> str:
    """Return the token if its claims are readable. Raises AnsibleFilterError."""
    text = checked_text(name, token)
    try:
        readable = read(text).readable
    except LibraryMissing as error:
        raise AnsibleFilterError(f"{name}: {error} on the controller") from None
    if not readable:
        raise AnsibleFilterError(f"{name}: this is not a JWT with readable claims")
    return text
