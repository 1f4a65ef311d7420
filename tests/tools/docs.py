# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make docs: the site of guides and reference pages, into docs/_build; a warning is a failure.

Nothing is fetched: the few pages of Ansible's own that are linked to stand in an inventory below.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import Check, close, run_checks
from tests.tools.project import (
    BUILD,
    ROOT,
    VENV,
    VENVS,
    ToolError,
    environment_python,
    fail,
    tool_environment,
)

if TYPE_CHECKING:
    from pathlib import Path

SITE = BUILD / "docs"
OUTPUT = ROOT / "docs" / "_build"
GENERATED = ROOT / "docs" / "docsite" / "rst" / "outcomes.rst"

# What a reference page is about, in the order in which people look for it.
KINDS = ("module", "role", "filter", "lookup")
# The labels of Ansible's documentation that antsibull-docs links to, and where they lead.
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


def main() -> int:
    """Write the generated page anew, then build the site and say where it is."""
    try:
        write_generated_page()
        tree = lay_build_tree()
        prepare(tree)
        outcomes = run_checks([reference_pages()])
        write_index(tree)
        outcomes += run_checks([site()])
    except ToolError as error:
        return fail(error)
    print(f"The site begins at {OUTPUT / 'index.html'}")
    return close(outcomes)


def write_generated_page() -> None:
    """Bring the page of outcomes and codes in line with the code."""
    tree = lay_build_tree()
    env = tool_environment(PYTHONPATH=f"{tree}:{BUILD}")
    command = [str(environment_python(VENV)), "-m", "tests.tools.codes"]
    run = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
    if run.returncode:
        raise ToolError(f"the page of outcomes could not be made:\n{run.stderr.strip()}")
    if not GENERATED.exists() or GENERATED.read_text(encoding="utf-8") != run.stdout:
        GENERATED.write_text(run.stdout, encoding="utf-8")


def prepare(tree: Path) -> None:
    """Lay out Sphinx's sources, except for the pages that antsibull-docs writes."""
    for folder in (SITE, OUTPUT):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tree / "docs" / "docsite" / "site", SITE)
    guides = SITE / "rst" / "docsite"
    shutil.copytree(tree / "docs" / "docsite" / "rst" / "images", guides / "images")
    # Where the guides find them in the repository, too: two folders up.
    shutil.copytree(tree / "docs" / "examples", SITE / "examples")
    # antsibull-docs insists on a folder that nobody else can write to.
    (SITE / "rst").chmod(0o755)
    (SITE / "ansible.inv").write_bytes(inventory())


def inventory() -> bytes:
    """Return Sphinx's list of what can be linked to in Ansible's documentation."""
    lines = "".join(f"{name} std:label -1 {page} -\n" for name, page in ANSIBLES_OWN.items())
    return INVENTORY_HEAD.encode() + zlib.compress(lines.encode())


def reference_pages() -> Check:
    """Return the program that writes a page for each plugin, and takes the guides along."""
    how = ["--use-current", "--squash-hierarchy", "--no-indexes", "--fail-on-error"]
    command = ["antsibull-docs", "collection", *how, "--dest-dir", str(SITE / "rst"), "nomba.auth"]
    return Check("reference pages", command, SITE, environment())


def write_index(tree: Path) -> None:
    """Put our first page in the place of the one that antsibull-docs writes.

    The list of plugins is added here, with names that fit beside the text.
    """
    index = SITE / "rst" / "index.rst"
    shutil.copy(tree / "docs" / "docsite" / "site" / "rst" / "index.rst", index)
    with index.open("a", encoding="utf-8") as page:
        page.write("\n.. toctree::\n   :hidden:\n   :caption: Modules and plugins\n\n")
        for kind in KINDS:
            for path in sorted((SITE / "rst").glob(f"*_{kind}.rst")):
                name = path.stem.removesuffix(f"_{kind}")
                page.write(f"   {name} ({kind}) <{path.stem}>\n")
        page.write("   environment_variables\n")


def site() -> Check:
    """Return the program that makes the site of all pages."""
    strict = ["--fail-on-warning", "--keep-going", "--fresh-env", "--quiet"]
    command = ["sphinx-build", *strict, "--conf-dir", str(SITE), str(SITE / "rst"), str(OUTPUT)]
    return Check("site", command, SITE, environment())


def environment() -> dict[str, str]:
    """Return an environment with the site's own tools, in which the collection is found."""
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(BUILD), "ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"}
    return tool_environment(VENVS / "docs", **settings)


if __name__ == "__main__":
    sys.exit(main())
