# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running a program of the host that prints what a file contains, and reading its output."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType

from ansible_collections.nomba.auth.plugins.module_utils._scan_reader import Problem

# Programs are searched here only, not in the PATH of the user.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PIECE = 256 * 1024
# Seconds without any output, after which a program is ended.
_TIMEOUT = 60.0
# Seconds between two looks at whether a signal stopped the run.
_LOOK = 0.5
_MAX_MESSAGE = 4096


class ProgramFailed(Problem):
    """A program failed or ended early; the text is the reason, for users."""


def find_program(name: str) -> str | None:
    """Return the path of a program of this host; None if it is not installed."""
    return shutil.which(name, path=_PATH)


class Program:
    """A running program, whose standard output is read as a stream.

    Used as a context. Raises ProgramFailed, also at its end if the program failed.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        stopped: Callable[[], bool],
        inherit: Sequence[int] = (),
    ) -> None:
        """environment: all variables of the program, besides PATH and the language."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed at the end of the context
        self._stopped = stopped
        # run_command of Ansible collects the whole output in memory.
        # pylint: disable-next=ansible-bad-function
        self._process = subprocess.Popen(  # noqa: S603  no part of the command is from a file
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={"PATH": _PATH, "LC_ALL": "C", **environment},
            cwd="/",
            pass_fds=inherit,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        if self._process.stdout:
            self._process.stdout.close()
        status = self._process.wait()
        message = self._message()
        self._errors.close()
        if kind is None and status:
            raise ProgramFailed(message or f"exit status {status}")

    def _message(self) -> str:
        """Return the first line of the program's messages."""
        self._errors.seek(0)
        first = self._errors.read(_MAX_MESSAGE).decode("utf-8", "replace").splitlines()
        return "".join(one for one in first[:1] if one.isprintable())

    def chunks(self) -> Iterator[bytes]:
        """Yield the output."""
        output = self._process.stdout
        if output is None:
            return
        waited = 0.0
        while True:
            if not select.select([output], [], [], _LOOK)[0]:
                waited += _LOOK
                if waited >= _TIMEOUT:
                    raise ProgramFailed(f"it printed nothing for {_TIMEOUT:.0f} s")
            elif chunk := os.read(output.fileno(), _PIECE):
                waited = 0.0
                yield chunk
            else:
                return
            if self._stopped():
                raise ProgramFailed("a signal stopped the run")
