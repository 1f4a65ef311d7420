# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every measurement stands on: a simulator in a process of its own, tokens, programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.simulator.control_client import ControlClient

from .timing import BenchmarkError, Sample, timed

_HERE = Path(__file__).parent
_AT_ONCE = 10_000
_LONG_AGO = 7200
_QUIET = {
    "ANSIBLE_LOCALHOST_WARNING": "false",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    "ANSIBLE_NOCOLOR": "true",
}


class Testbed:
    """One simulator and the programs that are measured against it, over HTTPS with its CA."""

    def __init__(self, simulator: ControlClient, folder: Path) -> None:
        self.simulator = simulator
        self._folder = folder
        self._environment = {**os.environ, **_QUIET}

    # Tokens

    def live(self, count: int, **settings: object) -> list[str]:
        """Tokens that a simulator with these settings, and an empty registry, accepts."""
        self.simulator.reset(token_lifetime=24 * 3600, **settings)
        return self._minted(count)

    def expired(self, count: int) -> list[str]:
        """Tokens that have been dead for long, and that no registry needs to know."""
        self.simulator.reset()
        return self._minted(count, age=_LONG_AGO, lifetime=_LONG_AGO // 2, known=False)

    def source(self, tokens: Sequence[str]) -> str:
        """A log file with the tokens, one in each line."""
        path = self._folder / "source.log"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"10:41:09 DEBUG GET /v1 Bearer {token} 200\n" for token in tokens)
        return str(path)

    def _minted(self, count: int, **how: object) -> list[str]:
        parts = [min(_AT_ONCE, count - done) for done in range(0, count, _AT_ONCE)]
        return [token for part in parts for token in self.simulator.mint_many(part, **how)]

    # Programs

    def revoke(self, **job: object) -> Sample:
        """A playbook of one task that revokes with this collection."""
        return self.playbook("playbooks/revoke.yml", **job)

    def playbook(self, name: str, **variables: object) -> Sample:
        """A playbook, started from nothing."""
        given = f"@{self._write(self._job(variables))}"
        command = ["ansible-playbook", "-e", given]
        return self._run([*command, str(_HERE / name)])

    def peer(self, name: str, **job: object) -> Sample:
        """A plain script, started from nothing."""
        path = self._write(self._job(job))
        return self._run([sys.executable, str(_HERE / "peers" / name), str(path)])

    def module_process(self, **options: object) -> Sample:
        """The module without a controller: the memory is its own."""
        path = self._write(self._job({"deadline": 7200, **options}))
        return self._run([sys.executable, "-m", "tests.benchmark.module_process", str(path)])

    def python(self, code: str) -> Sample:
        """A line of Python, to see what an import costs."""
        return self._run([sys.executable, "-c", code])

    def _run(self, command: Sequence[str]) -> Sample:
        return timed(command, self._environment)

    def _job(self, more: dict[str, object]) -> dict[str, object]:
        return {
            "api_url": self.simulator.url,
            "ca_path": self.simulator.ca_path,
            "account_id": self.simulator.account_id,
            "client_id": self.simulator.client_id,
            **more,
        }

    def _write(self, value: Any) -> Path:
        path = self._folder / "job.json"
        path.write_text(json.dumps(value), encoding="utf-8")
        return path

    # What the simulator saw

    def proved(self, sample: Sample) -> Sample:
        """The sample, if no token is alive."""
        alive = len(self.simulator.live())
        if alive:
            raise BenchmarkError(f"{alive} token(s) are still alive")
        return sample

    def with_limits(self, sample: Sample, post_limit: int, window: float) -> Sample:
        """The sample, with what part of the allowed rate was used and how often it was too much.

        In the first window the limit's worth of POSTs may start at once: time runs for the rest.
        """
        log = self.simulator.requests()
        posts = [entry.time for entry in log if entry.write]
        windows = -(-len(posts) // post_limit) - 1
        used = windows * window / (posts[-1] - posts[0])
        too_many = float(sum(entry.status == 429 for entry in log))
        return replace(sample, seen={"used": used, "too_many": too_many})


@contextmanager
def testbed(folder: Path) -> Iterator[Testbed]:
    """A testbed; the simulator ends with it."""
    announcement = folder / "simulator.json"
    line = [sys.executable, "-m", "tests.simulator", "--announce", str(announcement)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it says one line when it listens
            yield Testbed(ControlClient.from_announcement(announcement), folder)
        finally:
            process.terminate()
