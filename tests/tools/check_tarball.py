# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look into a collection's tarball: it holds the product and nothing else."""

from __future__ import annotations

import sys
import tarfile

# Files and folders at the top of the tarball; galaxy.yml's build_ignore is the other side of this.
ALLOWED = {
    "CHANGELOG.md",
    "COPYING",
    "FILES.json",
    "LICENSES",
    "MANIFEST.json",
    "README.md",
    "changelogs",
    "docs",
    "extensions",
    "meta",
    "playbooks",
    "plugins",
    "roles",
}
REQUIRED = {
    "CHANGELOG.md",
    "COPYING",
    "MANIFEST.json",
    "README.md",
    "changelogs/changelog.yaml",
    "docs/docsite/extra-docs.yml",
    "docs/docsite/links.yml",
    "docs/docsite/rst/images/revoke.svg",
    "docs/docsite/rst/leaked.rst",
    "meta/runtime.yml",
    "plugins/modules/nomba_token_revoke.py",
}
# What the documentation's site is made with, and what comes of it.
SITE = ("docs/_build", "docs/docsite/site")
# Nothing that a tool leaves behind, wherever it lies.
LEFTOVERS = ("__pycache__", ".pyc", ".orig", ".rej", "~", ".log", ".pem", ".key")


def main(paths: list[str]) -> int:
    """Judge each tarball named on the command line."""
    faults = [fault for path in paths for fault in find_faults(path)]
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


def find_faults(path: str) -> list[str]:
    """Return a sentence for each file too many and each file too few."""
    with tarfile.open(path) as tarball:
        names = {member.name.removeprefix("./") for member in tarball} - {".", ""}
    return [
        *(f"{path}: {name} is not part of the product" for name in sorted(names) if foreign(name)),
        *(f"{path}: {name} is missing" for name in sorted(REQUIRED - names)),
    ]


def foreign(name: str) -> bool:
    """Tell whether a file has no place in the tarball."""
    return (
        name.split("/", maxsplit=1)[0] not in ALLOWED
        or name.endswith(LEFTOVERS)
        or name.startswith(SITE)
        or (name.startswith("changelogs/") and name != "changelogs/changelog.yaml")
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
