# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changelog, version, commit, tag, tarball and checksums of a release; nothing is pushed."""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import tarfile
from pathlib import Path

from tests.tools.build_tree import git
from tests.tools.project import BUILD, ROOT, ToolError, fail, run_quietly, tool_environment

NUMBER = r"(0|[1-9]\d*)"
VERSION = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}")
STEPS = (
    "set version {0} in galaxy.yml",
    "generate CHANGELOG.md from changelogs/fragments",
    "commit this as Release {0}",
    "tag the commit {0}",
    "build nomba-auth-{0}.tar.gz from the tag",
    "write SHA256SUMS",
)


def main(arguments: list[str]) -> int:
    """Release, or print why not."""
    parser = argparse.ArgumentParser(prog="release", description="Release the collection.")
    parser.add_argument("version", help="three numbers, for example 1.2.3")
    parser.add_argument("--dry-run", action="store_true", help="check everything, change nothing")
    options = parser.parse_args(arguments)
    try:
        check(ROOT, options.version)
        for step in STEPS:
            print("would " * options.dry_run + step.format(options.version))
        if not options.dry_run:
            make(ROOT, options.version, BUILD / "release")
    except ToolError as error:
        return fail(error)
    return 0


def check(root: Path, version: str) -> None:
    """Reject a release that would have to be undone."""
    if not VERSION.fullmatch(version):
        raise ToolError(f"VERSION: {version!r} is not three numbers, for example 1.2.3")
    if git("status", "--porcelain", cwd=root):
        raise ToolError("the tree has changes that are not committed: commit or remove them")
    tags = git("tag", "--list", cwd=root).split()
    if version in tags:
        raise ToolError(f"VERSION: the tag {version} exists; choose a newer version")
    newest = max((numbers(tag) for tag in tags if VERSION.fullmatch(tag)), default=(-1,))
    if numbers(version) <= newest:
        shown = ".".join(map(str, newest))
        raise ToolError(f"VERSION: {version} is not newer than {shown}, the last release")
    if not list((root / "changelogs" / "fragments").glob("*.y*ml")):
        raise ToolError("changelogs/fragments is empty: a release describes its changes")


def make(root: Path, version: str, target: Path) -> None:
    """Do all steps."""
    galaxy = root / "galaxy.yml"
    text, count = re.subn(
        r"^version: .*$", f"version: {version}", galaxy.read_text(encoding="utf-8"), flags=re.M
    )
    if count != 1:
        raise ToolError("galaxy.yml must have one line that begins with version:")
    galaxy.write_text(text, encoding="utf-8")
    env = tool_environment(Path(sys.prefix))
    run_quietly(["antsibull-changelog", "release", "--version", version], root, env)
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "--message", f"Release {version}", cwd=root)
    git("tag", "--annotate", "--message", f"nomba.auth {version}", version, cwd=root)
    # From the content of the tag, whatever else is in the folder.
    shutil.rmtree(target, ignore_errors=True)
    source, archive = target / "source", target / "source.tar"
    source.mkdir(parents=True)
    git("archive", "--output", str(archive), version, cwd=root)
    with tarfile.open(archive) as tar:
        tar.extractall(source, filter="data")
    build = ["ansible-galaxy", "collection", "build", "--output-path", str(target)]
    run_quietly(build, source, env)
    archive.unlink()
    shutil.rmtree(source)
    tarball = target / f"nomba-auth-{version}.tar.gz"
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    (target / "SHA256SUMS").write_text(f"{digest}  {tarball.name}\n", encoding="utf-8")
    print(f"The files are in {target}. To publish: git push origin HEAD {version}")


def numbers(version: str) -> tuple[int, ...]:
    """Return the value by which versions are compared."""
    return tuple(map(int, version.split(".")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
