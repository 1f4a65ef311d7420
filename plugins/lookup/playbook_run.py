# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup that returns the name of this run of Ansible, or the state of another one."""

from __future__ import annotations

DOCUMENTATION = r"""
name: playbook_run
author:
  - The nomba.auth contributors (@nomba-auth)
version_added: 0.1.0
short_description: Return the name of this run of Ansible, or the state of another run
description:
  - The role P(nomba.auth.credential_rotation#role) writes the name of its run to its store, so that
    a second run can find out whether the first is still active, or was killed and must be resumed.
  - A name contains the machine, its boot id, the process number of C(ansible-playbook) and its
    start time, so that a reused process number is not taken for the run.
options:
  _terms:
    description:
      - Names of runs. Without any, the name of this run is returned.
    type: list
    elements: str
notes:
  - The start time of a process is available on Linux only. On other systems, a dead run is V(alive)
    if its process number was reused.
"""

EXAMPLES = r"""
- name: Store the name of this run
  ansible.builtin.set_fact:
    run: "{{ lookup('nomba.auth.playbook_run') }}"

- name: Show whether that run is alive
  ansible.builtin.debug:
    msg: "{{ lookup('nomba.auth.playbook_run', run) }}"
"""

RETURN = r"""
_raw:
  description:
    - The name of this run, or for each name V(alive), V(dead), or V(elsewhere) for a run on another
      machine, whose state is unknown.
  type: list
  elements: str
"""

import multiprocessing
import os
import re
import socket
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

_SEPARATOR = "/"
_PROCESS = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_PROC = Path("/proc")


class LookupModule(LookupBase):  # type: ignore[misc] # Ansible ships no type information
    """Names and states of runs."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:
        """Return one state per term, or this run's name."""
        if kwargs or not all(isinstance(term, str) for term in terms):
            raise AnsibleLookupError("playbook_run: pass the names of runs as strings, or nothing")
        self.set_options(var_options=variables, direct=kwargs)
        return [state_of(term) for term in terms] if terms else [this_run()]


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
