# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that says what a rotation has to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._kept import Owner
from ansible_collections.nomba.auth.plugins.module_utils._rotation import Wish, plan
from ansible_collections.nomba.auth.plugins.plugin_utils._rotating import (
    checked_hand,
    checked_state,
    telling_bad_states,
)


def rotation_plan(
    document: object,
    hand: Mapping[str, str],
    owner: Mapping[str, str],
    probe: str,
    holder: str,
    **wishes: Any,
) -> dict[str, Any]:
    """The plan as a dictionary; it holds no secret."""
    with telling_bad_states("rotation_plan"):
        wish = Wish(Owner(**owner), **wishes)
        return asdict(plan(checked_state(document), checked_hand(hand), wish, probe, holder))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"rotation_plan": rotation_plan}
