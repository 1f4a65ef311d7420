# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run waits for the lock of another run on the same file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ansible_collections.nomba.auth.plugins.modules import nomba_token

from .request_log import operations
from .token_harness import Token


@pytest.fixture
def lock(token: Token) -> Iterator[int]:
    """The lock of the file, held by another run."""
    file = os.open(token.folder / ".token.json.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    yield file
    os.close(file)


def test_run_waits_for_the_other_and_finds_its_token(token: Token, lock: int) -> None:
    still = token.clock.as_clock()
    made = token.simulator.mint_pair()

    def other_run_ends(seconds: float) -> None:
        still.sleep(seconds)
        if len(token.clock.slept) == 3:
            token.write(made, expires_at=token.moment(3600))
            fcntl.flock(lock, fcntl.LOCK_UN)

    token.monkeypatch.setattr(nomba_token, "SYSTEM", replace(still, sleep=other_run_ends))
    returned = token()
    assert (returned["action"], returned["changed"]) == ("kept", False)
    assert returned["fingerprint"] == made["fingerprint"]
    assert len(token.clock.slept) == 3
    assert token.simulator.requests() == []


@pytest.mark.parametrize("held", [False, True], ids=["no file", "good file"])
def test_file_that_stays_locked_ends_the_run_at_its_deadline(
    token: Token, lock: int, held: bool
) -> None:
    if held:
        token.hold()
    returned = token(deadline=5)
    assert lock
    assert (returned.error, returned["changed"]) == ("locked", False)
    assert returned["msg"].startswith("dest: ")
    assert 0 < sum(token.clock.slept) < 5.2
    assert token.simulator.requests() == []


def test_lock_is_free_after_a_run_that_failed(token: Token) -> None:
    assert token(client_secret="d3Jvbmc=").error == "forbidden"
    returned = token()
    assert returned["action"] == "issued"
    assert token.clock.slept == []
    assert operations(token.simulator) == ["issue", "issue"]
