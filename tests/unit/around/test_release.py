# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release refuses, and that its dry run changes nothing. tests/quality makes a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import release
from tests.tools.build_tree import git

from .clone import make_clone, state


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that the tool takes for its own."""
    root = make_clone(tmp_path)
    monkeypatch.setattr(release, "ROOT", root)
    return root


def refuses(clone: Path, capsys: pytest.CaptureFixture[str], version: str) -> str:
    """Try a real release; return why it was not made."""
    before = state(clone)
    assert release.main([version]) == 1
    assert state(clone) == before
    return capsys.readouterr().err


def test_a_dry_run_says_the_steps_and_changes_nothing(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(clone)
    assert release.main(["7.8.9", "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "would set version 7.8.9 in galaxy.yml"
    assert "would tag the commit 7.8.9" in said
    assert len(said) == 6
    assert state(clone) == before


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3-rc1", "01.2.3", "1.2.3\n"])
def test_a_version_is_three_numbers(
    clone: Path, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    assert "is not three numbers" in refuses(clone, capsys, version)


def test_a_tree_with_changes_is_refused(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (clone / "new.txt").write_text("not committed")
    assert "not committed" in refuses(clone, capsys, "7.8.9")


def test_a_tag_that_exists_is_refused(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("tag", "7.8.9", cwd=clone)
    assert "the tag 7.8.9 exists" in refuses(clone, capsys, "7.8.9")


@pytest.mark.parametrize("version", ["7.9.99", "1.10.0"])
def test_a_version_that_is_not_newer_is_refused(
    clone: Path, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    for tag in ("7.9.0", "7.10.0", "an-experiment"):
        git("tag", tag, cwd=clone)
    assert f"{version} is not newer than 7.10.0" in refuses(clone, capsys, version)


def test_a_release_without_news_is_refused(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("rm", "-rq", "changelogs/fragments", cwd=clone)
    git("commit", "-qm", "No news", cwd=clone)
    assert "changelogs/fragments is empty" in refuses(clone, capsys, "7.8.9")
