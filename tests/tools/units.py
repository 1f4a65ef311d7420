# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make units: unit tests on the newest Ansible with coverage, without Ansible, and on the oldest.

python -m tests.tools.units           everything
python -m tests.tools.units --quick   the newest Ansible only; further words go to pytest
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import Check, Outcome, close, run_checks
from tests.tools.project import BUILD, VENV, VENVS, ToolError, fail, tool_environment

NO_SKIPS = ("-p", "tests.tools.no_skips")
PYTEST = ("-m", "pytest", *NO_SKIPS, "-q", "--color=no")


def main(arguments: list[str]) -> int:
    """Run the unit tests."""
    try:
        tree = lay_build_tree()
        if arguments[:1] == ["--quick"]:
            return quick(tree, arguments[1:])
        require_tests(tree)
        outcomes = run_checks([newest(tree), *bare(tree), oldest(tree)])
        return close([*outcomes, print_coverage(tree)])
    except ToolError as error:
        return fail(error)


def require_tests(tree: Path) -> None:
    """Refuse to call an empty folder a success."""
    for folder in ("tests/unit", "tests/unit/core", "tests/unit/simulator"):
        if not list((tree / folder).rglob("test_*.py")):
            raise ToolError(f"{folder} holds no tests")


def quick(tree: Path, arguments: list[str]) -> int:
    """Run pytest on the newest Ansible, in the foreground and without coverage."""
    command = ["python", "-m", "pytest", *NO_SKIPS, *arguments]
    return subprocess.run(command, cwd=tree, env=environment(tree, VENV), check=False).returncode


def newest(tree: Path) -> Check:
    """Return the run of all tests on the newest Ansible, with coverage."""
    for data in coverage_folder().glob(".coverage*"):
        data.unlink()
    env = environment(tree, VENV, COVERAGE_FILE=str(coverage_folder() / ".coverage"))
    command = ["coverage", "run", *PYTEST, "-n", "2", "tests/unit"]
    return Check("newest Ansible", command, tree, env, count=count)


def bare(tree: Path) -> list[Check]:
    """Return the runs of the pure tests without Ansible, on every Python but the newest's."""
    checks = []
    for venv in sorted(VENVS.glob("bare-*"), key=lambda path: int(path.name.split(".")[-1])):
        if (VENV / "lib" / f"python{venv.name.split('-')[1]}").is_dir():
            continue
        name = f"no Ansible, Python {venv.name.split('-')[1]}"
        command = ["python", *PYTEST, "tests/unit/core"]
        checks.append(Check(name, command, tree, environment(tree, venv), count=count))
    if not checks:
        raise ToolError("there is no environment without Ansible: .venvs/bare-* is missing")
    return checks


def oldest(tree: Path) -> Check:
    """Return the run of all tests on the oldest Ansible with old libraries."""
    venv = VENVS / "oldest"
    # The simulator runs in the environment of the newest Ansible.
    command = ["python", *PYTEST, "-n", "2", "--ignore=tests/unit/simulator", "tests/unit"]
    return Check("oldest Ansible", command, tree, environment(tree, venv), count=count)


def environment(tree: Path, venv: Path, **extra: str) -> dict[str, str]:
    """Return an environment in which the collection and the tests can be imported."""
    paths = {"PYTHONPATH": f"{tree}:{BUILD}", "ANSIBLE_COLLECTIONS_PATH": str(BUILD)}
    return tool_environment(venv, **(paths | extra))


def coverage_folder() -> Path:
    """Return the folder for coverage's data, apart from the sources."""
    folder = BUILD / "coverage"
    folder.mkdir(exist_ok=True)
    return folder


def count(output: str) -> int:
    """Return pytest's own count of tests."""
    counts = re.findall(r"\b(\d+) passed", output)
    return int(counts[-1]) if counts else 0


def print_coverage(tree: Path) -> Outcome:
    """Combine what all processes saw, print it, and judge whether it is enough."""
    env = environment(tree, VENV, COVERAGE_FILE=str(coverage_folder() / ".coverage"))
    combine = ["coverage", "combine", "--quiet", str(coverage_folder())]
    subprocess.run(combine, cwd=tree, env=env, check=False)
    enough = subprocess.run(["coverage", "report"], cwd=tree, env=env, check=False).returncode == 0
    return Outcome("coverage", () if enough else ("too low",), 0, 0, "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
