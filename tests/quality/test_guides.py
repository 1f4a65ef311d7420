# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two guides work as printed: a shell runs their commands and checks the printed output."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmark.testbed import testbed
from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint
from tests.testbed.consumer import parse_env
from tests.unit.docs.guides import ROOT, blocks

# Already part of the test environment.
_INSTALL = (
    "$ python3 -m venv ",
    "$ . ~/.venvs/",
    "$ pip install ",
    "$ ansible-galaxy collection install ",
)
_START = "$ python -m tests.simulator --announce /tmp/simulator.json &\n"
_WAIT = "$ until [ -e /tmp/simulator.json ]; do sleep 0.1; done\n"
_STOP = '$ kill "$(jq -r .pid /tmp/simulator.json)"\n'


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[ControlClient]:
    """A simulator with its announce file where the guides expect it."""
    with testbed(tmp_path) as bed:
        yield bed.simulator


def printed(guide: str, language: str) -> str:
    """Return the code blocks of a guide as one text."""
    return "".join(text for name, text in blocks(language) if name == guide)


def run(commands: str, folder: Path, cwd: Path) -> str:
    """Run commands in bash, with a folder in place of /tmp; return their output."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=commands.replace("/tmp/", f"{folder}/"),
        cwd=cwd,
        env={**os.environ, "HOME": str(folder), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_guide(guide: str, folder: Path) -> str:
    """Run the commands of a guide until it stops the simulator; return their output."""
    _write_files(guide, folder)
    text = printed(guide, "console").replace(_START, "").partition(_STOP)[0]
    steps = re.findall(r"^\$ .*\n(?:(?!\$ ).*\n)*", text, re.MULTILINE)
    commands = "".join(step[2:] for step in steps if not step.startswith(_INSTALL))
    return run(commands, folder, folder)


def _write_files(guide: str, folder: Path) -> None:
    """Write the YAML blocks whose first line is the path of a file."""
    for name, text in blocks("yaml"):
        if name == guide and (found := re.match(r"# /tmp/(\w+\.yml)\n", text)):
            (folder / found[1]).write_text(text.replace("/tmp/", f"{folder}/"))


def masked(text: str) -> set[str]:
    """Return the lines of an output, with fingerprints and times replaced."""
    text = re.sub(r"sha256:[0-9a-f]{16}", "sha256:...", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "(a time)", text)
    return {line.strip() for line in text.splitlines()}


def test_simulator_starts_and_stops_as_printed(tmp_path: Path) -> None:
    text = printed("getting_started", "console")
    assert text.index(_START) < text.index(_WAIT) < text.index(_STOP)
    run((_START + _WAIT + _STOP).replace("$ ", "") + "wait\n", tmp_path, ROOT)
    assert not (tmp_path / "simulator.json").exists()


def test_getting_started_revokes_and_rotates_as_printed(
    simulator: ControlClient, tmp_path: Path
) -> None:
    output = run_guide("getting_started", tmp_path)
    leaked = fingerprint((tmp_path / "leak" / "app.log").read_text().strip())
    found = re.findall(r"(sha256:\w+) +(\w+) +(check mode|verified)", output)
    assert found == [(leaked, "revoked", "check mode"), (leaked, "revoked", "verified")]
    assert [request.operation for request in simulator.writes()] == [
        "revoke",
        "issue",
        "issue",
        "revoke",
    ]
    service = parse_env((tmp_path / "rotation" / "payments.env").read_text())
    assert simulator.live() == [fingerprint(service["NOMBA_ACCESS_TOKEN"])]
    assert "eyJ" not in output
    expected = masked(printed("getting_started", "text"))
    assert expected
    assert expected - masked(output.replace(f"{tmp_path}/", "/tmp/")) <= {"", "..."}


def test_simulator_guide_resets_the_simulator(simulator: ControlClient, tmp_path: Path) -> None:
    output = run_guide("simulator", tmp_path)
    assert '"fault": "lost_answer"' in output
    assert '"outcome": "revoked"' in output
    assert not simulator.requests()
