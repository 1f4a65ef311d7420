# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that keeps a token: read, locked, and replaced in one step."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption, Locked

# Bytes. A file with a token is far smaller; reading a part of one would compare that part.
LARGEST = 1024 * 1024
_RESERVED = 8192
_POLL = 0.1


def read_file(path: Path) -> bytes | None:
    """What the file holds; None when there is none. Raises InvalidOption."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidOption("dest", f"it cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise InvalidOption(
            "dest", "it holds more than 1 MiB, so it is no file with a token; name another one"
        )
    return content


@contextmanager
def locked(path: Path, clock: Clock, patience: float) -> Iterator[None]:
    """Hold the file's lock, so that two runs never issue twice; patience in seconds.

    The lock lies in a file of its own beside the other, which is never removed: removing it
    would let a third run lock a file that the second one still waits for.
    """
    ends = clock.monotonic() + patience
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InvalidOption("dest", f"its folder cannot be written: {error.strerror}") from None
    try:
        while not _taken(lock):
            if clock.monotonic() >= ends:
                raise Locked(
                    "dest: another run has held its lock until the deadline; try again later"
                )
            clock.sleep(_POLL)
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Slot:
    """A file beside the kept one, made *before* a token is asked for and put in its place after.

    It exists, has its owner and mode, and its space is taken, so that little is left that can go
    wrong once there is a token to write. It is gone when the block is left.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        except OSError as error:
            raise InvalidOption("dest", f"its folder cannot be written: {error.strerror}") from None
        self.name = Path(name)

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)
        with suppress(FileNotFoundError):
            self.name.unlink()

    def reserve(self) -> None:
        """Take the space on the disk. Raises InvalidOption."""
        try:
            os.pwrite(self._file, bytes(_RESERVED), 0)
            os.fsync(self._file)
        except OSError as error:
            raise InvalidOption("dest", f"it cannot be written: {error.strerror}") from None

    def commit(self, content: bytes) -> None:
        """Put the content in the kept file's place, for good. Raises OSError."""
        os.pwrite(self._file, content, 0)
        os.ftruncate(self._file, len(content))
        os.fsync(self._file)
        self.name.replace(self._path)
        # The file is in its place. What fails from here on must not get its token revoked.
        with suppress(OSError):
            _sync_folder(self._path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
