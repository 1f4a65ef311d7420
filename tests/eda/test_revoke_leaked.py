# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rulebook in a real ansible-rulebook: what alerts lead to, and what nobody gets to see."""

from __future__ import annotations

import json

import pytest

from tests.simulator.tokens import fingerprint
from tests.unit.modules.canary import make_canary

from .listener import SECRET, Listener, await_that, sign


def alert(token: str) -> dict[str, object]:
    """An alert that names a token in the middle of something else."""
    place = {"path": "src/pay.py", "line": f'headers = {{"Authorization": "Bearer {token}"}}'}
    return {"action": "created", "alert": {"number": 42, "locations": [place]}}


def test_a_signed_alert_revokes_the_token_and_nobody_sees_it(listener: Listener) -> None:
    canary = make_canary(listener.simulator, SECRET)
    with listener.running():
        assert listener.alert(alert(canary.token)) == 200
        (spool,) = listener.spool
        await_that(lambda: "Ansible runner rc: 0" in listener.output, "the playbook has ended")
    assert not listener.simulator.accepts(canary.token)
    assert [entry.operation for entry in listener.simulator.writes()] == ["revoke"]
    assert fingerprint(canary.token) in listener.output
    assert listener.spool == []
    assert not canary.leaks(listener.output, *listener.left, *listener.seen.processes)
    assert any(b"ansible-playbook" in line for line in listener.seen.processes)
    files = listener.seen.files.items()
    assert {path: mode for path, (mode, text) in files if canary.leaks(text)} == {spool: 0o600}


def test_an_alert_that_is_not_signed_does_nothing(listener: Listener) -> None:
    token = listener.simulator.mint()
    body = json.dumps(alert(token)).encode()
    with listener.running():
        for signature in (None, "", sign(body, "another secret"), sign(b"{}"), "sha256=é"):
            assert listener.post(body, signature) >= 400
        assert listener.post(body + b" ", sign(body)) == 401
        # What came before it has been dealt with once this is.
        assert listener.alert({"zen": "Keep it logically awesome."}) == 200
        await_that(lambda: "The alert names no token." in listener.output, "it is said")
    assert listener.simulator.requests() == []
    assert listener.simulator.accepts(token)
    assert not [path for path in listener.seen.files if "nomba_leaked" in str(path)]


def test_a_token_that_is_not_dead_stays_in_its_file(listener: Listener) -> None:
    canary = make_canary(listener.simulator)
    listener.simulator.configure(revoke_effective=False)
    with listener.running():
        assert listener.alert(alert(canary.token)) == 200
        await_that(lambda: "is still_accepted" in listener.output, "it fails")
    (spool,) = listener.spool
    listener.simulator.configure(revoke_effective=True)
    again = listener.revoke_again(spool)
    assert again.returncode == 0, again.stdout
    assert not listener.simulator.accepts(canary.token)
    assert listener.spool == []
    assert not canary.leaks(listener.output, again.stdout, again.stderr, *listener.left)


@pytest.mark.parametrize("secret", ["", "short"])
def test_without_a_good_secret_nothing_listens(listener: Listener, secret: str) -> None:
    with listener.started(secret) as process:
        await_that(lambda: process.poll() is not None, "it ends")
    assert process.returncode != 0
    assert "has_less_than_32_characters" in listener.output
