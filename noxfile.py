# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions of the project. `nox -s units -- -k revoke` passes arguments on.

A session returns lanes, which run side by side; a lane is a list of checks. All sessions share the
environments of tests/tools/environments.py, which come from the locks in requirements/.
"""

from __future__ import annotations

import functools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import nox

sys.path.insert(0, str(Path(__file__).parent))

from tests.tools import environments
from tests.tools.build_tree import COLLECTION, lay_build_tree, repository_files
from tests.tools.environments import location
from tests.tools.project import (
    BUILD,
    ROOT,
    ToolError,
    require_programs,
    tool_environment,
    tree_environment,
)
from tests.tools.runner import Check, run_lanes
from tests.tools.sanity import prepare_bootstrap, sanity_check

if TYPE_CHECKING:
    from collections.abc import Sequence

    Lanes = Sequence[Sequence[Check]]
    Function = Callable[[Path, str], "Lanes | None"]

nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["test"]

PYTHON = location("main") / "bin" / "python"
PYTEST = "-m pytest -p tests.tools.no_skips"
# The tests that depend on the version of Ansible or of the libraries.
BORDER = "-n 2 -m 'not newest and not untraced'"
ANSIBLE_WARNING = r"\[WARNING\]|\[ERROR\]"
# Programs that only the system has, and their packages.
LINT = {"shellcheck": "shellcheck"}
TESTBED = {"sshd": "openssh-server", "redis-server": "redis-server"}
JAVA = {"java": "openjdk-17-jre-headless"}
GUIDES = {"curl": "curl", "jq": "jq"}
BROWSER = {"chromium": "chromium"}


def session(*names: str, **programs: str) -> Callable[[Function], Function]:
    """Make a nox session that provides environments and programs, and runs the lanes."""

    def decorate(function: Function) -> Function:
        @nox.session(name=function.__name__.strip("_").replace("_", "-"))
        @functools.wraps(function)
        def run(session: nox.Session) -> None:
            try:
                environments.require("main", *names)
                require_programs(**programs)
                lanes = function(lay_build_tree(), shlex.join(session.posargs))
            except ToolError as error:
                session.error(str(error))
            if lanes is not None and not run_lanes(lanes):
                session.error("a check failed")

        return function

    return decorate


def run_in_tree(tree: Path, command: str) -> None:
    """Run a command in a folder, with its output on the terminal."""
    ran = subprocess.run(command, shell=True, cwd=tree, env=tree_environment(tree), check=False)
    if ran.returncode:
        raise ToolError(f"{command}: exit status {ran.returncode}")


def flat(*parts: Lanes | None) -> list[Check]:
    """Return the checks of some parts in one lane."""
    return [check for lanes in parts for lane in lanes or () for check in lane]


def require_tests(tree: Path, *folders: str) -> None:
    """Reject a folder without tests."""
    for folder in folders:
        if not list((tree / folder).rglob("test_*.py")):
            raise ToolError(f"{folder} contains no tests")


def pytest(tree: Path, environment: str, name: str, options: str, folder: str) -> Check:
    """Return a run of pytest."""
    command = f"python {PYTEST} -q --color=no {options} {folder}"
    return Check(name, command, tree, tree_environment(tree, location(environment)), is_pytest=True)


def selected(arguments: str, checks: Sequence[Check]) -> Lanes:
    """Return runs of pytest with the user's arguments, which can leave some without a test.

    A path among the arguments replaces the folder.
    """
    has_path = re.search(r"(^|\s)tests/", arguments)
    commands = [check.command.rpartition(" ")[0] if has_path else check.command for check in checks]
    return [
        [
            check._replace(command=f"{command} {arguments}", may_be_empty=True)
            for check, command in zip(checks, commands)
        ]
    ]


def with_coverage(check: Check) -> Check:
    """Return a run of pytest that measures coverage."""
    data = BUILD / "coverage" / f".coverage.{check.name.replace(' ', '-')}"
    data.parent.mkdir(exist_ok=True)
    for old in data.parent.glob(f"{data.name}*"):
        old.unlink()
    command = check.command.replace("python ", "coverage run ", 1)
    return check._replace(command=command, env={**check.env, "COVERAGE_FILE": str(data)})


def coverage_check(tree: Path) -> Check:
    """Return the report of coverage, which fails below the bound."""
    folder = BUILD / "coverage"
    env = tree_environment(tree, COVERAGE_FILE=str(folder / ".coverage"))
    return Check("coverage", f"coverage combine --keep -q {folder} && coverage report", tree, env)


@session("collections", **LINT)
def lint(tree: Path, _arguments: str) -> Lanes:
    """Run every linter and type checker; a warning is a failure."""
    env = tree_environment(tree, MYPYPATH=f"{tree}:{BUILD}")
    packages = [f"ansible_collections.nomba.auth.{name}" for name in ("extensions", "plugins")]
    packages += [f"tests.{name}" for name in ("benchmark", "demo", "eda", "quality", "simulator")]
    packages += ["tests.testbed", "tests.tools"]
    mypy = f"mypy --cache-dir {BUILD}/cache/mypy"
    docs = "python -m tests.tools.lint_docs lint-collection-docs --plugin-docs"
    docs += " --validate-collection-refs all ."
    production = "ansible-lint --profile production --offline --strict"
    scripts = [
        name
        for name in repository_files()
        if name.endswith(".sh") or re.match(rb"#!.*sh\s", (ROOT / name).read_bytes())
    ]
    commands = {
        "mypy noxfile.py": f"{mypy} --python-executable .tools/bin/python noxfile.py",
        "ruff check": "ruff check --output-format concise",
        "ruff format": "ruff format --check .",
        "yamllint": "yamllint --strict .",
        "shellcheck": f"shellcheck --severity=style {shlex.join(scripts)}",
        "reuse": "reuse lint",
    }
    return [
        [
            Check("ansible-lint", production, tree, env, allowed=r"\b0 warning\(s\)"),
            Check("antsibull-changelog", "antsibull-changelog lint", tree, env),
        ],
        [
            Check("mypy --strict", f"{mypy} -p {' -p '.join(packages)}", tree, env),
            Check("antsibull-docs", docs, tree, env),
            *(Check(name, command, ROOT, env) for name, command in commands.items()),
        ],
    ]


@session(**LINT)
def sanity(tree: Path, arguments: str) -> Lanes:
    """Run ansible-test sanity on each Python; arguments go to ansible-test."""
    prepare_bootstrap()
    return [[sanity_check(tree, "main", arguments)]]


@session("next", "oldest", "bare-3.9", "bare-3.13", **TESTBED)
def units(tree: Path, arguments: str) -> Lanes:
    """Run the unit tests on Ansible 2.21 with coverage, on 2.22 and 2.16, and without Ansible."""
    folder, core, simulator = "tests/unit", "tests/unit/core", "tests/unit/simulator"
    require_tests(tree, folder, core, simulator)
    # The simulator always runs in the main environment. The core runs without Ansible on the
    # Python of the next Ansible, with the same libraries. Coverage would double the time of the
    # searches, and needs no test of the source: both run without it.
    newest = pytest(tree, "main", "units newest", "-n 2 -m 'not untraced'", folder)
    after = f"-n 2 -m 'not newest' --ignore={simulator} --ignore={core}"
    others = [
        pytest(tree, "next", "units next", after, folder),
        pytest(tree, "oldest", "units oldest", f"{BORDER} --ignore={simulator}", folder),
        pytest(tree, "bare-3.9", "units bare-3.9", "", core),
        pytest(tree, "bare-3.13", "units bare-3.13", "", core),
    ]
    if re.search(rf"(^|\s)(?!{core})tests/", arguments):
        print(f"not run without Ansible: tests outside {core}")
        del others[-2:]
    if arguments:
        return selected(arguments, [newest, *others])
    return [[with_coverage(newest), coverage_check(tree)], others]


@session(**TESTBED)
def quick(tree: Path, arguments: str) -> None:
    """Run the unit tests on the newest Ansible only; arguments go to pytest."""
    run_in_tree(tree, f"python {PYTEST} {arguments or '-q -n 2 tests/unit'}")


@session("next", "oldest", "sinks", **TESTBED)
def e2e(tree: Path, arguments: str) -> Lanes:
    """Run the tests that start processes on Ansible 2.21, and some on 2.22 and 2.16."""
    require_tests(tree, "tests/e2e")
    options = {"main": "-n 2", "next": BORDER, "oldest": BORDER}
    runs = [pytest(tree, name, f"e2e {name}", how, "tests/e2e") for name, how in options.items()]
    return selected(arguments, runs) if arguments else [runs]


@session("next", "oldest", "bare-3.9")
def integration(_tree: Path, arguments: str) -> Lanes:
    """Run playbooks against the simulator on three Ansibles; arguments select targets."""
    runs = {"main": "bare-3.9", "next": "next", "oldest": "oldest"}
    return [[integration_check(*run, arguments)] for run in runs.items()]


def integration_check(controller: str, target: str, arguments: str) -> Check:
    """Return a run of ansible-test: Ansible in one environment, the modules in another."""
    base = BUILD / "integration" / controller  # each run has a copy and a HOME of its own
    tree = lay_build_tree(base)
    folders = tree.glob("tests/integration/targets/*/tasks/main.yml")
    names = {folder.parents[1].name for folder in folders if "/setup_" not in str(folder)}
    # Molecule rotates on the newest Ansible.
    names -= {"rotate"} if controller == "main" else set()
    targets = arguments or " ".join(sorted(names))
    if not targets:
        raise ToolError("tests/integration/targets contains no targets")

    def count(output: str) -> int:
        ran = re.findall(r"Running (\w+) integration test", output)
        return len(ran) if ran == targets.split() else 0

    (base / "home").mkdir(exist_ok=True)
    env = tree_environment(tree, location(controller), HOME=str(base / "home"))
    hosts = f"--controller origin:python={environments.describe(controller)}"
    hosts += f" --target controller:python={environments.describe(target)}"
    command = f"ansible-test integration --color no {hosts} {targets}"
    # A target that was not run, and a feature that the next Ansible no longer has.
    forbidden = r"WARNING: (Excluding|Skipping|All targets)|DEPRECATION WARNING.*nomba"
    return Check(f"integration {controller}", command, tree, env, forbidden, count=count)


@session("collections", **TESTBED)
def molecule(tree: Path, arguments: str) -> Lanes:
    """Rotate credentials on three hosts over SSH; arguments select scenarios."""
    paths = tree.glob("extensions/molecule/*/molecule.yml")
    scenarios = arguments.split() or sorted({path.parent.name for path in paths} - {"default"})
    if not scenarios:
        raise ToolError("extensions/molecule contains no scenarios")
    return [molecule_checks(tree, scenarios)]


def molecule_checks(tree: Path, scenarios: Sequence[str], **extra: str) -> list[Check]:
    """Return the runs of scenarios in one test environment."""
    folder = BUILD / "molecule"
    shutil.rmtree(folder, ignore_errors=True)
    env = tree_environment(tree, MOLECULE_EPHEMERAL_DIRECTORY=str(folder)) | extra
    # A run without hosts is a failure, and so is a scenario that ran nothing.
    forbidden = r"Could not match supplied host pattern|no hosts matched|Missing playbook"
    forbidden += r"|\[WARNING\]|\[DEPRECATION"
    commands = {
        "create": "create -s default",
        **{scenario: f"test --destroy never -s {scenario}" for scenario in scenarios},
        "destroy": "destroy -s default",
    }
    return [
        Check(
            *(f"molecule {name}", f"molecule {command}", tree, env, forbidden),
            count=lambda output: output.count("PLAY RECAP"),
        )
        for name, command in commands.items()
    ]


@session()
def package(tree: Path, _arguments: str) -> Lanes:
    """Build the collection, check the tarball, install it, and run the installed copy."""
    installed = BUILD / "installed"
    shutil.rmtree(installed, ignore_errors=True)
    build, tarball = build_check(tree)
    modules = sorted(f"nomba.auth.{path.stem}" for path in tree.glob("plugins/modules/nomba_*.py"))
    galaxy = "ansible-galaxy collection install --offline"
    commands = {
        "content of the tarball": f"{PYTHON} -m tests.tools.check_tarball {tarball}",
        "install": f"{galaxy} {tarball} --collections-path {installed}",
        "documentation of the modules": f"ansible-doc --json {' '.join(modules)}",
    }
    # Without a PYTHONPATH, with which Ansible would find the build tree.
    env = tool_environment(ANSIBLE_COLLECTIONS_PATH=str(installed), ANSIBLE_NOCOLOR="1")
    others = [
        Check(name, command, ROOT, env, ANSIBLE_WARNING) for name, command in commands.items()
    ]
    return [[build, *others, demo_check("demo with the installed copy", tree, installed)]]


def build_check(tree: Path) -> tuple[Check, str]:
    """Return the build of the collection, and a pattern for its tarball."""
    folder = BUILD / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    command = f"ansible-galaxy collection build --output-path {folder}"
    check = Check("build", command, tree, tool_environment(), ANSIBLE_WARNING)
    return check, f"{folder}/nomba-auth-*.tar.gz"


def demo_check(name: str, tree: Path, collections: Path) -> Check:
    """Return the demo with another copy of the collection."""
    env = tool_environment(PYTHONPATH=str(tree), ANSIBLE_COLLECTIONS_PATH=str(collections))
    env["ANSIBLE_NOCOLOR"] = "1"
    return Check(name, "python tests/demo/run.py", tree, env)


@session("next", "oldest", "bare-3.9", "bare-3.13", "collections", "sinks", **LINT, **TESTBED)
def test(tree: Path, _arguments: str) -> Lanes:
    """Run lint, sanity, units, e2e, integration, molecule and package: before each merge."""
    newest, others = units(tree, "") or ((), ())
    alone = [*flat(sanity(tree, ""), e2e(tree, ""), integration(tree, "")), *others]
    # The short ones come last, so that no core is idle at the end.
    return [
        flat(molecule(tree, "")),
        newest,
        *(lint(tree, "") or ()),
        *(package(tree, "") or ()),
        *([check] for check in alone),
    ]


@session("rulebook", **JAVA)
def eda(tree: Path, arguments: str) -> Lanes:
    """Send alerts with leaked tokens to ansible-rulebook; needs Java 17."""
    return [[beside(pytest(tree, "rulebook", "eda", arguments, "tests/eda"))]]


def beside(check: Check) -> Check:
    """Return a run of pytest in the main environment, with another one first on the PATH."""
    return check._replace(command=check.command.replace("python", str(PYTHON), 1))


@session("oldest", "docs", "rulebook", "importer", "release", **LINT, **JAVA, **GUIDES, **BROWSER)
def release_check(tree: Path, _arguments: str) -> Lanes:
    """Run the checks that a release needs besides test: docs, eda, Galaxy, CI examples, guides."""
    prepare_bootstrap()
    stripped, product = BUILD / "stripped", ("meta", "plugins", "roles", "playbooks")
    shutil.rmtree(stripped, ignore_errors=True)
    for name in product:
        shutil.copytree(tree / name, stripped / COLLECTION / name)
    others = pytest(tree, "release", "execution environments, release", "", "tests/quality")
    build, tarball = build_check(tree)
    importer = tool_environment(
        location("importer"),
        GALAXY_IMPORTER_CHECK_REQUIRED_TAGS="true",
        GALAXY_IMPORTER_RUN_ANSIBLE_LINT="false",
    )
    galaxy = f"python -m galaxy_importer.main {tarball}"
    return [
        [sanity_check(tree, "oldest"), beside(others)],
        [
            *flat(eda(tree, ""), docs(tree, "")),
            demo_check("demo with " + ", ".join(product), tree, stripped),
            *(*pipeline_checks(tree), build),
            Check("Galaxy's importer", galaxy, BUILD, importer, forbidden=r"\b(WARNING|ERROR)\b"),
        ],
    ]


def pipeline_checks(tree: Path) -> list[Check]:
    """Return the checks of the examples for CI systems."""
    github, gitlab = "docs/examples/github-actions*.yml", "docs/examples/gitlab-ci*.yml"
    schema = "check-jsonschema --builtin-schema"
    commands = {
        "schema of GitHub Actions": f"{schema} vendor.github-workflows {github}",
        "schema of GitLab CI": f"{schema} vendor.gitlab-ci {gitlab}",
        "actionlint": f"actionlint {github}",
        "zizmor": f"zizmor --offline --quiet {github}",
    }
    env = tool_environment(location("release"))
    return [Check(name, command, tree, env) for name, command in commands.items()]


@session("collections", **TESTBED)
def kill_test(tree: Path, arguments: str) -> Lanes:
    """Kill rotations of clients and tokens after each task, and complete them; takes hours."""
    every = {"KILL_EVERY": "task"}
    kinds = arguments.split() or ["client", "access_token"]
    runs = [molecule_checks(tree, ["interrupted"], **every, KILL_CREDENTIAL=one) for one in kinds]
    return [flat(runs)]


@session()
def demo(tree: Path, arguments: str) -> None:
    """Revoke and store tokens, and rotate a client, against a local simulator."""
    run_in_tree(tree, f"python tests/demo/run.py {arguments}")


@session("docs", **BROWSER)
def docs(tree: Path, _arguments: str) -> Lanes:
    """Build the site into docs/_build, and look at each page in Chromium, narrow and wide."""
    env = tree_environment(tree, location("docs"))
    look = f"{PYTHON} -m tests.tools.check_site {ROOT}/docs/_build"
    return [
        [
            Check("docs", f"{PYTHON} -m tests.tools.docs {tree}/docs/docsite", ROOT, env),
            Check("docs in a browser", look, ROOT, env),
        ]
    ]


@session("release")
def bench(tree: Path, arguments: str) -> None:
    """Measure the collection against alternatives, into docs/; takes nearly an hour."""
    folders = f"--out {ROOT}/tests/benchmark/measured --docs {ROOT}/docs"
    scanners = f"PATH=$PATH:{location('release')}/bin"
    run_in_tree(tree, f"{scanners} python -m tests.benchmark {folders} {arguments}")


@session("collections")
def shell(tree: Path, arguments: str) -> None:
    """Open a shell in the build tree, for ansible-test, molecule and pytest as they are."""
    prepare_bootstrap()
    run_in_tree(tree, arguments or "${SHELL:-sh}")


@session()
def _format(_tree: Path, _arguments: str) -> None:
    """Format the Python files and sort their imports."""
    run_in_tree(ROOT, "ruff check --select I --fix --quiet && ruff format")


@session()
def changelog(_tree: Path, _arguments: str) -> None:
    """Generate CHANGELOG.md from the changelog fragments."""
    run_in_tree(ROOT, "antsibull-changelog release")


@session()
def release(_tree: Path, arguments: str) -> None:
    """Create changelog, commit, tag, tarball and checksums of a version; pushes nothing."""
    run_in_tree(ROOT, f"python -m tests.tools.release {arguments}")


@nox.session
def lock(session: nox.Session) -> None:
    """Resolve the newest versions for requirements/*.txt from the groups in pyproject.toml."""
    try:
        environments.write_locks()
    except ToolError as error:
        session.error(str(error))
