# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cutting a large text into parts that are searched independently. Pure.

A part ends after a byte that is in no token, whatever encodes or interrupts it: see _scan_encodings
and _scan_literals. So no token is in two parts, and the parts contain what the whole text contains.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.nomba.auth.plugins.module_utils._scan_encodings import LOOKBEHIND

_MIB = 1024 * 1024
# Bytes of a part, at least, and the largest number of parts. All but the last have the same size.
PART = 8 * _MIB
_MAX_PARTS = 512
# Bytes in which the border between two parts is searched.
BORDER = 64 * 1024
# No unit of a token contains these; a color sequence contains a colon and a bracket, but neither a
# space after the colon nor one before the bracket. A bracket or comma that closes is not here: it
# may end a token, as the end of a text does.
_BARRIER = re.compile(rb"[({?@!$^]|: | \[")


class Part(NamedTuple):
    """A part of a text.

    first: the offset at which reading starts. context: bytes after it that are before the part.
    end: the offset after its last byte; None for the last part, which ends with the text.
    """

    first: int
    context: int
    end: int | None


def cut(size: int, read: Callable[[int, int], bytes]) -> list[Part]:
    """Return the parts of a text of this size in bytes; one if it has no place to cut it.

    read: returns so many bytes at an offset. The offsets at which parts are read are multiples of
    1 MiB, so that each part is read in the same chunks as the whole text.
    """
    step = max(PART, size // _MAX_PARTS // _MIB * _MIB)
    parts, first, context = [], 0, 0
    for offset in range(step, size - step // 2, step):
        border = _border(read(BORDER, offset))
        if border:
            parts.append(Part(first, context, offset + border))
            first, context = offset, border
    return [*parts, Part(first, context, None)]


def _border(text: bytes) -> int:
    """Return the number of bytes before a border: 0 without one.

    They contain no NUL byte, which the search may remove, and all that it looks at before a token.
    """
    barrier = _BARRIER.search(text, LOOKBEHIND)
    return barrier.end() if barrier and b"\0" not in text[: barrier.end()] else 0
