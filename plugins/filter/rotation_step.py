# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that applies a transition to the state of a rotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._rotation import STEPS, Mode, dump
from ansible_collections.nomba.auth.plugins.plugin_utils._arguments import (
    BOOLEAN,
    STRING,
    ArgumentType,
    check,
    dict_with_strings,
    list_of,
    one_of,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_filters import (
    bad_state_as_filter_error,
    checked_actor,
    checked_state,
)

# A result row of nomba_token_revoke, with the fields that `finish` reads.
ROW = ArgumentType(
    "a dictionary with the strings fingerprint, outcome, and the boolean verified",
    lambda value: (
        dict_with_strings("fingerprint", "outcome").fits(value)
        and BOOLEAN.fits(value.get("verified"))
    ),
)
# The arguments of each step, as documented in rotation_step.yml.
ARGUMENTS: dict[str, dict[str, ArgumentType]] = {
    "load": {},
    "begin": {"mode": one_of(*(mode.value for mode in Mode)), "why": STRING},
    "mark_compromised": {},
    "set_pending": {
        "credential": dict_with_strings("access_token", "api_url", "account_id", "client_id")
    },
    "promote": {"hosts": list_of(STRING), "died": BOOLEAN},
    "roll_back": {"failed_step": STRING, "reason": STRING},
    "finish": {"results": list_of(ROW)},
}


def rotation_step(
    document: object, step: Any = None, actor: Mapping[str, str] | None = None, **arguments: Any
) -> dict[str, Any]:
    """Return the next state; `load` returns the same one, validated. Raises AnsibleFilterError."""
    common = {"step": one_of(*ARGUMENTS), "actor": dict_with_strings()}
    check("rotation_step", {"step": step, "actor": {} if actor is None else actor}, common)
    check(f"rotation_step {step}", arguments, ARGUMENTS[step], optional="died")
    with bad_state_as_filter_error("rotation_step"):
        state = checked_state(document)
        if step == "load":
            return dump(state)
        return dump(STEPS[step](state, checked_actor(actor), **arguments))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"rotation_step": rotation_step}
