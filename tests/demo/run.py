# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: a leaked token, the life of a stored token, and a rotation of a client.

`make demo` runs it against a simulator on this machine. The checks of each step use the request log
and the token registry of the simulator. The exit status is 1 if a check fails.
"""

from __future__ import annotations

import os
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
    """Run a simulator in its own process."""
    command = [sys.executable, "-m", "tests.simulator", "--announce", str(announcement)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # one line, when the simulator listens
            yield ControlClient.from_announcement(announcement)
        finally:
            process.terminate()


def main() -> int:
    """Run the demo in a temporary folder."""
    # SIGTERM also stops the processes that the demo started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as name:
        testbed = Testbed(Path(name))
        # Ansible looks for results every millisecond, which takes a tenth of the CPU time of a run.
        configuration = testbed.folder / "ansible.cfg"
        configuration.write_text("[defaults]\ninternal_poll_interval = 0.02\n", encoding="utf-8")
        os.environ["ANSIBLE_CONFIG"] = str(configuration)
        with simulator(testbed.announcement) as client:
            print(f"The simulator of the Nomba API listens at {client.url}")
            operator = Operator(client)
            Tokens(operator, testbed.folder).run()
            Rotation(operator, testbed).run()
    failures = operator.failures
    print("\nAll checks passed." if not failures else f"\nFAILED: {failures}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
