#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that a host can revoke and rotate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_preflight
version_added: 0.1.0
short_description: Check that a host can revoke and rotate
description:
  - Checks the libraries, that the API answers this host, the clock, and the client. Each failed
    check names its remedy.
  - The API must refuse a token that was never issued. Only then a refusal proves a revocation.
  - With O(client_secret), a token of the client is issued, probed, revoked and proved dead. If
    Nomba allows one session for each client or account, this ends the session of an application.
    In check mode, no token is issued.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._attributes
  - nomba.auth._connection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - With O(client_secret), each run issues a token and revokes it.
options:
  client_secret:
    description:
      - The client secret. The environment variable E(NOMBA_CLIENT_SECRET) or E(NOMBA_PRIVATE_KEY)
        is used when this is not set. Without one, the client is not checked.
    type: str
  dest:
    description:
      - The private file in which the token is while it may be alive. Its folder is created. After a
        run that was killed, the next run revokes the token in it.
    type: path
    default: ~/.nomba/preflight.json
"""

EXAMPLES = r"""
- name: Check that this host can revoke and rotate
  nomba.auth.nomba_preflight:
    account_id: "{{ nomba_account_id }}"
    client_id: "{{ nomba_client_id }}"
    client_secret: "{{ nomba_client_secret }}"
"""

RETURN = r"""
checks:
  description: The result of each check.
  returned: when the options are valid
  type: list
  elements: dict
  contains:
    name:
      description: V(libraries), V(api), V(clock) or V(client).
      type: str
    ok:
      description: Whether the check succeeded.
      type: bool
    detail:
      description: What was found.
      type: str
    remedy:
      description: What to do if the check failed.
      type: str
lines:
  description: The verdict and a line for each check, the failed ones first.
  returned: when the options are valid
  type: list
  elements: str
error:
  description: Why the module failed. The code is for playbooks, RV(ignore:msg) is for users.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(preflight_failed), a check failed.
        - V(invalid_option), an option's value cannot be used.
      type: str
      sample: preflight_failed
"""

from contextlib import closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._connection_options import (
    connection,
    identity,
    spec,
)
from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._preflight import (
    check_api,
    check_client,
    render,
)
from ansible_collections.nomba.auth.plugins.module_utils._rotation_requests import RotationRequests
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import create_folder
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Make the checks."""
    params = module.params
    api = connection(params)
    owner = Owner(api.api_url, identity(params, "account_id"), identity(params, "client_id"))
    secret, dest = params["client_secret"], params["dest"]
    skipped = []
    with closing(HttpTransport(api, SYSTEM)) as transport:
        client = Client(transport, owner.account_id, owner.client_id)
        checks = check_api(client, SYSTEM)
        requests = RotationRequests(client, SYSTEM, transport.remaining, owner)
        if not secret:
            skipped.append("skipped client     client_secret is not set")
        elif module.check_mode:
            skipped.append("skipped client     check mode: no token is issued")
        elif all(one.ok for one in checks):
            create_folder("dest", dest.rpartition("/")[0])
            checks += check_client(lambda: requests.check_client(secret, dest))
    return {"changed": False, **render(checks, skipped)}


def main() -> None:
    """Run the module."""
    variables = ["NOMBA_CLIENT_SECRET", "NOMBA_PRIVATE_KEY"]
    module = NombaModule(
        argument_spec=spec(
            client_secret={"type": "str", "no_log": True, "fallback": (env_fallback, variables)},
            dest={"type": "path", "default": "~/.nomba/preflight.json"},
        ),
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
