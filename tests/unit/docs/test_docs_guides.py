# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that the guides mention exists: modules, options, variables, playbooks, pages."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.module_utils._revocation import Outcome
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_options import (
    _DEFAULT_MAX_AGE,
    FACTS,
)
from tests.simulator import settings
from tests.simulator.faults import KINDS
from tests.unit.modules.test_documents import MODULES, SPEAKING, _calls, declared
from tests.unit.modules.test_role import OPTIONS, PROGRAM
from tests.unit.tables import each_row

from .guides import DOCSITE, EXAMPLES, GUIDES, INDEX, README, ROOT, blocks, commands, documents

UNITS = sorted((ROOT / "docs" / "examples" / "systemd").iterdir())
FILES = {str(path): path.read_text() for path in (*EXAMPLES, *UNITS)}
TEXTS = {**GUIDES, "index": INDEX, "README": README, **FILES}
# Variables besides the options that the role shares with a user's task files.
SHARED_FACTS = {
    "credential_rotation_document",
    "credential_rotation_found_tokens",
    "credential_rotation_next",
    "credential_rotation_published",
    "credential_rotation_report",
    "credential_rotation_service",
    "credential_rotation_status",
    "credential_rotation_version",
}
FOLDERS = {
    "callback": "plugins/callback",
    "module": "plugins/modules",
    "filter": "plugins/filter",
    "lookup": "plugins/lookup",
    "role": "roles",
    "event filter": "extensions/eda/plugins/event_filter",
    "rulebook": "extensions/eda/rulebooks",
}


def existing() -> set[str]:
    """Return the names of all plugins, roles and playbooks, and of the group of modules."""
    folders = (*FOLDERS.values(), "playbooks")
    return {path.stem for folder in folders for path in (ROOT / folder).iterdir()} | {"nomba"}


def unknown(pattern: str, known: set[str]) -> set[tuple[str, str]]:
    """Return each match of a pattern that is not a known name, with its page."""
    named = {(page, name) for page, text in TEXTS.items() for name in re.findall(pattern, text)}
    assert named, pattern
    return {(page, name) for page, name in named if name not in known}


def test_names_of_collection_exist() -> None:
    own_label = r"(?<!ansible_collections\.)(?<![\w/-])"
    assert unknown(own_label + r"nomba\.auth\.(\w+)", existing()) == set()


def test_role_variables_exist() -> None:
    known = set(OPTIONS) | SHARED_FACTS
    assert unknown(r"(?<!\w)credential_rotation_\w+", known) == set()


def test_shared_variables_are_in_role() -> None:
    # Only the task files of a custom store use the version.
    used = SHARED_FACTS - {"credential_rotation_version"}
    assert all(any(re.search(rf"\b{name}\b", text) for text in PROGRAM) for name in used)
    assert set(FACTS) == SHARED_FACTS


def test_environment_variables_are_read_by_code() -> None:
    variable = r"\b(?:NOMBA|VAULT|REQUESTS)_[A-Z_]+[A-Z]\b"
    sources = [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "roles").rglob("*.yml")]
    read = {name for path in sources for name in re.findall(variable, path.read_text("utf-8"))}
    assert unknown(variable, read) == set()


def test_tasks_use_options_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = documents()
    known = {name: set(declared(name, monkeypatch)) for name in MODULES}
    used = {
        (name, option) for name in MODULES for call in _calls(tasks, name) for option in call or {}
    }
    assert {(name, option) for name, option in used if option not in known[name]} == set()


def test_tasks_are_found_in_guides() -> None:
    calls = [call for name in MODULES for call in _calls(documents(), name)]
    assert len(calls) > len(SPEAKING)


def test_commands_use_options_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    called = [one for one in commands("ansible") if one.given("-m")]
    assert called
    for one in called:
        (module,) = one.given("-m")
        known = set(declared(module.removeprefix("nomba.auth."), monkeypatch))
        given = " ".join(one.given("-a")).split()
        assert {argument.partition("=")[0] for argument in given} <= known, one


def test_playbooks_are_given_variables_that_they_read() -> None:
    called = commands("ansible-playbook")
    guides = {"leaked", "rotation", "emergency", "access_token", "nomba-scan.service"}
    assert {one.guide for one in called} >= guides
    for one in called:
        (name,) = (argument for argument in one.arguments if argument.startswith("nomba.auth."))
        text = (ROOT / "playbooks" / f"{name.rpartition('.')[2]}.yml").read_text()
        for given in one.given("-e"):
            assert _variables(given) <= set(OPTIONS) | set(re.findall(r"nomba_\w+", text)), one


def _variables(given: str) -> set[str]:
    """Return the variable names in an argument of -e, none for a file."""
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


def test_requests_to_simulator_use_known_settings_and_faults() -> None:
    known = {field.name for field in dataclasses.fields(settings.Settings)}
    faults = {"on", "kind"}
    sent = [json.loads(body) for one in commands("curl") for body in one.given("-d")]
    flat = [item for body in sent for item in (body if isinstance(body, list) else [body])]
    assert any(flat)
    assert all(set(item) <= known or set(item) == faults for item in flat)
    assert {item["kind"] for item in flat if "kind" in item} <= set(KINDS)


def test_shown_credentials_are_those_of_simulator() -> None:
    shown = {one for text in GUIDES.values() for one in re.findall(r"[0-9a-f]{8}-[-0-9a-f]+", text)}
    clients = {settings.DEFAULT_CLIENT_ID, settings.SECOND_CLIENT_ID}
    assert shown == {settings.DEFAULT_ACCOUNT_ID, *clients}


@each_row(("guide", "text"), list(blocks("yaml")))
def test_yaml_block_is_valid(guide: str, text: str) -> None:
    assert isinstance(yaml.safe_load(text), (list, dict)), f"{guide}: {text}"


def test_documented_defaults_match_options() -> None:
    for name, text in (
        ("lock_timeout", "(600)"),
        ("token_lifetime", "(10800 seconds, 3 hours)"),
        ("dir", "(``~/.nomba``)"),
    ):
        assert f"``credential_rotation_{name}`` {text}" in GUIDES["rotation"]
        assert str(OPTIONS[f"credential_rotation_{name}"]["default"]) in text
    assert OPTIONS["credential_rotation_retire_after"]["default"] == 0
    assert "``credential_rotation_retire_after`` is 0, the default" in GUIDES["rotation"]


@each_row(
    ("guide", "credential", "text"),
    [
        ("rotation", "client", f"({_DEFAULT_MAX_AGE['client'] // 86400} days)"),
        ("access_token", "access_token", f"({_DEFAULT_MAX_AGE['access_token']} seconds)"),
    ],
)
def test_documented_max_age_is_the_default(guide: str, credential: str, text: str) -> None:
    assert credential in OPTIONS["credential_rotation_credential"]["choices"]
    assert f"``credential_rotation_max_age`` {text}" in GUIDES[guide]


def test_first_page_begins_with_three_commands() -> None:
    (first, *_rest) = (text for guide, text in blocks("console") if guide == "leaked")
    assert len(first.strip().splitlines()) == 3
    assert "include:: docsite/leaked.rst" in INDEX.split("\n.. toctree::")[0]


def test_first_page_lists_most_frequent_outcomes() -> None:
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


def test_included_files_exist() -> None:
    pattern = re.compile(r"^\.\. (?:figure|literalinclude):: (\S+)", re.MULTILINE)
    named = {(guide, name) for guide, text in GUIDES.items() for name in pattern.findall(text)}
    missing = {(guide, name) for guide, name in named if not (DOCSITE / "rst" / name).is_file()}
    assert named
    assert missing == set()


def test_every_service_of_systemd_has_a_timer() -> None:
    units = {(path.stem, path.suffix) for path in UNITS}
    stems = {stem for stem, _suffix in units}
    assert units == {(stem, suffix) for stem in stems for suffix in (".service", ".timer")}
    enabled = {name for one in commands("sudo") for name in one.arguments if ".timer" in name}
    assert enabled == {f"{stem}.timer" for stem in stems}
