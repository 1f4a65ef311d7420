# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scan of many hosts: merge what they found, and report what became of it.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._revocation import WORST_FIRST, Outcome
from ansible_collections.nomba.auth.plugins.module_utils._revocation_report import HINTS
from ansible_collections.nomba.auth.plugins.module_utils._rotation import hide_tokens
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

# The table shows this many rows, and a sentence names this many hosts.
_MAX_ROWS = 20
_MAX_NAMES = 5

# For each outcome of a token that may be valid: the first words of its sentence, and what to do.
_ALIVE = {
    Outcome.STILL_ACCEPTED: (
        "STILL ALIVE",
        "Suspend or regenerate its key in Nomba's dashboard.",
    ),
    Outcome.UNKNOWN: ("NOT VERIFIED", "It may be valid."),
    Outcome.REFUSED: ("NOT REVOKED", "It may be valid."),
    Outcome.NOT_ATTEMPTED: ("NOT REVOKED", "Nothing was sent."),
    Outcome.MALFORMED: ("INCOMPLETE", "Find the complete token."),
}
_DEAD = {
    Outcome.REVOKED: "REVOKED AND VERIFIED",
    Outcome.ALREADY_REVOKED: "ALREADY REVOKED",
    Outcome.EXPIRED: "EXPIRED",
}
_HEADER = ("OUTCOME", "TOKEN", "HOST", "FILE:LINE")
_UNREAD = "unread"
UNREACHABLE = "unreachable"
_COUNTS = ("files", "excluded", "other_jwts")
_OPTION = "(given as an option)"


@dataclass(frozen=True)
class HostScan:
    """What the scan of a host returned.

    tokens: for each token, its locations, as results contain them. unread: a row for each source
    that was not read completely. counts: the numbers of the scan. error: why the host was not
    scanned; empty if it was.
    """

    tokens: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    unread: Sequence[Mapping[str, str]] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> HostScan:
        """Return what nomba_token_find found."""
        if result.get("failed") or "tokens" not in result:
            return cls(error=_message(result))
        places = result["found_in"]
        tokens = {one: places[fingerprint(one)] for one in result["tokens"]}
        return cls(tokens, result["unread"], result["summary"])


def merge(scans: Mapping[str, HostScan]) -> dict[str, list[dict[str, Any]]]:
    """Return the distinct tokens of all hosts, each with its locations and their hosts."""
    found: dict[str, list[dict[str, Any]]] = {}
    for host, scan in scans.items():
        for token, locations in scan.tokens.items():
            found.setdefault(token, []).extend({"host": host, **one} for one in locations)
    return found


def token_rows(
    found: Mapping[str, list[dict[str, Any]]], result: Mapping[str, Any], check_mode: bool
) -> list[dict[str, Any]]:
    """Return a row for each token that was found, with the outcome of nomba_token_revoke.

    result: of the module. A token without a row there may be valid.
    """
    returned = {row["fingerprint"]: row for row in result.get("results") or []}
    rows: dict[str, dict[str, Any]] = {}
    for token, locations in found.items():
        name = fingerprint(token)
        row = returned.get(name) or _row_without_result(name, result, check_mode)
        rows[token] = {**row, "found_in": list(locations)}
    return list(_without_pieces(rows).values())


def _row_without_result(name: str, result: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the row of a token that the module did not process, or that it may have revoked."""
    nothing_sent = check_mode or "error" in result
    outcome = Outcome.NOT_ATTEMPTED if nothing_sent else Outcome.UNKNOWN
    row = {"fingerprint": name, "outcome": outcome.value, "verified": False}
    return {**row, "reason": _message(result)}


def _without_pieces(rows: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Merge a token that is cut short with the complete one, which another host may hold."""
    malformed = {one for one, row in rows.items() if row["outcome"] == Outcome.MALFORMED.value}
    whole = {_signed_part(one): one for one in rows if one not in malformed}
    kept = {one: row for one, row in rows.items() if one not in malformed}
    for one in rows:
        owner = whole.get(_signed_part(one), "") if one in malformed else ""
        if owner.startswith(one):
            kept[owner]["found_in"].extend(rows[one]["found_in"])
        else:
            kept[one] = rows[one]
    return kept


def _signed_part(token: str) -> str:
    return ".".join(token.split(".")[:2])


def from_revocations(
    results: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, HostScan], list[dict[str, Any]]]:
    """Return the hosts and the rows of a revocation on each host.

    results: of nomba_token_revoke, by host; a failed one without rows is a host without a scan.
    """
    scans: dict[str, HostScan] = {}
    rows: list[dict[str, Any]] = []
    for host, result in results.items():
        if "results" not in result:
            scans[host] = HostScan(error=_message(result))
            continue
        counts = {name: result["summary"].get(name, 0) for name in _COUNTS}
        scans[host] = HostScan(unread=result["unread"], counts=counts)
        for row in result["results"]:
            places = row["found_in"] or [{"path": _OPTION, "line": None}]
            rows.append({**row, "found_in": [{"host": host, **one} for one in places]})
    return scans, rows


def has_failed(results: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> bool:
    """Return whether the module failed on a host, or has no result there."""
    done = [results.get(host, {}) for host in hosts]
    return not done or any("results" not in one or "error" in one for one in done)


@dataclass(frozen=True)
class FleetReport:
    """The report of a scan, or of a revocation on each host.

    hosts: all hosts of the run. scans: by host; a host without one was not scanned. rows: as of
    token_rows. excluded: the number of hosts that --limit excludes. command: which runs the scan
    again; empty if it is not known.
    """

    hosts: Sequence[str]
    scans: Mapping[str, HostScan]
    rows: Sequence[Mapping[str, Any]]
    check_mode: bool = False
    excluded: int = 0
    command: str = ""
    done: str = "scanned"

    @property
    def failed(self) -> bool:
        """Whether a token may be valid, or whether one may not have been found."""
        return bool(not self.hosts or self._alive() or self._not_scanned() or self._unread())

    def host_rows(self) -> list[dict[str, Any]]:
        """Return a row for each host."""
        missing = self._not_scanned()
        return [
            {"host": host, "scanned": host not in missing, "error": missing.get(host, "")}
            for host in self.hosts
        ]

    def unread_rows(self) -> list[dict[str, str]]:
        """Return a row for each source that was not read completely, with its host."""
        unread = self._unread().items()
        return [{"host": host, **one} for host, sources in unread for one in sources]

    def lines(self) -> list[str]:
        """Return the verdict, the worst first, and the table."""
        first, *others = [*self._alive_lines(), *self._host_lines(), self._dead_line()]
        check = "CHECK MODE, nothing was revoked. " if self.check_mode else ""
        verdict = [f"{check}{first}", *others, self._scanned_line(), *self._next_lines()]
        return verdict + self._table()

    def _alive(self) -> list[tuple[Outcome, Mapping[str, Any]]]:
        """Return the rows of tokens that are not proved dead, with their outcomes, worst first."""
        kinds = [(self._kind(row), row) for row in self.rows]
        return [(kind, row) for worst in WORST_FIRST for kind, row in kinds if kind is worst]

    def _kind(self, row: Mapping[str, Any]) -> Outcome:
        kind = Outcome(row["outcome"])
        is_proved = row["verified"] or self.check_mode
        return kind if kind is not Outcome.REVOKED or is_proved else Outcome.UNKNOWN

    def _not_scanned(self) -> dict[str, str]:
        """Return the reason for each host that was not scanned."""
        none = HostScan(error="its scan did not end")
        scans = {host: self.scans.get(host, none) for host in self.hosts}
        return {host: scan.error for host, scan in scans.items() if scan.error}

    def _unread(self) -> dict[str, Sequence[Mapping[str, str]]]:
        """Return the unread sources of each host that has some."""
        return {
            host: self.scans[host].unread
            for host in self.hosts
            if host in self.scans and self.scans[host].unread
        }

    def _alive_lines(self) -> Iterator[str]:
        alive = self._alive()
        for kind in WORST_FIRST:
            rows = [row for one, row in alive if one is kind]
            if not rows:
                continue
            label, advice = _ALIVE[kind]
            row, count = rows[0], f"{len(rows)} of {_count(len(self.rows), 'token')}"
            where = " and in ".join(_places(row["found_in"]))
            first = f"{row['fingerprint']}{where}{' first' if len(rows) > 1 else ''}"
            advice = HINTS.get(row.get("http_status") or 0, advice)
            yield f"{label} {count}: {first}: {row['reason'].rstrip('.')}. {advice}"

    def _host_lines(self) -> Iterator[str]:
        missing, unread = self._not_scanned(), self._unread()
        total = _count(len(self.hosts), "host")
        if missing:
            names = _listed([f"{host} ({error})" for host, error in missing.items()])
            yield f"NOT {self.done.upper()} {len(missing)} of {total}: {names}."
        if unread:
            names = _listed([f"{host} ({_first_unread(rows)})" for host, rows in unread.items()])
            yield f"PARTLY UNREAD {len(unread)} of {total}: {names}."

    def _dead_line(self) -> str:
        kinds = Counter(self._kind(row) for row in self.rows)
        labels = {**_DEAD, Outcome.REVOKED: "WOULD BE REVOKED"} if self.check_mode else _DEAD
        counts = [f"{label} {kinds[kind]}" for kind, label in labels.items() if kinds[kind]]
        if not self.rows:
            return "NO TOKEN WAS FOUND."
        if not counts:
            return f"REVOKED AND VERIFIED 0 of {_count(len(self.rows), 'token')}."
        return ", ".join([f"{counts[0]} of {_count(len(self.rows), 'token')}", *counts[1:]]) + "."

    def _scanned_line(self) -> str:
        missing = self._not_scanned()
        scanned = [host for host in self.hosts if host not in missing]
        names = f" ({_listed(scanned)})" if scanned else ""
        line = (
            f"{self.done.capitalize()} {len(scanned)} of {_count(len(self.hosts), 'host')}{names}"
        )
        counts: Counter[str] = Counter()
        for scan in self.scans.values():
            counts.update(scan.counts)
        parts = [line, _count(counts["files"], "file")]
        if counts["excluded"]:
            parts.append(f"{counts['excluded']} excluded")
        if counts["other_jwts"]:
            parts.append(f"{_count(counts['other_jwts'], 'JWT')} without a Nomba account ignored")
        limit = f" --limit excluded {self.excluded} more of nomba_hosts." if self.excluded else ""
        return ", ".join(parts) + f".{limit}"

    def _next_lines(self) -> Iterator[str]:
        if self.failed:
            again = f"{self.command} --check" if self.check_mode else self.command
            yield f"Next: remove the causes, then run {again if self.command else 'it again'}"
        elif self.check_mode and self.rows:
            yield f"Next: run {self.command or 'the scan without --check'}"

    def _table(self) -> list[str]:
        rows = list(self._table_rows())
        if not rows:
            return []
        shown = [_HEADER, *rows[:_MAX_ROWS]]
        widths = [max(len(row[column]) for row in shown) for column in range(len(_HEADER) - 1)]
        lines = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[-1]])
            for row in shown
        ]
        if folded := rows[_MAX_ROWS:]:
            kinds = Counter(row[0] for row in folded)
            counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
            lines.append(f"{len(folded)} more rows: {counts}. Add -v to see all tokens and hosts.")
        return lines

    def _table_rows(self) -> Iterator[tuple[str, str, str, str]]:
        alive = self._alive()
        yield from self._location_rows(alive)
        yield from ((f"not {self.done}", "-", host, "-") for host in self._not_scanned())
        for host, sources in self._unread().items():
            yield from ((_UNREAD, "-", host, one["path"]) for one in sources)
        kinds = [(self._kind(row), row) for row in self.rows]
        yield from self._location_rows([one for one in kinds if not one[0].failed])

    def _location_rows(
        self, rows: Iterable[tuple[Outcome, Mapping[str, Any]]]
    ) -> Iterator[tuple[str, str, str, str]]:
        for kind, row in rows:
            is_plan = self.check_mode and kind is Outcome.REVOKED
            shown = "would be revoked" if is_plan else kind.value
            for one in row["found_in"]:
                yield (shown, row["fingerprint"], one["host"], _position(one))


def _position(location: Mapping[str, Any]) -> str:
    line = location["line"]
    return f"{location['path']}:{line}" if line else str(location["path"])


def _places(locations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the first location, and how many others there are."""
    for one in locations[:1]:
        yield f" on host {one['host']} in {_position(one)}"
    if len(locations) > 1:
        yield _count(len(locations) - 1, "other place")


def _first_unread(rows: Sequence[Mapping[str, str]]) -> str:
    others = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{rows[0]['path']}: {rows[0]['reason']}{others}"


def _listed(names: Sequence[str]) -> str:
    others = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {others} more" if others > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _message(result: Mapping[str, Any]) -> str:
    """Return the message of a failed module without tokens; of Python, if it did not start."""
    error = str(result.get("module_stderr") or "").strip().partition("\n")[0]
    python = f" ({error}; check ansible_python_interpreter)" if error else ""
    return hide_tokens(str(result.get("msg") or "no reason was given")).rstrip(".") + python
