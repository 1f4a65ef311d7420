# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts, each an sshd on a loopback port, and the inventory with their addresses."""

from __future__ import annotations

import os
import pwd
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .folder import HOSTS, Testbed, make_private, pretty, write_private
from .processes import find_program, free_ports, start, wait_until

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey "{folder}/host_key"
PidFile "{folder}/sshd.pid"
AuthorizedKeysFile "{keys}/client_key.pub"
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
UseDNS no
PrintMotd no
MaxStartups 100:30:200
MaxSessions 100
Subsystem sftp internal-sftp
"""


def prepare_hosts(testbed: Testbed, ports: dict[str, int]) -> None:
    """Create the configurations, and the keys that do not exist yet."""
    make_private(testbed.folder / "ssh")
    _make_key(testbed.folder / "ssh" / "client_key")
    for name, port in ports.items():
        folder = testbed.folder / "sshd" / name
        make_private(folder)
        make_private(testbed.host(name))
        _make_key(folder / "host_key")
        config = _CONFIG.format(port=port, folder=folder, keys=testbed.folder / "ssh")
        write_private(folder / "sshd_config", config)
    known = [_known_host(testbed, name, port) for name, port in ports.items()]
    write_private(testbed.folder / "ssh" / "known_hosts", "".join(known))


def start_sshd(testbed: Testbed, name: str) -> int:
    """Start the sshd of one host."""
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    config = testbed.folder / "sshd" / name / "sshd_config"
    command = [find_program("sshd", "openssh-server"), "-D", "-e", "-f", str(config)]
    return start(command, testbed.logs / f"sshd-{name}.log")


def await_sshd(testbed: Testbed, name: str, port: int, pid: int) -> None:
    """Wait until an sshd sends its protocol version."""
    wait_until(partial(_sends_version, port), f"the sshd of {name}", pid, testbed.folder)


def start_hosts(testbed: Testbed, names: Sequence[str] = HOSTS) -> None:
    """Start some hosts and nothing else, and write an inventory with their addresses."""
    ports = dict(zip(HOSTS, free_ports(len(HOSTS)), strict=True))
    prepare_hosts(testbed, ports)
    pids = {f"sshd-{name}": start_sshd(testbed, name) for name in names}
    record = {
        **testbed.read(),
        "bao": {"url": "", "token": ""},
        "redis": 0,
        "clients": [],
        "hosts": {name: {"port": port} for name, port in ports.items()},
        "key_path": str(testbed.folder / "ssh" / "client_key"),
        "known_hosts": str(testbed.folder / "ssh" / "known_hosts"),
        "pids": pids,
        "user": user(),
    }
    testbed.write(record)
    write_inventory(testbed, record)
    for name in names:
        await_sshd(testbed, name, ports[name], pids[f"sshd-{name}"])


def write_inventory(testbed: Testbed, record: dict[str, Any]) -> None:
    """Write the inventory as JSON, which is also YAML."""
    hosts = {name: host_variables(testbed, record, name) for name in HOSTS}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    variables = {
        "simulator_url": record["simulator"]["url"],
        "simulator_http_url": record["simulator"]["http_url"],
        "simulator_ca_path": record["simulator"]["ca_path"],
        "bao_url": record["bao"]["url"],
        "redis_port": record["redis"],
        "clients": record["clients"],
        "testbed_folder": str(testbed.folder),
    }
    children = {"consumers": {"hosts": hosts}}
    everything = {"vars": variables, "hosts": {"localhost": local}, "children": children}
    write_private(testbed.inventory, pretty({"all": everything}))


def host_variables(testbed: Testbed, record: dict[str, Any], name: str) -> dict[str, object]:
    """Return the variables with which Ansible connects to a host."""
    options = [
        f'UserKnownHostsFile="{record["known_hosts"]}"',
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
    ]
    # Without -F, the SSH client reads ~/.ssh/config.
    arguments = ["-F", "none", *(part for option in options for part in ("-o", option))]
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": record["hosts"][name]["port"],
        "ansible_user": record["user"],
        "ansible_ssh_private_key_file": record["key_path"],
        "ansible_ssh_common_args": shlex.join(arguments),
        "ansible_control_path_dir": record["control_path_dir"],
        "ansible_python_interpreter": sys.executable,
        "consumer_dir": str(testbed.host(name)),
    }


def user() -> str:
    """Return the name of the user, independent of the environment variables."""
    return pwd.getpwuid(os.getuid()).pw_name


def _make_key(path: Path) -> None:
    if path.exists():
        return
    program = find_program("ssh-keygen", "openssh-client")
    line = [program, "-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f", str(path)]
    subprocess.run(line, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _known_host(testbed: Testbed, name: str, port: int) -> str:
    public = (testbed.folder / "sshd" / name / "host_key.pub").read_text(encoding="utf-8")
    kind, key = public.split()[:2]
    return f"[127.0.0.1]:{port} {kind} {key}\n"


def _sends_version(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
