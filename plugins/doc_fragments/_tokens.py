# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  access_token:
    description:
      - One token. White space around it and a leading C(Bearer) are ignored.
      - The environment variable E(NOMBA_ACCESS_TOKEN) of the host that runs the module is used
        when none of O(access_token), O(access_tokens) and O(sources) is set.
    type: str
  access_tokens:
    description:
      - Several tokens. Duplicates are processed once.
    type: list
    elements: str
  sources:
    description:
      - Files and folders on the host that runs the module. The module finds every Nomba token in
        them, in files of any format (environment file, JSON, log). The tokens do not leave the
        module.
      - Folders are scanned recursively. Links to files are followed, links to folders below are
        not. Only regular files are read. A FIFO, a socket or a device below a folder is skipped;
        one that is named here is RV(unread).
      - The names of files and folders, and the targets of links, are scanned too.
      - A token that is cut short is V(malformed) if the rest of it names a Nomba account.
      - Compressed files and archives are opened in memory, nested ones too, and are detected by
        their content. These are gzip, bzip2, xz, lzma, zlib, tar, zip (also JAR and office
        documents), Debian packages, and zstd with Python 3.14 or newer.
      - The objects of Git repositories are read with the C(git) of the host, also those that no
        branch reaches. The files of the systemd journal are read with its C(journalctl).
      - Tokens are also found in base64 and base64url, in UTF-16, with percent-encoding, escapes of
        JSON, quoted-printable or ANSI colors, and wrapped over lines as in mails, YAML, shell
        scripts and strings of source code.
      - What cannot be read completely is listed as RV(unread), and the module fails. JWTs that name
        no Nomba account are counted and ignored.
    type: list
    elements: path
  leeway:
    description:
      - Seconds that a token counts as live after its C(exp), so that a live token is not skipped
        if the clock is ahead.
    type: float
    default: 300.0
"""
