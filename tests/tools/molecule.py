# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make molecule: run the scenarios of extensions/molecule in one test environment.

python -m tests.tools.molecule [SCENARIO...]    the named scenarios, or all
python -m tests.tools.molecule --soak           kill a rotation after every task
"""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

from tests.testbed.kill_test import RESULTS
from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import Check, Outcome, close, run_checks
from tests.tools.project import BUILD, ToolError, fail, tool_environment

if TYPE_CHECKING:
    from pathlib import Path

# A run without hosts and a scenario that ran nothing are failures, and so is each warning.
FORBIDDEN = (
    r"Could not match supplied host pattern|no hosts matched|Missing playbook"
    r"|\[WARNING\]|\[DEPRECATION"
)
# In the settings of molecule, not in the tree, which is packed.
EPHEMERAL = BUILD / "molecule"


def main(arguments: list[str]) -> int:
    """Start the test environment, run the scenarios one after another, and stop it."""
    kill_every = "task" if arguments == ["--soak"] else "step"
    try:
        tree = lay_build_tree()
        names = ["interrupted"] if kill_every == "task" else arguments or scenarios(tree)
        outcomes = run_scenarios(names, tree, kill_every)
    except ToolError as error:
        return fail(error)
    if kill_every == "task":
        print((EPHEMERAL / "testbed" / RESULTS).read_text(encoding="utf-8"))
    return close(outcomes)


def scenarios(tree: Path) -> list[str]:
    """Return the names of all scenarios but `default`, which starts the test environment."""
    paths = tree.glob("extensions/molecule/*/molecule.yml")
    names = sorted({path.parent.name for path in paths} - {"default"})
    if not names:
        raise ToolError("extensions/molecule contains no scenarios")
    return names


def run_scenarios(names: list[str], tree: Path, kill_every: str) -> list[Outcome]:
    """Run scenarios in one test environment."""
    env = tool_environment(
        ANSIBLE_NOCOLOR="1",
        NO_COLOR="1",
        KILL_EVERY=kill_every,
        MOLECULE_EPHEMERAL_DIRECTORY=str(EPHEMERAL),
    )

    def molecule(label: str, *arguments: str) -> list[Outcome]:
        command = ["molecule", *arguments]
        check = Check(
            f"molecule {label}", command, tree, env, forbidden=FORBIDDEN, count=count_playbooks
        )
        return run_checks([check], workers=1)

    shutil.rmtree(EPHEMERAL, ignore_errors=True)
    outcomes = molecule("create", "create", "--scenario-name", "default")
    try:
        for name in names:
            outcomes += molecule(name, "test", "--scenario-name", name, "--destroy", "never")
    finally:
        outcomes += molecule("destroy", "destroy", "--scenario-name", "default")
    return outcomes


def count_playbooks(output: str) -> int:
    """Return the number of playbooks that had hosts."""
    return len(re.findall(r"^PLAY RECAP", output, re.MULTILINE))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
