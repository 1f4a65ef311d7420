# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What filters may be given: one sentence for an argument that cannot be used.

A value is never repeated, because it may be a token in a wrong place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleFilterError


@dataclass(frozen=True)
class ArgumentType:
    """A type of arguments. description: how an error message names it."""

    description: str
    fits: Callable[[Any], bool]


def one_of(*choices: str) -> ArgumentType:
    """One word of a closed list."""
    return ArgumentType(f"one of {', '.join(choices)}", lambda value: value in choices)


def with_texts(*names: str) -> ArgumentType:
    """A dictionary with texts of these names; whatever else it holds."""

    def fits(value: Any) -> bool:
        is_dictionary = isinstance(value, Mapping)
        return is_dictionary and all(isinstance(value.get(name), str) for name in names)

    return ArgumentType(f"a dictionary with the texts {', '.join(names)}", fits)


def list_of(kind: ArgumentType) -> ArgumentType:
    """A list, each of whose elements is of a kind."""

    def fits(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(map(kind.fits, value))

    return ArgumentType(f"a list, and each of it {kind.description}", fits)


def _is_span(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and value >= 0


TEXT = ArgumentType("a text", lambda value: isinstance(value, str))
TRUTH = ArgumentType("true or false", lambda value: isinstance(value, bool))
SECONDS = ArgumentType("a number of seconds, 0 or more", _is_span)


def check(
    place: str, given: Mapping[str, Any], wanted: Mapping[str, ArgumentType], optional: str = ""
) -> None:
    """Raise AnsibleFilterError for what is unknown, missing, or of another kind.

    optional: the names, in one text, of those that may be missing.
    """
    for name in given:
        if name not in wanted:
            takes = ", ".join(wanted) or "no arguments"
            raise AnsibleFilterError(f"{place}: {name}: no such argument; there are {takes}")
    for name, kind in wanted.items():
        if name in given and not kind.fits(given[name]):
            raise AnsibleFilterError(f"{place}: {name}: give {kind.description}")
        if name not in given and name not in optional.split():
            raise AnsibleFilterError(f"{place}: {name}: it is missing; give {kind.description}")
