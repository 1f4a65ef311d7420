# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server whose answer never ends: the run ends at its deadline with a result per token."""

from __future__ import annotations

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._http_session import Connection
from ansible_collections.nomba.auth.plugins.module_utils._revocation import Policy, Revocation
from ansible_collections.nomba.auth.plugins.module_utils._token import read
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport
from tests.simulator.control_client import ControlClient

pytestmark = pytest.mark.pure

ENDLESS = ("slow_headers", "endless_interim", "endless_chunk", "endless_trailers", "endless")
# Far above the deadline plus one attempt; without limits the run would never end.
UPPER_BOUND = 20.0


@pytest.mark.parametrize(
    ("timeout", "tls"), [(0.1, False), (60.0, True)], ids=["timeout", "deadline, over TLS"]
)
@pytest.mark.parametrize("kind", ENDLESS)
def test_run_ends_at_deadline_with_endless_answer(
    simulator: ControlClient, kind: str, timeout: float, tls: bool
) -> None:
    simulator.fault("any", kind, times=0, interval=0.02)
    texts = simulator.mint_many(3)
    url = simulator.url if tls else simulator.http_url
    connection = Connection(url, not tls, True, simulator.ca_path, timeout=timeout, deadline=0.4)
    transport = HttpTransport(connection, SYSTEM)
    client = Client(transport, simulator.account_id, simulator.client_id)
    began = SYSTEM.monotonic()
    run = Revocation(client, SYSTEM, transport.remaining, Policy(simulator.account_id))
    results = run.run([read(text) for text in texts]).results
    transport.close()
    assert SYSTEM.monotonic() - began < UPPER_BOUND
    assert [result.token.text for result in results] == texts
    assert all(result.outcome.failed and not result.verified for result in results)
    assert len(simulator.live()) == 3
