# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests of a rotation: issue into a file, probe, and revoke with proof."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from ansible_collections.nomba.auth.plugins.modules import nomba_rotation_api
from tests.simulator.control_client import ControlClient
from tests.unit.clock import FastClock

from .harness import ModuleResult, run_module
from .request_log import operations


class Api:
    """nomba_rotation_api with the options for the simulator."""

    def __init__(
        self, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, folder: Path
    ) -> None:
        self.simulator = simulator
        self.monkeypatch = monkeypatch
        self.dest = folder / "issued.json"
        self.clock = FastClock()
        monkeypatch.setattr(nomba_rotation_api, "SYSTEM", self.clock.as_clock())

    def __call__(self, request: str, *tokens: str, check: bool = False) -> ModuleResult:
        given: dict[str, Any] = {
            "api_url": self.simulator.url,
            "ca_path": self.simulator.ca_path,
            "account_id": self.simulator.account_id,
            "client_id": self.simulator.client_id,
            "request": request,
            "tokens": list(tokens),
            "_ansible_check_mode": check,
        }
        if request == "issue":
            given |= {"client_secret": self.simulator.client_secret, "dest": str(self.dest)}
        return run_module(nomba_rotation_api.main, given, self.monkeypatch)


@pytest.fixture
def api(simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Api:
    """The module, with a private folder."""
    return Api(simulator, monkeypatch, tmp_path)


def test_token_is_issued_into_a_private_file_and_probed(api: Api) -> None:
    current = api.simulator.mint()
    result = api("issue", current)
    stored = json.loads(base64.b64decode(result["issued"]))
    new = stored["access_token"]
    assert result["probes"] == {fingerprint(new): "accepted", fingerprint(current): "accepted"}
    assert (stored, result["changed"]) == (json.loads(api.dest.read_bytes()), True)
    assert stat.S_IMODE(api.dest.stat().st_mode) == 0o600
    assert set(api.simulator.live()) == {fingerprint(new), fingerprint(current)}


def test_issued_token_that_is_there_is_kept(api: Api) -> None:
    first = api("issue")
    api.simulator.forget_requests()
    second = api("issue")
    assert (second["issued"], second["changed"]) == (first["issued"], False)
    assert api.simulator.requests("issue") == []


def test_new_token_is_probed_until_the_api_accepts_it(api: Api) -> None:
    api.simulator.configure(fresh_refusals=3)
    result = api("issue")
    assert list(result["probes"].values()) == ["accepted"]
    # The API's answer is asked for twice in each probe, because a refusal is reconsidered.
    assert api.clock.slept.count(1.0) == 1


def test_token_that_stays_refused_is_reported_within_twenty_seconds(api: Api) -> None:
    dead, live = api.simulator.mint(known=False), api.simulator.mint()
    result = api("probe", dead, live)
    assert result["probes"] == {fingerprint(dead): "refused", fingerprint(live): "accepted"}
    assert 1 <= api.clock.slept.count(1.0) <= 20  # the clock also advances while the test runs
    assert api.simulator.writes() == []


def test_failed_issue_has_its_code(api: Api) -> None:
    api.simulator.suspend(api.simulator.client_id)
    result = api("issue")
    assert (result["failed"], result["error"]["code"]) == (True, "unknown_client")
    assert not api.dest.exists()


def test_tokens_are_revoked_with_proof_also_after_their_exp(api: Api) -> None:
    old, late = api.simulator.mint(), api.simulator.mint(age=7200, lifetime=7000)
    result = api("revoke", old, late)
    rows = [(row["fingerprint"], row["outcome"], row["verified"]) for row in result["results"]]
    assert rows == [
        (fingerprint(old), "revoked", True),
        (fingerprint(late), "already_revoked", True),
    ]
    assert api.simulator.live() == []


@pytest.mark.parametrize("request_", ["issue", "revoke"])
def test_check_mode_sends_no_write(api: Api, request_: str) -> None:
    live = api.simulator.mint()
    api(request_, live, check=True)
    assert (operations(api.simulator), api.dest.exists()) == ([], False)
    assert api.simulator.live() == [fingerprint(live)]


def test_results_contain_no_given_token(api: Api) -> None:
    live = api.simulator.mint()
    for request in ("issue", "probe", "revoke"):
        shown = {**api(request, live).result, "issued": "", "invocation": ""}
        assert live not in json.dumps(shown)
