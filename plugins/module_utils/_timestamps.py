# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Points in time as text: what Nomba writes, and what people read. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

# Nomba's specification shows 2022-07-08T14:33:00Z, live answers have milliseconds. An offset is
# understood as well (RFC 3339). `fromisoformat` reads no Z before Python 3.11.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):?([0-5]\d))?"
)


def parse_time(text: str | None) -> float | None:
    """Seconds since the epoch (UTC), or None for what is no RFC 3339 time; UTC without offset."""
    match = _RFC3339.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    date, clock, fraction, sign, hours, minutes = match.groups()
    ahead = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}+00:00")
        moment = moment + ahead if sign == "-" else moment - ahead
    except (ValueError, OverflowError):  # no such day, or one beyond the years 1 to 9999
        return None
    return moment.timestamp() + float(f"0.{fraction or 0}")


def show_time(moment: float | None) -> str | None:
    """A moment (seconds since the epoch, UTC) as people read it, to the second."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
