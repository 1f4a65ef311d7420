# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that returns the plan of a rotation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._rotation import RotationOptions, plan
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.plugin_utils._arguments import (
    BOOLEAN,
    SECONDS,
    STRING,
    check,
    dict_with_strings,
    one_of,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_filters import (
    bad_state_as_filter_error,
    checked_actor,
    checked_state,
)

REQUIRED = {
    "actor": dict_with_strings("run"),
    "owner": dict_with_strings("api_url", "account_id", "client_id"),
    "probe": STRING,
    "lock_holder": one_of("alive", "dead", "elsewhere"),
}
OPTIONS = {"max_age": SECONDS, "lock_timeout": SECONDS, "force": BOOLEAN, "emergency": BOOLEAN}


def rotation_plan(
    document: object,
    actor: Any = None,
    owner: Any = None,
    probe: Any = None,
    lock_holder: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """Return the plan as a dictionary, without secrets. Raises AnsibleFilterError."""
    required = {"actor": actor, "owner": owner, "probe": probe, "lock_holder": lock_holder}
    is_set = {name: value for name, value in required.items() if value is not None}
    check(
        "rotation_plan", {**is_set, **options}, {**REQUIRED, **OPTIONS}, optional="force emergency"
    )
    rotation_options = RotationOptions(
        Owner(owner["api_url"], owner["account_id"], owner["client_id"]), **options
    )
    with bad_state_as_filter_error("rotation_plan"):
        return asdict(
            plan(
                checked_state(document), checked_actor(actor), rotation_options, probe, lock_holder
            )
        )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"rotation_plan": rotation_plan}
