# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one who types the commands, reads what they say, and notes what is not as it should be."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence

from tests.simulator.control_client import ControlClient


class Operator:
    """Works at one simulator."""

    def __init__(self, simulator: ControlClient) -> None:
        self.simulator = simulator
        self.wrong: list[str] = []

    def step(self, title: str, action: Callable[[], None]) -> None:
        """Run one step on an empty request log."""
        print(f"\n{title}", flush=True)
        self.simulator.forget_requests()
        action()

    def execute(self, line: Sequence[str], secrets: Mapping[str, str]) -> str:
        """Run a command and return what it said. Secrets come by environment, never by argument."""
        print("  $ " + " ".join(part if " " not in part else f"'{part}'" for part in line))
        connection = {
            "NOMBA_BASE_URL": self.simulator.url,
            "NOMBA_ACCOUNT_ID": self.simulator.account_id,
            "NOMBA_CLIENT_ID": self.simulator.client_id,
            "REQUESTS_CA_BUNDLE": self.simulator.ca_path,
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_PIPELINING": "true",
        }
        environment = {**os.environ, **connection, **secrets}
        run = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        if run.returncode:
            self.wrong.append(f"{line[0]} ended with {run.returncode}")
            print(run.stdout + run.stderr)
        return run.stdout

    def expect(self, what: str, is_so: bool) -> None:
        """Note what is not as it should be."""
        print(f"  {'ok' if is_so else 'WRONG'}: {what}")
        if not is_so:
            self.wrong.append(what)

    @property
    def secret(self) -> dict[str, str]:
        """The client's secret, for commands that may issue a token."""
        return {"NOMBA_CLIENT_SECRET": self.simulator.client_secret}
