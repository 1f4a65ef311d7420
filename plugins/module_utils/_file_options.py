# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules that write a private file: its path, owner, mode and attributes."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    SetAttributes,
    open_existing,
)
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    ACL,
    FileEntry,
    OpenFile,
    open_entry,
)

_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_TOO_OPEN = "other users could read the token; use 0600 or stricter"
_OCTAL = re.compile(r"[0-7]{1,5}")
_ID = re.compile(r"[0-9]{1,10}")
_MAX_ID = 2**32 - 2
_NEW_FILE = os.stat_result((stat.S_IFREG | stat.S_IRUSR | stat.S_IWUSR, *[0] * 9))
_BY_ANSIBLE = ("seuser", "serole", "setype", "selevel", "attributes")
_UNREPLACEABLE = re.compile(r"[^-].*[ai]|[ai]")


@dataclass(frozen=True)
class _Owner:
    """The uid and the gid to set on a file; None keeps the current one."""

    uid: int | None
    gid: int | None


@dataclass(frozen=True)
class _Access:
    """The mode of a file, and its POSIX access control list; None without one."""

    mode: int
    acl: bytes | None


@contextmanager
def private_file(
    module: AnsibleModule, option: str, keep: bool = False
) -> Iterator[tuple[FileEntry, SetAttributes]]:
    """Open the private file that an option names; yield it and a function that sets its attributes.

    keep: an existing file keeps its mode, owner and group where no option sets them, also a mode
    with which other users can read it. Validates all file options before a request is sent or a
    file is written. Raises InvalidOption.
    """
    if _parse_mode(module, _NEW_FILE) & _FOR_OTHERS:
        raise InvalidOption("mode", _TOO_OPEN)
    if _UNREPLACEABLE.match(module.params["attributes"] or ""):
        problem = "a file with the attribute a or i cannot be replaced; omit these"
        raise InvalidOption("attributes", problem)
    owner = _parse_owner(module)
    with open_entry(option, module.params[option], follow_link=True) as found:
        status = found.status()
        if keep and status is not None:
            owner = _require_owner(option, owner, status)
        else:
            owner = _inherit(owner, status)
        entry = found.owned_by(os.geteuid() if owner.uid is None else owner.uid)
        keeps_mode = keep and status is not None and module.params["mode"] is None
        kept = _access(module, entry) if keeps_mode else None
        yield entry, partial(set_file_attributes, module, entry, owner, kept)


def set_file_attributes(
    module: AnsibleModule, entry: FileEntry, owner: _Owner, kept: _Access | None, file: OpenFile
) -> bool:
    """Set an open file's owner, mode and other attributes; return whether this changes anything.

    kept: the access to set, None for the option mode. Check mode changes nothing. Raises
    InvalidOption, also if the option would let other users read the file.
    """
    status = os.fstat(file.descriptor)
    uid = status.st_uid if owner.uid is None else owner.uid
    gid = status.st_gid if owner.gid is None else owner.gid
    mode = _parse_mode(module, status) if kept is None else kept.mode
    if kept is None and mode & _FOR_OTHERS:
        raise InvalidOption("mode", _TOO_OPEN)
    if not module.check_mode:
        if uid != status.st_uid:
            _change("owner", os.fchown, file.descriptor, uid, -1)
        if gid != status.st_gid:
            _change("group", os.fchown, file.descriptor, -1, gid)
        # The mode is read again: a change of the owner can clear bits.
        if mode != stat.S_IMODE(os.fstat(file.descriptor).st_mode):
            _change("mode", os.fchmod, file.descriptor, mode)
        if kept is not None:
            _set_acl(entry, file.descriptor, kept.acl)
    changed = (uid, gid, mode) != (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
    return _set_by_ansible(module, entry, file) or changed


def _change(option: str, change: Callable[..., None], *arguments: int) -> None:
    try:
        change(*arguments)
    except OSError as error:
        problem = f"it cannot be set: {error.strerror}; run as root, or omit it"
        raise InvalidOption(option, problem) from None


def _set_by_ansible(module: AnsibleModule, entry: FileEntry, file: OpenFile) -> bool:
    """Set the SELinux context and the attributes; Ansible needs a path for these."""
    if all(module.params[name] is None for name in _BY_ANSIBLE):
        return False
    settings = module.load_file_common_arguments(module.params, path=entry.path)
    # The path starts at the open folder, for this process and its child processes, so that nobody
    # can exchange a folder of the path. Neither Ansible nor chattr follows a link at its end.
    open_folder = f"/proc/{os.getpid()}/fd/{file.folder}"
    folder = open_folder if os.path.isdir(open_folder) else os.path.dirname(entry.path)  # noqa: PTH112, PTH120
    settings.update(path=f"{folder}/{file.name}", owner=None, group=None, mode=None)
    return bool(module.set_fs_attributes_if_different(settings, changed=False, expand=False))


def _parse_mode(module: AnsibleModule, status: os.stat_result) -> int:
    """Return the mode that the option mode (0600, u=rw or a number) sets. Raises InvalidOption."""
    mode = module.params["mode"]
    if mode is None:
        return stat.S_IMODE(status.st_mode)
    if isinstance(mode, int):
        return mode
    try:
        octal = _OCTAL.fullmatch(mode)
        return int(mode, 8) if octal else int(module._symbolic_mode_to_octal(status, mode))
    except (AttributeError, TypeError, ValueError):
        raise InvalidOption("mode", "it is not a mode; use 0600 or stricter") from None


def _parse_owner(module: AnsibleModule) -> _Owner:
    return _Owner(
        _parse_id("owner", module.params["owner"], lambda name: pwd.getpwnam(name).pw_uid),
        _parse_id("group", module.params["group"], lambda name: grp.getgrnam(name).gr_gid),
    )


def _parse_id(option: str, name: str | None, find: Callable[[str], int]) -> int | None:
    if name is None:
        return None
    if _ID.fullmatch(name) and int(name) <= _MAX_ID:
        return int(name)
    try:
        return find(name)
    except (KeyError, ValueError):
        problem = f"this host has no {option} with this name; create it first, or set a number"
        raise InvalidOption(option, problem) from None


def _access(module: AnsibleModule, entry: FileEntry) -> _Access:
    """Return who can access an existing file; warn if everybody can read it. Raises InvalidOption.

    With an access control list, the mode's group bits are those of the list's mask. Without the
    list they would open the file to its group.
    """
    with open_existing(entry) as file:
        mode = stat.S_IMODE(os.fstat(file.descriptor).st_mode)
        if mode & stat.S_IROTH:
            module.warn(f"{entry.option}: every user can read it (mode {mode:04o}); set mode 0600")
        return _Access(mode, _read_acl(file.descriptor))


def _read_acl(descriptor: int) -> bytes | None:
    """Return the access control list of a file; None without one, or where there are none."""
    try:
        return os.getxattr(descriptor, ACL)
    except (AttributeError, OSError):
        return None


def _set_acl(entry: FileEntry, descriptor: int, acl: bytes | None) -> None:
    """Set or remove the list, which a new file has from its folder. Raises InvalidOption."""
    if _read_acl(descriptor) == acl:
        return
    try:
        if acl is None:
            os.removexattr(descriptor, ACL)
        else:
            os.setxattr(descriptor, ACL, acl)
    except OSError as error:
        problem = f"its access control list cannot be kept: {error.strerror}; run as root"
        raise InvalidOption(entry.option, problem) from None


def _inherit(owner: _Owner, status: os.stat_result | None) -> _Owner:
    """Keep the owner and group of an existing file when root writes it and they are not set."""
    return owner if status is None or os.geteuid() else _complete(owner, status)


def _require_owner(option: str, owner: _Owner, status: os.stat_result) -> _Owner:
    """Keep the owner and group of an existing file if they are not set. Raises InvalidOption."""
    user, groups = os.geteuid(), {os.getegid(), *os.getgroups()}
    if user and owner.uid is None and status.st_uid != user:
        problem = "it belongs to another user, and only root can keep its owner; run as root"
        raise InvalidOption(option, problem)
    if user and owner.gid is None and status.st_gid not in groups:
        problem = "this user is not in its group, and only root can keep its group; run as root"
        raise InvalidOption(option, problem)
    return _complete(owner, status)


def _complete(owner: _Owner, status: os.stat_result) -> _Owner:
    return _Owner(
        status.st_uid if owner.uid is None else owner.uid,
        status.st_gid if owner.gid is None else owner.gid,
    )
