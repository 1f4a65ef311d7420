# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that the tasks of one rotation or scan pass to each other on the controller.

Ansible runs each task in a process of its own, and prints, logs and caches what tasks return. A
token that one task reads and another one writes is therefore passed in a file, encrypted with a key
that the first task returns and no file contains. Evidence about a host is passed in the same way:
no variable can replace it, and another run of the role in the same play, which has another key,
cannot read it. Ansible removes the folder at the end of the run. What a killed run leaves is
unreadable, and the next run removes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from ansible import constants
from ansible.errors import AnsibleError

from ansible_collections.nomba.auth.plugins.plugin_utils._playbook_run import state_of, this_run

try:
    from cryptography.fernet import Fernet, InvalidToken
except ImportError:  # ansible-core requires it, but ansible-test imports plugins without it
    Fernet = None  # type: ignore[assignment,misc]
    InvalidToken = ValueError  # type: ignore[assignment,misc]

_PREFIX = "nomba-"
_AFTER_RUN = "~"


class Spool:
    """The values of one run, by name."""

    def __init__(self, folder: str, key: str) -> None:
        self.folder = Path(folder)
        self._key = key

    @classmethod
    def create(cls) -> Spool:
        """Create an empty spool with a new key, in Ansible's temporary folder of this run."""
        _remove_spools_of_dead_runs()
        prefix = f"{_PREFIX}{quote(this_run(), safe='')}{_AFTER_RUN}"
        folder = tempfile.mkdtemp(prefix=prefix, dir=constants.DEFAULT_LOCAL_TMP)
        return cls(folder, Fernet.generate_key().decode())

    @classmethod
    def opened(cls, handle: Any) -> Spool:
        """Return the spool that a handle names. Raises AnsibleError."""
        if not isinstance(handle, Mapping) or not {"folder", "key"} <= set(handle):
            raise AnsibleError(
                "This run was not started by its first task. Run it from its start, without "
                "--start-at-task, --tags and --skip-tags."
            )
        return cls(str(handle["folder"]), str(handle["key"]))

    @property
    def handle(self) -> dict[str, str]:
        """What a task returns so that later tasks can open the spool."""
        return {"folder": str(self.folder), "key": self._key}

    def put(self, name: str, value: Any) -> None:
        """Store a JSON value; replaces the earlier one atomically."""
        path = self._path(name)
        content = Fernet(self._key).encrypt(json.dumps(value).encode())
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.touch(mode=0o600, exist_ok=False)
        temporary.write_bytes(content)
        temporary.replace(path)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default if it was not stored with this key."""
        try:
            content = Fernet(self._key).decrypt(self._path(name).read_bytes())
        except (OSError, InvalidToken, ValueError):
            return default
        return json.loads(content)

    def remove(self, name: str) -> None:
        """Remove a value, if it exists."""
        self._path(name).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the folder with all values."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        # A host's name can contain any character.
        return self.folder / hashlib.sha256(name.encode()).hexdigest()


def _remove_spools_of_dead_runs() -> None:
    """Remove what killed runs have left in Ansible's temporary folders on this machine."""
    for folder in Path(constants.DEFAULT_LOCAL_TMP).parent.glob(f"*/{_PREFIX}*{_AFTER_RUN}*"):
        run = unquote(folder.name[len(_PREFIX) :].rpartition(_AFTER_RUN)[0])
        if state_of(run) == "dead":
            shutil.rmtree(folder, ignore_errors=True)
