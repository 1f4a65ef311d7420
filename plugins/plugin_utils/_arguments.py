# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Validation of filter arguments.

No message contains the value of an argument, because it may be a token in the wrong argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleFilterError


@dataclass(frozen=True)
class ArgumentType:
    """The type of an argument. description: its name in an error message."""

    description: str
    fits: Callable[[Any], bool]


def one_of(*choices: str) -> ArgumentType:
    """Return the type of a value in a closed list."""
    return ArgumentType(f"one of {', '.join(choices)}", lambda value: value in choices)


def dict_with_strings(*names: str) -> ArgumentType:
    """Return the type of a dictionary with string values for these names."""

    def fits(value: Any) -> bool:
        is_dictionary = isinstance(value, Mapping)
        return is_dictionary and all(isinstance(value.get(name), str) for name in names)

    return ArgumentType(f"a dictionary with the strings {', '.join(names)}", fits)


def list_of(kind: ArgumentType) -> ArgumentType:
    """Return the type of a list with elements of a type."""

    def fits(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(map(kind.fits, value))

    return ArgumentType(f"a list, with each element {kind.description}", fits)


def _is_duration(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and value >= 0


STRING = ArgumentType("a string", lambda value: isinstance(value, str))
BOOLEAN = ArgumentType("true or false", lambda value: isinstance(value, bool))
SECONDS = ArgumentType("a number of seconds, 0 or more", _is_duration)


def check(
    filter_name: str,
    arguments: Mapping[str, Any],
    types: Mapping[str, ArgumentType],
    optional: str = "",
) -> None:
    """Raise AnsibleFilterError for an argument that is unknown, missing, or of another type.

    optional: the names of arguments that may be missing, separated by spaces.
    """
    for name in arguments:
        if name not in types:
            names = ", ".join(types) or "no arguments"
            raise AnsibleFilterError(f"{filter_name}: {name}: no such argument; there are {names}")
    for name, kind in types.items():
        expected = f"pass {kind.description}"
        if name in arguments and not kind.fits(arguments[name]):
            raise AnsibleFilterError(f"{filter_name}: {name}: {expected}")
        if name not in arguments and name not in optional.split():
            raise AnsibleFilterError(f"{filter_name}: {name}: it is missing; {expected}")
