# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real programs at their most talkative: no token in output, in files left, in arguments."""

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
from tests.unit.modules.canary import Canary, contents, hatch

COLLECTIONS = Path(nomba_token_revoke.__file__).parents[5]
MODULE = "nomba.auth.nomba_token_revoke"
HOST = ("-i", "localhost,", "-c", "local", "-vvvv")


@dataclass(frozen=True)
class Ran:
    """What a program said, and the command lines of all processes that it started."""

    status: int
    output: str
    commands: Sequence[bytes]


@dataclass(frozen=True)
class Terminal:
    """A user with a home of their own, next to a simulator."""

    simulator: ControlClient
    folder: Path

    @property
    def left(self) -> list[bytes]:
        """The names and contents of all files that programs left behind."""
        return contents(self.folder / "home", self.folder / "tmp")

    def run(self, program: str, *words: str, **more: str) -> Ran:
        """Run a program of Ansible, held at its first request until it was looked at."""
        self.simulator.forget_requests()
        self.simulator.fault("any", "slow", delay=1)
        line = [str(Path(sys.executable).with_name(program)), *words, *HOST]
        said = self.folder / "said"  # a file: a pipe that nobody reads would hold the run up
        with (
            said.open("wb") as output,
            subprocess.Popen(
                line,
                env={**self._environment(), **more},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
            _watching(process.pid) as commands,
        ):
            self.simulator.wait_for_requests(1, timeout=60)
            commands.extend(_command_lines(process.pid))
            process.wait()
        return Ran(process.returncode, said.read_text(encoding="utf-8"), commands)

    def play(self, tasks: Sequence[Mapping[str, Any]], *words: str, **more: str) -> Ran:
        """Run tasks, with variables from the file of secrets."""
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {"group/nomba.auth.nomba": self.connection},
            "vars_files": [str(self.folder / "given" / "secrets.json")],
            "tasks": tasks,
        }
        book = self.folder / "given" / "play.json"
        book.write_text(json.dumps([play]))
        return self.run("ansible-playbook", str(book), *words, **more)

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
    """A fresh home, with a short name: Ansible puts a socket there, whose path must be short."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("home", "tmp", "given"):
            Path(folder, name).mkdir()
        yield Terminal(simulator, Path(folder))


@contextmanager
def _watching(root: int) -> Iterator[list[bytes]]:
    """Look at the command lines of a process and of all its children, again and again."""
    seen: list[bytes] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            seen.extend(_command_lines(root))

    thread = threading.Thread(target=look)
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
            continue  # it has ended
        if process in family or int(status.rpartition(")")[2].split()[1]) in family:
            family.add(process)
            lines.append(line)
    return lines


def _is_silent(canary: Canary, terminal: Terminal, ran: Ran) -> bool:
    """Whether nothing of a token came out, in a run that was really looked at."""
    looked = any(b"AnsiballZ" in line for line in ran.commands) and ran.output.count("EXEC") > 1
    return looked and not canary.sings(ran.output, *ran.commands, *terminal.left)


@pytest.mark.parametrize("check", [True, False], ids=["check", "real"])
def test_a_token_from_the_environment_shows_nowhere(terminal: Terminal, check: bool) -> None:
    canary = hatch(terminal.simulator)
    options = " ".join(f"{name}={value}" for name, value in terminal.connection.items())
    flags = ["--check", "--diff"] if check else ["--diff"]
    command = ["localhost", "-m", MODULE, "-a", options, *flags]
    ran = terminal.run("ansible", *command, NOMBA_ACCESS_TOKEN=canary.token)
    assert ran.status == 0, ran.output
    assert '"outcome": "revoked"' in ran.output
    assert _is_silent(canary, terminal, ran)
    assert terminal.simulator.accepts(canary.token) is check


def test_tokens_of_a_playbook_show_nowhere(terminal: Terminal) -> None:
    swept, known, other = (hatch(terminal.simulator) for __ in range(3))
    given = terminal.folder / "given"
    (given / "secrets.json").write_text(json.dumps({"leaked": known.token, "all": [other.token]}))
    (given / "app.log").write_text(f"GET /v1 Bearer {swept.token} of {swept.email}\n")
    ways: dict[str, Any] = {
        "access_token": "{{ leaked }}",
        "access_tokens": "{{ all }}",
        "sources": [str(given / "app.log")],
    }
    tasks = [*_tasks({name: value} for name, value in ways.items()), _show("outcome")]
    ran = terminal.play(tasks)
    assert ran.status == 0, ran.output
    assert ran.output.count('"code": "refused"') >= 3
    assert all(_is_silent(canary, terminal, ran) for canary in (swept, known, other))
    assert terminal.simulator.live() == []
    assert len(terminal.simulator.writes()) == 6


def _tasks(ways: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """For each way to give a token: a check run, a run that fails, and one that succeeds."""
    for options in ways:
        wrong = {**options, "client_id": SECOND_CLIENT_ID}
        yield {"name": "Check", MODULE: options, "check_mode": True, "diff": True}
        yield {"name": "Fail", MODULE: wrong, "ignore_errors": True, "register": "outcome"}
        yield {"name": "Revoke", MODULE: options, "diff": True, "register": "outcome"}


def _show(name: str) -> dict[str, Any]:
    return {"name": "Show", "ansible.builtin.debug": {"var": name}}


def test_a_playbook_that_ends_in_failure_shows_nothing(terminal: Terminal) -> None:
    canary = hatch(terminal.simulator)
    (terminal.folder / "given" / "secrets.json").write_text(json.dumps({"leaked": canary.token}))
    terminal.simulator.fault("revoke", "echo", times=0)
    task = {"name": "Fail", MODULE: {"access_token": "Bearer {{ leaked }}"}}
    ran = terminal.play([task], "--diff", NOMBA_ACCESS_TOKEN=canary.token)
    assert ran.status == 2, ran.output
    assert '"code": "refused"' in ran.output
    assert _is_silent(canary, terminal, ran)
    assert terminal.simulator.accepts(canary.token)


def test_a_path_that_is_not_utf8_loses_no_result(terminal: Terminal) -> None:
    canary = hatch(terminal.simulator)
    folder = terminal.folder / "given" / canary.email
    folder.mkdir()
    Path(os.fsdecode(bytes(folder) + b"/\xff.log")).write_text(canary.token)
    options = {"sources": [str(terminal.folder / "given")], **terminal.connection}
    ran = terminal.run("ansible", "localhost", "-m", MODULE, "-a", json.dumps(options))
    assert ran.status == 0, ran.output
    assert r'/given/<e-mail>/\\xff.log"' in ran.output
    assert _is_silent(canary, terminal, ran)
    assert terminal.simulator.live() == []
