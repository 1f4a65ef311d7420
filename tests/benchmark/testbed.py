# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark environment: a simulator in its own process, tokens, and programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.simulator.control_client import ControlClient

from . import logs
from .timing import BenchmarkError, Sample, timed

_HERE = Path(__file__).parent
_MINT_BATCH = 10_000
_EXPIRED_AGE = 7200
_QUIET = {
    "ANSIBLE_LOCALHOST_WARNING": "false",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    "ANSIBLE_NOCOLOR": "true",
    "NOMBA_TESTS_COMPILE_MODULES": "true",  # see tests/tools/packed_modules.py
}


# A token as a pattern, for programs that do not read claims.
_TOKEN = r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
_SCAN = """
from ansible_collections.nomba.auth.plugins.module_utils._scan import scan
found = scan([], [{place!r}])
assert (len(found.tokens), found.unread) == ({found}, []), found
"""


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise BenchmarkError(f"{name} is not installed")
    return path


class Testbed:
    """One simulator and the programs to measure, over HTTPS with its CA."""

    def __init__(self, simulator: ControlClient, folder: Path) -> None:
        self.simulator = simulator
        self._folder = folder
        self._environment = {**os.environ, **_QUIET}

    # Tokens

    def live(self, count: int, **settings: object) -> list[str]:
        """Reset the simulator with these settings, and create valid tokens."""
        self.simulator.reset(token_lifetime=24 * 3600, **settings)
        return self._mint(count)

    def expired(self, count: int) -> list[str]:
        """Create tokens that expired an hour ago and are not in the registry."""
        self.simulator.reset()
        return self._mint(count, age=_EXPIRED_AGE, lifetime=_EXPIRED_AGE // 2, known=False)

    def source(self, tokens: Sequence[str]) -> str:
        """Write a log file with one token per line; return its path."""
        path = self._folder / "source.log"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"10:41:09 DEBUG GET /v1 Bearer {token} 200\n" for token in tokens)
        return str(path)

    def log(self, name: str, size: int, tokens: Sequence[str]) -> Path:
        """Write a log of this size in MiB."""
        return logs.write_log(self._folder / name, size, tokens)

    def packed_log(self, name: str, log: Path) -> Path:
        """Write a log in gzip."""
        return logs.write_gzip(self._folder / name, log)

    def small_files(self, name: str, count: int, tokens: Sequence[str]) -> Path:
        """Write many small files."""
        return logs.write_small_files(self._folder / name, count, tokens)

    def _mint(self, count: int, **options: object) -> list[str]:
        parts = [min(_MINT_BATCH, count - done) for done in range(0, count, _MINT_BATCH)]
        return [token for part in parts for token in self.simulator.mint_many(part, **options)]

    # Programs

    def revoke(self, **job: object) -> Sample:
        """Run a playbook with one task that revokes the tokens with this collection."""
        return self.playbook("playbooks/revoke.yml", **job)

    def playbook(self, name: str, **variables: object) -> Sample:
        """Run a playbook."""
        extra_vars = f"@{self._write(self._job(variables))}"
        command = ["ansible-playbook", "-e", extra_vars]
        return self._run([*command, str(_HERE / name)])

    def rotation(self, name: str, hosts: int) -> Sample:
        """Run a playbook that rotates the token of so many hosts with a local connection.

        The first run with a number of hosts also puts a token in service.
        """
        folder = self._folder / f"{name.partition('/')[0]}-{hosts}"
        folder.mkdir(exist_ok=True)
        names = [f"host{number:03}" for number in range(hosts)]
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        group = {"hosts": dict.fromkeys(names), "vars": local}
        children = {"consumers": group}
        everything = {"hosts": {"localhost": local}, "children": children}
        inventory = folder / "inventory.json"
        inventory.write_text(json.dumps({"all": everything}), encoding="utf-8")
        job = self._job(
            {
                "client_secret": self.simulator.client_secret,
                "store_folder": str(folder / "store"),
                "token_file": f"{folder}/{{{{ inventory_hostname }}}}.env",
            }
        )
        extra_vars = f"@{self._write(job)}"
        command = ["ansible-playbook", "--forks", "10", "--inventory", str(inventory)]
        return self._run([*command, "-e", extra_vars, str(_HERE / name)])

    def peer(self, name: str, **job: object) -> Sample:
        """Run a script that does not use the collection."""
        path = self._write(self._job(job))
        return self._run([sys.executable, str(_HERE / "peers" / name), str(path)])

    def module_process(self, **options: object) -> Sample:
        """Run the module without a controller."""
        path = self._write(self._job({"deadline": 7200, **options}))
        return self._run([sys.executable, "-m", "tests.benchmark.module_process", str(path)])

    def python(self, code: str) -> Sample:
        """Run Python code, to measure imports."""
        return self._run([sys.executable, "-c", code])

    def pack(self, module: str) -> Sample:
        """Pack a module as Ansible does before it sends it to a host."""
        return self._run([sys.executable, "-m", "tests.benchmark.packing", module])

    def scan(self, place: Path, found: int) -> Sample:
        """Scan a place with this collection, without Ansible and without a module."""
        return self.python(_SCAN.format(place=str(place), found=found))

    def rg(self, place: Path) -> Sample:
        """Search a place with ripgrep, which reports the text of each token."""
        return self._run(self._rg(place))

    def kingfisher(self, place: Path) -> Sample:
        """Scan a place with Kingfisher and the rule of this collection alone."""
        # The exit status is 200 if there are findings.
        command = 'test "$("$@" >/dev/null 2>&1; echo $?)" = 200'
        return self._run(["sh", "-c", command, "sh", *self._kingfisher(place, os.devnull)])

    def require_same_findings(self, peer: str, place: Path, found: int) -> None:
        """Require that another scanner finds this number of tokens; its time does not count.

        This also reads all files once, so that none of the measured runs waits for the disk.
        """
        report = self._folder / "kingfisher.json"
        command = self._rg(place) if peer == "rg" else self._kingfisher(place, str(report))
        run = subprocess.run(command, env=self._environment, capture_output=True, check=False)
        output = run.stdout if peer == "rg" else report.read_bytes()
        tokens = set(re.findall(_TOKEN.encode(), output))
        if len(tokens) != found:
            raise BenchmarkError(f"{peer} found {len(tokens)} tokens of {found} in {place.name}")

    def _rg(self, place: Path) -> list[str]:
        return [_program("rg"), "-a", "-o", "--no-messages", "-uuu", _TOKEN, str(place)]

    def _kingfisher(self, place: Path, report: str) -> list[str]:
        rules = _HERE.parents[1] / "docs" / "examples" / "kingfisher"
        options = ["--rules-path", str(rules), "--rule", "nomba.access_token", "--no-validate"]
        options += ["--no-update-check", "--max-file-size", "4096", "--format", "json"]
        options += ["--rule-cache-dir", str(self._folder), "--output", report]
        return [_program("kingfisher"), "scan", str(place), *options]

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

    # Checks

    def require_revoked(self, sample: Sample) -> Sample:
        """Return the sample; raise BenchmarkError if a token is still valid."""
        valid = len(self.simulator.live())
        if valid:
            raise BenchmarkError(f"{valid} token(s) are still valid")
        return sample

    def with_limits(self, sample: Sample, post_limit: int, window: float) -> Sample:
        """Add the used share of the allowed rate and the number of 429 responses.

        All POSTs of the first window may start at once, so the time of the other windows counts.
        """
        log = self.simulator.requests()
        posts = [entry.time for entry in log if entry.write]
        windows = -(-len(posts) // post_limit) - 1
        used = windows * window / (posts[-1] - posts[0])
        too_many = float(sum(entry.status == 429 for entry in log))
        return replace(sample, observed={"used": used, "too_many": too_many})


@contextmanager
def testbed(folder: Path) -> Iterator[Testbed]:
    """Start a simulator; stop it at the end."""
    announcement = folder / "simulator.json"
    command = [sys.executable, "-m", "tests.simulator", "--announce", str(announcement)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # one line, when the simulator listens
            yield Testbed(ControlClient.from_announcement(announcement), folder)
        finally:
            process.terminate()
