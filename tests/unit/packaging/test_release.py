# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conditions that stop a release, and its dry run. tests/quality runs a complete release."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import release
from tests.tools.build_tree import git
from tests.unit.tables import each_row

from .clone import configure_author, make_clone, state


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with the files of this one."""
    return make_clone(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def clone(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a clone that the release tool uses as its repository."""
    root = tmp_path / "clone"
    git("clone", "--quiet", "--template=", str(repository), str(root), cwd=tmp_path)
    configure_author(root)
    monkeypatch.setattr(release, "ROOT", root)
    return root


def release_error(clone: Path, capsys: pytest.CaptureFixture[str], version: str) -> str:
    """Try to release; return the error message."""
    before = state(clone)
    assert release.main([version]) == 1
    assert state(clone) == before
    return capsys.readouterr().err


def test_dry_run_prints_steps_and_changes_nothing(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(clone)
    assert release.main(["7.8.9", "--dry-run"]) == 0
    steps = capsys.readouterr().out.splitlines()
    assert steps[0] == "would set version 7.8.9 in galaxy.yml"
    assert "would tag the commit 7.8.9" in steps
    assert len(steps) == 6
    assert state(clone) == before


@each_row("version", ["", "1.2", "v1.2.3", "1.2.3-rc1", "01.2.3", "1.2.3\n"])
def test_invalid_version_is_rejected(
    clone: Path, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    assert "is not three numbers" in release_error(clone, capsys, version)


def test_uncommitted_changes_stop_release(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (clone / "new.txt").write_text("not committed")
    assert "not committed" in release_error(clone, capsys, "7.8.9")


def test_existing_tag_stops_release(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("tag", "7.8.9", cwd=clone)
    assert "the tag 7.8.9 exists" in release_error(clone, capsys, "7.8.9")


@each_row("version", ["7.9.99", "1.10.0"])
def test_older_version_is_rejected(
    clone: Path, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    for tag in ("7.9.0", "7.10.0", "an-experiment"):
        git("tag", "--force", tag, cwd=clone)
    assert f"{version} is not newer than 7.10.0" in release_error(clone, capsys, version)


def test_empty_changelog_stops_release(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("rm", "-rq", "changelogs/fragments", cwd=clone)
    git("commit", "-qm", "No news", cwd=clone)
    assert "changelogs/fragments is empty" in release_error(clone, capsys, "7.8.9")
