# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of the benchmark explains every row, and every missed target."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.benchmark import report
from tests.benchmark.explanations import EXPLANATIONS, explanation, reason
from tests.benchmark.results import AT_MOST, Results, Row, from_json
from tests.benchmark.timing import Spread

ROOT = Path(__file__).parents[3]
MEASURED = sorted((ROOT / "tests" / "benchmark" / "measured").glob("*.json"))
ROWS = [row for one in MEASURED for row in from_json(json.loads(one.read_text("utf-8"))).rows]


def page(*rows: Row) -> str:
    return report.page([Results(rows=list(rows))], {"Date": "today"}, "a test")


def test_every_measured_row_has_one_explanation() -> None:
    assert ROWS
    assert all(explanation(row.what).meaning for row in ROWS)


def test_every_target_has_a_reason_for_missing_it() -> None:
    targets = [row.what for row in ROWS if row.sense]
    assert targets
    assert [what for what in targets if not explanation(what).reason] == []


def test_reasons_name_rows_with_an_explanation() -> None:
    named = [name for one in EXPLANATIONS for name in re.findall(r"\{([^}]+)\}", one.reason)]
    assert named
    assert all(explanation(name) for name in named)


def test_only_a_missed_target_shows_its_reason_with_results() -> None:
    total = "100,000 expired tokens in one file: playbook"
    process = "100,000 expired tokens in one file: the module's process"
    other = Row(process, "s", Spread(12.25, 11, 13), 5)
    for seconds, shown in ((16.0, True), (9.0, False)):
        row = Row(total, "s", Spread(seconds, 8, 20), 5, AT_MOST, 10.0)
        assert ("*Why it is missed:*" in page(row, other)) is shown
        assert ("alone takes 12.2 s [11 .. 13]" in page(row, other)) is shown
    assert reason(total, lambda name: f"<{name}>").endswith(f"alone takes <{process}>.")


def test_page_in_docs_is_written_from_the_measured_results() -> None:
    text = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| .*(met|\*\*missed\*\*) \| (.+) \|$", text, re.MULTILINE)
    assert {what for what, *_rest in rows} == {row.what for row in ROWS if row.sense}
    assert [what for what, verdict, why in rows if ("Why" in why) is (verdict == "met")] == []
