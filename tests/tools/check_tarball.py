# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that a tarball of the collection contains the product and nothing else."""

from __future__ import annotations

import sys
import tarfile

# Files and folders at the top of the tarball; build_ignore in galaxy.yml lists all others.
ALLOWED = {"CHANGELOG.md", "COPYING", "FILES.json", "LICENSES", "MANIFEST.json", "README.md"}
ALLOWED |= {"changelogs", "docs", "extensions", "meta", "playbooks", "plugins", "roles"}
REQUIRED = {"CHANGELOG.md", "COPYING", "MANIFEST.json", "README.md", "changelogs/changelog.yaml"}
REQUIRED |= {"docs/docsite/extra-docs.yml", "docs/docsite/links.yml", "meta/runtime.yml"}
REQUIRED |= {"docs/docsite/rst/images/revoke.svg", "docs/docsite/rst/leaked.rst"}
REQUIRED |= {"plugins/callback/steps.py", "plugins/modules/nomba_token_revoke.py"}
# The sources and the output of the site.
SITE = ("docs/_build", "docs/docsite/site")
# Files that tools leave behind, in any folder.
LEFTOVERS = ("__pycache__", ".pyc", ".orig", ".rej", "~", ".log", ".pem", ".key")


def find_faults(path: str) -> list[str]:
    """Return a sentence for each file that is not allowed and each that is missing."""
    with tarfile.open(path) as tarball:
        names = {member.name.removeprefix("./") for member in tarball} - {".", ""}
    return [
        *(
            f"{path}: {name} is not part of the product"
            for name in sorted(names)
            if is_unexpected(name)
        ),
        *(f"{path}: {name} is missing" for name in sorted(REQUIRED - names)),
    ]


def is_unexpected(name: str) -> bool:
    """Return whether a file is not allowed in the tarball."""
    return (
        name.split("/", maxsplit=1)[0] not in ALLOWED
        or name.endswith(LEFTOVERS)
        or name.startswith(SITE)
        or (name.startswith("changelogs/") and name != "changelogs/changelog.yaml")
    )


if __name__ == "__main__":
    faults = [fault for path in sys.argv[1:] for fault in find_faults(path)]
    sys.exit("\n".join(faults) or 0)
