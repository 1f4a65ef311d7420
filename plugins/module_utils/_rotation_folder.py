# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private folder of a rotation: the state of a file store, the issued token, the audit log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    checksum,
    make_private,
    read_file,
    replace_if_unchanged,
    require_unchanged,
)
from ansible_collections.nomba.auth.plugins.module_utils._audit import append
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    FileEntry,
    create_folder,
    open_entry,
)

_STATE = "credentials.json"
_ISSUED = "issued.json"
_AUDIT = "audit.jsonl"


def use_folder(options: Mapping[str, Any], check_mode: bool, clock: Clock) -> dict[str, Any]:
    """Read the folder, or write the state and the audit log; return the result of the module.

    options: those of nomba_rotation_folder; all but `path` can be missing. Raises NombaError.
    """
    folder, content = options["path"], options.get("state_content")
    is_new = _create(folder, check_mode)
    if is_new and check_mode:
        return {"changed": True, "state_content": "", "issued": "", "checksum": ""}
    changed = is_new
    result: dict[str, Any] = {}
    with _opened(folder, _STATE) as entry:
        if content is None:
            current = read_file(entry)
            result = {"state_content": _text(current), "checksum": checksum(current)}
            with _opened(folder, _ISSUED) as issued:
                result["issued"] = _text(read_file(issued))
        else:
            changed |= _write(entry, content, options.get("expected", ""), check_mode, clock)
            result["checksum"] = checksum(content.encode())
    if not check_mode:
        changed |= _finish(folder, options, clock)
    return {"changed": changed, **result}


def _write(entry: FileEntry, content: str, expected: str, check_mode: bool, clock: Clock) -> bool:
    if check_mode:
        require_unchanged(read_file(entry), expected)
        return True
    return replace_if_unchanged(entry, lambda __: content.encode(), expected, make_private, clock)[
        1
    ]


def _finish(folder: str, options: Mapping[str, Any], clock: Clock) -> bool:
    """Remove the issued token and append the events; return whether this changed anything."""
    changed = False
    if options.get("discard_issued"):
        with suppress(FileNotFoundError):
            os.unlink(f"{folder}/{_ISSUED}")  # noqa: PTH108 -- pathlib is slow to import
            changed = True
    if options.get("events"):
        with _opened(folder, _AUDIT) as log:
            changed |= append(log, options["events"], clock) > 0
    return changed


def _create(folder: str, check_mode: bool) -> bool:
    if os.path.isdir(folder):  # noqa: PTH112 -- pathlib is slow to import
        return False
    if not check_mode:
        create_folder("path", folder)
    return True


@contextmanager
def _opened(folder: str, name: str) -> Iterator[FileEntry]:
    with open_entry("path", f"{folder}/{name}", follow_link=True) as entry:
        yield entry.owned_by(os.geteuid())


def _text(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")
