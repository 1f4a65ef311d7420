# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A control host that runs playbooks on local hosts, with its own home folder and clock."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke
from tests.simulator.control_client import ControlClient
from tests.testbed.token_files import SeedToken, store_document, token_env

COLLECTIONS = Path(nomba_token_revoke.__file__).parents[5]
# Python imports this at the start of every process, on the control host and for the modules.
SHIFTED_CLOCK = """\
import os
import time

real, seconds = time.time, float(os.environ["CLOCK_SHIFT"])
time.time = lambda: real() + seconds
"""

# Ansible looks for results every millisecond, which takes a tenth of the CPU time of a run.
CONFIGURATION = """\
[defaults]
internal_poll_interval = 0.02
"""


@dataclass(frozen=True)
class PlaybookRun:
    """Exit status and output of a playbook."""

    status: int
    output: str


@dataclass
class Controller:
    """Run playbooks of the collection on inventory hosts with a local connection.

    all_variables: of the inventory's group all. environment: further environment variables.
    clock_shift: seconds to add to the clock of all processes, and not to that of the simulator.
    """

    simulator: ControlClient
    folder: Path
    hosts: dict[str, dict[str, Any]] = field(default_factory=lambda: {"service": {}})
    all_variables: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    clock_shift: float = 0.0

    @property
    def store(self) -> Path:
        """The store of the role."""
        return self.folder / "rotation" / "credentials.json"

    @property
    def issued(self) -> Path:
        """The file that holds a token between its issue and the write to the store."""
        return self.store.with_name("issued.json")

    @property
    def state(self) -> dict[str, Any]:
        """The document in the store."""
        return dict(json.loads(self.store.read_text(encoding="utf-8")))

    def token_file(self, host: str = "service") -> Path:
        """Return the file with the token of a host."""
        return self.folder / f"{host}.env"

    def put_in_service(
        self, age: float = 3600, lifetime: float = 10800, client_id: str = ""
    ) -> str:
        """Write a new token to the store and to all hosts, and return it."""
        client = {"client_id": client_id or self.simulator.client_id}
        made = self.simulator.mint_pair(age=age, lifetime=lifetime, **client)
        owner = {"api_url": self.simulator.url, "account_id": self.simulator.account_id}
        names = ("access_token", "fingerprint", "issued_at", "expires_at")
        minted = SeedToken(**{name: made[name] for name in names}, **owner, **client)
        self.store.parent.mkdir(mode=0o700)
        self.store.write_text(store_document(minted, self.hosts), encoding="utf-8")
        for host in self.hosts:
            self.token_file(host).write_text(token_env(minted), encoding="utf-8")
            self.token_file(host).chmod(stat.S_IRUSR | stat.S_IWUSR)
        self.simulator.forget_requests()
        return minted.access_token

    def write_issued(self, token: str) -> str:
        """Write an issued token, like a run that was killed before it wrote the store."""
        owner = {"api_url": self.simulator.url, "account_id": self.simulator.account_id}
        document = {**owner, "client_id": self.simulator.client_id, "access_token": token}
        self.issued.write_text(json.dumps(document), encoding="utf-8")
        return token

    def run(self, playbook: str, *arguments: str, **extra_variables: Any) -> PlaybookRun:
        """Run a playbook by its name or path; the extra variables keep their types."""
        if extra_variables:
            arguments = (*arguments, "--extra-vars", json.dumps(extra_variables))
        return self.execute("ansible-playbook", playbook, *arguments)

    def execute(self, name: str, *arguments: str) -> PlaybookRun:
        """Run a program of Ansible with the inventory."""
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps(self._inventory()), encoding="utf-8")
        (self.folder / "ansible.cfg").write_text(CONFIGURATION, encoding="utf-8")
        program = Path(sys.executable).with_name(name)
        command = [str(program), *arguments, "--inventory", str(inventory)]
        run = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return PlaybookRun(run.returncode, run.stdout)

    def _inventory(self) -> Mapping[str, Any]:
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        role = {
            "credential_rotation_credential": "access_token",
            "credential_rotation_api_url": self.simulator.url,
            "credential_rotation_dir": str(self.store.parent),
            "credential_rotation_dest": f"{self.folder}/{{{{ inventory_hostname }}}}.env",
        }
        children = {"nomba": {"hosts": self.hosts, "vars": role}}
        variables = {**local, **self.all_variables}
        return {"all": {"hosts": {"localhost": {}}, "vars": variables, "children": children}}

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        paths = [str(self._shifted_clock())] if self.clock_shift else []
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "PYTHONPATH": os.pathsep.join(paths),
            "CLOCK_SHIFT": str(self.clock_shift),
            "LC_ALL": "C.UTF-8",
            "HOME": str(home),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "NOMBA_BASE_URL": self.simulator.url,
            "NOMBA_ACCOUNT_ID": self.simulator.account_id,
            "NOMBA_CLIENT_ID": self.simulator.client_id,
            "NOMBA_CLIENT_SECRET": self.simulator.client_secret,
            "REQUESTS_CA_BUNDLE": self.simulator.ca_path,
            **self.environment,
        }

    def _shifted_clock(self) -> Path:
        folder = self.folder / "clock"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(SHIFTED_CLOCK, encoding="utf-8")
        return folder
