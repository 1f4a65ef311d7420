# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsing and formatting timestamps."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._timestamps import parse_time, show_time
from tests.unit.tables import each_row

pytestmark = pytest.mark.pure

# 2022-07-08T14:33:00Z, the example in Nomba's specification.
EXAMPLE = 1_657_290_780.0


@each_row(
    "text",
    [
        "2022-07-08T14:33:00Z",
        "2022-07-08t14:33:00z",
        "2022-07-08 14:33:00Z",
        "2022-07-08T14:33:00",
        "2022-07-08T14:33:00.0Z",
        "2022-07-08T14:33:00.000000000Z",
        "2022-07-08T14:33:00+00:00",
        "2022-07-08T14:33:00-00:00",
        "2022-07-08T15:33:00+01:00",
        "2022-07-08T15:33:00+0100",
        "2022-07-08T09:03:00-05:30",
        "2022-07-09T00:33:00+10:00",
        " 2022-07-08T14:33:00Z\n",
    ],
)
def test_every_timestamp_form_is_parsed(text: str) -> None:
    assert parse_time(text) == EXAMPLE


@each_row(
    ("fraction", "more"),
    [(".5", 0.5), (".250", 0.25), (".001", 0.001), (".123456789", 0.123456789)],
)
def test_fraction_is_parsed(fraction: str, more: float) -> None:
    assert parse_time(f"2022-07-08T14:33:00{fraction}Z") == pytest.approx(EXAMPLE + more, abs=1e-6)


@each_row(
    "text",
    [
        None,
        "",
        " ",
        "invalid",
        "1657290780",
        "2022-07-08",
        "14:33:00Z",
        "2022-07-08T14:33Z",
        "2022-07-08T14:33:00.Z",
        "2022-07-08T14:33:00.1234567890Z",
        "2022-07-08T14:33:00 Z",
        "2022-07-08T14:33:00ZZ",
        "2022-07-08T14:33:00+01",
        "2022-07-08T14:33:00+1:00",
        "2022-07-08T14:33:00 UTC",
        "2022-02-29T00:00:00Z",
        "2022-13-01T00:00:00Z",
        "2022-07-08T24:00:00Z",
        "2022-07-08T14:60:00Z",
        "2022-07-08T14:33:61Z",
        "0000-01-01T00:00:00Z",
        "Fri, 08 Jul 2022 14:33:00 GMT",
        "2022-07-08T14:33:00Z, or later",
        "\u0662\u0660\u0662\u0662-07-08T14:33:00Z",
    ],
    ids=repr,
)
def test_invalid_timestamp_is_none(text: str | None) -> None:
    assert parse_time(text) is None


@each_row("text", ["9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01"])
def test_offset_beyond_calendar_is_none(text: str) -> None:
    assert parse_time(text) is None


@each_row("offset", ["+24:00", "-99:00", "+01:60"])
def test_offset_above_one_day_is_none(offset: str) -> None:
    assert parse_time(f"2022-07-08T14:33:00{offset}") is None


@given(st.text(max_size=40) | st.text(alphabet="0123456789-+:.TZ", max_size=40))
def test_any_text_is_parsed_or_none(text: str) -> None:
    assert parse_time(text) is None or isinstance(parse_time(text), float)


@given(st.integers(0, 253_402_300_799))
def test_shown_time_is_parsed_back(moment: int) -> None:
    shown = show_time(moment)
    assert shown is not None
    assert shown.endswith("Z")
    assert parse_time(shown) == moment


@given(
    st.datetimes(datetime(1970, 1, 3), datetime(2199, 1, 1)),  # noqa: DTZ001 -- gets a zone below
    st.integers(-23 * 60, 23 * 60),
)
def test_isoformat_is_parsed_as_python_does(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(aware.isoformat()) == pytest.approx(aware.timestamp(), abs=1e-5)


def test_time_is_shown_in_seconds() -> None:
    assert show_time(EXAMPLE + 0.999) == "2022-07-08T14:33:00Z"


def test_missing_time_is_shown_as_none() -> None:
    assert show_time(None) is None
