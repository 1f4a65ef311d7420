# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The entries of a systemd journal file, which compresses long ones, by the host's journalctl."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ansible_collections.nomba.auth.plugins.module_utils._scan_programs import (
    Program,
    find_program,
)


@contextmanager
def export_journal(
    descriptor: int, stopped: Callable[[], bool]
) -> Iterator[Iterator[bytes] | None]:
    """Yield all entries of an open journal file in the export format; None without journalctl.

    Raises ProgramFailed.
    """
    journalctl = find_program("journalctl")
    if journalctl is None:
        yield None
        return
    # The path by the descriptor has none of the characters that journalctl takes for a pattern.
    file = f"--file=/proc/self/fd/{descriptor}"
    command = [journalctl, "--quiet", "--no-pager", "--all", "--output=export", file]
    with Program(command, {}, stopped, inherit=[descriptor]) as program:
        yield program.chunks()
