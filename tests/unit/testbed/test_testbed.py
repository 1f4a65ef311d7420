# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The testbed: consumers that tell the truth, hosts that answer, and an end that leaves nothing."""

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


@pytest.fixture
def testbed(tmp_path: Path, simulator: ControlClient) -> Iterator[Testbed]:
    """A testbed without hosts and OpenBao, on the simulator of this test."""
    testbed = Testbed(tmp_path / "testbed")
    make_private(testbed.logs)
    urls = {"url": simulator.url, "http_url": simulator.http_url, "ca_path": simulator.ca_path}
    write_private(testbed.announcement, json.dumps(urls))
    testbed.write({"pids": {}, "control_path_dir": str(tmp_path / "control"), "simulator": urls})
    yield testbed
    down(testbed)


@pytest.fixture
def played(testbed: Testbed) -> str:
    """The token that the consumers of the testbed live on."""
    seed_token(testbed, seed(testbed, {}), age=60, lifetime=3600)
    return token_of(testbed, "shop")


def test_a_refused_consumer_recovers_by_a_new_file_and_a_signal(
    testbed: Testbed, simulator: ControlClient, played: str
) -> None:
    simulator.configure(sessions="single")
    put_token(testbed, "shop", new := simulator.issue()["access_token"])
    refused = await_tally(testbed, "shop", lambda result: result["refused"] > 2)
    hang_up(testbed, "shop")
    healed = await_tally(testbed, "shop", is_served_since_reload)

    assert (refused["reloads"], refused["fingerprint"]) == (0, fingerprint(played))
    assert (healed["reloads"], healed["fingerprint"]) == (1, fingerprint(new))
    assert healed["accepted_after_refusal_at"] > healed["last_refused_at"]
    assert healed["longest_gap"] > healed["last_refused_at"] - healed["first_refused_at"]
    assert healed["calls"] == healed["accepted"] + healed["refused"]


def test_a_bad_file_leaves_the_consumer_with_what_it_has(testbed: Testbed, played: str) -> None:
    write_private(testbed.host("shop") / "token.env", "NOMBA_ACCESS_TOKEN=half")
    hang_up(testbed, "shop")
    result = await_tally(testbed, "shop", is_served_since_reload)

    assert (result["reloads"], result["fingerprint"]) == (1, fingerprint(played))


def test_no_consumer_tells_its_token(testbed: Testbed, played: str) -> None:
    for path in (*testbed.host("shop").glob("consumer.*"), *testbed.logs.iterdir()):
        assert played not in path.read_text(encoding="utf-8")
        assert path.stat().st_mode & 0o077 == 0


def test_seeding_again_begins_anew(testbed: Testbed, simulator: ControlClient, played: str) -> None:
    first = pid_of(testbed, "shop")
    (testbed.host("shop") / "left").touch()
    other = seed_token(testbed, seed(testbed, {"sessions": "single"}), age=0, lifetime=100)

    assert not is_ours(first, testbed.folder)
    assert not (testbed.host("shop") / "left").exists()
    assert simulator.live() == [other] != [fingerprint(played)]


def test_store_and_hosts_begin_with_one_token(testbed: Testbed, played: str) -> None:
    store = json.loads((testbed.rotation / "credentials.json").read_text(encoding="utf-8"))

    assert store["current"]["access_token"] == played
    assert {token_of(testbed, name) for name in HOSTS} == {played}


def test_down_ends_the_consumers_and_can_be_repeated(testbed: Testbed, played: str) -> None:
    pids = [pid_of(testbed, name) for name in HOSTS]

    assert played
    assert (down(testbed), down(testbed)) == (3, 0)
    assert not any(is_ours(pid, testbed.folder) for pid in pids)


def test_every_host_answers_over_ssh_until_down(testbed: Testbed) -> None:
    raise_hosts(testbed)
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


@pytest.mark.parametrize(
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
def test_an_answer_is_judged_by_status_and_code(status: int, body: bytes, outcome: str) -> None:
    assert judge(status, body) == outcome


def test_a_new_refusal_takes_back_the_recovery() -> None:
    tally = Tally()
    for now, outcome in enumerate(["accepted", "refused", "accepted", "failed", "refused"]):
        tally.note(outcome, now)

    assert (tally.first_refused_at, tally.last_refused_at) == (1, 4)
    assert tally.accepted_after_refusal_at is None
    assert (tally.longest_gap, tally.failed) == (2, 1)


def test_an_env_file_may_have_comments_and_quotation_marks() -> None:
    assert parse_env("# ours\n\nA=1\nB='x=y'\nC=\"z\"\n") == {"A": "1", "B": "x=y", "C": "z"}


def raise_hosts(testbed: Testbed) -> None:
    """Start the hosts alone."""
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
    """The command that Ansible makes of the inventory."""
    inventory = json.loads(testbed.inventory.read_text(encoding="utf-8"))
    host = inventory["all"]["children"]["consumers"]["hosts"][name]
    options = shlex.split(host["ansible_ssh_common_args"])
    login = f"{host['ansible_user']}@{host['ansible_host']}"
    key = host["ansible_ssh_private_key_file"]
    return ["ssh", "-n", *options, "-i", key, "-p", str(host["ansible_port"]), login]


def token_of(testbed: Testbed, name: str) -> str:
    """The token in the file of a host."""
    text = (testbed.host(name) / "token.env").read_text(encoding="utf-8")
    return parse_env(text)["NOMBA_ACCESS_TOKEN"]


def put_token(testbed: Testbed, name: str, token: str) -> None:
    """Put another one there."""
    path = testbed.host(name) / "token.env"
    text = path.read_text(encoding="utf-8").replace(token_of(testbed, name), token)
    write_private(path, text)


def pid_of(testbed: Testbed, name: str) -> int:
    """The consumer's process."""
    return int((testbed.host(name) / "consumer.pid").read_text(encoding="utf-8"))


def hang_up(testbed: Testbed, name: str) -> None:
    """Tell a consumer to read its file."""
    os.kill(pid_of(testbed, name), signal.SIGHUP)


def is_served_since_reload(result: dict[str, Any]) -> bool:
    """Whether the consumer has read its file again, and the API likes what it read."""
    return bool(result["reloads"] == 1 and result["accepted_since_reload"] > 0)


def await_tally(
    testbed: Testbed, name: str, is_so: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """What a consumer wrote down, once it is as wanted."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        result = json.loads((testbed.host(name) / "consumer.json").read_text(encoding="utf-8"))
        if is_so(result):
            return dict(result)
        time.sleep(0.01)
    raise TimeoutError(f"the consumer of {name} stayed at {result}")
