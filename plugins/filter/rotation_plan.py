# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that says what a rotation has to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._rotation import RotationOptions, plan
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.plugin_utils._arguments import (
    SECONDS,
    TEXT,
    TRUTH,
    check,
    one_of,
    with_texts,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_filters import (
    bad_state_as_filter_error,
    checked_actor,
    checked_state,
)

# What the plan needs, and what is wished for.
WHO = {
    "actor": with_texts("run"),
    "owner": with_texts("api_url", "account_id", "client_id"),
    "probe": TEXT,
    "lock_holder": one_of("alive", "dead", "elsewhere"),
}
SETTINGS = {"max_age": SECONDS, "lock_timeout": SECONDS, "force": TRUTH, "emergency": TRUTH}


def rotation_plan(
    document: object,
    actor: Any = None,
    owner: Any = None,
    probe: Any = None,
    lock_holder: Any = None,
    **settings: Any,
) -> dict[str, Any]:
    """The plan as a dictionary; it holds no secret."""
    who = {"actor": actor, "owner": owner, "probe": probe, "lock_holder": lock_holder}
    given = {**{name: value for name, value in who.items() if value is not None}, **settings}
    check("rotation_plan", given, {**WHO, **SETTINGS}, optional="force emergency")
    options = RotationOptions(
        Owner(owner["api_url"], owner["account_id"], owner["client_id"]), **settings
    )
    with bad_state_as_filter_error("rotation_plan"):
        return asdict(
            plan(checked_state(document), checked_actor(actor), options, probe, lock_holder)
        )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"rotation_plan": rotation_plan}
