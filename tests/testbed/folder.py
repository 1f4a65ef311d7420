# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a test environment: its paths, and how its files are written."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOSTS = ("shop", "payroll", "ledger")


class TestbedError(Exception):
    """The test environment cannot be used; the text is one sentence."""


@dataclass(frozen=True)
class Testbed:
    """The folder of a test environment; the command line of each of its processes names it."""

    __test__ = False  # pytest collects classes whose names begin with "Test"

    folder: Path

    @property
    def record(self) -> Path:
        """Return the path of the ports and process ids that `up` recorded."""
        return self.folder / "testbed.json"

    @property
    def inventory(self) -> Path:
        """Return the path of the Ansible inventory."""
        return self.folder / "inventory.yml"

    @property
    def announcement(self) -> Path:
        """Return the path of the simulator's announcement: its URLs and its CA."""
        return self.folder / "simulator.json"

    @property
    def logs(self) -> Path:
        """Return the folder with the output of the programs."""
        return self.folder / "logs"

    @property
    def rotation(self) -> Path:
        """Return the folder of the rotation on the control host."""
        return self.folder / "rotation"

    def host(self, name: str) -> Path:
        """Return the folder of one host."""
        return self.folder / "hosts" / name

    def read(self) -> dict[str, Any]:
        """Return the record; fail if the environment has not been started."""
        try:
            return dict(json.loads(self.record.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise TestbedError(f"no test environment in {self.folder}: run `up` first") from None

    def write(self, record: dict[str, Any]) -> None:
        """Write the record."""
        write_private(self.record, pretty(record))

    def clear(self) -> None:
        """Remove the files of the last test from the hosts and the rotation's folder."""
        for folder in (self.folder / "hosts", self.rotation):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.rotation, *map(self.host, HOSTS)):
            make_private(folder)


def make_private(folder: Path) -> None:
    """Create a folder that only its owner can use."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def pretty(value: object) -> str:
    """Return indented JSON with sorted keys."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
