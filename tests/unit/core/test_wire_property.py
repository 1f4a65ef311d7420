# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No fault on the wire makes a live token count as verified.

Real connections to the simulator, which sends interim, duplicate, unsolicited and truncated
answers and answers of proxies, at any request and after any delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._http_session import Connection
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    Policy,
    Proof,
    Result,
    Revocation,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import read
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport
from tests.simulator.control_client import ControlClient
from tests.simulator.settings import OTHER_ACCOUNT_ID
from tests.unit.clock import FastClock

pytestmark = pytest.mark.pure

PROXY = {"WWW-Authenticate": 'Basic realm="corporate proxy"'}
REFUSAL = '{"code":"401","description":"Unauthorized"}'
SUCCESS = '{"code":"00","description":"Success"}'
FORMS = ("envelope", "envelope_200", "empty", "message", "html")

Fault = Mapping[str, Any]

delays = st.sampled_from([0.0, 0.0, 0.005, 0.02])


def faults() -> st.SearchStrategy[Fault]:
    """Return a strategy for one fault of a script: its kind and its requests."""
    where = {
        "on": st.sampled_from(["balance", "balance", "revoke", "any"]),
        "skip": st.integers(0, 6),
        "times": st.sampled_from([1, 1, 2, 5, 0]),
    }

    def kind(name: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[Fault]:
        return st.fixed_dictionaries({"kind": st.just(name), **where, **parameters})

    bodies = st.sampled_from([REFUSAL, SUCCESS, ""])
    unsolicited = {"status": st.sampled_from([200, 401]), "body": bodies, "delay": delays}
    proxies = st.sampled_from(["", "{}", '{"message":"Unauthorized"}', '{"code":"00"}', "<html>"])
    return st.one_of(
        kind("interim", status=st.sampled_from([100, 102, 103]), delay=delays),
        kind("duplicate", delay=delays),
        kind("unsolicited", when=st.sampled_from(["before", "after"]), **unsolicited),
        st.fixed_dictionaries(
            {"kind": st.just("unsolicited"), **where, **unsolicited, "on": st.just("connect")}
        ),
        kind("answer", status=st.just(401), body=proxies, headers=st.sampled_from([{}, PROXY])),
        kind("truncated", effect=st.booleans()),
        kind("lost_answer"),
        kind("slow", delay=st.sampled_from([0.02, 0.2]), times=st.just(2)),
    )


def revoke(
    simulator: ControlClient, texts: list[str], workers: int, proof: Proof, timeout: float
) -> list[Result]:
    """Return the results of a run over real connections, with a clock that never sleeps."""
    clock = FastClock().as_clock()
    connection = Connection(simulator.http_url, True, True, None, timeout=timeout, deadline=600.0)
    transport = HttpTransport(connection, clock)
    try:
        client = Client(transport, simulator.account_id, simulator.client_id)
        policy = Policy(simulator.account_id, proof=proof, concurrency=workers)
        run = Revocation(client, clock, transport.remaining, policy)
        return list(run.run([read(text) for text in texts]).results)
    finally:
        transport.close()


@dataclass(frozen=True)
class Run:
    """The input of a run and the fault script of the server."""

    script: list[Fault]
    tokens: int
    workers: int
    form: str = "envelope"
    effective: bool = False
    proof: Proof = Proof.REQUIRED
    latency: float = 0.0


runs = st.builds(
    Run,
    script=st.lists(faults(), min_size=1, max_size=4),
    tokens=st.integers(1, 5),
    workers=st.sampled_from([1, 2, 4, 16]),
    form=st.sampled_from(FORMS),
    effective=st.sampled_from([True, True, False]),
    proof=st.sampled_from(list(Proof)),
    latency=st.sampled_from([0.0, 0.01]),
)


@settings(max_examples=25)
@given(runs)
# First regression: a single interim answer.
@example(Run([{"on": "any", "kind": "interim", "status": 102}], 5, 1))
@example(Run([{"on": "revoke", "kind": "interim", "times": 0}], 8, 4))
# A duplicate answer while the next request waits for its own.
@example(Run([{"on": "any", "kind": "duplicate", "delay": 0.004, "times": 0}], 3, 1, latency=0.02))
def test_live_token_is_never_verified(simulator_server: ControlClient, run: Run) -> None:
    simulator = simulator_server
    simulator.reset(refusal_form=run.form)
    # Expired for the server, live by its claims.
    dead = [simulator.mint(lifetime=1, age=60, claims={"exp": 4_000_000_000}) for __ in range(2)]
    texts = [
        dead[0],
        *simulator.mint_many(run.tokens),
        dead[1],
        simulator.mint(account_id=OTHER_ACCOUNT_ID),
    ]
    simulator.configure(revoke_effective=run.effective, latency=run.latency)
    for fault in run.script:
        simulator.fault(**fault)
    results = revoke(simulator, texts, run.workers, run.proof, timeout=0.1)
    verified = {result.token.fingerprint for result in results if result.verified}
    assert verified & set(simulator.live()) == set()
    assert [result.token.text for result in results] == texts


@pytest.mark.parametrize("form", FORMS)
def test_every_refusal_form_is_proof_without_faults(simulator: ControlClient, form: str) -> None:
    simulator.configure(refusal_form=form)
    texts = [simulator.mint() for __ in range(3)]
    results = revoke(simulator, texts, 1, Proof.REQUIRED, timeout=10.0)
    assert [(result.outcome.value, result.verified) for result in results] == [
        ("revoked", True)
    ] * 3
    assert simulator.live() == []
