# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.testbed COMMAND --folder FOLDER: the testbed on which rotations are played."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulator.control_client import SimulatorError

from .folder import Testbed, TestbedError, pretty
from .observation import observe
from .play import consumers, seed, seed_token, stop_consumers
from .services import down, up

if TYPE_CHECKING:
    Act = Callable[[Testbed, argparse.Namespace], str]
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main() -> int:
    """Read the command line, act, and say in a sentence what stood in the way."""
    given = _parser().parse_args()
    testbed = Testbed(given.folder.resolve())
    try:
        said = given.act(testbed, given)
    except (TestbedError, SimulatorError, OSError, subprocess.SubprocessError) as problem:
        sys.stderr.write(f"testbed: {problem}\n")
        return 1
    sys.stdout.write(said)
    return 0


def _up(testbed: Testbed, _given: argparse.Namespace) -> str:
    up(testbed)
    return f"{testbed.inventory}\n"


def _seed(testbed: Testbed, given: argparse.Namespace) -> str:
    simulator = seed(testbed, given.settings)
    if given.no_token:
        return ""
    fingerprint = seed_token(testbed, simulator, age=given.age, lifetime=given.lifetime)
    simulator.forget_requests()
    return f"{fingerprint}\n"


def _consumers(testbed: Testbed, given: argparse.Namespace) -> str:
    testbed.read()
    if given.stop:
        stop_consumers(testbed)
    return pretty(consumers(testbed))


def _observe(testbed: Testbed, _given: argparse.Namespace) -> str:
    return pretty(observe(testbed))


def _down(testbed: Testbed, _given: argparse.Namespace) -> str:
    return f"{down(testbed)} programs ended\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "up", _up, "start simulator, hosts and OpenBao, as far as they do not run")
    _command(commands, "down", _down, "end all of it")
    playing = _command(commands, "seed", _seed, "begin a play: one token, three consumers")
    playing.add_argument("--settings", type=_settings, default={}, metavar="JSON")
    playing.add_argument("--age", type=float, default=3600, metavar="SECONDS")
    playing.add_argument("--lifetime", type=float, default=10800, metavar="SECONDS")
    playing.add_argument("--no-token", action="store_true", help="an empty testbed")
    _command(commands, "observe", _observe, "show what stands where, by fingerprints")
    asking = _command(commands, "consumers", _consumers, "show how the consumers fared")
    asking.add_argument("--stop", action="store_true", help="end them first")
    return parser


def _command(commands: Commands, name: str, act: Act, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--folder", type=Path, required=True)
    parser.set_defaults(act=act)
    return parser


def _settings(text: str) -> dict[str, object]:
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise argparse.ArgumentTypeError("an object is wanted")
    return settings


if __name__ == "__main__":
    sys.exit(main())
