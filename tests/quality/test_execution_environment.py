# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-builder and ansible-navigator work as the guide shows."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import yaml

from tests.simulator.control_client import ControlClient
from tests.unit.docs.guides import commands
from tests.unit.modules.canary import contents, make_canary

ROOT = Path(__file__).parents[2]
DEFINITION = ROOT / "docs" / "examples" / "execution-environment.yml"


def run(*command: str, **variables: str) -> str:
    """Run a program; return its standard output."""
    env = {**os.environ, **variables}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_build_installs_the_libraries_of_the_collection(tmp_path: Path) -> None:
    listing = tmp_path / "requirements.txt"
    run("ansible-builder", "introspect", str(ROOT.parents[2]), "--write-pip", str(listing))
    ours = [
        line for line in listing.read_text().splitlines() if "from collection nomba.auth" in line
    ]
    assert [re.split(r"\W", line)[0] for line in ours] == ["PyJWT", "requests"]


def test_example_creates_a_build_context(tmp_path: Path) -> None:
    run(
        "ansible-builder",
        "create",
        "--file",
        str(DEFINITION),
        "--context",
        str(tmp_path / "context"),
    )
    build = tmp_path / "context" / "_build"
    galaxy = yaml.safe_load((build / "requirements.yml").read_text())
    assert galaxy == yaml.safe_load(DEFINITION.read_text())["dependencies"]["galaxy"]
    (recipe,) = [path for path in build.parent.iterdir() if path.is_file()]
    assert "FROM" in recipe.read_text()


def test_navigator_revokes_without_a_container(simulator: ControlClient, tmp_path: Path) -> None:
    canary = make_canary(simulator)
    (command,) = commands("ansible-navigator")
    output = run(
        *command.arguments,
        HOME=str(tmp_path),
        NOMBA_BASE_URL=simulator.url,
        NOMBA_ACCOUNT_ID=simulator.account_id,
        NOMBA_CLIENT_ID=simulator.client_id,
        NOMBA_ACCESS_TOKEN=canary.token,
        REQUESTS_CA_BUNDLE=simulator.ca_path,
        ANSIBLE_NAVIGATOR_LOG_FILE=str(tmp_path / "navigator.log"),
        ANSIBLE_NAVIGATOR_LOG_LEVEL="debug",
    )
    assert "1 token(s): 1 revoked." in output
    assert not simulator.accepts(canary.token)
    assert not canary.leaks(output, *contents(tmp_path))
