# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.testbed.consumer: a service that lives on its token, and counts how it fares."""

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

_PAUSE_SECONDS = 0.025
_PATIENCE_SECONDS = 5.0
_SIGNALS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM})


@dataclass
class Tally:
    """How the calls went. Moments are seconds since the epoch, taken when the answer was there."""

    fingerprint: str | None = None
    calls: int = 0
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    reloads: int = 0
    accepted_since_reload: int = 0
    first_refused_at: float | None = None
    last_refused_at: float | None = None
    # The first acceptance after the last refusal; null while the last word is a refusal.
    accepted_after_refusal_at: float | None = None
    last_accepted_at: float | None = None
    # The longest time between two acceptances with none between them.
    longest_gap: float = 0.0

    def note(self, outcome: str, now: float) -> None:
        """Count one call."""
        self.calls += 1
        if outcome == "accepted":
            self._note_acceptance(now)
        elif outcome == "refused":
            self._note_refusal(now)
        else:
            self.failed += 1

    def _note_acceptance(self, now: float) -> None:
        self.accepted += 1
        self.accepted_since_reload += 1
        if self.last_accepted_at is not None:
            self.longest_gap = max(self.longest_gap, now - self.last_accepted_at)
        if self.last_refused_at is not None and self.accepted_after_refusal_at is None:
            self.accepted_after_refusal_at = now
        self.last_accepted_at = now

    def _note_refusal(self, now: float) -> None:
        self.refused += 1
        if self.first_refused_at is None:
            self.first_refused_at = now
        self.last_refused_at = now
        self.accepted_after_refusal_at = None


class Consumer:
    """The service. It reads a new token only when it is reloaded, as real ones do."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.tally = Tally()
        self.headers: Mapping[str, str] = {}
        self.connection = http.client.HTTPConnection(address, timeout=_PATIENCE_SECONDS)

    def run(self) -> None:
        """Call until a signal says that it is enough."""
        self.load()
        write_private(self.folder / "consumer.pid", f"{os.getpid()}\n")
        while (number := self.pause()) in {None, signal.SIGHUP}:
            if number is not None:
                self.reload()
            self.tally.note(self.call(), time.time())
            self.tell()
        self.connection.close()

    def pause(self) -> int | None:
        """Wait for the next call or for a signal; signals come in here and nowhere else."""
        taken = signal.sigtimedwait(_SIGNALS, _PAUSE_SECONDS)
        return None if taken is None else taken.si_signo

    def load(self) -> None:
        """Read the token file."""
        values = parse_env((self.folder / "token.env").read_text(encoding="utf-8"))
        token, account = values["NOMBA_ACCESS_TOKEN"], values["NOMBA_ACCOUNT_ID"]
        self.headers = {"Authorization": f"Bearer {token}", "accountId": account}
        self.tally.fingerprint = fingerprint(token)

    def reload(self) -> None:
        """Read it again. A file that is not good leaves the service with what it has."""
        self.tally.reloads += 1
        self.tally.accepted_since_reload = 0
        try:
            self.load()
        except (OSError, KeyError) as problem:
            sys.stderr.write(f"consumer: the token file cannot be used: {problem}\n")
        self.tell()

    def call(self) -> str:
        """One call; a connection that is no good is opened anew for the next."""
        try:
            self.connection.request("GET", "/v1/accounts/balance", headers=dict(self.headers))
            answer = self.connection.getresponse()
            outcome = judge(answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            outcome = "failed"
        if outcome == "failed":
            self.connection.close()
        return outcome

    def tell(self) -> None:
        """Write its counters. They do not hold the token."""
        write_private(self.folder / "consumer.json", pretty(asdict(self.tally)))


def judge(status: int, body: bytes) -> str:
    """What an answer means for the service."""
    if status == 401:
        return "refused"
    try:
        answer = json.loads(body)
    except ValueError:
        return "failed"
    is_good = status == 200 and isinstance(answer, dict) and answer.get("code") == "00"
    return "accepted" if is_good else "failed"


def parse_env(text: str) -> dict[str, str]:
    """The lines NAME=VALUE of a file; a value may be in quotation marks."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, __, value in pairs}


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.consumer", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where token.env lies")
    parser.add_argument("--url", required=True, help="the simulator's http_url")
    given = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        Consumer(given.folder, urlsplit(given.url).netloc).run()
    except (OSError, KeyError) as problem:
        sys.stderr.write(f"consumer: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
