# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create tokens, pure: HS256 JWTs and refresh tokens in the recorded formats."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping

from .settings import ApiClient

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def fingerprint(token: str) -> str:
    """Return the fingerprint of a token."""
    return "sha256:" + hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()[:16]


def looks_like_jwt(token: str) -> bool:
    """Return whether the token has exactly two periods, the first check of the API's parser."""
    return token.count(".") == 2


def claims(client: ApiClient, issued: int, expires: int, suffix: str) -> dict[str, object]:
    """Return the claims of a token. The value of a claim with a prefix equals its name."""
    group = f"G:{client.account_id}"
    role = "R:VENDOR_API_ADMIN"
    user = f"E:sandbox.{suffix}@vendor_api.com"
    subject = str(uuid.uuid5(uuid.NAMESPACE_OID, client.client_id))
    return {group: group, role: role, user: user, "sub": subject, "iat": issued, "exp": expires}


def sign(payload: Mapping[str, object], key: bytes) -> str:
    """Return a JWT whose header contains only `alg`, as in the API."""
    parts = [_base64url(_json({"alg": "HS256"})), _base64url(_json(payload))]
    signed = ".".join(parts)
    return f"{signed}.{_base64url(hmac.digest(key, signed.encode(), 'sha256'))}"


def refresh_token(now: float, entropy: bytes) -> str:
    """Return a lower-case ULID followed by the thirteen digits of its millisecond."""
    milliseconds = int(now * 1000)
    number = (milliseconds << 80) | int.from_bytes(entropy[:10], "big")
    letters = (_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
    return "".join(letters) + f"{milliseconds:013d}"


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
