# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks before a rotation: each with its result and its remedy, and no token left alive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.modules import nomba_preflight
from tests.simulator.control_client import ControlClient
from tests.unit.clock import FastClock

from .harness import ModuleResult, run_module
from .test_documents import ANSIBLES_OWN

RETURNED = yaml.safe_load(nomba_preflight.RETURN)


class Preflight:
    """nomba_preflight with options for the simulator; None omits an option."""

    def __init__(
        self, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, folder: Path
    ) -> None:
        self.simulator, self.monkeypatch = simulator, monkeypatch
        self.clock = FastClock()
        self.dest = folder / "nomba" / "preflight.json"
        monkeypatch.setattr(nomba_preflight, "SYSTEM", self.clock.as_clock())

    def __call__(self, check: bool = False, **given: Any) -> ModuleResult:
        simulator = self.simulator
        options = {
            "api_url": simulator.url,
            "ca_path": simulator.ca_path,
            "account_id": simulator.account_id,
            "client_id": simulator.client_id,
            "client_secret": simulator.client_secret,
            "dest": str(self.dest),
            "_ansible_check_mode": check,
            **given,
        }
        chosen = {name: value for name, value in options.items() if value is not None}
        return run_module(nomba_preflight.main, chosen, self.monkeypatch)


@pytest.fixture
def preflight(
    simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Preflight:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Preflight(simulator, monkeypatch, tmp_path)


def results(result: ModuleResult) -> dict[str, bool]:
    """Return whether each check succeeded."""
    return {one["name"]: one["ok"] for one in result["checks"]}


def test_host_is_ready_and_no_token_is_left(preflight: Preflight) -> None:
    result = preflight()
    assert not result.failed
    assert results(result) == dict.fromkeys(("libraries", "api", "clock", "client"), True)
    assert result["lines"][0] == result["msg"] == "READY"
    assert [one.operation for one in preflight.simulator.writes()] == ["issue", "revoke"]
    assert preflight.simulator.live() == []
    assert not preflight.dest.exists()
    assert "eyJ" not in result.output
    assert preflight.simulator.client_secret not in result.output


def test_check_mode_and_a_missing_secret_issue_no_token(preflight: Preflight) -> None:
    for result in (preflight(check=True), preflight(client_secret=None)):
        assert results(result) == dict.fromkeys(("libraries", "api", "clock"), True)
        assert result["lines"][-1].startswith("skipped client")
    assert preflight.simulator.writes() == []


def test_each_failed_check_names_its_remedy(preflight: Preflight) -> None:
    simulator = preflight.simulator
    rows = {
        "no route": ({"api_url": "http://127.0.0.1:9"}, "api", "check api_url"),
        "secret": ({"client_secret": "wrong"}, "client", "check client_secret"),
        "client": ({"client_id": "no-such-client"}, "client", "client_id does not exist"),
    }
    for name, (options, check, remedy) in rows.items():
        result = preflight(**options)
        assert (name, result.failed, result.error) == (name, True, "preflight_failed")
        assert [one for one, ok in results(result).items() if not ok] == [check]
        assert result["lines"][0] == f"NOT READY: {check}"
        assert result["lines"][1].startswith("FAILED ")
        assert remedy in result["lines"][1]
    simulator.fault("balance", "status", status=403, times=0)
    assert "allow list" in preflight()["lines"][1]


def test_host_with_a_wrong_clock_is_not_ready_and_issues_no_token(preflight: Preflight) -> None:
    preflight.clock.ahead = 900
    result = preflight()
    assert (result["lines"][0], results(result)["clock"]) == ("NOT READY: clock", False)
    assert result["lines"][1].endswith(" s ahead of that of the API; correct this host's clock")
    # Nothing is issued if no revocation could be proved.
    assert preflight.simulator.writes() == []


def test_every_return_value_is_documented(preflight: Preflight) -> None:
    result = preflight()
    assert set(result.result) - ANSIBLES_OWN == set(RETURNED) - {"error"}
    assert set(result["checks"][0]) == set(RETURNED["checks"]["contains"])
