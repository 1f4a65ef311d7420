# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replace the tokens of an event with the path of a private file.

ansible-rulebook prints events, keeps them in memory, and passes them to playbooks as variables. An
event filter runs before that. This file imports nothing from the collection, because
ansible-rulebook loads it by its path.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
---
short_description: Write the tokens of an alert to a private file, and return its path
description:
  - Replaces the whole event with C(nomba_alert), which contains the C(fingerprints) of the tokens
    in the alert, and as C(spool) the path of a file with these tokens. If the alert contains no
    token, C(spool) is not set.
  - A token may be in any field of the alert, with other text around it. A truncated token counts if
    it names a Nomba account, so that its revoke fails as C(malformed) and it is not missed.
  - Only the owner can read the file. The playbook C(nomba.auth.revoke_leaked) removes it after it
    revoked the tokens.
options:
  folder:
    description:
      - The folder for the files. It is created if it is missing. A folder that other users can read
        is rejected, and so is a link, and a folder below one that other users can write.
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

# The length of a signature in base64url characters, for each alg that has only one (RFC 7518 and
# 9864). Any other signature extends to the last valid character, as in the modules.
_SIGNATURES: dict[object, int] = {
    "none": 0,
    "HS256": 43,
    "HS384": 64,
    "HS512": 86,
    "ES256": 86,
    "ES256K": 86,
    "ES384": 128,
    "ES512": 176,
    "Ed25519": 86,
    "Ed448": 152,
}

# The modules decide what is a token, and find it also directly next to other text. Therefore the
# file contains whole runs of token characters; the tokens that are recognized here only appear as
# fingerprints. A JSON object begins with a brace, and then a quotation mark or white space.
_RUN = re.compile(r"[A-Za-z0-9_.-]+")
_OBJECT = r"e(?:y[A-DI-L]|w[k-r0-3])"
_HEADER_START = re.compile(_OBJECT)
_PAYLOAD = re.compile(r"\.(" + _OBJECT + r"[A-Za-z0-9_-]{1,8192})(?=\.([A-Za-z0-9_-]*)|)")
_ACCOUNT_CLAIM = re.compile(rb'"(G:[A-Za-z0-9_-]{1,64})"\s*:\s*')
_MAX_HEADER = 2048
_MAX_HEADERS_TRIED = 64


def main(event: dict[str, Any], folder: str = FOLDER) -> dict[str, Any]:
    """Return an event that contains only the path and the fingerprints."""
    runs = {run: _tokens(run) for text in _texts(event) for run in _RUN.findall(text)}
    found = [token for tokens in runs.values() for token in tokens]
    alert: dict[str, Any] = {"fingerprints": list(dict.fromkeys(map(_fingerprint, found)))}
    if found:
        alert["spool"] = _spool([run for run in runs if runs[run]], Path(folder).expanduser())
    return {"nomba_alert": alert}


def _texts(value: object) -> Iterator[str]:
    """Yield every string of the alert, including the names of fields."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            pending += value


def _tokens(run: str) -> list[str]:
    """Return the tokens in a run of token characters, and truncated tokens of Nomba."""
    found = []
    for match in _PAYLOAD.finditer(run):
        before = run[: match.start()].rpartition(".")[2]
        payload, signature = match.groups()
        header, alg = _header(before)
        length = _SIGNATURES.get(alg, len(signature or "")) if header else 0
        if header and signature and 0 < length <= len(signature):
            found.append(f"{header}.{payload}.{signature[:length]}")
        elif _names_account(payload):
            parts = (header or before, payload, signature)
            found.append(".".join(part for part in parts if part is not None))
    return found


def _header(before: str) -> tuple[str, str | None]:
    """Return the header at the end of this text, empty if there is none, and its alg."""
    before = before[-_MAX_HEADER:]
    starts = [match.start() for match in _HEADER_START.finditer(before)]
    for start in starts[::-1][:_MAX_HEADERS_TRIED]:
        try:
            fields = json.loads(_decode(before[start:]))
        except (ValueError, RecursionError):
            continue
        alg = fields.get("alg")
        return before[start:], alg if isinstance(alg, str) else None
    return "", None


def _names_account(payload: str) -> bool:
    """Return whether a payload, complete or truncated, names an account."""
    text = _decode(payload)
    claims = ((b'"%s"' % match.group(1), match.end()) for match in _ACCOUNT_CLAIM.finditer(text))
    return any(
        text.startswith(value, end) or value.startswith(text[end : end + len(value)])
        for value, end in claims
    )


def _decode(part: str) -> bytes:
    """Decode a base64url part without padding, complete or truncated."""
    return base64.urlsafe_b64decode((part[:-1] if len(part) % 4 == 1 else part) + "==")


def _fingerprint(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()[:16]


def _spool(runs: list[str], folder: Path) -> str:
    """Write the file durably and return its path."""
    absolute = Path.cwd() / folder
    folder = Path(os.path.realpath(absolute.parent)) / absolute.name
    for parent in {*absolute.parents, *folder.parents}:
        _require_safe(parent)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"alert-{os.urandom(8).hex()}.txt"
    opened = _open(folder)
    try:
        _write(opened, name, ("\n".join(runs) + "\n").encode("ascii"))
        os.fsync(opened)
    finally:
        os.close(opened)
    return str(folder / name)


def _require_safe(parent: Path) -> None:
    """Reject a parent folder or link in which another user could replace the next component."""
    with suppress(FileNotFoundError):  # It will be created.
        status = parent.lstat()
        groups = {0, os.getegid()}
        others = status.st_mode & (stat.S_IWOTH | stat.S_IWGRP * (status.st_gid not in groups))
        is_safe = stat.S_ISLNK(status.st_mode) or status.st_mode & stat.S_ISVTX or not others
        if status.st_uid not in {0, os.geteuid()} or not is_safe:
            raise PermissionError(
                f"folder: other users can write {parent} and could replace the files with leaked "
                "tokens; set a folder below one that only its owner can write"
            )


def _open(folder: Path) -> int:
    """Open the folder; reject one that other users can access."""
    problem = PermissionError(
        f"folder: {folder} must be a folder of this user with mode 0700, because it will contain "
        "leaked tokens; set another folder, or correct its owner and mode"
    )
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        raise problem from None
    status = os.fstat(opened)
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
        os.close(opened)
        raise problem
    return opened


def _write(folder: int, name: str, content: bytes) -> None:
    """Write a new file with mode 0600; remove it if the write fails."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
