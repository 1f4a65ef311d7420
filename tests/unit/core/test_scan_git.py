# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scanning the objects of Git repositories, also of hostile and damaged ones."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _scan_git, _scan_programs
from ansible_collections.nomba.auth.plugins.module_utils._scan import (
    ScanOptions,
    ScanResult,
    scan,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from tests.corpus.kinds import log
from tests.unit.tables import each_row

from .token_factory import token

pytestmark = pytest.mark.pure

ONE, TWO, THREE = (token(n=number) for number in range(1, 4))
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
ENVIRONMENT = {
    **CLEAN,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; return its output."""
    run = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=ENVIRONMENT,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return run.stdout.strip()


def commit(folder: Path, name: str, content: bytes, message: str = "Change") -> str:
    """Commit a file; return the name of its object."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", message)
    return git(folder, "rev-parse", f"HEAD:{name}")[:12]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Create an empty repository."""
    folder = tmp_path / "app"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def places(scanned: ScanResult, text: str) -> list[tuple[str, int | None]]:
    """Return the locations of a token."""
    return [(place.path, place.line) for place in scanned.locations[fingerprint(text)]]


@each_row("form", ["loose", "packed", "bare", "sha256"])
def test_token_in_history_is_found(tmp_path: Path, form: str) -> None:
    folder = tmp_path / form
    folder.mkdir()
    git(folder, "init", "-q", *(["--object-format=sha256"] if form == "sha256" else []))
    blob = commit(folder, "config/live/.env", log(ONE))
    commit(folder, "config/live/.env", b"removed\n")
    where = folder / ".git"
    if form == "packed":
        git(folder, "gc", "-q", "--aggressive", "--prune=now")
    if form == "bare":
        git(tmp_path, "clone", "-q", "--bare", str(folder), str(tmp_path / "bare.git"))
        where = tmp_path / "bare.git"
    scanned = scan([], [str(where)])
    assert places(scanned, ONE) == [(f"{where}@{blob}:config/live/.env", 2)]
    assert scanned.unread == []
    assert scanned.objects == 10


def test_object_that_no_branch_reaches_is_found(repository: Path) -> None:
    commit(repository, "a", b"first\n")
    blob = commit(repository, "b/c", gzip.compress(log(ONE)))
    git(repository, "reset", "-q", "--hard", "HEAD~1")
    git(repository, "reflog", "expire", "--expire=now", "--all")
    scanned = scan([], [str(repository)])
    assert places(scanned, ONE) == [(f"{repository}/.git@{blob}:b/c", 2)]


def test_blob_without_a_tree_and_message_of_a_commit_are_found(repository: Path) -> None:
    commit(repository, "a", b"text\n", f"Use\n\n{TWO}")
    name = git(repository, "rev-parse", "HEAD")[:12]
    (repository / "x").write_text(ONE)
    blob = git(repository, "hash-object", "-w", "x")[:12]
    (repository / "x").unlink()
    scanned = scan([], [str(repository / ".git")])
    assert places(scanned, ONE) == [(f"{repository}/.git@{blob}", 1)]
    assert (f"{repository}/.git@{name}", 7) in places(scanned, TWO)


def test_large_object_is_unread_with_a_limit(repository: Path) -> None:
    blob = commit(repository, "a", log(ONE) * 100)
    scanned = scan([], [str(repository / ".git")], options=ScanOptions(max_file_size=20_000))
    assert scanned.tokens == []
    assert [path for path, __ in scanned.unread] == [f"{repository}/.git@{blob}"]


def test_configuration_of_repository_is_not_used(repository: Path, tmp_path: Path) -> None:
    blob = commit(repository, "a", log(ONE))
    mark = tmp_path / "executed"
    command = f"touch {mark}"
    with (repository / ".git" / "config").open("a") as config:
        config.write(
            f'[core]\n\tfsmonitor = "{command}"\n\tsshCommand = "{command}"\n'
            f'\tpager = "{command}"\n\talternateRefsCommand = "{command}"\n'
            f'[alias]\n\tcat-file = "!{command}"\n[extensions]\n\tpartialClone = origin\n'
            f'[remote "origin"]\n\turl = "ext::sh -c {command}"\n\tpromisor = true\n'
        )
    for hook in ("post-checkout", "pre-auto-gc", "post-index-change", "reference-transaction"):
        path = repository / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o700)
    scanned = scan([], [str(repository / ".git")])
    assert places(scanned, ONE) == [(f"{repository}/.git@{blob}:a", 2)]
    assert scanned.unread == []
    assert not mark.exists()


def test_environment_of_user_is_not_used(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(repository, "a", log(ONE))
    monkeypatch.setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", "/missing")
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("GIT_EXEC_PATH", "/missing")
    scanned = scan([], [str(repository / ".git")])
    assert (len(scanned.tokens), scanned.unread) == (1, [])


def test_damaged_repository_is_unread(repository: Path) -> None:
    blob = commit(repository, "a", log(ONE))
    commit(repository, "b", log(TWO))
    (file,) = (repository / ".git" / "objects" / blob[:2]).glob(blob[2:] + "*")
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:20] + b"\0" * 30)
    scanned = scan([], [str(repository / ".git")])
    assert TWO in [one.text for one in scanned.tokens]
    assert scanned.unread[0][0] == f"{repository}/.git"
    assert scanned.unread[0][1].startswith("git could not read all of its objects: ")


def test_repository_without_git_is_unread(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository, "a", log(ONE))
    git(repository, "gc", "-q")
    monkeypatch.setattr(_scan_git, "find_program", lambda _name: None)
    scanned = scan([], [str(repository / ".git")])
    assert (
        f"{repository}/.git",
        "it is a Git repository, and this host has no git to read its objects",
    ) in scanned.unread


def test_nothing_is_left_behind(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository, "a", log(ONE))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = sorted(path for path in repository.rglob("*"))
    scan([], [str(repository)])
    assert list(temporary.iterdir()) == []
    assert sorted(path for path in repository.rglob("*")) == before


def test_program_that_prints_nothing_is_ended(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository, "a", log(ONE))
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    monkeypatch.setattr(_scan_git, "find_program", lambda _name: str(program))
    monkeypatch.setattr(_scan_programs, "_TIMEOUT", 0.2)
    monkeypatch.setattr(_scan_programs, "_LOOK", 0.1)
    scanned = scan([], [str(repository / ".git")])
    assert "printed nothing" in scanned.unread[0][1]
