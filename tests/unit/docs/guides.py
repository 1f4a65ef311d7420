# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the guides and the README: their text, their code blocks, and the commands in these."""

from __future__ import annotations

import itertools
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
DOCSITE = ROOT / "docs" / "docsite"
GUIDES = {path.stem: path.read_text(encoding="utf-8") for path in DOCSITE.glob("rst/*.rst")}
INDEX = (DOCSITE / "site" / "rst" / "index.rst").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "docs" / "examples").rglob("*.yml"))
_BLOCK = re.compile(r"^( *)\.\. code-block:: (\w+)\n\n((?:\1 +.*\n|\n)+)", re.MULTILINE)
_FENCE = re.compile(r"^```(\w+)\n(.+?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command of a guide, split into arguments as by a shell."""

    guide: str
    arguments: tuple[str, ...]

    def given(self, *flags: str) -> list[str]:
        """Return the values of these flags."""
        pairs = zip(self.arguments, self.arguments[1:])
        return [value for flag, value in pairs if flag in flags]


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield each code block of a language, with its guide or README."""
    for kind, content in _FENCE.findall(README):
        if kind == language:
            yield "README", content
    for guide, text in GUIDES.items():
        for _indent, kind, content in _BLOCK.findall(text):
            if kind == language:
                yield guide, textwrap.dedent(content)


def documents() -> list[Any]:
    """Return all YAML documents in the guides and examples."""
    texts = [text for _guide, text in blocks("yaml")]
    return [yaml.safe_load(text) for text in (*texts, *(p.read_text() for p in EXAMPLES))]


def commands(program: str) -> list[Command]:
    """Return each call of a program, in the guides and in the units of systemd."""
    called = [*_commands(), *_units()]
    return [one for one in called if Path(one.arguments[0]).name == program]


def _units() -> Iterator[Command]:
    for path in sorted((ROOT / "docs" / "examples").rglob("*.service")):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE):
            yield Command(path.name, tuple(shlex.split(line)))


def _commands() -> Iterator[Command]:
    for guide, text in blocks("console"):
        # A line without a prompt continues the previous line.
        for line in text.replace("\\\n", " ").replace("|\n", "| ").splitlines():
            assert not line or line.startswith("$ "), f"{guide}: {line}"
            for arguments in _split(line[2:]):
                yield Command(guide, arguments)


def _split(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the arguments of each program in a line; quoted operators separate no programs."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    for operator, arguments in itertools.groupby(
        reader, key=lambda text: set(text) <= set("&|()>;")
    ):
        if not operator:
            yield tuple(arguments)
