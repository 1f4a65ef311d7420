# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module in a process without Ansible's controller, to measure its memory.

Ansible sends the same files in a zip and calls the same main.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ansible.module_utils import basic

from ansible_collections.nomba.auth.plugins.modules import nomba_token_revoke


def main() -> None:
    """Run the module with the options from a JSON file, in the form that the controller sends."""
    options = Path(sys.argv[1]).read_text(encoding="utf-8")
    temporary = f'"_ansible_remote_tmp": "{tempfile.gettempdir()}"'
    arguments = f'{{"ANSIBLE_MODULE_ARGS": {{{temporary}, {options[1:-1]}}}}}'
    basic._ANSIBLE_ARGS = arguments.encode()
    basic._ANSIBLE_PROFILE = "legacy"
    nomba_token_revoke.main()


if __name__ == "__main__":
    main()
