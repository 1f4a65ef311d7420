# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples and metadata for Automation Platform match the modules."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.modules import nomba_token

ROOT = Path(nomba_token.__file__).parents[2]
PLATFORM = ROOT / "docs" / "examples" / "automation_platform"
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
# Import names that differ from the name of the package.
PACKAGES = {"jwt": "PyJWT"}


class _Captured(Exception):
    """The argument spec was captured."""


def capture(into: dict[str, Any], **arguments: Any) -> None:
    """Replace NombaModule and capture its arguments."""
    into.update(arguments)
    raise _Captured


def specs(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Yield the argument specs of all modules."""
    for name in MODULES:
        module = importlib.import_module(f"ansible_collections.nomba.auth.plugins.modules.{name}")
        given: dict[str, Any] = {}
        monkeypatch.setattr(module, "NombaModule", partial(capture, given))
        with pytest.raises(_Captured):
            module.main()
        yield given["argument_spec"]


def from_environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Return the environment variable of each option with a fallback, and whether it is secret."""
    options = [option for spec in specs(monkeypatch) for option in spec.values()]
    known = [option for option in options if "fallback" in option]
    return {option["fallback"][1][0]: bool(option.get("no_log")) for option in known}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_credential_type_injects_environment_of_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {field["id"]: field for field in load(PLATFORM / "inputs.yml")["fields"]}
    injected = load(PLATFORM / "injectors.yml")["env"]
    read = from_environment(monkeypatch)
    assert set(injected) == set(read)
    sources = {name: re.fullmatch(r"\{\{ (\w+) \}\}", text) for name, text in injected.items()}
    secret = {
        name: fields[match[1]].get("secret", False) for name, match in sources.items() if match
    }
    assert secret == read


def test_optional_field_other_than_secret_has_default() -> None:
    # An empty field sets its variable to an empty string, which differs from an unset variable.
    inputs = load(PLATFORM / "inputs.yml")
    optional = [one for one in inputs["fields"] if one["id"] not in inputs["required"]]
    assert all(one.get("secret") or one.get("default") for one in optional)


def test_job_templates_use_existing_playbooks() -> None:
    examples = load(PLATFORM / "job_templates.yml")
    names = [template["name"] for template in examples["job_templates"]]
    for template in examples["job_templates"]:
        assert (ROOT / "playbooks" / template["playbook"]).is_file()
    assert {schedule["unified_job_template"] for schedule in examples["schedules"]} <= set(names)


def test_execution_environment_installs_imported_libraries() -> None:
    environment = load(ROOT / "meta" / "execution-environment.yml")
    listed = requirements(ROOT / environment["dependencies"]["python"])
    # requests requires urllib3, and ansible-core requires cryptography. Python has `compression`
    # from 3.14 on.
    own = imported() - {"urllib3", "cryptography", "compression"}
    assert set(listed) == {PACKAGES.get(name, name) for name in own}


def test_oldest_libraries_are_tested() -> None:
    pinned = requirements(ROOT / "requirements" / "oldest.txt")
    for name, version in requirements(ROOT / "meta" / "ee-requirements.txt").items():
        assert pinned[name.lower()] == version


def requirements(path: Path) -> dict[str, str]:
    """Return packages and their versions; the version can be empty."""
    lines = re.finditer(
        r"^([\w.-]+)(?:[=>]=)?([\w.]*)", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {match[1]: match[2] for match in lines}


def imported() -> set[str]:
    """Return the imports of plugins that are part of neither Python nor Ansible."""
    names = {name for path in (ROOT / "plugins").rglob("*.py") for name in imports(path)}
    return names - set(sys.stdlib_module_names) - {"ansible", "ansible_collections"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
