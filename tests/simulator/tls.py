# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away certificate authority, and a certificate for this machine's loopback."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Trust:
    """What the server presents, and the file that makes a client believe it."""

    context: ssl.SSLContext
    ca_path: Path


def make_trust(folder: Path) -> Trust:
    """A new authority; only its certificate is written, its key never leaves the memory."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES).configure_cert(context)
    folder.mkdir(parents=True, exist_ok=True)
    ca_path = folder / "simulator-ca.pem"
    authority.cert_pem.write_to_path(str(ca_path))
    return Trust(context, ca_path)
