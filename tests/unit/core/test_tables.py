# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Table tests run every row and report every row that fails."""

from __future__ import annotations

import pytest

from tests.unit.tables import each_row

pytestmark = pytest.mark.pure


def test_every_row_runs_and_every_failure_is_reported() -> None:
    seen: list[int] = []

    @each_row("number", [1, 2, 3])
    def check_odd(number: int) -> None:
        seen.append(number)
        if number == 2:
            raise ValueError("not a number of this test")
        assert number == 1

    with pytest.raises(pytest.fail.Exception) as caught:
        check_odd()
    assert seen == [1, 2, 3]
    first, second, third = str(caught.value).split("\n", 2)
    assert first == "2 of 3 rows failed:"
    assert second == "[2] ValueError: not a number of this test"
    assert third.startswith("[3] AssertionError: ")


def test_stacked_tables_run_the_product() -> None:
    seen: list[tuple[int, str]] = []

    @each_row(("number", "factor"), [(1, 1), (2, 1)])
    @each_row("letter", "ab")
    def check(number: int, factor: int, letter: str) -> None:
        seen.append((number * factor, letter))

    check()
    assert seen == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]


def test_failure_of_pytest_in_a_row_is_reported() -> None:
    @each_row("text", ["x"], ids=["the row"])
    def check(text: str) -> None:
        with pytest.raises(KeyError):
            assert text

    with pytest.raises(pytest.fail.Exception, match=r"\[the row\] Failed: "):
        check()


@each_row(("names", "rows", "ids"), [("a", [], None), (("a", "b"), [(1,)], None), ("a", [1], "xy")])
def test_empty_or_uneven_table_is_an_error(names: object, rows: list[object], ids: object) -> None:
    with pytest.raises(ValueError, match="empty or uneven"):
        each_row(names, rows, ids)  # type: ignore[arg-type]
