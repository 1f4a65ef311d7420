# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that is published to a host over SSH and to sinks, with the examples of the guides."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID, SECOND_CLIENT_SECRET
from tests.simulator.tokens import fingerprint
from tests.testbed.folder import Testbed, make_private, write_private
from tests.testbed.hosts import start_hosts
from tests.testbed.services import down

from .controller import Controller
from .rotations import audit, message, options, play_file, task_file
from .servers import ROOT_TOKEN, SecretsManager, aws_secrets_manager, openbao, read_secret

pytestmark = pytest.mark.newest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "sinks" / "tasks"
WRONG = {"set_fact": {"credential_rotation_published": "sha256:0000000000000000"}}
SECRET_ID = "payments"


@pytest.fixture
def secret_url(tmp_path: Path) -> Iterator[str]:
    """The URL of a secret in an OpenBao that runs for this test."""
    with openbao(tmp_path) as url:
        yield f"{url}/v1/secret/data/payments"


@pytest.fixture
def secrets_manager(tmp_path: Path) -> Iterator[SecretsManager]:
    """A Secrets Manager that runs for this test."""
    with aws_secrets_manager(tmp_path) as server:
        yield server


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
    secret_url: str,
    secrets_manager: SecretsManager,
    ssh_host: Mapping[str, Any],
) -> None:
    environment = {"VAULT_TOKEN": ROOT_TOKEN, **secrets_manager.environment}
    hosts = {"service": dict(ssh_host)}
    controller = Controller(simulator, tmp_path, hosts, environment=environment)
    old, new = clients(controller)
    before = controller.token_file().read_text(encoding="utf-8")
    secrets_manager.create(SECRET_ID, old)
    broken = task_file(controller, "broken", {"name": "Say what is wrong", **WRONG})
    sinks = [str(EXAMPLES / f"{name}.yml") for name in ("vault", "aws_secrets_manager")]
    rotation: dict[str, Any] = {"payments_secret_url": secret_url, "payments_secret_id": SECRET_ID}
    rotation |= options(credential="client", **new, retire_after=3600)
    rotation |= options(publish_tasks=[*sinks, broken])

    # The last sink does not hold what it must hold.
    failed = controller.run(play_file(controller), **rotation)
    assert failed.status == 2
    assert "No new client is in service: publish: sink broken" in message(failed)
    assert read_secret(secret_url) == secrets_manager.read(SECRET_ID, "AWSCURRENT") == old
    assert secrets_manager.read(SECRET_ID, "AWSPREVIOUS") == new
    assert controller.token_file().read_text(encoding="utf-8") == before

    # It may hold the new client, so that the rollback ends only when it is declared as removed.
    rotation |= options(publish_tasks=sinks, removed_hosts=["sink broken"])
    ended = controller.run(play_file(controller), **rotation)
    assert "Rolled back: the hosts hold" in message(ended)
    names = ["service", "sink aws_secrets_manager", "sink vault"]
    assert (controller.state["rotation"], sorted(controller.state["hosts"])) == (None, names)

    done = controller.run(play_file(controller), **rotation)
    assert (done.status, read_secret(secret_url)) == (0, new), message(done)
    assert secrets_manager.read(SECRET_ID, "AWSCURRENT") == new
    assert secrets_manager.read(SECRET_ID, "AWSPREVIOUS") == old
    assert new["client_secret"] in controller.token_file().read_text(encoding="utf-8")
    mark = fingerprint(new["client_secret"])
    assert {tuple(one["may_hold"]) for one in controller.state["hosts"].values()} == {(mark,)}
    published = [one for one in audit(controller) if one["outcome"] == "published"]
    assert published[-1]["detail"] == "service, sink vault, sink aws_secrets_manager"
    for run in (failed, ended, done):
        assert not [one for one in (old, new) if one["client_secret"] in run.output]
