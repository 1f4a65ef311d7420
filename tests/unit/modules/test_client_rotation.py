# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a rotation of clients: verify, publish, grace period, found tokens, retire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._incident_report import (
    Made,
    markdown,
    rotation_document,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Credential,
    Host,
    Kind,
    State,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import (
    ClientAnswer,
    StepFailed,
)
from tests.unit.clock import NOW
from tests.unit.core.rotation_factory import FOREIGN, MARKS, OLD, OWNER, issued
from tests.unit.core.rotation_factory import NEW as LATER
from tests.unit.tables import each_row

from .test_rotation_run import HOSTS, Play

OLD_PAIR = {"client_id": "0c0c", "client_secret": "the old secret/=="}
NEW_PAIR = {"client_id": "0d0d", "client_secret": "the new secret+=="}
OLD_MARK, NEW_MARK = (fingerprint(one["client_secret"]) for one in (OLD_PAIR, NEW_PAIR))
VERIFIED_AT = NOW - 5
GOOD = ClientAnswer("issued", "accepted", issued_at=VERIFIED_AT, lifetime=3600)
REFUSED = ClientAnswer("unknown_client")
CHECK_OLD, CHECK_NEW = f"check_client 0c0c {OLD_MARK}", f"check_client 0d0d {NEW_MARK}"


class Rotation(Play):
    """A rotation to NEW_PAIR; every file contains OLD_PAIR, which the API refuses at the end."""

    def __init__(self, state: State | None = None, **more: Any) -> None:
        given = {"client": NEW_PAIR, "kind": Kind.CLIENT, **more}
        super().__init__(state, **given)
        wanted = fingerprint(given["client"]["client_secret"])
        self.settings = replace(
            self.settings, options=replace(self.settings.options, client=wanted)
        )
        self.control.clients = {
            NEW_PAIR["client_secret"]: GOOD,
            OLD_PAIR["client_secret"]: REFUSED,
        }
        self.held: dict[str, Mapping[str, str]] = dict.fromkeys(HOSTS, OLD_PAIR)

    def inspect(self, **found: Any) -> None:
        """Inspect the hosts, as the action does."""
        known = self.values.get("known", [])
        for name, pair in self.held.items():
            mark = fingerprint(pair["client_secret"])
            if mark not in known:
                self.values.put(f"unknown {name}", [pair])
            current = self.values.get("credential") or {}
            differs = current.get("client_secret") != pair["client_secret"]
            result = {"fingerprints": [mark], "differs": differs, "error": "", **found}
            self.values.put(f"inspection {name}", result)

    def rotate(self, **found: Any) -> dict[str, Any]:
        """Run all steps; return the report."""
        self.step("load")
        if self.settings.options.emergency:
            self.step("revoke_compromised")
            self.step("revoke_found")
        self.inspect(**found)
        result = self.step("prepare")
        for _round in range(result.rounds):
            result = self.write_hosts(result)
        if result.publish:
            result = self.write_hosts(result)
        if result.due and not self.settings.options.emergency:
            assert self.step("revoke_found").due  # the next task waits for the person
        self.step("retire")
        return self.report()

    def write_hosts(self, result: Any) -> Any:
        for name in result.publish:
            self.held[name] = dict(self.values.get("credential"))
        return super().write_hosts(result)

    def again(self, run: str = "here/2/2") -> None:
        """Begin another run."""
        self.run, self.values, self.control.calls = run, type(self.values)(), []

    @property
    def secrets(self) -> set[str]:
        """The client secrets on the hosts."""
        return {one["client_secret"] for one in self.held.values()}


def credential(pair: Mapping[str, str], **more: Any) -> Credential:
    """Return a client in the document."""
    owner = replace(OWNER, client_id=pair["client_id"])
    since = more.pop("since", NOW - 100)
    return Credential(owner, pair["client_secret"], None, since, kind=Kind.CLIENT, **more)


def test_first_rotation_adopts_verifies_publishes_and_retires() -> None:
    play = Rotation()
    report = play.rotate()
    assert (report["errors"], play.secrets) == ([], {NEW_PAIR["client_secret"]})
    assert play.control.calls == [CHECK_NEW, CHECK_OLD]
    assert play.state.current == credential(NEW_PAIR, since=NOW, issued_at=VERIFIED_AT)
    assert (play.state.previous, play.state.rotation) == ((), None)
    assert ("inspect", "adopted") in play.events
    assert ("retire", "client_refused") in play.events
    assert "may live until 2027-01-15T09:00:00Z" in " ".join(report["lines"])


def test_second_run_changes_nothing() -> None:
    play = Rotation()
    play.rotate()
    document = play.store.document
    play.again()
    report = play.rotate()
    assert (play.control.calls, play.store.document) == ([], document)
    assert report["lines"][0].startswith(f"No change: client 0d0d ({NEW_MARK}) is in service")


@each_row(
    ("answer", "reason"),
    [
        (ClientAnswer("forbidden"), "the API issues no token to the client (forbidden)"),
        (ClientAnswer("not_sent", reason="no route"), "no route"),
        (replace(GOOD, probe="inconclusive"), "(probe: inconclusive)"),
        (replace(GOOD, problem="NOT VERIFIED as revoked: a token"), "NOT VERIFIED as revoked"),
    ],
)
def test_client_that_is_not_verified_is_not_published(answer: ClientAnswer, reason: str) -> None:
    play = Rotation()
    play.control.clients[NEW_PAIR["client_secret"]] = answer
    with pytest.raises(StepFailed, match="Nothing was changed") as caught:
        play.rotate()
    assert reason in str(caught.value)
    assert (play.store.writes, play.published) == (0, [])
    assert play.secrets == {OLD_PAIR["client_secret"]}


def test_unhealthy_host_returns_all_hosts_to_the_old_client() -> None:
    play = Rotation()
    play.sick = {"b": (NEW_MARK,)}
    report = play.rotate()
    assert report["errors"][:2] == [
        "No new client is in service: publish: b: HTTP 503.",
        f"Rolled back: the hosts hold {OLD_MARK} again.",
    ]
    assert play.secrets == {OLD_PAIR["client_secret"]}
    assert (play.control.calls, play.state.previous) == ([CHECK_NEW], ())


def test_failed_rotation_can_be_repeated() -> None:
    play = Rotation()
    play.sick = {"b": (NEW_MARK,)}
    play.rotate()
    play.sick = {}
    play.again()
    assert play.rotate()["errors"] == []
    assert play.secrets == {NEW_PAIR["client_secret"]}


def test_old_client_is_retired_after_the_grace_period_by_a_later_run() -> None:
    play = Rotation(retire_after=0.0)
    play.settings = replace(
        play.settings, options=replace(play.settings.options, retire_after=3600.0)
    )
    report = play.rotate()
    assert (report["errors"], play.control.calls) == ([], [CHECK_NEW])
    assert report["values"]["retire_at"] == {OLD_MARK: "2027-01-15T09:00:00Z"}
    assert "is due at 2027-01-15T09:00:00Z" in " ".join(report["lines"])
    assert [one.secret for one in play.state.previous] == [OLD_PAIR["client_secret"]]
    play.settings = replace(play.settings, options=replace(play.settings.options, retire_after=0.0))
    play.again()
    assert play.rotate()["errors"] == []
    assert (play.control.calls, play.state.previous) == ([CHECK_OLD], ())


def test_way_back_to_a_client_in_its_grace_period() -> None:
    play = Rotation(retire_after=3600.0)
    play.rotate()
    play.control.clients = {one["client_secret"]: GOOD for one in (OLD_PAIR, NEW_PAIR)}
    back = Rotation(play.state, client=OLD_PAIR, retire_after=3600.0)
    back.held = play.held
    back.control.clients = play.control.clients
    report = back.rotate()
    assert (report["errors"], back.secrets) == ([], {OLD_PAIR["client_secret"]})
    assert [one.secret for one in back.state.previous] == [NEW_PAIR["client_secret"]]


def test_old_client_that_still_gets_tokens_stays_in_the_store() -> None:
    play = Rotation()
    play.control.clients[OLD_PAIR["client_secret"]] = GOOD
    report = play.rotate()
    assert report["errors"][0] == (
        f"The old client 0c0c ({OLD_MARK}) still gets tokens; the token just issued is revoked. "
        "Delete the client in Nomba's dashboard, then run again."
    )
    assert [one.secret for one in play.state.previous] == [OLD_PAIR["client_secret"]]
    play.again()
    play.control.clients[OLD_PAIR["client_secret"]] = REFUSED
    assert play.rotate()["errors"] == []
    assert play.state.previous == ()


def test_found_tokens_of_the_old_client_are_revoked_before_it_is_retired() -> None:
    play = Rotation()
    play.values.put("found a", [OLD])
    play.values.put("found", [FOREIGN, LATER])
    play.control.later = (LATER,)
    report = play.rotate()
    assert report["errors"] == []
    assert sorted(play.control.revoked) == sorted([MARKS[OLD], MARKS[FOREIGN]])
    assert play.control.calls[-1] == CHECK_OLD
    assert ("revoke_found", "revoked") in play.events
    assert "1 token(s) that were found were issued after" in " ".join(report["lines"])


def test_report_has_the_id_of_each_client_and_the_locations_of_each_found_token() -> None:
    play = Rotation()
    play.values.put("found a", [OLD])
    play.values.put("locations a", {MARKS[OLD]: [{"path": "/log", "line": 3}]})
    play.values.put("found", [FOREIGN, OLD])
    values = play.rotate()["values"]
    assert values["clients"] == {OLD_MARK: "0c0c", NEW_MARK: "0d0d"}
    cache = {"host": "controller", "path": "credential_rotation_find_tokens_tasks", "line": None}
    assert {one["fingerprint"]: one["found_in"] for one in values["found"]} == {
        MARKS[OLD]: [{"host": "a", "path": "/log", "line": 3}, cache],
        MARKS[FOREIGN]: [cache],
    }
    document = rotation_document({**values, "steps": [], "actor": ""}, Made("", "", ""))
    shown = {one["fingerprint"]: one["client_id"] for one in document["credentials"]}
    assert shown == {OLD_MARK: "0c0c", NEW_MARK: "0d0d", MARKS[OLD]: "", MARKS[FOREIGN]: ""}
    text = markdown(document)
    assert f"| client 0d0d ({NEW_MARK}) | in_service |" in text
    assert "| a /log:3, controller credential_rotation_find_tokens_tasks |" in text
    assert f"may hold client 0d0d ({NEW_MARK})" in text


def test_report_has_a_client_in_its_grace_period() -> None:
    play = Rotation(retire_after=3600)
    report = play.rotate()["values"]
    document = rotation_document({**report, "steps": [], "actor": ""}, Made("", "", ""))
    (replaced,) = [one for one in document["credentials"] if one["outcome"] == "replaced"]
    due = f"it is due at {report['retire_at'][OLD_MARK]}"
    names = ("fingerprint", "client_id", "proved", "reason")
    assert [replaced[name] for name in names] == [OLD_MARK, "0c0c", False, due]


def test_issued_token_that_an_emergency_found_is_in_its_file() -> None:
    play = Rotation(State(credential(OLD_PAIR)), emergency=True, incident="1")
    play.control.file = issued(FOREIGN, client_id="0c0c")
    (found,) = play.rotate()["values"]["found"]
    assert found["found_in"] == [
        {"host": "controller", "path": "issued.json in credential_rotation_dir", "line": None}
    ]


def test_old_client_is_kept_while_one_of_its_tokens_may_be_alive() -> None:
    play = Rotation()
    play.values.put("found a", [OLD])
    play.control.alive = (OLD,)
    report = play.rotate()
    assert report["errors"][0] == f"NOT VERIFIED as revoked: {MARKS[OLD]} (no answer)."
    assert [one.secret for one in play.state.previous] == [OLD_PAIR["client_secret"]]


@pytest.mark.parametrize("unread", [["a: /var/log/x (denied)"], None])
def test_old_client_is_kept_while_a_source_is_unread(unread: list[str] | None) -> None:
    play = Rotation(has_sources=True)
    for name in HOSTS[1:]:
        play.values.put(f"unread {name}", [])
    if unread is not None:
        play.values.put("unread a", unread)
    report = play.rotate()
    expected = "a: /var/log/x (denied)" if unread else "a: it was not searched"
    assert f"Not searched for tokens: {expected}." in report["errors"]
    assert [one.secret for one in play.state.previous] == [OLD_PAIR["client_secret"]]


@each_row(
    ("current", "is_retired"),
    [(GOOD, True), (ClientAnswer("forbidden"), False), (replace(GOOD, problem="alive"), False)],
)
def test_forbidden_is_proof_only_beside_a_request_that_succeeds(
    current: ClientAnswer, is_retired: bool
) -> None:
    play = Rotation(retire_after=3600.0)
    play.rotate()
    later = Rotation(play.state)
    later.held = play.held
    later.control.clients = {
        OLD_PAIR["client_secret"]: ClientAnswer("forbidden"),
        NEW_PAIR["client_secret"]: current,
    }
    report = later.rotate()
    assert later.control.calls == [CHECK_OLD, CHECK_NEW]
    assert (later.state.previous == (), report["errors"] == []) == (is_retired, is_retired)


def test_client_is_never_retired_without_a_search() -> None:
    play = Rotation()
    play.step("load")
    play.inspect()
    play.write_hosts(play.step("prepare"))
    play.step("retire")
    assert play.control.calls == [CHECK_NEW]
    assert [one.secret for one in play.state.previous] == [OLD_PAIR["client_secret"]]
    assert "is not proved to be refused: not attempted" in play.report()["errors"][0]


def test_hosts_with_different_clients_are_refused_until_one_is_chosen() -> None:
    other = {"client_id": "0e0e", "client_secret": "another secret"}
    play = Rotation()
    play.held["c"] = other
    with pytest.raises(StepFailed, match=r"^Clients that are not in the store: .* on c"):
        play.rotate()
    assert (play.store.writes, play.control.calls) == (0, [])
    play.again()
    play.settings = replace(
        play.settings,
        old_client=OLD_PAIR,
        options=replace(play.settings.options, has_old_client=True),
    )
    play.control.clients["another secret"] = REFUSED
    assert play.rotate()["errors"] == []
    assert play.secrets == {NEW_PAIR["client_secret"]}
    assert play.state.previous == ()


def test_rehearsal_verifies_and_changes_nothing() -> None:
    play = Rotation(verify_only=True)
    report = play.rotate()
    assert (report["errors"], play.control.calls) == ([], [CHECK_NEW])
    assert (play.store.writes, play.published) == (0, [])
    play.again()
    play.control.clients[NEW_PAIR["client_secret"]] = ClientAnswer("forbidden")
    failed = play.rotate()
    assert failed["values"]["verdict"].startswith("NOT VERIFIED: the client of the options")
    (error,) = failed["errors"]
    assert error == (
        "The API issues no token to the client (forbidden). Correct credential_rotation_client_id "
        "and credential_rotation_client_secret, then run again."
    )


def test_failed_verification_reports_no_host_of_an_earlier_run() -> None:
    lost = Host((OLD_MARK,), error="it became unreachable")
    play = Rotation(State(credential(OLD_PAIR), hosts={"a": lost, "b": lost}), verify_only=True)
    play.control.clients[NEW_PAIR["client_secret"]] = ClientAnswer("forbidden")
    values = play.rotate()["values"]
    assert values["verdict"].startswith("NOT VERIFIED: the client of the options")
    document = rotation_document({**values, "steps": [], "actor": ""}, Made("", "", ""))
    assert "it became unreachable" not in markdown(document)
    assert (values["host_errors"], values["hosts"][0]["may_hold"]) == ([], [OLD_MARK])


def test_check_mode_sends_nothing_and_says_what_a_run_would_do() -> None:
    play = Rotation(check_mode=True, token_lifetime=10800.0)
    play.step("load")
    play.inspect()
    play.step("prepare")
    play.step("retire")
    assert (play.control.calls, play.store.writes) == ([], 0)
    lines = play.report()["lines"]
    assert "publish it to 3 host(s): a, b, c" in lines[0]
    assert "ends the session of an application" in lines[1]
    assert "meets refusals" in lines[2]


def test_emergency_revokes_found_tokens_first_and_has_no_grace_period() -> None:
    play = Rotation(State(credential(OLD_PAIR)), emergency=True, incident="1", retire_after=86400.0)
    play.values.put("found", [OLD])
    play.values.put("found a", [OLD])
    report = play.rotate()
    assert report["errors"] == []
    assert play.control.calls == [f"revoke 0c0c {MARKS[OLD]}", CHECK_NEW, CHECK_OLD]
    assert (play.state.current, play.state.previous) == (
        credential(NEW_PAIR, since=NOW, issued_at=VERIFIED_AT),
        (),
    )


def test_emergency_refuses_the_compromised_client_after_the_revocation() -> None:
    play = Rotation(State(credential(NEW_PAIR)), emergency=True, incident="1")
    play.held = dict.fromkeys(HOSTS, NEW_PAIR)
    play.values.put("found", [OLD])
    with pytest.raises(StepFailed, match="this client is compromised"):
        play.rotate()
    assert play.control.calls == [f"revoke 0d0d {MARKS[OLD]}"]


@each_row(("client_id", "revoked"), [("0c0c", [MARKS[FOREIGN]]), ("of another store", [])])
def test_emergency_does_not_store_the_issued_token_of_a_rotation_of_tokens(
    client_id: str, revoked: list[str]
) -> None:
    play = Rotation(State(credential(OLD_PAIR)), emergency=True, incident="1")
    play.control.file = issued(FOREIGN, client_id=client_id)
    assert play.rotate()["errors"] == []
    assert play.control.revoked == revoked
    assert (play.state.kind, play.state.previous) == (Kind.CLIENT, ())
    assert play.control.file is not None


def test_emergency_that_excludes_hosts_revokes_and_fails_until_all_are_in_the_run() -> None:
    play = Rotation(State(credential(OLD_PAIR)), emergency=True, incident="1", excludes_hosts=True)
    for first in ("The tokens that were found were revoked, but no new client", "The run excludes"):
        play.values.put("found", [OLD])
        with pytest.raises(StepFailed, match=first) as caught:
            play.rotate()
        assert "Run without --limit and without serial" in str(caught.value)
        assert play.control.calls == [f"revoke 0c0c {MARKS[OLD]}"]
        assert play.state.previous == (credential(OLD_PAIR, compromised=True),)
        assert play.secrets == {OLD_PAIR["client_secret"]}
        play.again()
    play.settings = replace(play.settings, excludes_hosts=False)
    assert play.rotate()["errors"] == []
    assert play.secrets == {NEW_PAIR["client_secret"]}


def test_emergency_fails_while_a_host_outside_the_run_may_hold_the_compromised_client() -> None:
    known = dict.fromkeys((*HOSTS, "d", "sink vault"), Host((OLD_MARK,), in_service=True))
    given: dict[str, Any] = {"emergency": True, "incident": "1", "has_sources": True}
    play = Rotation(State(credential(OLD_PAIR), hosts=known), **given)
    for name in HOSTS:
        play.values.put(f"unread {name}", [])
    errors = " ".join(play.rotate()["errors"])
    assert "Not searched for tokens: d: it was not searched." in errors
    assert "Failed hosts: d: it is not in this run, and may hold a compromised credential" in errors
    assert "sink vault: it is not in this run" in errors
    # The hosts of the run have the new client, and the old one is not forgotten.
    assert play.secrets == {NEW_PAIR["client_secret"]}
    assert [one.fingerprint for one in play.state.previous] == [OLD_MARK]
    gone = Rotation(play.state, removed_hosts=("d", "sink vault"), **given)
    gone.held = play.held
    for name in HOSTS:
        gone.values.put(f"unread {name}", [])
    assert gone.rotate()["errors"] == []
    assert (gone.state.previous, sorted(gone.state.hosts)) == ((), list(HOSTS))


def test_store_of_tokens_is_refused() -> None:
    first = Play()
    first.rotate(**{name: {"fingerprints": [], "differs": True, "error": ""} for name in HOSTS})
    play = Rotation(first.state)
    with pytest.raises(StepFailed, match=r"^credential_rotation_credential: the store contains"):
        play.rotate()


@each_row(("fails", "errors"), [(False, 0), (True, 1)])
def test_client_that_is_due_is_reported(fails: bool, errors: int) -> None:
    play = Rotation(State(credential(NEW_PAIR)), max_age=50.0, fail_if_due=fails)
    play.held = dict.fromkeys(HOSTS, NEW_PAIR)
    report = play.rotate()
    assert "The client 0d0d is older than 50 s." in " ".join(report["lines"])
    assert len([one for one in report["errors"] if "older than" in one]) == errors


def test_run_that_was_killed_while_publishing_is_finished() -> None:
    play = Rotation(batch=1)
    play.step("load")
    play.inspect()
    play.write_hosts(play.step("prepare"))
    play.again()
    report = play.rotate()
    assert (report["errors"], play.secrets) == ([], {NEW_PAIR["client_secret"]})
    assert play.state.previous == ()


def test_rotation_that_was_killed_can_be_taken_back() -> None:
    play = Rotation(batch=1)
    play.step("load")
    play.inspect()
    play.write_hosts(play.step("prepare"))
    back = Rotation(play.state, client=OLD_PAIR)
    back.control.clients[OLD_PAIR["client_secret"]] = GOOD
    back.held = play.held
    report = back.rotate()
    assert back.secrets == {OLD_PAIR["client_secret"]}
    assert report["errors"][0].startswith("No new client is in service: plan: the options name")
    assert (back.state.rotation, back.state.previous) == (None, ())
    back.again()
    assert back.rotate()["errors"] == []


def test_pending_client_is_replaced_by_another_one() -> None:
    play = Rotation(batch=1)
    play.step("load")
    play.inspect()
    play.write_hosts(play.step("prepare"))
    third = {"client_id": "0f0f", "client_secret": "a third secret"}
    other = Rotation(play.state, client=third)
    other.control.clients[NEW_PAIR["client_secret"]] = ClientAnswer("forbidden")
    other.control.clients["a third secret"] = GOOD
    other.held = play.held
    assert other.rotate()["errors"] == []
    assert other.secrets == {"a third secret"}
    assert other.state.previous == ()


def test_no_secret_is_in_a_report() -> None:
    play = Rotation()
    play.values.put("found", [OLD])
    shown = str(play.rotate())
    assert not [
        one for one in (OLD, *(p["client_secret"] for p in (OLD_PAIR, NEW_PAIR))) if one in shown
    ]


# Sinks


def test_sink_is_published_after_the_hosts_and_recorded_like_one() -> None:
    play = Rotation(sinks=("sink vault",), batch=3)
    report = play.rotate()
    assert (report["errors"], play.published) == ([], [list(HOSTS), ["sink vault"]])
    assert play.state.hosts["sink vault"].uses(play.state.current)


def test_failed_sink_returns_all_hosts_and_sinks_to_the_old_client() -> None:
    play = Rotation(State(credential(OLD_PAIR)), sinks=("sink vault",))
    play.sick = {"sink vault": (NEW_MARK,)}
    report = play.rotate()
    assert report["errors"][0] == ("No new client is in service: publish: sink vault: HTTP 503.")
    assert play.secrets == {OLD_PAIR["client_secret"]}
    assert play.held["sink vault"]["client_secret"] == OLD_PAIR["client_secret"]


def test_sink_without_evidence_prevents_the_promotion() -> None:
    play = Rotation(State(credential(OLD_PAIR)), sinks=("sink vault",))
    play.lost = {"sink vault"}
    report = play.rotate()
    assert "sink vault" in " ".join(report["errors"])
    assert CHECK_OLD not in play.control.calls
