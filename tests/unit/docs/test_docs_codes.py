# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the guide to outcomes and error codes match the code, row by row."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.module_utils import (
    _errors,
    _rotation,
    _rotation_status,
)
from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState, NombaError
from ansible_collections.nomba.auth.plugins.module_utils._incident_report import (
    Made,
    audit_events,
    revocation_document,
)
from ansible_collections.nomba.auth.plugins.module_utils._revocation import WORST_FIRST, Outcome
from ansible_collections.nomba.auth.plugins.module_utils._rotation import (
    Actor,
    Mode,
    State,
    begin,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_plan import RotationOptions
from ansible_collections.nomba.auth.plugins.module_utils._rotation_report import Findings, report
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner

from .guides import GUIDES

PAGE = GUIDES["outcomes"]
REVOKE = "nomba_token_revoke"
MODULES = sorted(path.stem for path in Path(_errors.__file__).parents[1].glob("modules/nomba_*.py"))
ACTION = Path(_errors.__file__).parents[1] / "modules" / "nomba_rotation.yml"
REPORTED = "O(step=report)"
# In the table of events, this represents the outcome of each token that was revoked.
ANY_OUTCOME = "a revocation outcome"
# The same for an outcome that the caller passes: the response to the check of the old client.
ANY_RESPONSE = "``issued`` or an error code"


def section(heading: str) -> str:
    """Return the text under a heading."""
    return PAGE.split(f"\n{heading}\n---", 1)[1].split("\n---", 1)[0]


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table under a heading, without the header and literal marks."""
    rows: list[list[str]] = []
    for mark, cell in re.findall(r"^   ([* ]) - (.+)$", section(heading), re.MULTILINE):
        if mark == "*":
            rows.append([])
        rows[-1].append(cell)
    return [[re.sub(r"^``([^`]+)``$", r"\1", cell) for cell in row] for row in rows[1:]]


def first_column(heading: str) -> list[str]:
    return sorted(row[0] for row in table(heading))


def documented(module: str) -> dict[str, Any]:
    """Return the documented results of a module."""
    name = f"ansible_collections.nomba.auth.plugins.modules.{module}"
    results: dict[str, Any] = yaml.safe_load(importlib.import_module(name).RETURN)
    return results


def documented_codes(module: str) -> set[str]:
    lines = documented(module)["error"]["contains"]["code"]["description"]
    return set(re.findall(r"V\((\w+)\)", " ".join(lines)))


def error_codes() -> set[str]:
    """Return the codes of the exceptions, the constants of _errors, and the failed outcomes."""
    exceptions = {kind.code for kind in subclasses(NombaError) if "code" in vars(kind)}
    constants = {value for name, value in vars(_errors).items() if name.isupper()}
    return exceptions | constants | {outcome.value for outcome in Outcome if outcome.failed}


def subclasses(kind: type[NombaError]) -> set[type[NombaError]]:
    below = set(kind.__subclasses__())
    return below.union(*(subclasses(one) for one in below))


def sentence(text: str) -> str:
    """Return a clause with Ansible's markup as a sentence in reStructuredText."""
    plain = re.sub(r"\b[A-Z]{1,2}\((?:\w+:)?([^)]+)\)", r"``\1``", text).strip()
    return plain[:1].upper() + plain[1:].rstrip(".") + "."


def recorded_events() -> Iterator[tuple[str, str]]:
    """Yield step and outcome of each event that the transitions record."""
    for function in ast.parse(inspect.getsource(_rotation)).body:
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_record_event":
                step, outcome = node.args[2:4]
                for value in possible_values(outcome, function):
                    yield ast.literal_eval(step), value


def revocation_events() -> Iterator[tuple[str, str]]:
    """Yield step and outcome of each event about a revocation."""
    made = Made("2027-01-15T09:21:10Z", "", "")
    row = {"fingerprint": "sha256:0000000000000000", "outcome": "revoked", "verified": True}
    for result in ({"results": [row]}, {"results": []}, {"msg": "no result"}):
        for event in audit_events(revocation_document({"host": result}, made)):
            yield event["step"], ANY_OUTCOME if event["fingerprints"] else event["outcome"]


def possible_values(node: ast.expr, function: ast.AST) -> Iterator[str]:
    """Yield the strings that an expression can be, or the text for those that are not listed."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from (*possible_values(node.body, function), *possible_values(node.orelse, function))
    elif isinstance(node, ast.Name) and node.id in parameters(function):
        yield ANY_RESPONSE
    elif isinstance(node, ast.Name):
        for one in ast.walk(function):
            if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == node.id:
                yield from possible_values(one.value, function)
    else:
        yield ANY_OUTCOME


def parameters(function: ast.AST) -> set[str]:
    """Return the names of a function's parameters."""
    return {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}


def test_outcomes_have_the_meaning_and_the_flags_of_the_code() -> None:
    lines = documented(REVOKE)["results"]["contains"]["outcome"]["description"]
    pairs = [re.fullmatch(r"V\((\w+)\), (.+)", line) for line in lines]
    meanings = {pair.group(1): sentence(pair.group(2)) for pair in pairs if pair}
    yes_no = {True: "yes", False: "no"}
    assert table("Revocation outcomes") == [
        [one.value, meanings[one.value], yes_no[one.changed], yes_no[one.failed]] for one in Outcome
    ]


def test_every_error_code_has_one_row() -> None:
    assert first_column("Error codes") == sorted(error_codes())


def test_every_documented_code_is_an_error_code() -> None:
    codes = set().union(*map(documented_codes, MODULES))
    assert codes == error_codes() - {BadState.code}  # only the role reports this one


@pytest.mark.parametrize("code", sorted(error_codes()))
def test_a_code_names_the_modules_that_document_it(code: str) -> None:
    ((__, meaning, remedy),) = (row for row in table("Error codes") if row[0] == code)
    named = re.findall(r"``(nomba_\w+)``(?=[,:])", meaning)
    assert named == [module for module in MODULES if code in documented_codes(module)]
    assert meaning.endswith(".")
    assert remedy.endswith(".")


def test_the_worst_outcomes_are_listed_in_order() -> None:
    listed = re.findall(r"``(\w+)``", section("Error codes").split(".. list-table::", 1)[0])
    assert listed[-len(WORST_FIRST) :] == [outcome.value for outcome in WORST_FIRST]


def test_every_mode_has_one_row() -> None:
    assert first_column("Rotation modes") == sorted(mode.value for mode in Mode)


def test_every_event_has_one_row() -> None:
    rows = sorted((step, outcome) for step, outcome, __ in table("Audit events"))
    assert rows == sorted({*recorded_events(), *revocation_events()})


def test_first_words_of_a_status_are_listed_the_worst_first() -> None:
    written = re.findall(
        r'"([A-Z]{2,}(?: [A-Z]{2,})*)', inspect.getsource(_rotation_status._verdict)
    )
    text = GUIDES["verdicts"].split("\nStatus\n---", 1)[1]
    assert re.findall(r"^   \* - ``([A-Z ]+)``$", text, re.MULTILINE) == written


def test_every_key_of_the_report_has_one_row_and_is_documented() -> None:
    rendered = report(State(), Findings(), RotationOptions(Owner("", "", ""), 900, 600), 0.0)
    documentation = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["RETURN"]
    returned = {name for name, one in documentation.items() if one["returned"] == REPORTED}
    assert first_column("Rotation report") == sorted({*rendered.values, "actor", "steps"})
    assert returned == {*rendered.values, "actor", "steps"}


def test_all_fields_of_an_event_are_listed() -> None:
    state = begin(State(), Actor(0.0, "run", "actor", "host"), "token", "why")
    text = section("Audit events").split(".. list-table::", 1)[0]
    assert set(re.findall(r"``(\w+)``", text)) == set(state.events[0])
