# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects of a Git repository, by the host's own git, also those that no branch reaches.

Nothing of the repository is executed or trusted: git sees its objects, but not its configuration,
hooks and references. They are read from an empty repository in a private temporary folder.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.nomba.auth.plugins.module_utils._scan_programs import (
    Program,
    ProgramFailed,
    find_program,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan_reader import Problem, Reader

_NO_GIT = "it is a Git repository, and this host has no git to read its objects"
_FAILED = "git could not read all of its objects: {}"
# Bytes of the configuration that are searched for the format of the object names.
_MAX_CONFIG = 64 * 1024
_SHA256 = re.compile(r"^\s*objectformat\s*=\s*sha256\s*$", re.IGNORECASE | re.MULTILINE)
# A line of `git cat-file --batch`.
_OBJECT = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) (blob|tree|commit|tag) ([0-9]{1,15})\n")
_MAX_LINE = 128
_ALL = ("cat-file", "--batch-all-objects", "--unordered", "--buffer")
# Folders above a file whose names are looked up, each in one pass over the trees.
_MAX_LEVELS = 20
_REGULAR = re.compile(rb"[0-7]{5,6} ([^\0]+)\0")


@dataclass(frozen=True)
class GitObject:
    """An object. content: its chunks; they are skipped if they are not read."""

    name: str
    kind: str
    size: int
    content: Iterator[bytes]


class GitFailed(Problem):
    """Not all objects can be read; the text is the reason, for users."""


class Repository:
    """The objects of a repository. Raises GitFailed."""

    def __init__(self, folder: str, stopped: Callable[[], bool]) -> None:
        self._folder = os.path.abspath(folder)  # noqa: PTH100  Path does not remove `..`
        self._stopped = stopped
        git = find_program("git")
        if git is None:
            raise GitFailed(_NO_GIT)
        self._git = git

    def objects(self) -> Generator[GitObject, None, None]:
        """Yield each object, without an order. Trees are included: they have names of files."""
        with self._run(*_ALL, "--batch") as program:
            reader = Reader(program.chunks())
            while header := reader.line(_MAX_LINE):
                match = _OBJECT.fullmatch(header)
                if not match:
                    raise Problem("its output is not valid")
                size = int(match[3])
                name, kind = match[1].decode(), match[2].decode()
                content = reader.take(size)
                yield GitObject(name, kind, size, content)
                for __ in content:
                    pass
                reader.skip(1)

    def paths(self, names: set[str]) -> dict[str, bytes]:
        """Return a path of each of these objects, as far as trees contain them."""
        paths: dict[str, bytes] = {}
        children = {name: [(name, b"")] for name in names}
        for __ in range(_MAX_LEVELS):
            parents: dict[str, list[tuple[str, bytes]]] = {}
            for tree in self._trees():
                for child, part in self._entries(tree):
                    for name, path in children.pop(child, []):
                        longer = part + b"/" + path if path else part
                        paths[name] = longer
                        parents.setdefault(tree.name, []).append((name, longer))
            if not parents:
                break
            children = parents
        return paths

    def _trees(self) -> Iterator[GitObject]:
        return (one for one in self.objects() if one.kind == "tree")

    @staticmethod
    def _entries(tree: GitObject) -> Iterator[tuple[str, bytes]]:
        """Yield the name of each object in a tree, and its name as a file."""
        data, length, at = b"".join(tree.content), len(tree.name) // 2, 0
        while match := _REGULAR.match(data, at):
            at = match.end() + length
            yield data[match.end() : at].hex(), match[1]

    @contextmanager
    def _run(self, *arguments: str) -> Iterator[Program]:
        with tempfile.TemporaryDirectory(prefix="nomba-scan-") as folder:
            self._make_empty(Path(folder))
            environment = {
                "GIT_DIR": folder,
                "GIT_OBJECT_DIRECTORY": os.path.join(self._folder, "objects"),  # noqa: PTH118
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_SYSTEM": os.devnull,
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_NO_LAZY_FETCH": "1",
                "GIT_NO_REPLACE_OBJECTS": "1",
                "GIT_ALLOW_PROTOCOL": "none",
                "GIT_TERMINAL_PROMPT": "0",
                "HOME": folder,
            }
            try:
                with Program([self._git, *arguments], environment, self._stopped) as program:
                    yield program
            except (ProgramFailed, Problem) as failure:
                raise GitFailed(_FAILED.format(failure)) from None

    def _make_empty(self, folder: Path) -> None:
        """Create the repository from which git reads the objects."""
        (folder / "refs").mkdir()
        (folder / "objects").mkdir()
        (folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
        if self._has_sha256():
            config = config.replace("= 0", "= 1") + "[extensions]\n\tobjectformat = sha256\n"
        (folder / "config").write_text(config, encoding="ascii")

    def _has_sha256(self) -> bool:
        try:
            with open(os.path.join(self._folder, "config"), "rb") as stream:  # noqa: PTH118, PTH123
                text = stream.read(_MAX_CONFIG).decode("utf-8", "replace")
        except OSError:
            return False
        return _SHA256.search(text) is not None
