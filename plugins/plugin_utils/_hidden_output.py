# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module whose arguments or output contain secrets.

The connection plugin ssh prints the output of each module with -vvv and more, unless the task has
no_log. The results of the tasks of a rotation and of a scan contain no secret, so that they can be
shown; those of the modules that their actions run do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible.executor import module_common


def run_hidden(
    action: Any, name: str, arguments: Mapping[str, Any], variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Run a module for an action, with the module_defaults that apply to it; return its result."""
    use_pipelining(action._connection)
    complete = _with_defaults(name, dict(arguments), action._task, action._templar)
    with hidden_output(action):
        return dict(
            action._execute_module(module_name=name, module_args=complete, task_vars=variables)
        )


def use_pipelining(connection: Any) -> None:
    """Let no file on the host contain the arguments of a module, which can be secrets.

    Not with become: sudo may require a terminal, which pipelining does not have.
    """
    if connection.has_pipelining and not connection.become:
        connection.set_option("pipelining", True)


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


def _with_defaults(name: str, arguments: dict[str, Any], task: Any, templar: Any) -> dict[str, Any]:
    """Return the arguments of a module with its module_defaults, as Ansible's own actions do."""
    if hasattr(module_common, "_apply_action_arg_defaults"):  # ansible-core 2.19 and newer
        return dict(module_common._apply_action_arg_defaults(name, task, arguments, templar))
    groups = task._parent._play._action_groups
    return dict(
        module_common.get_action_args_with_defaults(
            name, arguments, task.module_defaults, templar, action_groups=groups
        )
    )
