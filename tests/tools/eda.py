# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make eda: the rulebook in a real ansible-rulebook, against the simulator."""

from __future__ import annotations

import sys

from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import Check, close, run_checks
from tests.tools.project import VENV, VENVS, ToolError, environment_python, fail
from tests.tools.units import PYTEST, count, environment


def main(arguments: list[str]) -> int:
    """Run the tests; further words go to pytest."""
    try:
        tree = lay_build_tree()
        env = environment(tree, VENVS / "rulebook")
        command = [str(environment_python(VENV)), *PYTEST, "tests/eda", *arguments]
        return close(run_checks([Check("event-driven", command, tree, env, count=count)]))
    except ToolError as error:
        return fail(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
