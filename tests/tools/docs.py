# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the site of guides and reference pages into docs/_build; a warning is a failure.

Nothing is downloaded: an inventory below names the pages of Ansible that are linked to.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import yaml

from tests.tools.project import BUILD, ROOT

SITE = BUILD / "docs"
OUTPUT = ROOT / "docs" / "_build"
INVENTORY_HEAD = """\
# Sphinx inventory version 2
# Project: Ansible
# Version:
# The remainder of this file is compressed using zlib.
"""
_BUILTIN = "collections/ansible/builtin"
# The labels and variables of Ansible's documentation that antsibull-docs links to, and their pages.
LABELS = {
    "ansible_collections.ansible.builtin.default_callback": f"{_BUILTIN}/default_callback.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "callback_plugins": "plugins/callback.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
VARIABLES = (
    "ANSIBLE_DISPLAY_SKIPPED_HOSTS",
    "ANSIBLE_SHOW_CUSTOM_STATS",
    "ANSIBLE_STDOUT_CALLBACK",
)
CONFIGURATION = Path(__file__).with_name("antsibull-docs.cfg")


def main(docsite: Path) -> int:
    """Write the reference pages and the index, and build the site."""
    prepare(docsite)
    how = ["--use-current", "--squash-hierarchy", "--no-indexes", "--fail-on-error"]
    configured = ["antsibull-docs", "--config-file", str(CONFIGURATION)]
    pages = [*configured, "collection", *how, "--dest-dir", str(SITE / "rst"), "nomba.auth"]
    subprocess.run(pages, cwd=SITE, check=True)
    write_index(docsite)
    strict = ["--fail-on-warning", "--keep-going", "--fresh-env", "--quiet"]
    version = yaml.safe_load((docsite.parents[1] / "galaxy.yml").read_text("utf-8"))["version"]
    values = ["-D", f"version={version}", "-D", f"html_title=nomba.auth {version}"]
    build = [
        "sphinx-build",
        *strict,
        *values,
        "--conf-dir",
        str(SITE),
        str(SITE / "rst"),
        str(OUTPUT),
    ]
    return subprocess.run(build, cwd=SITE, check=False).returncode


def prepare(docsite: Path) -> None:
    """Copy Sphinx's sources, except for the pages that antsibull-docs writes."""
    for folder in (SITE, OUTPUT):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(docsite / "site", SITE)
    shutil.copytree(docsite / "rst" / "images", SITE / "rst" / "docsite" / "images")
    shutil.copy(docsite.parent / "demo.svg", SITE / "rst" / "docsite" / "images")
    # The guides find them two folders up, as in the repository.
    shutil.copytree(docsite.parent / "examples", SITE / "examples")
    # antsibull-docs requires a folder that nobody else can write to.
    (SITE / "rst").chmod(0o755)
    (SITE / "ansible.inv").write_bytes(INVENTORY_HEAD.encode() + zlib.compress(inventory()))


def inventory() -> bytes:
    """Return the objects of Ansible's documentation."""
    lines = [f"{name} std:label -1 {page} -" for name, page in LABELS.items()]
    page = LABELS["ansible_configuration_settings"]
    lines += [f"{name} std:envvar 1 {page}#envvar-$ -" for name in VARIABLES]
    return "".join(f"{line}\n" for line in lines).encode()


def write_index(docsite: Path) -> None:
    """Replace the index that antsibull-docs writes with ours and a list of all plugins."""
    index = SITE / "rst" / "index.rst"
    shutil.copy(docsite / "site" / "rst" / "index.rst", index)
    with index.open("a", encoding="utf-8") as page:
        page.write("\n.. toctree::\n   :hidden:\n   :caption: Modules and plugins\n\n")
        for kind in ("module", "role", "filter", "lookup", "callback"):
            for path in sorted((SITE / "rst").glob(f"*_{kind}.rst")):
                page.write(f"   {path.stem.removesuffix(f'_{kind}')} ({kind}) <{path.stem}>\n")
        page.write("   environment_variables\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
