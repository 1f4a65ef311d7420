# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action that scans one host, and takes what it finds to the controller."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.nomba.auth.plugins.plugin_utils._fleet_scan import UNREACHABLE, HostScan
from ansible_collections.nomba.auth.plugins.plugin_utils._hidden_output import run_hidden
from ansible_collections.nomba.auth.plugins.plugin_utils._spool import Spool

_NOT_SCANNED = "This host was not scanned. The verdict at the end of the run states the reason."


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible ships no type information
    """Scan a host. The tokens leave through the spool; the result contains none."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return how many tokens were found."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        options = dict(self._task.args)
        spool = Spool.opened(options.pop("run", None))
        name = f"found {variables['inventory_hostname']}"
        try:
            result = run_hidden(self, "nomba.auth.nomba_token_find", options, variables)
        except AnsibleConnectionFailure:
            spool.put(name, asdict(HostScan(error=UNREACHABLE)))
            # The connection hid its reason with the output. This command fails with it.
            self._low_level_execute_command("true", sudoable=False)
            raise
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        scan = HostScan.from_result(result)
        spool.put(name, asdict(scan))
        if scan.error:
            return {"changed": False, "failed": True, "msg": _NOT_SCANNED}
        counts = f"{len(scan.tokens)} token(s) found, {len(scan.unread)} source(s) unread"
        return {"changed": False, "msg": counts}
