# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible at its highest verbosity shows no token in output, remaining files or arguments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke
from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID
from tests.unit.modules.canary import Canary, contents, make_canary

COLLECTIONS = Path(nomba_token_revoke.__file__).parents[5]
MODULE = "nomba.auth.nomba_token_revoke"
HOST = ("-i", "localhost,", "-c", "local", "-vvvv")


@dataclass(frozen=True)
class CommandRun:
    """Exit status and output of a program, and the command lines of its processes."""

    status: int
    output: str
    commands: Sequence[bytes]


@dataclass(frozen=True)
class Terminal:
    """A user with an empty home folder, and a simulator."""

    simulator: ControlClient
    folder: Path

    @property
    def remaining_files(self) -> list[bytes]:
        """The names and contents of all files that programs did not remove."""
        return contents(self.folder / "home", self.folder / "tmp")

    def run(self, program: str, *arguments: str, **environment: str) -> CommandRun:
        """Run a program of Ansible; its first request waits until its processes are listed."""
        self.simulator.forget_requests()
        self.simulator.fault("any", "slow", delay=3)
        line = [str(Path(sys.executable).with_name(program)), *arguments, *HOST]
        output_file = self.folder / "output"  # a pipe that nobody reads would block the run
        with (
            output_file.open("wb") as output,
            subprocess.Popen(
                line,
                env={**self._environment(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
            recorded_commands(process.pid) as commands,
        ):
            self.simulator.wait_for_requests(1, timeout=60)
            commands.extend(_command_lines(process.pid))
            process.wait()
        return CommandRun(process.returncode, output_file.read_text(encoding="utf-8"), commands)

    def play(
        self, tasks: Sequence[Mapping[str, Any]], *arguments: str, **environment: str
    ) -> CommandRun:
        """Run tasks with variables from the file of secrets."""
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {"group/nomba.auth.nomba": self.connection},
            "vars_files": [str(self.folder / "given" / "secrets.json")],
            "tasks": tasks,
        }
        book = self.folder / "given" / "play.json"
        book.write_text(json.dumps([play]))
        return self.run("ansible-playbook", str(book), *arguments, **environment)

    @property
    def connection(self) -> dict[str, str]:
        """The options of the connection."""
        names = ("account_id", "client_id", "ca_path")
        options = {name: str(getattr(self.simulator, name)) for name in names}
        return {**options, "api_url": self.simulator.url}

    def _environment(self) -> dict[str, str]:
        home, tmp = str(self.folder / "home"), str(self.folder / "tmp")
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "LC_ALL": "C.UTF-8",
            "HOME": home,
            "TMPDIR": tmp,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCAL_TEMP": f"{tmp}/local",
            "ANSIBLE_REMOTE_TEMP": f"{tmp}/remote",
            "ANSIBLE_LOG_PATH": f"{home}/ansible.log",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        }


@pytest.fixture
def terminal(simulator: ControlClient) -> Iterator[Terminal]:
    """An empty home folder with a short path, because Ansible creates a socket there."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("home", "tmp", "given"):
            Path(folder, name).mkdir()
        yield Terminal(simulator, Path(folder))


@contextmanager
def recorded_commands(root: int) -> Iterator[list[bytes]]:
    """Record the command lines of a process and of all its children until the block ends."""
    seen: list[bytes] = []
    done = threading.Event()

    def record() -> None:
        while not done.wait(0.05):
            seen.extend(_command_lines(root))

    thread = threading.Thread(target=record)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _command_lines(root: int) -> list[bytes]:
    family = {root}
    lines = []
    for process in sorted(int(path.name) for path in Path("/proc").glob("[0-9]*")):
        try:
            status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
            line = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue  # the process has exited
        if process in family or int(status.rpartition(")")[2].split()[1]) in family:
            family.add(process)
            lines.append(line)
    return lines


def assert_no_leak(canary: Canary, terminal: Terminal, run: CommandRun) -> None:
    """Require that a run was recorded and shows no part of a token."""
    assert any(b"AnsiballZ" in line for line in run.commands)
    assert run.output.count("EXEC") > 1
    assert canary.leaks(run.output, *run.commands, *terminal.remaining_files) == []


def test_ad_hoc_command_shows_no_token_of_the_environment(terminal: Terminal) -> None:
    canary = make_canary(terminal.simulator)
    options = " ".join(f"{name}={value}" for name, value in terminal.connection.items())
    command = ["localhost", "-m", MODULE, "-a", options, "--diff"]
    run = terminal.run("ansible", *command, NOMBA_ACCESS_TOKEN=canary.token)
    assert run.status == 0, run.output
    assert '"outcome": "revoked"' in run.output
    assert_no_leak(canary, terminal, run)
    assert not terminal.simulator.accepts(canary.token)


def test_playbook_shows_no_token(terminal: Terminal) -> None:
    found, known, other = (make_canary(terminal.simulator) for __ in range(3))
    given = terminal.folder / "given"
    (given / "secrets.json").write_text(json.dumps({"leaked": known.token, "all": [other.token]}))
    (given / "app.log").write_text(f"GET /v1 Bearer {found.token} of {found.email}\n")
    inputs: dict[str, Any] = {
        "access_token": "{{ leaked }}",
        "access_tokens": "{{ all }}",
        "sources": [str(given / "app.log")],
    }
    tasks = [*_tasks({name: value} for name, value in inputs.items()), _show("outcome")]
    run = terminal.play(tasks)
    assert run.status == 0, run.output
    assert run.output.count('"code": "refused"') >= 3
    for canary in (found, known, other):
        assert_no_leak(canary, terminal, run)
    assert terminal.simulator.live() == []
    assert len(terminal.simulator.writes()) == 6


def _tasks(inputs: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return for each input a check run, a run that fails and one that succeeds."""
    for options in inputs:
        wrong = {**options, "client_id": SECOND_CLIENT_ID}
        yield {"name": "Check", MODULE: options, "check_mode": True, "diff": True}
        yield {"name": "Fail", MODULE: wrong, "ignore_errors": True, "register": "outcome"}
        yield {"name": "Revoke", MODULE: options, "diff": True, "register": "outcome"}


def _show(name: str) -> dict[str, Any]:
    return {"name": "Show", "ansible.builtin.debug": {"var": name}}


def test_failed_playbook_shows_no_token(terminal: Terminal) -> None:
    canary = make_canary(terminal.simulator)
    (terminal.folder / "given" / "secrets.json").write_text(json.dumps({"leaked": canary.token}))
    terminal.simulator.fault("revoke", "echo", times=0)
    task = {"name": "Fail", MODULE: {"access_token": "Bearer {{ leaked }}"}}
    run = terminal.play([task], "--diff", NOMBA_ACCESS_TOKEN=canary.token)
    assert run.status == 2, run.output
    assert '"code": "refused"' in run.output
    assert_no_leak(canary, terminal, run)
    assert terminal.simulator.accepts(canary.token)


def test_path_that_is_not_utf8_keeps_the_result(terminal: Terminal) -> None:
    canary = make_canary(terminal.simulator)
    folder = terminal.folder / "given" / canary.email
    folder.mkdir()
    Path(os.fsdecode(bytes(folder) + b"/\xff.log")).write_text(canary.token)
    options = {"sources": [str(terminal.folder / "given")], **terminal.connection}
    run = terminal.run("ansible", "localhost", "-m", MODULE, "-a", json.dumps(options))
    assert run.status == 0, run.output
    assert r'/given/<e-mail>/\\xff.log"' in run.output
    assert_no_leak(canary, terminal, run)
    assert terminal.simulator.live() == []
