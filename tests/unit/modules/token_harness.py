# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run nomba_token in the process of the test, and read its file."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.modules import nomba_token
from tests.simulator.control_client import ControlClient
from tests.unit.clock import FastClock

from .harness import ModuleResult, run_module


class Token:
    """nomba_token with options for the simulator; None omits an option."""

    def __init__(
        self,
        simulator: ControlClient,
        clock: FastClock,
        monkeypatch: pytest.MonkeyPatch,
        folder: Path,
    ) -> None:
        self.simulator = simulator
        self.clock = clock
        self.monkeypatch = monkeypatch
        self.folder = folder / "kept"
        self.folder.mkdir()
        self.dest = self.folder / "token.json"
        monkeypatch.setattr(nomba_token, "SYSTEM", clock.as_clock())

    def __call__(self, check: bool = False, diff: bool = False, **options: Any) -> ModuleResult:
        given = self.options(**options)
        given.update(_ansible_check_mode=check, _ansible_diff=diff)
        return run_module(nomba_token.main, given, self.monkeypatch)

    def options(self, **options: Any) -> dict[str, Any]:
        """Return the options of the module."""
        fitting = {
            "api_url": self.simulator.url,
            "ca_path": self.simulator.ca_path,
            "account_id": self.simulator.account_id,
            "client_id": self.simulator.client_id,
            "client_secret": self.simulator.client_secret,
            "dest": str(self.dest),
            "probe": False,  # one request less; test_token_probe.py tests it
        }
        return {name: value for name, value in {**fitting, **options}.items() if value is not None}

    # The file

    @property
    def document(self) -> dict[str, Any]:
        """The document in the file."""
        return dict(json.loads(self.dest.read_bytes()))

    @property
    def mode(self) -> int:
        """The file's mode."""
        return stat.S_IMODE(self.dest.stat().st_mode)

    @property
    def files(self) -> list[str]:
        """The names of all files in the folder."""
        return sorted(path.name for path in self.folder.iterdir())

    def hold(self, lifetime: float = 3600, **changes: Any) -> dict[str, Any]:
        """Write a file with a new token of the simulator; return its pair and fingerprint."""
        made = self.simulator.mint_pair(lifetime=lifetime)
        self.write(made, **{"expires_at": self.moment(lifetime), **changes})
        return made

    def write(self, made: Mapping[str, Any], **changes: Any) -> None:
        """Write the document of a pair."""
        document = {
            "api_url": self.simulator.url,
            "account_id": self.simulator.account_id,
            "client_id": self.simulator.client_id,
            "access_token": made["access_token"],
            "refresh_token": made["refresh_token"],
            "expires_at": None,
            "replaced": [],
        }
        self.dest.write_text(json.dumps({**document, **changes}))
        self.dest.chmod(0o600)

    def moment(self, ahead: float) -> str:
        """Return the time in so many seconds, in the format of the API."""
        moment = self.clock.as_clock().now() + ahead
        return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
