# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that outlive the command that started them, and their end."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .folder import TestbedError

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02


def find_program(name: str, package: str) -> str:
    """A program of the PATH, of the system's folders, or beside this Python."""
    folders = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([*folders, beside]))
    if found is None:
        raise TestbedError(f"the program {name} is missing: install {package}")
    return found


def free_ports(count: int) -> list[int]:
    """As many different ports of loopback on which nobody listens."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for __ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def start(command: Sequence[str], log: Path) -> int:
    """Start a program in a session of its own; nothing of it hangs on our pipes."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # It outlives us on purpose: its simulator must not complain that nobody waited.
    process.returncode = 0
    return process.pid


def is_ours(pid: int, folder: Path) -> bool:
    """Whether this process still is the one that was started for the folder."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return f"{folder}/".encode() in words


def wait_until(ready: Callable[[], bool], what: str, pid: int, folder: Path) -> None:
    """Wait until something of a process is there; say so if the process ends or stays silent."""
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if not is_ours(pid, folder):
            raise TestbedError(f"{what} ended before it was ready; see {folder}/logs")
        if time.monotonic() > deadline:
            raise TestbedError(f"{what} was not ready in {_START_SECONDS:.0f} s; see {folder}/logs")
        time.sleep(_POLL_SECONDS)


def stop(pids: Iterable[int], folder: Path) -> int:
    """End those processes that are still ours, with their children; return how many."""
    ours = {pid for pid in pids if is_ours(pid, folder)}
    with _held(ours | _descendants(ours)) as held:
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal(held, number)
            if _ended(held, _STOP_SECONDS):
                return len(ours)
    raise TestbedError(f"some of the processes {sorted(ours)} do not end")


@contextmanager
def _held(pids: Iterable[int]) -> Iterator[list[int]]:
    """Descriptors of processes: unlike a number, none can come to mean another process."""
    with ExitStack() as stack:
        held: list[int] = []
        for pid in pids:
            with suppress(ProcessLookupError):
                held.append(os.pidfd_open(pid))
                stack.callback(os.close, held[-1])
        yield held


def _signal(held: Iterable[int], number: signal.Signals) -> None:
    for descriptor in held:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)


def _ended(held: Iterable[int], seconds: float) -> bool:
    waiting = set(held)
    poll = select.poll()
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + seconds
    while waiting and (left := deadline - time.monotonic()) > 0:
        for descriptor, _event in poll.poll(left * 1000):
            poll.unregister(descriptor)
            waiting.discard(descriptor)
    return not waiting


def _descendants(pids: Iterable[int]) -> set[int]:
    """Children and their children: a session of sshd does not end with its listener."""
    parents = dict(_parents())
    found = set(pids)
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name, in parentheses, may hold anything.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            yield int(path.parent.name), int(fields[1])
