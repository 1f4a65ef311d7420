# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the virtual environments: python -m tests.tools.venvs NAME...; the names are in MAKERS."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Callable

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
    run_silently,
)


def main(arguments: list[str]) -> int:
    """Make each environment that was asked for."""
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


def make_on(pythons: tuple[str, ...], name: str) -> None:
    """Make an environment of its own on the best of some Pythons."""
    make(VENVS / name, one_python(pythons)[1], name)


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
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "true"}
    run_silently([str(UV), "--quiet", *arguments], ROOT, env)


def make_npm() -> None:
    """Make the folder of the linters that only npm has."""
    folder = VENVS / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    for file in (ROOT / "requirements" / "npm").iterdir():
        shutil.copy(file, folder)
    run_silently(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)


MAKERS: dict[str, Callable[[], None]] = {
    "dev": make_dev,
    "bare": make_bare,
    # Other collections: the community's package of them, because the place that is meant for
    # them, Ansible's Galaxy, is out of reach of many a build machine.
    "collections": partial(make_on, CONTROLLER_PYTHONS, "collections"),
    "docs": partial(make_on, CONTROLLER_PYTHONS, "docs"),
    "importer": partial(make_on, CONTROLLER_PYTHONS, "importer"),
    "npm": make_npm,
    "oldest": partial(make_on, OLDEST_CORE_PYTHONS, "oldest"),
    "quality": partial(make_on, CONTROLLER_PYTHONS, "quality"),
    "rulebook": partial(make_on, CONTROLLER_PYTHONS, "rulebook"),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
