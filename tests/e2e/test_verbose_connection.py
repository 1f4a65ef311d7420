# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection that prints all that it sends and receives with -vvvv prints no secret."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.settings import SECOND_CLIENT_ID, SECOND_CLIENT_SECRET
from tests.testbed.folder import write_private
from tests.testbed.seed import client_of
from tests.testbed.token_files import client_env

from .controller import Controller
from .rotations import options, play_file

pytestmark = pytest.mark.newest

PLUGINS = Path(__file__).with_name("connection_plugins")
# What the output certainly contains if the connection prints it.
PRINTED = "(0, b'"


def encoded(secret: str) -> list[str]:
    """Return the parts of a secret that are in the base64 of a text that contains it."""
    padded = (base64.b64encode(bytes(n) + secret.encode()).decode() for n in range(3))
    return [text[8:40] for text in padded]


@pytest.mark.parametrize("kind", ["client", "access_token"])
def test_neither_output_nor_a_copied_file_contains_a_secret(
    simulator: ControlClient, tmp_path: Path, kind: str
) -> None:
    loud = {"ansible_connection": "loud"}
    environment = {"ANSIBLE_CONNECTION_PLUGINS": str(PLUGINS), "ANSIBLE_PIPELINING": "0"}
    controller = Controller(
        simulator, tmp_path, {"service": loud}, dict(loud), environment=environment
    )
    old, secrets = client_of(simulator), [simulator.client_secret, SECOND_CLIENT_SECRET]
    given = options(credential=kind)
    if kind == "client":
        log = tmp_path / "app.log"
        secrets.append(simulator.mint(age=60))
        write_private(log, f"Bearer {secrets[-1]}\n")
        write_private(controller.token_file(), client_env(old, simulator.url))
        # Not as extra variables, which Ansible itself prints.
        new = {"NOMBA_CLIENT_ID": SECOND_CLIENT_ID, "NOMBA_CLIENT_SECRET": SECOND_CLIENT_SECRET}
        environment.update(new)
        given |= options(token_sources=[str(log)])
    else:
        secrets.append(controller.put_in_service())
        other = simulator.mint()
        secrets.append(other)
        with controller.token_file().open("a", encoding="utf-8") as file:
            file.write(f"OTHER={other}\n")
        given |= options(unknown_tokens="adopt")
    run = controller.run(play_file(controller), "-vvvv", **given)
    stored = controller.store.read_text(encoding="utf-8")
    secrets += [one for one in (controller.state["current"] or {}).values() if "eyJ" in str(one)]
    assert PRINTED in run.output
    assert any(one in stored for one in secrets)
    for secret in secrets:
        found = [one for one in [secret, *encoded(secret)] if one in run.output]
        assert (secret[:12], found) == (secret[:12], [])
