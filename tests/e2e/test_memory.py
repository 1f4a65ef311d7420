# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scan reads a huge file in little memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.modules.harness import Revoke

from .module_process import run_module_process

pytestmark = pytest.mark.newest

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize("filling", [b"\0", b"A"], ids=["sparse", "one word"])
def test_huge_file_is_read_in_little_memory(revoke: Revoke, tmp_path: Path, filling: bytes) -> None:
    expired = revoke.simulator.mint(age=7200, lifetime=3600).encode()
    small, huge = tmp_path / "small", tmp_path / "huge"
    small.write_bytes(b"\n" + expired)
    with huge.open("wb") as stream:
        _fill(stream.fileno(), filling, 300 * MEGABYTE)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\n" + expired)
    ids = {"account_id": revoke.simulator.account_id, "client_id": revoke.simulator.client_id}
    runs = [run_module_process({**ids, "sources": [str(file)]}, tmp_path) for file in (small, huge)]
    assert [run.result["results"][0]["found_in"][0]["line"] for run in runs] == [2, 2]
    assert runs[1].peak - runs[0].peak < 30 * MEGABYTE
    assert revoke.simulator.requests() == []


def _fill(file: int, filling: bytes, size: int) -> None:
    if filling == b"\0":
        os.ftruncate(file, size)
    else:
        for __ in range(size // MEGABYTE):
            os.write(file, filling * MEGABYTE)
