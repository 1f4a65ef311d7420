# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test environment: correct statistics of consumers, hosts over SSH, and a complete stop."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID
from tests.simulator.tokens import fingerprint
from tests.testbed.client_consumer import KEY, Redis, RedisError
from tests.testbed.consumer import Statistics, classify, parse_env
from tests.testbed.folder import HOSTS, Testbed, make_private, write_private
from tests.testbed.hosts import start_hosts
from tests.testbed.kill_test import find_faults, find_faults_at_kill
from tests.testbed.observation import observe
from tests.testbed.processes import free_ports, is_ours
from tests.testbed.seed import seed, seed_client, seed_token
from tests.testbed.services import await_redis, down, start_redis
from tests.testbed.token_files import client_env

# The simulator and the test environment run on the newest Ansible only.
pytestmark = pytest.mark.newest


@pytest.fixture
def testbed(tmp_path: Path, simulator: ControlClient) -> Iterator[Testbed]:
    """A test environment without hosts and OpenBao, with the simulator of this test."""
    testbed = Testbed(tmp_path / "testbed")
    make_private(testbed.logs)
    urls = {"url": simulator.url, "http_url": simulator.http_url, "ca_path": simulator.ca_path}
    write_private(testbed.announcement, json.dumps(urls))
    testbed.write({"pids": {}, "control_path_dir": str(tmp_path / "control"), "simulator": urls})
    yield testbed
    down(testbed)


@pytest.fixture
def seeded(testbed: Testbed) -> str:
    """The token that the consumers use."""
    seed_token(testbed, seed(testbed, {}), age=60, lifetime=3600)
    return token_of(testbed, "shop")


def test_refused_consumer_recovers_after_new_file_and_reload(
    testbed: Testbed, simulator: ControlClient, seeded: str
) -> None:
    simulator.configure(sessions="single")
    put_token(testbed, "shop", new := simulator.issue()["access_token"])
    refused = await_statistics(testbed, "shop", lambda result: result["refused"] > 2)
    reload(testbed, "shop")
    recovered = await_statistics(testbed, "shop", is_served_since_reload)

    assert (refused["reloads"], refused["fingerprint"]) == (0, fingerprint(seeded))
    assert (recovered["reloads"], recovered["fingerprint"]) == (1, fingerprint(new))
    assert recovered["accepted_after_refusal_at"] > recovered["last_refused_at"]
    assert recovered["longest_gap"] > recovered["last_refused_at"] - recovered["first_refused_at"]
    assert recovered["calls"] == recovered["accepted"] + recovered["refused"]


def test_invalid_file_leaves_consumer_with_current_token(testbed: Testbed, seeded: str) -> None:
    write_private(testbed.host("shop") / "token.env", "NOMBA_ACCESS_TOKEN=half")
    reload(testbed, "shop")
    result = await_statistics(testbed, "shop", is_served_since_reload)

    assert (result["reloads"], result["fingerprint"]) == (1, fingerprint(seeded))


def test_statistics_and_logs_contain_no_token(testbed: Testbed, seeded: str) -> None:
    for path in (*testbed.host("shop").glob("consumer.*"), *testbed.logs.iterdir()):
        assert seeded not in path.read_text(encoding="utf-8")
        assert path.stat().st_mode & 0o077 == 0


def test_second_seed_replaces_consumers_files_and_tokens(
    testbed: Testbed, simulator: ControlClient, seeded: str
) -> None:
    first = pid_of(testbed, "shop")
    (testbed.host("shop") / "left").touch()
    other = seed_token(testbed, seed(testbed, {"sessions": "single"}), age=0, lifetime=100)

    assert not is_ours(first, testbed.folder)
    assert not (testbed.host("shop") / "left").exists()
    assert simulator.live() == [other] != [fingerprint(seeded)]


def test_seed_writes_one_token_to_store_and_hosts(testbed: Testbed, seeded: str) -> None:
    store = json.loads((testbed.rotation / "credentials.json").read_text(encoding="utf-8"))

    assert store["current"]["access_token"] == seeded
    assert {token_of(testbed, name) for name in HOSTS} == {seeded}


def test_down_stops_consumers_and_is_idempotent(testbed: Testbed, seeded: str) -> None:
    pids = [pid_of(testbed, name) for name in HOSTS]

    assert seeded
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
def test_response_is_classified_by_status_and_code(status: int, body: bytes, outcome: str) -> None:
    assert classify(status, body) == outcome


def test_new_refusal_clears_recovery() -> None:
    statistics = Statistics()
    for now, outcome in enumerate(["accepted", "refused", "accepted", "failed", "refused"]):
        statistics.record(outcome, now)

    assert (statistics.first_refused_at, statistics.last_refused_at) == (1, 4)
    assert statistics.accepted_after_refusal_at is None
    assert (statistics.longest_gap, statistics.failed) == (2, 1)


def test_env_file_may_contain_comments_and_quotes() -> None:
    assert parse_env("# comment\n\nA=1\nB='x=y'\nC=\"z\"\n") == {"A": "1", "B": "x=y", "C": "z"}
    assert parse_env("export A='1' # a\nB=2 # b\nC='#'\n") == {"A": "1", "B": "2", "C": "#"}


def test_seed_of_one_host_starts_one_consumer(testbed: Testbed, simulator: ControlClient) -> None:
    seed_token(testbed, seed(testbed, {}), age=60, lifetime=3600, hosts=["shop"])

    assert list(observe(testbed)["hosts"]) == list(observe(testbed)["consumers"]) == ["shop"]
    assert simulator.live() == list(observe(testbed)["hosts"].values())


def test_observation_contains_no_token(testbed: Testbed, seeded: str) -> None:
    observed = observe(testbed)

    assert observed["live"] == [observed["seeded"]] == [fingerprint(seeded)]
    assert seeded not in json.dumps(observed)


def test_kill_test_finds_an_unfinished_rotation(testbed: Testbed, seeded: str) -> None:
    faults = find_faults(observe(testbed), HOSTS)

    assert seeded
    assert faults == ["0 tokens were issued", "an event is missing"]


def test_kill_test_finds_a_host_with_another_token(testbed: Testbed, seeded: str) -> None:
    put_token(testbed, "shop", "another")

    assert seeded
    faults = find_faults(observe(testbed), HOSTS)
    assert "a host has another token" in faults
    assert find_faults_at_kill(observe(testbed)) == ["a host has a token that is not live"]


@pytest.fixture
def redis(testbed: Testbed) -> Iterator[Redis]:
    """A Redis of the test environment."""
    (port,) = free_ports(1)
    record = testbed.read()
    record["pids"]["redis"] = start_redis(testbed, port)
    testbed.write({**record, "redis": port})
    await_redis(testbed, port, record["pids"]["redis"])
    client = Redis(port)
    yield client
    client.close()


def test_redis_returns_what_was_set_until_it_expires(redis: Redis) -> None:
    redis.set(KEY, "a\r\nb ü", 60)

    assert (redis.get(KEY), redis.get("another")) == ("a\r\nb ü", None)
    with pytest.raises(RedisError, match="unknown command"):
        redis._send("NONSENSE")
    redis.flush()
    assert redis.get(KEY) is None


@pytest.mark.usefixtures("redis")
def test_dropped_token_is_replaced_by_one_of_the_new_client(
    testbed: Testbed, simulator: ControlClient
) -> None:
    seed_client(testbed, {}, on_reload="drop", hosts=["shop"])
    first = observe(testbed)
    write_other_client(testbed, simulator)
    reload(testbed, "shop")
    result = await_statistics(testbed, "shop", is_served_since_reload)
    second = observe(testbed)

    assert (result["refused"], result["failed"], result["issued"]) == (0, 0, 2)
    assert first["env_clients"] == {"shop": simulator.client_id}
    assert second["env_clients"] == {"shop": SECOND_CLIENT_ID}
    assert second["live_clients"] == sorted([simulator.client_id, SECOND_CLIENT_ID])
    assert result["fingerprint"] == second["cached"] != first["cached"]
    assert result["is_token_of_client"]


def test_kept_token_is_used_until_it_is_refreshed_with_the_new_client(
    testbed: Testbed, simulator: ControlClient, redis: Redis
) -> None:
    seed_client(testbed, {}, on_reload="keep", hosts=["shop"])
    first = observe(testbed)["cached"]
    write_other_client(testbed, simulator)
    reload(testbed, "shop")
    kept = await_statistics(testbed, "shop", is_served_since_reload)
    cached = json.loads(redis.get(KEY) or "")
    redis.set(KEY, json.dumps({**cached, "refresh_at": 0}), 60)
    refreshed = await_statistics(testbed, "shop", lambda result: result["is_token_of_client"])

    assert (kept["fingerprint"], kept["is_token_of_client"]) == (first, False)
    assert refreshed["fingerprint"] == observe(testbed)["cached"] != first
    assert (refreshed["refused"], refreshed["failed"], refreshed["issued"]) == (0, 0, 2)


@pytest.mark.parametrize("has_redis", [True, False])
def test_kill_test_finds_an_unfinished_rotation_of_a_client(
    testbed: Testbed, simulator: ControlClient, request: pytest.FixtureRequest, has_redis: bool
) -> None:
    if has_redis:
        request.getfixturevalue("redis")
    seed_client(testbed, {}, on_reload="drop", hosts=["shop"])
    log = (testbed.host("shop") / "app.log").read_text(encoding="utf-8")
    before = observe(testbed)
    faults = find_faults(before, ["shop"], "client")
    write_other_client(testbed, simulator)
    with (testbed.host("shop") / ".env").open("a", encoding="utf-8") as file:
        file.write("# another byte\n")

    assert find_faults_at_kill(before) == []
    assert {"the old client is in service", "an event is missing"} <= set(faults)
    assert "1 tokens are live, and the services have issued 0" in faults
    assert find_faults_at_kill(observe(testbed)) == ["a file is neither the old nor the new one"]
    assert fingerprint(re.findall(r"eyJ[\w.-]+", log)[0]) == before["seeded"]


@pytest.mark.usefixtures("redis")
def test_revoked_cached_token_is_counted_as_refused(
    testbed: Testbed, simulator: ControlClient
) -> None:
    seed_client(testbed, {}, on_reload="keep", hosts=["shop"])
    simulator.configure(suspension_kills_tokens=True)
    simulator.delete_client(simulator.client_id)

    assert await_statistics(testbed, "shop", lambda result: result["refused"] > 2)


def write_other_client(testbed: Testbed, simulator: ControlClient) -> None:
    """Write the second client to the .env file of the host shop."""
    other = dict(simulator.settings["clients"][1])
    write_private(testbed.host("shop") / ".env", client_env(other, simulator.url))


def ssh(testbed: Testbed, name: str) -> list[str]:
    """Return the SSH command that Ansible derives from the inventory."""
    inventory = json.loads(testbed.inventory.read_text(encoding="utf-8"))
    host = inventory["all"]["children"]["consumers"]["hosts"][name]
    options = shlex.split(host["ansible_ssh_common_args"])
    login = f"{host['ansible_user']}@{host['ansible_host']}"
    key = host["ansible_ssh_private_key_file"]
    return ["ssh", "-n", *options, "-i", key, "-p", str(host["ansible_port"]), login]


def token_of(testbed: Testbed, name: str) -> str:
    """Return the token in the token file of a host."""
    text = (testbed.host(name) / "token.env").read_text(encoding="utf-8")
    return parse_env(text)["NOMBA_ACCESS_TOKEN"]


def put_token(testbed: Testbed, name: str, token: str) -> None:
    """Replace the token in the token file of a host."""
    path = testbed.host(name) / "token.env"
    text = path.read_text(encoding="utf-8").replace(token_of(testbed, name), token)
    write_private(path, text)


def pid_of(testbed: Testbed, name: str) -> int:
    """Return the process id of a consumer."""
    return int((testbed.host(name) / "consumer.pid").read_text(encoding="utf-8"))


def reload(testbed: Testbed, name: str) -> None:
    """Reload a consumer."""
    os.kill(pid_of(testbed, name), signal.SIGHUP)


def is_served_since_reload(result: dict[str, Any]) -> bool:
    """Return whether the API has accepted a request since the consumer was reloaded."""
    return bool(result["reloads"] == 1 and result["accepted_since_reload"] > 0)


def await_statistics(
    testbed: Testbed, name: str, condition: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Return the statistics of a consumer as soon as they satisfy a condition."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        result = json.loads((testbed.host(name) / "consumer.json").read_text(encoding="utf-8"))
        if condition(result):
            return dict(result)
        time.sleep(0.01)
    raise TimeoutError(f"statistics of the consumer of {name}: {result}")
