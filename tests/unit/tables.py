# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Table tests: one test runs over all rows of a table and reports every row that fails."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

Test = Callable[..., None]


def each_row(
    names: str | Sequence[str], rows: Iterable[Any], ids: Any = None
) -> Callable[[Test], Test]:
    """Run a test once over all rows, with the arguments of pytest.mark.parametrize.

    Use it where rows differ only in data. All rows share the fixtures of the test.
    """
    fields = (names,) if isinstance(names, str) else tuple(names)
    table = [(row,) if isinstance(names, str) else tuple(row) for row in rows]
    labels = [_label(row, ids) for row in table] if callable(ids) or not ids else list(ids)
    if not table or len(labels) != len(table) or {len(row) for row in table} != {len(fields)}:
        raise ValueError(f"the table of {', '.join(fields)} is empty or uneven")

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def over_all_rows(**fixtures: Any) -> None:
            failures = []
            for label, row in zip(labels, table):
                try:
                    test(**fixtures, **dict(zip(fields, row)))
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001, PERF203
                    failures.append(f"[{label}] {type(error).__name__}: {error}")
            if failures:
                count = f"{len(failures)} of {len(table)} rows failed:"
                pytest.fail("\n".join([count, *failures]), pytrace=False)

        signature = inspect.signature(test)
        others = [one for name, one in signature.parameters.items() if name not in fields]
        over_all_rows.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return over_all_rows

    return decorate


def _label(row: tuple[Any, ...], ids: Any) -> str:
    """Return a short text for a row."""
    return "-".join(str(ids(value)) if ids else repr(value)[:60] for value in row)
