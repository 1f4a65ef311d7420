# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook nomba.auth.preflight checks the API and the store, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulator.control_client import ControlClient

from .controller import Controller
from .rotations import options

pytestmark = pytest.mark.newest


def test_preflight_reports_each_check_and_a_store_that_cannot_be_read(
    simulator: ControlClient, tmp_path: Path
) -> None:
    controller = Controller(simulator, tmp_path)
    folder = tmp_path / "store"
    run = controller.run("nomba.auth.preflight", **options(dir=str(folder)))
    assert run.status == 0, run.output
    assert '"READY",' in run.output
    for name in ("libraries", "api", "clock", "client"):
        assert f"ok      {name}" in run.output
    assert [one.operation for one in simulator.writes()] == ["issue", "revoke"]
    assert simulator.live() == []
    assert not folder.exists()

    folder.mkdir(mode=0o700)
    (folder / "credentials.json").write_text("not a store", encoding="utf-8")
    simulator.forget_requests()
    damaged = controller.run("nomba.auth.preflight", "--check", **options(dir=str(folder)))
    assert damaged.status == 2
    assert "the store does not contain JSON; is it encrypted?" in damaged.output
    assert simulator.writes() == []
    assert simulator.client_secret not in run.output + damaged.output
