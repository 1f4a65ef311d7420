# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook nomba.auth.status reads only, and shows what does not match."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulator.control_client import ControlClient

from .controller import Controller
from .rotations import UNREACHABLE, options

pytestmark = pytest.mark.newest


def test_status_shows_hosts_that_are_not_in_line_and_changes_nothing(
    simulator: ControlClient, tmp_path: Path
) -> None:
    hosts = {"alpha": {}, "beta": {}, "gamma": dict(UNREACHABLE)}
    controller = Controller(simulator, tmp_path, hosts=hosts)
    controller.put_in_service()
    mark = controller.state["current"]["fingerprint"]
    controller.token_file("beta").write_text("OTHER=1\n", encoding="utf-8")
    before = {path: path.read_bytes() for path in controller.store.parent.iterdir()}
    metrics = tmp_path / "nomba.prom"
    # No option of a client is necessary.
    controller.environment = {f"NOMBA_{name}": "" for name in ("CLIENT_ID", "CLIENT_SECRET")}
    given = options(metrics_path=str(metrics))

    looked = controller.run("nomba.auth.status", "--check", **given)
    assert (looked.status, metrics.exists()) == (0, False)
    run = controller.run("nomba.auth.status", **given)
    assert run.status == 0, run.output
    assert "NOT IN LINE: 1 of 3 hosts and sinks in line" in run.output
    for line in (
        f"alpha  {mark}  in line",
        "beta   nothing  holds no credential",
        "gamma  nothing  not inspected: it is unreachable",
    ):
        assert line in run.output
    assert f'nomba_credential_hosts_not_in_line{{store="{controller.store.parent}"}} 2' in (
        metrics.read_text(encoding="utf-8")
    )
    assert simulator.requests() == []
    assert {path: path.read_bytes() for path in controller.store.parent.iterdir()} == before
    assert "eyJ" not in run.output
