#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module that appends events to an audit record."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_audit
version_added: 0.1.0
short_description: Append events to an audit record, each once
description:
  - Appends events to a file of JSON lines, for its owner alone, and returns when they are on the
    disk. What is in the file is never changed. A file that others could read is closed to them.
  - When the disk is full, the file is cut back to what it held before. Where the system forbids
    that, and after a run that was killed, the next run ends the line that was cut short.
  - The file is locked meanwhile. When another process holds its lock for ten seconds, the module
    fails with RV(error.code=not_written).
  - An event that the file holds already is not appended again, so that a run that was killed can
    be run again. Events are result apart by their C(id), in the last 4 MiB of the file.
  - The role P(nomba.auth.credential_rotation#role) keeps its audit record with it.
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
      - It does not speak to the API, and has none of the group's options.
options:
  path:
    description:
      - The file. Its folder must exist.
      - It is a regular file of root or of the user who runs the module. Nothing is written through
        a link in its place, nor through a link of another user in the place of one of its folders.
    type: path
    required: true
  events:
    description:
      - The events, each a dictionary with an C(id). They must not hold a secret, they are shown in
        a diff.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Note who has approved
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
  description: Why the module failed. Playbooks decide by the code, people read RV(ignore:msg).
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(not_written), the events may be there in part; run it again.
        - V(invalid_option), an option's value cannot be used.
      type: str
      sample: not_written
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._audit import (
    append,
    lines,
    missing,
    read_record,
)
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import open_entry


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Append what is missing."""
    events = module.params["events"]
    if not all(isinstance(event.get("id"), str) and event["id"] for event in events):
        raise InvalidOption("events", "each needs an id, a text, so that none is written twice")
    with open_entry("path", module.params["path"], follow_link=False) as entry:
        record, too_open = read_record(entry)
        new = missing(record, events)
        if (new or too_open) and not module.check_mode:
            append(entry, events, SYSTEM)
    result: dict[str, Any] = {
        "changed": bool(new) or too_open,
        "appended": len(new),
        "msg": f"{len(new)} of {len(events)} event(s) were not in the record yet."
        + " Others could read the record." * too_open,
    }
    if module._diff:
        result["diff"] = {"before": "", "after": lines(new).decode()}
    return result


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
