# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scan reads huge and hostile files in little memory."""

from __future__ import annotations

import lzma
import os
import zlib
from pathlib import Path

import pytest

from tests.corpus.hostile import BOMB, Hostile, write_tree, zeros
from tests.unit.modules.harness import Revoke

from .module_process import run_module_process

pytestmark = pytest.mark.newest

MEGABYTE = 1024 * 1024
# This unpacks to more than 1 GiB.
GZIP = Hostile("gzip", lambda _token: zeros(zlib.compressobj(1, zlib.DEFLATED, 31), 1100), (BOMB,))


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


def test_bomb_is_unread_in_little_memory(revoke: Revoke, tmp_path: Path) -> None:
    ids = {"account_id": revoke.simulator.account_id, "client_id": revoke.simulator.client_id}
    small, bomb = tmp_path / "small", tmp_path / "bomb"
    small.write_bytes(b"\n")
    bomb.write_bytes(GZIP.content(""))
    runs = [run_module_process({**ids, "sources": [str(file)]}, tmp_path) for file in (small, bomb)]
    assert runs[1].peak - runs[0].peak < 30 * MEGABYTE
    assert [BOMB in row["reason"] for row in runs[1].result["unread"]] == [True]


def test_hostile_tree_is_read_in_little_memory(revoke: Revoke, tmp_path: Path) -> None:
    ids = {"account_id": revoke.simulator.account_id, "client_id": revoke.simulator.client_id}
    (tmp_path / "tree").mkdir()
    write_tree(tmp_path / "tree", revoke.simulator.mint(age=7200, lifetime=3600))
    empty = run_module_process({**ids, "sources": [os.devnull]}, tmp_path)
    run = run_module_process({**ids, "sources": [str(tmp_path / "tree")]}, tmp_path)
    assert run.peak - empty.peak < 30 * MEGABYTE
    assert run.result["summary"]["outcomes"]["expired"] == 1
    assert run.result["unread"] == []


def test_xz_with_large_dictionary_takes_at_most_that_memory(revoke: Revoke, tmp_path: Path) -> None:
    ids = {"account_id": revoke.simulator.account_id, "client_id": revoke.simulator.client_id}
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"\n")
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 64 * MEGABYTE}]  # as of xz -9
    large.write_bytes(lzma.compress(os.urandom(MEGABYTE) * 70, filters=filters))
    runs = [
        run_module_process({**ids, "sources": [str(file)]}, tmp_path) for file in (small, large)
    ]
    assert runs[1].peak - runs[0].peak < 100 * MEGABYTE
    assert runs[1].result["unread"] == []


def _fill(file: int, filling: bytes, size: int) -> None:
    if filling == b"\0":
        os.ftruncate(file, size)
    else:
        for __ in range(size // MEGABYTE):
            os.write(file, filling * MEGABYTE)
