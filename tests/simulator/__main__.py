# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.simulator --announce FILE: run the simulator in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from .server import Options, serve
from .settings import Settings, SettingsError, from_json
from .state import Simulator


def main() -> int:
    """Read the command line and serve; print an error in one line."""
    given = _parser().parse_args()
    try:
        simulator = Simulator(_settings(given.settings))
        asyncio.run(serve(simulator, _options(given), given.announce))
    except (OSError, SettingsError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--announce", type=Path, required=True, metavar="FILE")
    parser.add_argument("--settings", type=Path, metavar="FILE.json")
    parser.add_argument("--port", type=int, default=0, help="HTTP port; default: any free port")
    parser.add_argument(
        "--tls-port", type=int, default=0, help="HTTPS port; default: any free port"
    )
    parser.add_argument("--ca-dir", type=Path, help="folder for the certificate of the CA")
    return parser


def _options(given: argparse.Namespace) -> Options:
    return Options(port=given.port, tls_port=given.tls_port, ca_dir=given.ca_dir)


def _settings(path: Path | None) -> Settings:
    if path is None:
        return Settings()
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
