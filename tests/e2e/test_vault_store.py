# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rotation whose store is in OpenBao, with the modules of community.hashi_vault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient

from .controller import Controller, PlaybookRun
from .rotations import ROLE, held, message, options, outcomes, play_file, writes
from .servers import ROOT_TOKEN, openbao, read_secret


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


@pytest.mark.newest
def test_state_moves_from_a_file_to_an_encrypted_one_and_to_openbao(
    simulator: ControlClient, tmp_path: Path
) -> None:
    controller = Controller(simulator, tmp_path, environment={"VAULT_TOKEN": ROOT_TOKEN})
    old = controller.put_in_service()
    document, encrypted = controller.store.read_text(), tmp_path / "encrypted"
    password = {"vault_password": "a password"}

    def move(*arguments: str, target: dict[str, str], **source: Any) -> PlaybookRun:
        given = {f"nomba_target_{name}": value for name, value in target.items()}
        return controller.run("nomba.auth.move_store", *arguments, **given, **options(**source))

    file = {"store": "file", "dir": str(encrypted), **password}
    assert "WOULD MOVE file" in move("--check", target=file).output
    assert (controller.store.read_text(), encrypted.exists()) == (document, False)
    done = move(target=file)
    assert done.status == 0, done.output
    assert "MOVED file" in done.output
    assert old not in controller.store.read_text()
    content = (encrypted / "credentials.json").read_text()
    assert content.startswith("$ANSIBLE_VAULT")
    assert oct((encrypted / "credentials.json").stat().st_mode)[-3:] == "600"
    stopped = controller.run("nomba.auth.rotate", **options(force=True))
    assert (stopped.status, f"the store was moved to file {encrypted}" in stopped.output) == (
        2,
        True,
    )

    with openbao(tmp_path) as url:
        controller.environment["VAULT_ADDR"] = url
        source = {"dir": str(encrypted), **password}
        bao = {"store": "hashi_vault", "hashi_vault_path": "nomba/store"}
        for expected in ("MOVED file", "No change: the state is in hashi_vault secret/nomba/store"):
            done = move(target=bao, **source)
            assert (done.status, expected in done.output) == (0, True), done.output
        assert read_secret(f"{url}/v1/secret/data/nomba/store")["state"] == document
        assert simulator.requests() == []

        new = {"store": "hashi_vault", "hashi_vault_path": "nomba/store", "dir": str(encrypted)}
        done = controller.run("nomba.auth.rotate", **options(force=True, **new))
        assert done.status == 0, message(done)
        (live,) = simulator.live()
        assert held(controller) == {"service": live}
        assert "eyJ" not in done.output
