# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scans: find tokens in options, and in files and folders; their result.

How files are read: see _scan_sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ansible_collections.nomba.auth.plugins.module_utils._token import Token, read, redact

# Bytes that are not UTF-8 (surrogates), the backslash, and control characters of a terminal.
_ESCAPED = re.compile(
    "[\x00-\x1f\\\\\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True)
class Location:
    """Where a token was found: a path as of `shown_path`, and the first line in it (from 1).

    path: the parts of archives are separated by `!`, as in `logs.tar.gz!dir/app.log`. An encoding
    follows in brackets, as in `secret.yml (base64)`. line: None if the token is in the path itself.
    """

    path: str
    line: int | None


@dataclass
class ScanResult:
    """The distinct tokens in the order found, and their locations.

    locations: by fingerprint, one per file and one per path. unread: shown path and reason of each
    source that was not read completely. other_jwts: the number of distinct JWTs that name no Nomba
    account and were ignored. files, bytes: the number of files that were read, and their size.
    archives: the number of compressed files and archives that were opened, nested ones included.
    objects: the number of Git objects that were read. excluded: the number of files, folders and
    members of archives that were excluded.
    """

    tokens: list[Token] = field(default_factory=list)
    locations: dict[str, list[Location]] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)
    other_jwts: int = 0
    files: int = 0
    bytes: int = 0
    archives: int = 0
    objects: int = 0
    excluded: int = 0

    def add(self, token: Token, location: Location | None = None) -> None:
        """Add a token and its location; in a file, only the first one."""
        if token.fingerprint not in self.locations:
            self.locations[token.fingerprint] = []
            self.tokens.append(token)
        locations = self.locations[token.fingerprint]
        if location and not _is_listed(location, locations):
            locations.append(location)

    def counts(self) -> dict[str, int]:
        """Return the numbers of the scan, as the summary of a result contains them."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "archives": self.archives,
            "objects": self.objects,
            "excluded": self.excluded,
            "unread": len(self.unread),
            "other_jwts": self.other_jwts,
        }

    def found_in(self, token: Token) -> list[dict[str, object]]:
        """Return the locations of a token, as results contain them."""
        return [
            {"path": location.path, "line": location.line}
            for location in self.locations[token.fingerprint]
        ]

    def unread_rows(self) -> list[dict[str, str]]:
        """Return one row for each unread source, as results contain it."""
        return [{"path": path, "reason": reason} for path, reason in self.unread]

    def unread_message(self) -> str:
        """Return a sentence on the unread sources, after a space; empty without any."""
        if not self.unread:
            return ""
        path, reason = self.unread[0]
        return f" sources: {len(self.unread)} could not be read, {path} first: {reason}."


@dataclass(frozen=True)
class ScanOptions:
    """What to leave out of a scan.

    exclude: globs of names, or of whole paths if they contain a slash. max_file_size: bytes; a
    larger file is unread. None has no limit.
    """

    exclude: tuple[str, ...] = ()
    max_file_size: int | None = None


def _never() -> bool:
    return False


def scan(
    texts: Iterable[str],
    sources: Sequence[str],
    stopped: Callable[[], bool] = _never,
    options: ScanOptions = ScanOptions(),
) -> ScanResult:
    """Return the tokens in `texts`, then those in the sources.

    Raises LibraryMissing if there are texts. stopped: returns whether to stop early; the sources
    that are not read completely are unread.
    """
    result = ScanResult()
    for text in texts:
        result.add(read(text))
    from_texts = len(result.tokens)
    if sources:
        # here: slow to import, often not needed
        from ansible_collections.nomba.auth.plugins.module_utils._scan_sources import Sources

        Sources(result, stopped, options).scan(sources)
        _merge_cut_tokens(result, from_texts)
    return result


@lru_cache(maxsize=16)  # one path is shown for each token in a file
def shown_path(path: str) -> str:
    r"""Return a path as valid UTF-8 on one line, without tokens and e-mail addresses.

    A byte that is not UTF-8 is shown as `\xff`, a control character as `\x0a` or `\u202e`, and a
    backslash is doubled, so that this escaping never makes two paths look the same.
    """
    return _ESCAPED.sub(_escape, redact(path))


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character == "\\":
        return r"\\"
    if 0xDC80 <= code <= 0xDCFF:
        return rf"\x{code - 0xDC00:02x}"
    return rf"\x{code:02x}" if code < 0x80 else rf"\u{code:04x}"


def _is_listed(location: Location, locations: list[Location]) -> bool:
    """Return whether a location is listed; a file is listed once, with its first line."""
    if location.line is None:
        return location in locations
    return any(last.path == location.path and last.line is not None for last in locations[-1:])


def _merge_cut_tokens(result: ScanResult, first: int) -> None:
    """Remove a token that is cut short if the complete one was found; keep its locations.

    Only a piece with the complete payload is certainly the same token. first: the index of the
    first token that was found in a source.
    """
    whole = {_signed_part(token): token for token in result.tokens if token.well_formed}
    tokens = result.tokens[:first]
    for token in result.tokens[first:]:
        owner = None if token.well_formed else whole.get(_signed_part(token))
        if owner is None or not owner.text.startswith(token.text):
            tokens.append(token)
            continue
        locations = result.locations[owner.fingerprint]
        found = result.locations.pop(token.fingerprint)
        locations.extend(location for location in found if location not in locations)
    result.tokens = tokens


def _signed_part(token: Token) -> str:
    return ".".join(token.text.split(".")[:2])
