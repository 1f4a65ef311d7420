# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdicts in the guide are those that real runs print."""

from __future__ import annotations

import json
import os
import re
import textwrap
from pathlib import Path

from .controller import Controller, PlaybookRun

GUIDE = Path(__file__).parents[2] / "docs" / "docsite" / "rst" / "verdicts.rst"
# What differs from run to run, and what replaces it.
_CHANGING = {
    r"sha256:[0-9a-f]{16}": "FINGERPRINT",
    r"\d{4}-\d\d-\d\dT[\d:]{8}Z": "TIME",
    r"\b\d+(\.\d)? s\b": "N s",
    r"ansible-playbook .*": "COMMAND",
}


def assert_screen(name: str, run: PlaybookRun, controller: Controller, task: str = "") -> None:
    """Require that the guide shows what the last task of a run has printed, see printed.

    With the variable WRITE_SCREENS, the screen is also written to that folder, for the guide.
    """
    shown = "\n".join(printed(run, task)).replace(str(controller.folder), "/srv")
    if folder := os.environ.get("WRITE_SCREENS"):
        Path(folder, name).write_text(f"{shown}\n", encoding="utf-8")
    assert _masked(shown) == _masked(_in_guide(name)), shown


def printed(run: PlaybookRun, task: str = "") -> list[str]:
    """Return the lines of the last task, or of the last one whose name begins so."""
    end = run.output.rindex(f"TASK [{task}")
    found = re.search(r"=> (\{\n.*?\n\})", run.output[end:], re.DOTALL)
    assert found, run.output[end:]
    result = json.loads(found[1])
    message = result["msg"]
    first = [message] if isinstance(message, str) else list(message)
    return [*first, *result.get("details", [])]


def _in_guide(name: str) -> str:
    text = GUIDE.read_text(encoding="utf-8")
    block = re.search(
        rf"^\.\. screen: {name}\n\n\.\. code-block:: text\n\n((?: +.*\n|\n)+)", text, re.MULTILINE
    )
    return textwrap.dedent(block[1]).strip() if block else ""


def _masked(text: str) -> str:
    for pattern, replacement in _CHANGING.items():
        text = re.sub(pattern, replacement, text)
    return text.strip()
