# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's main job, seen from both sides."""

from __future__ import annotations

from .harness import Revoke


def test_a_live_token_is_revoked_and_proved_dead(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    told = revoke(token)
    assert told.outcomes == ["revoked"]
    assert told.row["verified"] is True
    assert told["changed"] is True
    assert not revoke.simulator.accepts(token)
    assert [entry.operation for entry in revoke.simulator.requests()] == [
        "balance",
        "revoke",
        "balance",
    ]
