# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conditions that stop a release, and its dry run. tests/quality makes a complete release."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import release
from tests.tools.build_tree import git

from .clone import make_clone, state


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that the release tool uses as its own."""
    root = make_clone(tmp_path)
    monkeypatch.setattr(release, "ROOT", root)
    return root


def release_error(clone: Path, capsys: pytest.CaptureFixture[str], version: str) -> str:
    """Try to make a release; return the error message."""
    before = state(clone)
    assert release.main([version]) == 1
    assert state(clone) == before
    return capsys.readouterr().err


def test_dry_run_prints_the_steps_and_changes_nothing(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(clone)
    assert release.main(["7.8.9", "--dry-run"]) == 0
    steps = capsys.readouterr().out.splitlines()
    assert steps[0] == "would set version 7.8.9 in galaxy.yml"
    assert "would tag the commit 7.8.9" in steps
    assert len(steps) == 6
    assert state(clone) == before


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3-rc1", "01.2.3", "1.2.3\n"])
def test_invalid_version_is_rejected(
    clone: Path, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    assert "is not three numbers" in release_error(clone, capsys, version)


def test_uncommitted_changes_stop_a_release(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / "new.txt").write_text("not committed")
    assert "not committed" in release_error(clone, capsys, "7.8.9")


def test_existing_tag_stops_a_release(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("tag", "7.8.9", cwd=clone)
    assert "the tag 7.8.9 exists" in release_error(clone, capsys, "7.8.9")


@pytest.mark.parametrize("version", ["7.9.99", "1.10.0"])
def test_older_version_is_rejected(
    clone: Path, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    for tag in ("7.9.0", "7.10.0", "an-experiment"):
        git("tag", tag, cwd=clone)
    assert f"{version} is not newer than 7.10.0" in release_error(clone, capsys, version)


def test_empty_changelog_stops_a_release(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("rm", "-rq", "changelogs/fragments", cwd=clone)
    git("commit", "-qm", "No news", cwd=clone)
    assert "changelogs/fragments is empty" in release_error(clone, capsys, "7.8.9")
