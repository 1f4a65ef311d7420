# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model of the world of a rotation: hosts, API, stores, clock, and several runs of the role.

The runs drive the real steps, stores and evidence of the collection. Only the modules that Ansible
would run are replaced. Wherever something can fail, `Choices` decides; without deviations,
everything succeeds. After each effect, the world compares itself with the invariants and raises
`Violation`.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from ansible_collections.nomba.auth.plugins.action.nomba_rotation_host import (
    ActionModule as HostAction,
)
from ansible_collections.nomba.auth.plugins.module_utils import _stored_token as stored_token
from ansible_collections.nomba.auth.plugins.module_utils._errors import NombaError
from ansible_collections.nomba.auth.plugins.module_utils._rotation_plan import RotationOptions
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import Actor
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner, StoredToken
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from ansible_collections.nomba.auth.plugins.plugin_utils import _control_host as control_host
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import (
    RotationRun,
    RunSettings,
    SaveRequired,
    StepFailed,
    Store,
    Tools,
)

from .clock import NOW

OWNER = Owner("https://api.example", "an account", "a client")
LOCK_TIMEOUT = 900.0
MAX_AGE = 1e9
_MARKS = re.compile(r"token-\d+|sha256:[0-9a-f]{16}")
_VERIFIED = re.compile(r"Revoked and verified: (.*?)\.(?: |$)")
_ROLLED_BACK = re.compile(r"Rolled back: the hosts hold (\S+) again")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{16}")


class Killed(BaseException):
    """The process of the run was killed."""


class Violation(AssertionError):
    """The world contradicts an invariant."""


class Choices:
    """Decide what happens: the first option, except at the given positions."""

    def __init__(self, deviations: Mapping[int, int] | None = None) -> None:
        self.deviations = dict(deviations or {})
        self.trace: list[tuple[str, int]] = []

    def choose(self, label: str, *options: str) -> str:
        """Return an option."""
        position = len(self.trace)
        self.trace.append((label, len(options)))
        return options[self.deviations.get(position, 0) % len(options)]


class At(Choices):
    """Choose the given option at an occurrence of a label, counted from 1: `store 2`, `fails`."""

    def __init__(self, **options: str) -> None:
        super().__init__()
        self.options = options

    @classmethod
    def of(cls, *steps: tuple[str, int, str]) -> At:
        """Return the choices of some steps: label, occurrence and option."""
        return cls(**{f"{label}#{number}": option for label, number, option in steps})

    def choose(self, label: str, *options: str) -> str:
        """Return an option."""
        self.trace.append((label, len(options)))
        number = sum(1 for one in self.trace if one[0] == label)
        return self.options.get(f"{label}#{number}", options[0])


class NoDeviation(Choices):
    """Everything succeeds. It keeps no trace."""

    def choose(self, label: str, *options: str) -> str:
        """Return the first option."""
        del label
        return options[0]


@dataclass
class HostModel:
    """A host: the token in its file, the token that its service uses, and what fails on it.

    sick: `always`, or `new` for any token except healthy_with.
    """

    file: str = ""
    service: str = ""
    sick: str = ""
    healthy_with: str = ""
    reachable: bool = True


@dataclass(frozen=True)
class Kind:
    """How a run is started. `other` is the second run that is active at the same time."""

    name: str = "forced"
    force: bool = True
    emergency: bool = False
    incident: str = ""
    check: bool = False
    without: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    adopt: bool = False
    batch: int = 1
    machine: str = "here"
    same_process: bool = False
    lock_timeout: float = LOCK_TIMEOUT
    other: Kind | None = None


class MemoryValues:
    """The spool of a run, in memory."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def put(self, name: str, value: Any) -> None:
        """Store a JSON value."""
        self._values[name] = json.dumps(value)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value."""
        return json.loads(self._values[name]) if name in self._values else default

    def remove(self, name: str) -> None:
        """Remove a value."""
        self._values.pop(name, None)


@dataclass
class World:
    """The world outside of the runs. store: `file`, `hashi_vault` or `custom`."""

    store: str = "file"
    single_session: bool = False
    hosts: dict[str, HostModel] = field(
        default_factory=lambda: {"h1": HostModel(), "h2": HostModel()}
    )
    now: float = NOW
    latest: float = NOW
    document: str = ""
    version: int = 0
    issued: str = ""
    alive: dict[str, bool] = field(default_factory=dict)
    ours: set[str] = field(default_factory=set)
    unrecorded: set[str] = field(default_factory=set)
    slow: dict[str, int] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    leaked: set[str] = field(default_factory=set)
    excused: set[tuple[str, str]] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    handled: set[str] = field(default_factory=set)
    injected: bool = False
    started: int = 0
    tokens: int = 0
    active: set[str] = field(default_factory=set)
    last_run: str = ""
    choices: Choices = field(default_factory=NoDeviation)
    log: list[str] = field(default_factory=list)

    # What changes the world

    def note(self, text: str) -> None:
        """Log what happens, for the message of a violation."""
        self.log.append(text)

    def effect(self, run: Run, label: str) -> None:
        """Compare the world with the invariants after an effect; the run may be killed then."""
        self.now += 1
        self.latest = max(self.latest, self.now)
        self.note(f"{run.name}: {label}")
        self.check_holders()
        self.check_recorded()
        if self.choices.choose(f"kill after {label}", "no", "kill") == "kill":
            self.note(f"{run.name}: KILLED")
            raise Killed

    def new_token(self) -> str:
        """Return a live token."""
        self.tokens += 1
        token = f"token-{self.tokens}"
        self.alive[token] = True
        return token

    def kill_token(self, token: str, run: Run) -> None:
        """Let a revocation of this run take effect."""
        if not self.alive.get(token):
            return
        self.alive[token] = False
        self.revoked.add(token)
        if token not in self.ours and (self.state["rotation"] or {}).get("mode") == "emergency":
            self.leaked.add(token)  # an unknown token, found while an emergency is not finished
        for name, host in self.hosts.items():
            is_excused = token in self.leaked or name in self.removed
            if is_excused and token in (host.file, host.service):
                self.excused.add((name, token))
        self.note(f"{run.name}: {token} is dead now")

    def text_of(self, name: str) -> str:
        """Return the token with this fingerprint."""
        return next((one for one in self.alive if fingerprint(one) == name), name)

    def is_alive(self, name: str) -> bool:
        """Return whether the token with this fingerprint is alive."""
        return self.alive.get(self.text_of(name), False)

    @property
    def state(self) -> dict[str, Any]:
        """The document in the store."""
        empty: dict[str, Any] = {"current": None, "pending": None, "previous": [], "rotation": None}
        return dict(json.loads(self.document)) if self.document else empty

    # The invariants

    def check_holders(self) -> None:
        """Require that no host holds a token that a run has revoked, except a leaked one."""
        for name, host in self.hosts.items():
            for token in {host.file, host.service} & self.revoked:
                if (name, token) not in self.excused:
                    self.fail(f"{name} holds {token}, which a run has revoked")

    def check_recorded(self) -> None:
        """Require that the store or the issued file contains each live token that runs issued."""
        for token in self.ours - self.unrecorded:
            text = f'"{token}"'
            if self.alive[token] and text not in self.document and text not in self.issued:
                self.fail(f"{token} is alive and not recorded")

    def check_lock(self, run: Run, document: str) -> None:
        """Require that a run does not write the state of a rotation that another run may hold."""
        before, after = self.state["rotation"], json.loads(document)["rotation"]
        if before is None or before["run"] == run.name:
            return
        is_here = before["run"].partition("/")[0] == run.kind.machine
        is_fresh = self.now - before["renewed"] < run.kind.lock_timeout
        if before["run"] in self.active if is_here else is_fresh:
            self.fail(f"{run.name} writes the state, although {before['run']} holds the lock")
        if after and after["run"] != run.name:
            self.fail(f"{run.name} writes the state without the lock")

    def fail(self, problem: str) -> None:
        """Raise a violation with the log."""
        raise Violation("\n".join([problem, *self.log, json.dumps(self.state, indent=1)[:3000]]))

    # Plays

    def change(self, event: str) -> None:
        """Change the world between two plays."""
        self.note(f"-- {event}")
        name, __, how = event.partition(" ")
        if name in self.hosts:
            self._change_host(self.hosts[name], how)
        elif name == "clock":
            self.now += float(how)
            self.latest = max(self.latest, self.now)
        elif name == "current":
            current = self.state["current"]
            if current:
                self.alive[current["access_token"]] = False
        elif name == "new":
            self.hosts[how] = HostModel()
        elif name == "healthy":
            self._make_healthy()

    def _change_host(self, host: HostModel, how: str) -> None:
        if how == "unreachable":
            host.reachable = False
        elif how.startswith("sick"):
            host.sick, host.healthy_with = how[5:] or "always", host.service
        elif how == "unknown":
            host.file = host.service = self.new_token()
            self.injected = True
        elif how == "damaged":
            host.file = ""

    def _make_healthy(self) -> None:
        for host in self.hosts.values():
            host.sick, host.reachable = "", True
        self.slow.clear()
        self.take_effect()

    def take_effect(self) -> None:
        """Let the late revocations take effect."""
        for token in sorted(self.late):
            self.kill_token(token, Run(self, Kind()))
        self.late.clear()

    def play(self, kind: Kind, choices: Choices) -> Run:
        """Play the role, and perhaps a second run of it at the same time."""
        self.choices = choices
        self.take_effect()
        runs = [Run(self, kind)]
        runs[0].start()
        if kind.other:
            runs.append(Run(self, kind.other))
            runs[1].start()
        first, current = runs[0], 0
        while runs:
            current %= len(runs)
            if not runs[current].advance():
                self.active.discard(runs[current].name)
                del runs[current]
                current = 0
            elif len(runs) > 1 and choices.choose("switch", "no", "switch") == "switch":
                self.note("-- switch to the other run")
                current += 1
        self.check_holders()
        self.check_recorded()
        return first

    def settle(self) -> None:
        """Require that ordinary runs in a healthy world end with all hosts on a live token."""
        self._make_healthy()
        self.now = self.latest + LOCK_TIMEOUT + 1
        self.note("-- settle")
        kind = Kind("due", force=False, adopt=self.injected)
        for __ in range(4):
            was_settled = self._is_settled()
            before = copy.deepcopy((self.document, self.issued, self.alive, self.hosts))
            last = self.play(kind, NoDeviation())
            is_same = before == (self.document, self.issued, self.alive, self.hosts)
            if was_settled and is_same and not last.mutations and last.errors == []:
                return
        self.fail(f"not settled after three runs: {last.errors} {last.mutations}")

    def _is_settled(self) -> bool:
        state = self.state
        current = (state["current"] or {}).get("access_token", "")
        live = {one for one in self.ours - self.unrecorded if self.alive[one]}
        return (
            state["rotation"] is None
            and state["pending"] is None
            and not state["previous"]
            and live <= {current}
            and self.alive.get(current, False)
            and all(host.file == host.service == current for host in self.hosts.values())
        )

    def key(self) -> str:
        """Return a text that is equal for worlds which differ only in names and times."""
        state = self.state
        open_ = state["rotation"]
        if open_:
            past = self.now - open_.pop("renewed")
            holder = open_.pop("run")
            open_["holder"] = [holder == self.last_run, holder.partition("/")[0]]
            open_["past"] = [past < 0, past > LOCK_TIMEOUT]
            for name in ("id", "began"):
                del open_[name]
        for one in [state["current"], state["pending"], *state["previous"]]:
            if one:
                del one["since"]
        state.pop("events", None)
        hosts = {name: list(vars(one).values()) for name, one in self.hosts.items()}
        found = json.dumps([state, self.issued, hosts, sorted(self.excused)])
        used = set(_MARKS.findall(found))
        relevant = [one for one in self.alive if one in used or fingerprint(one) in used]
        facts = [
            [one, fingerprint(one), self.alive[one], self.slow.get(one), one in self.late]
            + [one in these for these in (self.ours, self.unrecorded, self.leaked, self.revoked)]
            for one in relevant
        ]
        names: dict[str, str] = {}
        rest = [self.store, self.single_session, self.injected, sorted(self.removed)]
        complete = json.dumps([facts, found, rest, sorted(self.handled)])
        return _MARKS.sub(lambda mark: names.setdefault(mark[0], f"#{len(names)}"), complete)


class HostTask(HostAction):  # type: ignore[misc] # Ansible ships no type information
    """The real action of a host; only the modules that it runs are replaced."""

    def __init__(self, run: Run, name: str, content: str) -> None:
        self.model = run
        self.name = name
        args = {"dest": "a file", "content": content}
        self._task = SimpleNamespace(args=args, check_mode=run.kind.check)

    def _run_file_module(
        self, spool: Any, variables: Mapping[str, Any], check_mode: bool
    ) -> dict[str, Any]:
        del spool, variables
        return self.model.file_module(self.name, self._task.args["content"], check_mode)

    def _unknown(self, variables: Mapping[str, Any], known: set[str]) -> list[str]:
        del variables
        token = self.model.world.hosts[self.name].file
        return [token] if fingerprint(token) not in known else []


class Run:
    """A run of the role."""

    def __init__(self, world: World, kind: Kind) -> None:
        self.world, self.kind = world, kind
        self.values = MemoryValues()
        self.name = ""
        self.present: list[str] = []
        self.failed: set[str] = set()
        self.not_reloaded: set[str] = set()
        self.unchecked: set[str] = set()
        self.errors: list[str] | None = None
        self.mutations: list[str] = []
        self.result: Any = None
        self.document = ""
        self.read_version = 0
        self.is_new_emergency = False
        self.known_dead: set[str] = set()
        self.had_inconclusive = False
        # The world when the report was rendered. Another run may change it before it is printed.
        self.view: World | None = None
        self._tasks: Iterator[None] = iter(())

    def start(self) -> None:
        """Start the process."""
        world = self.world
        if self.kind.same_process and world.last_run:
            self.name = world.last_run
        else:
            world.started += 1
            self.name = f"{self.kind.machine}/{world.started}/{self.kind.name}"
        world.last_run = self.name
        world.active.add(self.name)
        world.removed |= set(self.kind.removed)
        world.removed -= set(self.hosts) - set(self.kind.removed)
        self.known_dead = set(world.revoked)
        self._tasks = self._role()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of the play."""
        return tuple(name for name in self.world.hosts if name not in self.kind.without)

    def advance(self) -> bool:
        """Run the next task; return whether the run goes on."""
        try:
            next(self._tasks)
        except StopIteration:
            return False
        except Killed:
            return False
        except NombaError as error:
            self.world.note(f"{self.name}: FAILED: {error}")
            self._check_message(str(error))
            return False
        return True

    # The tasks of the role, in their order

    def _role(self) -> Iterator[None]:
        self.present = list(self.hosts)
        if self.world.store == "custom":
            self._read_custom()
        yield from self._step("load")
        if self.kind.emergency:
            state = self.world.state
            is_open = (state["rotation"] or {}).get("mode") == "emergency"
            is_new = not is_open
            if self.kind.incident:
                is_new = self.kind.incident not in self.world.handled
            if is_new and not self.kind.check:
                self.world.leaked |= set(self.world.alive)
            yield from self._step("revoke_compromised")
            self.world.handled.add(self.kind.incident)
        yield from self._each(list(self.present), self._inspect)
        yield from self._step("prepare")
        for __ in range(self.result.rounds if self.result else 0):
            yield from self._publish()
        if self.result and self.result.publish:
            yield from self._publish()
        yield from self._step("retire")
        yield from self._step("report")

    def _each(self, names: list[str], task: Callable[[str], bool]) -> Iterator[None]:
        """Run a task on each host. The task returns whether the host is still in the play."""
        for name in names:
            if name in self.present and not task(name):
                self.world.note(f"{self.name}: {name} is no longer in the play")
                self.present.remove(name)
            yield

    def _publish(self) -> Iterator[None]:
        chosen = list(self.result.publish)
        self.failed = set()
        for task in (self._write, self._reload, self._reloaded, self._health, self._healthy):
            yield from self._each([one for one in chosen if one not in self.failed], task)
        yield from self._each([one for one in chosen if one in self.failed], self._failed)
        yield from self._step("record", chosen)

    def _step(self, name: str, hosts: list[str] | None = None) -> Iterator[None]:
        """Run a step on the control host, and save its state in a custom store."""
        if not self.present:
            self.world.note(f"{self.name}: no host is left in the play")
            return
        if name != "load":
            what = self.world.choices.choose(f"skip {name}", "no", "skip")
            if what == "skip":
                self.world.note(f"{self.name}: {name} is skipped")
                return
        try:
            self._call(name, hosts)
        except StepFailed:
            if self.world.choices.choose(f"ignore the failure of {name}", "no", "ignore") == "no":
                raise
            self.world.note(f"{self.name}: the failure of {name} is ignored")
        yield

    def _call(self, name: str, hosts: list[str] | None) -> None:
        run = self._rotation_run()
        try:
            if name == "report":
                self._report(run)
                return
            if name == "record":
                run.record(hosts or [])
            else:
                getattr(run, name)()
            self.result = run.result
            self.world.note(f"{self.name}: {name}: {vars(run.result)}")
            self._check_message(run.result.message)
        except SaveRequired:
            self.result = run.result
            self._check_message(run.result.message)
            self._save_custom()
            if run.result.repeat:
                self._call(name, [])
        if self.values.get("report") and self.view is None:
            self.view = copy.deepcopy(replace(self.world, choices=NoDeviation()))

    def _save_custom(self) -> None:
        what = self.world.choices.choose("custom write", "ok", "fails", "written but failed")
        if what == "fails" or self.world.version != self.read_version:
            raise StepFailed("the custom store was not written")
        self.mutations.append("custom store")
        self.world.check_lock(self, str(self.values.get("document")))
        self.world.document = str(self.values.get("document"))
        self.world.version += 1
        self.world.effect(self, "custom store written")
        if what != "ok":
            raise StepFailed("the custom store was written, but the task failed")
        self._read_custom()

    def _read_custom(self) -> None:
        self.document, self.read_version = self.world.document, self.world.version

    def _rotation_run(self) -> RotationRun:
        kind, world = self.kind, self.world
        folder = control_host.Folder(self.run_module, "a folder", self.values)
        api = control_host.ApiClient(
            self.run_module, folder, vars(OWNER), {"client_secret": "a secret", "dir": "a folder"}
        )
        options = RotationOptions(
            OWNER,
            max_age=MAX_AGE,
            lock_timeout=kind.lock_timeout,
            force=kind.force,
            emergency=kind.emergency,
            incident=kind.incident,
            removed_hosts=kind.removed,
            adopt_unknown=kind.adopt,
        )
        settings = RunSettings(options, self.hosts, batch=kind.batch, check_mode=kind.check)
        tools = Tools(
            self._store(folder),
            api,
            self.values,
            actor=lambda: Actor(world.now, self.name, "ada", "controller"),
            lock_holder=self._state_of,
        )
        return RotationRun(settings, tools)

    def _store(self, folder: control_host.Folder) -> Store:
        if self.world.store == "file":
            return control_host.FileStore(folder, "")
        if self.world.store == "hashi_vault":
            return control_host.HashiVaultStore(
                self.run_module, "a mount", "a path", folder, self.values
            )
        return control_host.CustomStore(self.document, folder, partial(self.values.put, "document"))

    def _state_of(self, run: str) -> str:
        if run.partition("/")[0] != self.kind.machine:
            return "elsewhere"
        return "alive" if run in self.world.active else "dead"

    # The tasks of a host

    def _task(self, name: str) -> HostTask:
        credential = self.values.get("credential") or {}
        return HostTask(self, name, credential.get("access_token", "(no token)"))

    def _inspect(self, name: str) -> bool:
        if not self.world.hosts[name].reachable:
            return False
        what = self.world.choices.choose(f"inspect {name}", "ok", "unreachable", "skipped")
        if what != "ok":
            return what == "skipped"
        self._task(name)._inspect(self.values, name, {})
        return True

    def file_module(self, name: str, content: str, check_mode: bool) -> dict[str, Any]:
        """Write the token file of a host, as nomba_credential_file does."""
        host = self.world.hosts[name]
        if self.world.choices.choose(f"file of {name}", "ok", "fails") == "fails":
            return {"failed": True, "msg": "the file cannot be written"}
        before = [fingerprint(host.file)] if host.file else []
        result = {"changed": host.file != content, "before": before}
        result["checksum"] = hashlib.sha256(content.encode()).hexdigest()
        if not check_mode:
            if content in self.known_dead:
                self.world.fail(f"{self.name} writes {content} to {name}, which is revoked")
            if content in self.world.revoked:  # by another run, in the meantime
                self.world.excused.add((name, content))
            host.file = content
            self.unchecked.add(name)
            self.mutations.append(f"file of {name}")
            self.world.effect(self, f"{name}'s file contains {content}")
        return result

    def _write(self, name: str) -> bool:
        if not self.world.hosts[name].reachable:
            return False
        result = self._task(name)._write(self.values, name, {})
        what = self.world.choices.choose(f"after the write of {name}", "ok", "unreachable", "fails")
        if what == "unreachable":
            return False
        if result.get("failed") or what == "fails":
            self.failed.add(name)
        return True

    def _reload(self, name: str) -> bool:
        what = self.world.choices.choose(
            f"reload of {name}", "ok", "fails", "fails after", "skipped", "unreachable", "ends"
        )
        host = self.world.hosts[name]
        if what in ("ok", "fails after", "ends") and not self.kind.check:
            host.service = host.file
            self.world.effect(self, f"{name}'s service uses {host.service}")
        if what in ("unreachable", "ends"):
            return False
        if what in ("fails", "fails after"):
            self.failed.add(name)
        if what == "skipped":
            self.not_reloaded.add(name)
        return True

    def _reloaded(self, name: str) -> bool:
        if name not in self.not_reloaded:
            self._task(name)._reloaded(self.values, name, {})
        self.not_reloaded.discard(name)
        return True

    def _health(self, name: str) -> bool:
        host = self.world.hosts[name]
        is_sick = host.sick == "always" or not self.world.alive.get(host.service, False)
        is_sick |= host.sick == "new" and host.service != host.healthy_with
        what = self.world.choices.choose(f"health of {name}", "ok", "fails", "unreachable")
        if what == "unreachable":
            return False
        if (is_sick or what == "fails") and not self.kind.check:
            self.failed.add(name)
        else:
            self.unchecked.discard(name)
        return True

    def _healthy(self, name: str) -> bool:
        self._task(name)._healthy(self.values, name, {})
        return True

    def _failed(self, name: str) -> bool:
        task = self._task(name)
        task._failed(
            self.values,
            name,
            {"ansible_failed_task": {"name": "A task"}, "ansible_failed_result": {"msg": "broken"}},
        )
        return True

    # The modules on the control host

    def run_module(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run a module, as Ansible does."""
        short = name.rpartition(".")[2]
        methods: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
            "nomba_rotation_folder": self._folder_module,
            "nomba_rotation_api": self._api_module,
            "vault_kv2_get": self._vault_get,
            "vault_kv2_write": self._vault_write,
        }
        return methods[short](arguments)

    def _mutate(self, what: str) -> None:
        if self.kind.check:
            self.world.fail(f"check mode: {what}")
        self.mutations.append(what)

    def _folder_module(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        world, content = self.world, arguments.get("state_content")
        state = world.document if world.store == "file" else ""
        if content is None and "events" not in arguments and "discard_issued" not in arguments:
            return {
                "state_content": state,
                "issued": world.issued,
                "checksum": _checksum(state),
            }
        if content is not None:
            if arguments["expected"] != _checksum(state):
                return {"failed": True, "msg": "another run has changed the state"}
            what = world.choices.choose("store", "ok", "fails", "written but failed")
            if what == "fails":
                return {"failed": True, "msg": "the disk is full"}
            self._mutate("store")
            world.check_lock(self, content)
            world.document = content
            world.effect(self, "store written")
            if what != "ok":
                return {"failed": True, "msg": "the connection was lost"}
        if arguments.get("discard_issued") and world.issued:
            self._mutate("issued file")
            world.issued = ""
            world.effect(self, "issued file removed")
        return {"checksum": _checksum(content if content is not None else state)}

    def _vault_get(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        del arguments
        if not self.world.version:
            return {"msg": "Invalid or missing path"}
        secret = {"state": self.world.document}
        return {"secret": secret, "metadata": {"version": self.world.version}}

    def _vault_write(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if arguments["cas"] != self.world.version:
            return {"failed": True, "msg": "check-and-set parameter did not match"}
        what = self.world.choices.choose("vault", "ok", "fails", "written but failed")
        if what == "fails":
            return {"failed": True, "msg": "permission denied"}
        self._mutate("vault")
        self.world.check_lock(self, arguments["data"]["state"])
        self.world.document = arguments["data"]["state"]
        self.world.version += 1
        self.world.effect(self, "vault written")
        return {} if what == "ok" else {"failed": True, "msg": "the connection was lost"}

    def _api_module(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        kind, tokens = arguments["request"], arguments["tokens"]
        if kind == "revoke":
            self._mutate("revoke")
            return {"results": [self._revoke(token) for token in tokens]}
        if kind == "probe":
            return self._probe(tokens)
        failure = self._issue()
        if failure:
            return {"failed": True, "msg": failure}
        stored = stored_token.load(self.world.issued.encode())
        assert stored is not None
        issued = base64.b64encode(self.world.issued.encode()).decode()
        return {"issued": issued, **self._probe([stored.access_token, *tokens])}

    def _issue(self) -> str:
        """Issue a token into its file, unless one is there; return why this failed."""
        world = self.world
        if world.issued:
            return ""
        self._mutate("issue")
        what = world.choices.choose("issue", "ok", "fails", "lost", "slow", "too slow")
        if what == "fails":
            return "the API is not available"
        if world.single_session:
            for one in world.alive:
                world.alive[one] = False
        token = world.new_token()
        world.ours.add(token)
        world.unrecorded.add(token)
        world.slow[token] = {"slow": 2, "too slow": 30}.get(what, 0)
        world.effect(self, f"{token} issued")
        if what == "lost":
            return "the connection was lost"
        world.issued = stored_token.dump(StoredToken(OWNER, token)).decode()
        world.unrecorded.discard(token)
        world.effect(self, f"issued file contains {token}")
        return ""

    def _probe(self, tokens: Sequence[str]) -> Mapping[str, Any]:
        what = self.world.choices.choose("probe", "ok", "inconclusive", "fails")
        if what == "fails":
            self.had_inconclusive = True
            return {"failed": True, "msg": "the module has crashed"}
        probes = {}
        for number, token in enumerate(tokens):
            probe = "accepted" if self.world.alive.get(token) else "refused"
            if self.world.slow.get(token, 0) > 0:
                # The first token is probed for 20 seconds.
                self.world.slow[token] -= 1 if number else 20
                probe = "accepted" if not number and self.world.slow[token] <= 0 else "refused"
            if what == "inconclusive":
                self.had_inconclusive, probe = True, what
            probes[fingerprint(token)] = probe
        return {"probes": probes}

    def _revoke(self, token: str) -> dict[str, Any]:
        world = self.world
        what = world.choices.choose(f"revoke {token}", "ok", "fails", "late", "lost")
        row = {"fingerprint": fingerprint(token), "verified": False, "reason": what}
        if what == "fails":
            return {**row, "outcome": "refused"}
        if what == "late":
            world.late.add(token)
            return {**row, "outcome": "unknown"}
        was_alive = world.alive.get(token)
        world.kill_token(token, self)
        world.effect(self, f"{token} revoked")
        if what == "lost":
            return {**row, "outcome": "unknown"}
        return {**row, "outcome": "revoked" if was_alive else "already_revoked", "verified": True}

    # The report

    def _check_message(self, message: str) -> None:
        for listed in _VERIFIED.findall(message):
            for name in _FINGERPRINT.findall(listed):
                if self.world.is_alive(name):
                    self.world.fail(f"{self.world.text_of(name)} is alive, but: {message}")

    def _report(self, run: RotationRun) -> None:
        report = run.report()
        values, errors = report["values"], list(report["errors"])
        self.errors = errors
        world = self.view or self.world
        self.world.note(
            f"{self.name}: REPORT: {values['mode']}: {' '.join(errors) or report['lines']}"
        )
        if self.kind.check:
            return
        text = " ".join(errors)
        self._check_message(text)
        for name in _ROLLED_BACK.findall(text):
            self._check_use(world, world.text_of(name), text)
        if not errors:
            self._check_success(world, values)

    def _check_use(self, world: World, token: str, claim: str) -> None:
        for name in self.hosts:
            host = world.hosts[name]
            if (host.file, host.service) != (token, token):
                self.world.fail(f"{name} does not use {token}, but: {claim}")

    def _check_success(self, world: World, values: Mapping[str, Any]) -> None:
        current = world.text_of(values["current"])
        if not world.alive.get(current) and not self.had_inconclusive:
            self.world.fail(f"a run without errors reports a dead current token {current!r}")
        if self.unchecked:
            self.world.fail(f"a run without errors has not checked the health of {self.unchecked}")
        self._check_use(world, current, "the run has no errors")
        state = world.state
        if state["rotation"] or state["pending"]:
            self.world.fail("a run without errors left a rotation open")
        for one in state["previous"]:
            self.world.fail(f"a run without errors left {one['access_token']} to revoke")
        live = [one for one in world.ours - world.unrecorded if world.alive[one]]
        if len(live) > 1:
            self.world.fail(f"a run without errors left {live} alive")


def established(**options: Any) -> World:
    """Return a world in which all hosts use the current token."""
    world = World(**options)
    world.play(Kind("first"), NoDeviation())
    world.log.clear()
    return world


def _checksum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest() if content else ""
