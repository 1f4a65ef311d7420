# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request log and its counters. It contains fingerprints, never tokens or secrets."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Received:
    """A request, as it was received."""

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
        """Whether the request can change state, as every POST can."""
        return self.method == "POST"


@dataclass(frozen=True)
class Sent:
    """The response to a request. The status is None if the connection was aborted."""

    status: int | None = None
    code: str | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Entry:
    """One entry of the log, as the control API returns it."""

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
class OpenEntry:
    """A request whose response may not have been sent yet."""

    n: int
    received: Received
    sent: Sent = Sent()

    def snapshot(self) -> Entry:
        """Return the current entry."""
        received, sent = self.received, self.sent
        return Entry(n=self.n, write=received.write, **received.__dict__, **sent.__dict__)


class RequestLog:
    """Keeps the newest `limit` entries; the counters include all requests."""

    def __init__(self, limit: int) -> None:
        self._entries: deque[OpenEntry] = deque(maxlen=limit)
        self._callbacks: list[tuple[int, Callable[[], None]]] = []
        self._counter: Counter[str] = Counter()
        self._by_fingerprint: dict[str, Counter[str]] = {}
        self._responses: dict[Sent, Sent] = {}
        self.total = 0
        self.connections = 0

    def __iter__(self) -> Iterator[OpenEntry]:
        return iter(self._entries)

    def open(self, received: Received) -> OpenEntry:
        """Add a request that has arrived."""
        self.total += 1
        entry = OpenEntry(self.total, received)
        self._entries.append(entry)
        self._count(received, "requests")
        if received.write:
            self._count(received, "writes")
        self._notify()
        return entry

    def close(self, entry: OpenEntry, sent: Sent) -> None:
        """Record the response, before its first byte is sent."""
        # Many responses are equal, so each distinct one is stored once.
        entry.sent = self._responses.setdefault(sent, sent)
        if entry.received.operation == "balance":
            self._count_balance(entry.received, sent)

    def notify_at(self, total: int, callback: Callable[[], None]) -> None:
        """Call `callback` when the log has counted this many requests, or now if it has."""
        self._callbacks.append((total, callback))
        self._notify()

    def counters(self, fingerprint: str | None = None) -> dict[str, object]:
        """Return the counters of all requests, or of the requests with one token."""
        if fingerprint is not None:
            return _totals(self._by_fingerprint.get(fingerprint, Counter()))
        each = {name: _totals(counter) for name, counter in self._by_fingerprint.items()}
        return {**_totals(self._counter), "connections": self.connections, "fingerprints": each}

    def _notify(self) -> None:
        due = [one for one in self._callbacks if one[0] <= self.total]
        self._callbacks = [one for one in self._callbacks if one[0] > self.total]
        for __, callback in due:
            callback()

    def _count_balance(self, received: Received, sent: Sent) -> None:
        if sent.status == 401 or sent.code == "401":
            self._count(received, "balance_refused")
        elif sent.status == 200 and sent.code == "00":
            self._count(received, "balance_accepted")

    def _count(self, received: Received, name: str) -> None:
        self._counter[name] += 1
        if received.fingerprint is not None:
            self._by_fingerprint.setdefault(received.fingerprint, Counter())[name] += 1


def _totals(counter: Counter[str]) -> dict[str, object]:
    names = ("requests", "writes", "balance_accepted", "balance_refused")
    return {name: counter[name] for name in names}
