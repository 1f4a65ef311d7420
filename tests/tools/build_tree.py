# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the collection to where Ansible's tools require it: .build/ansible_collections/nomba/auth.

It is a copy of all tracked and new files, because ansible-test follows no symbolic link.
Modification times are kept, so caches stay valid; deleted files are deleted in the copy too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tools.project import BUILD, ROOT, VENV, VENVS, ToolError, exclusive, fail

COLLECTION = Path("ansible_collections") / "nomba" / "auth"
# Other collections that this one works with.
OTHERS = ("community/general", "community/hashi_vault")


def lay_build_tree(base: Path = BUILD) -> Path:
    """Update <base>/ansible_collections/nomba/auth from the repository, and return it."""
    tree, manifest = base / COLLECTION, base / "manifest.json"
    with exclusive("tree"):
        tree.mkdir(parents=True, exist_ok=True)
        names = repository_files()
        previous = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else []
        for name in set(previous) - set(names):
            (tree / name).unlink(missing_ok=True)
            remove_empty_folders((tree / name).parent, tree)
        for name in names:
            copy_if_changed(ROOT / name, tree / name)
        manifest.write_text(json.dumps(names), encoding="utf-8")
        # ansible-test reads the list of files from git, and the outer git ignores everything here.
        if not (tree / ".git").exists():
            git("init", "--quiet", "--template=", cwd=tree)
        link_other_collections(tree.parents[1])
        config = {"simulator_python": str(VENV / "bin" / "python"), "simulator_folder": str(tree)}
        path = tree / "tests" / "integration" / "integration_config.yml"
        path.write_text("---\n" + json.dumps(config) + "\n", encoding="utf-8")
    return tree


def repository_files() -> list[str]:
    """Return tracked and new files, without ignored and deleted ones."""
    listing = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    return sorted({name for name in listing.split("\0") if name and os.path.lexists(ROOT / name)})


def remove_empty_folders(folder: Path, top: Path) -> None:
    """Remove a folder and those above it while they contain only byte code."""
    while folder != top and folder.is_dir():
        if any(entry.name != "__pycache__" for entry in folder.iterdir()):
            return
        shutil.rmtree(folder)
        folder = folder.parent


def copy_if_changed(source: Path, copy: Path) -> None:
    """Copy a file with its time and mode, atomically."""
    if fingerprint(source) == fingerprint(copy):
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    partial = copy.with_name(f".{copy.name}.partial")
    shutil.copy2(source, partial, follow_symlinks=False)
    partial.replace(copy)


def fingerprint(path: Path) -> tuple[int, ...] | None:
    """Return values that change with the file, or None without the file."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_mode


def link_other_collections(collections: Path) -> None:
    """Link other collections beside ours."""
    for name in OTHERS:
        (collections / name).parent.mkdir(exist_ok=True)
        for place in VENVS.glob(f"collections/lib/python*/site-packages/{COLLECTION.parts[0]}"):
            if not (collections / name).is_symlink():
                (collections / name).symlink_to(place / name)


def git(*arguments: str, cwd: Path) -> str:
    """Run git in a folder, without the variables that git's hooks set."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    run = subprocess.run(
        ["git", *arguments], cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise ToolError(f"git {arguments[0]} failed: {run.stderr.strip()}")
    return run.stdout


if __name__ == "__main__":
    try:
        print(lay_build_tree())
    except ToolError as error:
        sys.exit(fail(error))
