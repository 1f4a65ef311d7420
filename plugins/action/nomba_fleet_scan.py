# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of the steps of a scan of many hosts that run once, on the control host."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.nomba.auth.plugins.module_utils._rotation import hide_tokens
from ansible_collections.nomba.auth.plugins.plugin_utils._fleet_scan import (
    FleetReport,
    HostScan,
    from_revocations,
    has_failed,
    merge,
    token_rows,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._hidden_output import run_hidden
from ansible_collections.nomba.auth.plugins.plugin_utils._playbook_run import resume_command
from ansible_collections.nomba.auth.plugins.plugin_utils._printed_verdict import verdict_result
from ansible_collections.nomba.auth.plugins.plugin_utils._spool import Spool

STEPS = ("start", "revoke", "verdict")
_OWN = ("step", "run", "pattern_hosts", "not_reported")
_NOT_RUN = {"msg": "the tokens were not revoked", "error": {}}
_SERIAL = (
    "serial: a scan revokes the tokens of all hosts together. Remove serial, and limit the hosts "
    "that are scanned at a time with forks or throttle."
)


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible ships no type information
    """Run one step of a scan."""

    # Each step acts for all hosts. The strategy `free` would run it once per host, and refuses it.
    BYPASS_HOST_LOOP = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result of the step, which contains no secret."""
        super().run(tmp, task_vars)
        step = self._task.args.get("step")
        if step not in STEPS:
            raise AnsibleActionFail(f"step: set one of {', '.join(STEPS)}")
        if self._task._parent._play.serial:
            raise AnsibleActionFail(_SERIAL)
        if step == "start":
            return {"changed": False, "run": Spool.create().handle}
        if self._task.args.get("revocations") is not None:
            return self._revocation_verdict(dict(self._task.args["revocations"]), task_vars or {})
        spool = Spool.opened(self._task.args.get("run"))
        try:
            steps = {"revoke": self._revoke, "verdict": self._verdict}
            return steps[step](spool, task_vars or {})
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _revoke(self, spool: Spool, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Revoke each distinct token once, with one run of the module."""
        scans = _scans(spool, variables)
        found = merge(scans)
        result = self._run_module(list(found), variables) if found else {}
        rows = token_rows(found, result, bool(self._task.check_mode))
        spool.put("rows", rows)
        for host, scan in scans.items():  # no later step needs the tokens
            spool.put(f"found {host}", asdict(replace(scan, tokens={})))
        report = FleetReport(variables["ansible_play_hosts_all"], scans, rows)
        warnings = {"warnings": result["warnings"]} if result.get("warnings") else {}
        shown = {"results": rows, "hosts": report.host_rows(), "unread": report.unread_rows()}
        return {"changed": bool(result.get("changed")), **shown, **warnings}

    def _run_module(self, tokens: list[str], variables: Mapping[str, Any]) -> Mapping[str, Any]:
        options = {name: one for name, one in self._task.args.items() if name not in _OWN}
        arguments = {**options, "access_tokens": tokens, "proof": "required"}
        try:
            return run_hidden(self, "nomba.auth.nomba_token_revoke", arguments, variables)
        except AnsibleConnectionFailure as error:
            return {"failed": True, "msg": f"the control host is unreachable: {error}"}

    def _verdict(self, spool: Spool, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Print the verdict and the table, and fail if a token may be valid."""
        scans, is_check = _scans(spool, variables), bool(self._task.check_mode)
        rows = spool.get("rows")
        if rows is None:
            rows = token_rows(merge(scans), _NOT_RUN, is_check)
        hosts = list(variables["ansible_play_hosts_all"])
        excluded = set(self._task.args.get("pattern_hosts") or []) - set(hosts)
        command = resume_command(sys.argv)
        report = FleetReport(hosts, scans, rows, is_check, len(excluded), command)
        spool.discard()
        return verdict_result(report.lines(), report.failed, self._not_reported())

    def _revocation_verdict(
        self, results: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Print the verdict on the results of nomba_token_revoke, by host."""
        scans, rows = from_revocations(results)
        hosts, is_check = list(variables["ansible_play_hosts_all"]), bool(self._task.check_mode)
        command = resume_command(sys.argv)
        report = FleetReport(hosts, scans, rows, is_check, command=command, done="processed")
        return verdict_result(report.lines(), has_failed(results, hosts), self._not_reported())

    def _not_reported(self) -> str:
        """Return why the report, the audit log or the notification failed, without tokens."""
        return hide_tokens(str(self._task.args.get("not_reported") or ""))


def _scans(spool: Spool, variables: Mapping[str, Any]) -> dict[str, HostScan]:
    """Return what the hosts found; a host without a scan is missing."""
    found = {host: spool.get(f"found {host}") for host in variables["ansible_play_hosts_all"]}
    return {host: HostScan(**one) for host, one in found.items() if one is not None}
