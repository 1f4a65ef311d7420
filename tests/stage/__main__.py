# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.stage COMMAND --folder FOLDER: the stage on which rotations are played."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulator.handle import SimulatorError

from .folder import Stage, StageError, pretty
from .looking import look
from .play import consumers, seed, seed_token, stop_consumers
from .services import down, up

if TYPE_CHECKING:
    Act = Callable[[Stage, argparse.Namespace], str]
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main() -> int:
    """Read the command line, act, and say in a sentence what stood in the way."""
    given = _parser().parse_args()
    stage = Stage(given.folder.resolve())
    try:
        said = given.act(stage, given)
    except (StageError, SimulatorError, OSError, subprocess.SubprocessError) as problem:
        sys.stderr.write(f"stage: {problem}\n")
        return 1
    sys.stdout.write(said)
    return 0


def _up(stage: Stage, _given: argparse.Namespace) -> str:
    up(stage)
    return f"{stage.inventory}\n"


def _seed(stage: Stage, given: argparse.Namespace) -> str:
    handle = seed(stage, given.settings)
    if given.no_token:
        return ""
    fingerprint = seed_token(stage, handle, age=given.age, lifetime=given.lifetime)
    handle.forget_requests()
    return f"{fingerprint}\n"


def _consumers(stage: Stage, given: argparse.Namespace) -> str:
    stage.read()
    if given.stop:
        stop_consumers(stage)
    return pretty(consumers(stage))


def _look(stage: Stage, _given: argparse.Namespace) -> str:
    return pretty(look(stage))


def _down(stage: Stage, _given: argparse.Namespace) -> str:
    return f"{down(stage)} programs ended\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.stage", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "up", _up, "start simulator, hosts and OpenBao, as far as they do not run")
    _command(commands, "down", _down, "end all of it")
    playing = _command(commands, "seed", _seed, "begin a play: one token, three consumers")
    playing.add_argument("--settings", type=_settings, default={}, metavar="JSON")
    playing.add_argument("--age", type=float, default=3600, metavar="SECONDS")
    playing.add_argument("--lifetime", type=float, default=10800, metavar="SECONDS")
    playing.add_argument("--no-token", action="store_true", help="an empty stage")
    _command(commands, "look", _look, "show what stands where, by fingerprints")
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
