# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The README is short and complete, its links work from a tarball, and its picture is drawn."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ansible_collections.nomba.auth.plugins.module_utils._revocation import Outcome
from tests.demo import picture

from .guides import README, ROOT

MAX_LINES = 120
REPOSITORY = "https://github.com/nomba-auth/nomba.auth/blob/main/"
# The steps of the playbooks, which nobody calls by hand.
INTERNAL = re.compile("nomba_(rotation|fleet|token_find)|rotation_value|tasks$")
PARTS = ("plugins/modules", "plugins/filter", "plugins/lookup", "plugins/callback")
PARTS += ("roles", "playbooks", "extensions/eda/rulebooks", "extensions/eda/plugins/event_filter")
RUN = ["Playbook: revoke", "  $ ansible-playbook -i /tmp/nomba-demo-a1/hosts", "  ok: 12 rows"]


def links() -> set[str]:
    """Return the targets of all links and images."""
    inline = re.findall(r"\]\(([^)]+)\)", README)
    return {*inline, *re.findall(r"^\[\w+\]: (\S+)$", README, re.MULTILINE)}


def test_readme_has_at_most_120_lines() -> None:
    assert len(README.splitlines()) <= MAX_LINES


def test_readme_names_every_part_of_the_collection() -> None:
    paths = [path for folder in PARTS for path in (ROOT / folder).iterdir()]
    names = {path.stem for path in paths if not path.name.startswith("_")}
    public = {name for name in names if not INTERNAL.match(name)}
    assert len(public) > len(PARTS)
    assert {name for name in public if not re.search(rf"[`.]{name}\b", README)} == set()


def test_relative_links_are_part_of_the_tarball() -> None:
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    relative = {link for link in links() if not link.startswith("https://")}
    assert {link for link in relative if not (ROOT / link).exists()} == set()
    folders = {link: {link, *map(str, Path(link).parents)} for link in relative}
    assert {link for link in relative if folders[link] & set(ignored)} == set()


def test_absolute_links_to_the_repository_name_files() -> None:
    named = {link.removeprefix(REPOSITORY) for link in links() if link.startswith(REPOSITORY)}
    assert any(name.startswith("tests/") for name in named)
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_every_guarantee_links_to_its_test() -> None:
    section = README.split("\n## Guarantees\n")[1].split("\nLimits:")[0]
    guarantees = section.split("\n- ")[1:]
    assert guarantees
    assert [one for one in guarantees if not re.search(r"\]\[\w+\]", one)] == []


def test_readme_lists_the_outcomes_that_succeed() -> None:
    (sentence,) = re.findall(r"^Each token has a result\..*", README, re.MULTILINE)
    listed = set(re.findall(r"`(\w+)`", sentence))
    assert listed == {outcome.value for outcome in Outcome if not outcome.failed}


def test_picture_shows_the_lines_that_are_drawn() -> None:
    wrapped = [*RUN, "", "  x" * 50]
    assert picture.shown(picture.draw(wrapped)) == wrapped


def test_picture_of_another_run_differs_in_what_changes_only() -> None:
    other = [line.replace("a1", "b2").replace("12", "345") for line in RUN]
    assert picture.differences(RUN, other) == []
    assert picture.differences(RUN, [*RUN[:2], "  ok: 0 rows"])
    assert picture.differences(RUN, RUN[:-1]) == ["-   ok: (count) rows"]


def test_readme_shows_a_verified_revocation_and_no_rejected_request() -> None:
    assert "(docs/demo.svg)" in README
    lines = picture.shown((ROOT / "docs" / "demo.svg").read_text(encoding="utf-8"))
    assert any(re.search(r"sha256:\w+ +revoked +verified", line) for line in lines)
    assert "  ok: no request was rejected" in lines
