# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return the status that a real run would return,
      without changing a file and without sending the API a request that changes anything.
  diff_mode:
    description: Returns details on what has changed (or would change in check mode) when in diff
      mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second
      run changes nothing.
  action_group:
    description: Use C(group/nomba.auth.nomba) in C(module_defaults) to set defaults for all
      modules of this collection that send requests to the API.
    support: full
    membership:
      - nomba.auth.nomba
"""
