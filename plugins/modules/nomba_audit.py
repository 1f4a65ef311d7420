#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Append events to an audit log."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_audit
version_added: 0.1.0
short_description: Append events to an audit log, each once
description:
  - Appends events to a file of JSON lines and flushes it to the disk. Existing lines are never
    changed. The mode of the file is set to C(0600).
  - If the disk is full, the file is truncated to its previous size. If the system does not allow
    this, or after a run that was killed, the next run ends the incomplete line.
  - The file is locked during the run. If another process holds its lock for ten seconds, the
    module fails with RV(error.code=not_written).
  - An event that is in the file is not appended again, so a run that was killed can be repeated.
    Events are compared by their C(id), in the last 4 MiB of the file.
  - The playbooks of this collection that revoke tokens append to C(~/.nomba/audit.jsonl), the audit
    log of the role P(nomba.auth.credential_rotation#role).
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  action_group:
    support: none
    membership: []
    details:
      - This module sends no request to the API and has none of the group's options.
options:
  path:
    description:
      - The audit log. A folder that does not exist is created, with mode C(0700).
      - It must be a regular file of root or of the user who runs the module. A link in its place
        is refused, and so is a link of another user in its path.
    type: path
    required: true
  events:
    description:
      - The events, each a dictionary with an C(id). They are shown in a diff, so they must not
        contain a secret.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Record the approval
  nomba.auth.nomba_audit:
    path: /var/log/nomba/audit.jsonl
    events:
      - id: "{{ release }} approved"
        time: "{{ now(utc=true).isoformat() }}"
        actor: "{{ approver }}"
        step: approve
"""

RETURN = r"""
appended:
  description: How many events were appended.
  returned: success
  type: int
  sample: 2
error:
  description: Why the module failed. The code is for playbooks, RV(ignore:msg) is for users.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(not_written), the file could not be written completely; run again.
        - V(invalid_option), an option's value cannot be used.
      type: str
      sample: not_written
"""

import os
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._audit import (
    append,
    lines,
    missing,
    read_log,
)
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    create_folder,
    open_entry,
)


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Append the missing events."""
    events = module.params["events"]
    if not all(isinstance(event.get("id"), str) and event["id"] for event in events):
        raise InvalidOption("events", "each needs an id, a string, so that none is written twice")
    path = module.params["path"]
    folder = path.rpartition("/")[0] or "."
    if not module.check_mode:
        create_folder("path", folder)
    if os.path.isdir(folder):  # noqa: PTH112 -- pathlib is slow to import
        new, too_open = _append(path, events, module.check_mode)
    else:
        new, too_open = missing(b"", events), False
    result: dict[str, Any] = {
        "changed": bool(new) or too_open,
        "appended": len(new),
        "msg": f"{len(new)} of {len(events)} event(s) were not in the audit log."
        + " Other users could read the audit log." * too_open,
    }
    if module._diff:
        result["diff"] = {"before": "", "after": lines(new).decode()}
    return result


def _append(
    path: str, events: list[dict[str, Any]], check_mode: bool
) -> tuple[list[Mapping[str, Any]], bool]:
    """Return the events that were missing, and whether other users could read the log."""
    with open_entry("path", path, follow_link=False) as entry:
        log, too_open = read_log(entry)
        new = missing(log, events)
        if (new or too_open) and not check_mode:
            append(entry, events, SYSTEM)
    return new, too_open


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "events": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
