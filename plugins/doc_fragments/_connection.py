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
      - Use the API that issued the token; another one refuses it, which proves nothing.
      - The environment variable E(NOMBA_BASE_URL) of the host that runs the module is used when
        this is not set.
    type: str
    default: https://api.nomba.com
  account_id:
    description:
      - The id of the B(parent) account, sent as the header C(accountId). The id of a sub-account
        is refused.
      - The environment variable E(NOMBA_ACCOUNT_ID) is used when this is not set. One of the two
        is needed.
    type: str
  client_id:
    description:
      - The client id that the token was issued for, from the dashboard's page on API keys.
      - The environment variable E(NOMBA_CLIENT_ID) is used when this is not set. One of the two
        is needed.
    type: str
  validate_certs:
    description:
      - Whether to check the API's TLS certificate. Leave this on outside of experiments, because
        whoever can
        read the connection can use the token.
    type: bool
    default: true
  ca_path:
    description:
      - A PEM file, or a folder of hashed PEM files, with the certificate authorities to trust.
      - Without it, those of the Python library requests are trusted, or the file that
        E(REQUESTS_CA_BUNDLE) names.
    type: path
  allow_http:
    description:
      - Whether O(api_url) may use plain HTTP to a host other than this one, which shows the
        tokens to the network.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that one attempt may take.
    type: float
    default: 10.0
  deadline:
    description:
      - Seconds that all requests of one module run may take together, with retries and waiting
        for rate limits.
      - The default outlives one window of a low-traffic account, which may send one POST a
        minute.
    type: float
    default: 120.0
requirements:
  - requests
  - PyJWT
notes:
  - Proxies are taken from the environment (E(HTTPS_PROXY), E(NO_PROXY)). Redirects are never
    followed and
    C(~/.netrc) is never read.
  - Nomba accepts calls to its production API only from addresses on its allow list, if the
    account has one. Run the
    module on such a host, with C(delegate_to).
"""
