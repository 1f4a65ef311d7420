# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make lint: every linter and type checker; a warning is a failure."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.tools.build_tree import git, lay_build_tree
from tests.tools.checks import Check, close, run_checks
from tests.tools.project import BUILD, ROOT, ToolError, fail, tool_environment

if TYPE_CHECKING:
    from pathlib import Path

TYPED = (
    "ansible_collections.nomba.auth.extensions",
    "ansible_collections.nomba.auth.plugins",
    *("tests.benchmark", "tests.demo", "tests.eda", "tests.quality", "tests.simulator"),
    *("tests.testbed", "tests.tools"),
)


def main() -> int:
    """Run all linters."""
    try:
        return close(run_checks(all_checks()))
    except ToolError as error:
        return fail(error)


def all_checks() -> list[Check]:
    """Return the checks, slow ones first."""
    tree = lay_build_tree()
    env = tool_environment(
        ANSIBLE_COLLECTIONS_PATH=str(BUILD),
        MYPYPATH=f"{tree}:{BUILD}",
        NO_COLOR="1",
    )
    return [*checks_in_tree(tree, env), *checks_in_repository(env)]


def checks_in_tree(tree: Path, env: dict[str, str]) -> list[Check]:
    """Return the checks that need the collection at its proper path."""
    packages = [word for package in TYPED for word in ("-p", package)]
    mypy = ["mypy", "--cache-dir", str(BUILD / "cache" / "mypy"), *packages]
    docs = ["--plugin-docs", "--validate-collection-refs", "all", "."]
    return [
        Check(
            "ansible-lint",
            ["ansible-lint", "--profile", "production", "--offline", "--strict"],
            tree,
            env,
            allowed=r"\b0 warning\(s\)",
        ),
        Check("mypy --strict", mypy, tree, env),
        Check("antsibull-docs", ["antsibull-docs", "lint-collection-docs", *docs], tree, env),
        Check("antsibull-changelog", ["antsibull-changelog", "lint"], tree, env),
    ]


def checks_in_repository(env: dict[str, str]) -> list[Check]:
    """Return the checks that look at the files where they are."""
    return [
        Check("ruff check", ["ruff", "check", "--output-format", "concise"], ROOT, env),
        Check("ruff format", ["ruff", "format", "--check", "."], ROOT, env),
        Check("yamllint", ["yamllint", "--strict", "."], ROOT, env),
        Check("shellcheck", ["shellcheck", "--severity=style", *shell_scripts()], ROOT, env),
        Check("reuse", ["reuse", "lint"], ROOT, env),
    ]


def shell_scripts() -> list[str]:
    """Return the shell scripts of the repository, known by name or first line."""
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    return [name for name in names.split("\0") if name and is_shell(ROOT / name)]


def is_shell(path: Path) -> bool:
    """Tell whether a file is a shell script."""
    if path.suffix == ".sh":
        return True
    if path.suffix or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(100)
    return first.startswith(b"#!") and first.rstrip().endswith((b"sh", b"bash"))


if __name__ == "__main__":
    sys.exit(main())
