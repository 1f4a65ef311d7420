# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module in a process of its own, which tells what it cost. Options come on standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Apart:
    """What the module said, the most memory that it ever had (bytes), and what it imported."""

    result: Mapping[str, Any]
    peak: int
    imported: frozenset[str]


def run_apart(options: Mapping[str, Any], folder: Path) -> Apart:
    """Run nomba_token_revoke with these options and a private folder for temporary files."""
    paths = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
    run = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps({**options, "_ansible_remote_tmp": str(folder)}),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(folder)},
        check=False,
    )
    cost = json.loads(run.stderr.splitlines()[-1])
    return Apart(json.loads(run.stdout), cost["peak"], frozenset(cost["imported"]))


def main() -> None:
    """Run the module, and say last of all what it cost."""
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
