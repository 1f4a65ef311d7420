# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.testbed.client_consumer: a service that issues its own tokens.

It reads a client from its .env file, caches its token in Redis or in a file, and refreshes it
before it expires.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.simulator.tokens import fingerprint

from .consumer import SIGNALS, Consumer, Statistics, parse_env
from .folder import write_private

KEY = "nomba:access_token"
CACHE = "cache.json"
# A token is refreshed when this part of its lifetime is left.
_REFRESH_AT = 0.5
_TIMEOUT_SECONDS = 5.0


@dataclass
class ClientStatistics(Statistics):
    """client: the fingerprint of the secret in use. issued: tokens issued, by this process."""

    client: str | None = None
    issued: int = 0
    # Whether the token in use was issued with the client in use, by any process.
    is_token_of_client: bool = False


class RedisError(OSError):
    """Redis returned an error, or closed the connection."""


class Redis:
    """A client of Redis for three commands, over the protocol RESP."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS)
        self._answers = self._connection.makefile("rb")

    def get(self, key: str) -> str | None:
        """Return the value of a key; None if there is none."""
        return self._send("GET", key)

    def set(self, key: str, value: str, seconds: float) -> None:
        """Set a key that expires."""
        self._send("SET", key, value, "PX", str(max(1, int(seconds * 1000))))

    def flush(self) -> None:
        """Remove all keys."""
        self._send("FLUSHALL")

    def close(self) -> None:
        """Close the connection."""
        self._answers.close()
        self._connection.close()

    def _send(self, *words: str) -> str | None:
        parts = [word.encode() for word in words]
        lines = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._connection.sendall(b"*%d\r\n%s" % (len(parts), lines))
        kind, rest = self._line()
        if kind == "-":
            raise RedisError(rest)
        if kind != "$":
            return rest
        size = int(rest)
        return None if size < 0 else self._answers.read(size + 2)[:-2].decode()

    def _line(self) -> tuple[str, str]:
        line = self._answers.readline().decode().rstrip("\r\n")
        if not line:
            raise RedisError("Redis closed the connection")
        return line[0], line[1:]


class FileCache:
    """The cache of one service, for one key."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CACHE

    def get(self, _key: str) -> str | None:
        """Return the value; None if there is none."""
        return self._path.read_text(encoding="utf-8") if self._path.exists() else None

    def set(self, _key: str, value: str, _seconds: float) -> None:
        """Set the value. It contains its own expiry."""
        write_private(self._path, value)


class ClientConsumer(Consumer):
    """The service. It reads its client only at its start and when it is reloaded.

    A reload replaces the cached token (drop), or leaves it until it is refreshed (keep).
    """

    def __init__(
        self, folder: Path, address: str, cache: Redis | FileCache, on_reload: str
    ) -> None:
        super().__init__(folder, address)
        self.statistics: ClientStatistics = ClientStatistics()
        self.cache = cache
        self.drops_token = on_reload == "drop"
        self.client: Mapping[str, str] = {}

    def load(self) -> None:
        """Read the file, and issue a token unless there is a cached one."""
        values = parse_env((self.folder / ".env").read_text(encoding="utf-8"))
        names = ("NOMBA_CLIENT_ID", "NOMBA_CLIENT_SECRET", "NOMBA_ACCOUNT_ID")
        self.client = {name: values[name] for name in names}
        self.statistics.client = fingerprint(values["NOMBA_CLIENT_SECRET"])
        if self.cache.get(KEY) is None or (self.drops_token and self.statistics.reloads):
            self.issue()

    def request(self) -> str:
        """Send one request with the cached token, which is refreshed before it expires."""
        cached = json.loads(self.cache.get(KEY) or "{}")
        if cached.get("refresh_at", 0) <= time.time():
            cached = self.issue()
        token = str(cached.get("access_token", ""))
        self.headers = {
            "Authorization": f"Bearer {token}",
            "accountId": self.client["NOMBA_ACCOUNT_ID"],
        }
        self.statistics.fingerprint = fingerprint(token)
        self.statistics.is_token_of_client = cached.get("client") == self.statistics.client
        return super().request()

    def issue(self) -> dict[str, Any]:
        """Issue a token with the client of the file and cache it; empty if the API refuses."""
        body = {
            "grant_type": "client_credentials",
            "client_id": self.client["NOMBA_CLIENT_ID"],
            "client_secret": self.client["NOMBA_CLIENT_SECRET"],
        }
        headers = {
            "accountId": self.client["NOMBA_ACCOUNT_ID"],
            "Content-Type": "application/json",
        }
        before = time.time()
        data = self._post("/v1/auth/token/issue", body, headers).get("data")
        if not data:
            sys.stderr.write(f"consumer: no token for {self.statistics.client}\n")
            return {}
        lifetime = expiry(data["expiresAt"]) - before
        cached = {
            "access_token": data["access_token"],
            "client": self.statistics.client,
            "refresh_at": before + lifetime * (1 - _REFRESH_AT),
        }
        self.cache.set(KEY, json.dumps(cached), lifetime)
        self.statistics.issued += 1
        return cached

    def _post(self, path: str, body: object, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            self.connection.request("POST", path, json.dumps(body), dict(headers))
            return dict(json.loads(self.connection.getresponse().read()))
        except (OSError, ValueError, http.client.HTTPException):
            self.connection.close()
            return {}


def expiry(text: str) -> float:
    """Return the seconds since the epoch of an `expiresAt` of the API."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def main() -> int:
    """Parse the command line and run the consumer."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.testbed.client_consumer", description=__doc__
    )
    parser.add_argument("--folder", type=Path, required=True, help="the folder of .env")
    parser.add_argument("--url", required=True, help="the simulator's http_url")
    text = f"the cache of all services (default: {CACHE} in the folder)"
    parser.add_argument("--redis", type=int, metavar="PORT", help=text)
    parser.add_argument("--on-reload", choices=("drop", "keep"), default="drop")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        cache = Redis(options.redis) if options.redis else FileCache(options.folder)
        address = urlsplit(options.url).netloc
        ClientConsumer(options.folder, address, cache, options.on_reload).run()
    except (OSError, KeyError) as error:
        sys.stderr.write(f"consumer: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
