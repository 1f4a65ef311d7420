# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Misspelt options among the names of variables.

Ansible ignores a variable that nobody reads: with a misspelt option of a role or playbook a run
succeeds and has not done what it should. Two rules find such a name:

* Every name with a reserved prefix must be known. The prefix of a role is its own.
* A name with any prefix must not resemble an option: not be one of them but for upper case or
  hyphens, and not be one edit away (a character missing, added or wrong, or two swapped). Two edits
  are too many for long names only, and only where the first characters are right: `nomad_hosts`,
  `nomba_ports`, `nomba_prod`, `nomba_process` and `nomba_resources` are two edits away from options
  and are plausible names of somebody's own variables. `nomba_source_ip`, `nomba_hostname` and
  `nomba_token` are further away and pass.

Some plausible names of one's own are one edit away and are refused: `nomba_access_token` and
`nomba_host` are the most likely misspellings of all, and whoever passes them to a playbook expects
an effect. Each playbook therefore compares with its own options only.

An argument of `-e` that is not of the form name=value (`-e option`, `-e "option: true"`) sets no
variable at all; Ansible keeps it under a name of its own, and is silent as well.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

# Where Ansible keeps what follows -e and is not of the form name=value. It may be a secret.
_WITHOUT_VALUE = "_raw_params"
# From this length on, two edits still mean the same name, if so many first characters are right.
_LONG = 17
_SAME_START = 6


def find_misspelt(
    names: Iterable[str], options: Collection[str], others: Collection[str] = (), reserved: str = ""
) -> list[str]:
    """A sentence for each name that is misspelt, sorted by name.

    options: the names that a user may set. others: further known names, which are never proposed.
    reserved: a prefix; every name that begins with it must be known. The same prefix after an
    underscore is free, because a role's internal variables have it.
    """
    known = {*options, *others}
    private = f"_{reserved}" if reserved else ""
    unknown = sorted(set(names) - known)
    found = []
    if _WITHOUT_VALUE in unknown:
        found.append("An argument of -e is not of the form NAME=VALUE and sets no variable.")
    for name in unknown:
        if private and name.startswith(private):
            continue
        best = _closest(name, options)
        if best or (reserved and name.startswith(reserved)):
            best = best or _similar(name, options, reserved)
            found.append(f"{name}: no such option" + (f"; did you mean {best}?" if best else "."))
    return found


def _closest(name: str, options: Collection[str]) -> str:
    """The option that a name can only be a misspelling of, or an empty text."""
    plain = name.lower().replace("-", "_")
    for edits in (0, 1, 2):
        near = [option for option in options if _is_misspelling(plain, option, edits)]
        if near:
            return min(near)
    return ""


def _is_misspelling(name: str, option: str, edits: int) -> bool:
    allowed = 2 if len(option) >= _LONG and name[:_SAME_START] == option[:_SAME_START] else 1
    return edits <= allowed and _within(name, option, edits)


def _within(one: str, other: str, edits: int) -> bool:
    """Whether so many edits, or fewer, lead from one text to the other."""
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
    """The option that resembles a name most after their common prefix, or an empty text."""
    ends = {option[len(prefix) :]: option for option in options if option.startswith(prefix)}
    best = difflib.get_close_matches(name[len(prefix) :], sorted(ends), n=1)
    return ends[best[0]] if best else ""
