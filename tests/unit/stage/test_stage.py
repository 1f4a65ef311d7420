# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage: consumers that tell the truth, hosts that answer, and an end that leaves nothing."""

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

from tests.simulator.handle import Handle
from tests.simulator.tokens import fingerprint
from tests.stage.consumer import Tally, judge, parse_env
from tests.stage.folder import HOSTS, Stage, make_private, write_private
from tests.stage.hosts import await_sshd, prepare_hosts, start_sshd, user, write_inventory
from tests.stage.play import seed, seed_token
from tests.stage.processes import free_ports, is_ours
from tests.stage.services import down


@pytest.fixture
def stage(tmp_path: Path, simulator: Handle) -> Iterator[Stage]:
    """A stage without hosts and OpenBao, on the simulator of this test."""
    stage = Stage(tmp_path / "stage")
    make_private(stage.logs)
    urls = {"url": simulator.url, "http_url": simulator.http_url, "ca_path": simulator.ca_path}
    write_private(stage.announcement, json.dumps(urls))
    stage.write({"pids": {}, "control_path_dir": str(tmp_path / "control"), "simulator": urls})
    yield stage
    down(stage)


@pytest.fixture
def played(stage: Stage) -> str:
    """The token that the consumers of the stage live on."""
    seed_token(stage, seed(stage, {}), age=60, lifetime=3600)
    return token_of(stage, "shop")


def test_a_refused_consumer_recovers_by_a_new_file_and_a_signal(
    stage: Stage, simulator: Handle, played: str
) -> None:
    simulator.configure(sessions="single")
    put_token(stage, "shop", new := simulator.issue()["access_token"])
    refused = await_tally(stage, "shop", lambda result: result["refused"] > 2)
    hang_up(stage, "shop")
    healed = await_tally(stage, "shop", is_served_since_reload)

    assert (refused["reloads"], refused["fingerprint"]) == (0, fingerprint(played))
    assert (healed["reloads"], healed["fingerprint"]) == (1, fingerprint(new))
    assert healed["accepted_after_refusal_at"] > healed["last_refused_at"]
    assert healed["longest_gap"] > healed["last_refused_at"] - healed["first_refused_at"]
    assert healed["calls"] == healed["accepted"] + healed["refused"]


def test_a_bad_file_leaves_the_consumer_with_what_it_has(stage: Stage, played: str) -> None:
    write_private(stage.host("shop") / "token.env", "NOMBA_ACCESS_TOKEN=half")
    hang_up(stage, "shop")
    result = await_tally(stage, "shop", is_served_since_reload)

    assert (result["reloads"], result["fingerprint"]) == (1, fingerprint(played))


def test_no_consumer_tells_its_token(stage: Stage, played: str) -> None:
    for path in (*stage.host("shop").glob("consumer.*"), *stage.logs.iterdir()):
        assert played not in path.read_text(encoding="utf-8")
        assert path.stat().st_mode & 0o077 == 0


def test_seeding_again_begins_anew(stage: Stage, simulator: Handle, played: str) -> None:
    first = pid_of(stage, "shop")
    (stage.host("shop") / "left").touch()
    other = seed_token(stage, seed(stage, {"sessions": "single"}), age=0, lifetime=100)

    assert not is_ours(first, stage.folder)
    assert not (stage.host("shop") / "left").exists()
    assert simulator.live() == [other] != [fingerprint(played)]


def test_store_and_hosts_begin_with_one_token(stage: Stage, played: str) -> None:
    store = json.loads((stage.rotation / "credentials.json").read_text(encoding="utf-8"))

    assert store["current"]["access_token"] == played
    assert {token_of(stage, name) for name in HOSTS} == {played}


def test_down_ends_the_consumers_and_can_be_repeated(stage: Stage, played: str) -> None:
    pids = [pid_of(stage, name) for name in HOSTS]

    assert played
    assert (down(stage), down(stage)) == (3, 0)
    assert not any(is_ours(pid, stage.folder) for pid in pids)


def test_every_host_answers_over_ssh_until_down(stage: Stage) -> None:
    raise_hosts(stage)
    for name in HOSTS:
        assert subprocess.run([*ssh(stage, name), "true"], timeout=20, check=False).returncode == 0
    line = [*ssh(stage, "shop"), "echo here; sleep 600"]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == b"here\n"
        assert down(stage) == 3
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


def raise_hosts(stage: Stage) -> None:
    """Start the hosts alone."""
    ports = dict(zip(HOSTS, free_ports(len(HOSTS)), strict=True))
    prepare_hosts(stage, ports)
    pids = {f"sshd-{name}": start_sshd(stage, name) for name in HOSTS}
    record = {
        **stage.read(),
        "bao": {"url": "", "token": ""},
        "hosts": {name: {"port": port} for name, port in ports.items()},
        "key_path": str(stage.folder / "ssh" / "client_key"),
        "known_hosts": str(stage.folder / "ssh" / "known_hosts"),
        "pids": pids,
        "user": user(),
    }
    stage.write(record)
    write_inventory(stage, record)
    for name, port in ports.items():
        await_sshd(stage, name, port, pids[f"sshd-{name}"])


def ssh(stage: Stage, name: str) -> list[str]:
    """The command that Ansible makes of the inventory."""
    inventory = json.loads(stage.inventory.read_text(encoding="utf-8"))
    host = inventory["all"]["children"]["consumers"]["hosts"][name]
    options = shlex.split(host["ansible_ssh_common_args"])
    login = f"{host['ansible_user']}@{host['ansible_host']}"
    key = host["ansible_ssh_private_key_file"]
    return ["ssh", "-n", *options, "-i", key, "-p", str(host["ansible_port"]), login]


def token_of(stage: Stage, name: str) -> str:
    """The token in the file of a host."""
    text = (stage.host(name) / "token.env").read_text(encoding="utf-8")
    return parse_env(text)["NOMBA_ACCESS_TOKEN"]


def put_token(stage: Stage, name: str, token: str) -> None:
    """Put another one there."""
    path = stage.host(name) / "token.env"
    text = path.read_text(encoding="utf-8").replace(token_of(stage, name), token)
    write_private(path, text)


def pid_of(stage: Stage, name: str) -> int:
    """The consumer's process."""
    return int((stage.host(name) / "consumer.pid").read_text(encoding="utf-8"))


def hang_up(stage: Stage, name: str) -> None:
    """Tell a consumer to read its file."""
    os.kill(pid_of(stage, name), signal.SIGHUP)


def is_served_since_reload(result: dict[str, Any]) -> bool:
    """Whether the consumer has read its file again, and the API likes what it read."""
    return bool(result["reloads"] == 1 and result["accepted_since_reload"] > 0)


def await_tally(stage: Stage, name: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What a consumer wrote down, once it is as wanted."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        result = json.loads((stage.host(name) / "consumer.json").read_text(encoding="utf-8"))
        if is_so(result):
            return dict(result)
        time.sleep(0.01)
    raise TimeoutError(f"the consumer of {name} stayed at {result}")
