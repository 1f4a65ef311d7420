# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a long run is: a file of JSON lines that a person can follow while the run works.

Ansible shows nothing of a module before it ends.
"""

from __future__ import annotations

import json
import os
import stat

from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._when import show_time

# Seconds between two lines.
_PAUSE = 1.0


class Progress:
    """Appends how many tokens are done: the first, then a line a second at most, and the last."""

    def __init__(self, path: str, clock: Clock) -> None:
        """Open the file, made for its owner alone. Raises InvalidOption."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._file = os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR)
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
        told = {"time": show_time(self._clock.now()), "done": done, "failed": failed}
        try:
            os.write(self._file, (json.dumps({**told, "tokens": tokens}) + "\n").encode())
        except OSError:
            self._next = float("inf")  # a full disk must not stop a revocation

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
