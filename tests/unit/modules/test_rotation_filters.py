# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rotation's tasks call: the filters of its state, and the lookup that names a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.nomba.auth.plugins.filter import rotation_plan as plan_file
from ansible_collections.nomba.auth.plugins.filter import rotation_step as step_file
from tests.simulator.tokens import fingerprint

rotation_plan, rotation_step = plan_file.rotation_plan, step_file.rotation_step

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.a-signature-of-the-canary"
OWNER = {
    "api_url": "https://api.example",
    "account_id": "8fac83ac-76b0-435f-aa35-8d957dd927dd",
    "client_id": "2242b79d-f2cf-4ccc-ada1-e890bd1a9f0d",
}
HAND = {"run": "here/1/1", "actor": "ada", "host": "controller"}
CREDENTIAL = {**OWNER, "access_token": TOKEN, "expires_at": "2099-01-01T00:00:00Z"}
EMPTY: dict[str, Any] = {
    "current": None,
    "pending": None,
    "previous": [],
    "rotation": None,
    "events": [],
}

WRITTEN: dict[str, Callable[[Any], Any]] = {
    "a dict": lambda document: document,
    "JSON": json.dumps,
    "JSON for people": lambda document: f"\n{json.dumps(document, indent=4)}\n",
    "bytes": lambda document: json.dumps(document).encode(),
    "unsafe": lambda document: wrap_var(json.dumps(document)),
    "an unsafe dict": wrap_var,
}
NOTHING: dict[str, Any] = {"None": None, "empty": "", "blank": " \n", "bytes": b""}
NOT_JSON: dict[str, Any] = {
    "a token": TOKEN,
    "bytes": TOKEN.encode(),
    "no text": b"\xff\xfe",
    "cut short": json.dumps(CREDENTIAL)[:-1],
    "a vault": "$ANSIBLE_VAULT;1.1;AES256\n6162636465",
}
NO_STATE: dict[str, Any] = {
    "another program's": CREDENTIAL,
    "a later format": {"format": 2, **EMPTY, "current": CREDENTIAL},
    "a list": [CREDENTIAL],
    "a string": json.dumps(TOKEN),
    "no list": [],
    "no dictionary": {},
    "zero": 0,
    "false": False,
    "JSON of no list": "[]",
    "JSON of no text": '""',
    "JSON of zero": "0",
    "JSON of nothing": "null",
}


def in_service() -> dict[str, Any]:
    """The document of a token that is in service."""
    document = rotation_step("", "begin", HAND, mode="token", why="the store holds no token")
    document = rotation_step(document, "set_pending", HAND, credential=CREDENTIAL)
    document = rotation_step(document, "promote", HAND, hosts=["a", "b"])
    return rotation_step(document, "finish", HAND, results=[])


def planned(document: object, **settings: Any) -> dict[str, Any]:
    """What to do now, with a token that the API takes."""
    given = {"max_age": 900.0, "lock_timeout": 600.0, **settings}
    return rotation_plan(document, HAND, OWNER, "accepted", "dead", **given)


# Every filter takes a document and says the same of one that is none.
FILTERS: dict[str, Callable[[object], Any]] = {
    "rotation_step": lambda document: rotation_step(document, "load"),
    "rotation_plan": planned,
}


# The steps


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_a_document_is_read_in_any_form(write: Callable[[Any], Any]) -> None:
    document = in_service()
    assert rotation_step(write(document), "load") == document
    assert planned(write(document)) == planned(document)


@pytest.mark.parametrize("document", NOTHING.values(), ids=NOTHING.keys())
def test_nothing_is_a_state_without_a_token(document: object) -> None:
    assert rotation_step(document, "load") == {"format": 1, **EMPTY}
    assert planned(document)["why"] == "the store holds no token"


def test_the_steps_lead_from_nothing_to_a_token_in_service() -> None:
    document = in_service()
    assert document["current"]["access_token"] == TOKEN
    assert document["current"]["fingerprint"] == fingerprint(TOKEN)
    assert (document["pending"], document["previous"], document["rotation"]) == (None, [], None)
    steps = ["begin", "issue", "verify", "publish", "promote", "report"]
    assert [event["step"] for event in document["events"]] == steps
    assert json.loads(json.dumps(document)) == document


def test_a_step_is_done_in_the_hand_that_was_given() -> None:
    document = rotation_step(None, "begin", HAND, mode="token", why="it was forced")
    (event,) = document["events"]
    assert document["rotation"]["run"] == HAND["run"]
    assert (event["actor"], event["host"], event["detail"]) == (
        "ada",
        "controller",
        "it was forced",
    )
    assert rotation_step(None, "finish", results=[]) == {"format": 1, **EMPTY}


def test_a_rotation_that_was_abandoned_leaves_the_old_token() -> None:
    document = rotation_step(in_service(), "begin", HAND, mode="token", why="it was forced")
    given = {"failed_step": "issue", "reason": "the API does not answer"}
    document = rotation_step(document, "roll_back", HAND, **given)
    assert document["rotation"]["reason"] == "issue: the API does not answer"
    document = rotation_step(document, "finish", HAND, results=[])
    assert document["current"] == in_service()["current"] | {"since": document["current"]["since"]}
    assert document["events"][-1]["outcome"] == "rolled_back"


def test_what_is_condemned_is_retired() -> None:
    document = rotation_step(in_service(), "begin", HAND, mode="emergency", why="a leak")
    document = rotation_step(document, "mark_compromised", HAND)
    assert (document["current"], len(document["previous"])) == (None, 1)
    fresh = {**CREDENTIAL, "access_token": TOKEN[::-1]}
    document = rotation_step(document, "set_pending", HAND, credential=fresh)
    document = rotation_step(document, "promote", HAND, hosts=[])
    row = {"fingerprint": fingerprint(TOKEN), "outcome": "revoked", "verified": True}
    document = rotation_step(document, "finish", HAND, results=[row])
    assert (document["previous"], TOKEN in json.dumps(document)) == ([], False)


# The plan


def test_a_plan_is_a_dictionary_without_a_secret() -> None:
    assert planned(in_service()) == {
        "mode": "token",
        "why": "",
        "begin": False,
        "mark_compromised": False,
        "issue": False,
        "rollback": False,
        "blocked": "",
    }


def test_a_plan_follows_the_options() -> None:
    forced, emergency = planned(in_service(), force=True), planned(in_service(), emergency=True)
    assert (forced["why"], forced["issue"], forced["mark_compromised"]) == (
        "it was forced",
        True,
        False,
    )
    assert (emergency["mode"], emergency["mark_compromised"]) == ("emergency", True)
    assert planned(in_service(), max_age=0.0)["why"] == "the current token is older than 0 s"


def test_a_plan_heeds_whoever_is_at_work() -> None:
    other = {**HAND, "run": "there/2/2"}
    document = rotation_step(in_service(), "begin", other, mode="token", why="it was forced")
    result = rotation_plan(
        document, HAND, OWNER, "accepted", "alive", max_age=900, lock_timeout=600
    )
    assert result["blocked"].startswith("another rotation is at work on this machine")
    assert not result["begin"]
    assert planned(document)["begin"]


# What is no document


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("document", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_no_json_is_refused_without_being_repeated(name: str, document: object) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        FILTERS[name](document)
    assert str(caught.value) == f"{name}: the store holds no JSON; is it encrypted?"
    assert "eyJ" not in repr(caught.value)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("write", [WRITTEN["a dict"], WRITTEN["JSON"]], ids=["value", "JSON"])
@pytest.mark.parametrize("document", NO_STATE.values(), ids=NO_STATE.keys())
def test_another_document_is_refused_without_being_repeated(
    name: str, write: Callable[[Any], Any], document: object
) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        FILTERS[name](document if isinstance(document, str) else write(document))
    result = "the store holds something else than the state of a rotation"
    assert str(caught.value) == f"{name}: {result}"
    assert "eyJ" not in repr(caught.value)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("lost", EMPTY)
def test_a_damaged_document_is_refused_without_being_repeated(name: str, lost: str) -> None:
    document = {key: value for key, value in in_service().items() if key != lost}
    with pytest.raises(AnsibleFilterError) as caught:
        FILTERS[name](document)
    assert str(caught.value) == f"{name}: the store's document is damaged (KeyError)"
    assert "eyJ" not in repr(caught.value)


@pytest.mark.parametrize(
    ("step", "given", "result"),
    [
        ("mark_compromised", {}, "no rotation has begun"),
        ("set_pending", {"credential": CREDENTIAL}, "no rotation has begun"),
        ("promote", {"hosts": ["a"]}, "no rotation has begun"),
        ("roll_back", {"failed_step": "issue", "reason": "no answer"}, "no rotation has begun"),
    ],
)
def test_a_step_out_of_order_is_refused(step: str, given: dict[str, Any], result: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        rotation_step(in_service(), step, HAND, **given)
    assert str(caught.value) == f"rotation_step: {result}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("credential", [CREDENTIAL, {**CREDENTIAL, "client_id": ""}])
def test_a_token_that_is_refused_is_not_repeated(credential: dict[str, str]) -> None:
    document = rotation_step(in_service(), "begin", HAND, mode="token", why="it was forced")
    with pytest.raises(AnsibleFilterError) as caught:
        rotation_step(document, "set_pending", HAND, credential=credential)
    assert str(caught.value).startswith("rotation_step: ")
    assert "eyJ" not in repr(caught.value)


# What is no argument

WRONG_STEPS: dict[str, tuple[dict[str, Any], str]] = {
    "no step": ({}, "rotation_step: step: give one of load, begin, "),
    "unknown step": ({"step": TOKEN}, "rotation_step: step: give one of load, begin, "),
    "a list for a step": ({"step": ["begin"]}, "rotation_step: step: give one of "),
    "a text for an actor": ({"step": "load", "actor": TOKEN}, "rotation_step: actor: give a dict"),
    "nothing given": ({"step": "begin"}, "rotation_step begin: mode: it is missing; give one of"),
    "unknown mode": (
        {"step": "begin", "mode": TOKEN, "why": ""},
        "rotation_step begin: mode: give one of token, client, emergency",
    ),
    "another step's": (
        {"step": "mark_compromised", "why": ""},
        "rotation_step mark_compromised: why: no such",
    ),
    "a text for hosts": ({"step": "promote", "hosts": TOKEN}, "rotation_step promote: hosts: give"),
    "a number for a host": ({"step": "promote", "hosts": [1]}, "rotation_step promote: hosts: "),
    "a word for died": (
        {"step": "promote", "hosts": [], "died": "yes"},
        "rotation_step promote: died: give true or false",
    ),
    "a token for a credential": (
        {"step": "set_pending", "credential": TOKEN},
        "rotation_step set_pending: credential: give a dictionary with the texts access_token, ",
    ),
    "a row without an outcome": (
        {"step": "finish", "results": [{"fingerprint": "sha256:0", "verified": True}]},
        "rotation_step finish: results: give a list, and each of it a dictionary with the texts",
    ),
    "a row that does not say whether it is verified": (
        {"step": "finish", "results": [{"fingerprint": "sha256:0", "outcome": "revoked"}]},
        "rotation_step finish: results: give a list, and each of it a dictionary with the texts",
    ),
}
PLANNED: dict[str, Any] = {
    "actor": HAND,
    "owner": OWNER,
    "probe": "accepted",
    "lock_holder": "dead",
    "max_age": 900,
    "lock_timeout": 600,
}
WRONG_PLANS: dict[str, Any] = {
    "actor": {},
    "owner": {**OWNER, "client_id": None},
    "probe": 7,
    "lock_holder": "perhaps",
    "max_age": "900",
    "lock_timeout": float("nan"),
    "force": "yes",
    "emergency": 1,
}


@pytest.mark.parametrize("name", WRONG_STEPS)
def test_a_step_with_wrong_arguments_is_refused_in_one_sentence(name: str) -> None:
    given, result = WRONG_STEPS[name]
    with pytest.raises(AnsibleFilterError) as caught:
        rotation_step(in_service(), **given)
    assert str(caught.value).startswith(result)
    assert "eyJ" not in repr(caught.value)


@pytest.mark.parametrize("name", WRONG_PLANS)
def test_a_plan_with_a_wrong_argument_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^rotation_plan: {name}: give "):
        rotation_plan(in_service(), **{**PLANNED, name: WRONG_PLANS[name]})


@pytest.mark.parametrize("name", PLANNED)
def test_a_plan_that_lacks_an_argument_is_refused_in_one_sentence(name: str) -> None:
    given = {key: value for key, value in PLANNED.items() if key != name}
    with pytest.raises(AnsibleFilterError, match=f"^rotation_plan: {name}: it is missing; give "):
        rotation_plan(in_service(), **given)
    with pytest.raises(AnsibleFilterError, match=r"^rotation_plan: haste: no such argument"):
        rotation_plan(in_service(), **PLANNED, haste=True)


@pytest.mark.parametrize("file", [plan_file, step_file], ids=["plan", "step"])
def test_every_file_holds_the_filter_of_its_name(file: Any) -> None:
    name = file.__name__.rpartition(".")[2]
    assert file.FilterModule().filters() == {name: getattr(file, name)}
