# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that is published to sinks: the example for Vault against a real OpenBao."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID, SECOND_CLIENT_SECRET
from tests.simulator.tokens import fingerprint

from .controller import Controller
from .openbao import ROOT_TOKEN, openbao, read_secret
from .rotations import audit, message, options, play_file, task_file

pytestmark = pytest.mark.newest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "sinks" / "tasks" / "vault.yml"
WRONG = {"set_fact": {"credential_rotation_published": "sha256:0000000000000000"}}


@pytest.fixture
def secret_url(tmp_path: Path) -> Iterator[str]:
    """The URL of a secret in an OpenBao that runs for this test."""
    with openbao(tmp_path) as url:
        yield f"{url}/v1/secret/data/payments"


def clients(controller: Controller) -> tuple[dict[str, str], dict[str, str]]:
    """Return the old client, which is on the host, and the new one."""
    simulator = controller.simulator
    old = {"client_id": simulator.client_id, "client_secret": simulator.client_secret}
    names = {**old, "account_id": simulator.account_id}
    lines = [f"NOMBA_{name.upper()}={value}" for name, value in names.items()]
    controller.token_file().write_text("\n".join(["OTHER=1", *lines, ""]), encoding="utf-8")
    controller.token_file().chmod(0o600)
    return old, {"client_id": SECOND_CLIENT_ID, "client_secret": SECOND_CLIENT_SECRET}


def test_client_is_published_to_vault_and_taken_back_with_the_other_sink(
    simulator: ControlClient, tmp_path: Path, secret_url: str
) -> None:
    controller = Controller(simulator, tmp_path, environment={"VAULT_TOKEN": ROOT_TOKEN})
    old, new = clients(controller)
    before = controller.token_file().read_text(encoding="utf-8")
    broken = task_file(controller, "broken", {"name": "Say what is wrong", **WRONG})
    rotation: dict[str, Any] = {"payments_secret_url": secret_url, **options(credential="client")}
    rotation |= options(**new, publish_tasks=[str(EXAMPLE), broken], retire_after=3600)

    # Two sinks: the second one does not hold what it must hold.
    failed = controller.run(play_file(controller), **rotation)
    assert failed.status == 2
    assert "No new client is in service: publish: sink broken" in message(failed)
    assert read_secret(secret_url) == old
    assert controller.token_file().read_text(encoding="utf-8") == before

    # It may hold the new client, so that the rollback ends only when it is declared as removed.
    rotation |= options(publish_tasks=[str(EXAMPLE)], removed_hosts=["sink broken"])
    ended = controller.run(play_file(controller), **rotation)
    assert "Rolled back: the hosts hold" in message(ended)
    assert (controller.state["rotation"], list(controller.state["hosts"])) == (
        None,
        ["service", "sink vault"],
    )
    done = controller.run(play_file(controller), **rotation)
    assert (done.status, read_secret(secret_url)) == (0, new), message(done)
    assert new["client_secret"] in controller.token_file().read_text(encoding="utf-8")
    mark = fingerprint(new["client_secret"])
    assert controller.state["hosts"]["sink vault"]["may_hold"] == [mark]
    published = [one for one in audit(controller) if one["outcome"] == "published"]
    assert published[-1]["detail"] == "service, sink vault"
    for run in (failed, ended, done):
        assert not [one for one in (old, new) if one["client_secret"] in run.output]
