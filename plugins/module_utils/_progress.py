# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a long run is: a file of JSON lines that a person can follow while the run works.

Ansible shows nothing of a module before it ends.
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
_PAUSE = 1.0
# Seconds for which to wait for another run that appends to the same file.
_LOCK_TIMEOUT = 1.0


class Progress:
    """Appends how many tokens are done: the first, then a line a second at most, and the last."""

    def __init__(self, path: str, clock: Clock) -> None:
        """Open the file, made for its owner alone. Raises InvalidOption."""
        with open_entry("progress", path, follow_link=False) as entry:
            try:
                self._file = entry.open_unshared(os.O_RDWR | os.O_APPEND | os.O_CREAT)
            except OSError as error:
                problem = f"it cannot be written: {error.strerror}; name another file"
                raise InvalidOption("progress", problem) from None
        self._clock = clock
        self._next = clock.monotonic()

    def tell(self, done: int, failed: int, tokens: int) -> None:
        """So many of the tokens are done, and so many of these have failed."""
        now = self._clock.monotonic()
        if now < self._next and done < tokens:
            return
        self._next = now + _PAUSE
        result = {"time": show_time(self._clock.now()), "done": done, "failed": failed}
        try:
            self._append(json.dumps({**result, "tokens": tokens}) + "\n")
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
