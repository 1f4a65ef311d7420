# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong before a token is touched, each with a code from a closed list.

    NombaError
    |-- InvalidOption      invalid_option      an option's value cannot be used
    |   `-- NoToken        no_token            no token was given by any of the three ways
    |-- LibraryMissing     library_missing     requests or PyJWT is not installed on the host
    |-- Locked             locked              another run held the file until the deadline
    |-- IssueRefused       unknown_client, forbidden, bad_request or refused: no token was issued
    |-- NoClearAnswer      no_clear_answer     nobody knows whether a token was issued
    |-- NotSent            not_sent            no connection came about, so nothing was sent
    |-- WrongAccount       wrong_account       the token issued is another account's
    |-- NotWritten         not_written         something could not be written to its file
    |-- Conflict           conflict            another run has changed the file meanwhile
    `-- BadState           bad_state           a rotation's document, or a step that it forbids

What goes wrong *with* a token is no exception: it is that token's outcome (see _revocation), so
that one bad token never loses the result of another.
"""

from __future__ import annotations

# Codes of an issue that the API refused, see IssueRefused.
UNKNOWN_CLIENT = "unknown_client"
FORBIDDEN = "forbidden"
BAD_REQUEST = "bad_request"
REFUSED = "refused"

# Codes of results that are complete, but not a success. No exception carries them.
SOURCE_UNREAD = "source_unread"
NOT_RETIRED = "not_retired"


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


class Locked(NombaError):
    """Another run is working on the same file, and the deadline came first."""

    code = "locked"


class IssueRefused(NombaError):
    """The API issued no token; the code says what kind of no it was."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class NoClearAnswer(NombaError):
    """The API may or may not have issued a token that nobody holds."""

    code = "no_clear_answer"


class NotSent(NombaError):
    """Nothing was sent to the API: no connection came about, or the time was over before."""

    code = "not_sent"


class WrongAccount(NombaError):
    """The token that was issued belongs to another account than the user named."""

    code = "wrong_account"


class NotWritten(NombaError):
    """Something, like a token that was issued, could not be written to its file."""

    code = "not_written"


class Conflict(NombaError):
    """The file is not what it was when it was read: another run is at work."""

    code = "conflict"


class BadState(NombaError):
    """A rotation's document cannot be read, or is not at the step that was asked of it."""

    code = "bad_state"
