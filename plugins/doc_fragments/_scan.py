# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  exclude:
    description:
      - Globs of files and folders to leave out of O(sources), such as V(*.pdf) or V(node_modules).
        They are counted in C(excluded) of RV(summary), and not RV(unread).
      - A glob with a slash is compared with the whole path, any other with the name. C(*) also
        matches slashes. The globs apply to the members of archives too, with their path in the
        archive.
      - A source that is named in O(sources) is never left out.
    type: list
    elements: str
  max_file_size:
    description:
      - The size of the largest file to read, such as V(500M) or V(2G). A larger one is RV(unread),
        and the module fails. It applies to the objects of Git repositories too.
      - By default, files of any size are read.
    type: bytes
"""
