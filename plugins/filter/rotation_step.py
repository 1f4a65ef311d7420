# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that takes a rotation's state from one step to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._rotation import STEPS, dump
from ansible_collections.nomba.auth.plugins.plugin_utils._rotating import (
    checked_hand,
    checked_state,
    telling_bad_states,
)


def rotation_step(
    document: object, step: str, hand: Mapping[str, str] | None = None, **given: Any
) -> dict[str, Any]:
    """The next state; `load` gives the same one, checked."""
    with telling_bad_states("rotation_step"):
        state = checked_state(document)
        if step == "load":
            return dump(state)
        return dump(STEPS[step](state, checked_hand(hand), **given))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"rotation_step": rotation_step}
