# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make lock: choose versions for the groups of pyproject.toml and pin them with their hashes."""

from __future__ import annotations

import sys

from tests.tools.project import ROOT, ToolError, fail
from tests.tools.venvs import uv

# The lowest Python of each group; one list serves all above it.
LOWEST_PYTHON = {
    "tools": "3.11",
    "ansible-test": "3.11",
    "dev": "3.12",
    "collections": "3.12",
    "docs": "3.12",
    "oldest": "3.10",
    "bare": "3.9",
    "rulebook": "3.12",
    "importer": "3.12",
    "quality": "3.12",
}


def main() -> int:
    """Write requirements/<group>.txt for each group."""
    try:
        for group, python in LOWEST_PYTHON.items():
            lock(group, python)
    except ToolError as error:
        return fail(error)
    return 0


def lock(group: str, python: str) -> None:
    """Compile one group, without the address of any package index."""
    target = ROOT / "requirements" / f"{group}.txt"
    what = ["--group", group, "--universal", "--python-version", python, "--upgrade"]
    how = ["--generate-hashes", "--no-emit-index-url", "--custom-compile-command", "make lock"]
    uv("pip", "compile", *what, *how, "--output-file", str(target))


if __name__ == "__main__":
    sys.exit(main())
