# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks, complete writes, and files that are replaced atomically and only if they are unchanged.

Each function raises OSError for a system call that fails, unless it documents another exception.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from types import TracebackType

from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import (
    Conflict,
    InvalidOption,
    Locked,
    NotWritten,
)
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    FileEntry,
    OpenFile,
    reopen_folder,
)

# Bytes. A file with a token is far smaller; reading a part of one would compare that part.
MAX_FILE_SIZE = 1024 * 1024
_RESERVED = 8192
# Seconds for which to wait for another process that writes the same file.
_LOCK_TIMEOUT = 10.0
# Seconds between two attempts to get a lock.
_LOCK_RETRY = 0.1

# Gives an open file the owner and mode that the user wants; returns whether that changed anything.
# Raises InvalidOption.
SetAttributes = Callable[[OpenFile], bool]


@contextmanager
def open_existing(entry: FileEntry) -> Iterator[OpenFile]:
    """The file that is there. Raises FileNotFoundError, InvalidOption."""
    try:
        descriptor = entry.open(os.O_RDONLY)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidOption(entry.option, f"it cannot be read: {error.strerror}") from None
    try:
        _require_own_content(entry, os.fstat(descriptor))
        yield OpenFile(descriptor, entry.folder, entry.name)
    finally:
        os.close(descriptor)


def read_file(entry: FileEntry) -> bytes | None:
    """What the file holds; None when there is none. Raises InvalidOption."""
    try:
        with open_existing(entry) as file:
            return _read(entry, file.descriptor)
    except FileNotFoundError:
        return None


def set_existing(entry: FileEntry, set_attributes: SetAttributes) -> bool:
    """Give the file that is there its owner and mode; whether that changed anything.

    Raises InvalidOption.
    """
    try:
        with open_existing(entry) as file:
            return set_attributes(file)
    except FileNotFoundError:
        problem = "it was removed while this run read it; run it again"
        raise InvalidOption(entry.option, problem) from None


@contextmanager
def file_lock(entry: FileEntry, clock: Clock, timeout: float) -> Iterator[None]:
    """Hold the file's lock, so that two runs never issue twice; timeout in seconds.

    The lock is a file of its own beside the other, which is never removed: removing it would let
    a third run lock a file that the second one still waits for. Raises InvalidOption, Locked.
    """
    name = f".{entry.name}.lock"
    lock = entry.beside(name, f"its lock file {name}", "remove that and run again")
    with ExitStack() as stack:
        try:
            descriptor = lock.open_unshared(os.O_RDWR | os.O_CREAT)
            stack.callback(os.close, descriptor)
            is_locked = acquire_lock(descriptor, clock, timeout)
        except OSError as error:
            problem = f"its lock file {name} is unusable: {error.strerror}"
            raise InvalidOption(entry.option, problem) from None
        if not is_locked:
            problem = "another run has held its lock until the end of this one; try again later"
            raise Locked(f"{entry.option}: {problem}")
        yield


class AtomicReplacement:
    """A file beside the kept one, made *before* a token is asked for and put in its place after.

    It exists, has its owner and mode, and its space is taken, so that little is left that can go
    wrong once there is a token to write. It is gone when the block is left. Raises InvalidOption.
    """

    def __init__(self, entry: FileEntry) -> None:
        self._entry = entry
        name = f".{entry.name}.{os.urandom(8).hex()}"
        try:
            descriptor = entry.beside(name, name, "").open(os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except OSError as error:
            raise _not_writable(entry, error) from None
        self.file = OpenFile(descriptor, entry.folder, name)

    def __enter__(self) -> AtomicReplacement:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.file.descriptor)
        with suppress(OSError):
            os.unlink(self.file.name, dir_fd=self.file.folder)

    def reserve(self) -> None:
        """Take the space on the disk. Raises InvalidOption."""
        try:
            write_all(self.file.descriptor, bytes(_RESERVED), 0)
            os.fsync(self.file.descriptor)
        except OSError as error:
            problem = f"it cannot be written: {error.strerror}"
            raise InvalidOption(self._entry.option, problem) from None

    def commit(self, content: bytes) -> None:
        """Put the whole content in the kept file's place, durably. Raises OSError."""
        descriptor, folder = self.file.descriptor, self.file.folder
        write_all(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
        os.fsync(descriptor)
        os.replace(self.file.name, self._entry.name, src_dir_fd=folder, dst_dir_fd=folder)
        # The file is in its place. What fails from here on must not get its token revoked.
        with suppress(OSError):
            sync_folder(folder)


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


def read_all(descriptor: int, limit: int) -> bytes:
    """What the file holds from here on, but no more than limit bytes. Raises OSError."""
    content = b""
    while len(content) < limit:
        part = os.read(descriptor, limit - len(content))
        if not part:
            break
        content += part
    return content


def write_all(descriptor: int, content: bytes, offset: int | None = None) -> None:
    """Write everything, at the offset (bytes) where one is given. Raises OSError."""
    while content:
        if offset is None:
            written = os.write(descriptor, content)
        else:
            written = os.pwrite(descriptor, content, offset)
            offset += written
        if not written:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        content = content[written:]


def append_lines(descriptor: int, content: bytes, durable: bool) -> None:
    """Append whole lines, or leave the file as it was; durable: only when they are on the disk.

    A line that a killed process has cut short is ended first. The file is open for reading and
    appending, and locked. Raises OSError.
    """
    size = os.fstat(descriptor).st_size
    is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    try:
        write_all(descriptor, b"\n" * is_cut + content)
        if durable:
            os.fsync(descriptor)
    except OSError:
        # A file to which the system lets nobody but append keeps the part. Then the next line
        # ends it.
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def acquire_lock(descriptor: int, clock: Clock, timeout: float) -> bool:
    """Lock the file against other processes until it is closed; timeout in seconds.

    Returns False when another process held the lock all the time. Raises OSError.
    """
    end = clock.monotonic() + timeout
    while not _try_lock(descriptor):
        if clock.monotonic() >= end or clock.stopped_at() is not None:
            return False
        clock.sleep(_LOCK_RETRY)
    return True


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def release_lock(descriptor: int) -> None:
    """Let other processes lock the file. Raises OSError."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def sync_folder(folder: int) -> None:
    """Flush a folder to the disk. Raises OSError."""
    descriptor = reopen_folder(folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(entry: FileEntry, descriptor: int) -> bytes:
    try:
        content = read_all(descriptor, MAX_FILE_SIZE + 1)
    except OSError as error:
        raise InvalidOption(entry.option, f"it cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_SIZE:
        problem = "it holds more than 1 MiB, so it is no file with a token; name another one"
        raise InvalidOption(entry.option, problem)
    return content


def _require_own_content(entry: FileEntry, status: os.stat_result) -> None:
    """Refuse the second name of another user's file: its token would go to this one's owner."""
    if status.st_nlink > 1 and status.st_uid != entry.owner:
        problem = "it is a hard link to another user's file; remove it, or name another file"
        raise InvalidOption(entry.option, problem)


def _not_writable(entry: FileEntry, error: OSError) -> InvalidOption:
    return InvalidOption(entry.option, f"its folder cannot be written: {error.strerror}")
