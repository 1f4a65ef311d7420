# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the virtual environments from the locks in requirements/, and write the locks."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.tools.project import (
    ROOT,
    TOOLS,
    VENV,
    VENVS,
    ToolError,
    environment_python,
    exclusive,
    find_python,
    run_quietly,
)


class Environment(NamedTuple):
    """A virtual environment: a group of pyproject.toml on the first Python found."""

    group: str
    lock: str
    pythons: tuple[str, ...]


ENVIRONMENTS = {
    "main": Environment("main", "main", ("3.12",)),
    "next": Environment("ansible", "main", ("3.13",)),
    "oldest": Environment("oldest", "oldest", ("3.10", "3.11")),
    "bare-3.9": Environment("bare", "bare", ("3.9",)),
    "bare-3.13": Environment("bare", "bare", ("3.13",)),
    **{
        group: Environment(group, "main", ("3.12",))
        for group in ("collections", "docs", "rulebook", "importer", "release")
    },
}
# The groups in each lock, and the lowest Python that the lock is for.
LOCKS = {
    "main": ("3.12", ("main", "collections", "docs", "rulebook", "importer", "release")),
    "oldest": ("3.10", ("oldest",)),
    "bare": ("3.9", ("bare", "tools", "ansible-test")),
}


def location(name: str) -> Path:
    """Return the folder of an environment."""
    return VENV if name == "main" else VENVS / name


def require(*names: str) -> None:
    """Create or update environments, at the same time; those in order cost nothing."""
    with exclusive("environments"), ThreadPoolExecutor() as pool:
        for job in [pool.submit(_update, name) for name in names]:
            job.result()


def _update(name: str) -> None:
    environment, venv = ENVIRONMENTS[name], location(name)
    python = _python(name, environment.pythons)
    lock = ROOT / "requirements" / f"{environment.lock}.txt"
    wanted = [str(python), (ROOT / "pyproject.toml").read_text(), lock.read_text()]
    digest = hashlib.sha256("\0".join(wanted).encode()).hexdigest()
    stamp = venv / ".stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return
    started = time.monotonic()
    if not _was_made_from(venv, python):
        shutil.rmtree(venv, ignore_errors=True)
        uv("venv", "--python", str(python), str(venv))
    install(venv, environment.group, lock)
    stamp.write_text(digest)
    print(f"environment {name}: {time.monotonic() - started:.1f} s", flush=True)


def _python(name: str, versions: tuple[str, ...]) -> Path:
    for version in versions:
        path = find_python(version)
        if path:
            return path
    raise ToolError(f"environment {name}: Python {' or '.join(versions)} is not installed")


def _was_made_from(venv: Path, python: Path) -> bool:
    link = environment_python(venv)
    return link.exists() and link.resolve() == python.resolve()


def install(venv: Path, group: str, lock: Path, *options: str) -> None:
    """Install a group with the versions and hashes of a lock, and remove everything else."""
    what = ["--group", group, "--constraints", str(lock), "--require-hashes"]
    uv("pip", "install", "--python", str(environment_python(venv)), *what, *options or ["--exact"])


def write_locks() -> None:
    """Choose the newest versions that pyproject.toml allows; no index address is written."""
    how = ["--universal", "--upgrade", "--generate-hashes", "--no-annotate", "--no-emit-index-url"]
    for name, (python, groups) in LOCKS.items():
        what = [word for group in groups for word in ("--group", group)]
        target = ["--output-file", f"requirements/{name}.txt"]
        header = ["--custom-compile-command", "make lock"]
        uv("pip", "compile", *how, "--python-version", python, *what, *header, *target)


def uv(*arguments: str) -> None:
    """Run uv and show its output only if it fails."""
    path = TOOLS / "bin" / "uv"
    program = str(path) if path.exists() else shutil.which("uv")
    if not program:
        raise ToolError("uv is not installed: run make help, which installs it into .tools")
    # The system's certificates, as pip takes them: many networks have a proxy with its own.
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "true"}
    run_quietly([program, "--quiet", *arguments], ROOT, env)
