# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revoke leaked tokens, and manage a stored token from issue to revocation."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.demo.commands import Operator

# A row of the table that the playbook prints: its outcome `revoked` is a verified one.
_ROW = re.compile(r"\"([a-z][a-z_ ]+?) +(sha256:[0-9a-f]{16})  \S+ +([^\s\"]+)\"")
_PROOF = {"revoked": "verified", "already_revoked": "verified", "would be revoked": "check mode"}
_FORMAT = "  {:<24} {:<16} {:<13} {}"


@dataclass(frozen=True)
class Row:
    """One table row: the outcome of one token."""

    fingerprint: str
    outcome: str
    proof: str
    found: str

    @property
    def verified(self) -> bool:
        """Whether a probe verified the revocation."""
        return self.proof == "verified"


class Tokens:
    """Three tokens of one client: one leaked in a chat, one in a log file, one expired."""

    def __init__(self, operator: Operator, folder: Path) -> None:
        self.step, self.check, self.print = operator.step, operator.check, operator.print
        self.operator = operator
        simulator = self.simulator = operator.simulator
        self.token_file = folder / "token.json"
        self.sources = folder / "payments"
        self.sources.mkdir()
        self.leaked = simulator.issue()["access_token"]
        self.logged = simulator.issue()["access_token"]
        expired = simulator.mint(age=7200, lifetime=3600)
        (self.sources / ".env").write_text(f"NOMBA_ACCESS_TOKEN={self.leaked}\nPORT=8080\n")
        (self.sources / "old.json").write_text(json.dumps({"access_token": expired}))
        (self.sources / "app.log").write_text(
            f"10:41:07 INFO start\n10:41:09 DEBUG GET /v1/accounts Bearer {self.logged} 200\n"
        )

    def run(self) -> None:
        """Run all steps in order."""
        self.step("Preview the revocation of all tokens in a folder", self.preview)
        self.step("Ad hoc command: revoke the token that leaked in a chat", self.ad_hoc)
        self.step("Playbook: revoke all tokens in the folder", self.revoke_folder)
        self.step("Playbook again: nothing changes", self.revoke_folder_again)
        self.step("Issue a token to a file", self.issue)
        self.step("Run again: the API accepts the token, so nothing changes", self.keep)
        self.step("Require more remaining time: refresh, and revoke the old token", self.refresh)
        self.step("Inspect the token without exposing it", self.inspect)
        self.step("Revoke the token at the end of the job", self.revoke)

    def preview(self) -> None:
        rows = self.playbook("--check")
        self.check("the check run lists two tokens to revoke", outcomes(rows)["revoked"] == 2)
        self.check("the check run sent no write request", not self.simulator.writes())

    def ad_hoc(self) -> None:
        rows = self.command({"NOMBA_ACCESS_TOKEN": self.leaked})
        self.check("the token was revoked and verified", states(rows) == {("revoked", True)})
        self.check("the API rejects it", not self.simulator.accepts(self.leaked))

    def revoke_folder(self) -> None:
        rows = self.playbook()
        logged = [row for row in rows if row.outcome == "revoked"]
        self.check("the token in the log was revoked", [row.verified for row in logged] == [True])
        self.check("the log file is named", all("app.log" in row.found for row in logged))
        self.check("the first token was already revoked", outcomes(rows)["already_revoked"] == 1)
        self.check("the expired token was skipped", outcomes(rows)["expired"] == 1)
        self.check("no token is valid", not self.simulator.live())
        log = Path("~/.nomba/audit.jsonl").expanduser().read_text(encoding="utf-8")
        self.check("the outcomes are in the audit log", all(row.fingerprint in log for row in rows))

    def revoke_folder_again(self) -> None:
        rows = self.playbook(expect_changed=False)
        self.check("nothing was revoked", outcomes(rows)["revoked"] == 0)
        self.check("no write request was sent", not self.simulator.writes())

    def issue(self) -> None:
        result = self.ensure_token()
        self.check("a token was issued to the file", result["action"] == "issued")
        mode = stat.S_IMODE(self.token_file.stat().st_mode)
        self.check("only its owner can read the file", mode == stat.S_IRUSR | stat.S_IWUSR)
        self.check("the output does not contain the token", "access_token" not in result)

    def keep(self) -> None:
        result = self.ensure_token()
        self.check("the token was kept", (result["action"], result["changed"]) == ("kept", False))
        self.check("no write request was sent", not self.simulator.writes())

    def refresh(self) -> None:
        result = self.ensure_token("min_remaining=3600", "revoke_replaced=true")
        self.check("the token was refreshed", result["action"] == "refreshed")
        replaced = [(row["outcome"], row["verified"]) for row in result["replaced"]]
        self.check("the replaced token is verified as revoked", replaced == [("revoked", True)])
        self.check("one token is valid", self.simulator.live() == [result["fingerprint"]])

    def inspect(self) -> None:
        result = self.module("nomba_token_info", f"sources={self.token_file}", "probe=true")
        (row,) = result["results"]
        self.print(f"  {row['fingerprint']} {row['class']}, {row['probe']}, roles {row['roles']}")
        self.check("the API accepts it", row["probe"] == "accepted")
        self.check("no write request was sent", not self.simulator.writes())

    def revoke(self) -> None:
        result = self.module("nomba_token_revoke", f"sources={self.token_file}")
        self.check("the token is verified as revoked", result["results"][0]["verified"] is True)
        self.check("no token is valid", not self.simulator.live())

    def ensure_token(self, *arguments: str) -> dict[str, Any]:
        """Run nomba_token, so that the file contains a valid token."""
        result = self.module(
            "nomba_token", f"dest={self.token_file}", *arguments, secrets=self.operator.secret
        )
        self.print(
            f"  {result['fingerprint']} {result['action']}, valid until {result['expires_at']}"
        )
        return result

    def command(self, secrets: Mapping[str, str]) -> list[Row]:
        """Revoke with an ad hoc command. The token is passed in the environment."""
        result = self.module("nomba_token_revoke", secrets=secrets)
        rows = [
            Row(r["fingerprint"], r["outcome"], "verified" if r["verified"] else "not verified", "")
            for r in result["results"]
        ]
        return self.show(rows)

    def module(
        self, name: str, *arguments: str, secrets: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Run a module with an ad hoc command; return its result."""
        command = ["ansible", "localhost", "-m", f"nomba.auth.{name}"]
        if arguments:
            command += ["-a", " ".join(arguments)]
        output = self.operator.execute(command, secrets or {})
        result: dict[str, Any] = json.loads(output[output.index("{") :])
        return result

    def playbook(self, *flags: str, expect_changed: bool = True) -> list[Row]:
        """Run the revoke playbook for the folder; return its table."""
        variables = json.dumps({"nomba_sources": [str(self.sources)]})
        command = ["ansible-playbook", "nomba.auth.revoke", "-e", variables, *flags]
        output = self.operator.execute(command, {})
        changed = "changed=1" in output
        self.check(f"the run reports changed={expect_changed}", changed is expect_changed)
        found = [(m[1].replace("would be ", ""), m) for m in _ROW.finditer(output)]
        rows = [Row(m[2], name, _PROOF.get(m[1], "not verified"), m[3]) for name, m in found]
        return self.show(rows)

    def show(self, rows: list[Row]) -> list[Row]:
        """Print a table; return its rows."""
        self.print(_FORMAT.format("token", "outcome", "", "found in").rstrip())
        for row in rows:
            line = _FORMAT.format(row.fingerprint, row.outcome, row.proof, Path(row.found).name)
            self.print(line.rstrip())
        return rows


def outcomes(rows: Sequence[Row]) -> dict[str, int]:
    """Return the number of tokens for each outcome."""
    kinds = [row.outcome for row in rows]
    return {kind: kinds.count(kind) for kind in ("revoked", "already_revoked", "expired")}


def states(rows: Sequence[Row]) -> set[tuple[str, bool]]:
    """Return all pairs of outcome and verification."""
    return {(row.outcome, row.verified) for row in rows}
