# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every scripted fault, on the probe before, on the revoke and on the probe after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _http_connection, _transport
from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke
from tests.simulator.faults import KINDS
from tests.simulator.tokens import fingerprint

from .harness import Revoke
from .request_log import ticking

pytestmark = pytest.mark.newest


@dataclass(frozen=True)
class FaultKind:
    """A fault, and what such an answer means.

    genuine: the real answer. retryable: to be retried. refusal: the API's documented refusal of a
    token. rejection: it rejects the request, which is no evidence of the token. inconclusive:
    everything else, which may come from another server.
    """

    means: str
    name: str
    how: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Expected:
    """The outcome, and what the simulator sees (at least, at most); alive: it accepts the token."""

    outcome: str
    verified: bool
    posts: tuple[int, int]
    probes: tuple[int, int]
    alive: bool = False


FAULTS: dict[str, FaultKind] = {
    "slow": FaultKind("genuine", "slow", {"delay": 0.02}),
    "date": FaultKind("genuine", "date", {"offset": 200}),
    "no date": FaultKind("genuine", "no_date"),
    "429": FaultKind("retryable", "rate_limited"),
    "429 with Retry-After": FaultKind("retryable", "rate_limited", {"retry_after": 20}),
    "502": FaultKind("retryable", "status", {"status": 502}),
    "503": FaultKind("retryable", "status", {"status": 503}),
    "504": FaultKind("retryable", "status", {"status": 504}),
    "502 of a proxy": FaultKind("retryable", "html"),
    "reset": FaultKind("retryable", "reset"),
    "truncated": FaultKind("retryable", "truncated"),
    "stalled": FaultKind("retryable", "stalled"),
    "endless": FaultKind("retryable", "endless", {"interval": 0.001}),
    "401": FaultKind("refusal", "status", {"status": 401}),
    "code 401": FaultKind("refusal", "code", {"code": "401"}),
    "400": FaultKind("rejection", "status", {"status": 400}),
    "403": FaultKind("rejection", "status", {"status": 403}),
    "404": FaultKind("rejection", "status", {"status": 404}),
    "422": FaultKind("rejection", "status", {"status": 422}),
    "code 400": FaultKind("rejection", "code"),
    "code 01": FaultKind("rejection", "code", {"code": "01"}),
    "echo": FaultKind("rejection", "echo"),
    "500": FaultKind("inconclusive", "status", {"status": 500}),
    "501": FaultKind("inconclusive", "status", {"status": 501}),
    "redirect": FaultKind("inconclusive", "redirect"),
    "redirect 302": FaultKind("inconclusive", "redirect", {"status": 302}),
    "too large": FaultKind("inconclusive", "too_large", {"size": 5000}),
    "no code": FaultKind("inconclusive", "no_code"),
    "empty": FaultKind("inconclusive", "empty"),
    "not JSON": FaultKind("inconclusive", "not_json"),
    "not an object": FaultKind("inconclusive", "not_object"),
    "200 of a proxy": FaultKind("inconclusive", "html", {"status": 200}),
    "empty 401": FaultKind("inconclusive", "answer", {"status": 401}),
    "401 of a gateway": FaultKind(
        "rejection", "answer", {"status": 401, "body": '{"message": "No"}'}
    ),
    "401 with code 00": FaultKind("rejection", "answer", {"status": 401, "body": '{"code": "00"}'}),
    "interim": FaultKind("genuine", "interim"),
    "endless interim": FaultKind("retryable", "endless_interim", {"interval": 0.001}),
    "endless trailers": FaultKind("retryable", "endless_trailers", {"interval": 0.001}),
    "slow headers": FaultKind("retryable", "slow_headers", {"interval": 0.001}),
    "endless chunk": FaultKind("retryable", "endless_chunk", {"interval": 0.001}),
    "401 of a proxy": FaultKind("inconclusive", "html", {"status": 401}),
    "403 of a proxy": FaultKind("inconclusive", "html", {"status": 403}),
}
OF_THE_CONNECTION = ("reset", "truncated", "stalled", "slow", "interim", "too_large")
ENDLESS = ("endless", "endless_interim", "endless_trailers", "slow_headers", "endless_chunk")
MANY = 20

# The probes are those of the token itself: a refusal in the first one is read again. A server
# that always rejects a live token in the envelope of the API is the same as the API.
PROBE_BEFORE = {
    "genuine": Expected("revoked", True, (1, 1), (2, 2)),
    "retryable": Expected("revoked", True, (1, 1), (3, 3)),
    "refusal": Expected("revoked", True, (1, 1), (3, 3)),
    "rejection": Expected("revoked", True, (1, 1), (2, 2)),
    "inconclusive": Expected("revoked", True, (1, 1), (2, 2)),
}
EVERY_PROBE = {
    "genuine": Expected("revoked", True, (1, 1), (2, 2)),
    "retryable": Expected("unknown", False, (1, 1), (4, 2 * MANY)),
    "refusal": Expected("already_revoked", True, (0, 0), (2, 2), alive=True),
    "rejection": Expected("unknown", False, (1, 1), (2, 2)),
    "inconclusive": Expected("unknown", False, (1, 1), (2, 2)),
}
REVOKE = {
    "genuine": Expected("revoked", True, (1, 1), (2, 2)),
    "retryable": Expected("revoked", True, (2, 2), (2, 2)),
    "refusal": Expected("refused", False, (1, 1), (2, 2), alive=True),
    "rejection": Expected("refused", False, (1, 1), (2, 2), alive=True),
    "inconclusive": Expected("unknown", False, (1, 1), (2, MANY), alive=True),
}
EVERY_REVOKE = {
    **REVOKE,
    "retryable": Expected("unknown", False, (2, MANY), (2, MANY), alive=True),
}
PROBE_AFTER = {
    "genuine": Expected("revoked", True, (1, 1), (2, 2)),
    "retryable": Expected("revoked", True, (1, 1), (3, 3)),
    "refusal": Expected("revoked", True, (1, 1), (2, 2)),
    "rejection": Expected("revoked", True, (1, 1), (3, 3)),
    "inconclusive": Expected("revoked", True, (1, 1), (3, 3)),
}
EVERY_PROBE_AFTER = {
    "genuine": Expected("revoked", True, (1, 1), (2, 2)),
    "retryable": Expected("unknown", False, (1, 1), (3, 2 * MANY)),
    "refusal": Expected("revoked", True, (1, 1), (2, 2)),
    "rejection": Expected("unknown", False, (1, 1), (3, MANY)),
    "inconclusive": Expected("unknown", False, (1, 1), (3, MANY)),
}
PLACES: dict[str, tuple[Mapping[str, Any], Mapping[str, Expected]]] = {
    "probe before": ({"on": "balance"}, PROBE_BEFORE),
    "every probe": ({"on": "balance", "times": 0}, EVERY_PROBE),
    "revoke": ({"on": "revoke"}, REVOKE),
    "every revoke": ({"on": "revoke", "times": 0}, EVERY_REVOKE),
    "probe after": ({"on": "balance", "skip": 1}, PROBE_AFTER),
    "every probe after": ({"on": "balance", "skip": 1, "times": 0}, EVERY_PROBE_AFTER),
}


def test_every_kind_of_fault_is_in_the_table() -> None:
    tabled = {kind.name for kind in FAULTS.values()}
    # Other tests have the fault with an effect, and those that depend on the order of bytes.
    assert tabled == set(KINDS) - {"lost_answer", "duplicate", "unsolicited"}


@pytest.mark.parametrize(("place", "expected"), PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS.keys())
def test_fault_leads_to_the_documented_outcome(
    revoke: Revoke, kind: FaultKind, place: Mapping[str, Any], expected: Mapping[str, Expected]
) -> None:
    token = revoke.simulator.mint()
    fault = {"kind": kind.name, "fingerprint": fingerprint(token), **kind.how, **place}
    revoke.simulator.fault(**fault)
    returned = revoke(token, **_limits(revoke, kind))
    expected_row = expected[kind.means]
    assert (returned.row["outcome"], returned.row["verified"]) == (
        expected_row.outcome,
        expected_row.verified,
    )
    assert returned.result.get("error", {}).get("code") == _error_code(expected_row)
    posts = revoke.simulator.requests("revoke", fingerprint(token))
    probes = revoke.simulator.requests("balance", fingerprint(token))
    assert expected_row.posts[0] <= len(posts) <= expected_row.posts[1]
    assert expected_row.probes[0] <= len(probes) <= expected_row.probes[1]
    assert revoke.simulator.accepts(token) is expected_row.alive
    assert "Traceback" not in returned.output


def _limits(revoke: Revoke, kind: FaultKind) -> dict[str, Any]:
    """Return options that make a long case short: fewer tries, a smaller bound, a faster clock.

    Faults of the connection use TLS. A complete answer is the same without it, at half the cost.
    """
    if kind.name == "too_large":
        revoke.monkeypatch.setattr(_http_connection, "MAX_BODY", 4096)
    if kind.name in (*ENDLESS, "stalled"):
        revoke.monkeypatch.setattr(_transport, "MAX_TRIES", 2)
    if kind.name in ENDLESS:
        revoke.monkeypatch.setattr(nomba_token_revoke, "SYSTEM", ticking(revoke.clock, 0.25))
        return {"timeout": 40, "deadline": 2000}
    if kind.name == "stalled":
        return {"timeout": 0.5, "deadline": 5}
    return {} if kind.name in OF_THE_CONNECTION else {"api_url": revoke.simulator.http_url}


def _error_code(expected_row: Expected) -> str | None:
    return expected_row.outcome if expected_row.outcome in ("refused", "unknown") else None
