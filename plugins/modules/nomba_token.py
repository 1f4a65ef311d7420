#!/usr/bin/python
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep a valid Nomba access token, in a file or for this run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nomba_token
short_description: Keep a valid Nomba access token
version_added: 0.1.0
description:
  - With O(dest), makes sure that a file holds a token that the API accepts and that can be used
    for O(min_remaining) more seconds. Otherwise the token is refreshed where the API accepts its
    refresh token, and issued anew where not.
  - The file is replaced in one step and is readable by its owner only. What is returned names the
    token by its fingerprint and does not hold it.
  - Without O(dest), issues a token and returns it. Set C(no_log) on such a task, because only
    ansible-core 2.22 and newer mask the token in what they print. Revoke the token when the work is
    done or has failed. See the examples.
  - Two runs on one O(dest) never issue twice. The second waits for the first and finds its token.
  - Issuing may end the session of a token that is in use. Nomba says that it may keep a single
    session for each client.
author:
  - The nomba.auth contributors (@nomba-auth)
extends_documentation_fragment:
  - nomba.auth._connection
  - nomba.auth._attributes
  - ansible.builtin.files
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written, and nothing is sent but the harmless read of O(probe).
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(dest), the second run changes nothing. Without it, every run issues a token.
options:
  client_secret:
    description:
      - The secret of O(client_id). Nomba's dashboard calls it private key. It is needed to issue,
        not to refresh.
      - The environment variables E(NOMBA_CLIENT_SECRET) and E(NOMBA_PRIVATE_KEY) of the host that
        runs the module are used when this is not set.
    type: str
  dest:
    description:
      - The file that keeps the token, a JSON document with RV(ignore:access_token),
        RV(ignore:refresh_token) and RV(ignore:expires_at). Its folder must exist, and is also
        where a lock file lies, named like the file with a dot before and C(.lock) behind.
      - A file that is something else is never overwritten.
      - It is a regular file. A link is followed only when it belongs to root or to the user who
        runs the module, and nobody else can exchange it.
      - No folder of its path may be one that others can write, except root, the user who runs the
        module and the owner of the file. That is O(owner) or, where this is not set, who owns the
        file now. So a folder of an application's user needs O(owner).
      - A file that root replaces keeps its owner and group where O(owner) and O(group) are not set.
    type: path
  min_remaining:
    description:
      - For how many more seconds the token in O(dest) must be usable. The earlier of its C(exp)
        and of the time that the API named counts.
    type: float
    default: 300.0
  probe:
    description:
      - Whether to ask the API, with a harmless read, if it still accepts the token in O(dest)
        before that token is kept. A token that it refuses, because somebody has revoked it, is
        replaced.
      - When the probe has no result, for example without a network, the token is kept with a
        warning.
      - Set V(false) to keep a token without any request.
    type: bool
    default: true
  force:
    description:
      - Whether to replace a token that is still good.
    type: bool
    default: false
  revoke_replaced:
    description:
      - Whether to revoke the token that was replaced in O(dest), and prove it, once the new one
        is written. Set this when the old token must not outlive its successor.
      - Until its death is proved, the replaced token stays in the file too, so that a run that was
        killed, or whose revoke failed, is finished by the next one.
    type: bool
    default: false
  mode:
    description:
      - The mode of O(dest), C(0600) or stricter. Others must never be able to read a token.
    type: raw
    default: '0600'
  unsafe_writes:
    description:
      - It has no effect. The file is always replaced in one step, and completely.
    type: bool
    default: false
  attributes:
    description:
      - The attributes of O(dest), as C(lsattr) shows them. C(a) and C(i) are refused, because a
        file that has them cannot be replaced.
    type: str
"""

EXAMPLES = r"""
- name: Keep a token for the payment service
  nomba.auth.nomba_token:
    account_id: "{{ nomba_account_id }}"
    client_id: "{{ nomba_client_id }}"
    client_secret: "{{ nomba_client_secret }}"
    dest: /etc/payments/nomba-token.json
    owner: payments
    group: payments

- name: Use a token in a pipeline, and be sure that it is gone at the end
  module_defaults:
    group/nomba.auth.nomba:
      account_id: "{{ nomba_account_id }}"
      client_id: "{{ nomba_client_id }}"
  block:
    - name: Get a token
      nomba.auth.nomba_token:
        client_secret: "{{ nomba_client_secret }}"
      register: nomba
      no_log: true

    - name: Do the work
      ansible.builtin.include_tasks: reconcile.yml
      vars:
        token: "{{ nomba.access_token }}"
  always:
    - name: Revoke the token, also when the work has failed
      nomba.auth.nomba_token_revoke:
        account_id: "{{ nomba_account_id }}"
        client_id: "{{ nomba_client_id }}"
        access_token: "{{ nomba.access_token }}"
        proof: required
      when: nomba.access_token is defined
"""

RETURN = r"""
fingerprint:
  description: What stands for the token.
  returned: success, outside of check mode, or when O(dest) holds a good token
  type: str
  sample: sha256:5a2a0e1b9c3d4f60
expires_at:
  description: Until when the token can be used, in UTC, when that is known.
  returned: like RV(fingerprint)
  type: str
  sample: "2026-01-13T17:38:20Z"
action:
  description: Where the token comes from, V(kept), V(refreshed) or V(issued).
  returned: success
  type: str
  sample: kept
access_token:
  description: The token.
  returned: success, without O(dest), outside of check mode
  type: str
replaced:
  description: What became of each token that was replaced, when O(revoke_replaced) is set.
  returned: success or failure, when a replaced token was to be revoked
  type: list
  elements: dict
  contains:
    fingerprint:
      description: What stands for the token.
      type: str
    outcome:
      description: As of M(nomba.auth.nomba_token_revoke).
      type: str
    verified:
      description: Whether the API was seen to refuse the token.
      type: bool
    reason:
      description: How the outcome came about.
      type: str
error:
  description: Why the module failed. Playbooks decide by the code, people read RV(ignore:msg).
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(unknown_client), V(forbidden), V(bad_request) or V(refused), the API issued no token.
        - V(no_clear_answer), nobody knows whether it did.
        - V(not_sent), the API could not be reached, so that nothing was sent.
        - V(wrong_account), the token is another account's, and was revoked again.
        - V(not_written), the file could not be written, and the token was revoked again.
        - V(not_retired), the new token is in place, but the replaced one is not proved dead.
        - V(locked), another run held the file until the deadline.
        - V(invalid_option), an option's value cannot be used.
        - V(library_missing), requests or PyJWT is not installed on the host.
      type: str
      sample: forbidden
"""

from contextlib import closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    SetAttributes,
    set_existing,
)
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._ensure_token import (
    EnsureResult,
    TokenKeeper,
    TokenRequirements,
)
from ansible_collections.nomba.auth.plugins.module_utils._issue import require
from ansible_collections.nomba.auth.plugins.module_utils._module import (
    NombaModule,
    connection,
    identity,
    mask_output,
    private_file,
    run,
    seconds,
    spec,
)
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import FileEntry
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import (
    Owner,
    StoredToken,
    keep,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import show_time
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Keep a token in a file, or return one."""
    params = module.params
    api = connection(params)
    owner = Owner(api.api_url, identity(params, "account_id"), identity(params, "client_id"))
    with closing(HttpTransport(api, SYSTEM)) as transport:
        client = Client(transport, owner.account_id, owner.client_id)
        keeper = TokenKeeper(client, SYSTEM, transport.remaining, params["client_secret"])
        if params["dest"] is None:
            return _return_token(module, keeper, owner)
        required = TokenRequirements(
            owner,
            min_remaining=seconds(params, "min_remaining", least=0),
            probe=params["probe"],
            force=params["force"],
            revoke_replaced=params["revoke_replaced"],
        )
        with private_file(module, "dest") as (entry, set_attributes):
            return _in_file(module, keeper, required, entry, set_attributes)


def _return_token(module: AnsibleModule, keeper: TokenKeeper, owner: Owner) -> dict[str, Any]:
    if module.check_mode:
        require(module.params["client_secret"])
        return {"changed": True, "action": "issued", "msg": "A token would be issued."}
    grant = keeper.issue(owner)
    mask_output([grant.access_token])
    described = _described(keep(owner, grant))
    return {
        **described,
        "changed": True,
        "action": "issued",
        "access_token": grant.access_token,
        "msg": f"{described['fingerprint']} was issued.",
    }


def _in_file(
    module: AnsibleModule,
    keeper: TokenKeeper,
    required: TokenRequirements,
    entry: FileEntry,
    set_attributes: SetAttributes,
) -> dict[str, Any]:
    if module.check_mode:
        return _check_mode(module, keeper, required, entry, set_attributes)
    done = keeper.ensure(entry, required, set_attributes)
    for warning in done.warnings:
        module.warn(warning)
    return _outcome(module, done)


def _check_mode(
    module: AnsibleModule,
    keeper: TokenKeeper,
    required: TokenRequirements,
    entry: FileEntry,
    set_attributes: SetAttributes,
) -> dict[str, Any]:
    """What a real run would do; nothing is written, and nothing is sent but a probe."""
    held, good = keeper.inspect(entry, required)
    if held is not None and good and required.probe:
        good, warnings = keeper.probe(held)
        for warning in warnings:
            module.warn(warning)
    if held is None or not good:
        action = "refreshed" if held and held.can_refresh(required.owner) else "issued"
        result: dict[str, Any] = {"changed": True, "action": action}
        diff = {"before": _line(held), "after": f"a token that is {action}\n"}
        return {**result, "msg": f"A token would be {action}.", **_diff(module, diff)}
    changed = set_existing(entry, set_attributes)
    changed = changed or bool(required.revoke_replaced and held.replaced)
    diff = {"before": _line(held), "after": _line(held)}
    result = {**_described(held), "changed": changed, "action": "kept", "msg": "The token is good."}
    return {**result, **_diff(module, diff)}


def _outcome(module: AnsibleModule, done: EnsureResult) -> dict[str, Any]:
    described = _described(done.kept)
    result: dict[str, Any] = {
        **described,
        "changed": done.changed,
        "action": done.action,
        "msg": f"{described['fingerprint']} was {done.action}.",
    }
    if done.retired:
        result["replaced"] = [
            {
                "fingerprint": retired.token.fingerprint,
                "outcome": retired.outcome.value,
                "verified": retired.verified,
                "reason": retired.reason,
            }
            for retired in done.retired
        ]
        alive = [retired for retired in done.retired if retired.outcome.failed]
        if alive:
            worst = alive[0]
            mark = worst.token.fingerprint
            result["msg"] += f" {mark}, which it replaced, is not proved dead: {worst.reason}."
            result["error"] = {"code": "not_retired"}
    return {**result, **_diff(module, {"before": _line(done.before), "after": _line(done.kept)})}


def _diff(module: AnsibleModule, diff: dict[str, str]) -> dict[str, Any]:
    return {"diff": diff} if module._diff else {}


def _described(kept: StoredToken) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint(kept.access_token),
        "expires_at": show_time(kept.usable_until()),
    }


def _line(kept: StoredToken | None) -> str:
    return "" if kept is None else "{fingerprint} until {expires_at}\n".format(**_described(kept))


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
