# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site of guides and reference pages, into docs/_build; a warning is a failure.

Nothing is downloaded: an inventory below names the pages of Ansible that are linked to.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from pathlib import Path

from tests.tools.checks import Check
from tests.tools.environments import location
from tests.tools.parts import PYTHON
from tests.tools.project import BUILD, ROOT, tree_environment

SITE = BUILD / "docs"
OUTPUT = ROOT / "docs" / "_build"

# The kinds of reference pages, in the order of the index.
KINDS = ("module", "role", "filter", "lookup")
# The labels of Ansible's documentation that antsibull-docs links to, and their pages.
ANSIBLES_OWN = {
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
INVENTORY_HEAD = """\
# Sphinx inventory version 2
# Project: Ansible
# Version:
# The remainder of this file is compressed using zlib.
"""


def docs_checks(tree: Path) -> list[Check]:
    """Return the two steps: a reference page for each plugin, and the site of all pages."""
    prepare(tree)
    how = ["--use-current", "--squash-hierarchy", "--no-indexes", "--fail-on-error"]
    pages = ["antsibull-docs", "collection", *how, "--dest-dir", str(SITE / "rst"), "nomba.auth"]
    env = tree_environment(tree, location("docs"))
    site = [PYTHON, "-m", "tests.tools.docs", str(tree)]
    return [Check("reference pages", pages, SITE, env), Check(f"site {OUTPUT}", site, ROOT, env)]


def main(tree: Path) -> int:
    """Write the index and build the site."""
    write_index(tree)
    strict = ["--fail-on-warning", "--keep-going", "--fresh-env", "--quiet"]
    command = ["sphinx-build", *strict, "--conf-dir", str(SITE), str(SITE / "rst"), str(OUTPUT)]
    return subprocess.run(command, check=False).returncode


def prepare(tree: Path) -> None:
    """Copy Sphinx's sources, except for the pages that antsibull-docs writes."""
    for folder in (SITE, OUTPUT):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tree / "docs" / "docsite" / "site", SITE)
    guides = SITE / "rst" / "docsite"
    shutil.copytree(tree / "docs" / "docsite" / "rst" / "images", guides / "images")
    # Where the guides find them in the repository, too: two folders up.
    shutil.copytree(tree / "docs" / "examples", SITE / "examples")
    # antsibull-docs requires a folder that nobody else can write to.
    (SITE / "rst").chmod(0o755)
    (SITE / "ansible.inv").write_bytes(inventory())


def inventory() -> bytes:
    """Return Sphinx's list of what can be linked to in Ansible's documentation."""
    lines = "".join(f"{name} std:label -1 {page} -\n" for name, page in ANSIBLES_OWN.items())
    return INVENTORY_HEAD.encode() + zlib.compress(lines.encode())


def write_index(tree: Path) -> None:
    """Replace the index that antsibull-docs writes with ours and a list of all plugins."""
    index = SITE / "rst" / "index.rst"
    shutil.copy(tree / "docs" / "docsite" / "site" / "rst" / "index.rst", index)
    with index.open("a", encoding="utf-8") as page:
        page.write("\n.. toctree::\n   :hidden:\n   :caption: Modules and plugins\n\n")
        for kind in KINDS:
            for path in sorted((SITE / "rst").glob(f"*_{kind}.rst")):
                name = path.stem.removesuffix(f"_{kind}")
                page.write(f"   {name} ({kind}) <{path.stem}>\n")
        page.write("   environment_variables\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
