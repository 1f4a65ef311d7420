# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module in a process of its own, which reports its cost. Options come on standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Apart:
    """The module's result, its largest memory (bytes), its imports, and how the process ended.

    errors: the lines on standard error, without the one that reports the cost.
    """

    result: Mapping[str, Any]
    peak: int
    imported: frozenset[str]
    status: int
    errors: Sequence[str]


def run_apart(options: Mapping[str, Any], folder: Path) -> Apart:
    """Run nomba_token_revoke with these options and a private folder for temporary files."""
    return await_end(start_apart(options, folder))


def start_apart(options: Mapping[str, Any], folder: Path) -> subprocess.Popen[str]:
    """Start it, and return while it runs."""
    paths = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as given:
        json.dump({**options, "_ansible_remote_tmp": str(folder)}, given)
        given.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(folder)},
        )


def await_end(process: subprocess.Popen[str], seconds: float | None = None) -> Apart:
    """Wait until it has ended by itself. Kills it and raises TimeoutExpired after the seconds."""
    with process:
        try:
            output, errors = process.communicate(timeout=seconds)
        finally:
            process.kill()  # no effect on a process that has ended
    *others, last = errors.splitlines()
    cost = json.loads(last)
    imported = frozenset(cost["imported"])
    return Apart(json.loads(output), cost["peak"], imported, process.returncode, others)


def main() -> None:
    """Run the module, and report its cost last of all."""
    from ansible.module_utils import basic

    from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke

    arguments = {"ANSIBLE_MODULE_ARGS": json.load(sys.stdin)}
    vars(basic).update(_ANSIBLE_ARGS=json.dumps(arguments).encode(), _ANSIBLE_PROFILE="legacy")
    try:
        nomba_token_revoke.main()
    finally:
        sys.stderr.write(json.dumps({"peak": _peak(), "imported": list(sys.modules)}) + "\n")


def _peak() -> int:
    # Not getrusage: its number begins with what the parent had before this program started.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
