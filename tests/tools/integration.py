# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets of tests/integration with three Ansibles; each run has its own copy of the tree."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import Check
from tests.tools.environments import ENVIRONMENTS, location
from tests.tools.project import BUILD, ToolError, environment_python, tree_environment

# For each run: the environment of Ansible, and that of the modules.
RUNS = {
    "newest": ("main", "bare-3.9"),
    "next": ("next", "next"),
    "oldest": ("oldest", "oldest"),
}
# A target that was not run, and a feature that the next Ansible no longer has.
FORBIDDEN = r"WARNING: (Excluding|Skipping|All targets)|DEPRECATION WARNING.*nomba"
PLAY = """\
- name: Run {target}
  hosts: testhost
  gather_facts: true
  roles:
    - {target}
"""


def integration(name: str, targets: list[str]) -> Check:
    """Return a run of the named targets, or of all."""
    tree = lay_build_tree(BUILD / "integration" / name)
    targets = targets or find_targets(tree)
    home = tree.parents[2] / "home"  # two ansible-test would create the same SSH key
    home.mkdir(exist_ok=True)
    env = tree_environment(tree, location(RUNS[name][0]), HOME=str(home))
    prepare = with_playbook if name == "oldest" else with_ansible_test
    command, extra = prepare(name, tree, targets)

    def count(output: str) -> int:
        ran = r"Running {0} integration test|PLAY \[Run {0}\]"
        found = [target for target in targets if re.search(ran.format(target), output)]
        return len(found) if found == targets else 0

    return Check(
        f"integration {name}", command, tree, env | extra, forbidden=FORBIDDEN, count=count
    )


def find_targets(tree: Path) -> list[str]:
    """Return the targets; a folder setup_... only serves them."""
    folders = (tree / "tests" / "integration" / "targets").glob("*/tasks/main.yml")
    names = sorted(path.parents[1].name for path in folders)
    targets = [name for name in names if not name.startswith("setup_")]
    if not targets:
        raise ToolError("tests/integration/targets holds no targets")
    return targets


def with_ansible_test(
    name: str, _tree: Path, targets: list[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the command of a run by ansible-test."""
    controller, target = (describe(environment) for environment in RUNS[name])
    hosts = ["--controller", f"origin:python={controller}"]
    hosts += ["--target", f"controller:python={target}"]
    return ["ansible-test", "integration", "--color", "no", *hosts, *targets], {}


def describe(environment: str) -> str:
    """Return the Python of an environment as ansible-test wants it: X.Y@/path/to/python."""
    venv = location(environment)
    for version in ENVIRONMENTS[environment].pythons:
        if (venv / "lib" / f"python{version}").is_dir():
            return f"{version}@{environment_python(venv)}"
    raise ToolError(f"{venv} does not exist")


def with_playbook(name: str, tree: Path, targets: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command of a playbook with all targets as roles, which needs no ansible-test."""
    folder = tree / "tests" / "integration"
    playbook, output = folder / "all_targets.yml", tree / "tests" / "output" / name
    playbook.write_text("---\n" + "".join(PLAY.format(target=target) for target in targets))
    shutil.rmtree(output, ignore_errors=True)  # as ansible-test does
    output.mkdir(parents=True)
    python = environment_python(location(RUNS[name][1]))
    host = f"testhost ansible_connection=local ansible_python_interpreter='{python}'\n"
    (folder / "inventory").write_text(host, encoding="utf-8")
    variables = ["-e", f"@{folder / 'integration_config.yml'}"]
    variables += ["-e", json.dumps({"output_dir": str(output)})]
    command = ["ansible-playbook", "-i", str(folder / "inventory"), *variables, str(playbook)]
    settings = {
        "ANSIBLE_REMOTE_TMP": str(output / "tmp"),
        "ANSIBLE_ROLES_PATH": str(folder / "targets"),
    }
    return command, settings
