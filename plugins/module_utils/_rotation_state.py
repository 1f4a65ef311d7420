# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state document of a rotation: its types, and how it is read and written as JSON.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

FORMAT = 1
# The names of sinks begin with it, so that they are no names of hosts.
SINK = "sink "
# The fields of the note that replaces a document which was moved to another store, see _store_move.
MOVED_TO = "moved_to"
MOVED_STATE = "state"
_OWNER = ("api_url", "account_id", "client_id")


class Kind(str, Enum):
    """What a rotation rotates; the value is the field of the document that contains its secret."""

    ACCESS_TOKEN = "access_token"  # noqa: S105 -- the name of a field
    CLIENT = "client_secret"

    @property
    def noun(self) -> str:
        """The word for it in sentences."""
        return "client" if self is Kind.CLIENT else "token"


class Mode(str, Enum):
    """The kind of a rotation, a closed list."""

    TOKEN = "token"  # noqa: S105 -- the name of a mode
    CLIENT = "client"
    REPAIR = "repair"
    EMERGENCY = "emergency"


class Phase(str, Enum):
    """The next task of an unfinished rotation, a closed list."""

    ISSUING = "issuing"
    PUBLISHING = "publishing"
    RETIRING = "retiring"
    RETURNING = "returning"


@dataclass(frozen=True)
class Credential:
    """A token, or a client, in the document.

    secret: the access token, or the client secret. since: when it was stored. compromised: an
    emergency declared it. refused: the API refused it in a probe. Both permit to retire it while a
    host still holds it. For a client only: until, when another one replaced it; issued_at, the
    `iat` of the token that verified it; withdrawn, a rollback removed it, so that it is not
    retired. Times in seconds since the epoch (UTC), issued_at by the clock of the API.
    """

    owner: Owner
    secret: str = field(repr=False)
    expires_at: str | None
    since: float
    compromised: bool = False
    refused: bool = False
    kind: Kind = Kind.ACCESS_TOKEN
    until: float | None = None
    issued_at: float | None = None
    withdrawn: bool = False

    @property
    def fingerprint(self) -> str:
        """The text that represents the secret in results and messages."""
        return fingerprint(self.secret)


@dataclass(frozen=True)
class Host:
    """What is proved about a host.

    may_hold: the fingerprints of all tokens that its file or its service may still contain.
    in_service: the file was read back, the service was reloaded and its health check succeeded,
    with the only token in may_hold. error: why the last attempt failed.
    """

    may_hold: tuple[str, ...] = ()
    in_service: bool = False
    error: str = ""

    def uses(self, credential: Credential | None) -> bool:
        """Return whether the host provably uses this token, and no other one."""
        return (
            credential is not None
            and self.in_service
            and self.may_hold == (credential.fingerprint,)
        )


@dataclass(frozen=True)
class Rotation:
    """An unfinished rotation, locked by a run.

    run: the lock holder. renewed: its last heartbeat. Times in seconds since the epoch (UTC).
    hosts: all hosts that must use the new token before it is promoted. current_dead: the API
    refused the current token, or there is none.
    """

    id: str
    mode: Mode
    phase: Phase
    began: float
    run: str
    renewed: float
    reason: str = ""
    hosts: tuple[str, ...] = ()
    current_dead: bool = False


@dataclass(frozen=True)
class State:
    """The state document. events: the last events, as in the audit log.

    hosts: each host that ever got a token of this store. incidents: the ids of past emergencies.
    """

    current: Credential | None = None
    pending: Credential | None = None
    previous: tuple[Credential, ...] = ()
    rotation: Rotation | None = None
    hosts: Mapping[str, Host] = field(default_factory=dict)
    incidents: tuple[str, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()

    @property
    def credentials(self) -> list[Credential]:
        """All tokens in the document."""
        return present(self.current, self.pending, *self.previous)

    @property
    def kind(self) -> Kind | None:
        """What the store contains; None if it contains no credential."""
        return self.credentials[0].kind if self.credentials else None

    @property
    def target(self) -> Credential | None:
        """The token that the hosts shall use."""
        return self.pending or self.current


@dataclass(frozen=True)
class Actor:
    """The run, user and host of a transition. now: seconds since the epoch (UTC)."""

    now: float
    run: str
    actor: str
    host: str


def present(*credentials: Credential | None) -> list[Credential]:
    """Return the credentials that are not None."""
    return [one for one in credentials if one is not None]


def fingerprints(*credentials: Credential | None) -> list[str]:
    """Return the fingerprints of the credentials that are not None."""
    return [one.fingerprint for one in present(*credentials)]


def parse(text: str) -> State:
    """Return the state in the text of a store; empty without text. Raises BadState."""
    if not text.strip():
        return State()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise BadState("the store does not contain JSON; is it encrypted?") from None
    return load(document)


def load(document: object) -> State:
    """Return the state in a document. Raises BadState, also for an empty document."""
    if isinstance(document, Mapping) and MOVED_TO in document:
        raise BadState(_moved(document))
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise BadState("the store contains something else than the state of a rotation")
    try:
        return State(
            current=_optional(document["current"], "current"),
            pending=_optional(document["pending"], "pending"),
            previous=tuple(credential_from(one, "previous") for one in document["previous"]),
            rotation=_rotation(document["rotation"]),
            hosts={str(name): _host(one) for name, one in document.get("hosts", {}).items()},
            incidents=tuple(str(one) for one in document.get("incidents", [])),
            events=tuple(dict(event) for event in document["events"]),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise BadState(f"the store's document is damaged ({type(error).__name__})") from None


def dump(state: State) -> dict[str, Any]:
    """Return the document of a state. It contains tokens."""
    return {
        "format": FORMAT,
        "current": credential_document(state.current),
        "pending": credential_document(state.pending),
        "previous": [credential_document(one) for one in state.previous],
        "rotation": None if state.rotation is None else _plain(state.rotation),
        "hosts": {name: _plain(host) for name, host in state.hosts.items()},
        "incidents": list(state.incidents),
        "events": [dict(event) for event in state.events],
    }


def text(state: State) -> str:
    """Return the text of a state for a store. It contains tokens."""
    return json.dumps(dump(state), indent=2) + "\n"


def credential_from(entry: Mapping[str, Any], name: str) -> Credential:
    """Return the credential in a document entry. Raises BadState."""
    kind = Kind.CLIENT if Kind.CLIENT.value in entry else Kind.ACCESS_TOKEN
    texts = [entry.get(one) for one in (*_OWNER, kind.value)]
    if not all(isinstance(one, str) and one for one in texts):
        raise BadState(f"{name} lacks a {kind.noun} or its owner")
    api_url, account_id, client_id, secret = (str(one) for one in texts)
    expires_at = entry.get("expires_at")
    return Credential(
        Owner(api_url, account_id, client_id),
        secret,
        None if expires_at is None else str(expires_at),
        float(entry["since"]),
        entry.get("compromised") is True,
        entry.get("refused") is True,
        kind,
        _seconds(entry.get("until")),
        _seconds(entry.get("issued_at")),
        entry.get("withdrawn") is True,
    )


def credential_document(one: Credential | None) -> dict[str, Any] | None:
    """Return the document entry of a credential. It contains the secret."""
    if one is None:
        return None
    entry = {
        one.kind.value: one.secret,
        "fingerprint": one.fingerprint,
        "expires_at": one.expires_at,
        "since": one.since,
        **asdict(one.owner),
        "compromised": one.compromised,
        "refused": one.refused,
    }
    if one.kind is Kind.CLIENT:
        entry |= {"until": one.until, "issued_at": one.issued_at, "withdrawn": one.withdrawn}
    return entry


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)


def _moved(note: Mapping[str, Any]) -> str:
    """Return why no rotation can use a store that was moved."""
    if MOVED_STATE in note:
        return f"the store is being moved to {note[MOVED_TO]}; run nomba.auth.move_store again"
    return f"the store was moved to {note[MOVED_TO]}; set the options of that store"


def _optional(entry: Any, name: str) -> Credential | None:
    return None if entry is None else credential_from(entry, name)


def _host(entry: Mapping[str, Any]) -> Host:
    held = entry["may_hold"]
    return Host(
        may_hold=tuple(str(one) for one in held),
        in_service=entry["in_service"] is True,
        error=str(entry["error"]),
    )


def _rotation(entry: Mapping[str, Any] | None) -> Rotation | None:
    if entry is None:
        return None
    return Rotation(
        id=str(entry["id"]),
        mode=Mode(entry["mode"]),
        phase=Phase(entry["phase"]),
        began=float(entry["began"]),
        run=str(entry["run"]),
        renewed=float(entry["renewed"]),
        reason=str(entry["reason"]),
        hosts=tuple(str(one) for one in entry.get("hosts", [])),
        current_dead=entry.get("current_dead") is True,
    )


def _plain(record: Rotation | Host) -> dict[str, Any]:
    values = asdict(record)
    return {
        name: value.value if isinstance(value, Enum) else value for name, value in values.items()
    }
