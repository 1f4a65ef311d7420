# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress file of a long run: JSON lines that a user can follow during the run.

Ansible shows no output of a module before it ends.
"""

from __future__ import annotations

import json
import os

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    acquire_lock,
    append_lines,
    release_lock,
)
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    open_entry,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time

# Seconds between two lines.
_INTERVAL = 1.0
# Seconds to wait for another run that appends to the same file.
_LOCK_TIMEOUT = 1.0


class Progress:
    """Appends the number of finished tokens: the first, at most one line a second, and the last."""

    def __init__(self, path: str, clock: Clock) -> None:
        """Open the file; create it with mode 0600. Raises InvalidOption."""
        with open_entry("progress", path, follow_link=False) as entry:
            try:
                self._file = entry.open_unshared(os.O_RDWR | os.O_APPEND | os.O_CREAT)
            except OSError as error:
                problem = f"it cannot be written: {error.strerror}; name another file"
                raise InvalidOption("progress", problem) from None
        self._clock = clock
        self._next = clock.monotonic()

    def update(self, done: int, failed: int, tokens: int) -> None:
        """Append a line with the number of finished tokens, of those that failed, and of all."""
        now = self._clock.monotonic()
        if now < self._next and done < tokens:
            return
        self._next = now + _INTERVAL
        row = {"time": show_time(self._clock.now()), "done": done, "failed": failed}
        try:
            self._append(json.dumps({**row, "tokens": tokens}) + "\n")
        except OSError:
            self._next = float("inf")  # a full disk must not stop a revocation

    def _append(self, line: str) -> None:
        if acquire_lock(self._file, self._clock, _LOCK_TIMEOUT):
            try:
                append_lines(self._file, line.encode(), durable=False)
            finally:
                release_lock(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
