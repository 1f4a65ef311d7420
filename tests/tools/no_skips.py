# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin: a test that was skipped was not run, and that fails the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from typing import Union

    Report = Union[pytest.TestReport, pytest.CollectReport]


class SkipWatch:
    """Collects the skipped tests of a run."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def note(self, report: Report) -> None:
        """Keep the name of a skipped test; an expected failure is not a skip."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at each test."""
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Look at each module: it can be skipped as a whole."""
        self.note(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a run with skipped tests into a failed one."""
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why the run failed."""
        for name in self.skipped:
            terminalreporter.write_line(f"NOT ALLOWED: skipped {name}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Start watching."""
    config.pluginmanager.register(SkipWatch(), "skip-watch")
