# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a test: a token or a client on the hosts, and consumers that use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.simulator.control_client import ControlClient

from .client_consumer import KEY, FileCache, Redis
from .consumers import start_consumers, stop_consumers, without_consumers
from .folder import HOSTS, Testbed, write_private
from .token_files import SeedToken, client_env, store_document, token_env


def seed(testbed: Testbed, settings: Mapping[str, object]) -> ControlClient:
    """Stop the consumers, remove the files of the last test, and reset the simulator."""
    record = testbed.read()
    simulator = ControlClient.from_announcement(testbed.announcement)
    stop_consumers(testbed)
    testbed.clear()
    simulator.reset(**settings)
    testbed.write({**record, "pids": without_consumers(record["pids"])})
    return simulator


def seed_token(
    testbed: Testbed,
    simulator: ControlClient,
    *,
    age: float,
    lifetime: float,
    hosts: Sequence[str] = HOSTS,
) -> str:
    """Write one token to the store and the hosts, start consumers; return its fingerprint."""
    token = _create_token(simulator, age, lifetime)
    write_private(testbed.rotation / "credentials.json", store_document(token, hosts))
    for name in hosts:
        write_private(testbed.host(name) / "token.env", token_env(token))
    start_consumers(testbed, simulator.http_url, hosts)
    return token.fingerprint


def seed_client(
    testbed: Testbed,
    settings: Mapping[str, object],
    *,
    on_reload: str,
    hosts: Sequence[str] = HOSTS,
) -> None:
    """Write the first client to the .env files of the hosts, and start services that use it.

    on_reload: what a service does with its cached token, see client_consumer. With a Redis, the
    services share the token that the first one issues; without it, each one issues its own. Each
    token is in the log of the host whose service has issued it. The store is empty.
    """
    simulator = seed(testbed, settings)
    port = testbed.read().get("redis")
    program = ["tests.testbed.client_consumer", "--on-reload", on_reload]
    if port:
        redis = Redis(port)
        redis.flush()
        redis.close()
        program += ["--redis", str(port)]
    for name in hosts:
        write_private(testbed.host(name) / ".env", client_env(client_of(simulator), simulator.url))
    # The first service issues the token that the others find in Redis.
    for some in (hosts[:1], hosts[1:]):
        start_consumers(testbed, simulator.http_url, some, program)
    for name in hosts[:1] if port else hosts:
        log = f"DEBUG cached {cached_token(testbed, name)}\n"
        write_private(testbed.host(name) / "app.log", log)
    simulator.forget_requests()


def cached_token(testbed: Testbed, name: str) -> str | None:
    """Return what the service of a host has cached."""
    port = testbed.read().get("redis")
    if port is None:
        return FileCache(testbed.host(name)).get(KEY)
    redis = Redis(port)
    cached = redis.get(KEY)
    redis.close()
    return cached


def client_of(simulator: ControlClient) -> dict[str, str]:
    """Return the first client of the simulator."""
    return dict(simulator.settings["clients"][0])


def seed_test(
    testbed: Testbed,
    settings: Mapping[str, object],
    *,
    age: float = 3600,
    lifetime: float = 10800,
    hosts: Sequence[str] = HOSTS,
) -> str:
    """Do both, and empty the request log, so that later entries are requests of the test."""
    simulator = seed(testbed, settings)
    fingerprint = seed_token(testbed, simulator, age=age, lifetime=lifetime, hosts=hosts)
    simulator.forget_requests()
    return fingerprint


def _create_token(simulator: ControlClient, age: float, lifetime: float) -> SeedToken:
    made = simulator.mint_pair(age=age, lifetime=lifetime)
    return SeedToken(
        access_token=made["access_token"],
        fingerprint=made["fingerprint"],
        issued_at=made["issued_at"],
        expires_at=made["expires_at"],
        api_url=simulator.url,
        account_id=simulator.account_id,
        client_id=simulator.client_id,
    )
