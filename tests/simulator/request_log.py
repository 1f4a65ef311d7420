# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of requests and its counters. No token or secret comes in here: only fingerprints."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """What was seen of a request when it arrived."""

    time: float
    method: str
    path: str
    operation: str
    fingerprint: str | None
    account_id: str | None
    client_id: str | None
    authorization: bool
    body_fields: tuple[str, ...]
    body_bytes: int
    connection: int
    header_names: tuple[str, ...]
    user_agent: str | None
    content_type: str | None

    @property
    def write(self) -> bool:
        """Whether this could change anything: every POST could."""
        return self.method == "POST"


@dataclass(frozen=True)
class Answered:
    """What was answered. The status is None where the connection was aborted."""

    status: int | None = None
    code: str | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Entry:
    """One line of the log, as tests see it."""

    n: int
    time: float
    method: str
    path: str
    operation: str
    fingerprint: str | None
    account_id: str | None
    client_id: str | None
    authorization: bool
    body_fields: tuple[str, ...]
    body_bytes: int
    write: bool
    status: int | None
    code: str | None
    fault: str | None
    connection: int
    header_names: tuple[str, ...]
    user_agent: str | None
    content_type: str | None


@dataclass
class Line:
    """An open line: the request is there, its answer is yet to come."""

    n: int
    seen: Seen
    answered: Answered = Answered()

    def entry(self) -> Entry:
        """The line as it reads now."""
        seen, answered = self.seen, self.answered
        return Entry(n=self.n, write=seen.write, **seen.__dict__, **answered.__dict__)


class RequestLog:
    """Keeps the newest `limit` lines; the counters know of all."""

    def __init__(self, limit: int) -> None:
        self._lines: deque[Line] = deque(maxlen=limit)
        self._watchers: list[tuple[int, Callable[[], None]]] = []
        self._sums: Counter[str] = Counter()
        self._tallies: dict[str, Counter[str]] = {}
        self._answers: dict[Answered, Answered] = {}
        self.total = 0
        self.connections = 0

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def open(self, seen: Seen) -> Line:
        """Note that a request has arrived."""
        self.total += 1
        line = Line(self.total, seen)
        self._lines.append(line)
        self._count(seen, "requests")
        if seen.write:
            self._count(seen, "writes")
        self._tell()
        return line

    def close(self, line: Line, answered: Answered) -> None:
        """Note what is being answered; done before the first byte leaves."""
        # Few answers differ, so equal ones are kept once.
        line.answered = self._answers.setdefault(answered, answered)
        if line.seen.operation == "balance":
            self._count_balance(line.seen, answered)

    def watch(self, total: int, arrived: Callable[[], None]) -> None:
        """Call `arrived` once that many requests have come, which may be now."""
        self._watchers.append((total, arrived))
        self._tell()

    def counters(self, fingerprint: str | None = None) -> dict[str, object]:
        """The sums of everything, or of the requests that carried one token."""
        if fingerprint is not None:
            return _sums(self._tallies.get(fingerprint, Counter()))
        tallies = {name: _sums(one) for name, one in self._tallies.items()}
        return {**_sums(self._sums), "connections": self.connections, "fingerprints": tallies}

    def _tell(self) -> None:
        due = [one for one in self._watchers if one[0] <= self.total]
        self._watchers = [one for one in self._watchers if one[0] > self.total]
        for __, arrived in due:
            arrived()

    def _count_balance(self, seen: Seen, answered: Answered) -> None:
        if answered.status == 401 or answered.code == "401":
            self._count(seen, "balance_refused")
        elif answered.status == 200 and answered.code == "00":
            self._count(seen, "balance_accepted")

    def _count(self, seen: Seen, what: str) -> None:
        self._sums[what] += 1
        if seen.fingerprint is not None:
            self._tallies.setdefault(seen.fingerprint, Counter())[what] += 1


def _sums(counter: Counter[str]) -> dict[str, object]:
    names = ("requests", "writes", "balance_accepted", "balance_refused")
    return {name: counter[name] for name in names}
