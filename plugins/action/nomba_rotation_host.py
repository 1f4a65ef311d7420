# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of the steps of a rotation that run on each host, and that collect the evidence."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.nomba.auth.plugins.module_utils._env_file import read_values
from ansible_collections.nomba.auth.plugins.module_utils._errors import NombaError
from ansible_collections.nomba.auth.plugins.module_utils._rotation import HostEvidence, hide_tokens
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint, jwts_in
from ansible_collections.nomba.auth.plugins.plugin_utils._fleet_scan import HostScan
from ansible_collections.nomba.auth.plugins.plugin_utils._hidden_output import (
    hidden_output,
    run_hidden,
    use_pipelining,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._spool import Spool

_FILE_OPTIONS = ("dest", "content", "variables", "owner", "group", "mode")
# In check mode, no token is issued. The lookup rotation_value gives this text to the templates.
NEW_TOKEN = "(new token)"  # noqa: S105 -- a text for a token that does not exist
_TEMPLATE_WITHOUT = (
    "credential_rotation_template: the result does not contain the {noun}; write "
    "credential_rotation_service.{field} to it"
)
_CLIENT = ("client_id", "client_secret")
_FINGERPRINT = re.compile("sha256:[0-9a-f]{16}")
_HIDDEN = "its output is hidden by no_log"


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible ships no type information
    """Inspect or write the token file of a host, and record what is proved about the host."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result of the step, which contains no secret."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        steps = {
            "inspect": self._inspect,
            "find": self._find,
            "unread": self._unread,
            "not_reported": self._not_reported,
            "write": self._write,
            "reloaded": self._reloaded,
            "healthy": self._healthy,
            "published": self._published,
            "failed": self._failed,
        }
        step = self._task.args.get("step")
        if step not in steps:
            raise AnsibleActionFail(f"step: set one of {', '.join(steps)}")
        spool = Spool.opened(self._task.args.get("run"))
        try:
            name = self._task.args.get("sink") or variables["inventory_hostname"]
            return steps[step](spool, str(name), variables)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _inspect(self, spool: Spool, host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Compare the token file with the current token, without changing it."""
        result = self._run_file_module(spool, variables, check_mode=True)
        error = _message(result) if result.get("failed") else ""
        known, clients = set(spool.get("known", [])), spool.get("clients")
        if clients is None:
            found = list(result.get("before", []))
            if set(found) - known:
                spool.put(f"unknown {host}", self._unknown(variables, known))
        else:
            found = [] if error else self._clients(spool, host, clients, variables)
        differs = bool(result.get("changed"))
        spool.put(f"inspection {host}", {"fingerprints": found, "differs": differs, "error": error})
        return {"changed": False, "msg": error or "The token file can be written.", "tokens": found}

    def _unknown(self, variables: Mapping[str, Any], known: set[str]) -> list[str]:
        """Return the tokens of the file that are not in the store. They leave through the spool."""
        content = self._content(variables)
        return [one for one in jwts_in(content) if fingerprint(one) not in known]

    def _clients(
        self, spool: Spool, host: str, clients: Mapping[str, str], variables: Mapping[str, Any]
    ) -> list[str]:
        """Return the fingerprints of the clients in the file; an unknown one goes to the spool."""
        content = self._content(variables)
        text = content.decode(errors="replace")
        found = [name for name, secret in clients.items() if contains(text, secret)]
        client = client_in(content, self._task.args.get("names") or {})
        if client and fingerprint(client["client_secret"]) not in clients:
            spool.put(f"unknown {host}", [client])
            found.append(fingerprint(client["client_secret"]))
        return found

    def _content(self, variables: Mapping[str, Any]) -> bytes:
        """Return the content of the file; empty if there is none."""
        dest = {"src": self._task.args["dest"]}
        with hidden_output(self):
            result = self._execute_module("ansible.builtin.slurp", dest, task_vars=variables)
        return base64.b64decode(result.get("content", ""))

    def _find(self, spool: Spool, host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Search files and folders of the host for tokens, which leave through the spool."""
        sources = {"sources": self._task.args.get("sources") or []}
        name = "nomba.auth.nomba_token_find"
        scan = HostScan.from_result(run_hidden(self, name, sources, variables))
        unread = [f"{one['path']} ({one['reason']})" for one in scan.unread]
        if scan.error:
            unread.append(scan.error)
        spool.put(f"found {host}", list(scan.tokens))
        places = {fingerprint(token): list(found) for token, found in scan.tokens.items()}
        spool.put(f"locations {host}", places)
        spool.put(f"unread {host}", [f"{host}: {one}" for one in unread])
        return {"changed": False, "msg": f"{len(scan.tokens)} token(s) found.", "unread": unread}

    def _write(self, spool: Spool, host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Write the token file, and record that it was read back."""
        target = spool.get("target", ["", ""])
        result = self._run_file_module(spool, variables, self._task.check_mode)
        evidence = HostEvidence(*target[:2])
        if not result.get("failed") and not self._task.check_mode:
            spool.put(f"evidence {host}", asdict(evidence))
        if "diff" in result and spool.get("credential") is None:
            result = {**result, "diff": {**result["diff"], "after": f"{NEW_TOKEN}\n"}}
        names = ("changed", "failed", "msg", "diff", "before", "fingerprints", "error")
        shown = {name: result[name] for name in names if name in result}
        return {"changed": False, **shown}

    def _reloaded(self, spool: Spool, host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        del variables
        return self._advance(spool, host, reloaded=True)

    def _healthy(self, spool: Spool, host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        del variables
        return self._advance(spool, host, healthy=True)

    def _published(self, spool: Spool, sink: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Compare the fingerprint that was read back from a sink with that of the credential."""
        del variables
        rotation, target = spool.get("target", ["", ""])[:2]
        found = str(self._task.args.get("fingerprint") or "")
        if found != target:
            shown = found if _FINGERPRINT.fullmatch(found) else "no fingerprint"
            problem = f"the sink must hold {target}; credential_rotation_published says {shown}"
            raise AnsibleActionFail(f"{sink}: {problem}. Set it to what was read back")
        evidence = HostEvidence(rotation, target, reloaded=True, healthy=True)
        spool.put(f"evidence {sink}", asdict(evidence))
        return {"changed": False, "msg": "Recorded."}

    def _unread(self, spool: Spool, host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Record that the task file of the user could not find tokens."""
        del host
        error = _failed_task(variables)
        spool.put("unread", [f"credential_rotation_find_tokens_tasks: {error}"])
        return {"changed": False, "msg": error}

    def _not_reported(
        self, spool: Spool, host: str, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Record that the report was not written or handed to the task file of the user."""
        del host
        error = _failed_task(variables)
        spool.put("not_reported", error)
        return {"changed": False, "msg": f"NOT REPORTED: {error}"}

    def _failed(self, spool: Spool, host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Record which task failed."""
        error = _failed_task(variables)
        self._advance(spool, host, error=error)
        return {"changed": False, "msg": f"{host}: {error}"}

    def _advance(self, spool: Spool, host: str, **proved: Any) -> dict[str, Any]:
        evidence = spool.get(f"evidence {host}", asdict(HostEvidence("", "")))
        if not self._task.check_mode:
            spool.put(f"evidence {host}", {**evidence, **proved})
        return {"changed": False, "msg": "Recorded."}

    def _run_file_module(
        self, spool: Spool, variables: Mapping[str, Any], check_mode: bool
    ) -> Mapping[str, Any]:
        """Return the result of the module, which reads the file back after a write."""
        given = self._task.args
        field = "access_token" if spool.get("clients") is None else "client_secret"
        secret = (spool.get("credential") or {field: NEW_TOKEN})[field]
        if given.get("content") is not None and not contains(str(given["content"]), secret):
            noun = "token" if field == "access_token" else field.replace("_", " ")
            return {"failed": True, "msg": _TEMPLATE_WITHOUT.format(noun=noun, field=field)}
        arguments = {name: given[name] for name in _FILE_OPTIONS if given.get(name) is not None}
        use_pipelining(self._connection)
        before, self._task.check_mode = self._task.check_mode, check_mode
        try:
            return dict(
                self._execute_module(
                    "nomba.auth.nomba_credential_file", arguments, task_vars=variables
                )
            )
        finally:
            self._task.check_mode = before


def client_in(content: bytes, names: Mapping[str, str]) -> dict[str, str]:
    """Return the client in a .env file with these names, or in a JSON file; empty if unclear."""
    try:
        by_field = {field: name for field, name in names.items() if field in _CLIENT}
        if by_field:
            values = read_values(by_field.values(), content)
            found = {field: values.get(name, "") for field, name in by_field.items()}
        else:
            document = json.loads(content)
            found = {field: document.get(field, "") for field in _CLIENT}
    except (AttributeError, ValueError, NombaError):
        return {}
    is_text = all(isinstance(one, str) for one in found.values())
    return found if is_text and all(found.get(field) for field in _CLIENT) else {}


def contains(content: str, token: str) -> bool:
    """Return whether a content contains a token, in plain text or in base64."""
    if token in content:
        return True
    encoded = (base64.b64encode(bytes(offset) + token.encode()).decode() for offset in range(3))
    # The first and the last characters also depend on the text around the token.
    return any(text[4 * bool(offset) : -4] in content for offset, text in enumerate(encoded))


def _failed_task(variables: Mapping[str, Any]) -> str:
    """Return which task failed. The text may be another program's, so tokens are hidden."""
    task, result = variables.get("ansible_failed_task"), variables.get("ansible_failed_result")
    # Ansible names no task if a task file cannot be loaded.
    name = _field(task, "name") or "A task file cannot be loaded, see the error above"
    is_hidden = bool(_field(task, "no_log") or _field(result, "_ansible_no_log"))
    reason = _HIDDEN if is_hidden or _field(result, "censored") else _message(result or {})
    return f"{name}: {reason}"


def _message(result: Any) -> str:
    return hide_tokens(str(_field(result, "msg") or "it failed"))


def _field(value: Any, name: str) -> Any:
    """Return a field of a result or of a task, which is an object or a dictionary."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
