# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scan of three hosts over SSH: each token is revoked once, from the control host."""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint
from tests.testbed.folder import HOSTS, Testbed, make_private
from tests.testbed.hosts import await_sshd, host_variables, prepare_hosts, start_sshd, user
from tests.testbed.processes import free_ports, stop
from tests.tools.project import find_python
from tests.unit.modules.canary import make_canary

from .controller import Controller, PlaybookRun
from .rotations import UNREACHABLE
from .test_secrets import recorded_commands

PLUGINS = Path(__file__).with_name("connection_plugins")
PLAYBOOK = "nomba.auth.scan"
# What the output contains if a connection prints the result of a module.
PRINTED = "(0, b'"
# Hosts whose Python has the standard library only, and one with the libraries.
PYTHONS = {"shop": "3.9", "payroll": "3.13"}


@pytest.fixture(scope="module")
def testbed() -> Iterator[dict[str, dict[str, Any]]]:
    """Start an sshd for each host, and return their variables. The folder has a short path."""
    with tempfile.TemporaryDirectory() as folder:
        bed = Testbed(Path(folder))
        for name in ("logs", "control"):
            make_private(bed.folder / name)
        ports = dict(zip(HOSTS, free_ports(len(HOSTS))))
        prepare_hosts(bed, ports)
        pids: list[int] = []
        try:
            for host, port in ports.items():
                pids.append(start_sshd(bed, host))
                await_sshd(bed, host, port, pids[-1])
            record = {
                "hosts": {host: {"port": port} for host, port in ports.items()},
                "user": user(),
                "key_path": str(bed.folder / "ssh" / "client_key"),
                "known_hosts": str(bed.folder / "ssh" / "known_hosts"),
                "control_path_dir": str(bed.folder / "control"),
            }
            yield {host: dict(host_variables(bed, record, host)) for host in HOSTS}
        finally:
            stop(pids, bed.folder)


@pytest.fixture
def controller(
    simulator: ControlClient, tmp_path: Path, testbed: dict[str, dict[str, Any]]
) -> Controller:
    """A control host that prints the output of modules with -vvv, and three hosts with a log."""
    hosts = {
        host: {**variables, "ansible_connection": "ssh"} for host, variables in testbed.items()
    }
    for host, variables in hosts.items():
        folder = tmp_path / "logs" / host
        folder.mkdir(parents=True)
        variables["nomba_sources"] = [str(folder)]
    for host, version in PYTHONS.items():
        program = tmp_path / f"python{version}"
        program.write_text(f'#!/bin/sh\nexec {find_python(version)} -S "$@"\n')
        program.chmod(0o700)
        hosts[host]["ansible_python_interpreter"] = str(program)
    loud = {"ANSIBLE_CONNECTION_PLUGINS": str(PLUGINS)}
    controller = Controller(simulator, tmp_path, hosts, environment=loud)
    controller.all_variables["ansible_connection"] = "loud"
    return controller


def log(controller: Controller, host: str) -> Path:
    """Return the log of a host."""
    return controller.folder / "logs" / host / "app.log"


def write_tokens(controller: Controller) -> list[str]:
    """Write three tokens to the hosts; the first one is on two hosts."""
    first, second, third = controller.simulator.mint_many(3)
    log(controller, "shop").write_text(f"GET /\nBearer {first}\nBearer {second}\n")
    log(controller, "payroll").write_text(f"cut {first[:-20]}\n")
    log(controller, "ledger").write_text(f"Bearer {first}\nBearer {third}\n")
    controller.simulator.forget_requests()
    return [first, second, third]


def encrypted_zip() -> bytes:
    """Return an archive whose entry is marked as encrypted."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("app.log", "a line\n")
    content = bytearray(file.getvalue())
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(header) + flags] |= 1
    return bytes(content)


def revokes(controller: Controller) -> dict[str, int]:
    """Return how often the revoke of each token was sent."""
    names = [one.fingerprint for one in controller.simulator.writes()]
    return dict(Counter(name for name in names if name))


def report(run: PlaybookRun) -> list[str]:
    """Return the lines of the report, which is the last task."""
    text = run.output.rpartition("TASK [Print")[2].partition("=> ")[2]
    result, __ = json.JSONDecoder().raw_decode(text)
    return result["msg"] if isinstance(result["msg"], list) else [result["msg"], *result["details"]]


def left(folder: Path) -> list[str]:
    """Return the private files and folders that runs have left."""
    return [str(path) for path in folder.rglob("nomba-*~*")]


def test_each_token_is_revoked_once_and_a_second_run_changes_nothing(
    controller: Controller,
) -> None:
    tokens = write_tokens(controller)
    check = controller.run(PLAYBOOK, "--check", nomba_hosts="nomba")
    assert check.status == 0, check.output
    assert controller.simulator.writes() == []
    assert len(controller.simulator.live()) == 3
    shown = report(check)
    assert shown[0] == "CHECK MODE, nothing was revoked. WOULD BE REVOKED 3 of 3 tokens."
    assert shown[2].startswith("Next: run ansible-playbook nomba.auth.scan ")
    audit_log = controller.folder / "home" / ".nomba" / "audit.jsonl"
    assert not audit_log.exists()

    run = controller.run(PLAYBOOK, nomba_hosts="nomba")
    assert run.status == 0, run.output
    assert revokes(controller) == dict.fromkeys(map(fingerprint, tokens), 1)
    assert controller.simulator.live() == []
    events = map(json.loads, audit_log.read_text(encoding="utf-8").splitlines())
    revoked = {(one["outcome"], *one["fingerprints"]) for one in events}
    assert revoked == {("revoked", fingerprint(token)) for token in tokens}
    first, second, third = map(fingerprint, tokens)
    folder = controller.folder / "logs"
    table = [line.split() for line in report(run)]
    assert report(run)[:2] == [
        "REVOKED AND VERIFIED 3 of 3 tokens.",
        "Scanned 3 of 3 hosts (shop, payroll, ledger), 3 files.",
    ]
    assert table[2:] == [
        ["OUTCOME", "TOKEN", "HOST", "FILE:LINE"],
        ["revoked", first, "shop", f"{folder}/shop/app.log:2"],
        ["revoked", first, "ledger", f"{folder}/ledger/app.log:1"],
        ["revoked", first, "payroll", f"{folder}/payroll/app.log:1"],
        ["revoked", second, "shop", f"{folder}/shop/app.log:3"],
        ["revoked", third, "ledger", f"{folder}/ledger/app.log:2"],
    ]

    controller.simulator.forget_requests()
    again = controller.run(PLAYBOOK, "--limit", "shop,ledger", nomba_hosts="nomba")
    assert again.status == 0, again.output
    assert controller.simulator.writes() == []
    assert report(again)[:2] == [
        "ALREADY REVOKED 3 of 3 tokens.",
        "Scanned 2 of 2 hosts (shop, ledger), 2 files. --limit excluded 1 more of nomba_hosts.",
    ]
    assert re.findall(r"changed=[1-9]", again.output) == []
    assert left(controller.folder) == []


@pytest.mark.newest
def test_secrets_of_a_partly_failed_scan_are_on_no_path(controller: Controller) -> None:
    canary = make_canary(controller.simulator)
    log(controller, "shop").write_text(f"Bearer {canary.token} of {canary.email}\n")
    log(controller, "ledger").with_name("old.zip").write_bytes(encrypted_zip())
    controller.hosts["payroll"] = {**UNREACHABLE, "nomba_sources": ["/var/log"]}
    controller.simulator.forget_requests()
    controller.environment.update(
        ANSIBLE_ANY_ERRORS_FATAL="1",
        ANSIBLE_BECOME_ALLOW_SAME_USER="1",
        ANSIBLE_BECOME_METHOD="su",
        ANSIBLE_CACHE_PLUGIN="jsonfile",
        ANSIBLE_CACHE_PLUGIN_CONNECTION=str(controller.folder / "cache"),
        ANSIBLE_LOG_PATH=str(controller.folder / "ansible.log"),
        ANSIBLE_PIPELINING="0",  # the connection then has output to print besides the results
        ANSIBLE_STRATEGY="free",
    )
    private = controller.folder / "runner"
    (private / "project").mkdir(parents=True)
    arguments = ["run", str(private), "--playbook", PLAYBOOK, "--ident", "1"]
    given = "--cmdline=-vvvv -e nomba_hosts=nomba -e nomba_become=true"
    with recorded_commands(os.getpid()) as commands:
        run = controller.execute("ansible-runner", *arguments, given)
    assert run.status != 0, run.output
    assert revokes(controller) == {fingerprint(canary.token): 1}, run.output
    assert controller.simulator.live() == []
    zipped = f"{controller.folder}/logs/ledger/old.zip"
    assert run.output.count("ESTABLISH SSH CONNECTION") > len(HOSTS)
    assert "port 9: Connection refused" in run.output
    assert '"NOT SCANNED 1 of 3 hosts: payroll (unreachable)."' in run.output
    assert f'"PARTLY UNREAD 1 of 3 hosts: ledger ({zipped}!app.log: ' in run.output
    assert '"REVOKED AND VERIFIED 1 of 1 token."' in run.output
    artifacts = [path for path in controller.folder.rglob("*") if path.is_file()]
    assert any("job_events" in path.parts for path in artifacts)
    assert PRINTED in run.output
    assert left(controller.folder) == []
    for path in artifacts:
        if path != log(controller, "shop"):
            assert (path, canary.leaks(path.read_bytes())) == (path, [])
        # The key of the private file is in no artifact either.
        assert (path, b'"key":' in path.read_bytes()) == (path, False)
    assert any(b"nomba_hosts=nomba" in line for line in commands)
    assert canary.leaks(run.output, *commands) == []


@pytest.mark.newest
def test_run_without_a_scanned_host_fails(controller: Controller) -> None:
    unreachable = {**UNREACHABLE, "nomba_sources": ["/var/log"]}
    controller.hosts.update(dict.fromkeys(HOSTS, unreachable))
    run = controller.run(PLAYBOOK, nomba_hosts="nomba")
    assert run.status != 0
    assert report(run)[0].startswith("NOT SCANNED 3 of 3 hosts: shop (unreachable), ")
    for arguments in (["-e", "nomba_hosts=nobody"], ["-e", "nomba_hosts=nomba", "-l", "localhost"]):
        run = controller.run(PLAYBOOK, *arguments)
        assert run.status != 0, arguments
        assert "matches no host of the inventory and of --limit. Nothing was done." in run.output
    assert controller.simulator.requests() == []
