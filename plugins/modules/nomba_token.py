#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ensure a valid Nomba access token in a file, or issue one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_token
short_description: Ensure a valid Nomba access token in a file, or issue one
version_added: 0.1.0
description:
  - With O(dest), ensures that a file contains a token that the API accepts and that is valid for
    at least O(min_remaining) more seconds. If it does not, the token is refreshed, or issued if
    the API rejects its refresh token.
  - The file is replaced atomically and only its owner can read it. The result contains the
    fingerprint of the token, not the token.
  - Without O(dest), issues a token and returns it. Set C(no_log) on such a task, because only
    ansible-core 2.22 and newer mask the token in their output. Revoke the token at the end, also
    after a failure. See the examples.
  - Two concurrent runs with the same O(dest) issue one token. The second run waits for the first
    one and uses its token.
  - Issuing may end the session of a token that is in use. Nomba documents that it may allow a
    single session for each client.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._connection
  - nomba.auth._private_file
  - nomba.auth._attributes
  - ansible.builtin.files
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written, and no request is sent except the read-only one of O(probe).
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(dest), the second run changes nothing. Without it, every run issues a token.
options:
  client_secret:
    description:
      - The secret of O(client_id). Nomba's dashboard calls it private key. Issuing requires it,
        refreshing does not.
      - The environment variables E(NOMBA_CLIENT_SECRET) and E(NOMBA_PRIVATE_KEY) of the host that
        runs the module are used when this is not set.
    type: str
  dest:
    description:
      - The file that stores the token, a JSON document with RV(ignore:access_token),
        RV(ignore:refresh_token) and RV(ignore:expires_at). Its folder must exist. It also contains
        the lock file, with the name of the file between a dot and C(.lock).
      - A file with any other content is never overwritten.
    type: path
  min_remaining:
    description:
      - The number of seconds that the token in O(dest) must still be valid. The earlier of its
        C(exp) and of the expiry in the API's answer counts.
    type: float
    default: 300.0
  probe:
    description:
      - Whether to probe the token in O(dest) with a read-only request before it is kept. A token
        that the API refuses, for example because it was revoked, is replaced.
      - If the probe is inconclusive, for example without a network, the token is kept with a
        warning.
      - Set V(false) to keep a token without any request.
    type: bool
    default: true
  force:
    description:
      - Whether to replace a token that is still valid.
    type: bool
    default: false
  revoke_replaced:
    description:
      - Whether to revoke the replaced token, and prove it, after the new token is written to
        O(dest). Set this if the old token must not be valid any longer.
      - The replaced token stays in the file until it is proved dead, so that the next run finishes
        a run that was killed or whose revoke failed.
    type: bool
    default: false
  mode:
    description:
      - The mode of O(dest), C(0600) or stricter. Other users must never be able to read a token.
    type: raw
    default: '0600'
"""

EXAMPLES = r"""
- name: Ensure a token for the payment service
  nomba.auth.nomba_token:
    account_id: "{{ nomba_account_id }}"
    client_id: "{{ nomba_client_id }}"
    client_secret: "{{ nomba_client_secret }}"
    dest: /etc/payments/nomba-token.json
    owner: payments
    group: payments

- name: Use a token in a pipeline, and revoke it at the end
  module_defaults:
    group/nomba.auth.nomba:
      account_id: "{{ nomba_account_id }}"
      client_id: "{{ nomba_client_id }}"
  block:
    - name: Issue a token
      nomba.auth.nomba_token:
        client_secret: "{{ nomba_client_secret }}"
      register: nomba
      no_log: true

    - name: Use the token
      ansible.builtin.include_tasks: reconcile.yml
      vars:
        token: "{{ nomba.access_token }}"
  always:
    - name: Revoke the token, also after a failure
      nomba.auth.nomba_token_revoke:
        account_id: "{{ nomba_account_id }}"
        client_id: "{{ nomba_client_id }}"
        access_token: "{{ nomba.access_token }}"
        proof: required
      when: nomba.access_token is defined
"""

RETURN = r"""
fingerprint:
  description: The fingerprint of the token.
  returned: success, outside of check mode, or when O(dest) contains a valid token
  type: str
  sample: sha256:5a2a0e1b9c3d4f60
expires_at:
  description: When the token expires, in UTC, if this is known.
  returned: like RV(fingerprint)
  type: str
  sample: "2026-01-13T17:38:20Z"
action:
  description: How the token was obtained, V(kept), V(refreshed) or V(issued).
  returned: success
  type: str
  sample: kept
access_token:
  description: The token.
  returned: success, without O(dest), outside of check mode
  type: str
replaced:
  description: The outcome for each replaced token, when O(revoke_replaced) is set.
  returned: success or failure, when a replaced token was to be revoked
  type: list
  elements: dict
  contains:
    fingerprint:
      description: The fingerprint of the token.
      type: str
    outcome:
      description: The outcome, as of M(nomba.auth.nomba_token_revoke).
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
        - V(not_retired), the new token is in the file, but the replaced one is not proved dead.
        - V(locked), another run held the file's lock until the deadline.
        - V(invalid_option), an option's value cannot be used.
        - V(library_missing), requests or PyJWT is not installed on the host.
      type: str
      sample: forbidden
"""

from contextlib import closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._connection_options import (
    connection,
    identity,
    seconds,
    spec,
)
from ansible_collections.nomba.auth.plugins.module_utils._ensure_token import (
    EnsureResult,
    TokenKeeper,
    TokenRequirements,
)
from ansible_collections.nomba.auth.plugins.module_utils._file_options import private_file
from ansible_collections.nomba.auth.plugins.module_utils._module import (
    NombaModule,
    mask_output,
    run,
)
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Ensure a valid token in a file, or issue one and return it."""
    params = module.params
    api = connection(params)
    owner = Owner(api.api_url, identity(params, "account_id"), identity(params, "client_id"))
    with closing(HttpTransport(api, SYSTEM)) as transport:
        client = Client(transport, owner.account_id, owner.client_id)
        keeper = TokenKeeper(client, SYSTEM, transport.remaining, params["client_secret"])
        if params["dest"] is None:
            result = _return_token(module, keeper, owner)
        else:
            result = _ensure_file(module, keeper, owner)
    for warning in result.warnings:
        module.warn(warning)
    diff = {"diff": result.diff} if module._diff and result.diff else {}
    return {**result.values, **diff}


def _return_token(module: AnsibleModule, keeper: TokenKeeper, owner: Owner) -> EnsureResult:
    if module.check_mode:
        return keeper.issue_check_mode()
    result = keeper.issue(owner)
    mask_output([result.values["access_token"]])
    return result


def _ensure_file(module: AnsibleModule, keeper: TokenKeeper, owner: Owner) -> EnsureResult:
    params = module.params
    required = TokenRequirements(
        owner,
        min_remaining=seconds(params, "min_remaining", least=0),
        probe=params["probe"],
        force=params["force"],
        revoke_replaced=params["revoke_replaced"],
    )
    ensure = keeper.ensure_check_mode if module.check_mode else keeper.ensure
    with private_file(module, "dest") as (entry, set_attributes):
        return ensure(entry, required, set_attributes)


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec=spec(
            client_secret={
                "type": "str",
                "no_log": True,
                "fallback": (env_fallback, ["NOMBA_CLIENT_SECRET", "NOMBA_PRIVATE_KEY"]),
            },
            dest={"type": "path"},
            min_remaining={"type": "float", "default": 300.0},
            probe={"type": "bool", "default": True},
            force={"type": "bool", "default": False},
            revoke_replaced={"type": "bool", "default": False},
            mode={"type": "raw", "default": "0600"},
        ),
        add_file_common_args=True,
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
