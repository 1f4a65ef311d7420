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

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    make_private,
    read_file,
)
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._ensure_token import (
    TokenKeeper,
    TokenRequirements,
    outcome_row,
)
from ansible_collections.nomba.auth.plugins.module_utils._module import (
    NombaModule,
    connection,
    identity,
    run,
    spec,
)
from ansible_collections.nomba.auth.plugins.module_utils._probe import probe_until_accepted
from ansible_collections.nomba.auth.plugins.module_utils._revocation import (
    Policy,
    Proof,
    Revocation,
)
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    FileEntry,
    open_entry,
)
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner, load
from ansible_collections.nomba.auth.plugins.module_utils._token import Token, read
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport

# A token that expires within these seconds is not published.
_MIN_REMAINING = 300.0


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Send the requests."""
    params = module.params
    if module.check_mode and params["request"] != "probe":
        return {"changed": True}
    api = connection(params)
    owner = Owner(api.api_url, identity(params, "account_id"), identity(params, "client_id"))
    with closing(HttpTransport(api, SYSTEM)) as transport:
        return _REQUESTS[params["request"]](_Api(params, owner, transport))


class _Api:
    """The options, and the client that sends the requests."""

    def __init__(self, params: dict[str, Any], owner: Owner, transport: HttpTransport) -> None:
        self.params = params
        self.owner = owner
        self.tokens = list(params["tokens"])
        self.client = Client(transport, owner.account_id, owner.client_id)
        self.remaining = transport.remaining

    def probes(self, tokens: Sequence[str]) -> dict[str, str]:
        """Probe tokens, the first one until the API accepts it."""
        found = [read(text) for text in tokens]
        statuses = probe_until_accepted(found, self.client, SYSTEM)
        return {token.fingerprint: one.probe for token, one in zip(found, statuses)}

    def issue(self, required: TokenRequirements) -> tuple[dict[str, Any], bytes]:
        """Issue a token into the file; return the result, and the content of the file."""
        keeper = TokenKeeper(self.client, SYSTEM, self.remaining, self.params["client_secret"])
        with self._file() as entry:
            done = dict(keeper.ensure(entry, required, make_private).values)
            return done, read_file(entry) or b""

    def stored(self) -> list[Token]:
        """Return the tokens in the file."""
        with self._file() as entry:
            found = load(read_file(entry) or b"")
        return [read(one) for one in (found.access_token, *found.replaced)] if found else []

    def remove(self) -> None:
        """Remove the file, if it exists."""
        with suppress(FileNotFoundError):
            os.unlink(self.params["dest"])  # noqa: PTH108 -- pathlib is slow to import

    def revoke(self, tokens: Sequence[Token]) -> dict[str, Any]:
        """Revoke tokens, also those whose exp is past: the clock may be wrong."""
        policy = Policy(self.owner.account_id, skip_expired=False, proof=Proof.REQUIRED)
        done = Revocation(self.client, SYSTEM, self.remaining, policy).run(tokens)
        rows = [outcome_row(result) for result in done.results]
        return {"changed": any(one.outcome.changed for one in done.results), "results": rows}

    @contextmanager
    def _file(self) -> Iterator[FileEntry]:
        with open_entry("dest", self.params["dest"], follow_link=True) as found:
            yield found.owned_by(os.geteuid())


def _issue(api: _Api) -> dict[str, Any]:
    done, content = api.issue(TokenRequirements(api.owner, _MIN_REMAINING, revoke_replaced=True))
    if "error" in done:
        return done
    stored = load(content)
    new = [stored.access_token] if stored else []
    issued = base64.b64encode(content).decode()
    return {"changed": done["changed"], "issued": issued, "probes": api.probes(new + api.tokens)}


def _probe(api: _Api) -> dict[str, Any]:
    return {"changed": False, "probes": api.probes(api.tokens)}


def _revoke(api: _Api) -> dict[str, Any]:
    limit = api.params["issued_until"]
    found = [read(text) for text in api.tokens]
    return api.revoke([one for one in found if limit is None or (one.issued_at or 0) <= limit])


def _check_client(api: _Api) -> dict[str, Any]:
    """Issue a token and revoke it. While it may be alive, it is in its file."""
    left = api.stored()
    retired = api.revoke(left) if left else {"results": []}
    if not all(row["verified"] for row in retired["results"]):
        return {**retired, "probes": {}, "issued_at": None, "lifetime": 0.0}
    api.remove()
    done, content = api.issue(TokenRequirements(api.owner, 0.0, force=True))
    stored = load(content)
    if "error" in done or stored is None:
        return done
    token = read(stored.access_token)
    probes = api.probes([token.text])
    revoked = api.revoke([token])
    if all(row["verified"] for row in revoked["results"]):
        api.remove()
    lifetime = (token.expires_at or 0.0) - (token.issued_at or 0.0)
    times = {"issued_at": token.issued_at, "lifetime": max(lifetime, 0.0)}
    return {**revoked, "probes": probes, **times}


_REQUESTS: dict[str, Callable[[_Api], dict[str, Any]]] = {
    "issue": _issue,
    "probe": _probe,
    "revoke": _revoke,
    "check_client": _check_client,
}


def main() -> None:
    """Run the module."""
    module = NombaModule(
        argument_spec=spec(
            request={"type": "str", "choices": list(_REQUESTS), "required": True},
            tokens={"type": "list", "elements": "str", "default": [], "no_log": True},
            client_secret={"type": "str", "no_log": True},
            dest={"type": "path"},
            issued_until={"type": "float"},
        ),
        required_if=[("request", "issue", ["dest"]), ("request", "check_client", ["dest"])],
        supports_check_mode=True,
    )
    run(module, run_module)


if __name__ == "__main__":
    main()
