# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that takes a rotation's state from one step to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._rotation import STEPS, Mode, dump
from ansible_collections.nomba.auth.plugins.plugin_utils._arguments import (
    TEXT,
    TRUTH,
    ArgumentType,
    check,
    list_of,
    one_of,
    with_texts,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_filters import (
    bad_state_as_filter_error,
    checked_actor,
    checked_state,
)

# Of a row of nomba_token_revoke, what a step reads.
ROW = ArgumentType(
    "a dictionary with the texts fingerprint, outcome, and with verified, which is true or false",
    lambda value: (
        with_texts("fingerprint", "outcome").fits(value) and TRUTH.fits(value.get("verified"))
    ),
)
# What each step needs, as rotation_step.yml tells it.
NEEDS: dict[str, dict[str, ArgumentType]] = {
    "load": {},
    "begin": {"mode": one_of(*(mode.value for mode in Mode)), "why": TEXT},
    "mark_compromised": {},
    "set_pending": {"credential": with_texts("access_token", "api_url", "account_id", "client_id")},
    "promote": {"hosts": list_of(TEXT), "died": TRUTH},
    "roll_back": {"failed_step": TEXT, "reason": TEXT},
    "finish": {"results": list_of(ROW)},
}


def rotation_step(
    document: object, step: Any = None, actor: Mapping[str, str] | None = None, **given: Any
) -> dict[str, Any]:
    """The next state; `load` gives the same one, checked."""
    own = {"step": one_of(*NEEDS), "actor": with_texts()}
    check("rotation_step", {"step": step, "actor": {} if actor is None else actor}, own)
    check(f"rotation_step {step}", given, NEEDS[step], optional="died")
    with bad_state_as_filter_error("rotation_step"):
        state = checked_state(document)
        if step == "load":
            return dump(state)
        return dump(STEPS[step](state, checked_actor(actor), **given))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"rotation_step": rotation_step}
