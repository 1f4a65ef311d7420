# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the role credential_rotation: their types, relations and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_dict,
    check_type_float,
    check_type_int,
    check_type_list,
)

from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import SINK
from ansible_collections.nomba.auth.plugins.plugin_utils._variable_names import find_misspelled

PREFIX = "credential_rotation_"
# The variables that the role and the task files of users set.
FACTS = tuple(
    f"{PREFIX}{name}"
    for name in (
        "document",
        "version",
        "next",
        "service",
        "report",
        "status",
        "found_tokens",
        "published",
    )
)

_NOTHING = "Nothing was done."
_TYPES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "max_age": ("a number of seconds", check_type_float),
    "lock_timeout": ("a number of seconds", check_type_float),
    "force": ("true or false", check_type_bool),
    "emergency": ("true or false", check_type_bool),
    "batch": ("a number of hosts", check_type_int),
    "removed_hosts": ("a list of host names", check_type_list),
    "retire_after": ("a number of seconds", check_type_float),
    "token_lifetime": ("a number of seconds", check_type_float),
    "fail_if_due": ("true or false", check_type_bool),
    "verify_only": ("true or false", check_type_bool),
    "env_names": ("a mapping of fields to names of variables", check_type_dict),
    "token_sources": ("a list of files and folders", check_type_list),
    "publish_tasks": ("a list of task files", check_type_list),
}
_CHOICES = {
    "credential": ("client", "access_token"),
    "format": ("env", "json", "template"),
    "store": ("file", "hashi_vault", "custom"),
    "unknown_tokens": ("fail", "adopt"),
}
# Files on the controller.
_FILES = (
    *("template", "reload_tasks", "health_tasks", "read_tasks", "write_tasks"),
    *("find_tokens_tasks", "notify_tasks"),
)
# What a file of a client can contain.
CLIENT_FIELDS = ("client_id", "client_secret", "account_id", "api_url")
MAX_RETIRE_AFTER = 7 * 24 * 3600
_DEFAULT_MAX_AGE = {"client": 90 * 24 * 3600, "access_token": 900}
_REQUIRES = (
    ("format", "template", "template"),
    ("store", "custom", "read_tasks"),
    ("store", "custom", "write_tasks"),
)


def checked_options(given: Any, reads_only: bool = False) -> dict[str, Any]:
    """Return the options with their types. Raises InvalidOption, without the value.

    reads_only: the run sends no request, so that the options of the client can be missing.
    """
    options = {name: "" if value is None else value for name, value in dict(given or {}).items()}
    if options.get("max_age") == "":
        options["max_age"] = _DEFAULT_MAX_AGE.get(str(options.get("credential")), 0)
    for name, (description, convert) in _TYPES.items():
        options[name] = _converted(name, options.get(name), description, convert)
    for name, choices in _CHOICES.items():
        if options.get(name) not in choices:
            raise _invalid(name, f"set one of {', '.join(choices)}")
    for name in set(options) - set(_TYPES):
        options[name] = str(options[name])
    if not reads_only:
        _check_client(options)
    _check_relations(options)
    return {**options, "publish_tasks": _sinks(list(options["publish_tasks"]))}


def target_options(options: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """Return the options with those of the store to which the state is moved.

    What is not given is the same as for the old store. Raises InvalidOption.
    """
    set_ = {name: str(value) for name, value in dict(given or {}).items() if value}
    if options["store"] == "custom":
        problem = "a custom store cannot be moved; use the tools of that store"
        raise _invalid("store", problem)
    if set_.get("store") not in ("file", "hashi_vault"):
        raise InvalidOption("nomba_target_store", f"set file or hashi_vault. {_NOTHING}")
    return {**options, **set_}


def store_name(options: Mapping[str, Any]) -> str:
    """Return a text that identifies the store."""
    if options["store"] == "hashi_vault":
        return f"hashi_vault {options['hashi_vault_mount']}/{options['hashi_vault_path']}"
    return f"{options['store']} {options['dir']}"


def require_known_names(variables: Mapping[str, Any], options: Any) -> None:
    """Raise InvalidOption if a variable of a host looks like a misspelled option of the role."""
    names = {str(name) for name in variables}
    for host in variables["ansible_play_hosts_all"]:
        names.update(str(name) for name in variables["hostvars"][host])
    known = [f"{PREFIX}{name}" for name in dict(options or {})]
    unknown = find_misspelled(names, known, FACTS, PREFIX)
    if unknown:
        raise InvalidOption(
            "variables",
            f"{' '.join(unknown)} {_NOTHING} "
            '"ansible-doc --type role nomba.auth.credential_rotation" lists all options.',
        )


def _converted(name: str, value: Any, description: str, convert: Callable[[Any], Any]) -> Any:
    try:
        result = convert(value)
    except (TypeError, ValueError):
        raise _invalid(name, f"set {description}") from None
    if isinstance(result, (int, float)) and not result >= 0:
        raise _invalid(name, f"set {description}, 0 or more")
    return result


def _check_client(options: Mapping[str, Any]) -> None:
    needed = ["account_id", "client_id"]
    needed += ["client_secret"] * (options["credential"] == "client")
    for name in needed:
        if not options[name]:
            variable = f"the environment variable NOMBA_{name.upper()} of the controller"
            raise _invalid(name, f"set it, or {variable}")


def _check_relations(options: Mapping[str, Any]) -> None:
    for name, value, needed in _REQUIRES:
        if options[name] == value and not options[needed]:
            raise _invalid(needed, f"{PREFIX}{name}={value} needs it; set it")
    if options["credential"] == "client":
        _check_client_options(options)
    else:
        _check_token_options(options)
    if options["old_client_id"] and not options["old_client_secret"]:
        raise _invalid("old_client_secret", f"{PREFIX}old_client_id needs it; set it")
    files = [(name, options[name]) for name in _FILES]
    files += [("publish_tasks", str(path)) for path in options["publish_tasks"]]
    for name, text in files:
        # Ansible searches for a relative path when it loads the file.
        path = Path(text)
        if path.is_absolute() and not path.is_file():
            problem = f"{path} is not a file on the controller, where the play runs"
            raise _invalid(name, f"{problem}; correct the path or create the file")


def _sinks(paths: list[Any]) -> dict[str, str]:
    """Return the task file of each sink, by the name of the sink."""
    named = {f"{SINK}{Path(str(path)).stem}": str(path) for path in paths}
    if len(named) < len(paths):
        raise _invalid("publish_tasks", "two files have the same name; rename one of them")
    return named


def _check_client_options(options: Mapping[str, Any]) -> None:
    if options["force"]:
        problem = f"a client is not issued, so it cannot be forced; set {PREFIX}client_id"
        raise _invalid("force", f"{problem} and {PREFIX}client_secret to the next client")
    if options["retire_after"] > MAX_RETIRE_AFTER:
        raise _invalid("retire_after", f"set at most {MAX_RETIRE_AFTER} s, which is 7 days")
    names = options["env_names"]
    unknown = sorted(set(names) - set(CLIENT_FIELDS))
    if unknown or "client_secret" not in names:
        fields = ", ".join(CLIENT_FIELDS)
        raise _invalid("env_names", f"set client_secret and no other field than {fields}")
    for name in names.values():
        if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
            raise _invalid("env_names", "set names of variables, such as NOMBA_CLIENT_SECRET")
    if len(set(names.values())) < len(names):
        raise _invalid("env_names", "two fields have the same variable; give each one its own")


def _check_token_options(options: Mapping[str, Any]) -> None:
    names = ("verify_only", "token_sources", "find_tokens_tasks", "publish_tasks", "retire_after")
    for name in names:
        if options[name]:
            raise _invalid(name, f"it applies to {PREFIX}credential=client only; omit it")


def _invalid(name: str, problem: str) -> InvalidOption:
    return InvalidOption(f"{PREFIX}{name}", f"{problem}. {_NOTHING}")
