# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stranger's way through two guides: what they print is done, line by line."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmark.stage import stage
from tests.simulator.handle import Handle
from tests.simulator.tokens import fingerprint
from tests.stage.consumer import parse_env
from tests.unit.docs.guides import blocks

# What the environment of the tests has already.
_INSTALLING = ("$ pip install ", "$ ansible-galaxy collection install ")
_STARTING = "$ python -m tests.simulator --announce /tmp/simulator.json &\n"


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Handle]:
    """The simulator, as the guide starts it."""
    with stage(tmp_path) as one:
        yield one.simulator


def follow(guide: str, folder: Path) -> str:
    """Do what the guide says, with a folder of our own in place of /tmp; return what was shown."""
    _write_files(guide, folder)
    text = "".join(text for name, text in blocks("console") if name == guide)
    steps = re.findall(r"^\$ .*\n(?:(?!\$ ).*\n)*", text.replace(_STARTING, ""), re.MULTILINE)
    script = "".join(step[2:] for step in steps if not step.startswith(_INSTALLING))
    ran = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script.replace("/tmp/", f"{folder}/"),
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def _write_files(guide: str, folder: Path) -> None:
    """Write the blocks that begin with the name of a file."""
    for name, text in blocks("yaml"):
        if name == guide and (found := re.match(r"# (\w+\.yml)\n", text)):
            (folder / found[1]).write_text(text.replace("/tmp/", f"{folder}/"))


def test_the_simulator_is_started_as_the_guide_says() -> None:
    assert any(_STARTING in text for name, text in blocks("console") if name == "getting_started")


def test_getting_started_leads_to_a_revoked_token_and_to_a_rotation(
    simulator: Handle, tmp_path: Path
) -> None:
    shown = follow("getting_started", tmp_path)
    forgotten = (tmp_path / "forgotten" / "app.log").read_text().strip()
    found = re.findall(r"(sha256:\w+) +(\w+) +(check mode|verified)", shown)
    name = fingerprint(forgotten)
    assert found == [(name, "revoked", "check mode"), (name, "revoked", "verified")]
    assert [one.operation for one in simulator.writes()] == ["revoke", "issue", "issue", "revoke"]
    service = parse_env((tmp_path / "rotation" / "payments.env").read_text())
    assert simulator.live() == [fingerprint(service["NOMBA_ACCESS_TOKEN"])]
    assert "eyJ" not in shown


def test_the_rehearsal_ends_where_it_began(simulator: Handle, tmp_path: Path) -> None:
    shown = follow("simulator", tmp_path)
    assert '"fault": "lost_answer"' in shown
    assert '"outcome": "revoked"' in shown
    assert not simulator.requests()
