# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of each part of a test run."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from tests.tools.build_tree import COLLECTION, git
from tests.tools.checks import Check
from tests.tools.environments import location
from tests.tools.project import (
    BUILD,
    ROOT,
    VENV,
    ToolError,
    environment_python,
    tool_environment,
    tree_environment,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PYTHON = str(environment_python(VENV))
PYTEST = ("-m", "pytest", "-p", "tests.tools.no_skips", "-q", "--color=no")
COVERAGE = BUILD / "coverage" / ".coverage"
DIST = BUILD / "dist"
INSTALLED = BUILD / "installed"
STRIPPED = BUILD / "stripped"
WARNING = r"\[WARNING\]|\[ERROR\]"

# lint

TYPED = (
    "ansible_collections.nomba.auth.extensions",
    "ansible_collections.nomba.auth.plugins",
    *("tests.benchmark", "tests.demo", "tests.eda", "tests.quality", "tests.simulator"),
    *("tests.testbed", "tests.tools"),
)


def lint(tree: Path) -> list[Check]:
    """Return the linters and type checkers, slow ones first."""
    env = tree_environment(tree, MYPYPATH=f"{tree}:{BUILD}")
    packages = [word for package in TYPED for word in ("-p", package)]
    ansible_lint = ["ansible-lint", "--profile", "production", "--offline", "--strict"]
    mypy = ["mypy", "--cache-dir", str(BUILD / "cache" / "mypy"), *packages]
    docs = ["--plugin-docs", "--validate-collection-refs", "all", "."]
    in_tree = [
        Check("ansible-lint", ansible_lint, tree, env, allowed=r"\b0 warning\(s\)"),
        Check("mypy --strict", mypy, tree, env),
        Check("antsibull-docs", ["antsibull-docs", "lint-collection-docs", *docs], tree, env),
        Check("antsibull-changelog", ["antsibull-changelog", "lint"], tree, env),
    ]
    commands = {
        "ruff check": ["ruff", "check", "--output-format", "concise"],
        "ruff format": ["ruff", "format", "--check", "."],
        "yamllint": ["yamllint", "--strict", "."],
        "shellcheck": ["shellcheck", "--severity=style", *_shell_scripts()],
        "reuse": ["reuse", "lint"],
    }
    return in_tree + [Check(name, command, ROOT, env) for name, command in commands.items()]


def _shell_scripts() -> list[str]:
    """Return the shell scripts of the repository, by name or first line."""
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    return [name for name in names.split("\0") if name and _is_shell(ROOT / name)]


def _is_shell(path: Path) -> bool:
    if path.suffix or not path.is_file():
        return path.suffix == ".sh"
    with path.open("rb") as file:
        first = file.readline(100)
    return first.startswith(b"#!") and first.rstrip().endswith((b"sh", b"bash"))


# pytest


def pytest(name: str, tree: Path, environment: str, *arguments: str) -> Check:
    """Return a run of pytest in an environment."""
    env = tree_environment(tree, location(environment))
    return Check(name, ["python", *PYTEST, *arguments], tree, env, is_pytest=True)


def units(tree: Path) -> list[Check]:
    """Return the unit tests: both newest Ansibles, the oldest, and no Ansible."""
    _require_tests(tree, "tests/unit", "tests/unit/core", "tests/unit/simulator")
    # The simulator always runs in the main environment. The core without Ansible on the newest
    # Python, with the same libraries, covers the core beside the next Ansible.
    simulator, core = "--ignore=tests/unit/simulator", "--ignore=tests/unit/core"
    return [
        with_coverage(pytest("units newest", tree, "main", "-n", "2", "tests/unit")),
        pytest("units next", tree, "next", "-n", "2", simulator, core, "tests/unit"),
        pytest("units oldest", tree, "oldest", "-n", "2", simulator, "tests/unit"),
        *(
            pytest(f"units {name}", tree, name, "tests/unit/core")
            for name in ("bare-3.9", "bare-3.13")
        ),
    ]


def e2e(tree: Path) -> list[Check]:
    """Return the tests that start processes, on the newest and the oldest Ansible."""
    if not (tree / "tests" / "e2e").is_dir():
        return []
    _require_tests(tree, "tests/e2e")
    return [
        with_coverage(pytest("e2e newest", tree, "main", "-n", "2", "tests/e2e")),
        pytest("e2e oldest", tree, "oldest", "-n", "2", "-m", "not newest", "tests/e2e"),
    ]


def select(check: Check, arguments: Sequence[str]) -> Check:
    """Return a run of pytest with further arguments; they may leave it without a test."""
    if not arguments:
        return check
    return check._replace(command=[*check.command, *arguments], may_be_empty=True)


def _require_tests(tree: Path, *folders: str) -> None:
    """Reject a folder without tests."""
    for folder in folders:
        if not list((tree / folder).rglob("test_*.py")):
            raise ToolError(f"{folder} holds no tests")


def with_coverage(check: Check) -> Check:
    """Return a run of pytest that measures coverage."""
    COVERAGE.parent.mkdir(exist_ok=True)
    data = COVERAGE.with_name(f".coverage.{check.name.replace(' ', '-')}")
    for old in COVERAGE.parent.glob(f"{data.name}*"):
        old.unlink()
    command = ["coverage", "run", *check.command[1:]]
    return check._replace(command=command, env={**check.env, "COVERAGE_FILE": str(data)})


def coverage(tree: Path) -> Check:
    """Return the report on what all runs with coverage have measured, and its lower bound."""
    COVERAGE.unlink(missing_ok=True)
    env = tree_environment(tree, COVERAGE_FILE=str(COVERAGE))
    script = f"coverage combine --quiet --keep {COVERAGE.parent} && coverage report"
    return Check("coverage", ["sh", "-c", script], tree, env)


# molecule, events

NO_HOSTS = r"Could not match supplied host pattern|no hosts matched|\[WARNING\]|\[DEPRECATION"


def molecule(tree: Path, scenario: str, **extra: str) -> Check:
    """Return the run of one scenario; a run without hosts is a failure."""
    # In a folder of its own: its state must not spare another scenario the preparation.
    own = {"MOLECULE_EPHEMERAL_DIRECTORY": str(BUILD / "molecule" / scenario)}
    return Check(
        f"molecule {scenario}",
        ["molecule", "test", "--scenario-name", scenario],
        tree,
        tree_environment(tree, **own, **extra),
        forbidden=NO_HOSTS,
        count=lambda output: len(re.findall(r"^PLAY RECAP", output, re.MULTILINE)),
    )


def scenarios(tree: Path) -> list[str]:
    """Return the names of all scenarios."""
    names = sorted(path.parent.name for path in tree.glob("extensions/molecule/*/molecule.yml"))
    names = [name for name in names if name != "default"]
    if not names:
        raise ToolError("extensions/molecule holds no scenarios")
    return names


def eda(tree: Path, *arguments: str) -> Check:
    """Return the tests with ansible-rulebook, whose programs come first on the PATH."""
    run = pytest("eda", tree, "rulebook", "tests/eda", *arguments)
    return run._replace(command=[PYTHON, *run.command[1:]])


# package


def build(tree: Path) -> Check:
    """Return the build of the tarball."""
    shutil.rmtree(DIST, ignore_errors=True)
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(DIST)]
    return Check("build", command, tree, tool_environment(), forbidden=WARNING)


def package(tree: Path) -> list[Check]:
    """Return the build, and what is done with the tarball: checked, installed, read, run."""
    shutil.rmtree(INSTALLED, ignore_errors=True)
    found = str(tarball(tree))
    check = [PYTHON, "-m", "tests.tools.check_tarball", found]
    galaxy = ["ansible-galaxy", "collection", "install", "--offline", found]
    install = [*galaxy, "--collections-path", str(INSTALLED)]
    modules = sorted(path.stem for path in (tree / "plugins" / "modules").glob("nomba_*.py"))
    show = ["ansible-doc", "--json", *(f"nomba.auth.{module}" for module in modules)]
    env = tool_environment(ANSIBLE_COLLECTIONS_PATH=str(INSTALLED), ANSIBLE_NOCOLOR="1")
    return [
        build(tree),
        Check("content of the tarball", check, ROOT, tool_environment()),
        Check("install", install, BUILD, env, forbidden=WARNING),
        Check("documentation of the modules", show, BUILD, env, forbidden=WARNING),
        demo("demo with the installed copy", tree, INSTALLED),
    ]


def tarball(tree: Path) -> Path:
    """Return the path of the tarball."""
    version = re.search(r"^version: (.*)$", (tree / "galaxy.yml").read_text(), re.MULTILINE)
    if not version:
        raise ToolError("galaxy.yml has no version")
    return DIST / f"nomba-auth-{version[1]}.tar.gz"


def demo(name: str, tree: Path, collections: Path) -> Check:
    """Return the demo with another copy of the collection."""
    env = tree_environment(tree, PYTHONPATH=str(tree), ANSIBLE_COLLECTIONS_PATH=str(collections))
    return Check(name, [PYTHON, "tests/demo/run.py"], tree, env)


# release-check

# All that a user of the collection needs.
PRODUCT = ("meta", "plugins", "roles", "playbooks")
# The kinds of plugins, and their folders.
KINDS = {"module": "modules", "filter": "filter", "lookup": "lookup"}


def release_check(tree: Path) -> list[Check]:
    """Return the checks with other programs; lint runs reuse and the linter of the changelog."""
    shutil.rmtree(STRIPPED, ignore_errors=True)
    for name in PRODUCT:
        shutil.copytree(tree / name, STRIPPED / COLLECTION / name)
    run = pytest("execution environments, release", tree, "release", "tests/quality")
    return [
        run._replace(command=[PYTHON, *run.command[1:]]),
        demo("demo with " + ", ".join(PRODUCT), tree, STRIPPED),
        *_pipelines(tree),
        *_documents(tree),
        build(tree),
        _importer(tree),
    ]


def _pipelines(tree: Path) -> list[Check]:
    """Return the checks of the examples for CI systems."""
    github = _examples(tree, "github-actions*.yml")
    schema = ["check-jsonschema", "--builtin-schema"]
    commands = {
        "schema of GitHub Actions": [*schema, "vendor.github-workflows", *github],
        "schema of GitLab CI": [*schema, "vendor.gitlab-ci", *_examples(tree, "gitlab-ci*.yml")],
        "actionlint": ["actionlint", *github],
        "zizmor": ["zizmor", "--offline", "--quiet", *github],
    }
    env = tool_environment(location("release"))
    return [Check(name, command, tree, env) for name, command in commands.items()]


def _examples(tree: Path, pattern: str) -> list[str]:
    files = sorted(map(str, (tree / "docs" / "examples").glob(pattern)))
    if not files:
        raise ToolError(f"docs/examples holds no {pattern}")
    return files


def _documents(tree: Path) -> list[Check]:
    """Return the checks that ansible-doc shows each plugin and role without a warning."""
    return [
        Check(
            f"ansible-doc, {kind}s",
            ["ansible-doc", "--type", kind, *(f"nomba.auth.{name}" for name in names)],
            tree,
            tree_environment(tree),
            forbidden=WARNING,
            # A part of ansible-core that has no version.
            allowed=r"/ansible/_protomatter' does not have",
        )
        for kind, names in _plugins(tree).items()
    ]


def _plugins(tree: Path) -> dict[str, list[str]]:
    """Return the names of all public plugins by their kind."""
    unknown = {path.name for path in (tree / "plugins").iterdir() if path.is_dir()}
    unknown -= {*KINDS.values(), "module_utils", "plugin_utils", "doc_fragments", "__pycache__"}
    if unknown:
        raise ToolError(f"plugins holds kinds without a check: {', '.join(sorted(unknown))}")
    found = {
        kind: sorted(path.stem for path in (tree / "plugins" / folder).glob("[!_]*.py"))
        for kind, folder in KINDS.items()
    }
    return {**found, "role": sorted(path.name for path in (tree / "roles").iterdir())}


def _importer(tree: Path) -> Check:
    """Return the import of the tarball as Galaxy does it; it requires one of Galaxy's tags."""
    env = tool_environment(
        location("importer"),
        GALAXY_IMPORTER_CHECK_REQUIRED_TAGS="true",
        GALAXY_IMPORTER_RUN_ANSIBLE_LINT="false",
    )
    command = ["python", "-m", "galaxy_importer.main", str(tarball(tree))]
    return Check("Galaxy's importer", command, BUILD, env, forbidden=r"\b(WARNING|ERROR)\b")
