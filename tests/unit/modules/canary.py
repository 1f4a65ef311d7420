# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A token of which any piece is detected in output, logs and files."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.simulator.control_client import ControlClient

# So many characters of a token in a row are a leak, and no accident.
PIECE = 20


@dataclass(frozen=True)
class Canary:
    """A unique token, the e-mail address in it, and further secrets."""

    token: str
    email: str
    others: tuple[str, ...] = ()

    def leaks(self, *texts: str | bytes) -> list[str]:
        """Return the pieces of the secrets that occur in the texts."""
        seen = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
        return [piece for piece in self._pieces() if piece.encode() in seen]

    def _pieces(self) -> Iterable[str]:
        _header, *parts = self.token.split(".")
        for part in parts:
            yield from (part[i : i + PIECE] for i in range(0, len(part) - PIECE + 1, PIECE // 4))
        yield from (self.email, self.email.partition("@")[0], *self.others)


def make_canary(simulator: ControlClient, *others: str, **how: object) -> Canary:
    """Return a canary whose token the simulator accepts."""
    email = f"canary.{uuid.uuid4().hex}@leak.example"
    claims = {f"Email:{email}": f"Email:{email}"}
    return Canary(simulator.mint(claims=claims, **how), email, others)


def contents(*folders: Path) -> list[bytes]:
    """Return the names and the contents of all files in these folders."""
    files = [path for folder in folders for path in folder.rglob("*")]
    return [bytes(path) for path in files] + [path.read_bytes() for path in files if path.is_file()]
