# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a rotation: each one reads the store, acts on the API, and saves the next state.

A step can be called in any order and repeated. What it may do follows from the state in the store
and from evidence, see _rotation. It uses Ansible, the network and the disk only through the objects
that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from ansible_collections.nomba.auth.plugins.module_utils import _rotation as rotation
from ansible_collections.nomba.auth.plugins.module_utils._errors import NombaError
from ansible_collections.nomba.auth.plugins.module_utils._rotation import HostEvidence, Inspection
from ansible_collections.nomba.auth.plugins.module_utils._rotation_plan import (
    UNCHANGED,
    Plan,
    RotationOptions,
    Situation,
    blocked_by_other,
    is_new_emergency,
    plan,
    same,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_report import (
    CLIENT_REFUSALS,
    Findings,
    report,
    revocation_verdict,
    stopped_report,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import (
    SINK,
    Actor,
    Credential,
    Kind,
    Mode,
    Phase,
    State,
    credential_document,
    credential_from,
    fingerprints,
    parse,
    present,
    text,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_status import Status, status
from ansible_collections.nomba.auth.plugins.module_utils._rotation_verdict import name_of
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

_LEAK = "the credentials may have leaked"
# The values with tokens of the control host, and where these were found.
_FOUND_IN = {
    "found": "credential_rotation_find_tokens_tasks",
    "leftover": "issued.json in credential_rotation_dir",
}
_NOTHING_KNOWN = "No token to revoke is known yet."
_RETURNED = "the options name the client again that is in service"
_NOT_REVOKED_FIRST = (
    "The compromised tokens were not revoked: that task failed or was skipped. Run the role from "
    "its start."
)


class StepFailed(NombaError):
    """The API or the control host did not do what the step needs. The text has no secret."""


class SaveRequired(Exception):
    """The state must be saved by the user's task file before the step continues."""


class Store(Protocol):
    """Where the state document is kept. Both methods raise StepFailed."""

    def read(self) -> str:
        """Return the text of the document; empty if there is none."""

    def write(self, document: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Replace the document if it is still the one that was read, and append the events."""


class ControlHost(Protocol):
    """The host that sends requests to the API. All methods raise StepFailed."""

    def issued(self) -> Mapping[str, Any] | None:
        """Return the issued token that may not be in the store yet."""

    def issue(self, tokens: Sequence[str]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """Issue a token into a private file, or return the one that is there.

        Also returns the results of the probes of this token and of the given ones.
        """

    def discard_issued(self) -> None:
        """Remove that file, if it is still there."""

    def probe(self, tokens: Sequence[str]) -> Mapping[str, str]:
        """Return the result of a probe of each token, by fingerprint."""

    def revoke(
        self, client_id: str, tokens: Sequence[str], issued_until: float | None = None
    ) -> list[dict[str, Any]]:
        """Return the row of each token. issued_until: ignore those whose `iat` is later."""

    def check_client(self, client_id: str, secret: str) -> ClientAnswer:
        """Ask for a token of a client, and revoke it if there is one."""


@dataclass(frozen=True)
class ClientAnswer:
    """How the API answered a client that asked for a token.

    answer: `issued`, or the error code of nomba_token. probe: of the token. problem: why it is not
    proved that the token is dead; empty if it is, or if there was none. issued_at: its `iat`
    (seconds since the epoch, by the clock of the API). lifetime: in seconds.
    """

    answer: str
    probe: str = ""
    problem: str = ""
    reason: str = ""
    issued_at: float | None = None
    lifetime: float = 0.0


class Values(Protocol):
    """The values that the tasks of a run pass to each other."""

    def put(self, name: str, value: Any) -> None:
        """Store a value."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value."""

    def remove(self, name: str) -> None:
        """Remove a value."""


@dataclass(frozen=True)
class RunSettings:
    """What a run was asked to do.

    hosts: all hosts of the play. batch: the number of hosts that get a token at a time, 0 for all.
    client: the client that shall be in service, old_client: the one that must be refused at the
    end, or to which a first rotation of clients can return. verify_only: only verify the client.
    has_sources: whether files and folders of the hosts are searched for tokens. sinks: what is no
    file on a host and gets the client by a task file, each as `sink` and the name of that file.
    store: the name of the store in metrics.
    """

    options: RotationOptions
    hosts: tuple[str, ...]
    excludes_hosts: bool = False
    batch: int = 0
    client: Mapping[str, str] = field(default_factory=dict)
    old_client: Mapping[str, str] = field(default_factory=dict)
    verify_only: bool = False
    has_sources: bool = False
    sinks: tuple[str, ...] = ()
    store: str = ""
    check_mode: bool = False
    command: str = ""

    @property
    def members(self) -> tuple[str, ...]:
        """Whatever must hold the credential: the hosts, and the sinks after them."""
        return (*self.hosts, *self.sinks)


@dataclass
class StepResult:
    """What the tasks after a step do.

    publish: the hosts that now get the credential of the spool. due: whether a client is to be
    retired now, so that tokens are to be found.
    """

    changed: bool = False
    publish: list[str] = field(default_factory=list)
    rounds: int = 0
    due: bool = False
    repeat: bool = False
    message: str = ""


@dataclass(frozen=True)
class Tools:
    """What a run uses. actor: returns who acts, at the current time. lock_holder: see Situation."""

    store: Store
    control: ControlHost
    values: Values
    actor: Callable[[], Actor]
    lock_holder: Callable[[str], str]


class RotationRun:
    """The steps of one run."""

    def __init__(self, settings: RunSettings, tools: Tools) -> None:
        self.settings = settings
        self.store = tools.store
        self.control = tools.control
        self.values = tools.values
        self.actor = tools.actor
        self.lock_holder = tools.lock_holder
        self.result = StepResult()
        self._text = ""

    # The steps

    def load(self) -> None:
        """Read the store, so that the hosts can be compared with it."""
        state = self._read()
        self._offer(state.current)
        known = {one.fingerprint: one.secret for one in state.credentials}
        if self._rotates_clients:
            given = [one["client_secret"] for one in self._given_clients()]
            known |= {fingerprint(one): one for one in given}
            self.values.put("clients", known)
        self.values.put("known", list(known))
        seen = str(state.events[-1]["id"]) if state.events else ""
        self._note(seen=seen, before=name_of(state.current))
        self.result.message = "The store was read."

    def revoke_compromised(self) -> None:
        """In an emergency, revoke every token of the store before anything else."""
        state = self._read()
        is_new = is_new_emergency(state, self.settings.options)
        found = self._leftover_if_readable(state) if is_new else []
        leaked = state.credentials if is_new else [one for one in state.previous if one.compromised]
        if not is_new and not leaked:
            self.result.message = "No change: the emergency was handled by an earlier run."
            return
        self._require(self._blocked_by_owner(state))
        if is_new:
            self._note(why=_LEAK)
        names = [*fingerprints(*leaked), *(_fingerprint(one) for one in found)]
        if self._rotates_clients:
            # No request makes a client invalid. What it issued and what was found is revoked first.
            self._find_leftover(leaked, found)
            found = []
            names = [fingerprint(one) for one in self._found_tokens()]
        if self.settings.check_mode:
            self._would(f"revoke first: {', '.join(names) or 'no token is in the store'}")
            return
        if self._rotates_clients:
            rows = self._revoke_found(leaked)
        else:
            rows = self._revoke([*leaked, *(self._owned(one) for one in found)])
        verdict = revocation_verdict(names, rows)
        if self._rotates_clients and not names:
            verdict = _NOTHING_KNOWN
        self.result.message = verdict
        try:
            self._require(self._blocked(state))
            if is_new or state.rotation:
                state = rotation.begin(state, self.actor(), Mode.EMERGENCY.value, _LEAK)
            if is_new:
                incident = self.settings.options.incident
                state = rotation.mark_compromised(state, self.actor(), found, incident)
            record = rotation.record_found if self._rotates_clients else rotation.retire
            state = record(state, self.actor(), rows)
            state = self._save(state, last=True)
            self._discard_stored(state)
        except NombaError as error:
            raise StepFailed(f"{verdict} Afterwards: {error}") from None

    def prepare(self) -> None:
        """Plan the run, take the lock, issue a token and verify it."""
        state = self._read()
        if is_new_emergency(state, self.settings.options):
            if not self.settings.check_mode:
                raise StepFailed(_NOT_REVOKED_FIRST)
            state = replace(state, current=None, pending=None)
        found, unknown = self._situation(state)
        planned = plan(state, self.actor(), self.settings.options, found)
        if planned.blocked and self._notes.get("why") == _LEAK:
            raise StepFailed(self._blocked_emergency(planned.blocked))
        self._require(planned.blocked)
        refused = fingerprints(state.current) if found.probe == "refused" else []
        # A step that continues after a save, or after an emergency, keeps the first reason.
        why = self._notes.get("why") or planned.why
        self._note(mode=planned.mode, why=why, refused=refused)
        if self.settings.verify_only:
            self._verify_only(state)
            return
        if not planned.why:
            self._change_nothing(state)
        elif self.settings.check_mode:
            self._rehearse(state, planned)
        else:
            self._begin(state, planned, found, unknown)

    def _change_nothing(self, state: State) -> None:
        self.values.put("prepared", True)
        self.result.message = "No change."
        self.result.due = self._rotates_clients and bool(self._due(state))
        if not state.previous and not self._checks_old_client:
            self._put_report(state)

    def _begin(
        self, state: State, planned: Plan, found: Situation, unknown: list[Mapping[str, Any]]
    ) -> None:
        """Take the lock, verify the new token or client, and choose the first hosts."""
        pending = state.pending.fingerprint if state.pending else ""
        is_other = self._rotates_clients and pending != self.settings.options.client
        if is_other and planned.mode != Mode.REPAIR.value:
            self._verify_first(planned)
        self._discard_stored(state)
        state = rotation.begin(state, self.actor(), planned.mode, planned.why)
        if is_other and pending:
            state = rotation.replace_pending(state, self.actor())
        if rotation.needs_another_token(state, found.probe):
            state = rotation.issue_another(state, self.actor())
        for found_first in self._adopted_first(state, unknown), unknown:
            known = fingerprints(*state.credentials)
            state = rotation.adopt(
                state, self.actor(), [one for one in found_first if _fingerprint(one) not in known]
            )
        removed = self.settings.options.removed_hosts
        state = rotation.set_hosts(state, self.actor(), found.hosts, removed)
        if self._returns(state) and rotation.can_roll_back(state):
            state = rotation.roll_back(state, self.actor(), "plan", _RETURNED)
        state = self._save(state)
        if unknown and planned.mode == Mode.EMERGENCY.value:
            state = self._save(self._retired(state))
        self.values.put("prepared", True)
        verify = self._verify_client if self._rotates_clients else self._issue_and_verify
        prepared = verify(state) if self._needs_token(state) else state
        if prepared is not None:
            self._discard_stored(self._publish_next(prepared))

    def record(self, hosts: Sequence[str]) -> None:
        """Record what is proved about these hosts; choose the next hosts, or promote the token."""
        if self.settings.check_mode:
            return
        state = self._read()
        self._require(self._blocked(state))
        for name in hosts:
            evidence = self.values.get(f"evidence {name}")
            result = None if evidence is None else HostEvidence(**evidence)
            state = rotation.record_host(state, self.actor(), name, result)
        failed = [f"{name}: {state.hosts[name].error}" for name in hosts if state.hosts[name].error]
        if failed and self._needs_token(state) and rotation.can_roll_back(state):
            state = rotation.roll_back(state, self.actor(), "publish", "; ".join(failed))
        if self._is_published(state):
            state = rotation.promote(state, self.actor())
        self._publish_next(state)

    def retire(self) -> None:
        """Revoke the replaced tokens, and end the rotation."""
        if self.values.get("report"):
            return
        if not self.values.get("prepared"):
            raise StepFailed("The rotation was not prepared. Run the role from its start.")
        state = self._read()
        if self.settings.check_mode:
            left = ", ".join(one.fingerprint for one in self._due(state))
            if left:
                verb = "check that the API refuses" if self._rotates_clients else "revoke"
                self._would(f"{verb} the replaced {self._noun}s that are left: {left}")
            self._put_report(state)
            return
        self._require(self._blocked(state))
        self._discard_stored(state)
        if self._is_published(state):
            state = self._save(rotation.promote(state, self.actor()))
        state = self._retired(state)
        if rotation.can_finish(state):
            state = rotation.finish(state, self.actor())
        if self._checks_old_client and self._uses_new_client(state):
            state = self._check_old_client(self._save(state))
        self._put_report(state)
        self._save(state, last=True)

    def report(self) -> dict[str, Any]:
        """Return the report of this run, see RotationReport. Raises StepFailed.

        A run that stopped before its end, or whose tasks were skipped, has failed.
        """
        found, stopped = self.values.get("report"), str(self.values.get("stopped", ""))
        if found is None or stopped:
            found = asdict(stopped_report(stopped, self.settings.command))
        elif not self.settings.check_mode and self._read() != parse(self.values.get("final", "")):
            raise StepFailed("The state at the end of the rotation was not saved. Run again.")
        return dict(found)

    def status(self) -> Status:
        """Return the status of the store and of the hosts; reads only."""
        return status(
            self._read(),
            {name: self._inspection(name) for name in self.settings.hosts},
            self.settings.sinks,
            store=self.settings.store,
            retire_after=self.settings.options.retire_after,
            now=self.actor().now,
        )

    def revoke_found(self) -> None:
        """Revoke the tokens that were found and that a client issued which is to be retired."""
        state = self._read()
        due = self._due(state)
        self.result.due = bool(due)  # the tasks after this one wait for the person
        if self.values.get("report") or self.values.get("searched") or not due:
            return
        self.values.put("searched", True)
        if self.settings.check_mode:
            names = [fingerprint(one) for one in self._found_tokens()]
            if names:
                self._would(f"revoke what an old client issued of: {', '.join(names)}")
            return
        self._require(self._blocked(state))
        limit = state.current.issued_at if state.current else None
        is_emergency = any(one.compromised for one in due)
        if is_emergency or limit is not None:
            rows = self._revoke_found(due, None if is_emergency else limit)
            self._note(kept=len(self._found_tokens()) - len(self._notes["found"]))
            self._save(rotation.record_found(state, self.actor(), rows), last=True)

    # Parts of the steps

    @property
    def _rotates_clients(self) -> bool:
        return self.settings.options.kind is Kind.CLIENT

    @property
    def _noun(self) -> str:
        return self.settings.options.kind.noun

    @property
    def _checks_old_client(self) -> bool:
        """Return whether a rotation of tokens ends with a check of the old client."""
        return bool(self.settings.old_client) and not self._rotates_clients

    def _given_clients(self) -> list[Mapping[str, str]]:
        return [one for one in (self.settings.client, self.settings.old_client) if one]

    def _due(self, state: State) -> list[Credential]:
        return rotation.due(state, self.actor().now, self.settings.options.retire_after)

    def _adopted_first(
        self, state: State, unknown: Sequence[Mapping[str, Any]]
    ) -> list[Mapping[str, Any]]:
        """Return the client to which the first rotation can return."""
        is_first = state.current is None and self._rotates_clients
        if not is_first or self.settings.options.emergency:
            return []
        old = self.settings.old_client
        if old:
            return [self._document(old)]
        return list(unknown) if len(unknown) == 1 else []

    def _returns(self, state: State) -> bool:
        """Return whether the options name the current client, in a rotation to another one."""
        is_current = fingerprints(state.current) == [self.settings.options.client]
        return self._rotates_clients and is_current and self._needs_token(state)

    def _verify_only(self, state: State) -> None:
        """Verify the client of the options; change nothing."""
        client = self.settings.client
        if self.settings.check_mode:
            self._would("verify the client of the options, and revoke the token that it gets")
        else:
            problem = _client_problem(self._ask(client["client_id"], client["client_secret"]))
            if problem:
                self._note(failure=f"verify: {problem}")
        self._note(why="the client of the options was verified, and nothing was published")
        self.values.put("prepared", True)
        self._put_report(state)

    def _verify_first(self, planned: Plan) -> None:
        """Verify the client of the options, before anything is changed for it."""
        if self.values.get("verified"):
            return  # the step continues after a save
        client = self.settings.client
        found = self._ask(client["client_id"], client["client_secret"])
        problem = _client_problem(found)
        self.values.put("reachable", not problem)
        if problem:
            blocked = f"The client of the options is not verified: {problem}. {UNCHANGED}"
            is_emergency = planned.mode == Mode.EMERGENCY.value
            raise StepFailed(self._blocked_emergency(blocked) if is_emergency else blocked)
        self.values.put("verified", asdict(found))

    def _ask(self, client_id: str, secret: str) -> ClientAnswer:
        """Ask for a token of a client; note the lifetime of the token."""
        try:
            found = self.control.check_client(client_id, secret)
        except StepFailed as error:
            return ClientAnswer("no_clear_answer", reason=str(error))
        self._note(lifetime=max(found.lifetime, self._notes.get("lifetime", 0.0)))
        return found

    def _verify_client(self, state: State) -> State | None:
        """Return the state with the verified client of the options as the pending one."""
        if state.pending is None:
            state = rotation.set_pending(state, self.actor(), self._document(self.settings.client))
        (pending,) = present(state.pending)
        verified = self.values.get("verified")
        found = (
            ClientAnswer(**verified)
            if verified
            else self._ask(pending.owner.client_id, pending.secret)
        )
        problem = _client_problem(found)
        if problem:
            return self._fail(state, "verify", problem)
        # Only a person can end a client, so the old one counts as alive. To ask for one of its
        # tokens could end the session of an application.
        old = "accepted" if state.current else "none"
        return rotation.verify(state, self.actor(), "accepted", old, found.issued_at)

    def _found_tokens(self) -> list[str]:
        """Return the tokens that were found on hosts and by the task file of the user."""
        names = [*(f"found {name}" for name in self.settings.hosts), *_FOUND_IN]
        return sorted({one for name in names for one in self.values.get(name, [])})

    def _with_locations(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows of tokens that were found, each with its locations and their hosts."""
        places: dict[str, list[dict[str, Any]]] = {}
        for host in self.settings.hosts if rows else ():
            for mark, found in self.values.get(f"locations {host}", {}).items():
                places.setdefault(mark, []).extend({"host": host, **one} for one in found)
        for name, path in _FOUND_IN.items():
            place = {"host": self.actor().host, "path": path, "line": None}
            for mark in {fingerprint(one) for one in self.values.get(name, [])}:
                places.setdefault(mark, []).append(place)
        return [{**row, "found_in": places.get(str(row["fingerprint"]), [])} for row in rows]

    def _find_leftover(
        self, leaked: Iterable[Credential], leftover: Iterable[Mapping[str, Any]]
    ) -> None:
        """Add the issued tokens of these clients to those that were found.

        A rotation of tokens has left them in the folder that it shares with this one.
        """
        names = {one.owner.client_id for one in leaked}
        texts = [one["access_token"] for one in leftover if one["client_id"] in names]
        self.values.put("leftover", [*self.values.get("leftover", []), *texts])

    def _unread(self, state: State) -> list[str]:
        """Return what could not be searched for tokens, if it was to be searched.

        That includes hosts that are not in the run, which only an emergency leaves out.
        """
        if not self.values.get("searched"):
            return []
        unread = []
        absent = set(state.hosts) - set(self.settings.members)
        hosts = [name for name in sorted(absent) if not name.startswith(SINK)]
        for name in (*self.settings.hosts, *hosts):
            missing = [f"{name}: it was not searched"] if self.settings.has_sources else []
            unread += self.values.get(f"unread {name}", missing)
        return [*unread, *self.values.get("unread", [])]

    def _revoke_found(
        self, clients: Sequence[Credential], issued_until: float | None = None
    ) -> list[dict[str, Any]]:
        """Revoke the tokens that were found; return the last row of each that was not dead before.

        issued_until: when the current client was verified. Only another client can have issued a
        token until then; both times are those of the API. It is not known which client has issued
        a token, so each one asks until it is dead.
        """
        known = {str(one["fingerprint"]): one for one in self._notes.get("found", [])}
        left = [
            one for one in self._found_tokens() if not rotation.is_dead(known.get(fingerprint(one)))
        ]
        rows: dict[str, dict[str, Any]] = {}
        for client_id in dict.fromkeys(one.owner.client_id for one in clients):
            at = show_time(self.actor().now)
            for row in self.control.revoke(client_id, left, issued_until) if left else []:
                rows[str(row["fingerprint"])] = {**row, "at": at}
                self.result.changed = True
            left = [one for one in left if not rotation.is_dead(rows.get(fingerprint(one)))]
        self._note(found=list({**known, **rows}.values()))
        return list(rows.values())

    def _retired_clients(self, state: State) -> State:
        """Ask for a token of each client that is due, which the API must refuse."""
        alive = [one for one in self._notes.get("found", []) if not rotation.is_dead(one)]
        is_searched = self.values.get("searched") and not self._unread(state)
        rows = []
        for one in self._due(state) if is_searched else []:
            found = self._ask(one.owner.client_id, one.secret)
            if found.answer == "forbidden" and not self._is_reachable(state):
                reason = "the API also refuses the current client from here; is its address allowed"
                found = ClientAnswer("no_clear_answer", reason=f"{reason}?")
            row = {"fingerprint": one.fingerprint, "outcome": found.answer, "verified": False}
            row["client_id"] = one.owner.client_id
            row["reason"] = found.problem or found.reason
            if found.answer in CLIENT_REFUSALS and not alive and not found.problem:
                row |= {"outcome": rotation.CLIENT_REFUSED, "verified": True}
            row["at"] = show_time(self.actor().now)
            rows.append(row)
        self._note(rows=[*self._notes.get("rows", []), *rows])
        return rotation.without_withdrawn(rotation.retire(state, self.actor(), rows))

    def _is_reachable(self, state: State) -> bool:
        """Return whether the API issues a token from this address to the current client.

        HTTP 403 also answers every request from an address that is not allowed. Only beside a
        request that succeeds it is an answer about the old client.
        """
        if self.values.get("reachable") is None and state.current is not None:
            found = self._ask(state.current.owner.client_id, state.current.secret)
            if found.problem:
                self._note(failure=found.problem)
            self.values.put("reachable", not _client_problem(found))
        return bool(self.values.get("reachable"))

    def _uses_new_client(self, state: State) -> bool:
        """Return whether the rotation to the client of the options is complete."""
        client_id = self.settings.options.owner.client_id
        is_current = state.current is not None and same(state.current.owner.client_id, client_id)
        return is_current and state.rotation is None

    def _check_old_client(self, state: State) -> State:
        """Record whether the API refuses the old client; asked once in a run."""
        answer = self.values.get("old client")
        if not answer:
            old = self.settings.old_client
            found = self._ask(old["client_id"], old["client_secret"])
            if found.problem:
                self._note(failure=found.problem)
            answer = "no_clear_answer" if found.problem else found.answer
            self.values.put("old client", answer)
            state = rotation.record_old_client(state, self.actor(), answer)
        return state

    def _put_report(self, state: State) -> None:
        """Render the report from the state that the step saves."""
        notes = self._notes
        notes["found"] = self._with_locations(notes.get("found", []))
        findings = Findings(
            **{name: notes[name] for name in notes if name in Findings.__dataclass_fields__},
            hosts=self.settings.members,
            old_client=self.values.get("old client", ""),
            unread=self._unread(state),
            check_mode=self.settings.check_mode,
            verify_only=self.settings.verify_only,
            command=self.settings.command,
        )
        rendered = report(state, findings, self.settings.options, self.actor().now)
        self.values.put("report", asdict(rendered))
        self.values.put("final", text(state))

    def _issue_and_verify(self, state: State) -> State | None:
        """Return the state with a verified pending token; None if there is none.

        A new token is in its private file until the caller saves the state.
        """
        while True:
            current = present(state.current)
            texts = [one.secret for one in current]
            pending = state.pending
            try:
                if pending is None:
                    before = self.control.issued()
                    issued, probes = self.control.issue(texts)
                    if before is None or before["access_token"] != issued["access_token"]:
                        self.values.put("issued", _fingerprint(issued))
                    state = rotation.set_pending(state, self.actor(), issued)
                else:
                    probes = self.control.probe([pending.secret, *texts])
            except StepFailed as error:
                if pending is None:
                    state = self._with_leftover(state)
                return self._fail(state, "verify" if pending else "issue", str(error))
            pending = present(state.pending)[0]
            new = probes.get(pending.fingerprint, "inconclusive")
            old = probes.get(current[0].fingerprint, "inconclusive") if current else "none"
            if new == "accepted":
                return rotation.verify(state, self.actor(), new, old)
            if new != "refused" or self.values.get("issued") == pending.fingerprint:
                reason = f"the API does not accept the new token (probe: {new})"
                return self._fail(state, "verify", f"{pending.fingerprint}: {reason}")
            state = rotation.verify(state, self.actor(), new, old)
            self._discard_stored(state)

    def _with_leftover(self, state: State) -> State:
        """Return the state with a token that was issued although the request failed."""
        found = self._leftover_if_readable(state)
        return rotation.set_pending(state, self.actor(), found[0]) if found else state

    def _fail(self, state: State, step: str, reason: str) -> State | None:
        """Roll back, or leave the rotation open for the next run."""
        if rotation.can_roll_back(state):
            return rotation.roll_back(state, self.actor(), step, reason)
        self._note(failure=f"{step}: {reason}")
        return None

    def _publish_next(self, state: State) -> State:
        """Choose the next hosts, record that they may hold the token, and save the state."""
        names = rotation.to_publish(state)
        open_ = state.rotation
        size = self.settings.batch if self.settings.batch > 0 else len(names)
        if open_ and (open_.current_dead or open_.phase is Phase.RETURNING):
            size = len(names)
        batch = names[:size]
        if batch:
            state = rotation.start_batch(state, self.actor(), batch)
            for name in batch:
                self.values.remove(f"evidence {name}")
            self._offer(state.target)
            self.values.put("target", [open_.id if open_ else "", *fingerprints(state.target)])
            self.result.rounds = -(-len(names) // size)
        self.result.publish = batch
        self.result.due = self._rotates_clients and bool(self._due(state))
        return self._save(state, last=True)

    def _rehearse(self, state: State, planned: Plan) -> None:
        """In check mode, say what a real run would do, and let the hosts compare their files."""
        hosts = list(self.settings.members)
        where = f"{len(self.settings.hosts)} host(s): {', '.join(hosts)}"
        is_open = state.rotation is not None
        new = "verify the client" if self._rotates_clients else "issue a token"
        verb = "resume the rotation on" if is_open else f"{new} and publish it to"
        if planned.mode == Mode.REPAIR.value:
            verb = f"publish the current {self._noun} again on"
        elif not is_open:
            client = self.settings.client if self._rotates_clients else {}
            self._offer(self._owned(self._document(client)) if client else None)
        self._would(f"{verb} {where}")
        self.values.put("prepared", True)
        self.result.publish, self.result.rounds, self.result.changed = hosts, 1, True

    def _situation(self, state: State) -> tuple[Situation, list[Mapping[str, Any]]]:
        """Return what this run found, and the live tokens on hosts that are not in the store."""
        hosts = {name: self._inspection(name) for name in self.settings.members}
        known = set(self.values.get("known", [])) | set(fingerprints(*state.credentials))
        texts: dict[str, Any] = {}
        holders: dict[str, tuple[str, ...]] = {}
        for name in hosts:
            for token in self.values.get(f"unknown {name}", []):
                mark = _fingerprint(self._document(token))
                if mark not in known:
                    texts[mark] = token
                    holders[mark] = (*holders.get(mark, ()), name)
        if self._rotates_clients:
            situation = Situation(
                hosts, self.settings.excludes_hosts, "none", self._holder(state), holders
            )
            return situation, [self._document(one) for one in texts.values()]
        current = [one.secret for one in present(state.current)]
        asked = [*current, *texts.values()]
        probes = self.control.probe(asked) if asked else {}
        live = {name: held for name, held in holders.items() if probes.get(name) != "refused"}
        probe = probes.get(state.current.fingerprint, "inconclusive") if state.current else "none"
        situation = Situation(hosts, self.settings.excludes_hosts, probe, self._holder(state), live)
        return situation, [self._document(texts[name]) for name in live]

    def _inspection(self, name: str) -> Inspection | None:
        if name in self.settings.sinks:
            return Inspection((), differs=False, error="")  # only what was published is known
        found = self.values.get(f"inspection {name}")
        if found is None:
            return None
        return Inspection(tuple(found["fingerprints"]), found["differs"], found["error"])

    def _needs_token(self, state: State) -> bool:
        """Return whether this rotation issues and promotes a token."""
        open_ = state.rotation
        if open_ is None or open_.mode is Mode.REPAIR:
            return False
        return open_.phase in (Phase.ISSUING, Phase.PUBLISHING)

    def _is_published(self, state: State) -> bool:
        open_ = state.rotation
        if open_ is None or open_.phase is not Phase.PUBLISHING:
            return False
        return not rotation.to_publish(state) and not self._notes.get("failure")

    def _revoke(self, credentials: Iterable[Credential]) -> list[dict[str, Any]]:
        """Revoke tokens, those of each client in one run of the module; return their rows."""
        by_client: dict[str, list[str]] = {}
        for one in credentials:
            by_client.setdefault(one.owner.client_id, []).append(one.secret)
        rows = []
        for client_id, texts in by_client.items():
            results = self.control.revoke(client_id, texts)
            at = show_time(self.actor().now)
            rows += [{**row, "at": at} for row in results]
            self.result.changed = True
        self._note(rows=[*self._notes.get("rows", []), *rows])
        return rows

    def _retired(self, state: State) -> State:
        """Revoke what may be revoked, and return the state without what is dead."""
        if self._rotates_clients:
            return self._retired_clients(state)
        rows = self._revoke(rotation.revocable(state))
        return rotation.retire(state, self.actor(), rows)

    def _discard_stored(self, state: State) -> None:
        """Remove the file of the issued token if the token is in the store, or dead."""
        if not self._leftover(state):
            self.control.discard_issued()

    def _leftover_if_readable(self, state: State) -> list[Mapping[str, Any]]:
        """Return the same as _leftover; a damaged file does not prevent an emergency."""
        try:
            return self._leftover(state)
        except StepFailed as error:
            self._note(failure=str(error))
            return []

    def _leftover(self, state: State) -> list[Mapping[str, Any]]:
        """Return the issued token of a killed run, and the tokens that it has replaced.

        Those that are in the store or dead are omitted.
        """
        issued = self.control.issued()
        rows = self._notes.get("rows", [])
        known = set(fingerprints(*state.credentials))
        known |= {str(one["fingerprint"]) for one in rows if rotation.is_dead(one)}
        if issued is None:
            return []
        replaced = [{**issued, "access_token": one} for one in issued.get("replaced", ())]
        documents = (issued, *replaced)
        return [one for one in documents if _fingerprint(one) not in known]

    def _blocked(self, state: State) -> str:
        return blocked_by_other(state, self.actor(), self.settings.options, self._holder(state))

    def _blocked_by_owner(self, state: State) -> str:
        return blocked_by_other(state, self.actor(), self.settings.options, "dead")

    def _require(self, blocked: str) -> None:
        if blocked:
            raise StepFailed(blocked)

    def _holder(self, state: State) -> str:
        return self.lock_holder(state.rotation.run) if state.rotation else "dead"

    def _document(self, found: str | Mapping[str, str]) -> Mapping[str, Any]:
        """Return the document of an access token, or of a client."""
        owner = asdict(self.settings.options.owner)
        values = {"access_token": found} if isinstance(found, str) else found
        return {**owner, **values, "since": self.actor().now}

    def _owned(self, document: Mapping[str, Any]) -> Credential:
        return credential_from({"since": self.actor().now, **document}, "an issued token")

    def _offer(self, credential: Credential | None) -> None:
        """Pass the token to the tasks of the hosts."""
        self.values.put("credential", credential_document(credential))

    def _read(self) -> State:
        """Return the state that this run has read or written last."""
        document = self.values.get("state")
        if document is None:
            document = self.store.read()
            self.values.put("state", document)
        self._text = str(document)
        return parse(self._text)

    def _save(self, state: State, last: bool = False) -> State:
        """Write the state unless it is the one in the store. last: the step ends with it."""
        document = text(state)
        if document != self._text and not self.settings.check_mode:
            self.result.changed, self.result.repeat = True, not last
            self.values.remove("state")
            self.store.write(document, state.events)
            self.values.put("state", document)
            self._text, self.result.repeat = document, False
        return state

    def _blocked_emergency(self, blocked: str) -> str:
        """Return why nothing new is published after the compromised tokens were revoked."""
        reason = blocked.replace(f" {UNCHANGED}", "")
        command = f" Next: {self.settings.command}" if self.settings.command else ""
        done = (
            "The tokens that were found were revoked, but no new client was published."
            if self._rotates_clients
            else "The tokens of the store were revoked, but no new one was issued."
        )
        return f"{done} {reason}{command}"

    def _would(self, action: str) -> None:
        """In check mode, note what a real run would do."""
        self._note(would=[*self._notes.get("would", []), action])

    @property
    def _notes(self) -> dict[str, Any]:
        return dict(self.values.get("notes", {}))

    def _note(self, **notes: Any) -> None:
        """Keep what the report needs and the state does not contain."""
        self.values.put("notes", {**self._notes, **notes})


def _fingerprint(document: Mapping[str, Any]) -> str:
    return fingerprint(str(document.get("client_secret") or document["access_token"]))


def _client_problem(found: ClientAnswer) -> str:
    """Return why a client is not verified; empty if it is."""
    if found.answer != "issued":
        return found.reason or f"the API issues no token to the client ({found.answer})"
    if found.problem:
        return found.problem
    if found.probe != "accepted":
        return f"the API does not accept the token of the client (probe: {found.probe})"
    return ""
