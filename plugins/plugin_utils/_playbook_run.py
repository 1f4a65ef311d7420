# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The name of this run of Ansible, whether another run is alive, and who started this one.

A name contains the machine, its boot id, the process number of ansible-playbook and its start time,
so that a reused process number is not taken for the run. The start time of a process is available
on Linux only. On other systems, a dead run is `alive` if its process number was reused.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shlex
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.parsing.splitter import parse_kv

from ansible_collections.nomba.auth.plugins.module_utils._rotation import hide_tokens

_SEPARATOR = "/"
_PROCESS = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_PROC = Path("/proc")
_USER_VARIABLES = ("USER", "LOGNAME", "SUDO_USER", "GITHUB_ACTOR", "GITLAB_USER_LOGIN")
_EMERGENCY = "credential_rotation_emergency"
_INCIDENT = "credential_rotation_incident"
_FLAGS = ("-C", "--check", "-D", "--diff")
_RESTRICTIONS = (*_FLAGS, "-l", "--limit", "--start-at-task", "-t", "--tags", "--skip-tags")
_MAYBE_SECRET = re.compile("secret|password|token", re.IGNORECASE)


def this_run() -> str:
    """Return the name of the run of this process."""
    # Templates are usually rendered in a worker process, which exists for one task only.
    parent = multiprocessing.parent_process()
    process = os.getpid() if parent is None or parent.pid is None else parent.pid
    return _SEPARATOR.join([_machine(), str(process), _started(process)])


def state_of(run: str) -> str:
    """Return whether a run is alive, dead or elsewhere."""
    machine, __, rest = run.partition(_SEPARATOR)
    process, __, started = rest.partition(_SEPARATOR)
    if machine != _machine() or not _PROCESS.fullmatch(process):
        return "elsewhere"
    alive = _exists(int(process)) and _started(int(process)) == started
    return "alive" if alive else "dead"


def _machine() -> str:
    """Return the host name and the boot id. Containers of a machine differ by their host name."""
    boot = _PROC / "sys/kernel/random/boot_id"
    return f"{socket.gethostname()}.{_first_line(boot)}"


def _started(process: int) -> str:
    """Return when a process started, in ticks since the boot; empty if unknown."""
    # The second field is the program's name in parentheses, with any characters.
    fields = _first_line(_PROC / str(process) / "stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return ""


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# A text that YAML reads as this text without quotes.
_PLAIN = re.compile(r"/[\w./@%+-]*|[A-Za-z][\w./@%+-]*\.[\w./@%+-]+")


def current_user(variables: Mapping[str, Any]) -> str:
    """Return who started this run, from the environment of the controller.

    variables: those of the task; Automation Platform sets awx_user_name.
    """
    names = [os.environ.get(name, "").strip() for name in _USER_VARIABLES]
    names.append(str(variables.get("awx_user_name") or "").strip())
    return next((name for name in names if name), f"uid {os.getuid()}")


def resume_command(arguments: Sequence[str]) -> str:
    """Return the command that continues a run, without secrets; empty for another program.

    arguments: those of this process. Options that restrict the run are omitted, and so is an
    emergency, unless its incident has an id: a second one would revoke the new token. The value of
    a variable that may be a secret is replaced by dots.
    """
    if not arguments or Path(arguments[0]).name != "ansible-playbook":
        return ""
    words, variables = _without_variables(arguments[1:])
    shown = [word for one in variables for word in _shown_variables(one)]
    if not any(word.startswith(f"{_INCIDENT}=") for word in shown):
        shown = [word for word in shown if not word.startswith(f"{_EMERGENCY}=")]
    pairs = [word for one in shown for word in ("-e", one)]
    return shlex.join(map(hide_tokens, ["ansible-playbook", *words, *pairs]))


def _without_variables(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the other arguments, and the values of -e."""
    words: list[str] = []
    variables: list[str] = []
    rest = iter(arguments)
    for word in rest:
        name, is_joined, value = word.partition("=")
        if name in ("-e", "--extra-vars"):
            variables.append(value if is_joined else next(rest, ""))
        elif word.startswith("-e"):
            variables.append(word[2:])
        elif name in _RESTRICTIONS:
            if not is_joined and name not in _FLAGS:
                next(rest, None)
        else:
            words.append(word)
    return words, variables


def _shown_variables(text: str) -> list[str]:
    """Return the values of -e that show the variables in a text: a file, JSON, or pairs."""
    if text.startswith("@"):
        return [text]
    try:
        found = json.loads(text)
    except ValueError:
        found = parse_kv(text)
    if not isinstance(found, Mapping):
        return ["..."]
    return [_shown_variable(str(name), value) for name, value in found.items()]


def _shown_variable(name: str, value: Any) -> str:
    if not name.startswith(("nomba_", "credential_rotation_")) or _MAYBE_SECRET.search(name):
        return f"{name}=..."
    return f"{name}={value}" if isinstance(value, str) else f"{{{name}: {_flow(value)}}}"


def _flow(value: Any) -> str:
    """Return a value as YAML in one line, without the double quotes that a JSON output escapes."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value)
    return str(value) if is_plain else json.dumps(value)
