# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings of many hosts are merged, and the report states the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._revocation import Outcome
from ansible_collections.nomba.auth.plugins.plugin_utils._fleet_scan import (
    UNREACHABLE,
    FleetReport,
    HostScan,
    merge,
    token_rows,
)
from tests.simulator.tokens import fingerprint
from tests.unit.tables import each_row

from .token_factory import token

pytestmark = pytest.mark.pure

A, B = token(jti="a"), token(jti="b")
NAMES = {A: fingerprint(A), B: fingerprint(B)}
COMMAND = "ansible-playbook nomba.auth.scan"
SUSPEND = "Suspend or regenerate its key in Nomba's dashboard."
COUNTS = {"files": 2, "excluded": 0, "other_jwts": 0}


def at(path: str, line: int | None = 1) -> dict[str, Any]:
    """Return a location."""
    return {"path": path, "line": line}


def found(tokens: Mapping[str, Sequence[Any]], *unread: tuple[str, str]) -> HostScan:
    """Return the scan of a host that was reached."""
    return HostScan(tokens, [{"path": path, "reason": why} for path, why in unread], COUNTS)


def result(**outcomes: str) -> dict[str, Any]:
    """Return a result of nomba_token_revoke, with outcomes by the names a and b."""
    rows = [
        {
            "fingerprint": NAMES[{"a": A, "b": B}[name]],
            "outcome": outcome,
            "verified": outcome in ("revoked", "already_revoked"),
            "reason": "why.",
            "http_status": 200,
        }
        for name, outcome in outcomes.items()
    ]
    return {"changed": True, "results": rows}


def rows(outcome: str, **more: Any) -> list[dict[str, Any]]:
    """Return the row of one token on host web."""
    row = {"fingerprint": NAMES[A], "outcome": outcome, "verified": outcome != "revoked"}
    place = {"host": "web", "path": "/log", "line": 7}
    return [{**row, "reason": "why.", "http_status": None, "found_in": [place], **more}]


def report(*given: dict[str, Any], **more: Any) -> FleetReport:
    """Return the report of a scan of host web."""
    return FleetReport(["web"], {"web": found({})}, given, **{"command": COMMAND, **more})


# Merging


def test_token_of_two_hosts_is_one_row_with_both_hosts() -> None:
    scans = {
        "web": found({A: [at("/x", 3), at("/y")], B: [at("/x", 4)]}),
        "db": found({A: [at("/z")]}),
    }
    (first, second) = token_rows(merge(scans), result(a="revoked", b="revoked"), check_mode=False)
    assert first["fingerprint"] == NAMES[A]
    assert first["found_in"] == [
        {"host": "web", **at("/x", 3)},
        {"host": "web", **at("/y")},
        {"host": "db", **at("/z")},
    ]
    assert second["found_in"] == [{"host": "web", **at("/x", 4)}]


@each_row(
    ("outcome", "cut", "merged"),
    [
        ("revoked", A[:-9], True),
        ("still_accepted", A[:-9], True),  # its row fails the run, with all locations
        ("malformed", A[:-9], False),
        ("revoked", A[: A.rindex(".") - 4], False),  # may be the start of another token
        ("revoked", B[:-9], False),
    ],
)
def test_cut_token_is_merged_with_the_complete_one(outcome: str, cut: str, merged: bool) -> None:
    malformed = {"fingerprint": fingerprint(cut), "outcome": "malformed", "verified": False}
    given = result(a=outcome)
    given["results"].append({**malformed, "reason": "why", "http_status": None})
    for hosts in (({A: [at("/a")]}, {cut: [at("/c")]}), ({cut: [at("/c")]}, {A: [at("/a")]})):
        scans = {str(number): found(tokens) for number, tokens in enumerate(hosts)}
        made = {one["fingerprint"]: one for one in token_rows(merge(scans), given, False)}
        assert len(made) == (1 if merged else 2)
        paths = sorted(one["path"] for one in made[NAMES[A]]["found_in"])
        assert paths == (["/a", "/c"] if merged else ["/a"])


@each_row(
    ("returned", "check", "outcome"),
    [
        ({"failed": True, "msg": "client_id: it is not set.", "error": {}}, False, "not_attempted"),
        ({"failed": True, "msg": "MODULE FAILURE"}, False, "unknown"),
        ({"failed": True, "msg": "MODULE FAILURE"}, True, "not_attempted"),
        ({}, False, "unknown"),
        ({"results": []}, False, "unknown"),
    ],
)
def test_token_without_a_result_may_be_valid(returned: Any, check: bool, outcome: str) -> None:
    (row,) = token_rows(merge({"web": found({A: [at("/x")]})}), returned, check)
    assert (row["outcome"], row["verified"]) == (outcome, False)
    assert FleetReport(["web"], {"web": found({})}, [row], check).failed


def test_message_of_a_failed_module_shows_no_token() -> None:
    failed = {"failed": True, "msg": f"cannot use {A}."}
    (row,) = token_rows({A: []}, failed, check_mode=False)
    assert row["reason"] == HostScan.from_result(failed).error == "cannot use (a token)"


def test_result_of_the_module_becomes_a_scan() -> None:
    places = {NAMES[A]: [at("/x")], NAMES[B]: [at("/y")]}
    unread = [{"path": "/z", "reason": "why"}]
    given = {"tokens": [B, A], "found_in": places, "unread": unread, "summary": COUNTS}
    assert HostScan.from_result(given) == HostScan({B: [at("/y")], A: [at("/x")]}, unread, COUNTS)
    assert HostScan.from_result({}).error == "no reason was given"


# The verdict


@each_row(
    ("outcome", "line"),
    [
        (
            "still_accepted",
            f"STILL ALIVE 1 of 1 token: {{at}}: why. {SUSPEND}",
        ),
        ("unknown", "NOT VERIFIED 1 of 1 token: {at}: why. It may be valid."),
        ("refused", "NOT REVOKED 1 of 1 token: {at}: why. It may be valid."),
        ("not_attempted", "NOT REVOKED 1 of 1 token: {at}: why. Nothing was sent."),
        ("malformed", "INCOMPLETE 1 of 1 token: {at}: why. Find the complete token."),
        # No proof is a failure, whatever the module says.
        ("revoked", "NOT VERIFIED 1 of 1 token: {at}: why. It may be valid."),
    ],
)
def test_token_that_may_be_valid_is_the_first_line(outcome: str, line: str) -> None:
    made = report(*rows(outcome, verified=False))
    assert made.failed
    assert made.lines()[:4] == [
        line.format(at=f"{NAMES[A]} on host web in /log:7"),
        "REVOKED AND VERIFIED 0 of 1 token.",
        "Scanned 1 of 1 host (web), 2 files.",
        f"Next: remove the causes, then run {COMMAND}",
    ]


def test_every_outcome_has_a_sentence() -> None:
    for outcome in Outcome:
        made = report(*rows(outcome.value, verified=True))
        assert made.failed == outcome.failed
        assert made.lines()


@each_row(
    ("outcome", "check", "lines"),
    [
        ("revoked", False, ["REVOKED AND VERIFIED 1 of 1 token."]),
        ("already_revoked", False, ["ALREADY REVOKED 1 of 1 token."]),
        ("expired", False, ["EXPIRED 1 of 1 token."]),
        ("revoked", True, ["CHECK MODE, nothing was revoked. WOULD BE REVOKED 1 of 1 token."]),
        ("expired", True, ["CHECK MODE, nothing was revoked. EXPIRED 1 of 1 token."]),
        ("", False, ["NO TOKEN WAS FOUND."]),
        ("", True, ["CHECK MODE, nothing was revoked. NO TOKEN WAS FOUND."]),
    ],
)
def test_run_without_a_failure_succeeds(outcome: str, check: bool, lines: list[str]) -> None:
    given = rows(outcome, verified=not check) if outcome else []
    made = report(*given, check_mode=check)
    assert not made.failed
    following = [f"Next: run {COMMAND}"] if check and outcome else []
    shown = ["Scanned 1 of 1 host (web), 2 files.", *following]
    assert [one for one in made.lines() if "  " not in one] == [*lines, *shown]


def test_lines_and_rows_are_in_the_order_of_their_severity() -> None:
    given = [
        *(one for kind in ("expired", "already_revoked", "revoked") for one in rows(kind)),
        *(one for kind in ("malformed", "refused", "unknown") for one in rows(kind)),
        *rows("still_accepted"),
    ]
    given[2]["verified"] = True
    scans = {"web": found({}, ("/a.zip", "it is encrypted")), "db": HostScan(error=UNREACHABLE)}
    made = FleetReport(["web", "db", "new"], scans, given, command=COMMAND)
    *lines, header = made.lines()[:10]
    assert [one.split(":")[0].rstrip(".") for one in lines] == [
        "STILL ALIVE 1 of 7 tokens",
        "NOT VERIFIED 1 of 7 tokens",
        "NOT REVOKED 1 of 7 tokens",
        "INCOMPLETE 1 of 7 tokens",
        "NOT SCANNED 2 of 3 hosts",
        "PARTLY UNREAD 1 of 3 hosts",
        "REVOKED AND VERIFIED 1 of 7 tokens, ALREADY REVOKED 1, EXPIRED 1",
        "Scanned 1 of 3 hosts (web), 2 files",
        "Next",
    ]
    assert lines[4:6] == [
        "NOT SCANNED 2 of 3 hosts: db (unreachable), new (its scan did not end).",
        "PARTLY UNREAD 1 of 3 hosts: web (/a.zip: it is encrypted).",
    ]
    assert header.split() == ["OUTCOME", "TOKEN", "HOST", "FILE:LINE"]
    table = [one.split("  ")[0].strip() for one in made.lines()[10:]]
    failures = ["still_accepted", "unknown", "refused", "malformed", "not scanned", "not scanned"]
    assert table == [*failures, "unread", "expired", "already_revoked", "revoked"]
    assert made.unread_rows() == [{"host": "web", "path": "/a.zip", "reason": "it is encrypted"}]
    assert [(one["host"], one["scanned"]) for one in made.host_rows()] == [
        ("web", True),
        ("db", False),
        ("new", False),
    ]


def test_many_rows_and_names_are_counted() -> None:
    hosts = [f"web{number}" for number in range(30)]
    places = [{"host": host, **at("/log")} for host in hosts]
    given = [
        *rows("revoked", verified=True, found_in=places),
        *rows("unknown", found_in=places[:3]),
    ]
    scans = {host: found({}, ("/a", "why"), ("/b", "why")) for host in hosts[:8]}
    made = FleetReport(hosts, scans, given, command=COMMAND, excluded=2)
    lines = made.lines()
    assert len(lines) == 6 + 1 + 20 + 1
    assert lines[0].startswith(f"NOT VERIFIED 1 of 2 tokens: {NAMES[A]} on host web0 in /log:1")
    assert " and in 2 other places: why. " in lines[0]
    reason = "(its scan did not end)"
    named = ", ".join(f"web{number} {reason}" for number in range(8, 13))
    assert lines[1] == f"NOT SCANNED 22 of 30 hosts: {named} and 17 more."
    assert "web4 (/a: why, and 1 more) and 3 more." in lines[2]
    assert lines[4].endswith("web4 and 3 more), 16 files. --limit excluded 2 more of nomba_hosts.")
    assert lines[-1] == (
        "51 more rows: 5 not scanned, 16 unread, 30 revoked. Add -v to see all tokens and hosts."
    )


def test_numbers_of_the_scan_are_shown_if_they_matter() -> None:
    scan = HostScan(counts={"files": 1, "excluded": 3, "other_jwts": 1, "new": 4})
    (__, line) = FleetReport(["web"], {"web": scan}, []).lines()
    assert line == (
        "Scanned 1 of 1 host (web), 1 file, 3 excluded, 1 JWT without a Nomba account ignored."
    )


def test_run_without_hosts_fails() -> None:
    assert FleetReport([], {}, []).failed


@each_row(
    ("check", "command", "following"),
    [
        (False, COMMAND, f"Next: remove the causes, then run {COMMAND}"),
        (True, COMMAND, f"Next: remove the causes, then run {COMMAND} --check"),
        (True, "", "Next: remove the causes, then run it again"),
    ],
)
def test_next_command_is_stated(check: bool, command: str, following: str) -> None:
    assert following in report(*rows("refused"), check_mode=check, command=command).lines()


def test_likely_cause_of_a_refusal_is_stated() -> None:
    (line, *__) = report(*rows("refused", http_status=404)).lines()
    assert "HTTP 404 means that client_id is unknown or suspended" in line


def test_token_in_a_path_has_no_line() -> None:
    place = {"host": "web", "path": "/srv/sha256:0123", "line": None}
    (*__, row) = report(*rows("revoked", verified=True, found_in=[place])).lines()
    assert row.endswith("  /srv/sha256:0123")
