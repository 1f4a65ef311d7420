# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that the guides mention exists: modules, options, variables, playbooks, pages."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.module_utils._revocation import Outcome
from tests.simulator import settings
from tests.simulator.faults import KINDS
from tests.unit.modules.test_documents import MODULES, SPEAKING, _calls, declared
from tests.unit.modules.test_role import OPTIONS, PROGRAM

from .guides import DOCSITE, EXAMPLES, GUIDES, INDEX, ROOT, blocks, commands, documents

TEXTS = {**GUIDES, "index": INDEX, **{path.name: path.read_text() for path in EXAMPLES}}
# Variables besides the options that the role shares with a user's task files.
SHARED_FACTS = {
    "credential_rotation_document",
    "credential_rotation_next",
    "credential_rotation_report",
    "credential_rotation_service",
    "credential_rotation_version",
}
FOLDERS = {
    "module": "plugins/modules",
    "filter": "plugins/filter",
    "lookup": "plugins/lookup",
    "role": "roles",
    "event filter": "extensions/eda/plugins/event_filter",
    "rulebook": "extensions/eda/rulebooks",
}


def existing() -> set[str]:
    """The names of all plugins, roles and playbooks, and of the group of modules."""
    folders = (*FOLDERS.values(), "playbooks")
    return {path.stem for folder in folders for path in (ROOT / folder).iterdir()} | {"nomba"}


@pytest.mark.parametrize("guide", sorted(TEXTS))
def test_every_name_of_the_collection_exists(guide: str) -> None:
    own_label = r"(?<!ansible_collections\.)(?<![\w/-])"
    named = set(re.findall(own_label + r"nomba\.auth\.(\w+)", TEXTS[guide]))
    assert named <= existing()


@pytest.mark.parametrize("guide", sorted(TEXTS))
def test_every_variable_of_the_role_exists(guide: str) -> None:
    named = set(re.findall(r"(?<!\w)credential_rotation_\w+", TEXTS[guide]))
    assert named <= set(OPTIONS) | SHARED_FACTS


def test_shared_variables_are_in_the_role() -> None:
    assert all(any(re.search(rf"\b{name}\b", text) for text in PROGRAM) for name in SHARED_FACTS)


@pytest.mark.parametrize("guide", sorted(TEXTS))
def test_every_variable_of_the_environment_is_read_somewhere(guide: str) -> None:
    sources = [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "roles").rglob("*.yml")]
    read = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    named = set(re.findall(r"\b(?:NOMBA|VAULT|REQUESTS)_[A-Z_]+[A-Z]\b", TEXTS[guide]))
    assert {name for name in named if not re.search(rf"\b{name}\b", read)} == set()


@pytest.mark.parametrize("name", MODULES)
def test_tasks_use_options_that_exist(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    known = set(declared(name, monkeypatch))
    for call in _calls(documents(), name):
        assert set(call or {}) <= known


def test_the_tasks_were_found() -> None:
    calls = [call for name in MODULES for call in _calls(documents(), name)]
    assert len(calls) > len(SPEAKING)


def test_commands_use_options_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    called = [one for one in commands("ansible") if one.given("-m")]
    assert called
    for one in called:
        (module,) = one.given("-m")
        known = set(declared(module.removeprefix("nomba.auth."), monkeypatch))
        given = " ".join(one.given("-a")).split()
        assert {word.partition("=")[0] for word in given} <= known, one


def test_playbooks_are_given_variables_that_they_read() -> None:
    called = commands("ansible-playbook")
    assert {one.guide for one in called} >= {"leaked", "rotation", "emergency", "new_client"}
    for one in called:
        (name,) = (word for word in one.words if word.startswith("nomba.auth."))
        text = (ROOT / "playbooks" / f"{name.rpartition('.')[2]}.yml").read_text()
        for given in one.given("-e"):
            assert _variables(given) <= set(OPTIONS) | set(re.findall(r"nomba_\w+", text)), one


def _variables(given: str) -> set[str]:
    """The variable names in an argument of -e; files are checked where the guide shows them."""
    if given.startswith("@"):
        return set()
    return set(json.loads(given)) if given.startswith("{") else {given.partition("=")[0]}


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text() if (ROOT / "Makefile").exists() else ""
    named = {verb for text in TEXTS.values() for verb in re.findall(r"``make (\w+)", text)}
    assert named
    sessions = re.search(r"^SESSIONS := ((?:.*\\\n)*.*)", makefile, re.MULTILINE)
    assert sessions
    assert named <= set(sessions[1].split())


def test_requests_to_the_simulator_use_known_settings_and_faults() -> None:
    known = {field.name for field in dataclasses.fields(settings.Settings)}
    faults = {"on", "kind"}
    sent = [json.loads(body) for one in commands("curl") for body in one.given("-d")]
    flat = [item for body in sent for item in (body if isinstance(body, list) else [body])]
    assert any(flat)
    assert all(set(item) <= known or set(item) == faults for item in flat)
    assert {item["kind"] for item in flat if "kind" in item} <= set(KINDS)


def test_shown_credentials_are_those_of_the_simulator() -> None:
    shown = {one for text in GUIDES.values() for one in re.findall(r"[0-9a-f]{8}-[-0-9a-f]+", text)}
    assert shown == {settings.DEFAULT_ACCOUNT_ID, settings.DEFAULT_CLIENT_ID}


@pytest.mark.parametrize(("guide", "text"), list(blocks("yaml")))
def test_yaml_block_is_valid(guide: str, text: str) -> None:
    assert isinstance(yaml.safe_load(text), (list, dict)), guide


def test_documented_defaults_match_the_options() -> None:
    for name, text in (
        ("max_age", "(900 seconds)"),
        ("lock_timeout", "(600)"),
        ("dir", "(``~/.nomba``)"),
    ):
        assert f"``credential_rotation_{name}`` {text}" in GUIDES["rotation"]
        assert str(OPTIONS[f"credential_rotation_{name}"]["default"]) in text


def test_first_page_begins_with_three_commands() -> None:
    (first, *_rest) = (text for guide, text in blocks("console") if guide == "leaked")
    assert len(first.strip().splitlines()) == 3
    assert "include:: docsite/leaked.rst" in INDEX.split("\n.. toctree::")[0]


def test_first_page_lists_the_most_frequent_outcomes() -> None:
    table = GUIDES["leaked"].split("Interpret the result")[1].split("Find other leaked tokens")[0]
    named = {outcome.value for outcome in Outcome if f"``{outcome.value}``" in table}
    alive = {Outcome.STILL_ACCEPTED.value, Outcome.UNKNOWN.value}
    assert named == {outcome.value for outcome in Outcome if not outcome.failed} | alive


def test_all_guides_are_listed_in_one_order() -> None:
    sections = yaml.safe_load((DOCSITE / "extra-docs.yml").read_text())["sections"]
    listed = [name for section in sections for name in section["toctree"]]
    assert sorted(listed) == sorted(GUIDES)
    assert re.findall(r"^   docsite/(\w+)$", INDEX, re.MULTILINE) == listed
    assert re.findall(r":caption: (.+)", INDEX) == [section["title"] for section in sections]


@pytest.mark.parametrize("guide", sorted(GUIDES))
def test_included_files_exist(guide: str) -> None:
    pattern = r"^\.\. (?:figure|literalinclude):: (\S+)"
    for name in re.findall(pattern, GUIDES[guide], re.MULTILINE):
        assert Path(DOCSITE / "rst" / name).resolve().is_file()
