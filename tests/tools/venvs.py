# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the virtual environments: python -m tests.tools.venvs NAME...; the names are in MAKERS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.tools.project import (
    CONTROLLER_PYTHONS,
    OLDEST_CORE_PYTHONS,
    ROOT,
    TARGET_PYTHONS,
    UV,
    VENV,
    VENVS,
    ToolError,
    environment_python,
    exclusive,
    fail,
    find_pythons,
    one_python,
)


def main(arguments: list[str]) -> int:
    """Make each environment that was asked for, and touch its stamp file."""
    try:
        for name in arguments:
            with exclusive("venvs"):
                MAKERS[name]()
    except ToolError as error:
        return fail(error)
    return 0


def make_dev() -> None:
    """Make the environment with the newest Ansible and every tool."""
    make(VENV, one_python(CONTROLLER_PYTHONS)[1], "dev")
    (VENV / ".stamp").touch()


def make_collections() -> None:
    """Make the environment that holds other collections: the community's package of them.

    The place that is meant for them, Ansible's Galaxy, is out of reach of many a build machine.
    """
    make_on_controller("collections")


def make_rulebook() -> None:
    """Make the environment of event-driven Ansible."""
    make_on_controller("rulebook")


def make_importer() -> None:
    """Make the environment of Galaxy's importer."""
    make_on_controller("importer")


def make_quality() -> None:
    """Make the environment of the tools around execution environments and others' schemas."""
    make_on_controller("quality")


def make_on_controller(name: str) -> None:
    """Make an environment of its own on a Python that runs the newest Ansible."""
    make(VENVS / name, one_python(CONTROLLER_PYTHONS)[1], name)
    (VENVS / f".{name}-stamp").touch()


def make_docs() -> None:
    """Make the environment that builds the site of guides and reference pages."""
    make_on_controller("docs")


def make_oldest() -> None:
    """Make the environment with the oldest Ansible and old libraries."""
    make(VENVS / "oldest", one_python(OLDEST_CORE_PYTHONS)[1], "oldest")
    (VENVS / ".oldest-stamp").touch()


def make_bare() -> None:
    """Make an environment without Ansible for each Python of this machine."""
    pythons = find_pythons(TARGET_PYTHONS)
    with ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(make, VENVS / f"bare-{version}", python, "bare")
            for version, python in pythons.items()
        ]
    for job in jobs:
        job.result()
    (VENVS / ".bare-stamp").touch()


def make(venv: Path, python: Path, requirements: str) -> None:
    """Bring one environment in line with requirements/<requirements>.txt."""
    if not is_of(venv, python):
        shutil.rmtree(venv, ignore_errors=True)
        uv("venv", "--python", str(python), str(venv))
    pinned = ROOT / "requirements" / f"{requirements}.txt"
    interpreter = str(environment_python(venv))
    uv("pip", "sync", "--require-hashes", "--python", interpreter, str(pinned))


def is_of(venv: Path, python: Path) -> bool:
    """Tell whether the environment exists and was made from this very Python."""
    link = environment_python(venv)
    return link.exists() and link.resolve() == python.resolve()


def uv(*arguments: str) -> None:
    """Run uv, silent unless it fails."""
    # The system's certificates, as pip takes them: many networks have a proxy with its own.
    settings = {"UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "true"}
    environment = {**os.environ, **settings}
    command = [str(UV), "--quiet", *arguments]
    run = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise ToolError(f"{' '.join(command)} failed:\n{run.stdout}{run.stderr}")


MAKERS = {
    "dev": make_dev,
    "collections": make_collections,
    "docs": make_docs,
    "oldest": make_oldest,
    "bare": make_bare,
    "rulebook": make_rulebook,
    "importer": make_importer,
    "quality": make_quality,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
