# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The testbed's folder: what lies where in it, and how files get there."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOSTS = ("shop", "payroll", "ledger")


class TestbedError(Exception):
    """The test environment cannot be set up; the text is one sentence."""


@dataclass(frozen=True)
class Testbed:
    """The folder of a test environment; the command line of each of its processes names it."""

    __test__ = False  # pytest collects classes whose names begin with "Test"

    folder: Path

    @property
    def record(self) -> Path:
        """What `up` found free and started, for machines."""
        return self.folder / "testbed.json"

    @property
    def inventory(self) -> Path:
        """The same for Ansible."""
        return self.folder / "inventory.yml"

    @property
    def announcement(self) -> Path:
        """Where the simulator says where it listens."""
        return self.folder / "simulator.json"

    @property
    def logs(self) -> Path:
        """What the programs said."""
        return self.folder / "logs"

    @property
    def rotation(self) -> Path:
        """What the rotation keeps on the controller."""
        return self.folder / "rotation"

    def host(self, name: str) -> Path:
        """What lies on one host."""
        return self.folder / "hosts" / name

    def read(self) -> dict[str, Any]:
        """The record, or a sentence if there is none."""
        try:
            return dict(json.loads(self.record.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise TestbedError(f"there is no testbed in {self.folder}: run `up` first") from None

    def write(self, record: dict[str, Any]) -> None:
        """Keep the record."""
        write_private(self.record, pretty(record))

    def clear(self) -> None:
        """Empty hosts and rotation of all that was played on them."""
        for folder in (self.folder / "hosts", self.rotation):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.rotation, *map(self.host, HOSTS)):
            make_private(folder)


def make_private(folder: Path) -> None:
    """A folder for its owner alone."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner alone, in one step that no reader sees half done."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def pretty(value: object) -> str:
    """JSON that people can read and compare."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
