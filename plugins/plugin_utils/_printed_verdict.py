# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result of the task that prints the verdict of a playbook or a role, its last one.

Pure: no Ansible, no network, no clock, no disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def verdict_result(lines: Sequence[str], has_failed: bool, not_reported: str) -> dict[str, Any]:
    """Return the result, which fails if the run has failed or was not reported.

    lines: the verdict, and what explains it. not_reported: why the report, the audit log or the
    notification failed; empty if they did not. It is last if something worse has happened.
    """
    shown = list(lines)
    if not_reported:
        shown.insert(len(shown) if has_failed else 0, f"NOT REPORTED: {not_reported}")
    result = {"changed": False, "_ansible_verbose_always": True}
    if not has_failed and not not_reported:
        return {**result, "msg": shown}
    # Ansible repeats the message of a failed task.
    return {**result, "failed": True, "msg": shown[0], "details": shown[1:]}
