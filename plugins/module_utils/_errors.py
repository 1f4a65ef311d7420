# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All exceptions and error codes. The codes are a closed list.

    NombaError
    |-- InvalidOption      invalid_option      an option's value cannot be used
    |   `-- NoToken        no_token            no option contains a token
    |-- LibraryMissing     library_missing     requests or PyJWT is not installed on the host
    |-- Locked             locked              another run held the file's lock until the deadline
    |-- IssueRefused       unknown_client, forbidden, bad_request or refused: no token was issued
    |-- NoClearAnswer      no_clear_answer     it is unknown whether a token was issued
    |-- NotSent            not_sent            the API is unreachable, so nothing was sent
    |-- WrongAccount       wrong_account       the token was issued for another account
    |-- NotWritten         not_written         a file could not be written
    |-- Conflict           conflict            another run has changed the file
    |-- BadState           bad_state           a rotation's document is damaged or forbids the step
    `-- StepFailed         error               a step of a rotation failed, see _rotation_run

A failure of a single token is not an exception: it is that token's outcome (see _revocation), so
that the results of the other tokens are not lost. Each outcome that failed is an error code too.
"""

from __future__ import annotations

# Codes of IssueRefused.
UNKNOWN_CLIENT = "unknown_client"
FORBIDDEN = "forbidden"
BAD_REQUEST = "bad_request"
REFUSED = "refused"

# Codes that accompany results. No exception has them.
SOURCE_UNREAD = "source_unread"
NOT_RETIRED = "not_retired"
PREFLIGHT_FAILED = "preflight_failed"


class NombaError(Exception):
    """Base of all errors of this collection; its text never contains a secret."""

    code = "error"


class InvalidOption(NombaError):
    """An option's value cannot be used. The text names the option and the remedy."""

    code = "invalid_option"

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option = option


class NoToken(InvalidOption):
    """No option contains a token."""

    code = "no_token"


class LibraryMissing(NombaError):
    """A required library is not installed on the host that runs the module."""

    code = "library_missing"

    def __init__(self, library: str) -> None:
        super().__init__(f"the Python library {library} is not installed")
        self.library = library


class Locked(NombaError):
    """Another run held the file's lock until the deadline."""

    code = "locked"


class IssueRefused(NombaError):
    """The API issued no token; the code is the kind of refusal."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class NoClearAnswer(NombaError):
    """The API may have issued a token that is in no file."""

    code = "no_clear_answer"


class NotSent(NombaError):
    """Nothing was sent to the API: the connection failed, or the deadline expired before."""

    code = "not_sent"


class WrongAccount(NombaError):
    """The API issued the token for another account than account_id."""

    code = "wrong_account"


class NotWritten(NombaError):
    """A file, such as that of an issued token, could not be written."""

    code = "not_written"


class Conflict(NombaError):
    """The file has changed since it was read: another run is active."""

    code = "conflict"


class BadState(NombaError):
    """A rotation's state document is damaged, or the step is not allowed in its state."""

    code = "bad_state"
