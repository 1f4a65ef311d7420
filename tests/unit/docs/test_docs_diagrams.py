# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The diagrams match the code and are readable in light and dark mode."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from ansible_collections.nomba.auth.plugins.module_utils._probe import PROOF_WINDOW
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    ABORT_AFTER,
    Outcome,
)
from tests.unit.tables import each_row

from .guides import DOCSITE, ROOT

IMAGES = sorted((DOCSITE / "rst" / "images").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = {5: "five"}


def texts(name: str, kind: str = "") -> list[str]:
    """Return the texts of a diagram, all or those of one class, in document order."""
    drawing = ElementTree.parse(DOCSITE / "rst" / "images" / f"{name}.svg")
    found = drawing.iter(f"{SVG}text")
    return [one.text or "" for one in found if kind in one.get("class", "").split() or not kind]


def test_revoke_diagram_shows_exactly_all_outcomes() -> None:
    assert set(texts("revoke", "name")) == {outcome.value for outcome in Outcome}


def test_revoke_diagram_shows_numbers_of_code() -> None:
    shown = " ".join(texts("revoke"))
    assert f"up to {PROOF_WINDOW:.0f} seconds" in shown
    assert f"the first {NUMBERS[ABORT_AFTER]}" in shown


def test_rotation_diagram_shows_steps_of_role_in_order() -> None:
    main = ROOT / "roles" / "credential_rotation" / "tasks" / "main.yml"
    found = re.findall(r"(?:\bstep|_tasks): (\w+)", main.read_text(encoding="utf-8"))
    # The last task prints the report of the step before it.
    names = [name for name in found if not name.endswith(("_custom_store", "verdict"))]
    # An emergency also revokes what it finds earlier; the diagram shows the step of every run.
    steps = list(dict.fromkeys(reversed(names)))[::-1]
    others = {"step", "on failure", "rollback", "A", "B"}
    assert [name for name in texts("rotation", "name") if name not in others] == steps


@each_row("image", IMAGES)
def test_diagram_defines_background_and_colors_for_light_and_dark(image: Path) -> None:
    drawing = ElementTree.parse(image)
    style = drawing.find(f"{SVG}style")
    assert style is not None
    light, dark = (style.text or "").split("@media (prefers-color-scheme: dark)")
    for kind in ("card", "box", "mark", "good", "bad", "line", "tip"):
        assert f".{kind} {{" in light
        assert f".{kind} {{" in dark
    ground = drawing.find(f"{SVG}rect")
    assert ground is not None
    assert ground.get("class") == "card"


@each_row("image", IMAGES)
def test_diagram_has_title_and_fetches_nothing(image: Path) -> None:
    drawing = ElementTree.parse(image)
    assert drawing.findtext(f"{SVG}title")
    assert drawing.findtext(f"{SVG}desc")
    everything = ElementTree.tostring(drawing.getroot(), encoding="unicode")
    assert set(re.findall(r"https?://[^\"]+", everything)) == {"http://www.w3.org/2000/svg"}


def test_guides_show_all_diagrams() -> None:
    guides = "".join(path.read_text() for path in (DOCSITE / "rst").glob("*.rst"))
    assert {path.name for path in IMAGES} == {"revoke.svg", "rotation.svg"}
    assert set(re.findall(r"figure:: images/(\S+)", guides)) == {path.name for path in IMAGES}
