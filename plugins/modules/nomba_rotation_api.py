#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send the requests of a rotation from the control host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_rotation_api
short_description: Send the requests of a rotation to the API
version_added: 0.1.0
description:
  - A part of the role P(nomba.auth.credential_rotation#role), which runs it on the control host. It
    is not for playbooks, because its result contains tokens. Use M(nomba.auth.nomba_token),
    M(nomba.auth.nomba_token_info) and M(nomba.auth.nomba_token_revoke) there.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._connection
  - nomba.auth._attributes
attributes:
  check_mode:
    support: partial
    details:
      - Only the O(request=probe) sends requests in check mode.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - An issued token that is in its file is returned again.
options:
  request:
    description:
      - V(issue) issues a token into the file O(dest), or keeps the one that is there, and probes it
        and the O(tokens).
      - V(probe) probes the O(tokens). V(revoke) revokes them, and proves it.
      - V(check_client) issues a token into the file O(dest), probes it, revokes it, proves that,
        and removes the file. A token that a killed run has left in the file is revoked first.
    type: str
    choices:
      - issue
      - probe
      - revoke
      - check_client
    required: true
  tokens:
    description:
      - Access tokens.
    type: list
    elements: str
    default: []
  issued_until:
    description:
      - With O(request=revoke), ignore tokens whose C(iat) is later, in seconds since the epoch.
    type: float
  client_secret:
    description:
      - The secret of O(client_id), for O(request=issue) and O(request=check_client).
    type: str
  dest:
    description:
      - The private file of the issued token, for O(request=issue) and O(request=check_client).
    type: path
"""

EXAMPLES = r"""
- name: Probe the current token of a rotation
  nomba.auth.nomba_rotation_api:
    account_id: "{{ nomba_account_id }}"
    client_id: "{{ nomba_client_id }}"
    request: probe
    tokens:
      - "{{ current_token }}"
  no_log: true
"""

RETURN = r"""
issued:
  description:
    - The content of O(dest) in base64, because Ansible would mask the O(tokens) in it.
  returned: success, for O(request=issue)
  type: str
probes:
  description:
    - The result of the probe of each token by fingerprint, V(accepted), V(refused),
      V(inconclusive) or V(meaningless), see M(nomba.auth.nomba_token_info).
  returned: success, for all requests but O(request=revoke)
  type: dict
issued_at:
  description: The C(iat) of the token, in seconds since the epoch. Null if it has none.
  returned: success, for O(request=check_client)
  type: float
lifetime:
  description: The seconds between the C(iat) and the C(exp) of the token; 0 if they are missing.
  returned: success, for O(request=check_client)
  type: float
results:
  description: The outcome for each token, see M(nomba.auth.nomba_token_revoke).
  returned: success, for O(request=revoke) and O(request=check_client)
  type: list
  elements: dict
  contains:
    fingerprint:
      description: The fingerprint of the token.
      type: str
    outcome:
      description: The outcome.
      type: str
    verified:
      description: Whether a probe proved that the API refuses the token.
      type: bool
    reason:
      description: The reason for the outcome.
      type: str
    evidence:
      description: The answers of the API that decided, see M(nomba.auth.nomba_token_revoke).
      type: list
      elements: dict
error:
  description: Why the module failed. The code is for playbooks, RV(ignore:msg) is for users.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(unknown_client), V(forbidden), V(bad_request) or V(refused), the API issued no token.
        - V(no_clear_answer), it is unknown whether the API issued a token.
        - V(not_sent), the API is unreachable, so nothing was sent.
        - V(wrong_account), the API issued the token for another account; it was revoked again.
        - V(not_written), the file could not be written; the new token was revoked again.
        - V(not_retired), the new token is in the file, but a replaced one is not proved dead.
        - V(locked), another run held the file's lock until the deadline.
        - V(invalid_option), an option's value cannot be used.
        - V(library_missing), requests or PyJWT is not installed on the host.
      type: str
      sample: forbidden
"""

from contextlib import closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._connection_options import (
    connection,
    identity,
    spec,
)
from ansible_collections.nomba.auth.plugins.module_utils._module import NombaModule, run
from ansible_collections.nomba.auth.plugins.module_utils._rotation_requests import RotationRequests
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Send the requests."""
    params = module.params
    if module.check_mode and params["request"] != "probe":
        return {"changed": True}
    api = connection(params)
    owner = Owner(api.api_url, identity(params, "account_id"), identity(params, "client_id"))
    with closing(HttpTransport(api, SYSTEM)) as transport:
        client = Client(transport, owner.account_id, owner.client_id)
        requests = RotationRequests(client, SYSTEM, transport.remaining, owner)
        if params["request"] == "probe":
            return requests.probe(params["tokens"])
        if params["request"] == "revoke":
            return requests.revoke(params["tokens"], params["issued_until"])
        if params["request"] == "issue":
            return requests.issue(params["client_secret"], params["dest"], params["tokens"])
        return requests.check_client(params["client_secret"], params["dest"])


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec=spec(
            request={
                "type": "str",
                "choices": ["issue", "probe", "revoke", "check_client"],
                "required": True,
            },
            tokens={"type": "list", "elements": "str", "default": [], "no_log": True},
            issued_until={"type": "float"},
            client_secret={"type": "str", "no_log": True},
            dest={"type": "path"},
        ),
        required_if=[("request", "issue", ["dest"]), ("request", "check_client", ["dest"])],
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
