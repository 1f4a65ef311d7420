# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a rotation: its verdict and every sentence, one row for each situation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _rotation as rotation
from ansible_collections.nomba.auth.plugins.module_utils._rotation import NO_EVIDENCE, Inspection
from ansible_collections.nomba.auth.plugins.module_utils._rotation_report import (
    Findings,
    RotationReport,
    report,
    revocation_verdict,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import State
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from tests.unit.clock import NOW
from tests.unit.tables import each_row

from .rotation_factory import (
    FOREIGN,
    HOSTS,
    MARKS,
    NEW,
    OLD,
    OLDEST,
    actor,
    begun,
    emergency,
    emergency_rotation,
    evidence,
    failed_rotation,
    held,
    options,
    promoted,
    publishing,
    recorded,
    returning,
    row,
    using,
    whole_rotation,
)

pytestmark = pytest.mark.pure

COMMAND = "ansible-playbook site.yml, with the same variables"
NEXT = f"Next: {COMMAND}"
IN_SERVICE = State(held(OLD), hosts={name: using(OLD) for name in HOSTS})
SICK = "Run the health check: HTTP 503"


@dataclass(frozen=True)
class Case:
    """A situation, and the sentences about it. lines: not compared if empty."""

    state: State
    errors: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    findings: dict[str, Any] = field(default_factory=dict)


def reported(case: Case) -> RotationReport:
    """Return the report at 20 s after NOW."""
    given = {"mode": "token", "why": "it was forced", "hosts": HOSTS, "command": COMMAND}
    return report(case.state, Findings(**{**given, **case.findings}), options(), NOW + 20)


def lost_host() -> State:
    """Return a rollback after host b was lost when its file was written."""
    state = recorded(publishing(), b=None)
    return rotation.roll_back(state, actor(5), "publish", f"b: {state.hosts['b'].error}")


def rolled_back(state: State, **more: Any) -> State:
    """Return the end of a rollback; more: the evidence of hosts with the old token."""
    state = rotation.retire(recorded(state, **more), actor(7), [row(NEW)])
    return rotation.finish(state, actor(8))


def sick_host() -> State:
    """Return a rollback on a host that is unhealthy with each token."""
    state = returning()
    return rolled_back(state, b=evidence(state, healthy=False, error=SICK))


def failed_issue(state: State) -> State:
    """Return a rotation that got no token."""
    return rotation.roll_back(state, actor(3), "issue", "the API did not answer")


def unreachable_beside_dead_token() -> State:
    """Return a rotation of a dead token with a host b that was not reached."""
    state = rotation.promote(recorded(publishing("refused"), b=None), actor(5))
    return rotation.finish(rotation.retire(state, actor(6), [row(OLD)]), actor(6))


def uninspected_in_emergency() -> State:
    """Return an emergency with host b unreachable from the start."""
    state = rotation.retire(emergency(), actor(2), [row(OLD), row(OLDEST)])
    hosts = {"a": Inspection((MARKS[OLD],)), "b": None}
    state = rotation.set_hosts(state, actor(2), hosts)
    state = rotation.set_pending(state, actor(3), {**vars_of(NEW)})
    state = recorded(rotation.verify(state, actor(4), "accepted", "none"))
    return rotation.finish(rotation.promote(state, actor(9.5)), actor(10))


def vars_of(text: str) -> dict[str, Any]:
    """Return a token document."""
    one = held(text)
    return {**vars(one.owner), "access_token": text, "expires_at": one.expires_at}


def resumed() -> State:
    """Return a rotation that another run began and this one finished."""
    state = rotation.begin(recorded(publishing()), actor(50, "here/2/2"), "token", STOPPED)
    state = rotation.promote(state, actor(51, "here/2/2"))
    return rotation.finish(rotation.retire(state, actor(52), [row(OLD)]), actor(53))


STOPPED = "an earlier run was stopped while it was publishing"
SEEN = str(publishing().events[-1]["id"])
NOT_DEAD = row(OLD, "still_accepted", verified=False, reason="it was accepted for 30 s")
LEAKED = {"mode": "emergency", "why": "the credentials may have leaked"}
NO_ANSWER = row(OLDEST, "unknown", verified=False, reason="the API did not answer")
PUBLISHING = (
    "begin  begun  it was forced",
    f"issue  issued  {MARKS[NEW]}",
    f"verify  accepted  {MARKS[NEW]}",
)
WHOLE = (
    *PUBLISHING,
    f"publish  published  {MARKS[NEW]}  a, b",
    f"promote  promoted  {MARKS[NEW]}",
    f"retire  revoked  {MARKS[OLD]}",
    f"report  finished  {MARKS[NEW]}",
)

CASES: dict[str, Case] = {
    "whole rotation": Case(whole_rotation(), lines=WHOLE),
    "no change": Case(
        IN_SERVICE,
        lines=(f"No change: token {MARKS[OLD]} is 120 s old, limit 900 s; 2 host(s) use it.",),
        findings={"why": "", "mode": "repair"},
    ),
    "no change without token": Case(
        State(), lines=("No change: no rotation is due.",), findings={"why": "", "mode": "repair"}
    ),
    "check mode": Case(
        IN_SERVICE,
        lines=(
            (
                "Check mode: a real run would issue a token and publish it to 2 host(s): a, b. "
                "Reason: it was forced."
            ),
        ),
        findings={
            "check_mode": True,
            "would": ["issue a token and publish it to 2 host(s): a, b"],
        },
    ),
    "check mode, several actions": Case(
        replace(IN_SERVICE, previous=(held(OLDEST),)),
        lines=("Check mode: a real run would publish it; revoke the rest.",),
        findings={"check_mode": True, "why": "", "would": ["publish it", "revoke the rest"]},
    ),
    "check mode, no change": Case(
        IN_SERVICE,
        lines=(f"No change: token {MARKS[OLD]} is 120 s old, limit 900 s; 2 host(s) use it.",),
        findings={"check_mode": True, "why": ""},
    ),
    "host lost after its file was written": Case(
        recorded(lost_host(), b=None),
        (
            (
                f"ROLLBACK INCOMPLETE: b may still use {MARKS[NEW]}, which this run does not "
                "revoke. Repair the host, then run again."
            ),
            f"No new token is in service: publish: b: {NO_EVIDENCE}.",
            NEXT,
        ),
    ),
    "rollback complete": Case(
        rolled_back(lost_host()),
        (
            f"No new token is in service: publish: b: {NO_EVIDENCE}.",
            f"Rolled back: the hosts hold {MARKS[OLD]} again.",
            NEXT,
        ),
    ),
    "unhealthy host recovers with the old token": Case(
        failed_rotation(),
        (
            f"No new token is in service: publish: b: {SICK}.",
            f"Rolled back: the hosts hold {MARKS[OLD]} again.",
            NEXT,
        ),
    ),
    "host unhealthy with the old token, too": Case(
        sick_host(),
        (
            f"No new token is in service: publish: b: {SICK}.",
            (f"Rolled back: no host holds the new token. Not proved to use {MARKS[OLD]}: b."),
            f"Failed hosts: b: {SICK} (with the old token, too).",
            NEXT,
        ),
    ),
    "unreachable host, old token dead": Case(
        unreachable_beside_dead_token(),
        (f"Failed hosts: b: {NO_EVIDENCE}.", NEXT),
        (
            *PUBLISHING,
            f"publish  published  {MARKS[NEW]}  a",
            "publish  outage  at most 5.0 s",
            f"promote  promoted  {MARKS[NEW]}",
            f"retire  revoked  {MARKS[OLD]}",
            f"report  finished  {MARKS[NEW]}",
        ),
    ),
    "unreachable host in an emergency": Case(
        uninspected_in_emergency(),
        (f"Failed hosts: b: {rotation._NOT_INSPECTED}.", NEXT),
        findings=LEAKED,
    ),
    "emergency with a token that is not verified": Case(
        emergency_rotation(),
        (
            (
                f"NOT VERIFIED as revoked: {MARKS[OLDEST]} (the API did not answer). Run again to "
                "revoke these tokens."
            ),
            NEXT,
        ),
        findings={**LEAKED, "rows": [row(OLD), NO_ANSWER]},
    ),
    "emergency without a new token": Case(
        failed_issue(rotation.retire(emergency(), actor(2), [row(OLD), row(OLDEST)])),
        ("No new token is in service: issue: the API did not answer.", NEXT),
        findings=LEAKED,
    ),
    "failed issue": Case(
        rotation.finish(failed_issue(begun()), actor(3)),
        (
            "No new token is in service: issue: the API did not answer.",
            f"Rolled back: the hosts hold {MARKS[OLD]} again.",
            NEXT,
        ),
    ),
    "leftover issued token": Case(
        rotation.retire(
            rotation.mark_compromised(begun(), actor(1), [vars_of(FOREIGN)]), actor(2), [row(OLD)]
        ),
        (
            (
                f"NOT VERIFIED as revoked: {MARKS[FOREIGN]} (refused by the gateway). Run again to "
                "revoke these tokens."
            ),
            NEXT,
        ),
        findings={
            **LEAKED,
            "rows": [row(OLD), row(FOREIGN, "unknown", False, reason="refused by the gateway")],
        },
    ),
    "unreadable file of an issued token": Case(
        rotation.retire(emergency(), actor(2), [row(OLD), row(OLDEST)]),
        ("The rotation is not finished: issued.json does not contain a token.", NEXT),
        findings={**LEAKED, "failure": "issued.json does not contain a token"},
    ),
    "replaced token not revoked": Case(
        rotation.finish(rotation.retire(promoted(), actor(6), [NOT_DEAD]), actor(6)),
        (
            (
                f"NOT VERIFIED as revoked: {MARKS[OLD]} (it was accepted for 30 s). Run again to "
                "revoke these tokens."
            ),
            NEXT,
        ),
        findings={"rows": [NOT_DEAD]},
    ),
    "replaced token not attempted": Case(
        promoted(),
        (
            (
                f"NOT VERIFIED as revoked: {MARKS[OLD]} (not attempted). Run again to revoke these "
                "tokens."
            ),
            NEXT,
        ),
    ),
    "new token not verified": Case(
        publishing("refused"),
        ("The rotation is not finished: verify: the API does not accept the new token.", NEXT),
        findings={"failure": "verify: the API does not accept the new token"},
    ),
    "current token dead": Case(
        publishing("refused"),
        (
            "The rotation is not finished: issue: HTTP 503.",
            f"The API refuses the current token {MARKS[OLD]}.",
            NEXT,
        ),
        findings={"failure": "issue: HTTP 503", "refused": [MARKS[OLD]]},
    ),
    "rollback that a resumed run has completed": Case(
        rolled_back(rotation.begin(lost_host(), actor(50), "token", STOPPED)),
        (
            f"No new token is in service: publish: b: {NO_EVIDENCE}.",
            f"Rolled back: the hosts hold {MARKS[OLD]} again.",
            NEXT,
        ),
        findings={"seen": str(lost_host().events[-1]["id"])},
    ),
    "stopped while publishing": Case(
        publishing(), ("The rotation is not finished: it is publishing.", NEXT)
    ),
    "resumed rotation": Case(
        resumed(),
        lines=(
            f"begin  resumed  {STOPPED}",
            f"publish  published  {MARKS[NEW]}  a, b",
            f"promote  promoted  {MARKS[NEW]}",
            f"retire  revoked  {MARKS[OLD]}",
            f"report  finished  {MARKS[NEW]}",
        ),
        findings={"why": STOPPED, "seen": SEEN},
    ),
    "reason without an event": Case(
        begun(),
        ("The rotation is not finished: it is issuing.", NEXT),
        lines=("another reason", "begin  begun  it was forced"),
        findings={"why": "another reason"},
    ),
    "old client still issues": Case(
        whole_rotation(),
        (
            (
                "The old client still gets tokens; the token just issued is revoked. Delete the "
                "client, then run again."
            ),
            NEXT,
        ),
        findings={"old_client": "issued"},
    ),
    "old client inconclusive": Case(
        whole_rotation(),
        ("The check of the old client is inconclusive (no_clear_answer): run again.", NEXT),
        findings={"old_client": "no_clear_answer"},
    ),
    "old client forbidden": Case(whole_rotation(), findings={"old_client": "forbidden"}),
    "old client unknown": Case(whole_rotation(), findings={"old_client": "unknown_client"}),
    "host fails a repair after an earlier rollback": Case(
        replace(failed_rotation(), hosts={"a": using(OLD), "b": using(OLD, error=SICK)}),
        (f"Failed hosts: b: {SICK}.", NEXT),
        findings={"mode": "repair", "seen": str(failed_rotation().events[-1]["id"])},
    ),
}


@each_row("case", CASES.values(), CASES.keys())
def test_every_situation_has_its_sentences(case: Case) -> None:
    found = reported(case)
    assert tuple(found.errors) == case.errors
    assert not case.lines or tuple(found.lines) == case.lines


@each_row("case", CASES.values(), CASES.keys())
def test_no_sentence_is_doubled(case: Case) -> None:
    found = reported(case)
    assert len(set(found.lines)) == len(found.lines)
    texts = [one.rstrip(".").partition(": ")[2] for one in found.errors]
    doubled = [one for one in texts if one and sum(one in other for other in found.errors) > 1]
    assert doubled == []


@each_row("case", CASES.values(), CASES.keys())
def test_next_command_is_last_and_only_with_error(case: Case) -> None:
    found = reported(case)
    assert [one for one in found.errors if one.startswith("Next: ")] == [NEXT] * bool(found.errors)
    assert not found.errors or found.errors[-1] == NEXT
    unknown = reported(replace(case, findings={**case.findings, "command": ""}))
    assert list(unknown.errors) == list(found.errors)[:-1]


@each_row("case", CASES.values(), CASES.keys())
def test_report_contains_no_token(case: Case) -> None:
    assert "eyJ" not in repr(reported(case))


@each_row("case", CASES.values(), CASES.keys())
def test_values_of_report(case: Case) -> None:
    found, state = reported(case), case.state
    current = state.current.fingerprint if state.current else ""
    assert list(found.values) == [
        *("verdict", "mode", "reason", "current", "clients", "expires_at", "events", "outage"),
        *(
            "not_revoked",
            "retire_at",
            "retired",
            "found",
            "unread",
            "hosts",
            "unknown",
            "host_errors",
        ),
        "errors",
    ]
    assert found.values["current"] == current
    assert found.values["expires_at"] == (show_time(NOW + 3600) if current else "")
    assert found.values["not_revoked"] == [one.fingerprint for one in state.previous]
    assert found.values["errors"] == found.errors


VERDICTS = {
    "whole rotation": f"ROTATED token {MARKS[OLD]} -> {MARKS[NEW]}: 2 of 2 hosts, outage 0 s",
    "no change": "",
    "check mode": "",
    "host lost after its file was written": (
        f"ROLLBACK INCOMPLETE: token {MARKS[OLD]} on 1 of 2 hosts"
    ),
    "rollback complete": f"ROLLED BACK: token {MARKS[OLD]} on 2 of 2 hosts",
    "unreachable host, old token dead": (
        f"NOT FINISHED: rotated token {MARKS[OLD]} -> {MARKS[NEW]}: 1 of 2 hosts, outage at most "
        "5.0 s"
    ),
    "emergency with a token that is not verified": "NOT VERIFIED: 1 of 2 tokens not proved dead",
    "emergency without a new token": "NOT FINISHED: no credential is in service",
    "replaced token not revoked": "NOT VERIFIED: 1 of 1 tokens not proved dead",
    "stopped while publishing": f"NOT FINISHED: token {MARKS[OLD]} on 2 of 2 hosts",
}


@each_row("name", VERDICTS)
def test_verdict_comes_first(name: str) -> None:
    case = CASES[name]
    found = reported(replace(case, findings={**case.findings, "before": MARKS[OLD]}))
    assert found.values["verdict"] == VERDICTS[name]
    assert found.shown[0] == (VERDICTS[name] or found.lines[0])
    assert found.shown[1:] == list(found.errors or found.lines)[not VERDICTS[name] :]


def test_first_rotation_names_what_it_has_replaced() -> None:
    state = replace(whole_rotation(), previous=(held(OLD),))
    found = reported(Case(state)).values["verdict"]
    assert f"rotated token {MARKS[OLD]} -> {MARKS[NEW]}: " in found


def test_verdict_of_a_client_counts_sinks_and_found_tokens() -> None:
    done = row(OLD, "client_refused", at="2027-01-15T09:21:10Z")
    state = whole_rotation()
    state = replace(state, hosts={**state.hosts, "sink vault": using(NEW)})
    findings = {
        "before": "0c0c",
        "hosts": (*HOSTS, "sink vault"),
        "rows": [done],
        "found": [row(FOREIGN), row(OLDEST)],
    }
    assert reported(Case(state, findings=findings)).values["verdict"] == (
        f"ROTATED token 0c0c -> {MARKS[NEW]}: 2 of 2 hosts, 1 of 1 sink, old client refused "
        "2027-01-15T09:21:10Z, 2 of 2 found tokens dead, outage 0 s"
    )


def test_outage_and_host_errors_are_reported_as_values() -> None:
    values = reported(CASES["unreachable host, old token dead"]).values
    assert values["outage"] == "at most 5.0 s"
    assert values["host_errors"] == [f"b: {NO_EVIDENCE}"]
    assert reported(CASES["whole rotation"]).values["outage"] == ""


def test_host_errors_of_each_failed_host_are_values() -> None:
    values = reported(CASES["host lost after its file was written"]).values
    assert values["host_errors"] == [f"b: {NO_EVIDENCE}"]


def test_events_are_those_of_this_run() -> None:
    state = whole_rotation()
    for seen, expected in (("", 7), (str(state.events[2]["id"]), 4), ("removed", 7)):
        assert len(reported(Case(state, findings={"seen": seen})).values["events"]) == expected
    nothing = reported(Case(state, findings={"seen": str(state.events[-1]["id"]), "why": ""}))
    assert nothing.values["events"] == []


def test_check_mode_reports_no_error() -> None:
    for case in CASES.values():
        findings = {**case.findings, "check_mode": True}
        assert reported(replace(case, findings=findings)).errors == []


# The verdict of an emergency


@each_row(
    ("marks", "rows", "verdict"),
    [
        ([], [], "The store contains no token to revoke."),
        (
            [MARKS[OLD]],
            [row(OLD, at="2027-01-15T08:00:00Z")],
            f"Revoked and verified: {MARKS[OLD]} (at 2027-01-15T08:00:00Z).",
        ),
        ([MARKS[OLD]], [], f"NOT VERIFIED as revoked: {MARKS[OLD]} (no result)."),
        (
            [MARKS[OLD], MARKS[OLDEST]],
            [row(OLD, "already_revoked", at="today"), NO_ANSWER],
            (
                f"NOT VERIFIED as revoked: {MARKS[OLDEST]} (the API did not answer). Revoked and "
                f"verified: {MARKS[OLD]} (at today)."
            ),
        ),
        (
            [MARKS[OLD]],
            [row(OLD, verified=False, reason="no probe confirmed it")],
            f"NOT VERIFIED as revoked: {MARKS[OLD]} (no probe confirmed it).",
        ),
    ],
)
def test_verdict_states_which_tokens_are_dead(
    marks: list[str], rows: list[dict[str, Any]], verdict: str
) -> None:
    assert revocation_verdict(marks, rows) == verdict
