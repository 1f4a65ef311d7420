# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rotation whose store is in OpenBao, with the modules of community.hashi_vault."""

from __future__ import annotations

import json
from pathlib import Path

from tests.simulator.control_client import ControlClient

from .controller import Controller
from .openbao import ROOT_TOKEN, openbao, read_secret
from .rotations import ROLE, held, message, options, outcomes, play_file, writes


def test_state_is_kept_in_openbao(simulator: ControlClient, tmp_path: Path) -> None:
    controller = Controller(simulator, tmp_path, environment={"VAULT_TOKEN": ROOT_TOKEN})
    controller.put_in_service()
    controller.store.unlink()  # the host has a token already, and the store does not exist
    role = {"import_role": {"name": ROLE}}
    with openbao(tmp_path) as url:
        group = {"group/community.hashi_vault.vault": {"url": url}}
        play = play_file(controller, role, module_defaults=group)
        rotation = options(store="hashi_vault", hashi_vault_path="nomba/store")
        done = controller.run(play, **rotation, **options(unknown_tokens="adopt"))
        state = json.loads(read_secret(f"{url}/v1/secret/data/nomba/store")["state"])
        assert done.status == 0, message(done)
        new = state["current"]["fingerprint"]
        assert (simulator.live(), held(controller)) == ([new], {"service": new})
        assert (state["pending"], state["previous"], state["rotation"]) == (None, [], None)
        assert writes(controller) == ["issue", "revoke"]
        steps = ["begun", "adopted", "issued", "accepted", "published", "promoted", "revoked"]
        assert outcomes(controller) == [*steps, "finished"]
        assert not controller.store.exists()
        assert not controller.issued.exists()

        simulator.forget_requests()
        again = controller.run(play, **rotation, **options(max_age=3600))
        assert (again.status, writes(controller)) == (0, []), message(again)
        assert "No change" in again.output
