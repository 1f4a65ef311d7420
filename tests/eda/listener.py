# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a real ansible-rulebook on loopback, post alerts, and observe its processes and files."""

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
SECRET = "a-webhook-secret-that-is-longer-than-32-characters"
_TIMEOUT = 120.0
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Observation:
    """The processes and files that other users of the machine could see during the run."""

    processes: set[bytes] = field(default_factory=set)
    files: dict[Path, tuple[int, bytes]] = field(default_factory=dict)

    def record(self, root: int, folder: Path) -> None:
        """Record arguments and environment of all processes, and all files."""
        for process in process_tree(root):
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    self.processes.add(Path(f"/proc/{process}/{name}").read_bytes())
        for path in [*folder.glob("home/**/*"), *folder.glob("tmp/**/*")]:
            with suppress(OSError):
                if path.is_file():
                    self.files[path] = (path.stat().st_mode & 0o777, path.read_bytes())


@dataclass
class Listener:
    """A process of ansible-rulebook with its own home, and a simulator."""

    simulator: ControlClient
    folder: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    observed: Observation = field(default_factory=Observation)
    callback: str = "default"

    @property
    def spool(self) -> list[Path]:
        """The files with tokens that are not yet revoked."""
        return sorted((self.folder / "home/.ansible/nomba_leaked").glob("*"))

    @property
    def output(self) -> str:
        """The output of the process."""
        return (self.folder / "output.log").read_text(encoding="utf-8")

    @property
    def leftovers(self) -> list[bytes]:
        """The names and contents of all remaining files."""
        return contents(self.folder / "home", self.folder / "tmp")

    @contextmanager
    def running(self) -> Iterator[Listener]:
        """Run it with the most verbose output, and observe it."""
        with self.started(SECRET) as process, self.observing(process.pid):
            wait_until(lambda: self._listens(process), "ansible-rulebook listens")
            yield self

    @contextmanager
    def started(self, secret: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start the process, and kill it at the end."""
        arguments = ["--rulebook", RULEBOOK, "--inventory", "inventory.yml", "--vars", "vars.json"]
        variables = {"nomba_webhook_port": self.port, "nomba_webhook_secret": secret}
        (self.folder / "inventory.yml").write_text("---\nall: {}\n")
        (self.folder / "vars.json").write_text(json.dumps(variables))
        with (
            (self.folder / "output.log").open("wb") as output,
            subprocess.Popen(
                [program("ansible-rulebook"), *arguments, "-vv", "--print-events"],
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
    def observing(self, root: int) -> Iterator[None]:
        """Record processes and files every 0.1 seconds in a thread."""
        done = threading.Event()

        def record() -> None:
            while not done.wait(0.1):
                self.observed.record(root, self.folder)

        thread = threading.Thread(target=record)
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
        """Post a signed alert."""
        body = json.dumps(message).encode()
        return self.post(body, sign(body))

    def run_playbook(self, spool: Path) -> subprocess.CompletedProcess[str]:
        """Run the playbook for a remaining file."""
        line = [program("ansible-playbook"), RULEBOOK, "-e", f"nomba_spool={spool}"]
        return subprocess.run(
            line, env=self.environment, capture_output=True, text=True, check=False
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment of an operator, without variables of the test run."""
        home, tmp = str(self.folder / "home"), str(self.folder / "tmp")
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": home,
            "TMPDIR": tmp,
            "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
            "ANSIBLE_STDOUT_CALLBACK": self.callback,
            "ANSIBLE_LOG_PATH": f"{home}/ansible.log",
            "NOMBA_BASE_URL": self.simulator.url,
            "NOMBA_ACCOUNT_ID": self.simulator.account_id,
            "NOMBA_CLIENT_ID": self.simulator.client_id,
            "REQUESTS_CA_BUNDLE": self.simulator.ca_path,
        }

    def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.output
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


def sign(body: bytes, secret: str = SECRET) -> str:
    """Return the signature in the form that GitHub sends."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def program(name: str) -> str:
    """Return the path of a program in the environment under test."""
    found = shutil.which(name)
    assert found, f"{name} is not on the PATH"
    return found


def wait_until(condition: Callable[[], bool], description: str) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"timeout: {description}"
        time.sleep(0.05)


def process_tree(root: int) -> set[int]:
    """Return the ids of a process and its running descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name, in parentheses, may contain any character.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found
