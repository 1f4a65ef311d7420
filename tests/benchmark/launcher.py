# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a program and measure its time and memory.

The peak memory that the system reports for a process includes that of its parent, so this process
must be small.
"""

from __future__ import annotations

import os
import sys
import time


def main() -> int:
    """launcher.py FILE PROGRAM [ARGUMENT...]: write seconds and KiB to the file."""
    start = time.perf_counter()
    pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
    __, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    # No pathlib, because each imported module makes this process larger.
    with open(sys.argv[1], "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(f"{seconds} {usage.ru_maxrss}")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
