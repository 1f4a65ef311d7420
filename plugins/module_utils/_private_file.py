# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replacing a private file, and only when it still is what its writer has read."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext

from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import Conflict, NotWritten
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import FileEntry
from ansible_collections.nomba.auth.plugins.module_utils._token_file import (
    AtomicReplacement,
    SetAttributes,
    file_lock,
    read_file,
    set_existing,
)

# Seconds for which to wait for another process that writes the same file.
_LOCK_TIMEOUT = 10.0


def checksum(content: bytes | None) -> str:
    """The SHA-256 of a content in hexadecimal digits; empty without any."""
    return "" if content is None else hashlib.sha256(content).hexdigest()


def require_unchanged(held: bytes | None, expected: str | None) -> None:
    """Raises Conflict when the file holds something else than was expected."""
    if expected is not None and checksum(held) != expected:
        raise Conflict(
            "dest: it has changed since it was read; another run is at work, look at it first"
        )


def replace_if_unchanged(
    entry: FileEntry,
    content: bytes,
    expected: str | None,
    set_attributes: SetAttributes,
    clock: Clock,
) -> tuple[bytes | None, bool]:
    """Write the content; returns what was there before, and whether anything is different now.

    expected: the checksum of what must be there, None for anything. Raises Conflict, Locked,
    NotWritten, InvalidOption.
    """
    with nullcontext() if expected is None else file_lock(entry, clock, _LOCK_TIMEOUT):
        held = read_file(entry)
        require_unchanged(held, expected)
        if held == content:
            return held, set_existing(entry, set_attributes)
        with AtomicReplacement(entry) as replacement:
            set_attributes(replacement.file)
            try:
                replacement.commit(content)
            except OSError as error:
                raise NotWritten(f"dest: {error.strerror}; it is as it was") from None
        return held, True
