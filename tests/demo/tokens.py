# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A leaked token, from the leak to the proof of its death, and the life of a kept one."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.demo.commands import Operator

_ROW = re.compile(r"(sha256:[0-9a-f]{16}) +(\w+) +(NOT VERIFIED|verified|check mode) *([^\s\"]*)")
_LINE = "  {:<24} {:<16} {:<13} {}"


@dataclass(frozen=True)
class Row:
    """One line of a table: what became of one token."""

    fingerprint: str
    outcome: str
    proof: str
    found: str

    @property
    def verified(self) -> bool:
        """Whether the API was seen to refuse the token."""
        return self.proof == "verified"


class Tokens:
    """A company with three tokens of one client, two of them leaked, and an operator."""

    def __init__(self, operator: Operator, folder: Path) -> None:
        self.step, self.expect = operator.step, operator.expect
        self.operator = operator
        simulator = self.simulator = operator.simulator
        self.kept = folder / "token.json"
        self.sources = folder / "payments"
        self.sources.mkdir()
        self.lost = simulator.issue()["access_token"]
        self.logged = simulator.issue()["access_token"]
        expired = simulator.mint(age=7200, lifetime=3600)
        (self.sources / ".env").write_text(f"NOMBA_ACCESS_TOKEN={self.lost}\nPORT=8080\n")
        (self.sources / "old.json").write_text(json.dumps({"access_token": expired}))
        (self.sources / "app.log").write_text(
            f"10:41:07 INFO start\n10:41:09 DEBUG GET /v1/accounts Bearer {self.logged} 200\n"
        )

    def run(self) -> None:
        """All steps in order."""
        self.step("Check mode: what would happen to the tokens in a folder", self.rehearse)
        self.step("Ad hoc: revoke the token that was posted in a chat", self.ad_hoc)
        self.step("Playbook: sweep the folder", self.sweep)
        self.step("Playbook again: nothing is left to do", self.sweep_again)
        self.step("Keep a token in a file", self.issue)
        self.step("Keep it again: the API accepts it, so nothing changes", self.leave)
        self.step("Ask for more time than it has left: refresh, revoke the old one", self.refresh)
        self.step("Look at it without exposing it", self.inspect)
        self.step("The job is done: revoke it", self.retire)

    def rehearse(self) -> None:
        rows = self.playbook("--check")
        self.expect("the check run lists two tokens to revoke", outcomes(rows)["revoked"] == 2)
        self.expect("the check run sent no write", not self.simulator.writes())

    def ad_hoc(self) -> None:
        rows = self.command({"NOMBA_ACCESS_TOKEN": self.lost})
        self.expect("the token was revoked and proved dead", states(rows) == {("revoked", True)})
        self.expect("the API refuses it", not self.simulator.accepts(self.lost))

    def sweep(self) -> None:
        rows = self.playbook()
        logged = [row for row in rows if row.outcome == "revoked"]
        self.expect("the token in the log was revoked", [row.verified for row in logged] == [True])
        self.expect("the log file is named", all("app.log" in row.found for row in logged))
        self.expect("the first one was dead already", outcomes(rows)["already_revoked"] == 1)
        self.expect("the expired one was skipped", outcomes(rows)["expired"] == 1)
        self.expect("no token is alive", not self.simulator.live())

    def sweep_again(self) -> None:
        rows = self.playbook(expect_changed=False)
        self.expect("nothing was revoked", outcomes(rows)["revoked"] == 0)
        self.expect("no write was sent", not self.simulator.writes())

    def issue(self) -> None:
        result = self.keep()
        self.expect("a token was issued into the file", result["action"] == "issued")
        mode = stat.S_IMODE(self.kept.stat().st_mode)
        self.expect("only its owner can read the file", mode == stat.S_IRUSR | stat.S_IWUSR)
        self.expect("the output does not hold it", "access_token" not in result)

    def leave(self) -> None:
        result = self.keep()
        self.expect("the token was kept", (result["action"], result["changed"]) == ("kept", False))
        self.expect("no write was sent", not self.simulator.writes())

    def refresh(self) -> None:
        result = self.keep("min_remaining=3600", "revoke_replaced=true")
        self.expect("the token was refreshed", result["action"] == "refreshed")
        replaced = [(row["outcome"], row["verified"]) for row in result["replaced"]]
        self.expect("the one it replaced is proved dead", replaced == [("revoked", True)])
        self.expect("one token is alive", self.simulator.live() == [result["fingerprint"]])

    def inspect(self) -> None:
        result = self.module("nomba_token_info", f"sources={self.kept}", "probe=true")
        (row,) = result["results"]
        print(f"  {row['fingerprint']} {row['class']}, {row['probe']}, roles {row['roles']}")
        self.expect("the API takes it", row["probe"] == "accepted")
        self.expect("no write was sent", not self.simulator.writes())

    def retire(self) -> None:
        result = self.module("nomba_token_revoke", f"sources={self.kept}")
        self.expect("it is verified dead", result["results"][0]["verified"] is True)
        self.expect("no token is alive", not self.simulator.live())

    def keep(self, *words: str) -> dict[str, Any]:
        """Make sure that the file holds a good token."""
        result = self.module(
            "nomba_token", f"dest={self.kept}", *words, secrets=self.operator.secret
        )
        print(f"  {result['fingerprint']} {result['action']}, usable until {result['expires_at']}")
        return result

    def command(self, secrets: Mapping[str, str]) -> list[Row]:
        """Revoke from the command line. Secrets come by environment, never by argument."""
        result = self.module("nomba_token_revoke", secrets=secrets)
        rows = [
            Row(r["fingerprint"], r["outcome"], "verified" if r["verified"] else "not verified", "")
            for r in result["results"]
        ]
        return show(rows)

    def module(
        self, name: str, *words: str, secrets: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """A module from the command line, and its result."""
        line = ["ansible", "localhost", "-m", f"nomba.auth.{name}"]
        arguments = ["-a", " ".join(words)] if words else []
        output = self.operator.execute([*line, *arguments], secrets or {})
        result: dict[str, Any] = json.loads(output[output.index("{") :])
        return result

    def playbook(self, *flags: str, expect_changed: bool = True) -> list[Row]:
        """The collection's playbook, aimed at the folder."""
        variables = json.dumps({"nomba_sources": [str(self.sources)]})
        line = ["ansible-playbook", "nomba.auth.revoke", "-e", variables, *flags]
        output = self.operator.execute(line, {})
        changed = "changed=1" in output
        self.expect(f"the run reports changed={expect_changed}", changed is expect_changed)
        rows = [Row(m[1], m[2], m[3], m[4]) for m in _ROW.finditer(output)]
        return show(rows)


def show(rows: list[Row]) -> list[Row]:
    """Print a table a person can read."""
    print(_LINE.format("token", "outcome", "", "found in"))
    for row in rows:
        print(_LINE.format(row.fingerprint, row.outcome, row.proof, Path(row.found).name))
    return rows


def outcomes(rows: Sequence[Row]) -> dict[str, int]:
    """How many tokens came to each outcome."""
    kinds = [row.outcome for row in rows]
    return {kind: kinds.count(kind) for kind in ("revoked", "already_revoked", "expired")}


def states(rows: Sequence[Row]) -> set[tuple[str, bool]]:
    """What the tokens came to, with and without proof."""
    return {(row.outcome, row.verified) for row in rows}
