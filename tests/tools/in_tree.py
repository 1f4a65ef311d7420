# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command inside the build tree: python -m tests.tools.in_tree COMMAND [ARGUMENT...]."""

from __future__ import annotations

import subprocess
import sys

from tests.tools.build_tree import lay_build_tree
from tests.tools.project import BUILD, ToolError, fail, tool_environment


def main(command: list[str]) -> int:
    """Run the command and return its exit status."""
    try:
        tree = lay_build_tree()
    except ToolError as error:
        return fail(error)
    env = tool_environment(PYTHONPATH=f"{tree}:{BUILD}", ANSIBLE_COLLECTIONS_PATH=str(BUILD))
    return subprocess.run(command, cwd=tree, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
