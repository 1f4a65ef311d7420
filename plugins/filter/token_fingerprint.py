# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that returns a token's fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint, strip
from ansible_collections.nomba.auth.plugins.plugin_utils._token_filters import checked_text


def token_fingerprint(token: object) -> str:
    """Return the fingerprint. Raises AnsibleFilterError."""
    return fingerprint(strip(checked_text("token_fingerprint", token)))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"token_fingerprint": token_fingerprint}
