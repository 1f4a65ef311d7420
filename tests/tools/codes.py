# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the guide to outcomes and error codes: python -m tests.tools.codes

What exists is read from the code, and what a module says of it from the module's documentation.
Written here is only what to do about a code, and what an event of a rotation means; a code or an
event without a word here is an error. `make docs` writes the page, and a unit test compares it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.nomba.auth.plugins.module_utils import _errors, _rotation
from ansible_collections.nomba.auth.plugins.module_utils._revocation import WORST_FIRST, Outcome
from ansible_collections.nomba.auth.plugins.module_utils._rotation import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLUGINS = "ansible_collections.nomba.auth.plugins"
REVOKES = "nomba_token_revoke"
MODULES = Path(_errors.__file__).parents[1] / "modules"

REMEDIES = {
    "still_accepted": "Suspend or regenerate the key in Nomba's dashboard now. The token is alive.",
    "unknown": "Run again. If it stays so, act as if the token were alive.",
    "refused": (
        "Check ``account_id``, ``client_id`` and ``api_url``; the message names likely causes. "
        "Where no token could be issued, the text of the answer is in the message."
    ),
    "not_attempted": "Set right what the first tokens were refused for, or give more ``deadline``.",
    "malformed": "Find the whole token, three parts with two dots, and revoke that.",
    "source_unread": "``unread`` names the files. Let the module read them, and run again.",
    "no_token": "Give ``access_token``, ``access_tokens``, ``sources`` or ``NOMBA_ACCESS_TOKEN``.",
    "invalid_option": "The message names the option and the remedy.",
    "library_missing": "Install requests and PyJWT for the Python that runs the modules.",
    "unknown_client": (
        "HTTP 404. ``client_id`` is unknown at this API, or suspended. "
        "Test and live credentials come in pairs."
    ),
    "forbidden": (
        "HTTP 403. A wrong secret (one ``=`` too many is enough), the id of another account or a "
        "sub-account, an address off the allow list, or a firewall."
    ),
    "bad_request": "HTTP 400. ``account_id`` did not arrive, for example behind a proxy.",
    "no_clear_answer": (
        "A token may have been issued that nobody holds. It ends by its own ``exp``. Run again."
    ),
    "not_sent": "The message names the host. Check ``api_url``, network and proxy; run again.",
    "wrong_account": "Set ``account_id`` to the account that the client belongs to.",
    "not_written": "Make room, or repair the disk or the folder, and run again.",
    "not_retired": "Run again: the replaced token is still in the file, and is tried once more.",
    "locked": "Wait for the other run. ``nomba_token`` waits for as long as its ``deadline``.",
    "conflict": "Run again when no other run is at work.",
    "bad_state": (
        "Check that the store is the role's own. A damaged document is no list of tokens any more: "
        "suspend the key in the dashboard, and begin with an empty store."
    ),
}

MODES = {
    "token": "The token is replaced by another one of the same client.",
    "client": "The token is replaced by one of another client.",
    "emergency": "Every token of the store is revoked before there is a new one.",
}

OF_REVOKE = "an outcome of a revoke"
EVENTS = {
    ("begin", "begun"): "A rotation has started; ``detail`` says why.",
    ("begin", "resumed"): "A rotation that was stopped goes on.",
    ("condemn", "condemned"): "Emergency: these tokens are given up and revoked first.",
    ("issue", "issued"): "A new token is in the store, as pending.",
    ("prove", "accepted"): "The API takes the new token.",
    ("publish", "published"): "All hosts hold it; ``detail`` names them.",
    ("publish", "outage"): "No token was alive for a while; ``detail`` says how long at most.",
    ("promote", "promoted"): "The new token is the current one.",
    ("rollback", "failed"): "The new token is given up; ``detail`` says what failed.",
    ("retire", OF_REVOKE): "What became of a token that was replaced.",
    ("report", "finished"): "The rotation has ended, and this token is in service.",
    ("report", "rolled_back"): "The rotation has ended, and the old token is in service.",
}

HEAD = """\
..
  Copyright (c) 2026, The nomba.auth contributors
  GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later

.. This page is written by tests/tools/codes.py. Do not edit it: change that, and run make docs.

.. _ansible_collections.nomba.auth.docsite.outcomes:

Outcomes and error codes
========================

People read ``msg``. Playbooks decide by ``outcome`` and ``error.code``. Both come from closed
lists, and this page is made from the code that keeps them.

"""
OUTCOMES_HEAD = """\
What a revoke can come to
-------------------------

Every distinct token has a row in ``results`` with one of these outcomes.

"""
CODES_HEAD = """\
Why a module failed
-------------------

A module that fails returns ``error.code``. After a revoke of several tokens it is the worst
outcome of the run, in this order:
{worst}.

"""
MODES_HEAD = """\
What a rotation can be
----------------------

The role says so in ``credential_rotation_report.mode``, and in every line of the audit record.

"""
EVENTS_HEAD = """\
What the audit record tells
---------------------------

``audit.jsonl`` holds one JSON object in each line: ``id``, ``rotation``, ``time``, ``actor``,
``host``, ``mode``, ``step``, ``outcome``, ``fingerprints`` and ``detail``.

"""


def main() -> int:
    """Print the page."""
    sys.stdout.write(page())
    return 0


def page() -> str:
    """Return the whole page."""
    worst = ", then ".join(f"``{outcome.value}``" for outcome in WORST_FIRST)
    return "\n".join(
        [
            HEAD + OUTCOMES_HEAD + table(("Outcome", "Meaning", "Changed", "Failed"), outcomes()),
            CODES_HEAD.format(worst=worst)
            + table(("Code", "From, and what it means there", "What to do"), codes()),
            MODES_HEAD + table(("Mode", "Meaning"), modes()),
            EVENTS_HEAD + table(("Step", "Outcome", "Meaning"), events()),
        ]
    )


def outcomes() -> Iterator[tuple[str, ...]]:
    """Yield a row for each outcome: what the module says of it, and what the code makes of it."""
    meanings = outcome_meanings()
    for outcome in Outcome:
        flags = ("yes" if flag else "no" for flag in (outcome.changed, outcome.failed))
        yield f"``{outcome.value}``", sentence(meanings[outcome.value]), *flags


def outcome_meanings() -> dict[str, str]:
    """Return what the module that revokes documents of each outcome."""
    lines = returned(REVOKES)["results"]["contains"]["outcome"]["description"]
    return {code: text for line in lines for code, text in meaning(line)}


def codes() -> Iterator[tuple[str, ...]]:
    """Yield a row for each code, with what the modules that return it say of it."""
    told: dict[str, dict[str, list[str]]] = {}
    of_outcomes = outcome_meanings()
    for module in sorted(path.stem for path in MODULES.glob("nomba_*.py")):
        for line in returned(module)["error"]["contains"]["code"]["description"]:
            for code, text in meaning(line):
                # The module that has outcomes says of these codes only that they are outcomes.
                own = of_outcomes.get(code, text) if module == REVOKES else text
                told.setdefault(code, {}).setdefault(sentence(own), []).append(f"``{module}``")
    for code, text in codes_of_no_module(set(told)):
        told[code] = {text: ["the role, in its message"]}
    for code in sorted(told, key=list(REMEDIES).index):
        said = (f"{', '.join(who)}: {text}" for text, who in told[code].items())
        yield f"``{code}``", " ".join(said), REMEDIES[code]


def codes_of_no_module(known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the codes of the tree of exceptions that no module returns."""
    tree = re.findall(r"-- \w+ +((?:\w+, )*\w+(?: or \w+)?)(?:  +|: )(.+)", _errors.__doc__ or "")
    for names, text in tree:
        for code in re.findall(r"\w+", names.replace(" or ", " ")):
            if code not in known:
                yield code, sentence(text)


def modes() -> Iterator[tuple[str, ...]]:
    """Yield a row for each mode."""
    for mode in Mode:
        yield f"``{mode.value}``", MODES[mode.value]


def events() -> Iterator[tuple[str, ...]]:
    """Yield a row for each event that the steps of a rotation can note."""
    for step, outcome in dict.fromkeys(noted()):
        shown = outcome if outcome == OF_REVOKE else f"``{outcome}``"
        yield f"``{step}``", shown, EVENTS[step, outcome]


def noted() -> Iterator[tuple[str, str]]:
    """Yield step and outcome of each event, in the order in which they stand in the code."""
    for function in ast.parse(inspect.getsource(_rotation)).body:
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_tell":
                step, outcome = node.args[2:4]
                for value in values(outcome, function):
                    yield ast.literal_eval(step), value


def values(node: ast.expr, function: ast.AST) -> Iterator[str]:
    """Yield what an outcome can be: a text, a name for one of several texts, or a revoke's."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from (*values(node.body, function), *values(node.orelse, function))
    elif isinstance(node, ast.Name):
        for one in ast.walk(function):
            if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == node.id:
                yield from values(one.value, function)
    else:
        yield OF_REVOKE


def returned(module: str) -> dict[str, Any]:
    """Return what a module documents of its results."""
    documents: dict[str, Any] = yaml_load(
        importlib.import_module(f"{PLUGINS}.modules.{module}").RETURN
    )
    return documents


def meaning(line: str) -> Iterator[tuple[str, str]]:
    """Yield each code that a line of documentation names, and what the line says of it."""
    first = re.match(r"((?:V\(\w+\)(?:, | or )?)+)(.*)", line)
    names, text = first.groups() if first else (line, line.partition(", V(")[0])
    for code in re.findall(r"V\((\w+)\)", names):
        yield code, text


def sentence(text: str) -> str:
    """Turn a clause with Ansible's markup into a sentence in reStructuredText."""
    plain = re.sub(r"\b[A-Z]{1,2}\((?:\w+:)?([^)]+)\)", r"``\1``", text).strip()
    return plain[:1].upper() + plain[1:].rstrip(".") + "."


def table(heads: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    """Return a table of reStructuredText, one line for each cell."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (tuple(heads), *rows):
        for number, cell in enumerate(row):
            lines.append(f"   {' ' if number else '*'} - {cell}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
