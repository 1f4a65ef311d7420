# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A temporary repository with the files of this one."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.tools.build_tree import git
from tests.tools.project import ROOT

# Build output, installed tools, and files that exist only in the build tree.
NOT_COPIED = shutil.ignore_patterns(
    ".git",
    ".build",
    ".venv*",
    ".tools",
    ".ansible",
    "__pycache__",
    "output",
    ".hypothesis",
    ".*_cache",
)


def make_clone(folder: Path) -> Path:
    """Create the repository with one commit."""
    root = folder / "clone"
    shutil.copytree(ROOT, root, ignore=NOT_COPIED, symlinks=True)
    git("init", "--quiet", "--template=", cwd=root)
    configure_author(root)
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "--message", "All", cwd=root)
    return root


def configure_author(root: Path) -> None:
    """Set the author of commits in a repository."""
    for name, value in {"user.name": "A tester", "user.email": "tester@example.org"}.items():
        git("config", name, value, cwd=root)


def state(root: Path) -> tuple[str, str, str]:
    """Return the state of a repository: commit, tags, and uncommitted files."""
    commit = git("rev-parse", "HEAD", cwd=root)
    return commit, git("tag", "--list", cwd=root), git("status", "--porcelain", cwd=root)
