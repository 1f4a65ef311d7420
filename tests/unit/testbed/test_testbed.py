# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The testbed: consumers, hosts over SSH, and a complete shutdown."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint
from tests.testbed.consumer import Tally, judge, parse_env
from tests.testbed.folder import HOSTS, Testbed, make_private, write_private
from tests.testbed.hosts import await_sshd, prepare_hosts, start_sshd, user, write_inventory
from tests.testbed.play import seed, seed_token
from tests.testbed.processes import free_ports, is_ours
from tests.testbed.services import down
from tests.unit.tables import each_row


@pytest.fixture
def testbed(tmp_path: Path, simulator: ControlClient) -> Iterator[Testbed]:
    """Return a testbed without hosts and OpenBao, on the simulator of this test."""
    testbed = Testbed(tmp_path / "testbed")
    make_private(testbed.logs)
    urls = {"url": simulator.url, "http_url": simulator.http_url, "ca_path": simulator.ca_path}
    write_private(testbed.announcement, json.dumps(urls))
    testbed.write({"pids": {}, "control_path_dir": str(tmp_path / "control"), "simulator": urls})
    yield testbed
    down(testbed)


@pytest.fixture
def seeded_token(testbed: Testbed) -> str:
    """Seed the testbed; return the token of its consumers."""
    seed_token(testbed, seed(testbed, {}), age=60, lifetime=3600)
    return token_of(testbed, "shop")


def test_rejected_consumer_recovers_after_reload_of_new_file(
    testbed: Testbed, simulator: ControlClient, seeded_token: str
) -> None:
    simulator.configure(sessions="single")
    put_token(testbed, "shop", new := simulator.issue()["access_token"])
    refused = await_tally(testbed, "shop", lambda result: result["refused"] > 2)
    send_sighup(testbed, "shop")
    recovered = await_tally(testbed, "shop", is_accepted_since_reload)

    assert (refused["reloads"], refused["fingerprint"]) == (0, fingerprint(seeded_token))
    assert (recovered["reloads"], recovered["fingerprint"]) == (1, fingerprint(new))
    assert recovered["accepted_after_refusal_at"] > recovered["last_refused_at"]
    assert recovered["longest_gap"] > recovered["last_refused_at"] - recovered["first_refused_at"]
    assert recovered["calls"] == recovered["accepted"] + recovered["refused"]


def test_invalid_file_keeps_token_of_consumer(testbed: Testbed, seeded_token: str) -> None:
    write_private(testbed.host("shop") / "token.env", "NOMBA_ACCESS_TOKEN=half")
    send_sighup(testbed, "shop")
    result = await_tally(testbed, "shop", is_accepted_since_reload)

    assert (result["reloads"], result["fingerprint"]) == (1, fingerprint(seeded_token))


def test_consumer_output_omits_token(testbed: Testbed, seeded_token: str) -> None:
    for path in (*testbed.host("shop").glob("consumer.*"), *testbed.logs.iterdir()):
        assert seeded_token not in path.read_text(encoding="utf-8")
        assert path.stat().st_mode & 0o077 == 0


def test_seed_resets_testbed(testbed: Testbed, simulator: ControlClient, seeded_token: str) -> None:
    first = pid_of(testbed, "shop")
    (testbed.host("shop") / "left").touch()
    other = seed_token(testbed, seed(testbed, {"sessions": "single"}), age=0, lifetime=100)

    assert not is_ours(first, testbed.folder)
    assert not (testbed.host("shop") / "left").exists()
    assert simulator.live() == [other] != [fingerprint(seeded_token)]


def test_store_and_hosts_start_with_same_token(testbed: Testbed, seeded_token: str) -> None:
    store = json.loads((testbed.rotation / "credentials.json").read_text(encoding="utf-8"))

    assert store["current"]["access_token"] == seeded_token
    assert {token_of(testbed, name) for name in HOSTS} == {seeded_token}


def test_down_stops_consumers_and_is_idempotent(testbed: Testbed, seeded_token: str) -> None:
    pids = [pid_of(testbed, name) for name in HOSTS]

    assert seeded_token
    assert (down(testbed), down(testbed)) == (3, 0)
    assert not any(is_ours(pid, testbed.folder) for pid in pids)


def test_hosts_accept_ssh_until_down(testbed: Testbed) -> None:
    start_hosts(testbed)
    for name in HOSTS:
        assert (
            subprocess.run([*ssh(testbed, name), "true"], timeout=20, check=False).returncode == 0
        )
    line = [*ssh(testbed, "shop"), "echo here; sleep 600"]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == b"here\n"
        assert down(testbed) == 3
        assert session.wait(timeout=10) == 255


@each_row(
    ("status", "body", "outcome"),
    [
        (200, b'{"code": "00"}', "accepted"),
        (200, b'{"code": "400"}', "failed"),
        (200, b"[]", "failed"),
        (200, b"<html>", "failed"),
        (401, b"", "refused"),
        (403, b'{"code": "00"}', "failed"),
    ],
)
def test_answer_is_interpreted_by_status_and_code(status: int, body: bytes, outcome: str) -> None:
    assert judge(status, body) == outcome


def test_later_rejection_resets_recovery() -> None:
    tally = Tally()
    for now, outcome in enumerate(["accepted", "refused", "accepted", "failed", "refused"]):
        tally.note(outcome, now)

    assert (tally.first_refused_at, tally.last_refused_at) == (1, 4)
    assert tally.accepted_after_refusal_at is None
    assert (tally.longest_gap, tally.failed) == (2, 1)


def test_env_file_accepts_comments_and_quotes() -> None:
    assert parse_env("# ours\n\nA=1\nB='x=y'\nC=\"z\"\n") == {"A": "1", "B": "x=y", "C": "z"}


def start_hosts(testbed: Testbed) -> None:
    """Start only the hosts."""
    ports = dict(zip(HOSTS, free_ports(len(HOSTS)), strict=True))
    prepare_hosts(testbed, ports)
    pids = {f"sshd-{name}": start_sshd(testbed, name) for name in HOSTS}
    record = {
        **testbed.read(),
        "bao": {"url": "", "token": ""},
        "hosts": {name: {"port": port} for name, port in ports.items()},
        "key_path": str(testbed.folder / "ssh" / "client_key"),
        "known_hosts": str(testbed.folder / "ssh" / "known_hosts"),
        "pids": pids,
        "user": user(),
    }
    testbed.write(record)
    write_inventory(testbed, record)
    for name, port in ports.items():
        await_sshd(testbed, name, port, pids[f"sshd-{name}"])


def ssh(testbed: Testbed, name: str) -> list[str]:
    """Return the ssh command that Ansible builds from the inventory."""
    inventory = json.loads(testbed.inventory.read_text(encoding="utf-8"))
    host = inventory["all"]["children"]["consumers"]["hosts"][name]
    options = shlex.split(host["ansible_ssh_common_args"])
    login = f"{host['ansible_user']}@{host['ansible_host']}"
    key = host["ansible_ssh_private_key_file"]
    return ["ssh", "-n", *options, "-i", key, "-p", str(host["ansible_port"]), login]


def token_of(testbed: Testbed, name: str) -> str:
    """Return the token in the file of a host."""
    text = (testbed.host(name) / "token.env").read_text(encoding="utf-8")
    return parse_env(text)["NOMBA_ACCESS_TOKEN"]


def put_token(testbed: Testbed, name: str, token: str) -> None:
    """Replace the token in the file of a host."""
    path = testbed.host(name) / "token.env"
    text = path.read_text(encoding="utf-8").replace(token_of(testbed, name), token)
    write_private(path, text)


def pid_of(testbed: Testbed, name: str) -> int:
    """Return the process id of a consumer."""
    return int((testbed.host(name) / "consumer.pid").read_text(encoding="utf-8"))


def send_sighup(testbed: Testbed, name: str) -> None:
    """Make a consumer reload its file."""
    os.kill(pid_of(testbed, name), signal.SIGHUP)


def is_accepted_since_reload(result: dict[str, Any]) -> bool:
    """Return whether the API accepts the consumer since its reload."""
    return bool(result["reloads"] == 1 and result["accepted_since_reload"] > 0)


def await_tally(
    testbed: Testbed, name: str, condition: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Wait until the record of a consumer meets a condition; return the record."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        result = json.loads((testbed.host(name) / "consumer.json").read_text(encoding="utf-8"))
        if condition(result):
            return dict(result)
        time.sleep(0.01)
    raise TimeoutError(f"the record of the consumer of {name} is {result}")
