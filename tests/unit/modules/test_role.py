# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the role agree with each other, and nothing in them is unused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from .test_documents import MODULES, ROOT, _calls, declared

ROLE = ROOT / "roles" / "credential_rotation"
TASKS = ROLE / "tasks"
PREFIXES = ("credential_rotation_", "_credential_rotation_")
# How the role names a file of the store that was chosen.
OF_A_STORE = re.compile(r"'stores/' ~ credential_rotation_store ~ '/(\w+\.yml)'")
NAME = re.compile(r"(?<![\w.'/])_?credential_rotation_\w+")


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


OPTIONS: dict[str, dict[str, Any]] = _load(ROLE / "meta" / "argument_specs.yml")["argument_specs"][
    "main"
]["options"]
FILES = {path.relative_to(TASKS).as_posix(): _load(path) for path in TASKS.rglob("*.yml")}
PROGRAM = [
    path.read_text(encoding="utf-8")
    for folder in ("tasks", "vars", "templates")
    for path in (ROLE / folder).rglob("*.*")
]


def tasks(name: str) -> Iterator[dict[str, Any]]:
    """Return all tasks and blocks of a file."""
    waiting = list(FILES[name])
    while waiting:
        task = waiting.pop(0)
        yield task
        for part in ("block", "rescue", "always"):
            waiting.extend(task.get(part, []))


def every_task() -> Iterator[dict[str, Any]]:
    """Return all tasks and blocks of the role."""
    for name in FILES:
        yield from tasks(name)


def included(task: Mapping[str, Any]) -> set[str]:
    """Return the files of the role that a task may include."""
    given = task.get("ansible.builtin.include_tasks", task.get("ansible.builtin.import_tasks", ""))
    if "{{" not in given:
        return {given} - {""}
    stores = set(OPTIONS["credential_rotation_store"]["choices"]) - {"custom"}
    kinds = OF_A_STORE.findall(str(task.get("vars", {})))
    return {f"stores/{store}/{kind}" for store in stores for kind in kinds}


def persistent_names(task: Mapping[str, Any]) -> set[str]:
    """Return the variables that a task sets for later tasks."""
    facts = set(task.get("ansible.builtin.set_fact", {})) - {"cacheable"}
    return facts | ({task["register"]} if "register" in task else set())


def local_names(task: Mapping[str, Any]) -> set[str]:
    """Return the variables that a task sets for itself."""
    control = task.get("loop_control", {})
    names = {control[kind] for kind in ("loop_var", "index_var") if kind in control}
    return names | set(task.get("vars", {}))


def test_defaults_are_those_of_the_argument_specs() -> None:
    result = {name: option["default"] for name, option in OPTIONS.items() if "default" in option}
    given = _load(ROLE / "defaults" / "main.yml")
    assert given == result
    assert {name: type(value) for name, value in given.items()} == {
        name: type(value) for name, value in result.items()
    }


def test_option_without_a_default_is_not_among_the_defaults() -> None:
    without = {name for name, option in OPTIONS.items() if "default" not in option}
    assert without
    assert not without & set(_load(ROLE / "defaults" / "main.yml"))
    assert not without & set(_load(ROLE / "vars" / "main.yml"))


def test_options_have_a_type_a_description_and_a_default_among_the_choices() -> None:
    types = ("str", "path", "bool", "int", "float")
    wrong = {
        name
        for name, option in OPTIONS.items()
        if not name.startswith("credential_rotation_")
        or not option["description"]
        or not all(option["description"])
        or option["type"] not in types
        or option.get("default") not in option.get("choices", [option.get("default")])
    }
    assert wrong == set()


def test_every_option_is_used() -> None:
    unused = {
        name for name in OPTIONS if not any(re.search(rf"\b{name}\b", text) for text in PROGRAM)
    }
    assert unused == set()


def test_exactly_the_options_with_secrets_have_no_log() -> None:
    secret = {name for name, option in OPTIONS.items() if option.get("no_log")}
    assert secret
    assert secret == {name for name in OPTIONS if re.search("secret|password|token", name)}


def test_every_included_file_exists() -> None:
    missing = {
        (name, file) for name in FILES for task in tasks(name) for file in included(task)
    } - {(name, file) for name in FILES for file in FILES}
    assert missing == set()


def test_no_task_file_is_unused() -> None:
    reached, waiting = set(), {"main.yml"}
    while waiting:
        reached |= waiting
        waiting = {file for name in waiting for task in tasks(name) for file in included(task)}
        waiting -= reached
    assert reached == set(FILES)


def test_include_by_variable_is_of_a_store_or_an_option() -> None:
    own = re.compile(r"\{\{ (\w+) \}\}")
    for task in every_task():
        given = task.get("ansible.builtin.include_tasks", "")
        if "{{" in given and not included(task):
            (option,) = own.findall(given)
            assert given == f"{{{{ {option} }}}}"
            assert OPTIONS[option]["type"] == "path"


def test_every_variable_begins_with_the_name_of_the_role() -> None:
    names = {name for task in every_task() for name in persistent_names(task) | local_names(task)}
    assert names
    assert not {name for name in names if not name.startswith(PREFIXES)}
    assert all(name.startswith(PREFIXES) for name in _load(ROLE / "vars" / "main.yml"))


def test_every_variable_that_is_read_is_set_somewhere() -> None:
    known = {name for task in every_task() for name in persistent_names(task) | local_names(task)}
    known |= {*OPTIONS, *_load(ROLE / "vars" / "main.yml")}
    used = {name for text in PROGRAM for name in NAME.findall(text)}
    assert used
    assert used <= known


def test_no_option_is_overwritten() -> None:
    names = {name for task in every_task() for name in persistent_names(task) | local_names(task)}
    assert not names & set(OPTIONS)
    assert not set(_load(ROLE / "vars" / "main.yml")) & set(OPTIONS)


def test_tasks_give_a_module_options_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = set()
    for module in MODULES:
        calls = list(_calls(list(FILES.values()), module))
        assert calls, module
        known = declared(module, monkeypatch)
        unknown |= {(module, option) for call in calls for option in call if option not in known}
    assert unknown == set()


def test_every_template_is_of_a_format() -> None:
    named = _load(ROLE / "vars" / "main.yml")["_credential_rotation_templates"]
    assert list(named) == OPTIONS["credential_rotation_format"]["choices"]
    files = {path.name for path in (ROLE / "templates").iterdir()}
    assert {name for name in named.values() if "{{" not in name} == files


def test_every_revoke_of_the_role_includes_expired_tokens_and_requires_proof() -> None:
    calls = list(_calls(list(FILES.values()), "nomba_token_revoke"))
    assert len(calls) == 3
    assert {(call.get("expired"), call.get("proof")) for call in calls} == {("revoke", "required")}


def test_first_task_checks_the_variable_names_on_every_host() -> None:
    assert FILES["main.yml"][0]["ansible.builtin.import_tasks"] == "preflight.yml"
    first = FILES["preflight.yml"][0]
    assert "nomba.auth.unknown_variables" in str(first["vars"])
    assert first["any_errors_fatal"] is True
    assert not {"run_once", "when", "delegate_to"} & set(first)


def test_list_of_facts_is_complete() -> None:
    variables = _load(ROLE / "vars" / "main.yml")
    names = {
        name for task in every_task() for name in persistent_names(task) | local_names(task)
    } | set(variables)
    public = {name for name in names if not name.startswith("_")}
    assert set(variables["_credential_rotation_facts"]) == public
