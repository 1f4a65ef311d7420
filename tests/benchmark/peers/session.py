# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script with requests.Session: probe, revoke, probe; the library of the collection."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

_TIMEOUT = 30


class Script:
    """A simple revocation script with requests."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.local = threading.local()

    def session(self) -> requests.Session:
        """Return the session of this thread."""
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
            self.local.session.headers["accountId"] = self.job["account_id"]
        session: requests.Session = self.local.session
        return session

    def status(self, token: str) -> int:
        """Probe a token; return the HTTP status."""
        url = f"{self.job['api_url']}/v1/accounts/balance"
        bearer = {"Authorization": f"Bearer {token}"}
        return self.send("GET", url, headers=bearer).status_code

    def send(self, method: str, url: str, **more: Any) -> requests.Response:
        """Send a request. A CA in the environment would override that of the session."""
        ca_path = self.job["ca_path"]
        return self.session().request(method, url, verify=ca_path, timeout=_TIMEOUT, **more)

    def revoke(self, token: str) -> bool:
        """Revoke a token; return whether it was valid before and is rejected now."""
        url = f"{self.job['api_url']}/v1/auth/token/revoke"
        body = {"clientId": self.job["client_id"], "access_token": token}
        before = self.status(token)
        code = self.send("POST", url, json=body).json()["code"]
        return (before, code, self.status(token)) == (200, "00", 401)


def main() -> int:
    """Revoke the tokens of a job file."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with ThreadPoolExecutor(job["concurrency"]) as pool:
        verified = list(pool.map(Script(job).revoke, job["tokens"]))
    print(f"{verified.count(True)} of {len(verified)} verified as revoked")
    return 0 if all(verified) else 1


if __name__ == "__main__":
    sys.exit(main())
