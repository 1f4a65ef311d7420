# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents, options, results, codes and action groups agree with the code."""

from __future__ import annotations

import importlib
import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible
import pytest
import yaml
from ansible.module_utils.basic import FILE_COMMON_ARGUMENTS

from ansible_collections.nomba.auth.plugins.action import (
    nomba_fleet_scan,
    nomba_rotation,
    nomba_rotation_host,
)
from ansible_collections.nomba.auth.plugins.doc_fragments import _attributes
from ansible_collections.nomba.auth.plugins.module_utils import _errors
from ansible_collections.nomba.auth.plugins.module_utils._revocation import WORST_FIRST, Outcome
from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import RotationRun
from tests.simulator.settings import SECOND_CLIENT_ID

from .harness import Revoke

ROOT = Path(nomba_token_revoke.__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
# Action plugins without a module, which are documented in a file of their own.
ACTIONS = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.yml"))
# Keys that Ansible adds to every result.
ANSIBLES_OWN = {"changed", "failed", "msg", "diff", "invocation", "warnings", "deprecations"}
VALUE = re.compile(r"V\((\w+)\)")


def _fragments() -> dict[str, Any]:
    """Return the documentation fragments that modules share, by name."""
    files = Path(ansible.__file__).parent / "plugins" / "doc_fragments" / "files.py"
    paths = {"ansible.builtin.files": files}
    for path in (ROOT / "plugins" / "doc_fragments").glob("*.py"):
        paths[f"nomba.auth.{path.stem}"] = path
    # Run and not imported: an import of Ansible's own would mark this process as the controller.
    return {name: runpy.run_path(str(path))["ModuleDocFragment"] for name, path in paths.items()}


FRAGMENTS = _fragments()


def documented(name: str) -> dict[str, Any]:
    """Return the documentation of a module, with its fragments."""
    own = yaml.safe_load(_module(name).DOCUMENTATION)
    options: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for fragment in own["extends_documentation_fragment"]:
        shared = yaml.safe_load(FRAGMENTS[fragment].DOCUMENTATION)
        options = {**(shared.get("options") or {}), **options}  # the first fragment wins
        attributes.update(shared.get("attributes") or {})
    for aspect, module_result in own["attributes"].items():
        attributes[aspect] = {**attributes.get(aspect, {}), **module_result}
    return {**own, "options": {**options, **own["options"]}, "attributes": attributes}


def action(name: str) -> dict[str, Any]:
    """Return the documentation of an action plugin."""
    path = ROOT / "plugins" / "modules" / f"{name}.yml"
    documents: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(documents) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    own: dict[str, Any] = documents["DOCUMENTATION"]
    return own


def declared(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the argument spec that a module passes to NombaModule."""
    given: dict[str, Any] = {}

    def catch(**arguments: Any) -> None:
        given.update(arguments)
        raise SystemExit

    monkeypatch.setattr(_module(name), "NombaModule", catch)
    with pytest.raises(SystemExit):
        _module(name).main()
    files = FILE_COMMON_ARGUMENTS if given.get("add_file_common_args") else {}
    return {**files, **given["argument_spec"]}


def _module(name: str) -> Any:
    return importlib.import_module(f"ansible_collections.nomba.auth.plugins.modules.{name}")


# The modules that send requests; the others have no options of the connection.
SPEAKING = [
    name
    for name in MODULES
    if "nomba.auth._connection" in documented(name)["extends_documentation_fragment"]
]


def _file_options(name: str) -> set[str]:
    """Return the options that a module that writes files has from Ansible."""
    fragments = documented(name)["extends_documentation_fragment"]
    return set(FILE_COMMON_ARGUMENTS) if "ansible.builtin.files" in fragments else set()


def _first_words(lines: list[str]) -> set[str]:
    """Return the first value of each line of a closed list."""
    return {match.group(1) for line in lines if (match := VALUE.match(line))}


def _subclasses(kind: type[_errors.NombaError]) -> Iterator[type[_errors.NombaError]]:
    for below in kind.__subclasses__():
        yield from (below, *_subclasses(below))


@pytest.mark.parametrize("name", MODULES)
def test_documented_options_are_the_declared_ones(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    documents, declaration = documented(name)["options"], declared(name, monkeypatch)
    of_all_files = _file_options(name) - set(declaration)
    own = {option: document for option, document in documents.items() if option not in of_all_files}
    assert _aspects(own) == _aspects(declaration)


def _aspects(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the documentation and the argument spec both state of each option."""
    defaults = {"type": "str", "elements": None, "default": None, "choices": None}
    aspects = {**defaults, "required": False}
    return {
        option: {aspect: fields.get(aspect, absent) for aspect, absent in aspects.items()}
        for option, fields in options.items()
    }


def test_environment_variables_are_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    read_by_the_module = {"access_token": ["NOMBA_ACCESS_TOKEN"]}
    for name in MODULES:
        options = documented(name)["options"]
        for option, fields in declared(name, monkeypatch).items():
            _function, variables = fields.get(
                "fallback", (None, read_by_the_module.get(option, []))
            )
            ours = [variable for variable in variables if variable.startswith("NOMBA_")]
            text = str(options[option]["description"])
            assert (name, option, re.findall(r"E\((NOMBA_\w+)\)", text)) == (name, option, ours)


def test_exactly_the_options_with_secrets_have_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    declarations = {name: declared(name, monkeypatch) for name in MODULES}
    # The names content, state_content and variables show no secret; here they contain one.
    secret = re.compile("token|secret|content$|variables$")
    assert {
        name: {option for option, fields in options.items() if fields.get("no_log")}
        for name, options in declarations.items()
    } == {
        name: {option for option in options if secret.search(option)}
        for name, options in declarations.items()
    }


def test_examples_use_options_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MODULES:
        calls = list(_calls(yaml.safe_load(_module(name).EXAMPLES), name))
        known = {*declared(name, monkeypatch), *_file_options(name)}
        assert calls, name
        assert (name, {option for call in calls for option in call} - known) == (name, set())


def test_playbooks_use_options_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = "ansible.builtin.import_playbook"
    playbooks = sorted((ROOT / "playbooks").glob("*.yml"))
    assert playbooks
    known = {name: set(declared(name, monkeypatch)) for name in MODULES}
    known |= {name: _action_options(name) for name in ACTIONS}
    for playbook in playbooks:
        plays = yaml.safe_load(playbook.read_text(encoding="utf-8"))
        calls = {name: list(_calls(plays, name)) for name in known}
        roles = [role["role"] for play in plays for role in play.get("roles", [])]
        tasks = [task for play in plays for task in play.get("tasks", [])]
        include = "ansible.builtin.include_role"
        roles += [task[include]["name"] for task in tasks if include in task]
        imported = [play[importing] for play in plays if importing in play]
        assert any(calls.values()) or roles or imported, playbook.name
        assert {f"nomba.auth.{path.stem}" for path in playbooks} >= set(imported)
        assert {f"nomba.auth.{path.name}" for path in (ROOT / "roles").iterdir()} >= set(roles)
        unknown = {(name, option) for name in known for call in calls[name] for option in call} - {
            (name, option) for name in known for option in known[name]
        }
        assert (playbook.name, unknown) == (playbook.name, set())


def test_shared_tasks_of_playbooks_use_options_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = yaml.safe_load((ROOT / "playbooks/tasks/report.yml").read_text(encoding="utf-8"))
    for name in ("nomba_report", "nomba_audit"):
        calls = list(_calls(tasks, name))
        assert calls
        assert {one for options in calls for one in options} <= set(declared(name, monkeypatch))


def _action_options(name: str) -> set[str]:
    """Return the options of an action, with those of its fragments."""
    own = action(name)
    shared = [
        yaml.safe_load(FRAGMENTS[one].DOCUMENTATION).get("options") or {}
        for one in own["extends_documentation_fragment"]
    ]
    return set().union(own["options"], *shared)


def test_playbook_revoke_calls_nomba_token_revoke() -> None:
    plays = yaml.safe_load((ROOT / "playbooks" / "revoke.yml").read_text(encoding="utf-8"))
    assert list(_calls(plays, "nomba_token_revoke"))


def _calls(node: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """Return the options that tasks, or the defaults of its action group, give to a module."""
    keys = {f"nomba.auth.{name}"} | ({"group/nomba.auth.nomba"} if name in SPEAKING else set())
    if isinstance(node, list):
        for item in node:
            yield from _calls(item, name)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in keys:
                yield value
            else:
                yield from _calls(value, name)


def test_action_group_lists_every_module_that_sends_requests() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    # An action passes the options of the group to the modules that it runs.
    groups = {name: action(name)["attributes"]["action_group"] for name in ACTIONS}
    members = [name for name, group in groups.items() if group.get("support") != "none"]
    assert sorted(runtime["action_groups"]["nomba"]) == sorted([*SPEAKING, *members])
    assert SPEAKING


def test_every_action_is_documented() -> None:
    files = (ROOT / "plugins" / "action").glob("*.py")
    assert sorted(path.stem for path in files) == ACTIONS
    assert [action(name)["module"] for name in ACTIONS] == ACTIONS


def test_documented_steps_are_those_of_the_actions() -> None:
    documents = {name: action(name)["options"] for name in ACTIONS}
    choices = {name: one["step"]["choices"] for name, one in documents.items() if "step" in one}
    assert choices["nomba_fleet_scan"] == list(nomba_fleet_scan.STEPS)
    assert choices["nomba_rotation"] == list(nomba_rotation.STEPS)
    of_run = set(nomba_rotation.STEPS) - {"verdict", "move"}
    assert all(callable(getattr(RotationRun, step)) for step in of_run)
    for step in choices["nomba_rotation_host"]:
        assert callable(getattr(nomba_rotation_host.ActionModule, f"_{step}"))


def test_examples_of_actions_use_options_that_exist() -> None:
    for name in ACTIONS:
        path = ROOT / "plugins" / "modules" / f"{name}.yml"
        examples = yaml.safe_load(yaml.safe_load(path.read_text(encoding="utf-8"))["EXAMPLES"])
        calls = list(_calls(examples, name))
        assert calls, name
        assert {option for call in calls for option in call} <= set(action(name)["options"])


def test_modules_document_their_action_group() -> None:
    for name in MODULES:
        document, member = documented(name), name in SPEAKING
        group = document["attributes"]["action_group"]
        assert "nomba.auth._attributes" in document["extends_documentation_fragment"], name
        assert group["support"] == ("full" if member else "none"), name
        assert group["membership"] == (["nomba.auth.nomba"] if member else []), name
        assert document["module"] == name


def test_shared_attributes_are_true_of_each_module() -> None:
    shared = yaml.safe_load(_attributes.ModuleDocFragment.DOCUMENTATION)["attributes"]
    # Some modules only write files, and are in no group.
    assert "without changing a file" in " ".join(shared["check_mode"]["description"].split())
    group = " ".join(shared["action_group"]["description"].split())
    for name in MODULES:
        assert documented(name)["attributes"].keys() <= shared.keys(), name
        assert "that send requests to the API" in group or name in SPEAKING, name


def test_documented_outcomes_are_the_closed_list() -> None:
    returned = yaml.safe_load(nomba_token_revoke.RETURN)
    outcomes = returned["results"]["contains"]["outcome"]["description"]
    assert _first_words(outcomes) == {outcome.value for outcome in Outcome}


def test_documented_codes_are_the_closed_list() -> None:
    returned = yaml.safe_load(nomba_token_revoke.RETURN)
    codes = " ".join(returned["error"]["contains"]["code"]["description"])
    failing = {outcome.value for outcome in Outcome if outcome.failed}
    kinds = (_errors.InvalidOption, _errors.NoToken, _errors.LibraryMissing)
    own = {kind.code for kind in kinds} | {"source_unread"}
    assert set(VALUE.findall(codes)) == failing | own


def test_tree_in_the_docstring_is_the_tree() -> None:
    tree = dict(re.findall(r"-- (\w+) +(\w+)", _errors.__doc__ or ""))
    kinds = list(_subclasses(_errors.NombaError))
    assert set(tree) == {kind.__name__ for kind in kinds}
    assert all(tree[kind.__name__] == kind.code for kind in kinds if "code" in vars(kind))


def test_every_failing_outcome_has_a_rank() -> None:
    assert set(WORST_FIRST) == {outcome for outcome in Outcome if outcome.failed}
    assert len(WORST_FIRST) == len(set(WORST_FIRST))


def test_documented_results_are_what_is_returned(revoke: Revoke, tmp_path: Path) -> None:
    returned = yaml.safe_load(nomba_token_revoke.RETURN)
    (tmp_path / "log").write_text(revoke.simulator.mint())
    other = revoke.simulator.mint(client_id=SECOND_CLIENT_ID)
    module_result = revoke(other, sources=[str(tmp_path), str(tmp_path / "missing")])
    assert set(module_result.result) - ANSIBLES_OWN == set(returned)
    contents = {name: set(row["contains"]) for name, row in returned.items()}
    assert all(set(row) == contents["results"] for row in module_result["results"])
    assert set(module_result["summary"]) == contents["summary"]
    assert set(module_result["unread"][0]) == contents["unread"]
    assert set(module_result["error"]) == contents["error"]
    assert len(revoke.simulator.writes()) == 2


def test_documented_types_are_those_of_what_is_returned(revoke: Revoke, tmp_path: Path) -> None:
    kinds = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
    rows = yaml.safe_load(nomba_token_revoke.RETURN)["results"]["contains"]
    (tmp_path / "log").write_text(revoke.simulator.mint())
    module_result = revoke(sources=[str(tmp_path)])
    assert {name: type(value) for name, value in module_result.row.items()} == {
        name: kinds[row["type"]] for name, row in rows.items()
    }
    assert set(module_result.row["found_in"][0]) == set(rows["found_in"]["contains"])
    assert set(module_result["summary"]["outcomes"]) == {outcome.value for outcome in Outcome}


@pytest.mark.parametrize(
    ("options", "keys"),
    [({"leeway": -1}, {"error"}), ({"access_token": ""}, {"error"})],
    ids=["bad option", "no token"],
)
def test_unusable_options_return_an_error_only(
    revoke: Revoke, options: dict[str, Any], keys: set[str]
) -> None:
    module_result = revoke(revoke.simulator.mint(), **options)
    returned = yaml.safe_load(nomba_token_revoke.RETURN)
    assert set(module_result.result) - ANSIBLES_OWN == keys
    assert returned["results"]["returned"] == "when the options are valid"
    assert revoke.simulator.requests() == []
