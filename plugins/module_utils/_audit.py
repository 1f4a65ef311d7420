# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit record: a file of JSON lines, one per event, that only ever grows."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption, NotWritten

# An event is looked for in so much of the end of the file (bytes).
_LOOK_BACK = 4 * 1024 * 1024
_MODE = stat.S_IRUSR | stat.S_IWUSR


def missing(record: bytes, events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The events that the record does not hold yet, by their id."""
    held = {_id(line) for line in record.splitlines()}
    new = {event["id"]: event for event in events if event["id"] not in held}
    return list(new.values())


def lines(record: bytes, events: Iterable[Mapping[str, Any]]) -> bytes:
    """What to append. A line that a crash has cut short is ended first, and stays as it is."""
    text = "".join(json.dumps(event, sort_keys=True) + "\n" for event in events)
    cut = bool(text and record and not record.endswith(b"\n"))
    return (("\n" if cut else "") + text).encode()


def read_record(path: Path) -> bytes:
    """The end of the record; empty when there is none. Raises InvalidOption."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _LOOK_BACK))
            return stream.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InvalidOption("path", f"it cannot be read: {error.strerror}") from None


def is_open(path: Path) -> bool:
    """Whether there is a record that others than its owner could read. Raises InvalidOption."""
    if not path.parent.is_dir():
        raise InvalidOption("path", "its folder does not exist; create it first")
    return path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & ~_MODE)


def append(path: Path, events: Iterable[Mapping[str, Any]]) -> int:
    """Append what the record lacks, durably, for its owner alone; how many that were.

    Raises InvalidOption and NotWritten.
    """
    try:
        record = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise InvalidOption("path", f"it cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(record, fcntl.LOCK_EX)
        held = read_record(path)
        new = missing(held, events)
        os.fchmod(record, _MODE)
        _write(record, lines(held, new))
    except OSError as error:
        raise NotWritten(f"path: {error.strerror}") from None
    finally:
        os.close(record)
    return len(new)


def _write(record: int, text: bytes) -> None:
    while text:
        text = text[os.write(record, text) :]
    os.fsync(record)


def _id(line: bytes) -> str | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    name = event.get("id") if isinstance(event, dict) else None
    return name if isinstance(name, str) else None
