# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that reads a token's claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._token import read_claims, shown_claims
from ansible_collections.nomba.auth.plugins.plugin_utils._token_filters import checked_token


def token_claims(token: object, all: bool = False) -> dict[str, Any]:  # noqa: A002
    """Return the claims without personal data, or all of them, unverified."""
    text = checked_token("token_claims", token)
    return dict(read_claims(text)) if all else shown_claims(text)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"token_claims": token_claims}
