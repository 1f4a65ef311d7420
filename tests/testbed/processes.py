# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start processes that outlive the command that started them, and stop them."""

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
_EXEC_POLLS = 50


def find_program(name: str, package: str) -> str:
    """Return the path of a program: from PATH, the system's folders, or beside this Python."""
    folders = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([*folders, beside]))
    if found is None:
        raise TestbedError(f"program {name} not found: install {package}")
    return found


def free_ports(count: int) -> list[int]:
    """Return different unused ports of the loopback interface."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for __ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def start(command: Sequence[str], log: Path) -> int:
    """Start a program in its own session, with its output in a log file; return its pid."""
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
    # The process outlives this one. Without a return code, subprocess warns that it still runs.
    process.returncode = 0
    return process.pid


def is_ours(pid: int, folder: Path) -> bool:
    """Return whether the command line of a process contains the folder."""
    return f"{folder}/".encode() in _command_line(pid)


def _command_line(pid: int) -> bytes:
    """Return the command line of a process; empty if it has ended.

    Linux shows an empty one also between the start of a program and the set-up of its arguments.
    """
    process = Path(f"/proc/{pid}")
    for __ in range(_EXEC_POLLS):
        try:
            command_line = (process / "cmdline").read_bytes()
            state = (process / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return b""
        if command_line or state in (b"Z", b"X"):
            return command_line
        time.sleep(_POLL_SECONDS)
    return b""


def wait_until(ready: Callable[[], bool], what: str, pid: int, folder: Path) -> None:
    """Wait until a process is ready; fail if it ends first, or after a timeout."""
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if not is_ours(pid, folder):
            raise TestbedError(f"{what} ended before it was ready; see {folder}/logs")
        if time.monotonic() > deadline:
            raise TestbedError(f"{what} was not ready in {_START_SECONDS:.0f} s; see {folder}/logs")
        time.sleep(_POLL_SECONDS)


def stop(pids: Iterable[int], folder: Path) -> int:
    """Stop those processes that are still ours, with their children; return their number."""
    ours = {pid for pid in pids if is_ours(pid, folder)}
    with _pidfds(ours | _descendants(ours)) as pidfds:
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal(pidfds, number)
            if _wait(pidfds, _STOP_SECONDS):
                return len(ours)
    raise TestbedError(f"processes {sorted(ours)} did not end after SIGKILL")


@contextmanager
def _pidfds(pids: Iterable[int]) -> Iterator[list[int]]:
    """Open a pidfd for each process: unlike a process id, it is never reused."""
    with ExitStack() as stack:
        pidfds: list[int] = []
        for pid in pids:
            with suppress(ProcessLookupError):
                pidfds.append(os.pidfd_open(pid))
                stack.callback(os.close, pidfds[-1])
        yield pidfds


def _signal(pidfds: Iterable[int], number: signal.Signals) -> None:
    for pidfd in pidfds:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, number)


def _wait(pidfds: Iterable[int], timeout: float) -> bool:
    """Wait until all processes have ended; return whether they have."""
    waiting = set(pidfds)
    poll = select.poll()
    for pidfd in waiting:
        poll.register(pidfd, select.POLLIN)
    deadline = time.monotonic() + timeout
    while waiting and (left := deadline - time.monotonic()) > 0:
        for pidfd, _event in poll.poll(left * 1000):
            poll.unregister(pidfd)
            waiting.discard(pidfd)
    return not waiting


def _descendants(pids: Iterable[int]) -> set[int]:
    """Return the processes and all their descendants: sshd sessions outlive their listener."""
    parents = dict(_parents())
    found = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The program name, in parentheses, may contain any character.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            yield int(path.parent.name), int(fields[1])
