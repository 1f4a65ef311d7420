# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gathering tokens: from options, and from files and folders, which are read as streams."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.nomba.auth.plugins.module_utils._token import (
    Finding,
    Token,
    find_tokens,
    read,
)

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Place:
    """Where a token stands: a file, and its first line there (from 1)."""

    path: str
    line: int


@dataclass
class Harvest:
    """Distinct tokens in the order met, and what was seen on the way.

    places: by fingerprint, one per file. unread: path and reason. foreign: how many distinct JWTs
    name no Nomba account and were left alone. files: how many files were read.
    """

    tokens: list[Token] = field(default_factory=list)
    places: dict[str, list[Place]] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)
    foreign: int = 0
    files: int = 0

    def found_in(self, token: Token) -> list[dict[str, object]]:
        """Where a token stands, as results tell it."""
        return [
            {"path": place.path, "line": place.line} for place in self.places[token.fingerprint]
        ]


def gather(texts: Iterable[str], sources: Iterable[str]) -> Harvest:
    """Read the given tokens, then all tokens in the sources. Raises LibraryMissing."""
    harvest = Harvest()
    foreign: set[str] = set()
    for text in texts:
        _add(harvest, read(text))
    for path in _files(sources, harvest):
        for finding in _read(path, harvest):
            if finding.token.accounts:
                _add(harvest, finding.token, Place(str(path), finding.line))
            else:
                foreign.add(finding.token.fingerprint)
    harvest.foreign = len(foreign)
    return harvest


def _add(harvest: Harvest, token: Token, place: Place | None = None) -> None:
    if token.fingerprint not in harvest.places:
        harvest.places[token.fingerprint] = []
        harvest.tokens.append(token)
    places = harvest.places[token.fingerprint]
    if place and (not places or places[-1].path != place.path):
        places.append(place)


def _files(sources: Iterable[str], harvest: Harvest) -> Iterator[Path]:
    """Every regular file of the sources, once. Links are followed to files, not to folders."""
    seen: set[tuple[int, int]] = set()
    for path in _walk(sources, harvest):
        try:
            found = path.stat()
        except OSError as error:
            _note(harvest, path, error)
            continue
        if stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) not in seen:
            seen.add((found.st_dev, found.st_ino))
            yield path


def _walk(sources: Iterable[str], harvest: Harvest) -> Iterator[Path]:
    for source in sources:
        try:
            mode = os.stat(source).st_mode  # noqa: PTH116  an empty Path is the current folder
        except (OSError, ValueError) as error:  # ValueError: no file can have such a name
            _note(harvest, source, error)
            continue
        if stat.S_ISDIR(mode):
            yield from _below(Path(source), harvest)
        elif stat.S_ISREG(mode):
            yield Path(source)
        else:
            harvest.unread.append((source, "it is neither a file nor a folder"))


def _below(source: Path, harvest: Harvest) -> Iterator[Path]:
    """All that lies in a folder and below it, sorted. What cannot be listed is noted."""

    def note(error: OSError) -> None:
        _note(harvest, error.filename or source, error)

    for folder, folders, names in os.walk(source, onerror=note):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def _read(path: Path, harvest: Harvest) -> Iterator[Finding]:
    try:
        with path.open("rb") as stream:
            harvest.files += 1
            yield from find_tokens(iter(lambda: stream.read(_CHUNK), b""))
    except OSError as error:
        _note(harvest, path, error)


def _note(harvest: Harvest, path: object, error: Exception) -> None:
    reason = getattr(error, "strerror", None)
    harvest.unread.append((str(path), reason or "it cannot be read"))
