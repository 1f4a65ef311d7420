# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A leaked token, the life of a kept one, and a rotation under traffic.

All of it against a simulator on this machine.

Run by `make demo`. Every step says what it should come to and is checked against what the
simulator saw; the exit status tells whether all was as it should be.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.demo.commands import Operator
from tests.demo.rotation import Rotation
from tests.demo.tokens import Tokens
from tests.simulator.control_client import ControlClient
from tests.testbed.folder import Testbed


@contextmanager
def simulator(announcement: Path) -> Iterator[ControlClient]:
    """A simulator in a process of its own."""
    line = [sys.executable, "-m", "tests.simulator", "--announce", str(announcement)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it says one line when it listens
            yield ControlClient.from_announcement(announcement)
        finally:
            process.terminate()


def main() -> int:
    """Run the demo in a folder that is removed afterwards."""
    # Whoever ends the demo ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as name:
        testbed = Testbed(Path(name))
        with simulator(testbed.announcement) as handle:
            print(f"A local imitation of the Nomba API listens at {handle.url}")
            operator = Operator(handle)
            Tokens(operator, testbed.folder).run()
            Rotation(operator, testbed).run()
    wrong = operator.wrong
    print("\nAll is as it should be." if not wrong else f"\nWRONG: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
