# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters, called as Ansible calls them."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.nomba.auth.plugins.filter import token_claims as claims_file
from ansible_collections.nomba.auth.plugins.filter import token_fingerprint as fingerprint_file
from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint

from .canary import make_canary

token_claims, token_fingerprint = claims_file.token_claims, fingerprint_file.token_fingerprint
FILTERS: dict[str, Any] = {"token_claims": token_claims, "token_fingerprint": token_fingerprint}
FOLDER = Path(claims_file.__file__).parent


class Text(str):
    """A string of another class, like those of Ansible."""

    __slots__ = ()


class Vaulted:
    """An inline !vault value of Ansible before 2.19: not a str, but str() returns its text."""

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
    """Return the names of all filter files."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def module(name: str) -> Any:
    """Import a filter file."""
    return importlib.import_module(f"ansible_collections.nomba.auth.plugins.filter.{name}")


def test_filters_accept_a_token_in_any_form(simulator: ControlClient) -> None:
    token = simulator.mint(claims={"iat": 1700000000, "exp": 1999999999})
    claims = {
        "account": simulator.account_id,
        "roles": ["VENDOR_API_ADMIN"],
        "subject": token_claims(token)["subject"],
        "iat": 1700000000,
        "exp": 1999999999,
    }
    every = token_claims(token, all=True)
    assert (every["iat"], every["exp"]) == (1700000000, 1999999999)
    assert {
        name: (token_fingerprint(form(token)), token_claims(form(token)))
        for name, form in FORMS.items()
    } == {name: (fingerprint(token), claims) for name in FORMS}
    assert all(token_claims(form(token), all=True) == every for form in FORMS.values())


def test_claims_show_no_address_unless_all_are_requested(simulator: ControlClient) -> None:
    canary = make_canary(simulator)
    assert canary.leaks(json.dumps(token_claims(canary.token))) == []
    assert "@" not in json.dumps(token_claims(canary.token))
    every = token_claims(canary.token, all=True)
    assert isinstance(every, dict)
    assert every[f"Email:{canary.email}"] == f"Email:{canary.email}"


def test_token_with_few_claims_returns_nulls(simulator: ControlClient) -> None:
    account = f"G:{simulator.account_id}"
    hidden = dict.fromkeys((account, "R:VENDOR_API_ADMIN", "iat", "exp"))
    result = token_claims(simulator.mint(claims={**hidden, "sub": "someone@leak.example"}))
    nothing = dict.fromkeys(("account", "subject", "iat", "exp"))
    assert result == {**nothing, "roles": []}


def rejection(call: Callable[[], object]) -> str:
    """Return the message with which a filter rejects its input."""
    with pytest.raises(AnsibleFilterError) as caught:
        call()
    return str(caught.value)


def test_input_that_is_no_string_is_rejected() -> None:
    for name, function in FILTERS.items():
        messages = {row: rejection(partial(function, value)) for row, value in NO_STRINGS.items()}
        message = f"{name}: pass one token, a string that is not empty"
        assert messages == dict.fromkeys(NO_STRINGS, message)


def test_text_that_is_no_jwt_is_rejected_and_not_repeated(simulator: ControlClient) -> None:
    token = simulator.mint()
    head, payload, __ = token.split(".")
    for text in (head, f"{head}.{payload}", f"x{head}.{payload}.x.x", f"{token}="):
        for all_claims in (False, True):
            message = rejection(partial(token_claims, text, all=all_claims))
            assert message == "token_claims: this is not a JWT with readable claims"


def test_text_that_is_no_jwt_has_a_fingerprint() -> None:
    assert token_fingerprint("no token") == fingerprint("no token")


def test_missing_library_is_reported(
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
    assert set(options) == set(named)
    assert {option: options[option].get("default") for option in named} == {
        option: None if default is inspect.Parameter.empty else default
        for option, default in named.items()
    }
    assert set(result) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    assert f"nomba.auth.{name}" in result["EXAMPLES"]
