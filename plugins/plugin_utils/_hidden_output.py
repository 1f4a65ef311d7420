# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module whose output contains secrets.

The connection plugin ssh prints the output of each module with -vvv and more, unless the task has
no_log. The results of the tasks of a rotation contain no secret, so that they can be shown; those
of the modules that their actions run do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def hidden_output(action: Any) -> Iterator[None]:
    """Let the connection of an action print no output of modules."""
    contexts = [action._play_context, getattr(action._connection, "_play_context", None)]
    found = [one for one in contexts if one is not None]
    before = [one.no_log for one in found]
    for one in found:
        one.no_log = True
    try:
        yield
    finally:
        for one, value in zip(found, before):
            one.no_log = value
