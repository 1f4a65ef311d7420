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
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
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

# Bytes. A file with a token is far smaller. A larger file is refused, not compared in part.
MAX_FILE_SIZE = 1024 * 1024
# Bytes that a replacement reserves on the disk before a token is issued.
_RESERVED = 8192
# Seconds to wait for another process that writes the same file.
_LOCK_TIMEOUT = 10.0
# Seconds between two attempts to get a lock.
_LOCK_RETRY = 0.1

# Sets an open file's owner, mode and attributes as the options demand; returns whether this changed
# anything. Raises InvalidOption.
SetAttributes = Callable[[OpenFile], bool]
# Returns the content to write for the current one, None without a file. Raises InvalidOption.
NewContent = Callable[["bytes | None"], bytes]


def make_private(file: OpenFile) -> bool:
    """Let only the owner read a new file; the SetAttributes of files that only we use."""
    os.fchmod(file.descriptor, stat.S_IRUSR | stat.S_IWUSR)
    return False


@contextmanager
def open_existing(entry: FileEntry) -> Iterator[OpenFile]:
    """Open an existing file for reading. Raises FileNotFoundError, InvalidOption."""
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
    """Return the file's content; None without a file. Raises InvalidOption."""
    try:
        with open_existing(entry) as file:
            return _read(entry, file.descriptor)
    except FileNotFoundError:
        return None


def set_existing(entry: FileEntry, set_attributes: SetAttributes) -> bool:
    """Set the attributes of an existing file; return whether this changed anything.

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
    """Hold the file's lock, so that two runs do not both issue a token; timeout in seconds.

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
            problem = "another run held its lock until this run's deadline; try again later"
            raise Locked(f"{entry.option}: {problem}")
        yield


class AtomicReplacement:
    """A temporary file beside a file, which `commit` renames to it.

    It is created, gets its attributes and reserves its space *before* a token is issued, so that
    few operations can fail afterwards. It is removed at the end of the block unless committed.
    Raises InvalidOption.
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
        """Reserve the space on the disk. Raises InvalidOption."""
        try:
            write_all(self.file.descriptor, bytes(_RESERVED), 0)
            os.fsync(self.file.descriptor)
        except OSError as error:
            problem = f"it cannot be written: {error.strerror}"
            raise InvalidOption(self._entry.option, problem) from None

    def commit(self, content: bytes) -> None:
        """Replace the file with the whole content, durably. Raises OSError."""
        descriptor, folder = self.file.descriptor, self.file.folder
        write_all(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
        os.fsync(descriptor)
        os.replace(self.file.name, self._entry.name, src_dir_fd=folder, dst_dir_fd=folder)
        # The file is replaced. A failure from here on must not cause its token to be revoked.
        with suppress(OSError):
            sync_folder(folder)


def checksum(content: bytes | None) -> str:
    """Return the SHA-256 of a content in hexadecimal digits; empty for None."""
    return "" if content is None else hashlib.sha256(content).hexdigest()


def require_unchanged(current: bytes | None, expected: str | None) -> None:
    """Raise Conflict if the content does not have the expected checksum; None expects nothing."""
    if expected is not None and checksum(current) != expected:
        raise Conflict(
            "dest: it has changed since it was read: another run is active; inspect it first"
        )


@dataclass(frozen=True)
class Replacement:
    """What was done, or would be: the content before, None without a file, and the one after."""

    before: bytes | None
    after: bytes
    changed: bool


def predict_replacement(
    entry: FileEntry,
    new_content: NewContent,
    expected: str | None,
    set_attributes: SetAttributes,
    _clock: Clock,
) -> Replacement:
    """Return what `replace_and_read_back` would do; set_attributes changes nothing either.

    Raises Conflict, InvalidOption.
    """
    current = read_file(entry)
    require_unchanged(current, expected)
    content = _limited(entry, new_content(current))
    changed = current != content or set_existing(entry, set_attributes)
    return Replacement(current, content, changed)


def replace_and_read_back(
    entry: FileEntry,
    new_content: NewContent,
    expected: str | None,
    set_attributes: SetAttributes,
    clock: Clock,
) -> Replacement:
    """Write the new content, as `replace_if_unchanged`, and require that the file has it then."""
    current, changed = replace_if_unchanged(entry, new_content, expected, set_attributes, clock)
    content = new_content(current)
    if read_file(entry) != content:
        raise Conflict("dest: another program has changed it right after the write; inspect it")
    return Replacement(current, content, changed)


def replace_if_unchanged(
    entry: FileEntry,
    new_content: NewContent,
    expected: str | None,
    set_attributes: SetAttributes,
    clock: Clock,
) -> tuple[bytes | None, bool]:
    """Write the new content; return the content before, and whether this changed anything.

    expected: the checksum that the file must have, None for any. Raises Conflict, Locked,
    NotWritten, InvalidOption.
    """
    with nullcontext() if expected is None else file_lock(entry, clock, _LOCK_TIMEOUT):
        current = read_file(entry)
        require_unchanged(current, expected)
        content = _limited(entry, new_content(current))
        if current == content:
            return current, set_existing(entry, set_attributes)
        with AtomicReplacement(entry) as replacement:
            set_attributes(replacement.file)
            try:
                replacement.commit(content)
            except OSError as error:
                raise NotWritten(f"dest: {error.strerror}; it is unchanged") from None
        return current, True


def write_new_files(
    entry: FileEntry, contents: Mapping[str, bytes], clock: Clock, check_mode: bool
) -> list[str]:
    """Write private files that did not exist, beside an entry; return their names.

    contents: by suffix. If a name exists, all names get the next number: `name-2.json`. Raises
    InvalidOption, Locked, NotWritten.
    """
    with nullcontext() if check_mode else file_lock(entry, clock, _LOCK_TIMEOUT):
        number = 1
        while True:
            stem = entry.name if number == 1 else f"{entry.name}-{number}"
            entries = [entry.beside(stem + suffix, stem + suffix, "") for suffix in contents]
            if not any(one.status() for one in entries):
                break
            number += 1
        for one, content in zip(entries, contents.values()):
            if not check_mode:
                with AtomicReplacement(one) as replacement:
                    make_private(replacement.file)
                    try:
                        replacement.commit(content)
                    except OSError as error:
                        problem = f"{entry.option}: {one.name}: {error.strerror}"
                        raise NotWritten(f"{problem}; the report is incomplete") from None
        return [one.name for one in entries]


def read_all(descriptor: int, limit: int) -> bytes:
    """Read from the current offset to the end, at most limit bytes. Raises OSError."""
    content = b""
    while len(content) < limit:
        part = os.read(descriptor, limit - len(content))
        if not part:
            break
        content += part
    return content


def write_all(descriptor: int, content: bytes, offset: int | None = None) -> None:
    """Write the whole content, at the offset (bytes) or else at the current one. Raises OSError."""
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
    """Append whole lines, or leave the file unchanged. durable: flush them to the disk.

    An incomplete last line, left by a killed process, is ended first. The file is open for reading
    and appending, and locked. Raises OSError.
    """
    size = os.fstat(descriptor).st_size
    is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    try:
        write_all(descriptor, b"\n" * is_cut + content)
        if durable:
            os.fsync(descriptor)
    except OSError:
        # An append-only file keeps the incomplete line. The next call ends it.
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def acquire_lock(descriptor: int, clock: Clock, timeout: float) -> bool:
    """Lock an open file until it is closed; timeout in seconds. Raises OSError.

    Return False if another process held the lock until the timeout or a signal.
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
    """Release the lock of an open file. Raises OSError."""
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
        problem = "it is larger than 1 MiB, so it is not a file with a token; name another one"
        raise InvalidOption(entry.option, problem)
    return content


def _limited(entry: FileEntry, content: bytes) -> bytes:
    if len(content) > MAX_FILE_SIZE:
        raise InvalidOption(entry.option, "it would be larger than 1 MiB; name another file")
    return content


def _require_own_content(entry: FileEntry, status: os.stat_result) -> None:
    """Refuse a hard link to another user's file: a token written to it would be that user's."""
    if status.st_nlink > 1 and status.st_uid != entry.owner:
        problem = "it is a hard link to another user's file; remove it, or name another file"
        raise InvalidOption(entry.option, problem)


def _not_writable(entry: FileEntry, error: OSError) -> InvalidOption:
    return InvalidOption(entry.option, f"its folder cannot be written: {error.strerror}")
