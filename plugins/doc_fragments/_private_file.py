# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  unsafe_writes:
    description:
      - Has no effect. The file is always replaced atomically.
    type: bool
    default: false
  attributes:
    description:
      - The attributes of O(dest), as C(lsattr) shows them. C(a) and C(i) are refused, because a
        file with them cannot be replaced.
    type: str
notes:
  - O(dest) is a regular file. A link in its place is followed only if it belongs to root or to the
    user who runs the module, and no other user can exchange it.
  - No user except root, the user who runs the module, and the owner of O(dest) may have write
    access to a folder in its path. The owner is O(owner) or, if this is not set, the current owner
    of the file. A folder of an application's user therefore needs O(owner).
  - A file that root replaces keeps its owner and group if O(owner) and O(group) are not set.
"""
