# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the role agree with each other, and nothing in them is unused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_options import FACTS

from .test_documents import ACTIONS, ROOT, _calls, action

ROLE = ROOT / "roles" / "credential_rotation"
TASKS = ROLE / "tasks"
PREFIXES = ("credential_rotation_", "_credential_rotation_")
# The verbs that begin the name of a task.
VERBS = {
    "Forget",
    "Compare",
    "Make",
    "Move",
    "Search",
    "Find",
    *(
        "Check",
        "Continue",
        "Inspect",
        "Plan",
        "Print",
        "Promote",
        "Publish",
        "Read",
        "Record",
        "Reload",
    ),
    *("Repeat", "Report", "Retire", "Revoke", "Rotate", "Run", "Save", "Wait", "Write"),
}
MAX_EXPRESSION = 160
MAX_SET_FACT = 3
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
    """Return the file of the role that a task includes."""
    given = task.get("ansible.builtin.include_tasks", task.get("ansible.builtin.import_tasks", ""))
    return {given} - {""} if "{{" not in given else set()


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
    types = ("str", "path", "bool", "int", "float", "list", "dict")
    wrong = {
        name
        for name, option in OPTIONS.items()
        if not name.startswith("credential_rotation_")
        or not option["description"]
        or not all(option["description"])
        or option["type"] not in types
        or (option["type"] == "list") != ("elements" in option)
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
    assert secret == {name for name in OPTIONS if re.search("secret|password", name)}


def test_every_included_file_exists() -> None:
    missing = {
        (name, file) for name in FILES for task in tasks(name) for file in included(task)
    } - {(name, file) for name in FILES for file in FILES}
    assert missing == set()


def test_no_task_file_is_unused() -> None:
    starts = {"main.yml", "move_store.yml", "preflight.yml", "status.yml"}  # for tasks_from too
    reached, waiting = set(), starts
    while waiting:
        reached |= waiting
        waiting = {file for name in waiting for task in tasks(name) for file in included(task)}
        waiting -= reached
    assert reached == set(FILES)


def test_include_by_variable_is_of_an_option() -> None:
    own = re.compile(r"\{\{ (\w+) \}\}")
    for task in every_task():
        given = task.get("ansible.builtin.include_tasks", "")
        # The files of sinks are those of the option publish_tasks, which the action checks.
        if "{{" in given and "_sink." not in given and not included(task):
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
    known |= {*OPTIONS, *FACTS, *_load(ROLE / "vars" / "main.yml")}
    used = {name for text in PROGRAM for name in NAME.findall(text)}
    assert used
    assert used <= known


def test_no_option_is_overwritten() -> None:
    names = {name for task in every_task() for name in persistent_names(task) | local_names(task)}
    assert not names & set(OPTIONS)
    assert not set(_load(ROLE / "vars" / "main.yml")) & set(OPTIONS)


def test_tasks_give_an_action_options_that_it_has() -> None:
    for name in (one for one in ACTIONS if one.startswith("nomba_rotation")):
        calls = list(_calls(list(FILES.values()), name))
        assert calls, name
        assert {option for call in calls for option in call} <= set(action(name)["options"])


def test_every_template_is_of_a_format() -> None:
    named = _load(ROLE / "vars" / "main.yml")["_credential_rotation_templates"]
    assert list(named) == OPTIONS["credential_rotation_format"]["choices"]
    files = {path.name for path in (ROLE / "templates").iterdir()}
    assert {name for name in named.values() if "{{" not in name} == files


def test_options_are_passed_to_the_action_by_name() -> None:
    passed = _load(ROLE / "vars" / "main.yml")["_credential_rotation_options"]
    assert {f"credential_rotation_{name}" for name in passed} == set(OPTIONS)
    for name, expression in passed.items():
        optional = "" if "default" in OPTIONS[f"credential_rotation_{name}"] else " | default('')"
        assert expression == f"{{{{ credential_rotation_{name}{optional} }}}}"


def test_facts_are_those_of_the_role_and_of_task_files_of_users() -> None:
    variables = _load(ROLE / "vars" / "main.yml")
    names = {
        name for task in every_task() for name in persistent_names(task) | local_names(task)
    } | set(variables)
    public = {name for name in names if not name.startswith("_")}
    documented = set(re.findall(r"C\((credential_rotation_\w+)\)", str(OPTIONS))) - set(OPTIONS)
    assert set(FACTS) == public | documented


def test_first_action_loads_the_store_and_the_last_one_reports() -> None:
    calls = list(_calls(FILES["main.yml"], "nomba_rotation"))
    assert [call["step"] for call in calls] == ["load", "prepare", "retire", "report", "verdict"]


def test_actions_for_all_hosts_run_once_on_the_control_host() -> None:
    keywords = {
        "run_once": True,
        "delegate_to": "{{ credential_rotation_control_host }}",
        "become": False,
    }
    for task in every_task():
        own = {name: task.get(name) for name in keywords}
        if "nomba.auth.nomba_rotation" in task and task not in FILES["continue_step.yml"]:
            assert own == keywords, task["name"]
    # The tasks that continue a step inherit the keywords of their block.
    (block,) = FILES["save_custom_store.yml"]
    assert {name: block.get(name) for name in keywords} == keywords


def test_keywords_of_a_play_cannot_hide_a_failure() -> None:
    (block,) = FILES["main.yml"]
    names = ("ignore_errors", "ignore_unreachable", "any_errors_fatal")
    assert {name: block[name] for name in names} == dict.fromkeys(names, False)
    reading = FILES["status.yml"]  # which sends and changes nothing
    others = [task for task in every_task() if task is not block and task not in reading]
    inspects = reading[0]["block"]
    assert reading[0]["check_mode"] is True
    assert not [task for task in others if task not in inspects and set(names) & set(task)]


# Readability


def strings(node: Any) -> Iterator[str]:
    """Return all strings below a node."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


def expressions() -> Iterator[str]:
    """Return all Jinja expressions of the role; a condition is one as a whole."""
    documents = [*FILES.values(), *(_load(ROLE / one / "main.yml") for one in ("vars", "defaults"))]
    for text in strings([*documents, OPTIONS]):
        yield from re.findall(r"\{\{.*?\}\}|\{%.*?%\}", text, re.DOTALL)
    for task in every_task():
        yield from strings([task.get(name) for name in ("when", "until", "changed_when")])
    for path in (ROLE / "templates").iterdir():
        yield from re.findall(r"\{\{.*?\}\}", path.read_text(encoding="utf-8"), re.DOTALL)


def test_no_expression_is_long() -> None:
    found = list(expressions())
    assert len(found) > 50
    assert {one for one in found if len(one) > MAX_EXPRESSION} == set()


def test_few_facts_are_set() -> None:
    setting = [task for task in every_task() if "ansible.builtin.set_fact" in task]
    assert len(setting) <= MAX_SET_FACT


def test_every_task_name_begins_with_a_verb() -> None:
    wrong = [
        task.get("name") for task in every_task() if str(task.get("name")).split()[0] not in VERBS
    ]
    assert wrong == []
