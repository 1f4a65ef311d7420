# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions of the project: nox -l lists them; nox -s units -- -k revoke hands arguments on.

The environments come from the locks in requirements/ (tests/tools/environments.py) and are shared
by all sessions. Each session first copies the collection to .build/ansible_collections/nomba/auth.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nox

sys.path.insert(0, str(Path(__file__).parent))

from tests.tools import environments, parts
from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import Check, Runner
from tests.tools.docs import docs_checks
from tests.tools.integration import RUNS
from tests.tools.integration import integration as integration_run
from tests.tools.project import ROOT, ToolError, require_programs, tree_environment
from tests.tools.sanity import prepare_bootstrap
from tests.tools.sanity import sanity as sanity_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["test"]


@contextlib.contextmanager
def prepared(
    session: nox.Session, *names: str, programs: dict[str, str] | None = None
) -> Iterator[Path]:
    """Provide the environments and programs, and yield the tree; an error fails the session."""
    try:
        environments.require("main", *names)
        require_programs(**(programs or {}))
        yield lay_build_tree()
    except ToolError as error:
        session.error(str(error))


def check(session: nox.Session, *lanes: Sequence[Check]) -> None:
    """Run checks in lanes; one failure fails the session."""
    if Runner().run(lanes):
        session.error("a check failed")


def two_lanes(checks: Sequence[Check]) -> tuple[Sequence[Check], Sequence[Check]]:
    """Deal checks into two lanes."""
    return checks[::2], checks[1::2]


def foreground(session: nox.Session, tree: Path, *command: str, environment: str = "main") -> None:
    """Run a program in the tree, with its output on the terminal."""
    env = tree_environment(tree, environments.location(environment), NO_COLOR="")
    program = shutil.which(command[0], path=env["PATH"]) or command[0]
    with session.chdir(tree):
        session.run(program, *command[1:], env=env, include_outer_env=False, external=True)


LINT = {"shellcheck": "shellcheck"}
TESTBED = {"sshd": "openssh-server"}
JAVA = {"java": "openjdk-17-jre-headless"}
GUIDES = {"curl": "curl", "jq": "jq"}
NO_SKIPS = ("python", "-m", "pytest", "-p", "tests.tools.no_skips")


@nox.session
def lint(session: nox.Session) -> None:
    """Run every linter and type checker; a warning is a failure."""
    with prepared(session, "collections", programs=LINT) as tree:
        check(session, *two_lanes(parts.lint(tree)))


@nox.session
def sanity(session: nox.Session) -> None:
    """Run ansible-test sanity on each Python; "-- --test pep8" selects one test."""
    with prepared(session, programs=LINT) as tree:
        prepare_bootstrap()
        check(session, [sanity_run(tree, "main", *session.posargs)])


@nox.session
def units(session: nox.Session) -> None:
    """Run the unit tests on five environments: Ansible 2.21 with coverage, 2.22, 2.16, and none."""
    with prepared(session, "next", "oldest", "bare-3.9", "bare-3.13", programs=TESTBED) as tree:
        runs = parts.units(tree)
        if session.posargs:
            check(session, *two_lanes([parts.select(run, session.posargs) for run in runs]))
        else:
            check(session, [runs[0], parts.coverage(tree), *runs[3:]], runs[1:3])


@nox.session
def quick(session: nox.Session) -> None:
    """Run the unit tests on the newest Ansible only; arguments go to pytest."""
    with prepared(session, programs=TESTBED) as tree:
        arguments = session.posargs or ["-q", "-n", "2", "tests/unit"]
        foreground(session, tree, *NO_SKIPS, *arguments)


@nox.session
def e2e(session: nox.Session) -> None:
    """Run the tests that start processes, on the newest and the oldest Ansible."""
    with prepared(session, "oldest", programs=TESTBED) as tree:
        runs = [parts.select(run, session.posargs) for run in parts.e2e(tree)]
        check(session, runs)


@nox.session
def integration(session: nox.Session) -> None:
    """Run playbooks against the simulator with three Ansibles; "-- rotate" selects a target."""
    with prepared(session, "next", "oldest", "bare-3.9"):
        runs = [integration_run(name, session.posargs) for name in RUNS]
        check(session, *two_lanes(runs))


@nox.session
def molecule(session: nox.Session) -> None:
    """Rotate credentials on three hosts over SSH, one behavior per scenario."""
    from tests.tools.molecule import testbed

    with prepared(session, "collections", programs=TESTBED) as tree, testbed(tree) as extra:
        names = session.posargs or parts.scenarios(tree)
        check(session, [parts.molecule(tree, name, **extra) for name in names])


@nox.session
def package(session: nox.Session) -> None:
    """Build the collection, check the tarball, install it, and run the installed copy."""
    with prepared(session) as tree:
        check(session, parts.package(tree))


@nox.session
def test(session: nox.Session) -> None:
    """Run lint, sanity, units, e2e, integration, molecule and package: before each merge."""
    from tests.tools.molecule import testbed

    names = ("next", "oldest", "bare-3.9", "bare-3.13", "collections")
    with prepared(session, *names, programs=LINT | TESTBED) as tree, testbed(tree) as extra:
        prepare_bootstrap()
        newest, ansible_next, oldest, *bare = parts.units(tree)
        # Molecule is the longest part and often waits, so that two cores have work for three lanes.
        check(
            session,
            [parts.molecule(tree, name, **extra) for name in parts.scenarios(tree)],
            [sanity_run(tree, "main"), *parts.lint(tree), ansible_next, *parts.package(tree)],
            [
                *(newest, *parts.e2e(tree), parts.coverage(tree), oldest, *bare),
                *(integration_run(name, []) for name in RUNS),
            ],
        )


@nox.session
def eda(session: nox.Session) -> None:
    """Send alerts with leaked tokens to ansible-rulebook; needs Java 17."""
    with prepared(session, "rulebook", programs=JAVA) as tree:
        check(session, [parts.eda(tree, *session.posargs)])


@nox.session(name="release-check")
def release_check(session: nox.Session) -> None:
    """Run what a release needs besides test: docs, eda, the oldest sanity, Galaxy, CI examples."""
    names = ("oldest", "docs", "rulebook", "importer", "release", "collections")
    with prepared(session, *names, programs=LINT | JAVA | GUIDES) as tree:
        prepare_bootstrap()
        others = [parts.eda(tree), *docs_checks(tree), *parts.release_check(tree)]
        check(session, [sanity_run(tree, "oldest")], others)


@nox.session(name="kill-test")
def kill_test(session: nox.Session) -> None:
    """Kill a rotation after each task and finish it with the next run; takes hours."""
    from tests.testbed.interrupt import TABLE
    from tests.tools.molecule import FOLDER, testbed

    with prepared(session, "collections", programs=TESTBED) as tree, testbed(tree) as extra:
        check(session, [parts.molecule(tree, "interrupted", **extra, KILL_EVERY="task")])
        print((FOLDER / TABLE).read_text(encoding="utf-8"))


@nox.session
def demo(session: nox.Session) -> None:
    """Revoke, store and rotate tokens against a local simulator."""
    with prepared(session) as tree:
        foreground(session, tree, "python", "tests/demo/run.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of guides and reference pages into docs/_build."""
    with prepared(session, "docs") as tree:
        check(session, docs_checks(tree))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the collection against alternatives, into docs/; "-- --only one skip" is short."""
    with prepared(session) as tree:
        folders = ["--out", str(ROOT / "tests/benchmark/measured"), "--docs", str(ROOT / "docs")]
        foreground(session, tree, "python", "-m", "tests.benchmark", *folders, *session.posargs)


@nox.session(name="format")
def format_files(session: nox.Session) -> None:
    """Format the Python files and sort their imports."""
    with prepared(session):
        ruff = str(environments.location("main") / "bin" / "ruff")
        session.run(ruff, "check", "--select", "I", "--fix", "--quiet", external=True)
        session.run(ruff, "format", external=True)


@nox.session
def shell(session: nox.Session) -> None:
    """Open a shell in the build tree, for ansible-test, molecule and pytest as they are."""
    with prepared(session, "collections") as tree:
        prepare_bootstrap()
        foreground(session, tree, *(session.posargs or [os.environ.get("SHELL", "sh")]))


@nox.session
def changelog(session: nox.Session) -> None:
    """Generate CHANGELOG.md from the changelog fragments."""
    with prepared(session):
        program = environments.location("main") / "bin" / "antsibull-changelog"
        session.run(str(program), "release", external=True)


@nox.session
def release(session: nox.Session) -> None:
    """Create changelog, commit, tag, tarball and checksums; pushes nothing."""
    with prepared(session):
        session.run(parts.PYTHON, "-m", "tests.tools.release", *session.posargs, external=True)


@nox.session
def lock(session: nox.Session) -> None:
    """Resolve the newest versions for requirements/*.txt from the groups in pyproject.toml."""
    try:
        environments.write_locks()
    except ToolError as error:
        session.error(str(error))
