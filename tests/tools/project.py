# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are, which Pythons this machine has, and the environment that tools run in."""

from __future__ import annotations

import contextlib
import fcntl
import os
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
VENV = ROOT / ".venv"
VENVS = ROOT / ".venvs"
TOOLS_PYTHON = ROOT / ".tools" / "bin" / "python"
UV = ROOT / ".tools" / "bin" / "uv"

CONTROLLER_PYTHONS = ("3.12", "3.13")
OLDEST_CORE_PYTHONS = ("3.10", "3.11")
TARGET_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")

PROBE = "import sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"


class ToolError(Exception):
    """Something that a person has to put right; its text is one clear sentence."""


def run_silently(command: list[str], cwd: Path, env: Mapping[str, str] | None = None) -> None:
    """Run a program that says nothing unless it fails; without `env` it has ours."""
    ran = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise ToolError(f"{' '.join(command)} failed:\n{ran.stdout}{ran.stderr}")


def environment_python(venv: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return venv / "bin" / "python"


def find_pythons(wanted: tuple[str, ...] = TARGET_PYTHONS) -> dict[str, Path]:
    """Return the interpreters this machine has, by version; each one has been run."""
    found = {version: _first_that_runs(version) for version in wanted}
    return {version: path for version, path in found.items() if path}


def one_python(wanted: tuple[str, ...]) -> tuple[str, Path]:
    """Return the first of the wanted versions that this machine has."""
    for version, path in find_pythons(wanted).items():
        return version, path
    raise ToolError(f"None of these Pythons is installed, and one is needed: {', '.join(wanted)}")


def _first_that_runs(version: str) -> Path | None:
    for candidate in _candidates(version):
        path = _probe(candidate, version)
        if path:
            return path
    return None


def _candidates(version: str) -> Iterator[Path]:
    """Yield real programs first and shims last: a shim may have nothing behind it."""
    name = f"python{version}"
    folders = [Path(entry) for entry in os.environ.get("PATH", os.defpath).split(os.pathsep)]
    home = Path(os.environ.get("HOME", "/nonexistent"))
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"), reverse=True)
    yield from sorted(home.glob(f".local/share/uv/python/cpython-{version}.*/bin/{name}"))
    for shims in (False, True):
        for folder in folders:
            if _is_shims(folder) is shims and (folder / name).is_file():
                yield folder / name


def _is_shims(folder: Path) -> bool:
    return "shims" in folder.parts


def _probe(candidate: Path, version: str) -> Path | None:
    run = subprocess.run([candidate, "-c", PROBE], capture_output=True, text=True, check=False)
    answer = run.stdout.split(maxsplit=1)
    if run.returncode or len(answer) != len(("version", "path")) or answer[0] != version:
        return None
    return Path(answer[1].strip())


def tool_environment(venv: Path = VENV, **extra: str) -> dict[str, str]:
    """Return an environment with a home of the project's own and every Python on the PATH."""
    HOME.mkdir(parents=True, exist_ok=True)
    _share_pip_with_user()
    kept = {
        name: value
        for name, value in os.environ.items()
        # GIT_*: set inside git's hooks, and would lead git away from the build tree.
        # Byte code speeds up the hundreds of Python starts of a test run.
        if not name.startswith(("GIT_", "ANSIBLE_", "NOMBA_", "COVERAGE_"))
        and name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS"}
    }
    return {**kept, "HOME": str(HOME), "PATH": _path(venv), "PYTHONUNBUFFERED": "1", **extra}


def _path(venv: Path) -> str:
    pythons = [str(path.parent) for path in find_pythons().values()]
    others = [
        entry
        for entry in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if entry and not _is_shims(Path(entry)) and entry not in pythons
    ]
    return os.pathsep.join([str(venv / "bin"), *reversed(pythons), *others])


def _share_pip_with_user() -> None:
    """Let pip keep the user's cache and settings although HOME is ours."""
    user = Path(os.environ.get("HOME", "/nonexistent"))
    for name in (".cache/pip", ".config/pip"):
        ours, theirs = HOME / name, user / name
        if theirs.is_dir() and theirs.resolve() != ours.resolve() and not ours.exists():
            ours.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                ours.symlink_to(theirs)


@contextlib.contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold a lock, so that two runs in one checkout do not write the same files at once."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{name}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fail(message: object) -> int:
    """Say why on standard error and return the exit status of a failure."""
    print(f"error: {message}", file=sys.stderr)
    return 1
