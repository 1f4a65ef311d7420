# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make release: changelog, version, commit, tag, tarball, checksums; nothing leaves the machine.

python -m tests.tools.release VERSION [--dry-run]    the dry run asks all questions, changes nothing
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.tools.build_tree import git
from tests.tools.project import BUILD, ROOT, ToolError, fail, run_quietly, tool_environment

_NUMBER = r"(0|[1-9]\d*)"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}")
_IN_GALAXY = re.compile(r"^version: (.*)$", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Release, or say in one sentence why not."""
    parser = argparse.ArgumentParser(prog="release", description="Release the collection.")
    parser.add_argument("version", help="three numbers, as 1.2.3")
    parser.add_argument("--dry-run", action="store_true", help="ask all questions, change nothing")
    options = parser.parse_args(arguments)
    release = Release(ROOT, options.version)
    try:
        release.check()
        if options.dry_run:
            print("\n".join(f"would {step}" for step in release.steps()))
        else:
            release.make(BUILD / "release")
    except ToolError as error:
        return fail(error)
    return 0


@dataclass(frozen=True)
class Release:
    """One release of the repository at `root`."""

    root: Path
    version: str

    @property
    def tarball(self) -> str:
        """The name of the file that Galaxy gets."""
        return f"nomba-auth-{self.version}.tar.gz"

    def steps(self) -> list[str]:
        """Return what a release does, in order."""
        return [
            f"set version {self.version} in galaxy.yml",
            "turn changelogs/fragments into CHANGELOG.md",
            f"commit this as Release {self.version}",
            f"tag the commit {self.version}",
            f"build {self.tarball} from the tag",
            "write SHA256SUMS",
        ]

    def check(self) -> None:
        """Refuse what could not be taken back."""
        if not _VERSION.fullmatch(self.version):
            raise ToolError(f"VERSION: {self.version!r} is not three numbers, as 1.2.3")
        if git("status", "--porcelain", cwd=self.root):
            raise ToolError("the tree has changes that are not committed: commit or remove them")
        tags = git("tag", "--list", cwd=self.root).split()
        if self.version in tags:
            raise ToolError(f"VERSION: the tag {self.version} exists; choose a newer version")
        self._check_newer(tags)
        if not list((self.root / "changelogs" / "fragments").glob("*.y*ml")):
            raise ToolError("changelogs/fragments is empty: a release says what is new in it")

    def _check_newer(self, tags: list[str]) -> None:
        newest = max((numbers(tag) for tag in tags if _VERSION.fullmatch(tag)), default=None)
        if newest is not None and numbers(self.version) <= newest:
            shown = ".".join(map(str, newest))
            raise ToolError(f"VERSION: {self.version} is not newer than {shown}, the last release")

    def make(self, target: Path) -> None:
        """Do all steps; say each one before."""
        actions = (self._set_version, self._changelog, self._commit, self._tag)
        steps = iter(self.steps())
        for action in actions:
            print(next(steps), flush=True)
            action()
        print(next(steps), flush=True)
        self._build(target)
        print(next(steps), flush=True)
        write_sums(target)
        print(f"{target} holds the files; to publish: git push origin HEAD {self.version}")

    def _set_version(self) -> None:
        path = self.root / "galaxy.yml"
        text, count = _IN_GALAXY.subn(f"version: {self.version}", path.read_text(encoding="utf-8"))
        if count != 1:
            raise ToolError("galaxy.yml must have one line that begins with version:")
        path.write_text(text, encoding="utf-8")

    def _changelog(self) -> None:
        run_here(["antsibull-changelog", "release", "--version", self.version], self.root)

    def _commit(self) -> None:
        git("add", "--all", cwd=self.root)
        git("commit", "--quiet", "--message", f"Release {self.version}", cwd=self.root)

    def _tag(self) -> None:
        message = f"nomba.auth {self.version}"
        git("tag", "--annotate", "--message", message, self.version, cwd=self.root)

    def _build(self, target: Path) -> None:
        """Build from what the tag holds, whatever else lies in the folder."""
        shutil.rmtree(target, ignore_errors=True)
        source = target / "source"
        source.mkdir(parents=True)
        archive = target / "source.tar"
        git("archive", "--output", str(archive), self.version, cwd=self.root)
        with tarfile.open(archive) as tar:
            tar.extractall(source, filter="data")
        archive.unlink()
        run_here(["ansible-galaxy", "collection", "build", "--output-path", str(target)], source)
        shutil.rmtree(source)


def numbers(version: str) -> tuple[int, ...]:
    """Return what versions are compared by."""
    return tuple(int(part) for part in version.split("."))


def run_here(command: list[str], cwd: Path) -> None:
    """Run a program of the environment that this runs in."""
    run_quietly(command, cwd, tool_environment(Path(sys.prefix)))


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS, for sha256sum --check."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.glob("*.tar.gz"))
    ]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
