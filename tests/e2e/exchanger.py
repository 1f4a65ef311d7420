# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another user who replaces files and folders by links as fast as possible, in a process.

python -m tests.e2e.exchanger FOLDER VICTIM UID: until it is killed, replaces the files in
FOLDER/app and FOLDER/app itself by links to VICTIM and to its folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LINKED = (".nomba.lock", "nomba", "audit", "progress")


@contextmanager
def exchanging(folder: Path, victim: Path, uid: int) -> Iterator[None]:
    """Run the other user during the block."""
    paths = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
    with subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder), str(victim), str(uid)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
    ) as attacker:
        try:
            if attacker.stdout is None or attacker.stdout.readline() != b"ready\n":
                raise RuntimeError("the other user did not start")
            yield
            if attacker.poll() is not None:
                raise RuntimeError("the other user has stopped")
        finally:
            attacker.kill()


def main() -> None:
    """Change to the user and replace files until killed."""
    folder, victim, uid = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    os.chdir(folder)  # first, because this user may not enter the folders above
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for name in LINKED:
            exchange(Path("app", name), victim)
        with suppress(OSError):
            for path in Path("app").iterdir():
                if path.name not in LINKED:
                    exchange(path, victim)
        exchange(Path("app"), victim.parent)


def exchange(path: Path, target: Path) -> None:
    """Replace a path by a link, then restore the path."""
    aside = path.with_name("aside")
    with suppress(OSError):
        path.rename(aside)
    with suppress(OSError):
        path.symlink_to(target)
    with suppress(OSError):
        if path.is_symlink():
            path.unlink()
    with suppress(OSError):
        aside.rename(path)


if __name__ == "__main__":
    main()
