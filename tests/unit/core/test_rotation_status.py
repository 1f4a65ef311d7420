# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status of a store and its hosts: one screen, the worst first, and metrics."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._rotation import Inspection
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    Credential,
    Kind,
    State,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_status import Status, status
from tests.unit.clock import NOW
from tests.unit.tables import each_row

from .rotation_factory import (
    FOREIGN,
    HOSTS,
    MARKS,
    NEW,
    OLD,
    OLDEST,
    OWNER,
    held,
    publishing,
    using,
    whole_rotation,
)

pytestmark = pytest.mark.pure

IN_SERVICE = State(held(OLD), hosts={name: using(OLD) for name in HOSTS})
GOOD = Inspection((MARKS[OLD],))


def shown(
    state: State,
    *found: Inspection | None,
    sinks: tuple[str, ...] = (),
    retire_after: float = 86400,
) -> Status:
    """Return the status 20 s after NOW, with what the hosts a, b, ... contain."""
    hosts = dict(zip("abcdefghijklmnopqrstuvwxyz", found))
    return status(state, hosts, sinks, store='a "store"', retire_after=retire_after, now=NOW + 20)


# The state of host b, and the verdict, by what its file contains.
SITUATIONS: dict[str, tuple[Inspection | None, State, str, str]] = {
    "in line": (GOOD, IN_SERVICE, "in line", "IN LINE: 2 of 2 hosts and sinks in line"),
    "unreachable": (
        *(None, IN_SERVICE, "not inspected: it is unreachable"),
        "NOT IN LINE: 1 of 2 hosts and sinks in line",
    ),
    "unreadable": (
        *(Inspection((), error="permission denied"), IN_SERVICE),
        *("not readable: permission denied", "NOT IN LINE: 1 of 2 hosts and sinks in line"),
    ),
    "nothing": (
        *(Inspection(()), IN_SERVICE, "holds no credential"),
        "NOT IN LINE: 1 of 2 hosts and sinks in line",
    ),
    "unknown": (
        *(Inspection((MARKS[FOREIGN],)), IN_SERVICE, "holds an unknown credential"),
        "NOT IN LINE: 1 of 2 hosts and sinks in line",
    ),
    "replaced": (
        Inspection((MARKS[OLDEST],)),
        replace(IN_SERVICE, previous=(held(OLDEST),)),
        "holds another credential of the store",
        "NOT IN LINE: 1 of 2 hosts and sinks in line",
    ),
    "two credentials": (
        *(Inspection((MARKS[OLD], MARKS[FOREIGN])), IN_SERVICE, "holds an unknown credential"),
        "NOT IN LINE: 1 of 2 hosts and sinks in line",
    ),
    "other content": (
        *(Inspection((MARKS[OLD],), differs=True), IN_SERVICE),
        "holds the credential; the rest of its file differs",
        "NOT IN LINE: 1 of 2 hosts and sinks in line",
    ),
    "service not proved": (
        GOOD,
        replace(IN_SERVICE, hosts={"a": using(OLD)}),
        "holds the credential; not proved that its service uses it",
        "NOT IN LINE: 1 of 2 hosts and sinks in line",
    ),
    "open rotation": (
        *(GOOD, publishing(), "in line"),
        "ROTATION OPEN (publishing): 2 of 2 hosts and sinks in line",
    ),
    "not retired": (
        *(GOOD, replace(IN_SERVICE, previous=(held(OLDEST),)), "in line"),
        "NOT RETIRED: 1 of 1 replaced; 2 of 2 hosts and sinks in line",
    ),
    "grace period": (
        *(GOOD, replace(IN_SERVICE, previous=(replace(held(OLDEST), until=NOW),)), "in line"),
        "IN GRACE PERIOD until 2027-01-16T08:00:00Z: 1 replaced; 2 of 2 hosts and sinks in line",
    ),
    "empty store": (
        *(GOOD, State(), "no credential is in the store"),
        "NOTHING STORED: no rotation has finished with this store",
    ),
}


@each_row("name", SITUATIONS)
def test_every_situation_has_its_state_and_verdict(name: str) -> None:
    found, state, expected, verdict = SITUATIONS[name]
    one = shown(state, GOOD, found)
    assert one.values["hosts"][1]["state"] == expected
    assert one.values["verdict"] == one.lines[0] == verdict
    assert "eyJ" not in repr(one)


def test_screen_names_ages_and_puts_the_worst_host_first() -> None:
    state = replace(IN_SERVICE, previous=(replace(held(OLDEST), until=NOW),))
    assert shown(state, GOOD, None).lines == [
        "NOT IN LINE: 1 of 2 hosts and sinks in line",
        f"in service: token {MARKS[OLD]}, 2 min old, expires in 59 min",
        f"replaced: token {MARKS[OLDEST]}, due 2027-01-16T08:00:00Z",
        "b  nothing  not inspected: it is unreachable",
        f"a  {MARKS[OLD]}  in line",
    ]
    done = shown(whole_rotation(), Inspection((MARKS[NEW],)), Inspection((MARKS[NEW],)))
    assert [line for line in done.lines if line.startswith("last success: ")]


def replaced(name: str, after: float, **more: Any) -> Credential:
    """Return a client that was replaced a number of seconds after NOW."""
    owner = replace(OWNER, client_id=name)
    secret = f"the secret of {name}"
    return Credential(owner, secret, None, NOW - 9, kind=Kind.CLIENT, until=NOW + after, **more)


# The verdict, and the line of the first replaced client, by the clients and the grace period.
GRACE: dict[str, tuple[list[Credential], float, str, str]] = {
    "two ends": (
        [replaced("0c0c", 10), replaced("0a0a", 0)],
        3600,
        "IN GRACE PERIOD until 2027-01-15T09:00:00Z: 2 replaced",
        "due 2027-01-15T09:00:10Z",
    ),
    "one is overdue": (
        [replaced("0c0c", 10), replaced("0a0a", -3600)],
        3600,
        "NOT RETIRED: 1 of 2 replaced",
        "due 2027-01-15T09:00:10Z",
    ),
    "its length is not known here": (
        [replaced("0c0c", 10)],
        0,
        "IN GRACE PERIOD: 1 replaced",
        (
            "replaced at 2027-01-15T08:00:10Z; set credential_rotation_retire_after to see when it "
            "is due"
        ),
    ),
    "compromised": (
        [replaced("0c0c", 10, compromised=True)],
        3600,
        "NOT RETIRED: 1 of 1 replaced",
        "compromised, due now",
    ),
}


@each_row("name", GRACE)
def test_grace_period_is_no_failure_until_a_client_is_overdue(name: str) -> None:
    clients, retire_after, verdict, when = GRACE[name]
    state = replace(IN_SERVICE, previous=tuple(clients))
    one = shown(state, GOOD, GOOD, retire_after=retire_after)
    assert one.values["verdict"] == f"{verdict}; 2 of 2 hosts and sinks in line"
    assert one.lines[2] == f"replaced: client 0c0c ({clients[0].fingerprint}), {when}"


def test_client_that_the_api_did_not_refuse_is_overdue_whatever_the_grace_period() -> None:
    client = replaced("0c0c", 0)
    event = {"id": "a 1", "time": "", "step": "retire", "outcome": "issued"}
    events = ({**event, "fingerprints": [client.fingerprint]},)
    one = shown(replace(IN_SERVICE, previous=(client,), events=events), GOOD, GOOD, retire_after=0)
    assert one.values["verdict"].startswith("NOT RETIRED: 1 of 1 replaced; ")
    assert one.lines[2].endswith(", due now")
    assert one.values["retire_at"] == {client.fingerprint: "now"}


def test_sinks_and_forgotten_hosts_are_listed() -> None:
    state = replace(IN_SERVICE, hosts={**IN_SERVICE.hosts, "sink vault": using(OLD)})
    one = shown(state, GOOD, sinks=("sink vault", "sink aws"))
    assert {host["name"]: host["state"] for host in one.values["hosts"]} == {
        "a": "in line",
        "sink vault": "in line",
        "sink aws": "not proved to hold the credential",
        "b": "in the store, and not among these hosts",
    }


def test_many_hosts_fit_on_one_screen() -> None:
    one = shown(IN_SERVICE, *[GOOD] * 26)
    assert len(one.lines) <= 24
    assert one.lines[-1] == "6 more are in hosts of credential_rotation_status."
