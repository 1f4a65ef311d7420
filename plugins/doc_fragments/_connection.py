# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_url:
    description:
      - Scheme and host of the Nomba API, without a path.
      - Use the API that issued the token. Another API refuses the token, which proves nothing.
      - The environment variable E(NOMBA_BASE_URL) of the host that runs the module is used when
        this is not set.
    type: str
    default: https://api.nomba.com
  account_id:
    description:
      - The id of the B(parent) account, sent as the header C(accountId). The id of a sub-account
        is refused.
      - The environment variable E(NOMBA_ACCOUNT_ID) is used when this is not set. One of the two
        is required.
    type: str
  client_id:
    description:
      - The client id that the token was issued for, from the dashboard's page on API keys.
      - The environment variable E(NOMBA_CLIENT_ID) is used when this is not set. One of the two
        is required.
    type: str
  validate_certs:
    description:
      - Whether to verify the API's TLS certificate. Set V(false) only for experiments, because
        anyone who can read the connection can use the token.
    type: bool
    default: true
  ca_path:
    description:
      - A PEM file, or a folder of hashed PEM files, with the certificate authorities to trust.
      - If this is not set, the certificate authorities of the Python library requests are
        trusted, or those in the file of the environment variable E(REQUESTS_CA_BUNDLE).
    type: path
  allow_http:
    description:
      - Whether O(api_url) may use plain HTTP to another host, which exposes the tokens to the
        network.
    type: bool
    default: false
  timeout:
    description:
      - The maximum time of one attempt in seconds.
    type: float
    default: 10.0
  deadline:
    description:
      - The maximum time of all requests of one run in seconds, with retries and waits for rate
        limits.
      - The default is longer than one window of a low-traffic account, which may send one POST
        per minute.
    type: float
    default: 120.0
requirements:
  - requests
  - PyJWT
notes:
  - The environment variables E(HTTPS_PROXY) and E(NO_PROXY) set the proxy. Redirects are never
    followed, and C(~/.netrc) is never read.
  - If the account has an allow list of addresses, Nomba's production API accepts requests only
    from these. Run the module on such a host with C(delegate_to).
"""
