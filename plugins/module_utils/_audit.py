# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit log: an append-only file of JSON lines, one per event."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    acquire_lock,
    append_lines,
    read_all,
    sync_folder,
)
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption, NotWritten
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    FileEntry,
)

# Bytes at the end of the file in which an event is searched.
_LOOK_BACK = 4 * 1024 * 1024
_MODE = stat.S_IRUSR | stat.S_IWUSR
# Seconds to wait for another process that appends to the log.
_LOCK_TIMEOUT = 10.0


def missing(log: bytes, events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the events whose id is not in the log."""
    present = {_id(line) for line in log.splitlines()}
    new = {event["id"]: event for event in events if event["id"] not in present}
    return list(new.values())


def lines(events: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the lines that are appended for events."""
    return "".join(json.dumps(event, sort_keys=True) + "\n" for event in events).encode()


def read_log(entry: FileEntry) -> tuple[bytes, bool]:
    """Return the end of the log, and whether users other than its owner can read it.

    Empty without a log. Raises InvalidOption.
    """
    try:
        log = entry.open_unshared(os.O_RDONLY)
    except FileNotFoundError:
        return b"", False
    except OSError as error:
        raise _unusable("read", error) from None
    try:
        return _read_end(log), bool(stat.S_IMODE(os.fstat(log).st_mode) & ~_MODE)
    except OSError as error:
        raise _unusable("read", error) from None
    finally:
        os.close(log)


def append(entry: FileEntry, events: Iterable[Mapping[str, Any]], clock: Clock) -> int:
    """Append the missing events durably, readable by the owner only; return their number.

    If not all of them can be appended, the file is cut back. Raises InvalidOption, NotWritten.
    """
    try:
        log = entry.open_unshared(os.O_RDWR | os.O_APPEND | os.O_CREAT)
    except OSError as error:
        raise _unusable("written", error) from None
    try:
        if not acquire_lock(log, clock, _LOCK_TIMEOUT):
            raise NotWritten("path: another process held its lock for ten seconds; try again later")
        return _append(log, entry, events)
    except OSError as error:
        raise NotWritten(f"path: {error.strerror}; repair this and run again") from None
    finally:
        os.close(log)


def _append(log: int, entry: FileEntry, events: Iterable[Mapping[str, Any]]) -> int:
    present = _read_end(log)
    new = missing(present, events)
    os.fchmod(log, _MODE)
    if new:
        append_lines(log, lines(new), durable=True)
    if not present:
        with suppress(OSError):  # A folder without read permission cannot be flushed.
            sync_folder(entry.folder)
    return len(new)


def _read_end(log: int) -> bytes:
    os.lseek(log, max(0, os.fstat(log).st_size - _LOOK_BACK), os.SEEK_SET)
    return read_all(log, _LOOK_BACK)


def _unusable(verb: str, error: OSError) -> InvalidOption:
    return InvalidOption("path", f"it cannot be {verb}: {error.strerror}")


def _id(line: bytes) -> str | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    name = event.get("id") if isinstance(event, dict) else None
    return name if isinstance(name, str) else None
