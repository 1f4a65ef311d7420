# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real playbooks on a control host whose clock is wrong: no token stays alive because of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulator.handle import Handle
from tests.simulator.tokens import fingerprint

from .controller import Controller

TWO_HOURS = 7200.0
# A token that such a clock takes for an expired one, while the API accepts it for an hour more.
LIFETIME = 3600.0


@pytest.fixture(params=[TWO_HOURS, -TWO_HOURS], ids=["ahead", "behind"])
def controller(simulator: Handle, tmp_path: Path, request: pytest.FixtureRequest) -> Controller:
    """A control host whose clock is two hours wrong."""
    return Controller(simulator, tmp_path, clock_shift=request.param)


@pytest.mark.parametrize("mode", ["force", "emergency"])
def test_rotation_with_a_wrong_clock_revokes_the_old_token(
    controller: Controller, mode: str
) -> None:
    simulator = controller.simulator
    simulator.configure(token_lifetime=LIFETIME)
    old = controller.put_in_service(age=60, lifetime=LIFETIME)
    assert simulator.accepts(old)
    ran = controller.run("nomba.auth.rotate", **{f"credential_rotation_{mode}": True})
    assert ran.status == 0, ran.output
    assert not simulator.accepts(old)
    state = controller.state
    assert simulator.live() == [state["current"]["fingerprint"]]
    assert (state["previous"], state["rotation"]) == ([], None)
    retired = [one for one in state["events"] if one["step"] == "retire"]
    assert [(one["outcome"], one["fingerprints"]) for one in retired] == [
        ("revoked" if mode == "force" else "already_revoked", [fingerprint(old)])
    ]


def test_a_leaked_token_is_revoked_with_a_wrong_clock(
    controller: Controller, tmp_path: Path
) -> None:
    simulator = controller.simulator
    leaked = simulator.mint(age=60, lifetime=LIFETIME)
    spool = tmp_path / "spool"
    spool.write_text(leaked, encoding="utf-8")
    ran = controller.run("nomba.auth.revoke_leaked", nomba_spool=str(spool))
    assert ran.status == 0, ran.output
    assert not simulator.accepts(leaked)
    assert not spool.exists()
