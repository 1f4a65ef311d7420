# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and stopping the server, in a thread and as a program."""

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

from tests.simulator.__main__ import main
from tests.simulator.control_client import ControlClient
from tests.simulator.rules import BALANCE
from tests.simulator.server import Announcement, Options, running, write_announcement
from tests.unit.simulator.rules_client import SimulatorClient, pending_request
from tests.unit.tables import each_row

# The simulator and the test environment run on the newest Ansible only.
pytestmark = pytest.mark.newest

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the simulator as a program; kill it at the end."""
    command = [sys.executable, "-m", "tests.simulator", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line of output, printed when the program is ready."""
    if process.stdout is None:
        pytest.fail("no output")
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_announcement_exists_while_program_runs(tmp_path: Path, number: signal.Signals) -> None:
    announce = tmp_path / "deep" / "announce.json"
    with program("--announce", str(announce)) as process:
        assert "simulator ready: https://127.0.0.1:" in first_line(process)
        assert json.loads(announce.read_text())["pid"] == process.pid
        assert ControlClient.from_announcement(announce).issue()["access_token"]
        process.send_signal(number)
        assert process.wait(10) == 0

    assert not announce.exists()


def test_program_reads_settings_and_ca_folder(tmp_path: Path) -> None:
    announce, settings = tmp_path / "announce.json", tmp_path / "settings.json"
    settings.write_text('{"sessions": "single"}')
    arguments = ("--announce", str(announce), "--settings", str(settings))
    with program(*arguments, "--ca-dir", str(tmp_path / "ca")) as process:
        first_line(process)
        control = ControlClient.from_announcement(announce)

    assert control.settings["sessions"] == "single"
    assert control.ca_path == str(tmp_path / "ca" / "simulator-ca.pem")
    assert "PRIVATE" not in Path(control.ca_path).read_text()


def test_control_client_uses_no_proxy(tmp_path: Path, simulator: ControlClient) -> None:
    announce = tmp_path / "announce.json"
    here = Announcement(
        simulator.url, simulator.http_url, simulator.ca_path, os.getpid(), simulator.control_url
    )
    write_announcement(announce, here)
    script = (
        "import sys; from tests.simulator.control_client import ControlClient; "
        "ControlClient.from_announcement(sys.argv[1])"
    )
    # Port 9 has no listener: a request through this proxy fails.
    proxied = {**os.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    command = [sys.executable, "-c", script, str(announce)]

    assert subprocess.run(command, cwd=ROOT, env=proxied, check=False).returncode == 0


@each_row("text", ['{"unknown": 1}', "{"])
def test_invalid_settings_print_message_without_traceback(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(text)
    arguments = ["simulator", "--announce", str(tmp_path / "a"), "--settings", str(settings)]
    monkeypatch.setattr(sys, "argv", arguments)

    assert main() == 1
    assert capsys.readouterr().err.startswith(f"simulator: {settings}: ")


def test_port_in_use_is_error_for_program_and_thread(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), running(options=Options(port=port)):
            pytest.fail("the server started")
        with program("--announce", str(tmp_path / "a"), "--port", str(port)) as process:
            __, errors = process.communicate(timeout=20)

    assert process.returncode == 1
    assert errors.startswith("simulator: ")
    assert "Traceback" not in errors


def test_simulators_share_no_tokens(simulator: ControlClient) -> None:
    with running() as other:
        token = other.mint()

        assert other.accepts(token)
        assert not simulator.accepts(token)


def test_stopped_server_accepts_no_connection() -> None:
    with running() as control:
        pass
    with (
        SimulatorClient(control, control.http_url) as client,
        pytest.raises(requests.ConnectionError),
    ):
        client.balance("a.b.c")


@pytest.mark.parametrize("kind", ["slow", "too_large", "endless"])
def test_open_connection_does_not_block_shutdown(kind: str) -> None:
    stop = contextlib.ExitStack()
    with stop, running() as control:
        control.fault("balance", kind, **{"slow": {"delay": 3600}}.get(kind, {}))
        stop.enter_context(pending_request(control, "GET", BALANCE))
        idle = stop.enter_context(SimulatorClient(control))

        assert idle.issue().status_code == 200
        assert len(control.wait_for_requests(2)) == 2


def test_missing_tls_close_does_not_block_shutdown() -> None:
    stay = contextlib.ExitStack()
    with stay, running() as control:
        control.fault("balance", "truncated")
        answer = stay.enter_context(SimulatorClient(control)).balance("a.b.c", stream=True)
        stay.callback(answer.close)

    assert answer.status_code == 200


def test_certificate_of_another_simulator_is_rejected(simulator: ControlClient) -> None:
    refused = pytest.raises(requests.exceptions.SSLError)
    with refused, running() as other, SimulatorClient(other, simulator.url) as client:
        client.balance("a.b.c")


def test_certificate_is_valid_for_localhost(simulator: ControlClient) -> None:
    url = simulator.url.replace("127.0.0.1", "localhost")
    with SimulatorClient(simulator, url) as client:
        assert client.balance("a.b.c").status_code == 401


def test_announcement_replaces_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "announce.json"
    path.write_text("old content")
    write_announcement(path, Announcement("https://x", "http://x", "/ca", 1, "http://y"))

    assert json.loads(path.read_text())["url"] == "https://x"
    assert [one.name for one in tmp_path.iterdir()] == ["announce.json"]
    assert stat.S_ISREG(path.stat().st_mode)


def test_simulator_does_not_import_collection() -> None:
    sources = (ROOT / "tests" / "simulator").glob("*.py")

    assert not [one.name for one in sources if "plugins" in one.read_text(encoding="utf-8")]
