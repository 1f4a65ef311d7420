# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths, the Pythons and programs of this machine, and the environment variables of all tools."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
HOME = BUILD / "home"
REPORTS = BUILD / "reports"
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
VENVS = ROOT / ".venvs"
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
PROBE = "import sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"


class ToolError(Exception):
    """The user has to change something; the text is one clear sentence."""


def fail(message: object) -> int:
    """Print an error and return the exit status of a failure."""
    print(f"error: {message}", file=sys.stderr)
    return 1


def run_quietly(command: list[str], cwd: Path, env: Mapping[str, str]) -> None:
    """Run a program and show its output only if it fails."""
    ran = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ToolError(f"{' '.join(command)} failed:\n{ran.stdout}{ran.stderr}")


def environment_python(venv: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return venv / "bin" / "python"


@functools.cache
def find_python(version: str) -> Path | None:
    """Return the interpreter of a version; it has been run."""
    return next(filter(None, (_probe(path, version) for path in _candidates(version))), None)


def _candidates(version: str) -> Iterator[Path]:
    """Yield programs first and pyenv's shims last: a shim can have no Python behind it."""
    name = f"python{version}"
    home = Path(os.environ.get("HOME") or "/nonexistent")
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"), reverse=True)
    yield from sorted(home.glob(f".local/share/uv/python/cpython-{version}.*/bin/{name}"))
    for folder in sorted(_user_path(), key=_is_shims):
        if (Path(folder) / name).is_file():
            yield Path(folder) / name


def _user_path() -> list[str]:
    return list(filter(None, os.environ.get("PATH", os.defpath).split(os.pathsep)))


def _is_shims(folder: str) -> bool:
    return "shims" in Path(folder).parts


def _probe(candidate: Path, version: str) -> Path | None:
    run = subprocess.run([candidate, "-c", PROBE], capture_output=True, text=True, check=False)
    found, __, path = run.stdout.strip().partition(" ")
    return Path(path) if run.returncode == 0 and found == version else None


def tool_environment(venv: Path = VENV, **extra: str) -> dict[str, str]:
    """Return the variables of a tool: a HOME inside the build folder, no shims on the PATH."""
    _share_pip_with_user()
    kept = {
        name: value
        for name, value in os.environ.items()
        # Git's hooks set GIT_*, which would lead git away from the build tree.
        if not name.startswith(("GIT_", "ANSIBLE_", "NOMBA_", "COVERAGE_", "PYTEST_"))
        # Byte code shortens hundreds of Python starts.
        and name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS"}
    }
    pythons = [str(path.parent) for path in map(find_python, reversed(PYTHONS)) if path]
    others = [folder for folder in _user_path() if not _is_shims(folder) and folder not in pythons]
    path = os.pathsep.join([str(venv / "bin"), *pythons, *others])
    return {**kept, "HOME": str(HOME), "PATH": path, "PYTHONUNBUFFERED": "1", **extra}


def tree_environment(tree: Path, venv: Path = VENV, **extra: str) -> dict[str, str]:
    """Return the variables with which Python and Ansible find the collection in the tree."""
    base = str(tree.parents[2])
    paths = {"PYTHONPATH": f"{tree}:{base}", "ANSIBLE_COLLECTIONS_PATH": base}
    return tool_environment(venv, **(paths | {"ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"} | extra))


def _share_pip_with_user() -> None:
    """Link the user's cache and settings of pip into HOME."""
    for name in (".cache/pip", ".config/pip"):
        ours, theirs = HOME / name, Path(os.environ.get("HOME") or "/nonexistent") / name
        ours.parent.mkdir(parents=True, exist_ok=True)
        if theirs.is_dir() and theirs.resolve() != ours.resolve() and not ours.exists():
            with contextlib.suppress(FileExistsError):
                ours.symlink_to(theirs)


def require_programs(**packages: str) -> None:
    """Install missing programs with apt-get if the user is root; otherwise name them."""
    path = os.pathsep.join([*_user_path(), "/usr/sbin", "/sbin"])
    missing = [package for name, package in packages.items() if not shutil.which(name, path=path)]
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise ToolError(f"install these packages of your system first: {' '.join(missing)}")
    print(f"Installing with apt-get: {' '.join(missing)}", flush=True)
    script = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    command = ["sh", "-c", f"{script} || {{ apt-get update && {script}; }}"]
    run_quietly(command, ROOT, {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


@contextlib.contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold a lock, so that two runs in one checkout do not write the same files."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{name}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
