# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a run: each reason to rotate or to repair, and each sentence that prevents a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _rotation as rotation
from ansible_collections.nomba.auth.plugins.module_utils._rotation import Inspection
from ansible_collections.nomba.auth.plugins.module_utils._rotation_plan import (
    Plan,
    Situation,
    is_new_emergency,
    plan,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Actor,
    Host,
    Mode,
    Phase,
    State,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from tests.unit.clock import NOW
from tests.unit.tables import each_row

from .rotation_factory import (
    HOSTS,
    MARKS,
    NEW,
    OLD,
    OWNER,
    actor,
    begun,
    emergency,
    held,
    in_progress,
    options,
    using,
    whole_rotation,
)
from .token_factory import ACCOUNT, OTHER_ACCOUNT

pytestmark = pytest.mark.pure

SAME = Inspection((MARKS[OLD],))
FOUND: dict[str, Inspection | None] = dict.fromkeys(HOSTS, SAME)
NO_CHANGE = Plan("repair", "")


def in_service(**changes: Any) -> State:
    """Return a store with a token that all hosts use."""
    return State(replace(held(OLD), **changes), hosts={name: using(OLD) for name in HOSTS})


def found_by(
    hosts: Mapping[str, Inspection | None] | None = None,
    probe: str = "accepted",
    lock_holder: str = "dead",
    excludes_hosts: bool = False,
    unknown: Mapping[str, tuple[str, ...]] | None = None,
) -> Situation:
    """Return what a run found; hosts that use OLD if it is not given."""
    by_name = FOUND if hosts is None else hosts
    return Situation(by_name, excludes_hosts, probe, lock_holder, unknown or {})


def planned(
    state: State, found: Situation | None = None, who: Actor | None = None, **more: Any
) -> Plan:
    """Return the plan of a run with these options."""
    return plan(state, who or actor(), options(**more), found or found_by())


# Reasons to rotate


OTHER_CLIENT = replace(OWNER, client_id="another client")
EXPIRED = show_time(NOW)

REASONS: list[tuple[State, Situation, dict[str, Any], str, str]] = [
    (in_service(), found_by(), {}, "repair", ""),
    (in_service(), found_by(probe="inconclusive"), {}, "repair", ""),
    (in_service(), found_by(probe="meaningless"), {}, "repair", ""),
    (State(), found_by(probe="none"), {}, "token", "the store contains no token"),
    (in_service(), found_by(probe="refused"), {}, "token", "the API refuses the current token"),
    (in_service(), found_by(), {"force": True}, "token", "it was forced"),
    (in_service(), found_by(), {"owner": OTHER_CLIENT}, "client", "the client has changed"),
    (in_service(since=NOW - 899), found_by(), {}, "repair", ""),
    (
        in_service(since=NOW - 900),
        found_by(),
        {},
        "token",
        "the current token is older than 900 s",
    ),
    (in_service(expires_at=EXPIRED), found_by(), {}, "token", "the current token has expired"),
    (in_service(expires_at=show_time(NOW + 1)), found_by(), {}, "repair", ""),
    (in_service(expires_at=None), found_by(), {}, "repair", ""),
    (in_service(expires_at="some day"), found_by(), {}, "repair", ""),
    (
        replace(in_service(), previous=(held(NEW),)),
        found_by(),
        {"adopt_unknown": True, "removed_hosts": ("c",)},
        "repair",
        "",
    ),
]


@each_row(("state", "found", "given", "mode", "why"), REASONS)
def test_reason_to_rotate(
    state: State, found: Situation, given: dict[str, Any], mode: str, why: str
) -> None:
    assert planned(state, found, **given) == Plan(mode, why)


def test_most_severe_reason_to_rotate_is_reported() -> None:
    found, state = found_by(probe="refused"), in_service(since=0)
    options_of_all: dict[str, Any] = {"owner": OTHER_CLIENT, "force": True}
    assert planned(state, found, **options_of_all).why == "the client has changed"
    assert planned(state, found, force=True).why == "the API refuses the current token"
    assert planned(state, force=True).why == "the current token is older than 900 s"


@each_row("client_id", [OWNER.client_id.upper(), f" {OWNER.client_id}\n"], ids=repr)
def test_client_id_is_normalized(client_id: str) -> None:
    assert planned(in_service(), owner=replace(OWNER, client_id=client_id)) == NO_CHANGE


# Reasons to repair


DIFFERS = Inspection((MARKS[OLD],), differs=True)
REPAIRS: list[tuple[dict[str, Host], dict[str, Inspection | None], str]] = [
    ({"a": using(OLD), "b": using(OLD)}, {"a": SAME, "b": DIFFERS}, "the token file differs: b"),
    ({"a": using(OLD)}, {"a": SAME, "b": SAME}, "not proved to use the token: b"),
    (
        {"a": using(OLD), "b": using(OLD, error="HTTP 503")},
        {"a": SAME, "b": SAME},
        "not proved to use the token: b",
    ),
    (
        {"a": using(OLD, NEW), "b": using(NEW)},
        {"a": SAME, "b": SAME},
        "not proved to use the token: a, b",
    ),
    (
        {"a": using(OLD, error="x"), "b": using(OLD)},
        {"a": SAME, "b": DIFFERS},
        "the token file differs: b; not proved to use the token: a",
    ),
]


@each_row(("known", "found", "why"), REPAIRS)
def test_reason_to_repair(
    known: dict[str, Host], found: dict[str, Inspection | None], why: str
) -> None:
    state = replace(in_service(), hosts=known)
    assert planned(state, found_by(found)) == Plan("repair", why)


def test_removed_host_is_a_reason_to_repair() -> None:
    one = planned(in_service(), found_by({"a": SAME}), removed_hosts=("b", "never seen"))
    assert one == Plan("repair", "removed: b")


def test_adopted_token_is_a_reason_to_repair() -> None:
    found = found_by(unknown={MARKS[NEW]: ("a",)})
    assert planned(in_service(), found, adopt_unknown=True) == Plan(
        "repair", "unknown tokens were adopted"
    )


def test_repair_needs_no_client_secret() -> None:
    found = found_by({"a": SAME, "b": DIFFERS})
    assert planned(in_service(), found, has_client_secret=False).blocked == ""


# Resume


@each_row("phase", Phase)
@each_row("mode", Mode)
def test_interrupted_rotation_keeps_its_mode(phase: Phase, mode: Mode) -> None:
    why = f"an earlier run was stopped while it was {phase.value}"
    state = in_progress(phase, mode, run="here/2/2")
    assert planned(state, owner=OTHER_CLIENT, force=True) == Plan(mode.value, why)


@each_row(
    ("reason", "why"), [("", "this run has begun it"), ("issue: no answer", "issue: no answer")]
)
def test_run_that_has_begun_continues(reason: str, why: str) -> None:
    state = in_progress()
    assert state.rotation is not None
    state = replace(state, rotation=replace(state.rotation, reason=reason))
    assert planned(state) == Plan("token", why)


# Emergencies


def test_new_emergency() -> None:
    finished = replace(whole_rotation(), incidents=("INC-1",))
    rows: list[tuple[State, dict[str, Any], bool]] = [
        (in_service(), {}, False),
        (in_service(), {"incident": "INC-1"}, False),
        (in_service(), {"emergency": True}, True),
        (State(), {"emergency": True}, True),
        (in_progress(), {"emergency": True}, True),
        # A killed emergency is resumed.
        (emergency(), {"emergency": True}, False),
        (finished, {"emergency": True}, True),
        (finished, {"emergency": True, "incident": "INC-1"}, False),
        (finished, {"emergency": True, "incident": "INC-2"}, True),
        (emergency(), {"emergency": True, "incident": "INC-2"}, True),
    ]
    results = [is_new_emergency(state, options(**given)) for state, given, __ in rows]
    assert results == [expected for __, __, expected in rows]


# Blocked


FULL = Inspection((MARKS[OLD],), error="no space left on device")
OTHERS: dict[str, Any] = {"account_id": OTHER_ACCOUNT, "api_url": "https://sandbox.example"}
NOTHING = "Nothing was changed."
SERIAL = (
    "The run excludes hosts of the play, but the old credential is retired for all hosts. Nothing "
    "was changed. Run without --limit and without serial; credential_rotation_batch sets the "
    "number of hosts that get the new one at a time."
)
SANDBOX = (
    "credential_rotation_api_url: this API accepts a token that was never issued, as Nomba's "
    "sandbox does, so no revocation can be proved on it. Nothing was changed. Rotate on an API "
    "that checks tokens."
)

BLOCKED: list[tuple[str, State, Situation, dict[str, Any], str]] = [
    ("limit", in_service(), found_by(excludes_hosts=True), {}, SERIAL),
    ("sandbox", in_service(), found_by(probe="meaningless"), {"force": True}, SANDBOX),
    ("sandbox, due", in_service(since=0), found_by(probe="meaningless"), {}, SANDBOX),
    (
        "no client secret",
        in_service(),
        found_by(),
        {"force": True, "has_client_secret": False},
        (
            "A new token requires the client secret (it was forced). Nothing was changed. Set "
            "credential_rotation_client_secret, or the environment variable NOMBA_CLIENT_SECRET of "
            "the controller."
        ),
    ),
    (
        "unknown token",
        in_service(),
        found_by(unknown={MARKS[NEW]: ("a", "b")}),
        {},
        (
            f"Tokens that may be valid and are not in the store: {MARKS[NEW]} on a, b. "
            "Nothing was changed. If this is the wrong store, correct the options of the store; "
            "otherwise set credential_rotation_unknown_tokens=adopt, and they are revoked after "
            "the rotation."
        ),
    ),
    (
        "missing host",
        in_service(),
        found_by({"a": SAME}),
        {},
        (
            "b: the store contains evidence that they got a token, but they are not in this run. "
            "Nothing was changed. Add them to the play, or declare that they no longer use the "
            "token "
            "with credential_rotation_removed_hosts."
        ),
    ),
    (
        "unreachable host",
        in_service(),
        found_by({"a": SAME, "b": None}),
        {},
        (
            "b (unreachable): cannot receive a token. Nothing was changed. Repair the host, or "
            "remove "
            "it from the play."
        ),
    ),
    (
        "file cannot be written",
        in_service(),
        found_by({"a": FULL, "b": SAME}),
        {"force": True},
        (
            "a (no space left on device): cannot receive a token. Nothing was changed. Repair the "
            "host, or remove it from the play."
        ),
    ),
    (
        "dead token, no host can be written",
        in_service(),
        found_by({"a": FULL, "b": None}, probe="refused"),
        {},
        (
            "a (no space left on device), b (unreachable): cannot receive a token. Nothing was "
            "changed. Repair the host, or remove it from the play."
        ),
    ),
    (
        "another account",
        replace(in_service(), current=held(OLD, account_id=OTHER_ACCOUNT)),
        found_by(),
        {"emergency": True},
        (
            "credential_rotation_account_id: the store contains credentials of another one. "
            "Nothing "
            "was changed. Use a separate store for each."
        ),
    ),
    (
        "another API",
        replace(in_progress(), current=None, pending=held(NEW, api_url="https://sandbox.example")),
        found_by(),
        {},
        (
            "credential_rotation_api_url: the store contains credentials of another one. "
            "Nothing was "
            "changed. Use a separate store for each."
        ),
    ),
    (
        "live run on this machine",
        in_progress(run="here/2/2"),
        found_by(lock_holder="alive"),
        {"lock_timeout": 0},
        (
            f"another rotation is active on this machine, begun at {show_time(NOW)} (process "
            "2); wait "
            "until it has ended"
        ),
    ),
    (
        "run on another machine",
        in_progress(run="there/2/2"),
        found_by(lock_holder="elsewhere"),
        {},
        (
            f"another rotation is active on another machine, begun at {show_time(NOW)} (process "
            "2); "
            "its last heartbeat was 0 s ago; wait 600 s more, or set "
            "credential_rotation_lock_timeout "
            "to 0 if it is certainly dead"
        ),
    ),
]


@each_row(
    ("state", "found", "given", "blocked"),
    [row[1:] for row in BLOCKED],
    [row[0] for row in BLOCKED],
)
def test_blocked_run_states_reason_and_remedy(
    state: State, found: Situation, given: dict[str, Any], blocked: str
) -> None:
    assert planned(state, found, **given).blocked == blocked


NOT_BLOCKED: dict[str, tuple[State, Situation, dict[str, Any]]] = {
    "sandbox, not due": (in_service(), found_by(probe="meaningless"), {}),
    "pending token without client secret": (
        in_progress(pending=NEW),
        found_by(),
        {"has_client_secret": False},
    ),
    "adopted token": (
        in_service(),
        found_by(unknown={MARKS[NEW]: ("a",)}),
        {"adopt_unknown": True},
    ),
    "removed host": (in_service(), found_by({"a": SAME}), {"removed_hosts": ("b",)}),
    # Waiting for a host would only prolong the outage of the others.
    "dead token, unreachable host": (
        in_service(),
        found_by({"a": SAME, "b": None}, probe="refused"),
        {},
    ),
    "no token, host that cannot be written": (
        State(),
        found_by({"a": FULL, "b": SAME}, probe="none"),
        {},
    ),
    "emergency, hosts missing and unreachable": (
        emergency(),
        found_by({"a": None}, probe="none", unknown={MARKS[NEW]: ("a",)}),
        {"emergency": True},
    ),
}


@each_row(("state", "found", "given"), NOT_BLOCKED.values(), NOT_BLOCKED.keys())
def test_run_is_not_blocked(state: State, found: Situation, given: dict[str, Any]) -> None:
    assert planned(state, found, **given).blocked == ""


# The lock


@each_row("lock_holder", ["alive", "dead", "elsewhere"])
def test_run_does_not_block_itself(lock_holder: str) -> None:
    assert planned(in_progress(), found_by(lock_holder=lock_holder)).blocked == ""


@each_row("emergency", [False, True])
@each_row("lock_timeout", [0, 600])
def test_live_lock_holder_blocks_other_runs(lock_timeout: float, emergency: bool) -> None:
    given: dict[str, Any] = {"lock_timeout": lock_timeout, "emergency": emergency}
    one = planned(in_progress(run="here/2/2"), found_by(lock_holder="alive"), **given)
    assert one.blocked.startswith("another rotation is active on this machine")


@each_row("lock_holder", ["alive", "elsewhere"])
def test_blocked_run_names_lock_holder(lock_holder: str) -> None:
    state = rotation.begin(in_service(), actor(0, "here.boot/77/1"), "token", "it was forced")
    one = planned(state, found_by(lock_holder=lock_holder), replace(actor(5), actor="bob"))
    assert f"begun by ada at {show_time(NOW)} (process 77)" in one.blocked
    nameless = planned(in_progress(run="there"), found_by(lock_holder=lock_holder))
    assert f", begun at {show_time(NOW)}" in nameless.blocked


def test_dead_lock_holder_does_not_block() -> None:
    assert planned(in_progress(run="here/2/2"), found_by(lock_holder="dead")).blocked == ""


@each_row(("after", "left"), [(0, 600), (1, 599), (599, 1)])
def test_remote_lock_holder_blocks_until_lock_timeout(after: float, left: int) -> None:
    found = found_by(lock_holder="elsewhere")
    one = planned(in_progress(run="there/2/2"), found, actor(after))
    assert f"last heartbeat was {after} s ago; wait {left} s more" in one.blocked
    assert "credential_rotation_lock_timeout" in one.blocked


@each_row(("after", "lock_timeout"), [(600, 600), (601, 600), (0, 0), (1, 0)])
def test_remote_lock_holder_does_not_block_after_lock_timeout(
    after: float, lock_timeout: float
) -> None:
    found = found_by(lock_holder="elsewhere")
    state = in_progress(run="there/2/2")
    assert planned(state, found, actor(after), lock_timeout=lock_timeout).blocked == ""


def test_lock_timeout_starts_at_last_heartbeat() -> None:
    state = rotation.begin(in_progress(), actor(500, "there/2/2"), "token", "it was stopped")
    one = planned(state, found_by(lock_holder="elsewhere"), actor(700))
    assert "last heartbeat was 200 s ago; wait 400 s more" in one.blocked


def test_finished_rotation_does_not_block() -> None:
    found = found_by(dict.fromkeys(HOSTS, Inspection((MARKS[NEW],))), lock_holder="alive")
    assert planned(whole_rotation(), found).blocked == ""


# The owner


@each_row("name", OTHERS)
@each_row("location", ["current", "pending", "previous"])
def test_store_of_another_account_or_api_blocks(name: str, location: str) -> None:
    other: dict[str, Any] = {name: OTHERS[name]}
    states_by_location = {
        "current": State(held(OLD, **other)),
        "pending": replace(in_progress(), current=None, pending=held(NEW, **other)),
        "previous": replace(in_service(), previous=(held(NEW, **other),)),
    }
    one = planned(states_by_location[location], found_by(probe="refused"), emergency=True)
    assert one.blocked.startswith(f"credential_rotation_{name}: the store contains")


@each_row(
    ("name", "value"),
    [
        ("account_id", ACCOUNT.upper()),
        ("account_id", f" {ACCOUNT}\n"),
        ("api_url", f"{OWNER.api_url}/"),
        ("api_url", "HTTPS://API.Example"),
    ],
)
def test_owner_is_normalized(name: str, value: str) -> None:
    same: dict[str, Any] = {name: value}
    assert planned(in_service(), owner=replace(OWNER, **same)) == NO_CHANGE
    assert planned(replace(in_service(), current=held(OLD, **same))) == NO_CHANGE
    assert planned(in_progress(pending=NEW), owner=replace(OWNER, **same)).blocked == ""


@each_row("emergency", [False, True])
def test_plan_omits_tokens(emergency: bool) -> None:
    unknown = {MARKS[NEW]: ("a",)}
    for state in (in_service(), begun(), in_progress(pending=NEW), in_progress(run="there/2/2")):
        for lock_holder in ("alive", "dead", "elsewhere"):
            found = found_by(lock_holder=lock_holder, unknown=unknown)
            assert "eyJ" not in repr(planned(state, found, emergency=emergency))
