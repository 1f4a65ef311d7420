# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens built byte by byte, without the library that reads them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

ACCOUNT = "8fac83ac-76b0-435f-aa35-8d957dd927dd"
OTHER_ACCOUNT = "0e0e0e0e-4444-4444-8444-dddddddddddd"

# The example in Nomba's documentation of the revoke endpoint; it expired in April 2023.
SEED = (
    "eyJhbGciOiJIUzI1NiJ9."
    "eyJHOjhmYWM4M2FjLTc2YjAtNDM1Zi1hYTM1LThkOTU3ZGQ5MjdkZCI6Ikc6OGZhYzgzYWMtNzZiMC00MzVmLWFhMz"
    "UtOGQ5NTdkZDkyN2RkIiwiUjpURUFNU19PV05FUiI6IlI6VEVBTVNfT1dORVIiLCJFbWFpbDp2aWN0b3JzaG9hZ2FA"
    "Z21haWwuY29tIjoiRW1haWw6dmljdG9yc2hvYWdhQGdtYWlsLmNvbSIsImlhdCI6MTY4MTkxODU3OSwic3ViIjoiNW"
    "UyNmNmYjAtNTI5Zi00MTdiLWI4ZDItYWJjNDcxZjRjOWRiIiwiZXhwIjoxNjgxOTIyMTc5fQ."
    "lQOsyhR1gajKdzE9IHQEtxhQyUrArctEDZiP9pWVTFY"
)
SEED_ISSUED, SEED_EXPIRES = 1_681_918_579, 1_681_922_179


def claims(account: str = ACCOUNT, **more: Any) -> dict[str, Any]:
    """Return claims as in a token of Nomba."""
    return {f"G:{account}": f"G:{account}", "R:TEAMS_OWNER": "R:TEAMS_OWNER", **more}


def token(account: str = ACCOUNT, **more: Any) -> str:
    """Return a token of an account, with additional claims."""
    return jwt(json.dumps(claims(account, **more), separators=(",", ":")).encode())


def jwt(payload: bytes, header: bytes = b'{"alg":"HS256"}', signature: bytes = b"") -> str:
    """Return any JWT; without a signature argument it is signed with HS256."""
    signed = f"{base64url(header)}.{base64url(payload)}"
    mac = hmac.new(b"a test key", signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64url(signature or mac)}"


def rs256(payload: bytes = b'{"iss":"https://login.example","sub":"someone"}') -> str:
    """Return a JWT of another service: 256 bytes of signature, no account."""
    return jwt(payload, b'{"alg":"RS256","kid":"k1","typ":"JWT"}', b"\xff" * 256)


def signed(alg: object, length: int, payload: bytes | None = None) -> str:
    """Return a token of an account with any `alg` and a signature of this length in bytes."""
    body = json.dumps(claims(), separators=(",", ":")).encode() if payload is None else payload
    header = json.dumps({"alg": alg}, separators=(",", ":")).encode()
    return jwt(body, header, hashlib.shake_128(header).digest(length))


def base64url(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
