# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.testbed COMMAND --folder FOLDER: the test environment for rotations."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulator.control_client import SimulatorError

from .folder import HOSTS, Testbed, TestbedError, pretty
from .observation import observe
from .seed import seed_client, seed_test
from .services import down, up

if TYPE_CHECKING:
    Run = Callable[[Testbed, argparse.Namespace], str]
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main() -> int:
    """Parse the command line, run the command, and print its result or the error."""
    options = _parser().parse_args()
    testbed = Testbed(options.folder.resolve())
    try:
        output = options.run(testbed, options)
    except (TestbedError, SimulatorError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"testbed: {error}\n")
        return 1
    sys.stdout.write(output)
    return 0


def _up(testbed: Testbed, options: argparse.Namespace) -> str:
    up(testbed, options.bao_token)
    return f"{testbed.inventory}\n"


def _seed(testbed: Testbed, options: argparse.Namespace) -> str:
    if options.clients_on_reload:
        how = {"on_reload": options.clients_on_reload, "hosts": options.hosts}
        seed_client(testbed, options.settings, **how)
        return ""
    fingerprint = seed_test(
        testbed,
        options.settings,
        age=options.age,
        lifetime=options.lifetime,
        hosts=options.hosts,
    )
    return f"{fingerprint}\n"


def _observe(testbed: Testbed, _options: argparse.Namespace) -> str:
    return pretty(observe(testbed))


def _down(testbed: Testbed, _options: argparse.Namespace) -> str:
    return f"{down(testbed)} programs stopped\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    start = _command(commands, "up", _up, "start the simulator, the hosts, Redis and OpenBao")
    start.add_argument("--bao-token", metavar="TOKEN", help="root token (default: random)")
    prepare = _command(commands, "seed", _seed, "prepare a test: one token, a consumer per host")
    prepare.add_argument("--settings", type=_settings, default={}, metavar="JSON")
    prepare.add_argument("--age", type=float, default=3600, metavar="SECONDS")
    prepare.add_argument("--lifetime", type=float, default=10800, metavar="SECONDS")
    prepare.add_argument("--hosts", nargs="+", choices=HOSTS, default=HOSTS)
    text = "services issue their own tokens; what a reload does with the cached token"
    prepare.add_argument("--clients-on-reload", choices=("drop", "keep"), help=text)
    _command(commands, "observe", _observe, "print the state of everything as JSON")
    _command(commands, "down", _down, "stop everything")
    return parser


def _command(commands: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--folder", type=Path, required=True)
    parser.set_defaults(run=run)
    return parser


def _settings(text: str) -> dict[str, object]:
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return settings


if __name__ == "__main__":
    sys.exit(main())
