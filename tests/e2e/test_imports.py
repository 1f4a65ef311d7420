# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""requests and PyJWT are imported only by a run that needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.modules.harness import Revoke

from .module_process import run_module_process


@pytest.mark.parametrize("kind", ["malformed", "expired", "live"])
def test_library_is_imported_only_when_needed(revoke: Revoke, tmp_path: Path, kind: str) -> None:
    simulator = revoke.simulator
    texts = {
        "malformed": "this is no token",
        "expired": simulator.mint(age=7200, lifetime=3600),
        "live": simulator.mint(),
    }
    options: dict[str, Any] = {"account_id": simulator.account_id, "api_url": simulator.url}
    options.update(client_id=simulator.client_id, access_token=texts[kind])
    ran = run_module_process({**options, "ca_path": simulator.ca_path}, tmp_path)
    (row,) = ran.result["results"]
    assert row["outcome"] == {"live": "revoked"}.get(kind, kind)
    assert ("jwt" in ran.imported) is (kind != "malformed")
    assert ("requests" in ran.imported) is (kind == "live")
    assert bool(simulator.requests()) is (kind == "live")
