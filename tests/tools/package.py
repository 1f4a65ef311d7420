# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make package: build the collection, look into the tarball, install it and see it work there."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import Check, close, run_checks
from tests.tools.project import (
    BUILD,
    ROOT,
    VENV,
    ToolError,
    environment_python,
    fail,
    tool_environment,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.checks import Outcome

DIST = BUILD / "dist"
INSTALLED = BUILD / "installed"
WARNING = r"\[WARNING\]|\[ERROR\]"


def main() -> int:
    """Run the steps one after another and stop at the first that fails."""
    try:
        return close(run_steps(lay_build_tree()))
    except ToolError as error:
        return fail(error)


def run_steps(tree: Path) -> list[Outcome]:
    """Build, look inside, install, list."""
    for folder in (DIST, INSTALLED):
        shutil.rmtree(folder, ignore_errors=True)
    outcomes = run_checks([build(tree, DIST)])
    if outcomes[0].faults:
        return outcomes
    tarball = next(DIST.glob("nomba-auth-*.tar.gz"))
    at_work = demo("the installed copy at work", tree, INSTALLED)
    steps = (look_inside(tarball), install(tarball), list_plugins(tree), at_work)
    for step in steps:
        outcomes += run_checks([step])
    return outcomes


def build(tree: Path, folder: Path) -> Check:
    """Return the step that builds the tarball from the tree, into a folder."""
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(folder)]
    return Check("build", command, tree, tool_environment(), forbidden=WARNING)


def look_inside(tarball: Path) -> Check:
    """Return the step that compares the tarball with what may be in it."""
    command = [str(environment_python(VENV)), "-m", "tests.tools.check_tarball", str(tarball)]
    return Check("content of the tarball", command, ROOT, tool_environment())


def install(tarball: Path) -> Check:
    """Return the step that installs the tarball as a user would."""
    galaxy = ["ansible-galaxy", "collection", "install", "--offline", str(tarball)]
    env = tool_environment(ANSIBLE_COLLECTIONS_PATH=str(INSTALLED))
    command = [*galaxy, "--collections-path", str(INSTALLED)]
    return Check("install", command, BUILD, env, forbidden=WARNING)


def list_plugins(tree: Path) -> Check:
    """Return the step that reads the documentation of every installed module."""
    modules = sorted(path.stem for path in (tree / "plugins" / "modules").glob("nomba_*.py"))
    names = [f"nomba.auth.{module}" for module in modules]
    env = tool_environment(ANSIBLE_COLLECTIONS_PATH=str(INSTALLED), ANSIBLE_NOCOLOR="1")
    command = ["ansible-doc", "--json", *names]
    return Check("documentation of the modules", command, BUILD, env, forbidden=WARNING)


def demo(name: str, tree: Path, collections: Path) -> Check:
    """Return the step that plays the demo with another copy: revoked, swept, rotated."""
    env = tool_environment(
        PYTHONPATH=str(tree), ANSIBLE_COLLECTIONS_PATH=str(collections), ANSIBLE_NOCOLOR="1"
    )
    command = [str(environment_python(VENV)), "tests/demo/run.py"]
    return Check(name, command, tree, env)


if __name__ == "__main__":
    sys.exit(main())
