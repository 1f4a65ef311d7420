# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written down twice and can drift apart: documents, options, results, codes, groups."""

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

from ansible_collections.nomba.auth.plugins.doc_fragments import _attributes
from ansible_collections.nomba.auth.plugins.module_utils import _errors
from ansible_collections.nomba.auth.plugins.module_utils._revocation import WORST_FIRST, Outcome
from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke
from tests.simulator.settings import SECOND_CLIENT_ID

from .harness import Revoke

ROOT = Path(nomba_token_revoke.__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
# What Ansible adds to every result.
ANSIBLES_OWN = {"changed", "failed", "msg", "diff", "invocation", "warnings", "deprecations"}
VALUE = re.compile(r"V\((\w+)\)")


def _fragments() -> dict[str, Any]:
    """The documentation that modules share, by name."""
    files = Path(ansible.__file__).parent / "plugins" / "doc_fragments" / "files.py"
    paths = {"ansible.builtin.files": files}
    for path in (ROOT / "plugins" / "doc_fragments").glob("*.py"):
        paths[f"nomba.auth.{path.stem}"] = path
    # Run and not imported: Ansible's own would make it believe that it is the controller.
    return {name: runpy.run_path(str(path))["ModuleDocFragment"] for name, path in paths.items()}


FRAGMENTS = _fragments()


def documented(name: str) -> dict[str, Any]:
    """A module's documentation, with its fragments."""
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


def declared(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A module's argument spec, as it hands it to AnsibleModule."""
    given: dict[str, Any] = {}

    def catch(**arguments: Any) -> None:
        given.update(arguments)
        raise SystemExit

    monkeypatch.setattr(_module(name), "AnsibleModule", catch)
    with pytest.raises(SystemExit):
        _module(name).main()
    files = FILE_COMMON_ARGUMENTS if given.get("add_file_common_args") else {}
    return {**files, **given["argument_spec"]}


def _module(name: str) -> Any:
    return importlib.import_module(f"ansible_collections.nomba.auth.plugins.modules.{name}")


# The modules that send requests to the API; the others have none of the connection's options.
SPEAKING = [
    name
    for name in MODULES
    if "nomba.auth._connection" in documented(name)["extends_documentation_fragment"]
]


def _file_options(name: str) -> set[str]:
    """What a module that writes files has from Ansible."""
    fragments = documented(name)["extends_documentation_fragment"]
    return set(FILE_COMMON_ARGUMENTS) if "ansible.builtin.files" in fragments else set()


def _first_words(lines: list[str]) -> set[str]:
    """The value that each line of a closed list begins with."""
    return {match.group(1) for line in lines if (match := VALUE.match(line))}


def _subclasses(kind: type[_errors.NombaError]) -> Iterator[type[_errors.NombaError]]:
    for below in kind.__subclasses__():
        yield from (below, *_subclasses(below))


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("aspect", ["type", "elements", "default", "choices", "required"])
def test_the_documented_options_are_the_declared_ones(
    monkeypatch: pytest.MonkeyPatch, name: str, aspect: str
) -> None:
    absent = {"required": False, "type": "str"}
    documents, declaration = documented(name)["options"], declared(name, monkeypatch)
    of_all_files = _file_options(name) - set(declaration)
    assert {
        option: module_result.get(aspect, absent.get(aspect))
        for option, module_result in documents.items()
        if option not in of_all_files
    } == {
        option: module_result.get(aspect, absent.get(aspect))
        for option, module_result in declaration.items()
    }


@pytest.mark.parametrize("name", MODULES)
def test_the_variables_of_the_environment_are_documented(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    options = documented(name)["options"]
    read_by_the_module = {"access_token": ["NOMBA_ACCESS_TOKEN"]}
    for option, module_result in declared(name, monkeypatch).items():
        _function, variables = module_result.get(
            "fallback", (None, read_by_the_module.get(option, []))
        )
        text = str(options[option]["description"])
        ours = [variable for variable in variables if variable.startswith("NOMBA_")]
        assert re.findall(r"E\((NOMBA_\w+)\)", text) == ours


@pytest.mark.parametrize("name", MODULES)
def test_options_that_hold_tokens_are_kept_out_of_logs(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    declaration = declared(name, monkeypatch)
    secret = {
        option for option, module_result in declaration.items() if module_result.get("no_log")
    }
    # What a file is to hold is named by no kind of secret, and is one in this collection.
    named = {option for option in declaration if re.search("token|secret|^content$", option)}
    assert secret == named


@pytest.mark.parametrize("name", MODULES)
def test_examples_use_options_that_exist(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    calls = list(_calls(yaml.safe_load(_module(name).EXAMPLES), name))
    assert calls
    for call in calls:
        assert set(call) <= {*declared(name, monkeypatch), *_file_options(name)}


@pytest.mark.parametrize(
    "playbook", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.name
)
def test_playbooks_use_options_that_exist(monkeypatch: pytest.MonkeyPatch, playbook: Path) -> None:
    plays = yaml.safe_load(playbook.read_text(encoding="utf-8"))
    calls = {name: list(_calls(plays, name)) for name in MODULES}
    roles = [role["role"] for play in plays for role in play.get("roles", [])]
    importing = "ansible.builtin.import_playbook"
    imported = [play[importing] for play in plays if importing in play]
    assert any(calls.values()) or roles or imported
    assert {f"nomba.auth.{path.stem}" for path in playbook.parent.iterdir()} >= set(imported)
    assert {f"nomba.auth.{path.name}" for path in (ROOT / "roles").iterdir()} >= set(roles)
    for name, found in calls.items():
        assert all(set(call) <= set(declared(name, monkeypatch)) for call in found)


def test_the_playbook_that_revokes_calls_the_module_that_does() -> None:
    plays = yaml.safe_load((ROOT / "playbooks" / "revoke.yml").read_text(encoding="utf-8"))
    assert list(_calls(plays, "nomba_token_revoke"))


def _calls(node: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """All options that tasks, or defaults for the group that it is in, give to a module."""
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


def test_the_action_group_lists_every_module_that_speaks_to_the_api() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert sorted(runtime["action_groups"]["nomba"]) == SPEAKING
    assert SPEAKING


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_which_group_it_is_in(name: str) -> None:
    document, speaks = documented(name), name in SPEAKING
    group = document["attributes"]["action_group"]
    assert "nomba.auth._attributes" in document["extends_documentation_fragment"]
    assert group["support"] == ("full" if speaks else "none")
    assert group["membership"] == (["nomba.auth.nomba"] if speaks else [])
    assert document["module"] == name


@pytest.mark.parametrize("name", MODULES)
def test_what_all_modules_say_of_themselves_is_true_of_each(name: str) -> None:
    module_result = yaml.safe_load(_attributes.ModuleDocFragment.DOCUMENTATION)["attributes"]
    assert documented(name)["attributes"].keys() <= module_result.keys()
    # Some only write files, and are in no group.
    assert "without changing a file" in " ".join(module_result["check_mode"]["description"].split())
    group = " ".join(module_result["action_group"]["description"].split())
    assert "that send requests to the API" in group or name in SPEAKING


def test_the_documented_outcomes_are_the_closed_list() -> None:
    returned = yaml.safe_load(nomba_token_revoke.RETURN)
    outcomes = returned["results"]["contains"]["outcome"]["description"]
    assert _first_words(outcomes) == {outcome.value for outcome in Outcome}


def test_the_documented_codes_are_the_closed_list() -> None:
    returned = yaml.safe_load(nomba_token_revoke.RETURN)
    codes = " ".join(returned["error"]["contains"]["code"]["description"])
    failing = {outcome.value for outcome in Outcome if outcome.failed}
    kinds = (_errors.InvalidOption, _errors.NoToken, _errors.LibraryMissing)
    own = {kind.code for kind in kinds} | {"source_unread"}
    assert set(VALUE.findall(codes)) == failing | own


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    tree = dict(re.findall(r"-- (\w+) +(\w+)", _errors.__doc__ or ""))
    kinds = list(_subclasses(_errors.NombaError))
    assert set(tree) == {kind.__name__ for kind in kinds}
    assert all(tree[kind.__name__] == kind.code for kind in kinds if "code" in vars(kind))


def test_every_failing_outcome_has_its_place_among_the_worst() -> None:
    assert set(WORST_FIRST) == {outcome for outcome in Outcome if outcome.failed}
    assert len(WORST_FIRST) == len(set(WORST_FIRST))


def test_the_documented_results_are_what_is_returned(revoke: Revoke, tmp_path: Path) -> None:
    returned = yaml.safe_load(nomba_token_revoke.RETURN)
    (tmp_path / "log").write_text(revoke.simulator.mint())
    foreign = revoke.simulator.mint(client_id=SECOND_CLIENT_ID)
    module_result = revoke(foreign, sources=[str(tmp_path), str(tmp_path / "missing")])
    assert set(module_result.result) - ANSIBLES_OWN == set(returned)
    contents = {name: set(told_of["contains"]) for name, told_of in returned.items()}
    assert all(set(row) == contents["results"] for row in module_result["results"])
    assert set(module_result["summary"]) == contents["summary"]
    assert set(module_result["unread"][0]) == contents["unread"]
    assert set(module_result["error"]) == contents["error"]
    assert len(revoke.simulator.writes()) == 2


def test_the_documented_types_are_those_of_what_is_returned(revoke: Revoke, tmp_path: Path) -> None:
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
def test_options_that_cannot_be_used_return_an_error_only(
    revoke: Revoke, options: dict[str, Any], keys: set[str]
) -> None:
    module_result = revoke(revoke.simulator.mint(), **options)
    returned = yaml.safe_load(nomba_token_revoke.RETURN)
    assert set(module_result.result) - ANSIBLES_OWN == keys
    assert returned["results"]["returned"] == "when the options are valid"
    assert revoke.simulator.requests() == []
