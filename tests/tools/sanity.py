# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test sanity on each Python: no ignore file, no test left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.tools.environments import install, location
from tests.tools.project import HOME, TOOLS, ToolError, exclusive, tree_environment
from tests.tools.runner import Check

if TYPE_CHECKING:
    from pathlib import Path

# ansible-test downloads pip's bootstrap script. A script with the same name in its cache replaces
# that one; it runs the pip of requirements/bare.txt.
GET_PIP = """\
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "pip"))
from pip._internal.cli.main import main

# The pip of this script must not count as installed.
unknown = ("--no-setuptools", "--no-wheel")
options = [word for word in sys.argv[1:] if word not in unknown]
sys.exit(main(["install", "--ignore-installed"] + options))
"""
# For each ansible-test: the pip that its script is named after, and the Pythons that it tries and
# that this collection does not support.
PIPS = {"main": "25_2", "oldest": "23_1_2"}
UNSUPPORTED = {"main": r"3\.14", "oldest": r"2\.7|3\.[678]"}


def sanity_check(tree: Path, environment: str, arguments: str = "") -> Check:
    """Return the run of ansible-test sanity from an environment."""
    if list((tree / "tests" / "sanity").glob("ignore*.txt")):
        raise ToolError("tests/sanity contains ignore files: fix the findings instead")
    skipped = rf"WARNING: Skipping (?!.*\b({UNSUPPORTED[environment]})\b)"
    return Check(
        f"sanity {environment}",
        f"ansible-test sanity --color no {arguments}",
        tree,
        tree_environment(tree, location(environment)),
        forbidden=rf"{skipped}|Required program|Missing |All targets skipped",
        count=lambda output: len(set(re.findall(r"^Running sanity test.*", output, re.MULTILINE))),
    )


def prepare_bootstrap() -> None:
    """Write the replacement of get-pip into the cache of ansible-test."""
    cache = HOME / ".ansible" / "test" / "cache"
    with exclusive("get-pip"):
        if not (cache / "pip").exists():
            install(TOOLS, "ansible-test", "bare", "--target", str(cache / "pip"))
        for version in PIPS.values():
            (cache / f"get_pip_{version}.py").write_text(GET_PIP, encoding="utf-8")
