# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary certificate authority, and a certificate for loopback."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ServerTls:
    """The TLS context of the server, and the CA file for its clients."""

    context: ssl.SSLContext
    ca_path: Path


def make_server_tls(folder: Path) -> ServerTls:
    """Create an authority; write its certificate to the folder, but not its key."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES).configure_cert(context)
    folder.mkdir(parents=True, exist_ok=True)
    ca_path = folder / "simulator-ca.pem"
    authority.cert_pem.write_to_path(str(ca_path))
    return ServerTls(context, ca_path)
