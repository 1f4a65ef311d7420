# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters: by actor, and in a play."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.nomba.auth.plugins.filter import rotation_plan as plan_file
from ansible_collections.nomba.auth.plugins.filter import rotation_step as step_file
from ansible_collections.nomba.auth.plugins.filter import token_claims as claims_file
from ansible_collections.nomba.auth.plugins.filter import token_fingerprint as fingerprint_file
from ansible_collections.nomba.auth.plugins.module_utils._rotation import STEPS, RotationOptions
from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint

from .canary import hatch

token_claims, token_fingerprint = claims_file.token_claims, fingerprint_file.token_fingerprint
OF_TOKENS: dict[str, Any] = {"token_claims": token_claims, "token_fingerprint": token_fingerprint}
FILTERS: dict[str, Any] = {
    "rotation_plan": plan_file.rotation_plan,
    "rotation_step": step_file.rotation_step,
    **OF_TOKENS,
}
# What the filters of a rotation actor on by name.
HANDED_ON = {
    "rotation_plan": {one.name for one in fields(RotationOptions)} - {"owner"},
    "rotation_step": {
        name for step in STEPS.values() for name in list(inspect.signature(step).parameters)[2:]
    },
}
FOLDER = Path(claims_file.__file__).parent


class Text(str):
    """A string of another class, as Ansible's own are."""

    __slots__ = ()


class Vaulted:
    """An inline !vault value as Ansible before 2.19 hands it over: no str, and one if asked."""

    __ENCRYPTED__ = True

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


FORMS: dict[str, Any] = {
    "plain": lambda token: token,
    "padded": lambda token: f"\n {token} \r\n",
    "Bearer": lambda token: f"Bearer {token}",
    "bearer": lambda token: f"  bearer\t{token}",
    "a class of its own": Text,
    "vaulted": Vaulted,
    "unsafe": wrap_var,
    "unsafe and padded": lambda token: wrap_var(f" Bearer {token}\n"),
}
NO_STRINGS: dict[str, Any] = {
    "None": None,
    "a number": 17,
    "bytes": b"eyJ.eyJ.x",
    "a list": ["eyJ.eyJ.x"],
    "a dict": {"access_token": "eyJ.eyJ.x"},
    "a truth": True,
    "empty": "",
    "blank": " \n",
}


def files() -> list[str]:
    """The names of all filter files."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def module(name: str) -> Any:
    """A filter file, imported."""
    return importlib.import_module(f"ansible_collections.nomba.auth.plugins.filter.{name}")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_fingerprint_is_that_of_the_token_alone(simulator: ControlClient, form: Any) -> None:
    token = simulator.mint()
    assert token_fingerprint(form(token)) == fingerprint(token)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_claims_are_those_that_are_safe_to_show(simulator: ControlClient, form: Any) -> None:
    token = simulator.mint(claims={"iat": 1700000000, "exp": 1999999999})
    result = token_claims(form(token))
    assert set(result) == {"account", "roles", "subject", "iat", "exp"}
    assert (result["account"], result["roles"]) == (simulator.account_id, ["VENDOR_API_ADMIN"])
    assert (result["iat"], result["exp"]) == (1700000000, 1999999999)
    assert "@" not in json.dumps(result)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_all_claims_are_the_payload(simulator: ControlClient, form: Any) -> None:
    canary = hatch(simulator)
    result = token_claims(form(canary.token), all=True)
    assert isinstance(result, dict)
    assert result[f"Email:{canary.email}"] == f"Email:{canary.email}"
    assert canary.sings(json.dumps(token_claims(form(canary.token)))) == []


def test_a_token_that_says_little_has_few_claims(simulator: ControlClient) -> None:
    account = f"G:{simulator.account_id}"
    hidden = dict.fromkeys((account, "R:VENDOR_API_ADMIN", "iat", "exp"))
    result = token_claims(simulator.mint(claims={**hidden, "sub": "someone@leak.example"}))
    nothing = dict.fromkeys(("account", "subject", "iat", "exp"))
    assert result == {**nothing, "roles": []}


@pytest.mark.parametrize("value", NO_STRINGS.values(), ids=NO_STRINGS.keys())
@pytest.mark.parametrize("name", OF_TOKENS)
def test_what_is_no_string_is_refused_in_a_sentence(name: str, value: object) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        FILTERS[name](value)
    assert str(caught.value) == f"{name}: give one token, a string that is not empty"


@pytest.mark.parametrize("all_of_them", [False, True])
@pytest.mark.parametrize("cut", ["{head}", "{head}.{payload}", "x{head}.{payload}.x.x", "{token}="])
def test_what_is_no_jwt_is_refused_without_being_repeated(
    simulator: ControlClient, cut: str, all_of_them: bool
) -> None:
    canary = hatch(simulator)
    head, payload, __ = canary.token.split(".")
    text = cut.format(head=head, payload=payload, token=canary.token)
    with pytest.raises(AnsibleFilterError) as caught:
        token_claims(text, all=all_of_them)
    assert str(caught.value) == "token_claims: this is no JWT whose claims can be read"
    assert canary.sings(repr(caught.value)) == []
    assert text not in repr(caught.value)


def test_a_fingerprint_can_be_had_of_what_is_no_jwt() -> None:
    assert token_fingerprint("no token") == fingerprint("no token")


def test_a_library_that_is_missing_is_asked_for(
    simulator: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = simulator.mint()
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(AnsibleFilterError) as caught:
        token_claims(token)
    result = "token_claims: the Python library PyJWT is not installed on the controller"
    assert str(caught.value) == result
    assert token_fingerprint(token) == fingerprint(token)


# Documents


def test_every_file_holds_the_filter_of_its_name() -> None:
    assert files() == sorted(FILTERS)
    for name in files():
        assert module(name).FilterModule().filters() == {name: FILTERS[name]}


@pytest.mark.parametrize("name", files())
def test_every_filter_is_documented_as_it_is(name: str) -> None:
    result = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    options = result["DOCUMENTATION"]["options"]
    first, *others = inspect.signature(FILTERS[name]).parameters.values()
    assert result["DOCUMENTATION"]["name"] == name
    assert (options.pop("_input")["required"], first.default) == (True, inspect.Parameter.empty)
    named = {one.name: one.default for one in others if one.kind is not one.VAR_KEYWORD}
    assert set(options) == set(named) | HANDED_ON.get(name, set())
    assert {option: options[option].get("default") for option in named} == {
        option: None if default is inspect.Parameter.empty else default
        for option, default in named.items()
    }
    assert set(result) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    assert f"nomba.auth.{name}" in result["EXAMPLES"]
