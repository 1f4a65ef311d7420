# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong before a token is touched, each with a code from a closed list.

    NombaError
    |-- InvalidOption      invalid_option      an option's value cannot be used
    |   `-- NoToken        no_token            no token was given by any of the three ways
    `-- LibraryMissing     library_missing     requests or PyJWT is not installed on the host

What goes wrong *with* a token is no exception: it is that token's outcome (see _revocation), so
that one bad token never loses the result of another.
"""

from __future__ import annotations


class NombaError(Exception):
    """Base of all errors of this collection; its text never holds a secret."""

    code = "error"


class InvalidOption(NombaError):
    """An option's value cannot be used. The text names the option and the remedy."""

    code = "invalid_option"

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option = option


class NoToken(InvalidOption):
    """There is nothing to work on."""

    code = "no_token"


class LibraryMissing(NombaError):
    """A library that the work needs is not installed on the host that runs the module."""

    code = "library_missing"

    def __init__(self, library: str) -> None:
        super().__init__(f"the Python library {library} is not installed")
        self.library = library
