# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking the API whether it takes a token, and what its answers mean.

No network and no clock of its own: the client and the clock come in as arguments.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from ansible_collections.nomba.auth.plugins.module_utils._answer import Reading, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._token import Token, bogus


class Probe(Enum):
    """What the API made of a token on a harmless call."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"
    OMITTED = "omitted"


@dataclass(frozen=True)
class Look:
    """What a probe of one token showed: accepted, refused, inconclusive or meaningless."""

    probe: str
    reason: str


def read_probe(reading: Reading) -> Probe:
    """What a probe's answer means for the token."""
    if reading.refuses_token:
        return Probe.REFUSED
    return Probe.ACCEPTED if reading.verdict is Verdict.YES else Probe.INCONCLUSIVE


class Control:
    """The negative control: does this host refuse a token that nobody issued? Asked once a run."""

    def __init__(self, client: Client, clock: Clock, account_id: str) -> None:
        self._client = client
        self._clock = clock
        self._account_id = account_id
        self._lock = threading.Lock()
        self._asked = False
        self.checks_tokens = True

    def ask(self) -> bool:
        """False when the host takes any token, so that its probes prove nothing."""
        with self._lock:
            if not self._asked:
                self._asked = True
                token = bogus(self._account_id, self._clock.now())
                self.checks_tokens = read_probe(self._client.probe(token)) is not Probe.ACCEPTED
            return self.checks_tokens


def look_at(
    tokens: Sequence[Token], client: Client, clock: Clock, account_id: str, workers: int
) -> list[Look]:
    """Probe tokens, a few at a time, and say of each what that showed. Raises LibraryMissing."""
    control = Control(client, clock, account_id)

    def look(token: Token) -> Look:
        if not token.well_formed:
            return Look(Probe.INCONCLUSIVE.value, "it is not a whole JWT, so it was not sent")
        reading = client.probe(token.text)
        return judge(read_probe(reading), reading, token.belongs_to(account_id), control.ask)

    if not tokens:
        return []
    with ThreadPoolExecutor(min(workers, len(tokens))) as pool:
        return list(pool.map(look, tokens))


def judge(
    probe: Probe, reading: Reading, names_account: bool, checks_tokens: Callable[[], bool]
) -> Look:
    """What one probe shows, given what else is known."""
    if probe is Probe.REFUSED and not names_account:
        reason = f"{reading.problem}, which may be about account_id: the token names another"
        return Look(Probe.INCONCLUSIVE.value, reason)
    if probe is Probe.ACCEPTED and not checks_tokens():
        return Look("meaningless", "this host accepts any token")
    return Look(probe.value, reading.problem)
