# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault script: which request a fault applies to, and its answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.faults import KINDS, Delivery, FaultError, Script, faulty_delivery, from_json
from tests.simulator.rules import Call, Reply
from tests.unit.tables import each_row

CALL = Call("POST", "/v1/auth/token/revoke", authorization="Bearer a.b.c", body={"x": "y"})
# The kinds whose status has no default.
WITH_STATUS = ("status", "answer")
REAL = Reply(200, {"code": "00", "description": "Token revoked successfully"})


def script(*lines: dict[str, Any]) -> Script:
    """Return a script of these faults."""
    made = Script()
    made.add(from_json([{"on": "any", "kind": "reset", **line} for line in lines]))
    return made


def fired(made: Script, *operations: str, fingerprint: str | None = None) -> list[str | None]:
    """Return the kinds of fault of these requests, in order."""
    drawn = [made.next_fault(one, fingerprint) for one in operations]
    return [fault.kind if fault else None for fault in drawn]


def delivered(kind: str, reply: Reply | None = None, **parameters: object) -> Delivery:
    """Return the delivery of an answer with a fault."""
    extra = {"status": 503} if kind in WITH_STATUS else {}
    (fault,) = from_json({"on": "any", "kind": kind, **extra, **parameters})
    return faulty_delivery(fault, CALL, reply)


def test_fault_fires_once_by_default() -> None:
    assert fired(script({}), "issue", "issue") == ["reset", None]


def test_fault_can_be_permanent() -> None:
    assert fired(script({"times": 0}), *["issue"] * 3) == ["reset"] * 3


def test_fault_can_skip_requests() -> None:
    made = script({"skip": 2, "times": 1})

    assert fired(made, *["issue"] * 4) == [None, None, "reset", None]


def test_fault_is_limited_to_its_operation() -> None:
    made = script({"on": "revoke"})

    assert fired(made, "issue", "balance", "revoke") == [None, None, "reset"]


def test_fault_can_be_limited_to_one_token() -> None:
    made = script({"fingerprint": "sha256:1111222233334444"})

    assert fired(made, "revoke", fingerprint="sha256:0000000000000000") == [None]
    assert fired(made, "revoke", fingerprint="sha256:1111222233334444") == ["reset"]


def test_faults_fire_in_order() -> None:
    made = script({"kind": "reset"}, {"kind": "empty", "times": 2})

    assert fired(made, *["issue"] * 4) == ["reset", "empty", "empty", None]


def test_faulty_request_does_not_count_as_skipped_by_next_fault() -> None:
    made = script({"kind": "reset"}, {"kind": "empty", "skip": 1})

    assert fired(made, *["issue"] * 3) == ["reset", None, "empty"]


def test_script_describes_its_progress() -> None:
    made = script({"times": 2})
    fired(made, "issue")

    assert made.describe() == [{"on": "any", "kind": "reset", "fired": 1, "spent": False}]


def test_cleared_script_fires_no_fault() -> None:
    made = script({"times": 0})
    made.clear()

    assert fired(made, "issue") == [None]


@each_row(
    ("line", "message"),
    [
        ({"kind": "earthquake"}, "kind must be one of"),
        ({"on": "login"}, "on must be one of"),
        ({"times": -1}, "times must be a whole number"),
        ({"skip": True}, "skip must be a whole number"),
        ({"color": "blue"}, "reset has no parameter: color"),
        ({"kind": "status"}, "status needs status, a number"),
        ({"kind": "status", "status": 99}, "a status from 200 to 599"),
        ({"kind": "slow", "delay": "long"}, "slow needs delay, a number"),
        ({"kind": "slow", "delay": -1}, "delay must not be negative"),
        ({"fingerprint": "abc"}, "fingerprint must be"),
        ({"effect": "yes"}, "effect must be true or false"),
        ({"kind": "lost_answer", "effect": False}, "requires the effect"),
        ({"headers": []}, "headers must be an object"),
        ({"kind": "interim", "status": 200}, "a status from 100 to 199"),
        ({"kind": "endless_interim", "status": 99}, "a status from 100 to 199"),
        ({"kind": "unsolicited", "status": 103}, "a status from 200 to 599"),
        ({"kind": "interim", "count": 1.5}, "count must be a whole number"),
        ({"kind": "interim", "count": -1}, "count must not be negative"),
        ({"kind": "duplicate", "effect": False}, "requires the effect"),
        ({"kind": "unsolicited", "when": "never"}, "when must be one of: after, before"),
        ({"kind": "unsolicited", "body": {}}, "unsolicited needs body, a string"),
        ({"kind": "answer"}, "answer needs status, a number"),
        ({"kind": "answer", "status": 200, "content_type": None}, "content_type, a string"),
        ({"on": "connect"}, "with on: connect, kind must be unsolicited"),
        (
            {"on": "connect", "kind": "unsolicited", "when": "before"},
            "are not valid: when",
        ),
    ],
)
def test_invalid_fault_is_rejected_with_message(line: dict[str, Any], message: str) -> None:
    with pytest.raises(FaultError, match=message):
        script(line)


@each_row("document", ["reset", ["reset"]])
def test_script_other_than_objects_is_rejected(document: object) -> None:
    with pytest.raises(FaultError, match="object"):
        from_json(document)


@each_row("kind", KINDS)
def test_effects_are_as_documented(kind: str) -> None:
    extra = {"status": 500} if kind in WITH_STATUS else {}
    (fault,) = from_json({"on": "any", "kind": kind, **extra})

    effective = {"lost_answer", "slow", "date", "no_date", "interim", "duplicate", "unsolicited"}
    assert fault.effect == (kind in effective)


@each_row("kind", KINDS)
def test_any_kind_can_follow_effect(kind: str) -> None:
    extra = {"status": 500} if kind in WITH_STATUS else {}
    (fault,) = from_json({"on": "any", "kind": kind, "effect": True, **extra})

    assert fault.effect


def test_retry_after_is_sent_only_if_given() -> None:
    assert delivered("rate_limited").headers == ()
    assert delivered("rate_limited", retry_after=3).headers == (("Retry-After", "3"),)


def test_headers_can_be_added_to_any_kind() -> None:
    assert ("X-Odd", "1") in delivered("html", headers={"X-Odd": 1}).headers


@each_row(
    ("kind", "status", "body"),
    [
        ("rate_limited", 429, {"code": "429", "data": None}),
        ("status", 503, {"code": "503"}),
        ("code", 200, {"code": "400", "status": False}),
        ("redirect", 307, {"code": "307"}),
        ("no_code", 200, {"results": []}),
    ],
)
def test_json_faults_keep_envelope(kind: str, status: int, body: dict[str, object]) -> None:
    delivery = delivered(kind)

    assert delivery.status == status
    assert json.loads(delivery.body).items() >= body.items()


def test_echo_returns_whole_request() -> None:
    description = json.loads(delivered("echo").body)["description"]

    assert '{"x": "y"}' in description
    assert "Bearer a.b.c" in description


def test_slow_answer_is_unchanged() -> None:
    assert json.loads(delivered("slow", REAL).body) == REAL.body


def test_truncated_answer_is_unchanged_after_effect() -> None:
    delivery = delivered("truncated", REAL, effect=True)

    assert delivery.mode == "cut"
    assert json.loads(delivery.body) == REAL.body


def test_stalled_answer_is_partial() -> None:
    delivery = delivered("stalled", REAL, effect=True)

    assert delivery.mode == "stall"
    assert 0 < len(delivery.body) < len(json.dumps(REAL.body))
