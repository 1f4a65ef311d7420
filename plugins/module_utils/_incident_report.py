# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a revocation or a rotation for the file of an incident, as JSON and as Markdown.

docs/report.schema.json is the schema of the JSON document. Pure: no Ansible, no network, no clock,
no disk.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._token import redact

FORMAT = "nomba.auth report 1"
# The outcome of a run that succeeded and found no token, in the audit log.
NOTHING_FOUND = "nothing_found"
# The outcomes after which a token can no longer be used.
_DEAD = ("revoked", "already_revoked", "client_refused")
_COLUMNS = ("Credential", "Outcome", "Proved", "Time (UTC)", "Found in", "Reason")


@dataclass(frozen=True)
class Made:
    """Who made a report, where and when. time: RFC 3339, UTC. incident: its id, if it has one."""

    time: str
    actor: str
    control_host: str
    incident: str = ""


def texts(
    rotation: Mapping[str, Any] | None, revocations: Mapping[str, Any] | None, made: Made
) -> tuple[str, str]:
    """Return the JSON document and the Markdown of one of the two. Raises InvalidOption."""
    try:
        if rotation is not None:
            document = rotation_document(rotation, made)
        else:
            document = revocation_document(revocations or {}, made)
        return json_text(document), markdown(document)
    except (AttributeError, KeyError, TypeError, ValueError):
        option = "revocations" if rotation is None else "rotation"
        problem = "it is not what the module or the role has returned; set the registered variable"
        raise InvalidOption(option, problem) from None


def revocation_document(hosts: Mapping[str, Mapping[str, Any]], made: Made) -> dict[str, Any]:
    """Return the document about revocations. hosts: the results of nomba_token_revoke, by host."""
    credentials, unread, problems, states = [], [], [], []
    for host, result in hosts.items():
        rows = result.get("results") or []
        credentials += [_credential(row, host) for row in rows]
        unread += [{"host": host, **one} for one in result.get("unread") or []]
        states += [_host_state(one) for one in result.get("hosts") or []]
        if "results" not in result or "error" in result or result.get("failed"):
            problems.append(f"{host}: {result.get('msg', 'no result')}")
        elif result.get("unread"):
            problems.append(f"{len(result['unread'])} source(s) were not searched completely")
    credentials.sort(key=lambda one: (one["proved"], one["fingerprint"]))
    dead = sum(one["proved"] for one in credentials)
    verdict = f"{dead} of {len(credentials)} tokens are proved dead"
    problems += [f"{one['name']}: {one['error']}" for one in states if one["error"]]
    problems += [f"{one['fingerprint']} is not proved dead" for one in credentials if _alive(one)]
    rest = {"hosts": states, "unread": unread, "events": [], "unknown": []}
    return _document("revocation", made, verdict, problems, {"credentials": credentials, **rest})


def rotation_document(report: Mapping[str, Any], made: Made) -> dict[str, Any]:
    """Return the document about a rotation. report: credential_rotation_report of the role."""
    rows = [*report["retired"], *report["found"]]
    rows += _replaced(report, {row["fingerprint"] for row in rows})
    if report["current"]:
        rows.append({"fingerprint": report["current"], "outcome": "in_service"})
    clients = report["clients"]
    rest = {
        "credentials": [
            _credential({**row, "client_id": clients.get(row["fingerprint"])}, "") for row in rows
        ],
        "hosts": [dict(one) for one in report["hosts"]],
        "unread": [{"host": "", "path": str(one), "reason": ""} for one in report["unread"]],
        "events": [dict(one) for one in report["events"]],
        "unknown": list(report["unknown"]),
    }
    verdict = report["verdict"] or " ".join(report["steps"][:1])
    return _document("rotation", made, str(verdict), report["errors"], rest)


def _replaced(report: Mapping[str, Any], shown: Collection[str]) -> Iterator[dict[str, str]]:
    """Yield a row for each replaced credential in the store that this run left as it is."""
    for mark in report["not_revoked"]:
        if mark not in shown:
            end = report["retire_at"].get(mark, "")
            due = "it is due now" if end == "now" else f"it is due at {end}"
            yield {"fingerprint": mark, "outcome": "replaced", "reason": due if end else ""}


def audit_events(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return an event for each credential, or one for the run if there is none, for nomba_audit.

    The id of an event is that of its evidence. The fields are those of an event of a rotation.
    """
    events = [
        _audit_event(
            document,
            one["outcome"],
            "proved dead" if one["proved"] else "not proved dead",
            [one["fingerprint"]],
            one["time"],
        )
        for one in document["credentials"]
    ]
    if events:
        return events
    outcome = "failed" if document["failed"] else NOTHING_FOUND
    return [_audit_event(document, outcome, "; ".join(document["problems"]))]


def _audit_event(
    document: Mapping[str, Any],
    outcome: str,
    detail: str,
    marks: Sequence[str] = (),
    time: str = "",
) -> dict[str, Any]:
    shown = time or document["time"]
    return {
        "id": " ".join([shown, *(marks or [document["kind"]]), outcome]),
        "rotation": "",
        "time": shown,
        "actor": document["actor"],
        "host": document["control_host"],
        "mode": "",
        "step": document["kind"],
        "outcome": outcome,
        "fingerprints": list(marks),
        "detail": detail,
    }


def json_text(document: Mapping[str, Any]) -> str:
    """Return the document as JSON, without tokens and e-mail addresses."""
    return redact(json.dumps(document, indent=2, sort_keys=True)) + "\n"


def markdown(document: Mapping[str, Any]) -> str:
    """Return the document as Markdown, without tokens and e-mail addresses."""
    lines = [
        f"# Nomba credentials: {document['kind']} report",
        "",
        f"**{document['verdict']}**",
        "",
    ]
    facts = ("time", "actor", "control_host", "incident")
    names = ("Time (UTC)", "Actor", "Control host", "Incident")
    lines += [f"- {name}: {document[key]}" for name, key in zip(names, facts) if document[key]]
    lines += _section("Problems", [f"- {one}" for one in document["problems"]])
    lines += _section("Credentials", _table(document["credentials"]))
    lines += _section("Evidence", _evidence(document["credentials"]))
    shown = {one["fingerprint"]: _name(one) for one in document["credentials"]}
    lines += _section("Hosts", [_host(one, shown) for one in document["hosts"]])
    unread = (f"- {one['host']} {one['path']} {one['reason']}" for one in document["unread"])
    lines += _section("Not searched", [" ".join(one.split()) for one in unread])
    lines += _section("Still unknown", [f"- {one}" for one in document["unknown"]])
    lines += _section("Events", [_event(one) for one in document["events"]])
    return redact("\n".join(lines)) + "\n"


def _document(
    kind: str, made: Made, verdict: str, problems: Iterable[str], rest: Mapping[str, Any]
) -> dict[str, Any]:
    found = list(problems)
    head = {"format": FORMAT, "kind": kind, "verdict": verdict, "failed": bool(found)}
    return {**head, **asdict(made), "problems": found, **rest}


def _host_state(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a host of a scan, which is in no rotation."""
    error = str(row.get("error") or "")
    return {"name": row["host"], "may_hold": [], "in_service": False, "error": error}


def _alive(credential: Mapping[str, Any]) -> bool:
    return not credential["proved"] and credential["outcome"] != "expired"


def _credential(row: Mapping[str, Any], host: str) -> dict[str, Any]:
    evidence = [dict(one) for one in row.get("evidence") or []]
    times = [one["time"] for one in evidence if one.get("time")]
    return {
        "fingerprint": row["fingerprint"],
        "client_id": row.get("client_id") or "",
        "outcome": row["outcome"],
        "proved": row.get("verified") is True and row["outcome"] in _DEAD,
        "reason": row.get("reason") or "",
        "time": times[-1] if times else row.get("at") or "",
        "locations": [{"host": host, **one} for one in row.get("found_in") or []],
        "evidence": evidence,
    }


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *lines] if lines else []


def _table(credentials: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            _name(one),
            one["outcome"],
            "-" if one["outcome"] == "in_service" else "yes" if one["proved"] else "no",
            one["time"],
            ", ".join(_place(place) for place in one["locations"]),
            one["reason"],
        )
        for one in credentials
    ]
    if not rows:
        return []
    ruler = tuple("---" for __ in _COLUMNS)
    return [f"| {' | '.join(_cell(one) for one in row)} |" for row in (_COLUMNS, ruler, *rows)]


def _cell(text: object) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def _place(place: Mapping[str, Any]) -> str:
    line = f":{place['line']}" if place.get("line") else ""
    return f"{place['host']} {place.get('path', '')}{line}".strip()


def _evidence(credentials: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = []
    for one in credentials:
        shown = [
            f"{step['step']} {step['result']} (HTTP {step['http_status']}, {step['time']})"
            for step in one["evidence"]
        ]
        if shown:
            lines.append(f"- {_name(one)}: {'; '.join(shown)}")
    return lines


def _name(credential: Mapping[str, Any]) -> str:
    """Return how a credential is shown: a client by its id, too, which is no secret."""
    mark, client_id = credential["fingerprint"], credential["client_id"]
    return f"client {client_id} ({mark})" if client_id else str(mark)


def _host(host: Mapping[str, Any], shown: Mapping[str, str]) -> str:
    parts = []
    if host["may_hold"]:
        held = [shown.get(one, one) for one in host["may_hold"]]
        proved = "uses the credential in service" if host["in_service"] else "NOT PROVED"
        parts = [f"{proved}, may hold {', '.join(held)}"]
    return f"- {host['name']}: {'; '.join([*parts, host['error']] if host['error'] else parts)}"


def _event(event: Mapping[str, Any]) -> str:
    names = ("time", "actor", "step", "outcome", "detail")
    parts = [str(event.get(name) or "") for name in names]
    parts.insert(4, " ".join(event.get("fingerprints", [])))
    return f"- {'  '.join(one for one in parts if one)}"
