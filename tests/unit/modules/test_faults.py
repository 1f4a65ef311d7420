# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every scripted fault, on the probe before, on the revoke and on the probe after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _transport
from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke
from tests.simulator.faults import KINDS
from tests.simulator.tokens import fingerprint

from .harness import Revoke
from .seeing import ticking


@dataclass(frozen=True)
class Kind:
    """A fault, and what the house makes of such an answer.

    genuine: the real answer. again: to be retried. refusal: the token is not taken. no: a clear
    no, about the request and not about the token. silent: an answer that says nothing.
    """

    means: str
    name: str
    how: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What the run comes to, and what the simulator sees of it (at least, at most)."""

    outcome: str
    verified: bool
    posts: tuple[int, int]
    probes: tuple[int, int]


FAULTS: dict[str, Kind] = {
    "slow": Kind("genuine", "slow", {"delay": 0.02}),
    "date": Kind("genuine", "date", {"offset": 200}),
    "no date": Kind("genuine", "no_date"),
    "429": Kind("again", "rate_limited"),
    "429 with Retry-After": Kind("again", "rate_limited", {"retry_after": 20}),
    "502": Kind("again", "status", {"status": 502}),
    "503": Kind("again", "status", {"status": 503}),
    "504": Kind("again", "status", {"status": 504}),
    "502 of a proxy": Kind("again", "html"),
    "reset": Kind("again", "reset"),
    "truncated": Kind("again", "truncated"),
    "stalled": Kind("again", "stalled"),
    "endless": Kind("again", "endless", {"interval": 0.001}),
    "401": Kind("refusal", "status", {"status": 401}),
    "code 401": Kind("refusal", "code", {"code": "401"}),
    "400": Kind("no", "status", {"status": 400}),
    "403": Kind("no", "status", {"status": 403}),
    "404": Kind("no", "status", {"status": 404}),
    "422": Kind("no", "status", {"status": 422}),
    "code 400": Kind("no", "code"),
    "code 01": Kind("no", "code", {"code": "01"}),
    "echo": Kind("no", "echo"),
    "500": Kind("silent", "status", {"status": 500}),
    "501": Kind("silent", "status", {"status": 501}),
    "redirect": Kind("silent", "redirect"),
    "redirect 302": Kind("silent", "redirect", {"status": 302}),
    "too large": Kind("silent", "too_large", {"size": 5000}),
    "no code": Kind("silent", "no_code"),
    "empty": Kind("silent", "empty"),
    "not JSON": Kind("silent", "not_json"),
    "not an object": Kind("silent", "not_object"),
    "200 of a proxy": Kind("silent", "html", {"status": 200}),
    "403 of a proxy": Kind("silent", "html", {"status": 403}),
}
MANY = 20

# From the table of outcomes in the house's design. The probes are those of the token itself.
PROBE_BEFORE = {
    "genuine": Wanted("revoked", True, (1, 1), (2, 2)),
    "again": Wanted("revoked", True, (1, 1), (3, 3)),
    "refusal": Wanted("already_revoked", True, (0, 0), (1, 1)),
    "no": Wanted("revoked", True, (1, 1), (2, 2)),
    "silent": Wanted("revoked", True, (1, 1), (2, 2)),
}
EVERY_PROBE = {
    "genuine": Wanted("revoked", True, (1, 1), (2, 2)),
    "again": Wanted("revoked", False, (1, 1), (4, 2 * MANY)),
    "refusal": Wanted("already_revoked", True, (0, 0), (1, 1)),
    "no": Wanted("revoked", False, (1, 1), (2, 2)),
    "silent": Wanted("revoked", False, (1, 1), (2, 2)),
}
REVOKE = {
    "genuine": Wanted("revoked", True, (1, 1), (2, 2)),
    "again": Wanted("revoked", True, (2, 2), (2, 2)),
    "refusal": Wanted("refused", False, (1, 1), (2, 2)),
    "no": Wanted("refused", False, (1, 1), (2, 2)),
    "silent": Wanted("unknown", False, (1, 1), (2, MANY)),
}
EVERY_REVOKE = {**REVOKE, "again": Wanted("unknown", False, (2, MANY), (2, MANY))}
PROBE_AFTER = {
    "genuine": Wanted("revoked", True, (1, 1), (2, 2)),
    "again": Wanted("revoked", True, (1, 1), (3, 3)),
    "refusal": Wanted("revoked", True, (1, 1), (2, 2)),
    "no": Wanted("revoked", True, (1, 1), (3, 3)),
    "silent": Wanted("revoked", True, (1, 1), (3, 3)),
}
EVERY_PROBE_AFTER = {
    "genuine": Wanted("revoked", True, (1, 1), (2, 2)),
    "again": Wanted("revoked", False, (1, 1), (3, 2 * MANY)),
    "refusal": Wanted("revoked", True, (1, 1), (2, 2)),
    "no": Wanted("revoked", False, (1, 1), (3, MANY)),
    "silent": Wanted("revoked", False, (1, 1), (3, MANY)),
}
PLACES: dict[str, tuple[Mapping[str, Any], Mapping[str, Wanted]]] = {
    "probe before": ({"on": "balance"}, PROBE_BEFORE),
    "every probe": ({"on": "balance", "times": 0}, EVERY_PROBE),
    "revoke": ({"on": "revoke"}, REVOKE),
    "every revoke": ({"on": "revoke", "times": 0}, EVERY_REVOKE),
    "probe after": ({"on": "balance", "skip": 1}, PROBE_AFTER),
    "every probe after": ({"on": "balance", "skip": 1, "times": 0}, EVERY_PROBE_AFTER),
}


def test_every_kind_of_fault_is_in_the_table() -> None:
    tabled = {kind.name for kind in FAULTS.values()}
    assert tabled == set(KINDS) - {"lost_answer"}  # the one with an effect: see below


@pytest.mark.parametrize(("place", "wanted"), PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_comes_to_what_the_house_says(
    revoke: Revoke, kind: Kind, place: Mapping[str, Any], wanted: Mapping[str, Wanted]
) -> None:
    token = revoke.simulator.mint()
    fault = {"kind": kind.name, "fingerprint": fingerprint(token), **kind.how, **place}
    revoke.simulator.fault(**fault)
    told = revoke(token, **_patience(revoke, kind))
    want = wanted[kind.means]
    assert (told.row["outcome"], told.row["verified"]) == (want.outcome, want.verified)
    assert told.result.get("error", {}).get("code") == _code(want)
    posts = revoke.simulator.requests("revoke", fingerprint(token))
    probes = revoke.simulator.requests("balance", fingerprint(token))
    assert want.posts[0] <= len(posts) <= want.posts[1]
    assert want.probes[0] <= len(probes) <= want.probes[1]
    assert revoke.simulator.accepts(token) is (want.outcome != "revoked")
    assert "Traceback" not in told.output


def _patience(revoke: Revoke, kind: Kind) -> dict[str, Any]:
    """Make what takes long short: fewer tries, a smaller bound, a clock that goes by itself."""
    if kind.name == "too_large":
        revoke.monkeypatch.setattr(_transport, "MAX_BODY", 4096)
    if kind.name in ("endless", "stalled"):
        revoke.monkeypatch.setattr(_transport, "MAX_TRIES", 2)
    if kind.name == "endless":
        revoke.monkeypatch.setattr(nomba_token_revoke, "SYSTEM", ticking(revoke.clock, 0.25))
        return {"timeout": 40, "deadline": 2000}
    return {"timeout": 0.5, "deadline": 5} if kind.name == "stalled" else {}


def _code(want: Wanted) -> str | None:
    return want.outcome if want.outcome in ("refused", "unknown") else None
