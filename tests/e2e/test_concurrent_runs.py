# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs at the same time on one file issue one token."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.modules.request_log import operations
from tests.unit.modules.token_harness import Token

from .module_process import start_module_process, wait_for_result

pytestmark = pytest.mark.newest


def test_concurrent_runs_issue_one_token(token: Token, tmp_path: Path) -> None:
    token.simulator.fault("issue", "slow", delay=1)
    runs = [start_module_process(token.options(), tmp_path, "nomba_token") for __ in range(2)]
    returned = [wait_for_result(run).result for run in runs]
    assert sorted(result["action"] for result in returned) == ["issued", "kept"]
    assert len({result["fingerprint"] for result in returned}) == 1
    assert len(token.simulator.live()) == 1
    assert operations(token.simulator) == ["issue"]
