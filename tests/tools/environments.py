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
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from pathlib import Path

_PACKED_MODULES = ROOT / "tests" / "tools" / "packed_modules.py"
# For each lock: its lowest Python, and its groups of pyproject.toml.
LOCKS = {
    "main": ("3.12", ("main", "collections", "docs", "rulebook", "importer", "release")),
    "oldest": ("3.10", ("oldest",)),
    "sinks": ("3.12", ("sinks",)),
    "bare": ("3.9", ("bare", "tools", "ansible-test")),
}
# For each environment: its group, its lock, and the Pythons that it can have.
ENVIRONMENTS = {
    **{group: (group, "main", ("3.12",)) for group in LOCKS["main"][1]},
    "next": ("ansible", "main", ("3.13",)),
    "oldest": ("oldest", "oldest", ("3.10", "3.11")),
    "sinks": ("sinks", "sinks", ("3.12",)),
    "bare-3.9": ("bare", "bare", ("3.9",)),
    "bare-3.13": ("bare", "bare", ("3.13",)),
}


def location(name: str) -> Path:
    """Return the folder of an environment."""
    return VENV if name == "main" else VENVS / name


def describe(name: str) -> str:
    """Return the Python of an environment as ansible-test expects it: X.Y@/path/to/python."""
    (folder,) = (location(name) / "lib").glob("python*")
    return f"{folder.name.removeprefix('python')}@{environment_python(location(name))}"


def require(*names: str) -> None:
    """Create or update environments, at the same time."""
    with exclusive("environments"), ThreadPoolExecutor() as pool:
        for job in [pool.submit(_update, name) for name in names]:
            job.result()


def _update(name: str) -> None:
    """Create or update an environment, unless nothing has changed since the last time."""
    started = time.monotonic()
    venv, (group, lock, versions) = location(name), ENVIRONMENTS[name]
    python = next(filter(None, map(find_python, versions)), None)
    if not python:
        raise ToolError(f"environment {name}: Python {' or '.join(versions)} is not installed")
    files = [ROOT / "pyproject.toml", ROOT / "requirements" / f"{lock}.txt", _PACKED_MODULES]
    contents = [str(python), *(file.read_text(encoding="utf-8") for file in files)]
    digest = hashlib.sha256("\0".join(contents).encode()).hexdigest()
    stamp, link = venv / ".stamp", environment_python(venv)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    if not link.exists() or link.resolve() != python.resolve():
        shutil.rmtree(venv, ignore_errors=True)
        uv("venv", "--python", str(python), str(venv))
    install(venv, group, lock, "--exact")
    _keep_packed_modules(venv)
    stamp.write_text(digest, encoding="utf-8")
    print(f"environment {name}: {time.monotonic() - started:.1f} s", flush=True)


def _keep_packed_modules(venv: Path) -> None:
    """Let the processes of an environment keep the code of packed modules."""
    (packages,) = (venv / "lib").glob("python*/site-packages")
    name = f"_nomba_{_PACKED_MODULES.stem}"
    shutil.copyfile(_PACKED_MODULES, packages / f"{name}.py")
    (packages / f"{name}.pth").write_text(f"import {name}; {name}.install()\n", encoding="utf-8")
    kept = venv / "packed-modules"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()


def install(venv: Path, group: str, lock: str, *options: str) -> None:
    """Install a group with the versions and hashes of a lock."""
    what = ["--group", group, "--constraints", f"requirements/{lock}.txt", "--require-hashes"]
    uv("pip", "install", "--python", str(environment_python(venv)), *what, *options)


def write_locks() -> None:
    """Choose the newest versions that pyproject.toml allows; no index address is written."""
    how = ["--universal", "--upgrade", "--generate-hashes", "--no-annotate", "--no-emit-index-url"]
    for name, (python, groups) in LOCKS.items():
        what = ["--python-version", python, *(f"--group={group}" for group in groups)]
        target = [
            "--custom-compile-command",
            "make lock",
            "--output-file",
            f"requirements/{name}.txt",
        ]
        uv("pip", "compile", *how, *what, *target)


def uv(*arguments: str) -> None:
    """Run uv and show its output only if it fails."""
    program = shutil.which("uv", path=f"{TOOLS / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if not program:
        raise ToolError("uv is not installed: run make help, which installs it into .tools")
    # The system's certificates, as pip takes them: many networks have a proxy with its own.
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "true"}
    run_quietly([program, "--quiet", *arguments], ROOT, env)
