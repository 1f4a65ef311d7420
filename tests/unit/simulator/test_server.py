# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and stopping: in a thread, and as a program of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.simulator.control_client import ControlClient
from tests.simulator.rules import BALANCE
from tests.simulator.server import Announcement, Options, running, write_announcement
from tests.unit.simulator.rules_client import Asking, asked

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The simulator as a program; killed if a test did not end it."""
    command = [sys.executable, "-m", "tests.simulator", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """What the program says when it is ready."""
    if process.stdout is None:
        pytest.fail("no output")
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_announcement_is_there_exactly_as_long_as_the_program(
    tmp_path: Path, number: signal.Signals
) -> None:
    announce = tmp_path / "deep" / "announce.json"
    with program("--announce", str(announce)) as process:
        assert "simulator ready: https://127.0.0.1:" in first_line(process)
        assert json.loads(announce.read_text())["pid"] == process.pid
        assert ControlClient.from_announcement(announce).issue()["access_token"]
        process.send_signal(number)
        assert process.wait(10) == 0

    assert not announce.exists()


def test_the_program_takes_settings_and_a_folder_for_its_ca(tmp_path: Path) -> None:
    announce, settings = tmp_path / "announce.json", tmp_path / "settings.json"
    settings.write_text('{"sessions": "single"}')
    arguments = ("--announce", str(announce), "--settings", str(settings))
    with program(*arguments, "--ca-dir", str(tmp_path / "ca")) as process:
        first_line(process)
        handle = ControlClient.from_announcement(announce)

    assert handle.settings["sessions"] == "single"
    assert handle.ca_path == str(tmp_path / "ca" / "simulator-ca.pem")
    assert "PRIVATE" not in Path(handle.ca_path).read_text()


def test_a_handle_does_not_go_through_a_proxy(tmp_path: Path, simulator: ControlClient) -> None:
    announce = tmp_path / "announce.json"
    here = Announcement(
        simulator.url, simulator.http_url, simulator.ca_path, os.getpid(), simulator.control_url
    )
    write_announcement(announce, here)
    script = (
        "import sys; from tests.simulator.control_client import ControlClient; "
        "ControlClient.from_announcement(sys.argv[1])"
    )
    # Port 9 is nobody's: a request through such a proxy fails.
    proxied = {**os.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    command = [sys.executable, "-c", script, str(announce)]

    assert subprocess.run(command, cwd=ROOT, env=proxied, check=False).returncode == 0


@pytest.mark.parametrize("text", ['{"colour": 1}', "{"])
def test_wrong_settings_are_one_sentence(tmp_path: Path, text: str) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(text)
    with program("--announce", str(tmp_path / "a"), "--settings", str(settings)) as process:
        __, errors = process.communicate(timeout=20)

    assert process.returncode == 1
    assert errors.startswith("simulator: ")
    assert "Traceback" not in errors


def test_a_port_in_use_is_an_error_in_either_way_of_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), running(options=Options(port=port)):
            pytest.fail("started all the same")
        with program("--announce", str(tmp_path / "a"), "--port", str(port)) as process:
            __, errors = process.communicate(timeout=20)

    assert errors.startswith("simulator: ")


def test_a_program_and_a_thread_do_not_know_each_others_tokens(simulator: ControlClient) -> None:
    with running() as other:
        token = other.mint()

        assert other.accepts(token)
        assert not simulator.accepts(token)


def test_a_stopped_server_answers_nobody() -> None:
    with running() as handle:
        pass
    with Asking(handle, handle.http_url) as ask, pytest.raises(requests.ConnectionError):
        ask.balance("a.b.c")


@pytest.mark.parametrize("kind", ["slow", "too_large", "endless"])
def test_a_client_that_stays_does_not_hold_up_the_end(kind: str) -> None:
    stop = contextlib.ExitStack()
    with stop, running() as handle:
        handle.fault("balance", kind, **{"slow": {"delay": 3600}}.get(kind, {}))
        stop.enter_context(asked(handle, "GET", BALANCE))
        idle = stop.enter_context(Asking(handle))

        assert idle.issue().status_code == 200
        assert len(handle.wait_for_requests(2)) == 2


def test_a_tls_farewell_that_does_not_come_does_not_hold_up_the_end() -> None:
    stay = contextlib.ExitStack()
    with stay, running() as handle:
        handle.fault("balance", "truncated")
        answer = stay.enter_context(Asking(handle)).balance("a.b.c", stream=True)
        stay.callback(answer.close)

    assert answer.status_code == 200


def test_only_the_right_authority_is_trusted(simulator: ControlClient) -> None:
    refused = pytest.raises(requests.exceptions.SSLError)
    with refused, running() as other, Asking(other, simulator.url) as ask:
        ask.balance("a.b.c")


def test_the_certificate_also_names_localhost(simulator: ControlClient) -> None:
    url = simulator.url.replace("127.0.0.1", "localhost")
    with Asking(simulator, url) as ask:
        assert ask.balance("a.b.c").status_code == 401


def test_an_announcement_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "announce.json"
    path.write_text("an old one")
    write_announcement(path, Announcement("https://x", "http://x", "/ca", 1, "http://y"))

    assert json.loads(path.read_text())["url"] == "https://x"
    assert [one.name for one in tmp_path.iterdir()] == ["announce.json"]
    assert stat.S_ISREG(path.stat().st_mode)


def test_no_part_of_the_simulator_knows_the_collection() -> None:
    sources = (ROOT / "tests" / "simulator").glob("*.py")

    assert not [one.name for one in sources if "plugins" in one.read_text(encoding="utf-8")]
