# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the compiled code of packed modules, for the processes that the tests start.

Ansible packs a module and all files that it imports as source into a ZIP archive. The process of
the module compiles each file, and zipimport does so twice: a quarter of the time of a rotation.
Each environment has a copy of this file, which a .pth file imports in each process. The key is the
source itself, so that a changed file is compiled again. The benchmark measures without it.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport
from types import CodeType

FOLDER = f"{sys.prefix}/packed-modules"
_compile = zipimport._compile_source  # type: ignore[attr-defined]


def compile_once(path: str, source: bytes) -> CodeType:
    """Return the code of a source file, in place of zipimport's own function."""
    name = f"{_imp.source_hash(sys.hexversion, source).hex()}-{len(source)}"
    kept = f"{FOLDER}/{name}"
    try:
        with open(kept, "rb") as file:  # noqa: PTH123 -- pathlib is slow to import
            code: CodeType = marshal.load(file)
    except (OSError, EOFError, TypeError, ValueError):
        code = _compile(path, source)
        _keep(code, kept)
    else:
        _imp._fix_co_filename(code, path)  # type: ignore[attr-defined]
    return code


def _keep(code: CodeType, kept: str) -> None:
    """Write the code, unless the folder belongs to another user or the disk is full."""
    new = f"{kept}-{os.getpid()}"
    try:
        with open(new, "xb") as file:  # noqa: PTH123 -- as above
            marshal.dump(code, file)
        os.replace(new, kept)  # noqa: PTH105 -- as above
    except OSError:
        pass


def install() -> None:
    """Use the function in this process, unless the environment says otherwise."""
    if "NOMBA_TESTS_COMPILE_MODULES" not in os.environ:
        zipimport._compile_source = compile_once  # type: ignore[attr-defined]
