# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the role: each invalid value is rejected with a sentence that names the option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_options import (
    PREFIX,
    checked_options,
    require_known_names,
)
from tests.unit.tables import each_row

VALID: dict[str, Any] = {
    "control_host": "localhost",
    "dir": "~/.nomba",
    "api_url": "https://api.example",
    "account_id": "an account",
    "client_id": "a client",
    "client_secret": "",
    "credential": "access_token",
    "verify_only": False,
    "retire_after": 0,
    "token_lifetime": 10800,
    "token_sources": [],
    "publish_tasks": [],
    "find_tokens_tasks": "",
    "notify_tasks": "",
    "report_path": "",
    "fail_if_due": False,
    "env_names": {"client_id": "NOMBA_CLIENT_ID", "client_secret": "NOMBA_CLIENT_SECRET"},
    "max_age": 900,
    "force": False,
    "emergency": False,
    "incident": "",
    "dest": "/etc/nomba/token.env",
    "format": "env",
    "template": "",
    "owner": "",
    "group": "",
    "mode": "0600",
    "batch": 0,
    "reload_tasks": "",
    "health_tasks": "",
    "unknown_tokens": "fail",
    "removed_hosts": [],
    "store": "file",
    "vault_password": "",
    "hashi_vault_mount": "secret",
    "hashi_vault_path": "nomba/credentials",
    "read_tasks": "",
    "write_tasks": "",
    "actor": "",
    "lock_timeout": 600,
    "old_client_id": "",
    "old_client_secret": "",
    "pause": False,
}
NOTHING = "Nothing was done."


def rejection(**changes: Any) -> str:
    """Return the message with which options are rejected."""
    with pytest.raises(InvalidOption) as caught:
        checked_options({**VALID, **changes})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


# Types


def test_valid_options_are_returned() -> None:
    assert checked_options(VALID) == {**VALID, "pause": "False", "publish_tasks": {}}


@each_row(
    ("name", "given", "value"),
    [
        ("max_age", "900", 900.0),
        ("max_age", 0, 0.0),
        ("lock_timeout", "0.5", 0.5),
        ("force", "yes", True),
        ("force", "False", False),
        ("emergency", 1, True),
        ("batch", "3", 3),
        ("removed_hosts", "a,b", ["a", "b"]),
        ("removed_hosts", ["a"], ["a"]),
        ("client_id", 17, "17"),
        ("incident", None, ""),
        ("client_secret", None, ""),
    ],
)
def test_value_is_converted(name: str, given: object, value: object) -> None:
    assert checked_options({**VALID, name: given})[name] == value


SECONDS, BOOLEAN = "set a number of seconds", "set true or false"
VALUE = "eyJ-a-token-in-the-wrong-option"
INVALID: list[tuple[str, Any, str]] = [
    *((name, VALUE, SECONDS) for name in ("max_age", "lock_timeout")),
    *(("lock_timeout", value, SECONDS) for value in ("", None, [])),
    *(
        (name, value, f"{SECONDS}, 0 or more")
        for name in ("max_age", "lock_timeout")
        for value in (-1, "-0.1", "nan")
    ),
    *((name, value, BOOLEAN) for name in ("force", "emergency") for value in (VALUE, "", None, 2)),
    *(("batch", value, "set a number of hosts") for value in (VALUE, "", None, 1.5, "1.5")),
    *(("batch", value, "set a number of hosts, 0 or more") for value in (-1, "-3")),
    *(("removed_hosts", value, "set a list of host names") for value in ({"a": VALUE},)),
    *(("format", value, "set one of env, json, template") for value in (VALUE, "", None, "ENV")),
    *(("store", value, "set one of file, hashi_vault, custom") for value in (VALUE, "", "vault")),
    *(("unknown_tokens", value, "set one of fail, adopt") for value in (VALUE, "", True)),
]


@each_row(("name", "value", "problem"), INVALID)
def test_invalid_value_is_rejected(name: str, value: object, problem: str) -> None:
    message = rejection(**{name: value})
    assert message == f"{PREFIX}{name}: {problem}. {NOTHING}"
    assert VALUE not in message


@each_row("name", ["max_age", "force", "format", "store", "unknown_tokens"])
def test_missing_option_is_rejected(name: str) -> None:
    options = {one: value for one, value in VALID.items() if one != name}
    with pytest.raises(InvalidOption, match=f"^{PREFIX}{name}: set "):
        checked_options(options)


# Relations


@each_row("name", ["account_id", "client_id"])
def test_owner_is_required(name: str) -> None:
    variable = f"the environment variable NOMBA_{name.upper()} of the controller"
    expected = f"{PREFIX}{name}: set it, or {variable}. {NOTHING}"
    assert (rejection(**{name: ""}), rejection(**{name: None})) == (expected, expected)


RELATIONS: list[tuple[dict[str, str], str, str]] = [
    ({"format": "template"}, "template", "format=template"),
    ({"store": "custom", "write_tasks": "w.yml"}, "read_tasks", "store=custom"),
    ({"store": "custom", "read_tasks": "r.yml"}, "write_tasks", "store=custom"),
    ({"old_client_id": "a client"}, "old_client_secret", "old_client_id"),
]


@each_row(("given", "needed", "by"), RELATIONS)
def test_option_that_needs_another_one_is_rejected(
    given: dict[str, str], needed: str, by: str
) -> None:
    assert rejection(**given) == f"{PREFIX}{needed}: {PREFIX}{by} needs it; set it. {NOTHING}"
    assert checked_options({**VALID, **given, needed: "x"})[needed] == "x"


CLIENT = {**VALID, "credential": "client", "client_secret": "a secret"}
CLIENT_PROBLEMS: list[tuple[str, Any, str]] = [
    ("client_secret", "", "set it, or the environment variable NOMBA_CLIENT_SECRET of the"),
    ("force", True, "a client is not issued, so it cannot be forced; set "),
    ("retire_after", 8 * 24 * 3600, "set at most 604800 s, which is 7 days"),
    ("env_names", {"client_id": "A"}, "set client_secret and no other field than client_id, "),
    ("env_names", {"client_secret": "A", "x": "B"}, "set client_secret and no other field than"),
    ("env_names", {"client_secret": "A B"}, "set names of variables, such as NOMBA_CLIENT_SECR"),
    ("env_names", {"client_secret": "A", "client_id": "A"}, "two fields have the same variable; "),
    ("publish_tasks", ["/a/x.yml"], "/a/x.yml is not a file on the controller"),
    ("publish_tasks", ["a/x.yml", "b/x.yml"], "two files have the same name; rename one of them"),
]


@each_row(("name", "value", "problem"), CLIENT_PROBLEMS)
def test_options_of_a_client_are_checked(name: str, value: Any, problem: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        checked_options({**CLIENT, name: value})
    assert str(caught.value).startswith(f"{PREFIX}{name}: {problem}")
    assert str(caught.value).endswith(NOTHING)


def test_options_of_a_client_are_rejected_for_tokens() -> None:
    for name, value in (("verify_only", True), ("token_sources", ["/x"]), ("retire_after", 60)):
        expected = f"{PREFIX}{name}: it applies to {PREFIX}credential=client only; omit it."
        assert rejection(**{name: value}).startswith(expected)


def test_run_that_only_reads_needs_no_client() -> None:
    without = {**CLIENT, "account_id": "", "client_id": "", "client_secret": ""}
    assert checked_options(without, reads_only=True)["client_id"] == ""
    sinks = checked_options({**CLIENT, "publish_tasks": ["tasks/vault.yml"]})["publish_tasks"]
    assert sinks == {"sink vault": "tasks/vault.yml"}


@each_row("name", ["template", "reload_tasks", "health_tasks", "read_tasks", "write_tasks"])
def test_file_that_does_not_exist_is_rejected(tmp_path: Path, name: str) -> None:
    path = tmp_path / "tasks.yml"
    for missing in (path, tmp_path):
        message = rejection(**{name: str(missing)})
        assert message.startswith(f"{PREFIX}{name}: {missing} is not a file on the controller")
        assert message.endswith(f"correct the path or create the file. {NOTHING}")
    path.touch()
    assert checked_options({**VALID, name: str(path)})[name] == str(path)
    path.unlink()


def test_relative_path_is_searched_by_ansible() -> None:
    assert checked_options({**VALID, "reload_tasks": "reload.yml"})["reload_tasks"] == "reload.yml"


# Names


def names(own: dict[str, Any], of_a_host: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of a task in a play with two hosts."""
    hostvars = {"a": {}, "b": of_a_host}
    return {**own, "ansible_play_hosts_all": ["a", "b"], "hostvars": hostvars}


def test_known_names_are_accepted() -> None:
    own = {f"{PREFIX}{name}": "x" for name in VALID}
    facts = {"credential_rotation_document": "{}", "_credential_rotation_run": {}, "nomad": 1}
    require_known_names(names(own, facts), VALID)


@each_row("is_of_a_host", [False, True])
def test_misspelled_name_is_rejected(is_of_a_host: bool) -> None:
    wrong = {"credential_rotation_max_aeg": VALUE}
    variables = names({}, wrong) if is_of_a_host else names(wrong, {})
    with pytest.raises(InvalidOption) as caught:
        require_known_names(variables, VALID)
    message = str(caught.value)
    assert message.startswith(
        "variables: credential_rotation_max_aeg: no such option; did you mean "
        "credential_rotation_max_age? Nothing was done."
    )
    assert VALUE not in message
