# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as text: RFC 3339, HTTP dates, Retry-After. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

# Nomba's specification shows 2022-07-08T14:33:00Z; live answers have milliseconds. An offset is
# accepted too (RFC 3339). `fromisoformat` does not accept Z before Python 3.11.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):?([0-5]\d))?"
)


def parse_time(text: str | None) -> float | None:
    """Return an RFC 3339 time as seconds since the epoch (UTC), or None; UTC without offset."""
    match = _RFC3339.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    date, clock, fraction, sign, hours, minutes = match.groups()
    ahead = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}+00:00")
        moment = moment + ahead if sign == "-" else moment - ahead
    except (ValueError, OverflowError):  # an invalid day, or not in the years 1 to 9999
        return None
    return moment.timestamp() + float(f"0.{fraction or 0}")


def parse_http_date(text: str) -> float | None:
    """Return an HTTP date (RFC 9110, 5.6.7) as seconds since the epoch (UTC), or None."""
    from email.utils import parsedate_to_datetime  # here: slow to import, often not needed

    try:
        moment = parsedate_to_datetime(text)
        # An HTTP date without a time zone is in UTC; Python would use the host's time zone.
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Return the delay that Retry-After (RFC 9110, 10.2.3) asks for, in seconds, or None.

    headers: names in lower case. now: seconds since the epoch (UTC). A date is compared with the
    server's own clock where the header Date shows it, and with `now` otherwise.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text[:9])
    moment, server_now = parse_http_date(text), parse_http_date(headers.get("date", ""))
    if moment is None:
        return None
    return max(0.0, moment - (now if server_now is None else server_now))


def show_time(moment: float | None) -> str | None:
    """Return a time (seconds since the epoch, UTC) as RFC 3339 text, to the second."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
