# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run antsibull-docs with the given arguments.

It copies the collection to a folder with a random name, and writes this name into the pages that it
lints. One name in 37 ends with an underscore, which is a reference in reStructuredText and an error
("Unknown target name"). Here, letters follow the name.
"""

from __future__ import annotations

import sys
from functools import partial

from antsibull_docs.cli.antsibull_docs import run
from antsibull_docs.utils import collection_copier
from antsibull_fileutils.tempfile import ansible_mkdtemp

from tests.tools.docs import CONFIGURATION


def main() -> int:
    """Return the exit status of antsibull-docs."""
    named = partial(ansible_mkdtemp, suffix="copy")
    collection_copier.ansible_mkdtemp = named  # type: ignore[attr-defined]
    return run(["antsibull-docs", "--config-file", str(CONFIGURATION), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
