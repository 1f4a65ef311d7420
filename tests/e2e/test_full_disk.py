# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A full file system leaves the old file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.nomba.auth.plugins.modules import nomba_credential_file
from tests.unit.modules.harness import run_module

pytestmark = pytest.mark.newest

LONG = "NOMBA_NOTE=" + "x" * 50_000 + "\n"
OLD = b"NOMBA_NOTE=old\n"


def test_full_file_system_keeps_the_old_file(tmp_path: Path) -> None:
    run = subprocess.run(
        [*_small_disk(tmp_path), sys.executable, "-m", __name__, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(p).resolve()) for p in sys.path)},
    )
    returned = json.loads(run.stdout)
    assert returned["error"] == "not_written"
    assert returned["held"] == OLD.decode()
    assert returned["files"] == ["nomba"]


def _small_disk(folder: Path) -> list[str]:
    """Return the prefix of a command that mounts a small file system on the folder.

    Without the right to mount, the prefix is empty and the command limits its file size.
    """
    mount = 'mount -t tmpfs -o size=64k,mode=700 tmpfs "$0" && exec "$@"'
    program = shutil.which("unshare")
    if program is None:
        return []
    words = [program, "--mount", "sh", "-c", mount, str(folder)]
    probe = subprocess.run([*words, "true"], stderr=subprocess.DEVNULL, check=False)
    return words if probe.returncode == 0 else []


def main() -> None:
    """Replace a file by one that does not fit, and print the result."""
    path = Path(sys.argv[1]) / "nomba"
    path.write_bytes(OLD)
    if not path.parent.is_mount():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
    with pytest.MonkeyPatch.context() as patch:
        returned = run_module(
            nomba_credential_file.main, {"dest": str(path), "content": LONG * 2}, patch
        )
    result = {
        "error": returned.error if returned.failed else "",
        "held": path.read_text(),
        "files": [file.name for file in path.parent.iterdir()],
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
