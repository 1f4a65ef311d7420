# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real ansible-rulebook that listens on loopback, whoever posts to it, and who watches it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulator.control_client import ControlClient
from tests.testbed.processes import free_ports
from tests.unit.modules.canary import contents

RULEBOOK = "nomba.auth.revoke_leaked"
SECRET = "a-webhook-secret-that-is-long-enough-for-anybody"
_PATIENCE = 120.0
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Seen:
    """What others on the machine could see while it ran."""

    processes: set[bytes] = field(default_factory=set)
    files: dict[Path, tuple[int, bytes]] = field(default_factory=dict)

    def look(self, root: int, folder: Path) -> None:
        """Look at the arguments and the environment of all processes, and at all their files."""
        for process in family(root):
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    self.processes.add(Path(f"/proc/{process}/{name}").read_bytes())
        for path in [*folder.glob("home/**/*"), *folder.glob("tmp/**/*")]:
            with suppress(OSError):
                if path.is_file():
                    self.files[path] = (path.stat().st_mode & 0o777, path.read_bytes())


@dataclass
class Listener:
    """The process, with a home of its own, next to a simulator."""

    simulator: ControlClient
    folder: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    seen: Seen = field(default_factory=Seen)

    @property
    def spool(self) -> list[Path]:
        """The files with tokens that are waiting for their revocation."""
        return sorted((self.folder / "home/.ansible/nomba_leaked").glob("*"))

    @property
    def output(self) -> str:
        """All that it has said."""
        return (self.folder / "said").read_text(encoding="utf-8")

    @property
    def left(self) -> list[bytes]:
        """The names and contents of all files it has left."""
        return contents(self.folder / "home", self.folder / "tmp")

    @contextmanager
    def running(self) -> Iterator[Listener]:
        """Run it at its most talkative, and watch it from the moment it listens."""
        with self.started(SECRET) as process, self.watched(process.pid):
            await_that(lambda: self._listens(process), "it listens")
            yield self

    @contextmanager
    def started(self, secret: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start it, and stop it in the end."""
        words = ["--rulebook", RULEBOOK, "--inventory", "inventory.yml", "--vars", "vars.json"]
        variables = {"nomba_webhook_port": self.port, "nomba_webhook_secret": secret}
        (self.folder / "inventory.yml").write_text("---\nall: {}\n")
        (self.folder / "vars.json").write_text(json.dumps(variables))
        with (
            (self.folder / "said").open("wb") as output,
            subprocess.Popen(
                [program("ansible-rulebook"), *words, "-vv", "--print-events"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def watched(self, root: int) -> Iterator[None]:
        """Look again and again while something else happens."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.1):
                self.seen.look(root, self.folder)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def post(self, body: bytes, signature: str | None) -> int:
        """Post a body; return the HTTP status."""
        headers = {"Content-Type": "application/json"}
        if signature is not None:
            headers["X-Hub-Signature-256"] = signature
        url = f"http://127.0.0.1:{self.port}/alerts"
        try:
            with _opener.open(urllib.request.Request(url, body, headers), timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def alert(self, message: object) -> int:
        """Post what a scanner would, signed."""
        body = json.dumps(message).encode()
        return self.post(body, sign(body))

    def revoke_again(self, spool: Path) -> subprocess.CompletedProcess[str]:
        """Run the playbook by hand on a file that was left."""
        line = [program("ansible-playbook"), RULEBOOK, "-e", f"nomba_spool={spool}"]
        return subprocess.run(
            line, env=self.environment, capture_output=True, text=True, check=False
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment of an operator, with nothing of ours."""
        home, tmp = str(self.folder / "home"), str(self.folder / "tmp")
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": home,
            "TMPDIR": tmp,
            "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
            "ANSIBLE_LOG_PATH": f"{home}/ansible.log",
            "NOMBA_BASE_URL": self.simulator.url,
            "NOMBA_ACCOUNT_ID": self.simulator.account_id,
            "NOMBA_CLIENT_ID": self.simulator.client_id,
            "REQUESTS_CA_BUNDLE": self.simulator.ca_path,
        }

    def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.output
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0


def sign(body: bytes, secret: str = SECRET) -> str:
    """The signature as GitHub writes it."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def program(name: str) -> str:
    """A program of the environment under test."""
    found = shutil.which(name)
    assert found, f"{name} is not on the PATH"
    return found


def await_that(so: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + _PATIENCE
    while not so():
        assert time.monotonic() < deadline, f"it never came to be that {what}"
        time.sleep(0.05)


def family(root: int) -> set[int]:
    """A process and all its children that live now."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name, in parentheses, may hold anything.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found
