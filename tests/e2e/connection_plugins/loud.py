# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A local connection that prints the output of each module with -vvv, as the plugin ssh does.

It also prints each file that it copies to the host, where a killed run can leave it.
"""

from __future__ import annotations

DOCUMENTATION = """
name: loud
short_description: Print the output of each module
description: [A connection for tests.]
author: [The nomba.auth contributors]
extends_documentation_fragment: [connection_pipelining]
options: {}
"""

from pathlib import Path  # noqa: E402 -- Ansible reads the documentation first
from typing import Any  # noqa: E402

from ansible.plugins.connection.local import Connection as Local  # noqa: E402
from ansible.utils.display import Display  # noqa: E402

_display = Display()


class Connection(Local):  # type: ignore[misc] # Ansible ships no type information
    """Runs commands locally."""

    transport = "loud"

    def exec_command(self, *arguments: Any, **options: Any) -> Any:
        """Run a command, and print its output unless the task has no_log."""
        result = super().exec_command(*arguments, **options)
        if not self._play_context.no_log:
            _display.vvv(str(result))
        return result

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file, and print its content."""
        _display.vvv(Path(in_path).read_text(encoding="utf-8"))
        super().put_file(in_path, out_path)
