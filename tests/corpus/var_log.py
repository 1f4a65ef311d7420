# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of /var/log on an ordinary Debian: text, rotated logs, and binary records."""

from __future__ import annotations

import base64
import gzip
import lzma
import struct
from pathlib import Path

# A record of wtmp, btmp and utmp on Linux.
_RECORD = struct.Struct("<h2xi32s4s32s256shhiii4i20x")
_LASTLOG = 292
_CERTIFICATE = base64.encodebytes(bytes(range(256)) * 5).decode()
_TEXTS = {
    "alternatives.log": "update-alternatives 2026-01-13 10:00:00: run with --install /usr/bin/w\n",
    "dpkg.log": "2026-01-13 10:00:00 status installed libc-bin:amd64 2.36-9+deb12u9\n",
    "apt/history.log": "Start-Date: 2026-01-13\nInstall: jq:amd64 (1.6-2.1, automatic)\n\n",
    "apt/term.log": "Unpacking jq (1.6-2.1) ...\r\nSetting up jq (1.6-2.1) ...\r\n",
    "auth.log": "Jan 13 10:00:00 web sshd[7]: Accepted publickey for ops: SHA256:eJw7Q0hT4zKJ\n",
    "syslog": "Jan 13 10:00:00 web kernel: [    0.000000] Linux version 6.1.0-28-amd64\n",
    "nginx/access.log": '10.0.0.1 - - [13/Jan/2026] "GET /?q=%65%79%4A HTTP/1.1" 200 "-"\n',
    "nginx/error.log": "2026/01/13 10:00:00 [error] 7#7: *1 open() failed (2: No such file)\n",
    "unattended-upgrades/unattended-upgrades.log": "2026-01-13 INFO No packages found\n",
    "postgresql/postgresql.log": "2026-01-13 10:00:00 UTC [7] LOG:  checkpoint starting: time\n",
    "installer/cdebconf/templates": f"-----BEGIN CERTIFICATE-----\n{_CERTIFICATE}-----END-----\n",
}


def write_var_log(folder: Path) -> None:
    """Write the tree, in which no file contains a token."""
    for name, line in _TEXTS.items():
        text = (line * 400).encode()
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
        file.with_name(f"{file.name}.1").write_bytes(text)
        file.with_name(f"{file.name}.2.gz").write_bytes(gzip.compress(text))
    (folder / "apt" / "eipp.log.xz").write_bytes(lzma.compress(b"Request: EDSP 0.5\n" * 4000))
    record = _RECORD.pack(7, 900, b"pts/0", b"ts/0", b"ops", b"10.0.0.9", 0, 0, 1, 2, 3, 0, 0, 0, 0)
    for name in ("wtmp", "btmp", "wtmp.1"):
        (folder / name).write_bytes(record * 200)
    (folder / "faillog").write_bytes(bytes(32) * 1000)
    with (folder / "lastlog").open("wb") as stream:  # by uid, so that it is sparse
        stream.write(struct.pack("<i32s256s", 1, b"pts/0", b"10.0.0.9"))
        stream.truncate(_LASTLOG * 4_000_000)
    (folder / "private").mkdir(mode=0o700)
    (folder / "README").symlink_to(folder / "dpkg.log")
