# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of the steps of a rotation that run once, on the control host."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._errors import NombaError
from ansible_collections.nomba.auth.plugins.module_utils._rotation_folder import use_folder
from ansible_collections.nomba.auth.plugins.module_utils._rotation_plan import RotationOptions
from ansible_collections.nomba.auth.plugins.module_utils._rotation_report import RotationReport
from ansible_collections.nomba.auth.plugins.module_utils._rotation_state import Actor, Kind
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint, jwts_in
from ansible_collections.nomba.auth.plugins.plugin_utils._control_host import (
    FOLDER_MODULE,
    ApiClient,
    CustomStore,
    FileStore,
    Folder,
    HashiVaultStore,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._hidden_output import run_hidden
from ansible_collections.nomba.auth.plugins.plugin_utils._playbook_run import (
    current_user,
    resume_command,
    state_of,
    this_run,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._printed_verdict import verdict_result
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_options import (
    checked_options,
    require_known_names,
    store_name,
    target_options,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import (
    RotationRun,
    RunSettings,
    SaveRequired,
    StepResult,
    Store,
    Tools,
    Values,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._spool import Spool
from ansible_collections.nomba.auth.plugins.plugin_utils._store_move import (
    MemoryValues,
    Place,
    move,
)

STEPS = (
    *("load", "revoke_compromised", "prepare", "record", "revoke_found", "retire"),
    *("report", "verdict", "status", "move"),
)
# Connection options that module_defaults of the group nomba can set.
_CONNECTION = ("validate_certs", "ca_path", "allow_http", "timeout", "deadline")


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible ships no type information
    """Run one step of a rotation."""

    # Each step acts for all hosts. The strategy `free` would run it once per host, and refuses it.
    BYPASS_HOST_LOOP = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result of the step, which contains no secret."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            is_move = self._task.args.get("step") == "move"
            return self._move(variables) if is_move else self._step(variables)
        except NombaError as error:
            raise AnsibleActionFail(str(error)) from None
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _step(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        arguments = self._task.args
        step = arguments.get("step")
        if step not in STEPS:
            raise AnsibleActionFail(f"step: set one of {', '.join(STEPS)}")
        if step == "load":
            require_known_names(variables, arguments.get("options"))
            spool = Spool.create()
        else:
            spool = Spool.opened(arguments.get("run"))
        reads_only = bool(arguments.get("reads_only"))
        options = checked_options(arguments.get("options"), reads_only)
        if arguments.get("found"):
            texts = [str(one).encode() for one in arguments["found"]]
            spool.put("found", [token for one in texts for token in jwts_in(one)])
        run = self._rotation_run(options, spool, variables)
        if step == "report":
            return self._report(run)
        if step == "verdict":
            return self._verdict(run, spool)
        if step == "status":
            return _status(run)
        is_unsaved = False
        try:
            if step == "record":
                run.record(list(arguments.get("hosts") or []))
            else:
                getattr(run, step)()
        except SaveRequired:
            is_unsaved = True
        except NombaError as error:
            spool.put("stopped", str(error))
            raise
        return _step_result(step, run.result, is_unsaved, options, spool)

    def _move(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Move the state to the store of the argument target."""
        require_known_names(variables, self._task.args.get("options"))
        options = checked_options(self._task.args.get("options"), reads_only=True)
        target = target_options(options, self._task.args.get("target"))
        user = options["actor"] or current_user(variables)
        actor = Actor(SYSTEM.now(), this_run(), user, options["control_host"])
        old, new = self._place(options, variables), self._place(target, variables)
        moved = move(old, new, actor, bool(self._task.check_mode))
        return {"changed": moved.changed, "msg": moved.message, "_ansible_verbose_always": True}

    def _place(self, options: Mapping[str, Any], variables: Mapping[str, Any]) -> Place:
        values = MemoryValues()
        folder = Folder(partial(self._run_module, variables), options["dir"], values)
        store = self._store(options, folder, values, variables)
        return Place(store_name(options), store, folder.issued)

    def _report(self, run: RotationRun) -> dict[str, Any]:
        """Return the report for tasks; the next step prints it, and fails if the run has failed."""
        found = run.report()
        actor = run.actor().actor
        return {"changed": False, **found["values"], "steps": found["lines"], "actor": actor}

    def _verdict(self, run: RotationRun, spool: Spool) -> dict[str, Any]:
        """Print the report, and fail if the run has failed."""
        found = RotationReport(**run.report())
        return verdict_result(found.shown, bool(found.errors), spool.get("not_reported", ""))

    def _rotation_run(
        self, options: Mapping[str, Any], spool: Spool, variables: Mapping[str, Any]
    ) -> RotationRun:
        is_check = bool(self._task.check_mode)
        run_module = partial(self._run_module, variables)
        folder = Folder(run_module, options["dir"], spool)
        owner = {name: options[name] for name in ("api_url", "account_id", "client_id")}
        api = ApiClient(run_module, folder, owner, options)
        hosts = tuple(variables["ansible_play_hosts_all"])
        # Without serial, the batch lacks only hosts that have failed or are unreachable.
        has_batches = bool(self._task._parent._play.serial)
        is_partial = has_batches and len(variables["ansible_play_batch"]) != len(hosts)
        settings = RunSettings(
            RotationOptions(
                Owner(**owner),
                max_age=options["max_age"],
                lock_timeout=options["lock_timeout"],
                force=options["force"],
                emergency=options["emergency"],
                incident=options["incident"],
                removed_hosts=tuple(options["removed_hosts"]),
                adopt_unknown=options["unknown_tokens"] == "adopt",
                has_client_secret=bool(options["client_secret"]),
                kind=Kind.CLIENT if options["credential"] == "client" else Kind.ACCESS_TOKEN,
                client=_mark(options["client_secret"]),
                has_old_client=bool(options["old_client_id"]),
                retire_after=options["retire_after"],
                fail_if_due=options["fail_if_due"],
                plain_store=options["credential"] == "client"
                and options["store"] == "file"
                and not options["vault_password"],
                token_lifetime=options["token_lifetime"],
            ),
            hosts,
            excludes_hosts=is_partial or ("ansible_limit" in variables and not is_check),
            batch=options["batch"],
            client=_client(options["client_id"], options["client_secret"]),
            old_client=_client(options["old_client_id"], options["old_client_secret"]),
            verify_only=options["verify_only"],
            has_sources=bool(options["token_sources"]),
            sinks=tuple(options["publish_tasks"]),
            store=_store_name(options),
            check_mode=is_check,
            command=resume_command(sys.argv),
        )
        store = self._store(options, folder, spool, variables)
        user = options["actor"] or current_user(variables)
        here, control = this_run(), options["control_host"]
        tools = Tools(
            store,
            api,
            spool,
            actor=lambda: Actor(SYSTEM.now(), here, user, control),
            lock_holder=state_of,
        )
        return RotationRun(settings, tools)

    def _store(
        self,
        options: Mapping[str, Any],
        folder: Folder,
        values: Values,
        variables: Mapping[str, Any],
    ) -> Store:
        if options["store"] == "file":
            return FileStore(folder, options["vault_password"])
        if options["store"] == "hashi_vault":
            place = (options["hashi_vault_mount"], options["hashi_vault_path"])
            return HashiVaultStore(partial(self._run_module, variables), *place, folder, values)
        document = str(self._task.args.get("document") or "")
        return CustomStore(document, folder, partial(values.put, "document"))

    def _is_here(self) -> bool:
        """Return whether modules of the control host would run as this user on this machine."""
        is_local = self._connection.transport == "local" and not self._connection.become
        return is_local and not any(self._task.environment or ())  # which can set another HOME

    def _use_folder(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what the module does, without the process of a module: half of a rotation's time."""
        path = Path(os.path.expandvars(str(arguments["path"]))).expanduser()
        absolute = self._loader.get_basedir() / path  # where a local module would run
        options = {**arguments, "path": str(absolute)}
        try:
            return use_folder(options, bool(self._task.check_mode), SYSTEM)
        except NombaError as error:
            return {"failed": True, "msg": str(error), "error": {"code": error.code}}

    def _run_module(
        self, variables: Mapping[str, Any], name: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Run a module on the control host, with the module_defaults that apply to it."""
        if name == FOLDER_MODULE and self._is_here():
            return self._use_folder(arguments)
        own = {}
        if name.startswith(("nomba.auth.nomba_token", "nomba.auth.nomba_rotation_api")):
            own = {one: self._task.args[one] for one in _CONNECTION if one in self._task.args}
        return run_hidden(self, name, {**own, **arguments}, variables)


def _step_result(
    step: str, result: StepResult, is_unsaved: bool, options: Mapping[str, Any], spool: Spool
) -> dict[str, Any]:
    """Return the result of a step that changes the state."""
    if step == "load":
        # This result contains the key of the files that contain tokens.
        return {"changed": False, "run": spool.handle, "_ansible_no_log": True}
    return {
        "changed": result.changed,
        "msg": result.message,
        "publish": result.publish,
        "rounds": result.rounds,
        "due": result.due,
        "sinks": {
            name: path for name, path in options["publish_tasks"].items() if name in result.publish
        },
        "step": step,
        "unsaved": is_unsaved,
        "repeat": result.repeat,
        "_ansible_verbose_always": step == "revoke_compromised",
    }


def _store_name(options: Mapping[str, Any]) -> str:
    if options["store"] == "hashi_vault":
        return f"{options['hashi_vault_mount']}/{options['hashi_vault_path']}"
    return str(options["dir"])


def _status(run: RotationRun) -> dict[str, Any]:
    found = run.status()
    shown = {"msg": list(found.lines), "metrics": found.metrics, **found.values}
    return {"changed": False, **shown}


def _client(client_id: str, secret: str) -> dict[str, str]:
    """Return the document of a client; empty without an id."""
    return {"client_id": client_id, "client_secret": secret} if client_id else {}


def _mark(secret: str) -> str:
    return fingerprint(secret) if secret else ""
