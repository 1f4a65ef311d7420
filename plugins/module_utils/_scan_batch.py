# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small texts that are examined together: a look at each takes longer than to read it. Pure."""

from __future__ import annotations

from bisect import bisect_right

from ansible_collections.nomba.auth.plugins.module_utils._scan_literals import find_marks

_FULL = 1024 * 1024
_SEPARATOR = b"\n(\n"


class Batch:
    """Texts of files, none of which contains a NUL byte."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, bytes]] = []
        self._starts: list[int] = []
        self._size = 0

    def add(self, path: str, text: bytes) -> bool:
        """Add the text of a file; return whether the batch is full."""
        self._texts.append((path, text))
        self._starts.append(self._size)
        self._size += len(text) + len(_SEPARATOR)
        return self._size >= _FULL

    def take(self) -> list[tuple[str, bytes]]:
        """Remove all texts; return those in which a token may be, in order."""
        texts, starts = self._texts, self._starts
        self._texts, self._starts, self._size = [], [], 0
        marks = find_marks(_SEPARATOR.join(text for __, text in texts))
        found = {bisect_right(starts, mark.start) - 1 for mark in marks}
        return [texts[index] for index in sorted(found)]
