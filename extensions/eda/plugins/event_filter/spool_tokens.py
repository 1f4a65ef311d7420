# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep leaked tokens out of the rule engine: it gets the path of a private file instead.

ansible-rulebook prints events, keeps them in memory, and hands them to playbooks as variables. A
filter is the last place before that. It imports nothing of the collection, because ansible-rulebook
loads it by its path.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
---
short_description: Put tokens of an alert into a private file, and pass on its path
description:
  - Replaces the whole event by C(nomba_alert), which holds the C(fingerprints) of the tokens that
    the alert names, and as C(spool) the path of a file with these tokens. Without any token there
    is no C(spool).
  - A token may stand anywhere in the alert, in any field, with other text around it.
  - The file is for its owner only. Whoever revokes the tokens removes it, as the playbook
    C(nomba.auth.revoke_leaked) does.
options:
  folder:
    description:
      - Where the files go. Made when it is missing. One that others can look into is refused.
    type: path
    default: ~/.ansible/nomba_leaked
"""

EXAMPLES = r"""
- eda.builtin.webhook:
    port: 5000
    hmac_secret: "{{ nomba_webhook_secret }}"
  filters:
    - nomba.auth.spool_tokens:
"""

FOLDER = "~/.ansible/nomba_leaked"

# The modules decide what is a token, and find it with text glued to it. So whole runs of a token's
# characters are kept, and what looks like a token in them is only shown.
_RUN = re.compile(r"[A-Za-z0-9_.-]+")
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{1,256}\.eyJ[A-Za-z0-9_-]{1,7000}\.[A-Za-z0-9_-]{43}")


def main(event: dict[str, Any], folder: str = FOLDER) -> dict[str, Any]:
    """Return an event without anything of the alert but paths and fingerprints."""
    runs = [run for text in _texts(event) for run in _RUN.findall(text) if _TOKEN.search(run)]
    found = [token for run in runs for token in _TOKEN.findall(run)]
    alert: dict[str, Any] = {"fingerprints": list(dict.fromkeys(map(_fingerprint, found)))}
    if runs:
        alert["spool"] = _spool(runs, Path(folder).expanduser())
    return {"nomba_alert": alert}


def _texts(value: object) -> Iterator[str]:
    """Every text of the alert, names of fields among them."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one


def _fingerprint(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()[:16]


def _spool(runs: list[str], folder: Path) -> str:
    """Write the file, so that it survives a crash, and return its path."""
    _own(folder)
    # Made with mode 0600, and never in place of another file.
    descriptor, path = tempfile.mkstemp(prefix="alert-", suffix=".txt", dir=folder)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("\n".join(runs) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def _own(folder: Path) -> None:
    """Make the folder for us alone, and refuse one that is not."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    private = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    if not private or status.st_uid != os.geteuid():
        raise PermissionError(
            f"folder: {folder} must be a folder of this user with mode 0700, because leaked "
            "tokens are kept there; name another one or correct its owner and mode"
        )
