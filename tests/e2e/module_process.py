# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module in a process of its own, which reports its cost. Options come on standard input."""

from __future__ import annotations

import importlib
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
class ProcessResult:
    """The result of the module, its peak memory (bytes), its imports, and its exit status.

    errors: the lines on standard error, without the one that reports the cost.
    """

    result: Mapping[str, Any]
    peak: int
    imported: frozenset[str]
    status: int
    errors: Sequence[str]


def run_module_process(options: Mapping[str, Any], folder: Path) -> ProcessResult:
    """Run nomba_token_revoke with these options and a private folder for temporary files."""
    return wait_for_result(start_module_process(options, folder))


def start_module_process(
    options: Mapping[str, Any], folder: Path, module: str = "nomba_token_revoke"
) -> subprocess.Popen[str]:
    """Start a module, and return while it runs."""
    paths = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as given:
        json.dump({**options, "_ansible_remote_tmp": str(folder)}, given)
        given.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", __name__, module],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(folder)},
        )


def wait_for_result(process: subprocess.Popen[str], seconds: float | None = None) -> ProcessResult:
    """Wait until the process exits. Kill it and raise TimeoutExpired after the seconds."""
    with process:
        try:
            output, errors = process.communicate(timeout=seconds)
        finally:
            process.kill()  # no effect on a process that has exited
    *others, last = errors.splitlines()
    cost = json.loads(last)
    imported = frozenset(cost["imported"])
    return ProcessResult(json.loads(output), cost["peak"], imported, process.returncode, others)


def main() -> None:
    """Run the module, then report its cost."""
    from ansible.module_utils import basic

    module = importlib.import_module(
        f"ansible_collections.nomba.auth.plugins.modules.{sys.argv[1]}"
    )
    arguments = {"ANSIBLE_MODULE_ARGS": json.load(sys.stdin)}
    vars(basic).update(_ANSIBLE_ARGS=json.dumps(arguments).encode(), _ANSIBLE_PROFILE="legacy")
    try:
        module.main()
    finally:
        sys.stderr.write(json.dumps({"peak": _peak(), "imported": list(sys.modules)}) + "\n")


def _peak() -> int:
    # Not getrusage: its number begins with what the parent had before this program started.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
