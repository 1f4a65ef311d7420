# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that says what a rotation has to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._kept import Owner
from ansible_collections.nomba.auth.plugins.module_utils._rotation import Wish, plan
from ansible_collections.nomba.auth.plugins.plugin_utils._arguments import (
    SECONDS,
    TEXT,
    TRUTH,
    check,
    one_of,
    with_texts,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotating import (
    checked_hand,
    checked_state,
    telling_bad_states,
)

# What the plan needs, and what is wished for.
WHO = {
    "hand": with_texts("run"),
    "owner": with_texts("api_url", "account_id", "client_id"),
    "probe": TEXT,
    "holder": one_of("alive", "dead", "elsewhere"),
}
WISHES = {"max_age": SECONDS, "lease": SECONDS, "force": TRUTH, "emergency": TRUTH}


def rotation_plan(
    document: object,
    hand: Any = None,
    owner: Any = None,
    probe: Any = None,
    holder: Any = None,
    **wishes: Any,
) -> dict[str, Any]:
    """The plan as a dictionary; it holds no secret."""
    who = {"hand": hand, "owner": owner, "probe": probe, "holder": holder}
    given = {**{name: value for name, value in who.items() if value is not None}, **wishes}
    check("rotation_plan", given, {**WHO, **WISHES}, optional="force emergency")
    wish = Wish(Owner(owner["api_url"], owner["account_id"], owner["client_id"]), **wishes)
    with telling_bad_states("rotation_plan"):
        return asdict(plan(checked_state(document), checked_hand(hand), wish, probe, holder))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"rotation_plan": rotation_plan}
