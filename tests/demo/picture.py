# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the output of a run as a terminal, and read the lines of a drawing back."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Sequence
from html import escape
from xml.etree import ElementTree

_COLUMNS = 84
_CHARACTER, _LINE, _MARGIN, _BAR = 8.4, 19, 16, 30
_SVG = "{http://www.w3.org/2000/svg}"
_HEAD = """\
<!--
Copyright (c) 2026, The nomba.auth contributors
GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
Written by tests/demo/run.py; each run of the demo compares it with its output.
-->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"
 width="{width}" height="{height}" role="img">
<title>Output of make demo</title>
<desc>Tokens are revoked and verified. Three services rotate without a rejected request.</desc>
<style>
.card {{ fill: #ffffff; stroke: #d0d7de; }}
.dot {{ fill: #d0d7de; }}
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre; }}
text {{ fill: #24292f; }}
.title {{ font-weight: bold; fill: #0550ae; }}
.command {{ font-weight: bold; }}
.ok {{ fill: #116329; }}
.verdict {{ fill: #8a4600; }}
@media (prefers-color-scheme: dark) {{
.card {{ fill: #0d1117; stroke: #3d444d; }}
.dot {{ fill: #3d444d; }}
text {{ fill: #e6edf3; }}
.title {{ fill: #79c0ff; }}
.ok {{ fill: #7ee787; }}
.verdict {{ fill: #f0b37e; }}
}}
</style>
<rect class="card" x="0.5" y="0.5" width="{inner}" height="{bottom}" rx="8"/>
<circle class="dot" cx="20" cy="18" r="5"/>
<circle class="dot" cx="38" cy="18" r="5"/>
<circle class="dot" cx="56" cy="18" r="5"/>
"""
_KINDS = {
    r"  \$ ": "command",
    r"  (ok|RETIRED): ": "ok",
    r"  (NOT FINISHED|OLD CLIENT STILL WORKS): ": "verdict",
    r"  ": "plain",
    r"\S": "title",
}
# What differs from run to run.
_CHANGING = {
    r"\S*/nomba-demo-\w+": "(folder)",
    r"sha256:[0-9a-f]{16}": "(fingerprint)",
    r"\d{4}-\d\d-\d\dT[\d:]+Z": "(time)",
    r" +[1-9]\d*\b": " (count)",
    r"outage \d+ s": "outage (seconds)",
}


def draw(lines: Sequence[str]) -> str:
    """Return an image of a terminal with these lines."""
    texts: list[str] = []
    row = 0
    for line in lines:
        spans: list[str] = []
        for part in _wrapped(line):
            left = _MARGIN + (round(4 * _CHARACTER) if spans else 0)
            top = _BAR + _MARGIN + row * _LINE
            spans.append(f'<tspan x="{left}" y="{top}">{escape(part)}</tspan>')
            row += 1
        row += not spans
        kind = next((kind for start, kind in _KINDS.items() if re.match(start, line)), "plain")
        texts.append(f'<text class="{kind}" xml:space="preserve">{"".join(spans)}</text>')
    width, height = round(_COLUMNS * _CHARACTER) + 2 * _MARGIN, _BAR + _MARGIN + row * _LINE
    head = _HEAD.format(width=width, height=height, inner=width - 1, bottom=height - 1)
    return head + "\n".join(texts) + "\n</svg>\n"


def _wrapped(line: str) -> list[str]:
    """Break a line at spaces, and keep them."""
    return textwrap.wrap(
        line, _COLUMNS - 4, drop_whitespace=False, replace_whitespace=False, break_on_hyphens=False
    )


def shown(image: str) -> list[str]:
    """Return the lines of an image, without wrapping."""
    return ["".join(one.itertext()) for one in ElementTree.fromstring(image).iter(f"{_SVG}text")]


def differences(drawn: Sequence[str], printed: Sequence[str]) -> list[str]:
    """Return the lines that differ, apart from what differs from run to run."""
    lines = difflib.ndiff(masked(drawn), masked(printed))
    return [line for line in lines if line.startswith(("- ", "+ "))]


def masked(lines: Sequence[str]) -> list[str]:
    """Return the lines without what differs from run to run."""
    text = "\n".join(lines)
    for pattern, name in _CHANGING.items():
        text = re.sub(pattern, name, text)
    return text.splitlines()
