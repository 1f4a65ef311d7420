# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark runs completely. No test depends on its numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmark.cases import CASES
from tests.benchmark.results import AT_MOST, Row
from tests.benchmark.timing import Spread

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that a short run of all cases has written."""
    out = tmp_path_factory.mktemp("benchmark")
    command = [sys.executable, "-m", "tests.benchmark", "--quick", "--out", str(out)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return out / "benchmark.md"


def test_every_case_is_measured(page: Path) -> None:
    assert {path.stem for path in page.parent.glob("*.json")} == set(CASES)


@pytest.mark.parametrize("part", ["Targets", "Measured besides", "Growth", "by other programs"])
def test_the_page_has_all_its_parts(page: Path, part: str) -> None:
    assert part in page.read_text(encoding="utf-8")


def test_page_of_a_short_run_contains_a_warning(page: Path) -> None:
    assert "its numbers mean nothing" in page.read_text(encoding="utf-8")


def test_the_plot_is_drawn(page: Path) -> None:
    assert "<polyline" in (page.parent / "benchmark.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("reached", "met"), [(1.1, True), (1.2, False)])
def test_a_target_is_met_by_the_median(reached: float, met: bool) -> None:
    assert Row("time", "x", Spread(reached, 0.1, 9.0), 5, AT_MOST, 1.15).met is met
