#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the report of a revocation or a rotation for the file of an incident."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_report
version_added: 0.1.0
short_description: Write the report of a revocation or a rotation for the file of an incident
description:
  - Writes two private files, as JSON and as Markdown. They contain who did what and when, each
    token by its fingerprint and each client by its id and fingerprint, the places where a token was
    found, its outcome and the answers of the API that prove it, and what is still unknown.
  - The files contain no secret and no e-mail address.
  - A report that exists is kept. The next one gets a number, such as C(incident-2.json).
  - The playbooks of this collection and the role P(nomba.auth.credential_rotation#role) write their
    reports with this module.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run writes another report.
  action_group:
    support: none
    membership: []
    details:
      - This module sends no request to the API and has none of the group's options.
options:
  path:
    description:
      - The path of the report without C(.json) and C(.md). Its folder is created, with mode
        C(0700).
      - Without it, no file is written, and the report is only returned.
    type: path
  revocations:
    description:
      - The results of M(nomba.auth.nomba_token_revoke), by host.
    type: dict
  rotation:
    description:
      - The report C(credential_rotation_report) of the role.
    type: dict
  incident:
    description:
      - The id of the incident.
    type: str
    default: ""
  actor:
    description:
      - Who revoked or rotated.
    type: str
    required: true
  control_host:
    description:
      - The host that sent the requests to the API.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Revoke the tokens in a log
  nomba.auth.nomba_token_revoke:
    sources: [/var/log/payments.log]
  register: revoked
  ignore_errors: true

- name: Write the report of the incident
  nomba.auth.nomba_report:
    path: /root/incident-42
    incident: INC-42
    actor: "{{ lookup('ansible.builtin.env', 'USER') }}"
    control_host: "{{ inventory_hostname }}"
    revocations: "{{ {inventory_hostname: revoked} }}"
"""

RETURN = r"""
paths:
  description: The files that were written, the JSON document first; empty without O(path).
  returned: success
  type: list
  elements: str
  sample: [/root/incident-42.json, /root/incident-42.md]
report:
  description: The document in the JSON file. C(docs/report.schema.json) is its schema.
  returned: success
  type: dict
events:
  description:
    - An event for each credential, for M(nomba.auth.nomba_audit). Without a credential, one event
      for the run.
  returned: success
  type: list
  elements: dict
error:
  description: Why the module failed. The code is for playbooks, RV(ignore:msg) is for users.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(not_written), a file could not be written completely.
        - V(locked), another run held the lock of the report for ten seconds.
        - V(invalid_option), an option's value cannot be used.
      type: str
      sample: not_written
"""

import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import write_new_files
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._incident_report import (
    Made,
    audit_events,
    texts,
)
from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    create_folder,
    open_entry,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Write the two files."""
    params = module.params
    time = str(show_time(SYSTEM.now()))
    made = Made(time, params["actor"], params["control_host"], params["incident"])
    text, shown = texts(params["rotation"], params["revocations"], made)
    contents = {".json": text.encode(), ".md": shown.encode()}
    document = json.loads(text)
    result = {"report": document, "events": audit_events(document)}
    if params["path"] is None:
        return {"changed": False, "paths": [], **result, "msg": "No file was written."}
    folder = params["path"].rpartition("/")[0] or "."
    if not module.check_mode:
        create_folder("path", folder)
    elif not os.path.isdir(folder):  # noqa: PTH112 -- pathlib is slow to import
        message = f"Check mode: a real run would create {folder}, and write a report there."
        return {"changed": True, "paths": [], **result, "msg": message}
    with open_entry("path", params["path"], follow_link=False) as entry:
        names = write_new_files(entry, contents, SYSTEM, module.check_mode)
    paths = [f"{folder}/{name}" for name in names]
    message = f"The report is in {' and '.join(paths)}."
    if module.check_mode:
        message = f"Check mode: a real run would write {' and '.join(paths)}."
    return {"changed": True, "paths": paths, **result, "msg": message}


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec={
            "path": {"type": "path"},
            "revocations": {"type": "dict"},
            "rotation": {"type": "dict"},
            "incident": {"type": "str", "default": ""},
            "actor": {"type": "str", "required": True},
            "control_host": {"type": "str", "required": True},
        },
        mutually_exclusive=[("revocations", "rotation")],
        required_one_of=[("revocations", "rotation")],
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
