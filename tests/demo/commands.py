# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the commands of the demo, print them, and record failed checks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence

from tests.simulator.control_client import ControlClient


class Operator:
    """Runs commands against one simulator and records failed checks."""

    def __init__(self, simulator: ControlClient) -> None:
        self.simulator = simulator
        self.failures: list[str] = []
        self.printed: dict[str, list[str]] = {}  # the lines of each step, by its title

    def step(self, title: str, action: Callable[[], None]) -> None:
        """Print the title, empty the request log, and run the step."""
        print()
        self.printed[title] = []
        self.print(title)
        self.simulator.forget_requests()
        action()

    def print(self, line: str) -> None:
        """Print a line of the current step, and keep it for the picture."""
        [*self.printed.values()][-1].append(line)
        print(line, flush=True)

    def execute(
        self, command: Sequence[str], secrets: Mapping[str, str], expect_failure: bool = False
    ) -> str:
        """Run a command; return its standard output. Secrets are passed in the environment."""
        self.print("  $ " + " ".join(part if " " not in part else f"'{part}'" for part in command))
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
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if bool(run.returncode) is not expect_failure:
            self.failures.append(f"{command[0]} ended with status {run.returncode}")
            print(run.stdout + run.stderr)
        return run.stdout

    def check(self, description: str, passed: bool) -> None:
        """Print the result of a check; record a failure."""
        self.print(f"  {'ok' if passed else 'FAILED'}: {description}")
        if not passed:
            self.failures.append(description)

    @property
    def secret(self) -> dict[str, str]:
        """The client secret, for commands that issue tokens."""
        return {"NOMBA_CLIENT_SECRET": self.simulator.client_secret}
