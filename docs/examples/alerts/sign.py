# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the signature of an alert for X-Hub-Signature-256: sign.py FILE_WITH_SECRET ALERT."""

from __future__ import annotations

import hmac
import sys
from pathlib import Path

secret, body = (Path(name).read_bytes() for name in sys.argv[1:3])
sys.stdout.write(f"sha256={hmac.new(secret.strip(), body, 'sha256').hexdigest()}\n")
