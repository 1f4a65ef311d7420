# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  access_token:
    description:
      - One token. Surrounding white space and a leading C(Bearer) are tolerated.
      - The environment variable E(NOMBA_ACCESS_TOKEN) of the host that runs the module is used
        when none of
        O(access_token), O(access_tokens) and O(sources) is set.
    type: str
  access_tokens:
    description:
      - Several tokens. Duplicates are done once.
    type: list
    elements: str
  sources:
    description:
      - Files and folders on the host that runs the module. Every Nomba token in them counts,
        whatever their format
        (environment file, JSON, log), without the token ever leaving the module.
      - Folders are searched with all folders below them. Links to files are followed, links to
        folders below are not. Only regular files are read; a FIFO, a socket or a device below a
        folder is passed over, and one that is named here is RV(unread).
      - The names of files and folders are searched too, and so are the targets of links.
      - A token that is cut short is V(malformed) when what is left of it names a Nomba account.
      - Compressed, archived and encrypted files are not unpacked, but listed as RV(unread). JWTs
        that name no Nomba account are left alone and counted.
    type: list
    elements: path
  leeway:
    description:
      - Seconds for which a token still counts as live after its C(exp), so that a clock that is
        ahead does not let a live
        token be skipped.
    type: float
    default: 300.0
"""
