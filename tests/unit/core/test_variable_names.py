# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Misspelt options: rejected names, accepted names, and the suggested option."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nomba.auth.plugins.plugin_utils._variable_names import find_misspelled
from tests.unit.tables import each_row

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[3]
PREFIX = "credential_rotation_"
# Read by a regular expression: the environments without Ansible have no YAML library.
ROLE_OPTIONS = tuple(
    re.findall(
        rf"^      ({PREFIX}\w+):$",
        (ROOT / "roles/credential_rotation/meta/argument_specs.yml").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
ROLE_FACTS = ("credential_rotation_document", "credential_rotation_next")
PLAYBOOKS = {
    path.stem: tuple(
        dict.fromkeys(
            re.findall(r"^          - (nomba_\w+)$", path.read_text("utf-8"), re.MULTILINE)
        )
    )
    for path in sorted((ROOT / "playbooks").glob("*.yml"))
}
PLAYBOOK_OPTIONS = tuple(sorted({name for names in PLAYBOOKS.values() for name in names}))

# Plausible names of unrelated variables beside a playbook of the collection.
UNRELATED = (
    *("nomba_account_id", "nomba_api_url", "nomba_base_url", "nomba_client_id", "nomba_dest"),
    *("nomba_client_secret", "nomba_dir", "nomba_env", "nomba_file", "nomba_group", "nomba_home"),
    *("nomba_hostname", "nomba_leaked", "nomba_owner", "nomba_path", "nomba_port", "nomba_ports"),
    *("nomba_process", "nomba_prod", "nomba_resources", "nomba_secret", "nomba_service"),
    *("nomba_source_ip", "nomba_timeout", "nomba_token", "nomba_tokens", "nomba_url", "nomba_user"),
    *("nomba_vault_path", "nomba_version", "nomba_webhook_host", "nomba_webhook_url", "nombas"),
    *("nomad_access_tokens", "nomad_deadline", "nomad_hosts", "hosts", "sources", "groups"),
    *("inventory_hostname", "play_hosts", "ansible_host", "access_tokens", "deadline", "proof"),
)


def edits(name: str) -> Iterator[str]:
    """Yield every name at an edit distance of one."""
    letters = string.ascii_lowercase + string.digits + "_"
    for i in range(len(name) + 1):
        yield from (name[:i] + letter + name[i:] for letter in letters)
    for i in range(len(name)):
        yield name[:i] + name[i + 1 :]
        yield from (name[:i] + letter + name[i + 1 :] for letter in letters)
        yield name[:i] + name[i + 1 : i + 2] + name[i] + name[i + 2 :]


def test_name_lists_match_the_project() -> None:
    assert len(ROLE_OPTIONS) > 20
    assert set(PLAYBOOKS) == {
        *("move_store", "preflight", "revoke", "revoke_leaked", "rotate", "scan", "status"),
    }
    assert all(PLAYBOOKS.values())


@pytest.mark.untraced
@each_row("option", PLAYBOOK_OPTIONS)
def test_every_single_edit_of_playbook_option_is_found(option: str) -> None:
    typos = set(edits(option)) - {option}
    found = find_misspelled(typos, PLAYBOOK_OPTIONS)
    assert len(found) == len(typos)
    assert all(f"did you mean {option}?" in one for one in found)


@pytest.mark.untraced
@each_row("option", [f"{PREFIX}emergency", f"{PREFIX}dir", f"{PREFIX}mode"])
def test_every_single_edit_of_role_option_is_found(option: str) -> None:
    # An underscore before the prefix makes a name private.
    typos = set(edits(option)) - {*ROLE_OPTIONS, *ROLE_FACTS, f"_{option}"}
    found = find_misspelled(typos, ROLE_OPTIONS, ROLE_FACTS, PREFIX)
    assert len(found) == len(typos)
    assert sum(f"did you mean {option}?" in one for one in found) > 0.99 * len(typos)


@each_row(
    ("name", "option"),
    [
        ("credential_rotation_emergancy", "credential_rotation_emergency"),
        ("credential_rotation_emergencies", "credential_rotation_emergency"),
        ("credential_rotaton_emergancy", "credential_rotation_emergency"),
        ("credentials_rotation_emergency", "credential_rotation_emergency"),
        ("CREDENTIAL_ROTATION_EMERGENCY", "credential_rotation_emergency"),
        ("credential-rotation-emergency", "credential_rotation_emergency"),
        ("credential_rotation_reload", "credential_rotation_reload_tasks"),
        ("credential_rotation_path", ""),
        ("credential_rotation_s3_bucket", ""),
        ("credential_rotation_", ""),
    ],
)
def test_unknown_name_with_role_prefix_is_found(name: str, option: str) -> None:
    (found,) = find_misspelled([name, *ROLE_OPTIONS], ROLE_OPTIONS, ROLE_FACTS, PREFIX)
    end = f"; did you mean {option}?" if option else "."
    if option or not found.endswith("?"):
        assert found == f"{name}: no such option{end}"


@each_row(
    ("name", "option"),
    [
        ("nomba_source", "nomba_sources"),
        ("nomba_sorces", "nomba_sources"),
        ("NOMBA_SOURCES", "nomba_sources"),
        ("nomba-sources", "nomba_sources"),
        ("nombasources", "nomba_sources"),
        ("noma_sources", "nomba_sources"),
        ("nomba_host", "nomba_hosts"),
        ("nomba_access_token", "nomba_access_tokens"),
        ("NOMBA_ACCESS_TOKEN", "nomba_access_tokens"),
        ("nomba_acces_token", "nomba_access_tokens"),
        ("nomba_concurency", "nomba_concurrency"),
        ("nomba_dedline", "nomba_deadline"),
        ("nomba_prof", "nomba_proof"),
    ],
)
def test_similar_name_is_found(name: str, option: str) -> None:
    found = find_misspelled([name, "nomba_account_id"], PLAYBOOK_OPTIONS)
    assert found == [f"{name}: no such option; did you mean {option}?"]


@each_row("name", UNRELATED)
def test_unrelated_name_passes(name: str) -> None:
    assert find_misspelled([name], PLAYBOOK_OPTIONS) == []
    assert find_misspelled([name], ROLE_OPTIONS, ROLE_FACTS, PREFIX) == []


def test_known_and_private_names_of_role_pass() -> None:
    names = [*ROLE_OPTIONS, *ROLE_FACTS, "_credential_rotation_batch", "_credential_rotation_x"]
    assert find_misspelled(names, ROLE_OPTIONS, ROLE_FACTS, PREFIX) == []


def test_argument_without_variable_is_found() -> None:
    (found,) = find_misspelled(["_raw_params", "nomba_hosts"], PLAYBOOK_OPTIONS)
    assert found == "An argument of -e does not have the form NAME=VALUE and sets no variable."


def test_fact_is_never_suggested() -> None:
    (found,) = find_misspelled(["credential_rotation_nxt"], ROLE_OPTIONS, ROLE_FACTS, PREFIX)
    assert "credential_rotation_next" not in found


def test_messages_are_sorted_and_unique() -> None:
    names = ["nomba_sorces", "nomba_host", "nomba_sorces"]
    found = [one.partition(":")[0] for one in find_misspelled(names, PLAYBOOK_OPTIONS)]
    assert found == ["nomba_host", "nomba_sorces"]


def test_names_that_a_shell_or_a_habit_has_changed_are_reported() -> None:
    for name, option in (
        ('\\"nomba_sources\\"', "nomba_sources"),
        ("nomba_report_path", "nomba_report"),
        ("nomba_audit_file", "nomba_audit"),
    ):
        (found,) = find_misspelled([name], PLAYBOOK_OPTIONS)
        assert found.endswith(f": no such option; did you mean {option}?")
