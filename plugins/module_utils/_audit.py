# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit record: a file of JSON lines, one per event, that only ever grows."""

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

# An event is looked for in so much of the end of the file (bytes).
_LOOK_BACK = 4 * 1024 * 1024
_MODE = stat.S_IRUSR | stat.S_IWUSR
# Seconds for which to wait for another process that appends to the record.
_LOCK_TIMEOUT = 10.0


def missing(record: bytes, events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The events that the record does not hold yet, by their id."""
    held = {_id(line) for line in record.splitlines()}
    new = {event["id"]: event for event in events if event["id"] not in held}
    return list(new.values())


def lines(events: Iterable[Mapping[str, Any]]) -> bytes:
    """The events as they are appended."""
    return "".join(json.dumps(event, sort_keys=True) + "\n" for event in events).encode()


def read_record(entry: FileEntry) -> tuple[bytes, bool]:
    """The end of the record, and whether others than its owner could read it.

    Empty when there is no record. Raises InvalidOption.
    """
    try:
        record = entry.open_unshared(os.O_RDONLY)
    except FileNotFoundError:
        return b"", False
    except OSError as error:
        raise _unusable("read", error) from None
    try:
        return _read_end(record), bool(stat.S_IMODE(os.fstat(record).st_mode) & ~_MODE)
    except OSError as error:
        raise _unusable("read", error) from None
    finally:
        os.close(record)


def append(entry: FileEntry, events: Iterable[Mapping[str, Any]], clock: Clock) -> int:
    """Append what the record lacks, durably, for its owner alone; how many that were.

    What cannot be appended whole is taken back. Raises InvalidOption and NotWritten.
    """
    try:
        record = entry.open_unshared(os.O_RDWR | os.O_APPEND | os.O_CREAT)
    except OSError as error:
        raise _unusable("written", error) from None
    try:
        if not acquire_lock(record, clock, _LOCK_TIMEOUT):
            raise NotWritten("path: another process has locked it for ten seconds; try again later")
        return _append(record, entry, events)
    except OSError as error:
        raise NotWritten(f"path: {error.strerror}; run it again when that is repaired") from None
    finally:
        os.close(record)


def _append(record: int, entry: FileEntry, events: Iterable[Mapping[str, Any]]) -> int:
    held = _read_end(record)
    new = missing(held, events)
    os.fchmod(record, _MODE)
    if new:
        append_lines(record, lines(new), durable=True)
    if not held:
        with suppress(OSError):  # A folder that may not be listed cannot be flushed.
            sync_folder(entry.folder)
    return len(new)


def _read_end(record: int) -> bytes:
    os.lseek(record, max(0, os.fstat(record).st_size - _LOOK_BACK), os.SEEK_SET)
    return read_all(record, _LOOK_BACK)


def _unusable(verb: str, error: OSError) -> InvalidOption:
    return InvalidOption("path", f"it cannot be {verb}: {error.strerror}")


def _id(line: bytes) -> str | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    name = event.get("id") if isinstance(event, dict) else None
    return name if isinstance(name, str) else None
