# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make integration: the targets of tests/integration against the simulator, three times.

    newest             ansible-test, newest Ansible, modules on the controller's Python
    newest-old-python  ansible-test, newest Ansible, modules on the oldest Python of this machine
    oldest             a playbook of all targets, oldest Ansible with old libraries

Each has a copy of the tree and a simulator of its own, so that none disturbs another.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import Check, close, run_checks
from tests.tools.project import (
    BUILD,
    CONTROLLER_PYTHONS,
    REPORTS,
    TARGET_PYTHONS,
    VENV,
    VENVS,
    ToolError,
    environment_python,
    fail,
    tool_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 30
LEGS = ("newest", "newest-old-python", "oldest")
# A target that was not run, and a habit that the next Ansible no longer allows.
FORBIDDEN = r"WARNING: (Excluding|Skipping|All targets)|DEPRECATION WARNING.*nomba"

PLAYBOOK_HEAD = """\
---
"""
PLAY = """\
- name: Run {target}
  hosts: testhost
  gather_facts: true
  roles:
    - {target}
"""


def main(arguments: list[str]) -> int:
    """Run the legs named on the command line, by default all."""
    try:
        with contextlib.ExitStack() as stack:
            checks = [prepare(name, stack) for name in arguments or LEGS]
            return close(run_checks(checks))
    except ToolError as error:
        return fail(error)


def prepare(name: str, stack: contextlib.ExitStack) -> Check:
    """Lay a tree, start a simulator beside it, and return the run."""
    if name not in LEGS:
        raise ToolError(f"there is no run called {name}; there are {', '.join(LEGS)}")
    tree = lay_build_tree(BUILD / "integration" / name)
    targets = find_targets(tree)
    config = tree / "tests" / "integration" / "integration_config.yml"
    config.write_text(json.dumps(stack.enter_context(simulator(name, tree))), encoding="utf-8")
    command, env = with_oldest(tree, targets) if name == "oldest" else with_newest(name, tree)

    def count(output: str) -> int:
        return count_targets(output, targets)

    return Check(name, command, tree, env, forbidden=FORBIDDEN, count=count)


def find_targets(tree: Path) -> list[str]:
    """Return the targets; a folder called setup_... only serves them."""
    folders = (tree / "tests" / "integration" / "targets").glob("*/tasks/main.yml")
    names = sorted(path.parents[1].name for path in folders)
    targets = [name for name in names if not name.startswith(("setup_", "prepare_"))]
    if not targets:
        raise ToolError("tests/integration/targets holds no targets")
    return targets


def count_targets(output: str, targets: list[str]) -> int:
    """Return how many targets ran, or 0 if one of them did not."""
    ran = [
        name
        for name in targets
        if re.search(rf"Running {name} integration test|PLAY \[Run {name}\]", output)
    ]
    return len(ran) if ran == targets else 0


def with_newest(name: str, tree: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command and environment of a run by ansible-test."""
    controller = described(VENV, CONTROLLER_PYTHONS)
    target = oldest_target() if name == "newest-old-python" else controller
    hosts = [
        "--controller",
        f"origin:python={controller}",
        "--target",
        f"controller:python={target}",
    ]
    return ["ansible-test", "integration", "--color", "no", *hosts], environment(tree, VENV)


def described(venv: Path, versions: tuple[str, ...]) -> str:
    """Return an environment's Python in the words of ansible-test: X.Y@/path/to/python."""
    for version in versions:
        if (venv / "lib" / f"python{version}").is_dir():
            return f"{version}@{environment_python(venv)}"
    raise ToolError(f"{venv} holds none of the Pythons {', '.join(versions)}")


def oldest_target() -> str:
    """Return the oldest Python that has what a managed host needs."""
    for version in TARGET_PYTHONS:
        if (VENVS / f"bare-{version}").is_dir():
            return described(VENVS / f"bare-{version}", (version,))
    raise ToolError("there is no environment without Ansible: .venvs/bare-* is missing")


def with_oldest(tree: Path, targets: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command and environment of a playbook that runs all targets as roles."""
    integration = tree / "tests" / "integration"
    venv = VENVS / "oldest"
    playbook = integration / "all_targets.yml"
    plays = "".join(PLAY.format(target=target) for target in targets)
    playbook.write_text(PLAYBOOK_HEAD + plays, encoding="utf-8")
    output = tree / "tests" / "output" / "oldest"
    shutil.rmtree(output, ignore_errors=True)  # as ansible-test does, which removes its own
    output.mkdir(parents=True)
    host = (
        f"testhost ansible_connection=local ansible_python_interpreter='{environment_python(venv)}'"
    )
    (integration / "inventory").write_text(f"{host}\n", encoding="utf-8")
    variables = ["-e", f"@{integration / 'integration_config.yml'}"]
    variables += ["-e", json.dumps({"output_dir": str(output)})]
    command = ["ansible-playbook", "-i", str(integration / "inventory"), *variables, str(playbook)]
    settings = {
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_REMOTE_TMP": str(output / "tmp"),
        "ANSIBLE_ROLES_PATH": str(integration / "targets"),
    }
    return command, {**environment(tree, venv), **settings}


def environment(tree: Path, venv: Path) -> dict[str, str]:
    """Return an environment in which Ansible finds this copy of the collection.

    The home is the run's own: two ansible-test would make the same SSH key at the same time.
    """
    base = tree.parents[2]
    (base / "home").mkdir(exist_ok=True)
    return tool_environment(venv, HOME=str(base / "home"), ANSIBLE_COLLECTIONS_PATH=str(base))


@contextlib.contextmanager
def simulator(name: str, tree: Path) -> Iterator[dict[str, str]]:
    """Run a simulator; yield the variables with which the targets find it."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    announce = REPORTS / f"simulator-{name}.json"
    announce.unlink(missing_ok=True)
    log_path = REPORTS / f"simulator-{name}.log"
    with log_path.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(environment_python(VENV)), "-m", "tests.simulator", "--announce", str(announce)],
            cwd=tree,
            env=tool_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            said = await_announcement(process, announce, log_path)
            yield {f"simulator_{key}": said[key] for key in ("url", "http_url", "ca_path")}
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)


def await_announcement(
    process: subprocess.Popen[bytes], announce: Path, log: Path
) -> dict[str, str]:
    """Wait until the simulator says where it listens."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            said: dict[str, str] = json.loads(announce.read_text(encoding="utf-8"))
            return said
        time.sleep(0.05)
    raise ToolError(f"the simulator did not start:\n{log.read_text(encoding='utf-8')}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
