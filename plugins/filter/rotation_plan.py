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

# What the plan needs, in the order in which it may be given without names.
WHO = {
    "hand": with_texts("run"),
    "owner": with_texts("api_url", "account_id", "client_id"),
    "probe": TEXT,
    "holder": one_of("alive", "dead", "elsewhere"),
}
WISHES = {"max_age": SECONDS, "lease": SECONDS, "force": TRUTH, "emergency": TRUTH}


def rotation_plan(document: object, *given: Any, **named: Any) -> dict[str, Any]:
    """The plan as a dictionary; it holds no secret."""
    named = {**dict(zip(WHO, given)), **named}
    check("rotation_plan", named, {**WHO, **WISHES}, optional="force emergency")
    of = named["owner"]
    owner = Owner(of["api_url"], of["account_id"], of["client_id"])
    wish = Wish(owner, **{name: named[name] for name in WISHES if name in named})
    with telling_bad_states("rotation_plan"):
        hand = checked_hand(named["hand"])
        return asdict(plan(checked_state(document), hand, wish, named["probe"], named["holder"]))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"rotation_plan": rotation_plan}
