# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real ansible-builder and ansible-navigator, as the guide shows them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.simulator.control_client import ControlClient
from tests.unit.docs.guides import commands
from tests.unit.modules.canary import contents, make_canary

ROOT = Path(__file__).parents[2]
DEFINITION = ROOT / "docs" / "examples" / "execution-environment.yml"


def run(*words: str, **more: str) -> str:
    """Run a program; return its standard output."""
    env = {**os.environ, **more}
    ran = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_build_asks_for_the_libraries_of_the_collection(tmp_path: Path) -> None:
    found = tmp_path / "found.txt"
    run("ansible-builder", "introspect", str(ROOT.parents[2]), "--write-pip", str(found))
    ours = [line for line in found.read_text().splitlines() if "from collection nomba.auth" in line]
    assert [re.split(r"\W", line)[0] for line in ours] == ["PyJWT", "requests"]


def test_the_example_gives_a_build_context(tmp_path: Path) -> None:
    run("ansible-builder", "create", "--file", str(DEFINITION), "--context", str(tmp_path / "made"))
    galaxy = (tmp_path / "made" / "_build" / "requirements.yml").read_text()
    assert galaxy.split() == ["collections:", "-", "name:", "nomba.auth"]
    (recipe,) = [path for path in (tmp_path / "made").iterdir() if path.is_file()]
    assert "FROM" in recipe.read_text()


def test_navigator_without_a_container_revokes(simulator: ControlClient, tmp_path: Path) -> None:
    canary = make_canary(simulator)
    (command,) = commands("ansible-navigator")
    shown = run(
        *command.words,
        HOME=str(tmp_path),
        NOMBA_BASE_URL=simulator.url,
        NOMBA_ACCOUNT_ID=simulator.account_id,
        NOMBA_CLIENT_ID=simulator.client_id,
        NOMBA_ACCESS_TOKEN=canary.token,
        REQUESTS_CA_BUNDLE=simulator.ca_path,
        ANSIBLE_NAVIGATOR_LOG_FILE=str(tmp_path / "navigator.log"),
        ANSIBLE_NAVIGATOR_LOG_LEVEL="debug",
    )
    assert "1 token(s): 1 revoked." in shown
    assert not simulator.accepts(canary.token)
    assert not canary.leaks(shown, *contents(tmp_path))
