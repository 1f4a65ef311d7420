# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script with asyncio and aiohttp: probe, revoke, probe; close to the maximum rate."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp


async def status(session: aiohttp.ClientSession, token: str) -> int:
    """Probe a token; return the HTTP status."""
    bearer = {"Authorization": f"Bearer {token}"}
    async with session.get("/v1/accounts/balance", headers=bearer) as response:
        await response.read()
        return response.status


async def revoke(session: aiohttp.ClientSession, client_id: str, token: str) -> bool:
    """Revoke a token; return whether it was valid before and is rejected now."""
    before = await status(session, token)
    body = {"clientId": client_id, "access_token": token}
    async with session.post("/v1/auth/token/revoke", json=body) as response:
        code = (await response.json())["code"]
    return (before, code, await status(session, token)) == (200, "00", 401)


async def revoke_all(job: dict[str, Any]) -> list[bool]:
    """Revoke all tokens concurrently."""
    tls = ssl.create_default_context(cafile=job["ca_path"])
    connector = aiohttp.TCPConnector(limit=job["concurrency"], ssl=tls)
    headers = {"accountId": job["account_id"]}
    async with aiohttp.ClientSession(
        job["api_url"], connector=connector, headers=headers
    ) as session:
        pending = iter(job["tokens"])
        workers = (_worker(session, job["client_id"], pending) for __ in range(job["concurrency"]))
        return [verified for part in await asyncio.gather(*workers) for verified in part]


async def _worker(
    session: aiohttp.ClientSession, client_id: str, pending: Iterator[str]
) -> list[bool]:
    return [await revoke(session, client_id, token) for token in pending]


def main() -> int:
    """Revoke the tokens of a job file."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    verified = asyncio.run(revoke_all(job))
    print(f"{verified.count(True)} of {len(verified)} verified as revoked")
    return 0 if all(verified) else 1


if __name__ == "__main__":
    sys.exit(main())
