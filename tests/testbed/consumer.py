# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.testbed.consumer: a service that uses a token, and counts its responses."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.simulator.tokens import fingerprint

from .folder import pretty, write_private

_PAUSE_SECONDS = 0.1
_TIMEOUT_SECONDS = 5.0
# Between two writes of the statistics while nothing but their counts changes.
_WRITE_SECONDS = 0.1
SIGNALS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM})


@dataclass
class Statistics:
    """The results of the requests. Times are seconds since the epoch, taken after the response."""

    fingerprint: str | None = None
    calls: int = 0
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    reloads: int = 0
    accepted_since_reload: int = 0
    first_refused_at: float | None = None
    last_refused_at: float | None = None
    # The first acceptance after the last refusal; null while the API refuses the token.
    accepted_after_refusal_at: float | None = None
    last_accepted_at: float | None = None
    # The longest time between two consecutive acceptances.
    longest_gap: float = 0.0

    def record(self, outcome: str, now: float) -> None:
        """Count one request."""
        self.calls += 1
        if outcome == "accepted":
            self._record_acceptance(now)
        elif outcome == "refused":
            self._record_refusal(now)
        else:
            self.failed += 1

    def _record_acceptance(self, now: float) -> None:
        self.accepted += 1
        self.accepted_since_reload += 1
        if self.last_accepted_at is not None:
            self.longest_gap = max(self.longest_gap, now - self.last_accepted_at)
        if self.last_refused_at is not None and self.accepted_after_refusal_at is None:
            self.accepted_after_refusal_at = now
        self.last_accepted_at = now

    def _record_refusal(self, now: float) -> None:
        self.refused += 1
        if self.first_refused_at is None:
            self.first_refused_at = now
        self.last_refused_at = now
        self.accepted_after_refusal_at = None


class Consumer:
    """The service. It reads a new token only at its start and when it is reloaded."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.statistics = Statistics()
        self.headers: Mapping[str, str] = {}
        self.connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_SECONDS)
        self._last_write = 0.0

    def run(self) -> None:
        """Send requests until SIGINT or SIGTERM."""
        self.load()
        write_private(self.folder / "consumer.pid", f"{os.getpid()}\n")
        while (number := self.pause()) in {None, signal.SIGHUP}:
            if number is not None:
                self.reload()
            self.request_once()
        self.write_statistics()
        self.connection.close()

    def pause(self) -> int | None:
        """Wait for the next request or for a signal; signals are accepted only here."""
        received = signal.sigtimedwait(SIGNALS, _PAUSE_SECONDS)
        return None if received is None else received.si_signo

    def load(self) -> None:
        """Read the token file."""
        values = parse_env((self.folder / "token.env").read_text(encoding="utf-8"))
        token, account = values["NOMBA_ACCESS_TOKEN"], values["NOMBA_ACCOUNT_ID"]
        self.headers = {"Authorization": f"Bearer {token}", "accountId": account}
        self.statistics.fingerprint = fingerprint(token)

    def reload(self) -> None:
        """Read the token file again. If it is invalid, continue with the current token."""
        self.statistics.reloads += 1
        self.statistics.accepted_since_reload = 0
        try:
            self.load()
        except (OSError, KeyError) as error:
            sys.stderr.write(f"consumer: invalid token file: {error}\n")
        self.write_statistics()

    def request_once(self) -> None:
        """Send one request; write the statistics, unless it is one more accepted request."""
        outcome, now = self.request(), time.time()
        self.statistics.record(outcome, now)
        is_news = outcome != "accepted" or self.statistics.accepted_since_reload == 1
        if is_news or now - self._last_write >= _WRITE_SECONDS:
            self.write_statistics()

    def request(self) -> str:
        """Send one request and return its outcome; close the connection after a failure."""
        try:
            self.connection.request("GET", "/v1/accounts/balance", headers=dict(self.headers))
            response = self.connection.getresponse()
            outcome = classify(response.status, response.read())
        except (OSError, http.client.HTTPException):
            outcome = "failed"
        if outcome == "failed":
            self.connection.close()
        return outcome

    def write_statistics(self) -> None:
        """Write the statistics, which do not contain the token."""
        write_private(self.folder / "consumer.json", pretty(asdict(self.statistics)))
        self._last_write = time.time()


def classify(status: int, body: bytes) -> str:
    """Return the outcome of a response: accepted, refused or failed."""
    if status == 401:
        return "refused"
    try:
        answer = json.loads(body)
    except ValueError:
        return "failed"
    is_success = status == 200 and isinstance(answer, dict) and answer.get("code") == "00"
    return "accepted" if is_success else "failed"


def parse_env(text: str) -> dict[str, str]:
    """Parse lines NAME=VALUE; a value may be quoted, and a comment may follow it."""
    lines = (line.strip() for line in text.splitlines())
    lines = (line.removeprefix("export ") for line in lines)
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): _unquoted(value.strip()) for name, __, value in pairs}


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return value.partition(" #")[0].rstrip()


def main() -> int:
    """Parse the command line and run the consumer."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.consumer", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the folder of token.env")
    parser.add_argument("--url", required=True, help="the simulator's http_url")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        Consumer(options.folder, urlsplit(options.url).netloc).run()
    except (OSError, KeyError) as error:
        sys.stderr.write(f"consumer: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
