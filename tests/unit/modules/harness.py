# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module in the process of the test, as Ansible does, and read its result."""

from __future__ import annotations

import io
import json
import signal
import syslog
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common import warnings as module_warnings
from ansible.module_utils.common.parameters import PASS_VARS

from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke
from tests.simulator.control_client import ControlClient
from tests.unit.clock import FastClock

try:
    from ansible.module_utils import secrets as register
except ImportError:  # ansible-core 2.21 and older mask a result in the module's process
    register = None


class _NotAController:
    """The controller interface in the process of a module."""

    is_controller = False


@dataclass(frozen=True)
class ModuleResult:
    """The module's result, and the text that Ansible prints of it.

    From ansible-core 2.22 on, the process returns its secrets, and the controller masks the output.
    """

    result: Mapping[str, Any]
    output: str

    def __getitem__(self, key: str) -> Any:
        return self.result[key]

    @property
    def failed(self) -> bool:
        return bool(self.result.get("failed"))

    @property
    def error(self) -> str:
        return str(self.result["error"]["code"])

    @property
    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.result["results"]]

    @property
    def row(self) -> Mapping[str, Any]:
        (row,) = self.result["results"]
        return dict(row)

    @property
    def warnings(self) -> str:
        return " ".join(str(warning) for warning in self.result.get("warnings", []))


class Revoke:
    """nomba_token_revoke with options for the simulator; None omits an option."""

    def __init__(
        self, simulator: ControlClient, clock: FastClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.simulator = simulator
        self.clock = clock
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(nomba_token_revoke, "SYSTEM", clock.as_clock())

    def __call__(
        self, *tokens: str, check: bool = False, diff: bool = False, **options: Any
    ) -> ModuleResult:
        options.setdefault("api_url", self.simulator.url)
        options.setdefault("ca_path", self.simulator.ca_path)
        options.setdefault("account_id", self.simulator.account_id)
        options.setdefault("client_id", self.simulator.client_id)
        if tokens:
            options["access_tokens"] = list(tokens)
        options.update(_ansible_check_mode=check, _ansible_diff=diff)
        given = {name: value for name, value in options.items() if value is not None}
        return run_module(nomba_token_revoke.main, given, self.monkeypatch)


def run_module(
    main: Any, options: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> ModuleResult:
    """Call the main function of a module with options, as the controller passes them."""
    own: dict[str, Any] = {"_ansible_remote_tmp": tempfile.gettempdir()}
    if "inject_invocation" in PASS_VARS:  # older versions always repeat the options in a result
        own["_ansible_inject_invocation"] = True
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {**own, **options}})
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", arguments.encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    # A test that imports a part of the controller must not mark this process as one.
    monkeypatch.setattr(module_warnings, "_internal", _NotAController, raising=False)
    _forget_warnings(monkeypatch)
    _forget_secrets()
    out, err = io.StringIO(), io.StringIO()
    with restored_signals(), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit):
        main()
    result = json.loads(out.getvalue())
    if register is None:
        return ModuleResult(result, out.getvalue() + err.getvalue())
    result.pop("_ansible_new_secrets", None)
    return ModuleResult(result, register.mask_secrets(json.dumps(result)) + err.getvalue())


@contextmanager
def restored_signals() -> Iterator[None]:
    """Restore the signal handlers of this process, which a module replaces."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forget_secrets() -> None:
    """Clear the register of the process: a secret of one test must not mask the next one's text."""
    if register is not None:
        masker = register._secret_masker
        for values in (masker._secrets, masker._forms, masker._json_forms):
            values.clear()
        masker._matcher = type(masker._matcher)()


def capture_syslog(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which modules in this process append what they log."""
    lines: list[str] = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(syslog, "syslog", lambda *line: lines.append(str(line)))
    return lines


def _forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    empty: Any = type(module_warnings._global_warnings)()
    monkeypatch.setattr(module_warnings, "_global_warnings", empty)
