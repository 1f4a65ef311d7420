# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nomba_token_info: what it returns, what it never returns, and which requests it sends."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.modules import nomba_token_info
from tests.simulator.control_client import ControlClient
from tests.simulator.settings import OTHER_ACCOUNT_ID, SUB_ACCOUNT_ID
from tests.simulator.tokens import fingerprint
from tests.unit.clock import FastClock

from .canary import make_canary
from .harness import ModuleResult, run_module
from .request_log import ONE_DEAD_TOKEN, controls, operations

ANSIBLES_OWN = {"changed", "failed", "msg", "diff", "invocation", "warnings", "deprecations"}
ROW = {"fingerprint", "class", "issued_at", "expires_at", "expires_in", "account", "roles"}


class Info:
    """nomba_token_info against the simulator; None leaves an option out."""

    def __init__(
        self, simulator: ControlClient, clock: FastClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.simulator = simulator
        self.clock = clock
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(nomba_token_info, "SYSTEM", clock.as_clock())

    def __call__(self, *tokens: str, check: bool = False, **options: Any) -> ModuleResult:
        options.setdefault("api_url", self.simulator.url)
        options.setdefault("ca_path", self.simulator.ca_path)
        if tokens:
            options["access_tokens"] = list(tokens)
        options.update(_ansible_check_mode=check)
        given = {name: value for name, value in options.items() if value is not None}
        return run_module(nomba_token_info.main, given, self.monkeypatch)

    def probe(self, *tokens: str, **options: Any) -> ModuleResult:
        """The same with a probe for the simulator's account."""
        options.setdefault("account_id", self.simulator.account_id)
        return self(*tokens, probe=True, **options)


@pytest.fixture
def info(simulator: ControlClient, clock: FastClock, monkeypatch: pytest.MonkeyPatch) -> Info:
    """The module, with options for a reset simulator."""
    for name in ("ACCESS_TOKEN", "ACCOUNT_ID", "CLIENT_ID", "BASE_URL"):
        monkeypatch.delenv(f"NOMBA_{name}", raising=False)
    return Info(simulator, clock, monkeypatch)


def probes(module_result: ModuleResult) -> list[str]:
    """What the probes showed, in order."""
    return [row["probe"] for row in module_result["results"]]


# What is returned


def test_live_token_is_returned_in_full(info: Info) -> None:
    made = info.simulator.mint_pair(claims={"iat": 1700000000, "exp": 1999999999})
    left = 1999999999 - info.clock.as_clock().now()
    row = dict(info(made["access_token"]).row)
    assert row.pop("expires_in") == pytest.approx(left, abs=60)
    assert row == {
        "fingerprint": made["fingerprint"],
        "class": "live",
        "issued_at": "2023-11-14T22:13:20Z",
        "expires_at": "2033-05-18T03:33:19Z",
        "account": info.simulator.account_id,
        "roles": ["VENDOR_API_ADMIN"],
        "found_in": [],
    }


def test_expired_token_has_a_negative_time_left(info: Info) -> None:
    row = info(info.simulator.mint(age=7200, lifetime=3600)).row
    assert row["class"] == "expired"
    assert -3660 < row["expires_in"] <= -3599
    assert row["account"] == info.simulator.account_id


def test_undated_token_has_no_end(info: Info) -> None:
    row = info(info.simulator.mint(claims={"exp": None, "iat": None})).row
    assert row["class"] == "undated"
    assert (row["issued_at"], row["expires_at"], row["expires_in"]) == (None, None, None)
    assert row["roles"] == ["VENDOR_API_ADMIN"]


@pytest.mark.parametrize("text", ["no token", "a.b.c", "x" * 9000])
def test_malformed_token_has_only_a_fingerprint(info: Info, text: str) -> None:
    module_result = info(text)
    nothing = dict.fromkeys(("issued_at", "expires_at", "expires_in", "account"))
    row = {"fingerprint": fingerprint(text), "class": "malformed", "roles": [], "found_in": []}
    assert module_result.row == {**row, **nothing}
    assert not module_result.failed


@pytest.mark.parametrize(
    ("past", "leeway", "kind"), [(200, 300, "live"), (400, 300, "expired"), (200, 0, "expired")]
)
def test_leeway_moves_the_class_and_not_the_time_left(
    info: Info, past: int, leeway: float, kind: str
) -> None:
    token = info.simulator.mint(claims={"exp": int(info.clock.as_clock().now()) - past})
    row = info(token, leeway=leeway).row
    assert row["class"] == kind
    assert row["expires_in"] < 0


def counts(module_result: ModuleResult) -> tuple[int, int, int]:
    """Return the number of tokens, files and other JWTs."""
    summary = module_result["summary"]
    return summary["tokens"], summary["files"], summary["other_jwts"]


def test_rows_are_distinct_and_in_the_given_order(info: Info) -> None:
    one, two, three = info.simulator.mint_many(3)
    module_result = info(two, f"Bearer {one}", "no token", two, access_token=three)
    names = [fingerprint(text) for text in (three, two, one, "no token")]
    assert [row["fingerprint"] for row in module_result["results"]] == names
    assert counts(module_result) == (4, 0, 0)


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
@pytest.mark.parametrize("probe", [False, True], ids=["no probe", "probe"])
def test_nothing_is_ever_changed(info: Info, check: bool, probe: bool) -> None:
    token = info.simulator.mint()
    module_result = info(token, check=check, probe=probe, account_id=info.simulator.account_id)
    assert (module_result["changed"], module_result.failed) == (False, False)
    assert module_result.row.get("probe") == ("accepted" if probe else None)
    assert info.simulator.accepts(token)
    assert info.simulator.writes() == []


def test_check_mode_returns_the_same(info: Info) -> None:
    token = info.simulator.mint(claims={"exp": 1600000000})
    real, check = info.probe(token).row, info.probe(token, check=True).row
    ticks = {"expires_in"}
    assert {k: v for k, v in real.items() if k not in ticks} == {
        k: v for k, v in check.items() if k not in ticks
    }


@pytest.mark.parametrize("probe", [False, True], ids=["no probe", "probe"])
def test_no_address_and_no_token_is_ever_shown(info: Info, tmp_path: Path, probe: bool) -> None:
    given, found = make_canary(info.simulator), make_canary(info.simulator)
    (tmp_path / "log").write_text(f"token={found.token}\n")
    account = info.simulator.account_id
    module_result = info(given.token, sources=[str(tmp_path)], probe=probe, account_id=account)
    assert len(module_result["results"]) == 2
    assert given.leaks(module_result.output) == []
    assert found.leaks(module_result.output) == []
    assert "@" not in module_result.output


def test_api_that_echoes_what_it_is_sent_shows_no_token(info: Info) -> None:
    canary = make_canary(info.simulator)
    info.simulator.fault("balance", "echo", times=0)
    module_result = info.probe(canary.token)
    assert probes(module_result) == ["inconclusive"]
    assert canary.leaks(module_result.output) == []


def test_environment_can_hold_the_token(info: Info, monkeypatch: pytest.MonkeyPatch) -> None:
    token = info.simulator.mint()
    monkeypatch.setenv("NOMBA_ACCESS_TOKEN", token)
    module_result = info()
    assert module_result.row["fingerprint"] == fingerprint(token)
    assert token not in module_result.output


# Sources


def test_tokens_are_found_in_sources(info: Info, tmp_path: Path) -> None:
    one, two = info.simulator.mint_many(2)
    (tmp_path / "a").write_text(f"\n\nX={one}\nY={one}\n")
    (tmp_path / "b").write_text(f'{{"one":"{one}","two":"{two}"}}')
    module_result = info(sources=[str(tmp_path)])
    assert module_result["results"][0]["found_in"] == [
        {"path": str(tmp_path / "a"), "line": 3},
        {"path": str(tmp_path / "b"), "line": 1},
    ]
    assert counts(module_result) == (2, 2, 0)
    assert info.simulator.requests() == []


def test_sources_without_a_token_are_no_failure(info: Info, tmp_path: Path) -> None:
    module_result = info.probe(sources=[str(tmp_path)])
    assert (module_result["results"], module_result.failed, module_result["unread"]) == (
        [],
        False,
        [],
    )
    assert info.simulator.requests() == []


def test_other_jwts_are_counted_and_not_sent(info: Info, tmp_path: Path) -> None:
    other = info.simulator.mint(claims={f"G:{info.simulator.account_id}": None})
    (tmp_path / "log").write_text(other)
    module_result = info.probe(sources=[str(tmp_path)])
    assert counts(module_result) == (0, 1, 1)
    assert "no Nomba account" in module_result.warnings
    assert info.simulator.requests() == []


def test_unread_sources_fail_and_keep_the_results(info: Info, tmp_path: Path) -> None:
    token, missing = info.simulator.mint(), str(tmp_path / "missing")
    (tmp_path / "log").write_text(token)
    module_result = info.probe(sources=[str(tmp_path / "log"), missing])
    assert (module_result.failed, module_result.error, module_result["changed"]) == (
        True,
        "source_unread",
        False,
    )
    assert module_result["unread"] == [{"path": missing, "reason": "No such file or directory"}]
    assert probes(module_result) == ["accepted"]
    assert missing in module_result["msg"]


# The probe


def test_without_a_probe_nothing_is_sent(info: Info) -> None:
    module_result = info(info.simulator.mint(), account_id=info.simulator.account_id)
    assert "probe" not in module_result.row
    assert "reason" not in module_result.row
    assert info.simulator.requests() == []


def test_token_that_the_api_accepts_is_accepted(info: Info) -> None:
    token = info.simulator.mint()
    module_result = info.probe(token)
    assert probes(module_result) == ["accepted"]
    assert operations(info.simulator, fingerprint(token)) == ["balance"]
    assert operations(info.simulator) == ["balance", "balance"]
    assert len(controls(info.simulator)) == 1


def test_token_that_the_api_rejects_is_rejected(info: Info) -> None:
    dead = info.simulator.mint_many(3, known=False)
    module_result = info.probe(*dead)
    assert probes(module_result) == ["refused"] * 3
    assert not module_result.failed
    for token in dead:
        assert operations(info.simulator, fingerprint(token)) == ONE_DEAD_TOKEN


def test_expired_token_is_probed(info: Info) -> None:
    looks_dead = info.simulator.mint(claims={"exp": 1600000000})
    module_result = info.probe(looks_dead, info.simulator.mint(age=7200, lifetime=3600))
    assert [row["class"] for row in module_result["results"]] == ["expired", "expired"]
    assert probes(module_result) == ["accepted", "refused"]


INCONCLUSIVE: list[dict[str, Any]] = [
    {"kind": "status", "status": 403},
    {"kind": "status", "status": 500},
    {"kind": "html", "status": 401},
    {"kind": "html", "status": 200},
    {"kind": "html", "status": 502},
    {"kind": "redirect"},
    {"kind": "reset"},
    {"kind": "no_code"},
    {"kind": "empty"},
    {"kind": "not_object"},
]


def test_answer_that_settles_nothing_is_inconclusive(info: Info) -> None:
    tokens = info.simulator.mint_many(len(INCONCLUSIVE))
    for token, fault in zip(tokens, INCONCLUSIVE):
        info.simulator.fault("balance", **fault, times=0, fingerprint=fingerprint(token))
    result = info.probe(*tokens)
    assert probes(result) == ["inconclusive"] * len(INCONCLUSIVE)
    assert all(row["reason"] for row in result["results"])
    assert not result.failed
    assert info.simulator.writes() == []


@pytest.mark.parametrize("account", [OTHER_ACCOUNT_ID, SUB_ACCOUNT_ID], ids=["other", "sub"])
def test_token_of_another_account_is_probed_with_both_accounts(info: Info, account: str) -> None:
    live, dead = info.simulator.mint(), info.simulator.mint(known=False)
    module_result = info.probe(live, dead, account_id=account)
    assert probes(module_result) == ["accepted", "refused"]
    for token in (live, dead):
        asked = info.simulator.requests(fingerprint=fingerprint(token))
        assert [entry.account_id for entry in asked] == [account, info.simulator.account_id]
    assert info.simulator.writes() == []


@pytest.mark.parametrize("account", [OTHER_ACCOUNT_ID, SUB_ACCOUNT_ID], ids=["other", "sub"])
def test_refusal_that_may_be_about_the_account_is_inconclusive(info: Info, account: str) -> None:
    token = info.simulator.mint(claims={f"G:{info.simulator.account_id}": None})
    module_result = info.probe(token, account_id=account)
    assert probes(module_result) == ["inconclusive"]
    assert info.simulator.accepts(token)
    assert info.simulator.writes() == []


def test_on_a_host_that_accepts_any_token_the_probe_is_meaningless(info: Info) -> None:
    info.simulator.configure(sandbox=True)
    module_result = info.probe(info.simulator.mint(), info.simulator.mint(known=False))
    assert probes(module_result) == ["meaningless", "meaningless"]
    assert operations(info.simulator) == ["balance"] * 3


def test_what_is_malformed_is_not_sent(info: Info) -> None:
    token = info.simulator.mint()
    module_result = info.probe("no token", token[:-3])
    assert probes(module_result) == ["inconclusive", "inconclusive"]
    assert info.simulator.requests() == []


def test_live_and_dead_tokens_are_distinguished_and_nothing_is_written(info: Info) -> None:
    live, dead = info.simulator.mint_many(20), info.simulator.mint_many(10, known=False)
    module_result = info.probe(*live, *dead, "no token", concurrency=8)
    assert probes(module_result) == ["accepted"] * 20 + ["refused"] * 10 + ["inconclusive"]
    assert Counter(operations(info.simulator)) == {"balance": 20 + 2 * 10 + 1}
    assert len(info.simulator.live()) == 20
    assert info.simulator.writes() == []


# Options


def test_only_the_probe_needs_an_account(info: Info) -> None:
    module_result = info(info.simulator.mint(), probe=True)
    assert module_result.failed
    assert "account_id" in module_result["msg"]
    assert not info(info.simulator.mint()).failed
    assert info.simulator.requests() == []


def test_environment_can_hold_the_account(info: Info, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMBA_ACCOUNT_ID", info.simulator.account_id)
    assert probes(info(info.simulator.mint(), probe=True)) == ["accepted"]


@pytest.mark.parametrize("client_id", [None, "0c0c0c0c-2222-4222-8222-bbbbbbbbbbbb", "another"])
def test_client_is_not_needed(info: Info, client_id: str | None) -> None:
    assert probes(info.probe(info.simulator.mint(), client_id=client_id)) == ["accepted"]
    assert not any(entry.client_id for entry in info.simulator.requests())


def test_unusable_option_is_named(info: Info) -> None:
    # All forms: test_bad_input.py, of the same options.
    rows: list[tuple[str, object]] = [
        ("leeway", -1),
        ("account_id", "two words"),
        ("concurrency", 65),
        ("timeout", 0),
        ("deadline", -1),
        ("api_url", "http://api.example"),
        ("ca_path", "/missing/ca.pem"),
    ]
    accepted = []
    for option, value in rows:
        result = info.probe(info.simulator.mint(), **{option: value})
        if result.error != "invalid_option" or not result["msg"].startswith(f"{option}: "):
            accepted.append((option, value, result.output))
    assert accepted == []
    assert info.simulator.requests() == []


def test_run_without_a_token_fails(info: Info) -> None:
    module_result = info()
    assert module_result.error == "no_token"
    assert set(module_result.result) - ANSIBLES_OWN == {"error"}
    assert info(access_token=" ").error == "no_token"


@pytest.mark.parametrize(("name", "library"), [("requests", "requests"), ("jwt", "PyJWT")])
def test_missing_library_is_reported(
    info: Info, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    token = info.simulator.mint()
    monkeypatch.setitem(sys.modules, name, None)
    module_result = info.probe(token)
    assert module_result.error == "library_missing"
    assert f"({library})" in module_result["msg"]
    assert "Traceback" not in module_result["msg"]


def test_without_a_probe_requests_is_not_needed(
    info: Info, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    assert info(info.simulator.mint()).row["class"] == "live"


# Documents


def test_documented_results_are_what_is_returned(info: Info, tmp_path: Path) -> None:
    returned = yaml.safe_load(nomba_token_info.RETURN)
    (tmp_path / "log").write_text(info.simulator.mint())
    module_result = info.probe(sources=[str(tmp_path), str(tmp_path / "missing")])
    assert set(module_result.result) - ANSIBLES_OWN == set(returned)
    contents = {name: set(row["contains"]) for name, row in returned.items()}
    assert set(module_result.row) == contents["results"] == ROW | {"found_in", "probe", "reason"}
    assert set(module_result["summary"]) == contents["summary"]
    assert set(module_result["unread"][0]) == contents["unread"]
    assert set(module_result["error"]) == contents["error"]


def test_documented_types_are_those_of_what_is_returned(info: Info, tmp_path: Path) -> None:
    kinds = {"str": str, "int": int, "list": list, "dict": dict}
    rows = yaml.safe_load(nomba_token_info.RETURN)["results"]["contains"]
    (tmp_path / "log").write_text(info.simulator.mint())
    row = info.probe(sources=[str(tmp_path)]).row
    assert {name: type(value) for name, value in row.items()} == {
        name: kinds[module_result["type"]] for name, module_result in rows.items()
    }
