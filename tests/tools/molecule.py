# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test environment of the molecule scenarios: simulator, hosts and OpenBao."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID, SECOND_CLIENT_SECRET
from tests.tools.parts import PYTHON
from tests.tools.project import BUILD, ToolError, tree_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = BUILD / "testbed"


@contextlib.contextmanager
def testbed(tree: Path) -> Iterator[dict[str, str]]:
    """Start the test environment; yield the variables of a scenario; stop it."""
    shutil.rmtree(BUILD / "molecule", ignore_errors=True)
    env = tree_environment(tree)

    def act(verb: str) -> subprocess.CompletedProcess[str]:
        line = [PYTHON, "-m", "tests.testbed", verb, "--folder", str(FOLDER)]
        return subprocess.run(line, cwd=tree, env=env, capture_output=True, text=True, check=False)

    try:
        started = act("up")
        if started.returncode:
            raise ToolError(started.stderr.strip())
        yield variables()
    finally:
        act("down")


def variables() -> dict[str, str]:
    """Return the addresses and credentials of the running test environment."""
    record = json.loads((FOLDER / "testbed.json").read_text(encoding="utf-8"))
    client = ControlClient.from_announcement(FOLDER / "simulator.json")
    return {
        "NOMBA_TESTBED": str(FOLDER),
        "NOMBA_ACCOUNT_ID": client.account_id,
        "NOMBA_CLIENT_ID": client.client_id,
        "NOMBA_CLIENT_SECRET": client.client_secret,
        "SECOND_CLIENT_ID": SECOND_CLIENT_ID,
        "SECOND_CLIENT_SECRET": SECOND_CLIENT_SECRET,
        "REQUESTS_CA_BUNDLE": client.ca_path,
        "VAULT_ADDR": record["bao"]["url"],
        "VAULT_TOKEN": record["bao"]["token"],
        "USER": "operator",
        # This user has no home directory. Ansible would create one in the tree that is packed.
        "ANSIBLE_REMOTE_TMP": str(FOLDER / "remote-tmp"),
    }
