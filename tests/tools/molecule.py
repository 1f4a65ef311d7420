# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make molecule: the scenarios of extensions/molecule, one after another, on one testbed.

python -m tests.tools.molecule [SCENARIO...]    those named, or all
python -m tests.tools.molecule --soak           interrupted only, with a kill after every task
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID, SECOND_CLIENT_SECRET
from tests.testbed.interrupt import TABLE
from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import Check, close, run_checks
from tests.tools.project import (
    BUILD,
    VENV,
    ToolError,
    environment_python,
    fail,
    tool_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A run that met no host, or a scenario that did nothing, is a failure.
FORBIDDEN = r"Could not match supplied host pattern|no hosts matched|\[WARNING\]|\[DEPRECATION"


def main(arguments: list[str]) -> int:
    """Run the scenarios, and then stop what they stood on."""
    every = "task" if arguments == ["--soak"] else "step"
    try:
        tree = lay_build_tree()
        names = ["interrupted"] if every == "task" else arguments or scenarios(tree)
        with testbed(tree) as folder:
            env = {**environment(tree, folder), "KILL_EVERY": every}
            outcomes = run_checks([scenario(name, tree, env) for name in names], workers=1)
            if every == "task":
                print((folder / TABLE).read_text(encoding="utf-8"))
            return close(outcomes)
    except ToolError as error:
        return fail(error)


def scenarios(tree: Path) -> list[str]:
    """Return the names of all scenarios."""
    names = sorted(path.parent.name for path in tree.glob("extensions/molecule/*/molecule.yml"))
    if not names:
        raise ToolError("extensions/molecule holds no scenarios")
    return names


def scenario(name: str, tree: Path, env: dict[str, str]) -> Check:
    """Return the run of one scenario."""
    command = ["molecule", "test", "--scenario-name", name]
    # Of its own: what molecule notes of one scenario must not spare another its preparation.
    own = {"MOLECULE_EPHEMERAL_DIRECTORY": str(BUILD / "testbed" / "molecule" / name)}
    return Check(
        f"molecule {name}", command, tree, {**env, **own}, forbidden=FORBIDDEN, count=count
    )


def count(output: str) -> int:
    """Return how many playbooks have met hosts and ended well."""
    if output.count("PLAY RECAP") == 0:
        return 0
    return len(re.findall(r"^PLAY RECAP", output, re.MULTILINE))


@contextlib.contextmanager
def testbed(tree: Path) -> Iterator[Path]:
    """Start simulator, hosts and OpenBao; yield their folder; stop them."""
    folder = BUILD / "testbed"
    shutil.rmtree(folder / "molecule", ignore_errors=True)
    env = tool_environment(PYTHONPATH=f"{tree}:{BUILD}")
    command = [str(environment_python(VENV)), "-m", "tests.testbed"]

    def act(verb: str) -> subprocess.CompletedProcess[str]:
        line = [*command, verb, "--folder", str(folder)]
        return subprocess.run(line, cwd=tree, env=env, capture_output=True, text=True, check=False)

    try:
        started = act("up")
        if started.returncode:
            raise ToolError(started.stderr.strip())
        yield folder
    finally:
        act("down")


def environment(tree: Path, folder: Path) -> dict[str, str]:
    """Return what tells a scenario where it is, and gives it its secrets."""
    record = json.loads((folder / "testbed.json").read_text(encoding="utf-8"))
    handle = ControlClient.from_announcement(folder / "simulator.json")
    return tool_environment(
        PYTHONPATH=f"{tree}:{BUILD}",
        ANSIBLE_COLLECTIONS_PATH=str(BUILD),
        ANSIBLE_NOCOLOR="1",
        NO_COLOR="1",
        NOMBA_TESTBED=str(folder),
        NOMBA_ACCOUNT_ID=handle.account_id,
        NOMBA_CLIENT_ID=handle.client_id,
        NOMBA_CLIENT_SECRET=handle.client_secret,
        SECOND_CLIENT_ID=SECOND_CLIENT_ID,
        SECOND_CLIENT_SECRET=SECOND_CLIENT_SECRET,
        REQUESTS_CA_BUNDLE=handle.ca_path,
        VAULT_ADDR=record["bao"]["url"],
        VAULT_TOKEN=record["bao"]["token"],
        USER="operator",
        # This user has no home directory. Ansible would create one in the tree that is packed.
        ANSIBLE_REMOTE_TMP=str(folder / "remote-tmp"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
