# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Misspelled options among the names of variables.

Ansible ignores unused variables: with a misspelled option of a role or playbook a run succeeds
without the intended effect. Two rules find such a name:

* Every name with a reserved prefix must be an option or another allowed name. A role reserves its
  own prefix.
* A name with any prefix must not be similar to an option: not equal apart from upper case or
  hyphens, and not one edit away (a character missing, added or wrong, or two swapped). Two edits
  are reported for long names only, and only if the first characters are equal: `nomad_hosts`,
  `nomba_ports`, `nomba_prod`, `nomba_process` and `nomba_resources` are two edits away from options
  and are plausible names of a user's own variables. `nomba_source_ip`, `nomba_hostname` and
  `nomba_token` are further away and are not reported.

Some plausible names of a user's own variables are one edit away and are reported:
`nomba_access_token` and `nomba_host` are the most likely misspellings, and a user who passes them
to a playbook expects an effect. Each playbook therefore compares with its own options only.

An argument of `-e` that does not have the form name=value (`-e option`, `-e "option: true"`) sets
no variable; Ansible stores it under a special name without a message.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

# The variable for arguments of -e without the form name=value. Its value may be a secret.
_WITHOUT_VALUE = "_raw_params"
# The length from which two edits are reported, if this many first characters are equal.
_LONG_NAME = 17
_SAME_START = 6
# What a user may add to the name of an option that is a path.
_ENDINGS = ("_path", "_file", "_dir")


def find_misspelled(
    names: Iterable[str], options: Collection[str], others: Collection[str] = (), reserved: str = ""
) -> list[str]:
    """Return a sentence for each misspelled name, sorted by name.

    options: the names that a user may set. others: other allowed names, which are not suggested.
    reserved: a prefix; every name with it must be in options or others. The same prefix after an
    underscore is allowed, because a role's internal variables have it.
    """
    allowed = {*options, *others}
    private = f"_{reserved}" if reserved else ""
    unknown = sorted(set(names) - allowed)
    found = []
    if _WITHOUT_VALUE in unknown:
        found.append("An argument of -e does not have the form NAME=VALUE and sets no variable.")
    for name in unknown:
        if private and name.startswith(private):
            continue
        best = _closest(name, options)
        if best or (reserved and name.startswith(reserved)):
            best = best or _similar(name, options, reserved)
            found.append(f"{name}: no such option" + (f"; did you mean {best}?" if best else "."))
    return found


def _closest(name: str, options: Collection[str]) -> str:
    """Return the option that a name misspells, or an empty string."""
    # A shell keeps backslashes and quotes that were copied from JSON.
    plain = name.strip("\\\"'").lower().replace("-", "_")
    for ending in _ENDINGS:
        if plain.endswith(ending) and plain[: -len(ending)] in options:
            return plain[: -len(ending)]
    for edits in (0, 1, 2):
        near = [option for option in options if _is_misspelling(plain, option, edits)]
        if near:
            return min(near)
    return ""


def _is_misspelling(name: str, option: str, edits: int) -> bool:
    allowed = 2 if len(option) >= _LONG_NAME and name[:_SAME_START] == option[:_SAME_START] else 1
    return edits <= allowed and _within(name, option, edits)


def _within(one: str, other: str, edits: int) -> bool:
    """Return whether two strings differ by at most this many edits."""
    if abs(len(one) - len(other)) > edits:
        return False
    pairs = enumerate(zip(one, other))
    start = next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    if edits == 0 or not (one and other):
        return len(one) + len(other) <= edits
    swapped = one[:2] == other[1::-1] and len(one) > 1 and _within(one[2:], other[2:], edits - 1)
    return swapped or any(
        _within(*rest, edits - 1)
        for rest in ((one[1:], other[1:]), (one[1:], other), (one, other[1:]))
    )


def _similar(name: str, options: Collection[str], prefix: str) -> str:
    """Return the option most similar to a name after their common prefix, or an empty string."""
    ends = {option[len(prefix) :]: option for option in options if option.startswith(prefix)}
    best = difflib.get_close_matches(name[len(prefix) :], sorted(ends), n=1)
    return ends[best[0]] if best else ""
