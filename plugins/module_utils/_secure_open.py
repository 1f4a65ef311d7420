# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening files in a way that no third party can redirect.

A third party is any user except root, the running user and the file's owner. A path is opened
folder by folder, and each folder is used by its descriptor, so that the folder that was checked is
the folder in which the file is opened, created or replaced.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption

_MODE = stat.S_IRUSR | stat.S_IWUSR
_ROOT = 0
_MAX_LINKS = 40
# O_PATH: a folder with search permission but no read permission can be opened too.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
ACL = "system.posix_acl_access"
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class _Folder:
    """A folder of a path. child: the uid that owns the next entry; None in the last folder."""

    path: str
    status: os.stat_result
    has_acl: bool
    child: int | None

    def third_party(self, trusted: frozenset[int]) -> str:
        """Return who can exchange the next entry, as shown in messages; empty if nobody can.

        trusted: the uids that may.
        """
        if self.status.st_uid not in trusted:
            return _show_user(self.status.st_uid)
        mode = self.status.st_mode
        if mode & stat.S_ISVTX and self.child in trusted:
            return ""  # In a sticky folder only the entry's owner can exchange it.
        if mode & stat.S_IWOTH:
            return "every user"
        gid = self.status.st_gid
        # With an ACL, these bits are the mask: the maximum of any user or group in it.
        if mode & stat.S_IWGRP and self.has_acl:
            return "the users in its ACL"
        if mode & stat.S_IWGRP and not _is_private_group(gid, trusted):
            return _show_group(gid)
        return ""


@dataclass(frozen=True)
class OpenFile:
    """An open regular file, and the open folder that contains it."""

    descriptor: int
    folder: int
    name: str


@dataclass(frozen=True)
class FileEntry:
    """The name of a file in an open folder. The file need not exist.

    path: the resolved path, for messages. owner: the uid that owns the file, or will own it.
    subject, remedy: parts of messages.
    """

    option: str
    folder: int
    name: str
    path: str
    owner: int
    folders: tuple[_Folder, ...]
    subject: str = "it"
    remedy: str = "name a regular file"

    @property
    def trusted(self) -> frozenset[int]:
        """The uids that are not a third party."""
        return frozenset({_ROOT, os.geteuid(), self.owner})

    def owned_by(self, uid: int) -> FileEntry:
        """Return the same entry for another owner, and check who can write its folders.

        Raises InvalidOption if a third party can write one of them.
        """
        entry = replace(self, owner=uid)
        for folder in entry.folders:
            writer = folder.third_party(entry.trusted)
            if writer:
                is_last = folder is entry.folders[-1]
                which = "its folder" if is_last else f"{printable(folder.path)}, above it,"
                raise InvalidOption(
                    entry.option,
                    f"{which} can be written by {writer}, who could "
                    "exchange the file; use a folder that only root, you and the file's owner "
                    "(option owner) can write",
                )
        return entry

    def beside(self, name: str, subject: str, remedy: str) -> FileEntry:
        """Return the entry of another file in the same folder."""
        return replace(self, name=name, subject=subject, remedy=remedy)

    def status(self) -> os.stat_result | None:
        """Return the status of the entry, not of a link's target; None if missing.

        Raises InvalidOption.
        """
        return _status(self.option, self.folder, self.name)

    def require_regular(self) -> None:
        """Raise InvalidOption if the entry exists and is not a regular file."""
        status = self.status()
        if status is not None:
            self._require_regular(status)

    def open(self, flags: int) -> int:
        """Open the regular file without blocking or following a link; return its descriptor.

        Raises OSError, InvalidOption.
        """
        # Opening a device can have an effect, so the entry is checked before.
        self.require_regular()
        descriptor = os.open(self.name, flags | _FILE, _MODE, dir_fd=self.folder)
        try:
            self._require_regular(os.fstat(descriptor))
        except InvalidOption:
            os.close(descriptor)
            raise
        return descriptor

    def open_unshared(self, flags: int) -> int:
        """Do the same for a file without a hard link that no third party owns.

        Raises OSError, InvalidOption.
        """
        descriptor = self.open(flags)
        try:
            self._require_unshared(os.fstat(descriptor))
        except InvalidOption:
            os.close(descriptor)
            raise
        return descriptor

    def _require_regular(self, status: os.stat_result) -> None:
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR and self.subject == "it":
            raise InvalidOption(self.option, "it is a folder; name a file in it")
        if kind != stat.S_IFREG:
            what = _KINDS.get(kind, "not a regular file")
            raise InvalidOption(self.option, f"{self.subject} is {what}; {self.remedy}")

    def _require_unshared(self, status: os.stat_result) -> None:
        if status.st_uid not in self.trusted:
            owner = _show_user(status.st_uid)
            raise InvalidOption(self.option, f"{self.subject} belongs to {owner}; {self.remedy}")
        if status.st_nlink > 1:
            problem = f"{self.subject} is a hard link to another file; {self.remedy}"
            raise InvalidOption(self.option, problem)


@contextmanager
def open_entry(option: str, path: str, follow_link: bool) -> Iterator[FileEntry]:
    """Open the folder of the file that an option names; yield the file's entry.

    A link in the path is followed if root or the running user owns it and no third party can
    exchange it; one in the place of the file only with follow_link. Raises InvalidOption.
    """
    resolver = _PathResolver(option, path)
    try:
        yield resolver.resolve(follow_link)
    finally:
        resolver.close()


class _PathResolver:
    """Opens a path from the root folder to the folder of a file. Raises InvalidOption."""

    def __init__(self, option: str, path: str) -> None:
        self._option = option
        self._path = "/"
        self._folders: list[_Folder] = []
        self._links = 0
        self._remaining = _parts(_absolute(option, path))
        self._folder = os.open("/", _FOLDER)

    def close(self) -> None:
        """Close the folder."""
        os.close(self._folder)

    def resolve(self, follow_link: bool) -> FileEntry:
        """Open folder by folder, and leave the last one open."""
        while self._remaining:
            name = self._remaining.pop()
            status = _status(self._option, self._folder, name)
            if status is not None and stat.S_ISLNK(status.st_mode):
                self._follow(name, status, follow_link)
            elif self._remaining:
                self._enter(name, status)
            else:
                return self._entry(name)
        raise InvalidOption(self._option, "it is a folder; name a file in it")

    def _entry(self, name: str) -> FileEntry:
        self._add_folder(None)
        entry = FileEntry(
            self._option,
            self._folder,
            name,
            os.path.join(self._path, name),  # noqa: PTH118 -- a str, as the rest of the path
            os.geteuid(),
            tuple(self._folders),
        )
        entry.require_regular()
        return entry

    def _enter(self, name: str, status: os.stat_result | None) -> None:
        path = os.path.normpath(os.path.join(self._path, name))  # noqa: PTH118
        if status is None:
            raise InvalidOption(self._option, "its folder does not exist; create it first")
        if not stat.S_ISDIR(status.st_mode):
            problem = f"{printable(path)} is not a folder; name a file in a folder"
            raise InvalidOption(self._option, problem)
        self._add_folder(status.st_uid)
        self._change_to(name, self._folder)
        self._path = path

    def _follow(self, name: str, status: os.stat_result, follow_link: bool) -> None:
        path = os.path.join(self._path, name)  # noqa: PTH118
        self._require_followable(path, status, follow_link)
        self._links += 1
        if self._links > _MAX_LINKS:
            raise InvalidOption(self._option, f"it leads through more than {_MAX_LINKS} links")
        try:
            target = os.readlink(name, dir_fd=self._folder)
        except OSError as error:
            raise InvalidOption(self._option, f"it cannot be read: {error.strerror}") from None
        self._remaining += _parts(target)
        if target.startswith("/"):
            self._change_to("/", None)
            self._path = "/"

    def _require_followable(self, path: str, status: os.stat_result, follow_link: bool) -> None:
        shown = printable(path)
        if not (follow_link or self._remaining):
            raise InvalidOption(self._option, "it is a link; name the file itself")
        trusted = frozenset({_ROOT, os.geteuid()})
        if status.st_uid not in trusted:
            raise InvalidOption(
                self._option,
                f"{shown} is a link of {_show_user(status.st_uid)}, and only a link of root or "
                "of the running user is followed; name the file itself",
            )
        self._add_folder(status.st_uid)
        for folder in self._folders:
            writer = folder.third_party(trusted)
            if writer:
                raise InvalidOption(
                    self._option,
                    f"{shown} is a link that {writer} could exchange; name the file itself",
                )

    def _add_folder(self, child: int | None) -> None:
        status = os.fstat(self._folder)
        has_acl = bool(status.st_mode & stat.S_IWGRP) and _has_acl(self._folder)
        self._folders.append(_Folder(self._path, status, has_acl, child))

    def _change_to(self, name: str, parent: int | None) -> None:
        try:
            folder = os.open(name, _FOLDER, dir_fd=parent)
        except OSError as error:
            problem = f"its folder cannot be opened: {error.strerror}"
            raise InvalidOption(self._option, problem) from None
        os.close(self._folder)
        self._folder = folder


def create_folder(option: str, path: str) -> None:
    """Create a private folder, unless it exists. Raises InvalidOption."""
    try:
        os.makedirs(path, mode=stat.S_IRWXU, exist_ok=True)  # noqa: PTH103 -- a str, as above
    except OSError as error:
        raise InvalidOption(option, f"it cannot be created: {error.strerror}") from None


def reopen_folder(folder: int) -> int:
    """Open a folder again, for reading: the descriptor of the lookup only resolves names.

    Raises OSError.
    """
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)


def printable(path: str) -> str:
    """Return a path as text; bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _absolute(option: str, path: str) -> str:
    if "\0" in path:
        raise InvalidOption(option, "it contains a NUL character; name a file")
    try:
        # Not normalized: the target of ".." depends on the links before it.
        return path if path.startswith("/") else f"{os.getcwd()}/{path}"  # noqa: PTH109
    except OSError:
        problem = "the current folder no longer exists; set an absolute path"
        raise InvalidOption(option, problem) from None


def _parts(path: str) -> list[str]:
    """Return the names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _status(option: str, folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidOption(option, f"it cannot be reached: {error.strerror}") from None


def _has_acl(folder: int) -> bool:
    if not hasattr(os, "getxattr"):
        return False
    try:
        descriptor = reopen_folder(folder)
    except OSError:
        return True  # unknown, so the safe answer
    try:
        return bool(os.getxattr(descriptor, ACL))
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.ENOTSUP)
    finally:
        os.close(descriptor)


def _is_private_group(gid: int, trusted: frozenset[int]) -> bool:
    """Return whether a group has trusted members only: root's group, or a user's own group."""
    if gid == _ROOT:
        return True
    with suppress(KeyError):
        group = grp.getgrgid(gid)
        owner = pwd.getpwnam(group.gr_name)
        is_own = owner.pw_uid in trusted and owner.pw_gid == gid
        return is_own and set(group.gr_mem) <= {owner.pw_name}
    return False


def _show_user(uid: int) -> str:
    with suppress(KeyError):
        return f"user {pwd.getpwuid(uid).pw_name!r} (uid {uid})"
    return f"the user with uid {uid}"


def _show_group(gid: int) -> str:
    with suppress(KeyError):
        return f"group {grp.getgrgid(gid).gr_name!r} (gid {gid})"
    return f"the group with gid {gid}"
