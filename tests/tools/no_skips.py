# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin: a skipped test fails the run.

It also writes the result of each test into the file that PYTEST_CASES names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from typing import Union

    Report = Union[pytest.TestReport, pytest.CollectReport]


class SkipDetector:
    """Collects the results of a run."""

    def __init__(self) -> None:
        self.skipped: list[str] = []
        self.passed: dict[str, bool] = {}

    def pytest_collectreport(self, report: Report) -> None:
        """Record a skip; an expected failure is not a skip."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the result of a phase of a test."""
        self.pytest_collectreport(report)
        self.passed[report.nodeid] = self.passed.get(report.nodeid, True) and not report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run with skipped tests, and write the results."""
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        path = os.environ.get("PYTEST_CASES")
        if path and not hasattr(session.config, "workerinput"):
            lines = [f"{'passed' if ok else 'failed'} {name}\n" for name, ok in self.passed.items()]
            Path(path).write_text("".join(lines), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the skipped tests."""
        for name in self.skipped:
            terminalreporter.write_line(f"NOT ALLOWED: skipped {name}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin."""
    config.pluginmanager.register(SkipDetector(), "no-skips")
