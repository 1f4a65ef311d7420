# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script with asyncio and aiohttp: probe, revoke, probe. Near to what the wire allows."""

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
    """The status of a harmless call with the token."""
    bearer = {"Authorization": f"Bearer {token}"}
    async with session.get("/v1/accounts/balance", headers=bearer) as answer:
        await answer.read()
        return answer.status


async def revoke(session: aiohttp.ClientSession, client_id: str, token: str) -> bool:
    """Whether the token was alive, was revoked, and is dead now."""
    before = await status(session, token)
    body = {"clientId": client_id, "access_token": token}
    async with session.post("/v1/auth/token/revoke", json=body) as answer:
        code = (await answer.json())["code"]
    return (before, code, await status(session, token)) == (200, "00", 401)


async def work(job: dict[str, Any]) -> list[bool]:
    """Revoke all tokens, so many at a time."""
    trust = ssl.create_default_context(cafile=job["ca_path"])
    connector = aiohttp.TCPConnector(limit=job["concurrency"], ssl=trust)
    headers = {"accountId": job["account_id"]}
    async with aiohttp.ClientSession(
        job["api_url"], connector=connector, headers=headers
    ) as session:
        waiting = iter(job["tokens"])
        workers = (_worker(session, job["client_id"], waiting) for __ in range(job["concurrency"]))
        return [proved for part in await asyncio.gather(*workers) for proved in part]


async def _worker(
    session: aiohttp.ClientSession, client_id: str, waiting: Iterator[str]
) -> list[bool]:
    return [await revoke(session, client_id, token) for token in waiting]


def main() -> int:
    """Revoke the tokens of a job file."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    proved = asyncio.run(work(job))
    print(f"{proved.count(True)} of {len(proved)} proved dead")
    return 0 if all(proved) else 1


if __name__ == "__main__":
    sys.exit(main())
