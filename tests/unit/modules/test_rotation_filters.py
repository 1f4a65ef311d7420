# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that the tasks of a rotation call."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
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
ACTOR = {"run": "here/1/1", "actor": "ada", "host": "controller"}
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
    "a dictionary": CREDENTIAL,
    "no dictionary": {},
    "JSON of another document": json.dumps(CREDENTIAL),
    "JSON of a string": json.dumps(TOKEN),
    "JSON of null": "null",
}


def in_service() -> dict[str, Any]:
    """Return the document of a token in service."""
    document = rotation_step("", "begin", ACTOR, mode="token", why="the store contains no token")
    document = rotation_step(document, "set_pending", ACTOR, credential=CREDENTIAL)
    document = rotation_step(document, "promote", ACTOR, hosts=["a", "b"])
    return rotation_step(document, "finish", ACTOR, results=[])


def planned(document: object, **settings: Any) -> dict[str, Any]:
    """Return the plan for a token that the API accepts."""
    given = {"max_age": 900.0, "lock_timeout": 600.0, **settings}
    return rotation_plan(document, ACTOR, OWNER, "accepted", "dead", **given)


def rejection(call: Callable[[], object]) -> str:
    """Return the message of a filter error, which must show no token."""
    with pytest.raises(AnsibleFilterError) as caught:
        call()
    assert "eyJ" not in repr(caught.value)
    return str(caught.value)


# Every filter takes a document, and rejects one that is none with the same message.
FILTERS: dict[str, Callable[[object], Any]] = {
    "rotation_step": lambda document: rotation_step(document, "load"),
    "rotation_plan": planned,
}


# The steps


def test_document_is_read_in_any_form() -> None:
    document = in_service()
    for write in WRITTEN.values():
        assert rotation_step(write(document), "load") == document
        assert planned(write(document)) == planned(document)


def test_empty_store_is_a_state_without_a_token() -> None:
    for document in NOTHING.values():
        assert rotation_step(document, "load") == {"format": 1, **EMPTY}
        assert planned(document)["why"] == "the store contains no token"


def test_steps_lead_from_an_empty_store_to_a_token_in_service() -> None:
    document = in_service()
    assert document["current"]["access_token"] == TOKEN
    assert document["current"]["fingerprint"] == fingerprint(TOKEN)
    assert (document["pending"], document["previous"], document["rotation"]) == (None, [], None)
    steps = ["begin", "issue", "verify", "publish", "promote", "report"]
    assert [event["step"] for event in document["events"]] == steps
    assert json.loads(json.dumps(document)) == document


def test_step_records_its_actor() -> None:
    document = rotation_step(None, "begin", ACTOR, mode="token", why="it was forced")
    (event,) = document["events"]
    assert document["rotation"]["run"] == ACTOR["run"]
    assert (event["actor"], event["host"], event["detail"]) == (
        "ada",
        "controller",
        "it was forced",
    )
    assert rotation_step(None, "finish", results=[]) == {"format": 1, **EMPTY}


def test_rolled_back_rotation_keeps_the_old_token() -> None:
    document = rotation_step(in_service(), "begin", ACTOR, mode="token", why="it was forced")
    given = {"failed_step": "issue", "reason": "the API does not answer"}
    document = rotation_step(document, "roll_back", ACTOR, **given)
    assert document["rotation"]["reason"] == "issue: the API does not answer"
    document = rotation_step(document, "finish", ACTOR, results=[])
    assert document["current"] == in_service()["current"] | {"since": document["current"]["since"]}
    assert document["events"][-1]["outcome"] == "rolled_back"


def test_compromised_token_is_retired() -> None:
    document = rotation_step(in_service(), "begin", ACTOR, mode="emergency", why="a leak")
    document = rotation_step(document, "mark_compromised", ACTOR)
    assert (document["current"], len(document["previous"])) == (None, 1)
    fresh = {**CREDENTIAL, "access_token": TOKEN[::-1]}
    document = rotation_step(document, "set_pending", ACTOR, credential=fresh)
    document = rotation_step(document, "promote", ACTOR, hosts=[])
    row = {"fingerprint": fingerprint(TOKEN), "outcome": "revoked", "verified": True}
    document = rotation_step(document, "finish", ACTOR, results=[row])
    assert (document["previous"], TOKEN in json.dumps(document)) == ([], False)


# The plan


def test_plan_is_a_dictionary_without_a_secret() -> None:
    assert planned(in_service()) == {
        "mode": "token",
        "why": "",
        "begin": False,
        "mark_compromised": False,
        "issue": False,
        "rollback": False,
        "blocked": "",
    }


def test_plan_follows_the_options() -> None:
    forced, emergency = planned(in_service(), force=True), planned(in_service(), emergency=True)
    assert (forced["why"], forced["issue"], forced["mark_compromised"]) == (
        "it was forced",
        True,
        False,
    )
    assert (emergency["mode"], emergency["mark_compromised"]) == ("emergency", True)
    assert planned(in_service(), max_age=0.0)["why"] == "the current token is older than 0 s"


def test_plan_waits_for_another_run() -> None:
    other = {**ACTOR, "run": "there/2/2"}
    document = rotation_step(in_service(), "begin", other, mode="token", why="it was forced")
    result = rotation_plan(
        document, ACTOR, OWNER, "accepted", "alive", max_age=900, lock_timeout=600
    )
    assert result["blocked"].startswith("another rotation is active on this machine")
    assert not result["begin"]
    assert planned(document)["begin"]


# Invalid documents: tests/unit/core/test_rotation.py has every form that is no state or damaged.


@pytest.mark.parametrize("name", FILTERS)
def test_text_that_is_no_json_is_rejected_and_not_repeated(name: str) -> None:
    for document in NOT_JSON.values():
        message = rejection(partial(FILTERS[name], document))
        assert message == f"{name}: the store does not contain JSON; is it encrypted?"


@pytest.mark.parametrize("name", FILTERS)
def test_other_document_is_rejected_and_not_repeated(name: str) -> None:
    message = f"{name}: the store contains something else than the state of a rotation"
    messages = {row: rejection(partial(FILTERS[name], value)) for row, value in NO_STATE.items()}
    assert messages == dict.fromkeys(NO_STATE, message)


@pytest.mark.parametrize("name", FILTERS)
def test_damaged_document_is_rejected_and_not_repeated(name: str) -> None:
    document = {key: value for key, value in in_service().items() if key != "current"}
    message = rejection(partial(FILTERS[name], document))
    assert message == f"{name}: the store's document is damaged (KeyError)"


def test_step_out_of_order_is_rejected() -> None:
    # Which steps need a rotation: tests/unit/core/test_rotation.py.
    with pytest.raises(AnsibleFilterError) as caught:
        rotation_step(in_service(), "promote", ACTOR, hosts=["a"])
    assert str(caught.value) == "rotation_step: no rotation has begun"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("credential", [CREDENTIAL, {**CREDENTIAL, "client_id": ""}])
def test_rejected_token_is_not_repeated(credential: dict[str, str]) -> None:
    document = rotation_step(in_service(), "begin", ACTOR, mode="token", why="it was forced")
    with pytest.raises(AnsibleFilterError) as caught:
        rotation_step(document, "set_pending", ACTOR, credential=credential)
    assert str(caught.value).startswith("rotation_step: ")
    assert "eyJ" not in repr(caught.value)


# Wrong arguments

WRONG_STEPS: dict[str, tuple[dict[str, Any], str]] = {
    "no step": ({}, "rotation_step: step: pass one of load, begin, "),
    "unknown step": ({"step": TOKEN}, "rotation_step: step: pass one of load, begin, "),
    "a list for a step": ({"step": ["begin"]}, "rotation_step: step: pass one of "),
    "a text for an actor": ({"step": "load", "actor": TOKEN}, "rotation_step: actor: pass a dict"),
    "nothing given": ({"step": "begin"}, "rotation_step begin: mode: it is missing; pass one of"),
    "unknown mode": (
        {"step": "begin", "mode": TOKEN, "why": ""},
        "rotation_step begin: mode: pass one of token, client, emergency",
    ),
    "another step's": (
        {"step": "mark_compromised", "why": ""},
        "rotation_step mark_compromised: why: no such",
    ),
    "a text for hosts": ({"step": "promote", "hosts": TOKEN}, "rotation_step promote: hosts: pass"),
    "a number for a host": ({"step": "promote", "hosts": [1]}, "rotation_step promote: hosts: "),
    "a word for died": (
        {"step": "promote", "hosts": [], "died": "yes"},
        "rotation_step promote: died: pass true or false",
    ),
    "a token for a credential": (
        {"step": "set_pending", "credential": TOKEN},
        "rotation_step set_pending: credential: pass a dictionary with the strings access_token, ",
    ),
    "a row without an outcome": (
        {"step": "finish", "results": [{"fingerprint": "sha256:0", "verified": True}]},
        "rotation_step finish: results: pass a list, with each element a dictionary",
    ),
    "a row that does not say whether it is verified": (
        {"step": "finish", "results": [{"fingerprint": "sha256:0", "outcome": "revoked"}]},
        "rotation_step finish: results: pass a list, with each element a dictionary",
    ),
}
PLANNED: dict[str, Any] = {
    "actor": ACTOR,
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


def test_step_with_wrong_arguments_is_rejected_in_one_sentence() -> None:
    wrong = {}
    for name, (given, expected) in WRONG_STEPS.items():
        message = rejection(partial(rotation_step, in_service(), **given))
        if not message.startswith(expected):
            wrong[name] = message
    assert wrong == {}


def test_plan_with_a_wrong_or_missing_argument_is_rejected_in_one_sentence() -> None:
    plan = partial(rotation_plan, in_service())
    for name, value in WRONG_PLANS.items():
        message = rejection(partial(plan, **{**PLANNED, name: value}))
        assert message.startswith(f"rotation_plan: {name}: pass ")
    for name in PLANNED:
        given = {key: value for key, value in PLANNED.items() if key != name}
        message = rejection(partial(plan, **given))
        assert message.startswith(f"rotation_plan: {name}: it is missing; pass ")
    message = rejection(partial(plan, **PLANNED, haste=True))
    assert message.startswith("rotation_plan: haste: no such argument")


def test_each_file_holds_the_filter_of_its_name() -> None:
    for file in (plan_file, step_file):
        name = file.__name__.rpartition(".")[2]
        assert file.FilterModule().filters() == {name: getattr(file, name)}
