# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The name of this run of Ansible, whether another run is alive, and who started this one.

A name contains the machine, its boot id, the process number of ansible-playbook and its start time,
so that a reused process number is not taken for the run. The start time of a process is available
on Linux only. On other systems, a dead run is `alive` if its process number was reused.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import context

_SEPARATOR = "/"
_PROCESS = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_PROC = Path("/proc")
_USER_VARIABLES = ("USER", "LOGNAME", "SUDO_USER", "GITHUB_ACTOR", "GITLAB_USER_LOGIN")


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


def current_user(variables: Mapping[str, Any]) -> str:
    """Return who started this run, from the environment of the controller.

    variables: those of the task; Automation Platform sets awx_user_name.
    """
    names = [os.environ.get(name, "").strip() for name in _USER_VARIABLES]
    names.append(str(variables.get("awx_user_name") or "").strip())
    return next((name for name in names if name), f"uid {os.getuid()}")


def resume_command() -> str:
    """Return the command of this run without options that may contain secrets.

    Empty if the run was not started by ansible-playbook.
    """
    arguments = context.CLIARGS
    playbooks = [str(one) for one in arguments.get("args") or ()]
    if not playbooks:
        return ""
    inventories = [str(one) for one in arguments.get("inventory") or () if "," not in str(one)]
    command = ["ansible-playbook", *(f"-i {shlex.quote(one)}" for one in inventories)]
    return " ".join([*command, *map(shlex.quote, playbooks)]) + ", with the same variables"
