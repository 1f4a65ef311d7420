# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: a leaked token, the life of a stored token, and a rotation of a client.

`make demo` runs it against a simulator on this machine. The checks of each step use the request log
and the token registry of the simulator. The exit status is 1 if a check fails. The last check
compares docs/demo.svg with the output. `make demo ARGS="--draw $PWD/docs/demo.svg"` draws it again.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.demo import picture
from tests.demo.commands import Operator
from tests.demo.rotation import Rotation
from tests.demo.tokens import Tokens
from tests.simulator.control_client import ControlClient
from tests.testbed.folder import Testbed
from tests.testbed.processes import ROOT

_PICTURE = ROOT / "docs" / "demo.svg"
# The steps in the picture: all lines, or those without the checks.
_SHOWN = {
    "Playbook: revoke all tokens in the folder": False,
    "Rotate to the new client while the services send requests": False,
    "Delete the old client in the dashboard, and run again": False,
    "Requests of the services": True,
}


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


def compare_picture(operator: Operator, drawn: Path | None) -> None:
    """Check that the picture of the README shows this run, or draw it."""
    lines: list[str] = []
    for title, with_checks in _SHOWN.items():
        step = operator.printed.get(title, [])
        lines += ["", *(one for one in step if with_checks or not one.startswith("  ok: "))]
    if drawn and not operator.failures:
        drawn.write_text(picture.draw(lines[1:]), encoding="utf-8")
    shown = picture.shown((drawn or _PICTURE).read_text(encoding="utf-8"))
    differ = picture.differences(shown, lines[1:])

    def check() -> None:
        for line in differ:
            operator.print(f"  {line}")
        operator.check("docs/demo.svg shows this run", not differ)

    operator.step("Compare the picture in the README", check)


def main() -> int:
    """Run the demo in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", type=Path, help="write the picture of the run to this file")
    drawn = parser.parse_args().draw
    # SIGTERM also stops the processes that the demo started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="nomba-demo-") as name:
        testbed = Testbed(Path(name))
        # Ansible looks for results every millisecond, which takes a tenth of the CPU time of a run.
        configuration = testbed.folder / "ansible.cfg"
        configuration.write_text("[defaults]\ninternal_poll_interval = 0.02\n", encoding="utf-8")
        os.environ["ANSIBLE_CONFIG"] = str(configuration)
        os.environ["HOME"] = str(testbed.folder)  # which gets the audit log
        with simulator(testbed.announcement) as client:
            print(f"The simulator of the Nomba API listens at {client.url}")
            operator = Operator(client)
            Tokens(operator, testbed.folder).run()
            Rotation(operator, testbed).run()
            compare_picture(operator, drawn)
    failures = operator.failures
    print("\nAll checks passed." if not failures else f"\nFAILED: {failures}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
