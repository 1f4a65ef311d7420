# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the guide to outcomes and error codes: python -m tests.tools.codes

The codes and events come from the code, and their meanings from the documentation of the modules.
This file contains only the remedy for each code and the meaning of each rotation event. A code or
an event without an entry is an error. `make docs` writes the page, and a unit test compares it.
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
    "still_accepted": (
        "Suspend or regenerate the key in Nomba's dashboard now. The token is valid."
    ),
    "unknown": "Run again. If the outcome does not change, assume that the token is valid.",
    "refused": (
        "Check ``account_id``, ``client_id`` and ``api_url``; the message lists likely causes. "
        "If no token was issued, the message contains the description of the response."
    ),
    "not_attempted": (
        "Fix the rejection of the first tokens, or increase ``deadline``, and run again."
    ),
    "malformed": "Find the complete token (three parts, separated by two dots) and revoke it.",
    "source_unread": (
        "Make the files in ``unread`` readable, unpack compressed and archived ones, and run again."
    ),
    "no_token": "Set ``access_token``, ``access_tokens``, ``sources`` or ``NOMBA_ACCESS_TOKEN``.",
    "invalid_option": "Correct the option that the message names.",
    "library_missing": "Install requests and PyJWT for the Python that runs the modules.",
    "unknown_client": (
        "HTTP 404. ``client_id`` does not exist at this API or is suspended. "
        "Do not mix test and live credentials."
    ),
    "forbidden": (
        "HTTP 403. Likely causes: a wrong client secret (such as an extra ``=``), the id of "
        "another account or of a sub-account, an address off the IP allowlist, or a firewall."
    ),
    "bad_request": (
        "HTTP 400. The API did not receive ``account_id``, for example because a proxy removed it."
    ),
    "no_clear_answer": (
        "A token may have been issued that no file contains. It is valid until its ``exp``. "
        "Run again."
    ),
    "not_sent": (
        "The message names the host. Check ``api_url``, the network and the proxy, and run again."
    ),
    "wrong_account": "Set ``account_id`` to the account of the client.",
    "not_written": "Free disk space, or repair the disk or the folder, and run again.",
    "not_retired": (
        "Run again. The replaced token is still in the file, and the next run revokes it."
    ),
    "locked": ("Wait until the other run has ended. ``nomba_token`` waits until its ``deadline``."),
    "conflict": "Run again when no other run is active.",
    "bad_state": (
        "Check that the store belongs to this role. A damaged document is not a list of tokens: "
        "suspend the key in the dashboard, and start with an empty store."
    ),
}

MODES = {
    "token": "A new token of the same client replaces the token.",
    "client": "A token of another client replaces the token.",
    "emergency": "Every token of the store is revoked before a new one is issued.",
}

OF_REVOKE = "a revocation outcome"
EVENTS = {
    ("begin", "begun"): "A rotation has started. ``detail`` contains the reason.",
    ("begin", "resumed"): "An interrupted rotation has resumed.",
    (
        "mark_compromised",
        "compromised",
    ): "Emergency: these tokens are compromised and are revoked first.",
    ("issue", "issued"): "A new token is in the store, as pending.",
    ("verify", "accepted"): "The API accepts the new token.",
    ("publish", "published"): "All hosts hold the token. ``detail`` lists the hosts.",
    ("publish", "outage"): "No token was valid for some time. ``detail`` contains the maximum.",
    ("promote", "promoted"): "The new token is the current one.",
    ("rollback", "failed"): "The rotation rolls back. ``detail`` contains the step and the cause.",
    ("retire", OF_REVOKE): "The outcome of revoking a replaced token.",
    ("report", "finished"): "The rotation has ended, and this token is in use.",
    ("report", "rolled_back"): "The rotation has ended, and the old token is in use.",
}

HEAD = """\
..
  Copyright (c) 2026, The nomba.auth contributors
  GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later

.. tests/tools/codes.py generates this page. Do not edit it: edit codes.py, and run make docs.

.. _ansible_collections.nomba.auth.docsite.outcomes:

Outcomes and error codes
========================

``msg`` is for people. ``outcome`` and ``error.code`` are for playbooks and come from closed lists.
This page is generated from the code.

"""
OUTCOMES_HEAD = """\
Revocation outcomes
-------------------

Each distinct token has one row in ``results``, with one of these outcomes.

"""
CODES_HEAD = """\
Error codes
-----------

A failed module returns ``error.code``. After a revoke of several tokens, the code is the worst
outcome of the run, in this order:
{worst}.

"""
MODES_HEAD = """\
Rotation modes
--------------

``credential_rotation_report.mode`` and each line of the audit log contain the mode.

"""
EVENTS_HEAD = """\
Audit events
------------

Each line of ``audit.jsonl`` is a JSON object with ``id``, ``rotation``, ``time``, ``actor``,
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
            + table(("Code", "Returned by, and meaning", "Remedy"), codes()),
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
    meanings: dict[str, dict[str, list[str]]] = {}
    of_outcomes = outcome_meanings()
    for module in sorted(path.stem for path in MODULES.glob("nomba_*.py")):
        for line in returned(module)["error"]["contains"]["code"]["description"]:
            for code, text in meaning(line):
                # The module that has outcomes says of these codes only that they are outcomes.
                own = of_outcomes.get(code, text) if module == REVOKES else text
                meanings.setdefault(code, {}).setdefault(sentence(own), []).append(f"``{module}``")
    for code, text in codes_of_no_module(set(meanings)):
        meanings[code] = {text: ["the role, in its error message"]}
    for code in sorted(meanings, key=list(REMEDIES).index):
        said = (f"{', '.join(who)}: {text}" for text, who in meanings[code].items())
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
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_record_event":
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
