# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a module as Ansible does for each task: its file and all files that it imports."""

from __future__ import annotations

import sys

from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar


def main(name: str) -> None:
    """Find a module and pack it."""
    init_plugin_loader([])
    path = module_loader.find_plugin_with_context(name).plugin_resolved_path
    modify_module(
        module_name=name,
        module_path=path,
        module_args={},
        templar=Templar(loader=DataLoader()),
        task_vars={"ansible_python_interpreter": sys.executable},
        module_compression="ZIP_DEFLATED",
        async_timeout=0,
        environment={},
        become_plugin=None,
    )


if __name__ == "__main__":
    main(sys.argv[1])
