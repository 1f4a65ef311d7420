# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup that names this run of Ansible, and says whether another one is alive."""

from __future__ import annotations

DOCUMENTATION = r"""
name: playbook_run
author:
  - The nomba.auth contributors (@nomba-auth)
version_added: 0.1.0
short_description: Name this run of Ansible, or tell whether another run is alive
description:
  - The role P(nomba.auth.credential_rotation#role) writes the name of its run into its store, so
    that a second rotation finds out whether the first is still at work, or was killed and is to be
    finished.
  - A name holds the machine, its boot, the process of C(ansible-playbook) and when that started, so
    that a process number that is used again is not mistaken for the run.
options:
  _terms:
    description:
      - Names of runs. Without any, this run is named.
    type: list
    elements: str
notes:
  - When a process started is known on Linux only. Elsewhere a process number that is used again
    makes a dead run look alive.
"""

EXAMPLES = r"""
- name: Remember who is at work
  ansible.builtin.set_fact:
    run: "{{ lookup('nomba.auth.playbook_run') }}"

- name: Ask whether that run is alive
  ansible.builtin.debug:
    msg: "{{ lookup('nomba.auth.playbook_run', run) }}"
"""

RETURN = r"""
_raw:
  description:
    - The name of this run, or for each name V(alive), V(dead), or V(elsewhere) when the run is on
      another machine, where nobody can tell.
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
        """One answer per term, or this run's name."""
        if kwargs or not all(isinstance(term, str) for term in terms):
            raise AnsibleLookupError(
                "playbook_run: give names of runs, which are texts, or nothing"
            )
        self.set_options(var_options=variables, direct=kwargs)
        return [state_of(term) for term in terms] if terms else [this_run()]


def this_run() -> str:
    """The name of the run that this process belongs to."""
    # Templates are mostly filled in a worker, which lives for one task only.
    parent = multiprocessing.parent_process()
    process = os.getpid() if parent is None or parent.pid is None else parent.pid
    return _SEPARATOR.join([_machine(), str(process), _started(process)])


def state_of(run: str) -> str:
    """Whether a run is alive, dead or elsewhere."""
    machine, __, rest = run.partition(_SEPARATOR)
    process, __, started = rest.partition(_SEPARATOR)
    if machine != _machine() or not _PROCESS.fullmatch(process):
        return "elsewhere"
    alive = _exists(int(process)) and _started(int(process)) == started
    return "alive" if alive else "dead"


def _machine() -> str:
    """This machine since it was started. In a container, the host name tells it from others."""
    boot = _PROC / "sys/kernel/random/boot_id"
    return f"{socket.gethostname()}.{_first_line(boot)}"


def _started(process: int) -> str:
    """When a process started, in ticks since the boot; empty where that cannot be known."""
    # The second field is the program's name in parentheses, and may hold anything.
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
