# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup unknown_variables, and the playbooks that use it before anything else."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleLookupError
from ansible.parsing.splitter import parse_kv

from ansible_collections.nomba.auth.plugins.lookup.unknown_variables import LookupModule

from .test_documents import ROOT

PLAYBOOKS = {
    path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").glob("*.yml")
}


def plays(name: str) -> list[dict[str, Any]]:
    """Return the plays of a playbook."""
    return list(yaml.safe_load(PLAYBOOKS[name]))


def first_task(play: dict[str, Any]) -> dict[str, Any]:
    """Return the task that runs first in a play without roles before it."""
    return dict((play.get("pre_tasks") or play["tasks"])[0])


@pytest.mark.parametrize("argument", ["nomba_hosts", "nomba_hosts: payments", "a b: c"])
def test_argument_without_a_value_becomes_a_variable_of_ansible(argument: str) -> None:
    # The name under which plugin_utils/_variable_names finds it.
    assert set(parse_kv(argument, check_raw=True)) == {"_raw_params"}


@pytest.mark.parametrize("terms", [[], [1], [["nomba_hosts"]]], ids=repr)
def test_terms_that_are_no_names_are_rejected(terms: list[Any]) -> None:
    with pytest.raises(AnsibleLookupError, match=r"^unknown_variables: pass the names of options"):
        LookupModule().run(terms)


def used(text: str) -> set[str]:
    """Return the variables of the playbook that a text reads, without those that it registers."""
    names = set(re.findall(r"(?<![\w.])nomba_\w+(?! *(?:#|is not))", text))
    return {
        name
        for name in names
        if not name.startswith(
            (
                "nomba_token",
                "nomba_revoked",
                "nomba_checked",
                "nomba_scan_report",
                "nomba_not_reported",
                "nomba_incident_report",
            )
        )
    }


def test_playbooks_check_and_describe_exactly_the_options_that_they_use() -> None:
    assert PLAYBOOKS
    for name, text in PLAYBOOKS.items():
        known = set(first_task(plays(name)[0])["vars"]["_nomba_options"])
        shared = re.findall(r"import_tasks: (\S+)", text)
        texts = [text, *((ROOT / "playbooks" / one).read_text("utf-8") for one in shared)]
        lines = "".join(texts).splitlines(keepends=True)
        body = "".join(line for line in lines if not line.lstrip().startswith("#"))
        templates = re.findall(r"\{\{.+?\}\}|that: .+", body)
        assert (name, known) == (name, {one for part in templates for one in used(part)})
        described = set(re.findall(r"^# (nomba_\w+) {2,}", text, re.MULTILINE))
        assert (name, known) == (name, described)


def test_first_task_of_the_first_and_last_play_checks_the_names() -> None:
    # In all playbooks the same task but for the options: tests/e2e runs it in one.
    checks = []
    for name in PLAYBOOKS:
        for task in (first_task(plays(name)[0]), first_task(plays(name)[-1])):
            assert set(task) == {"name", "ansible.builtin.assert", "any_errors_fatal", "vars"}
            assert task["any_errors_fatal"] is True
            assert set(task["vars"]) == {"_nomba_unknown_variables", "_nomba_options"}
            checks.append(
                (task["ansible.builtin.assert"], task["vars"]["_nomba_unknown_variables"])
            )
    assert all(check == checks[0] for check in checks)
    assert "nomba.auth.unknown_variables" in checks[0][1]
