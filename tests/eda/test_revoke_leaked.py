# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rulebook in a real ansible-rulebook: alerts revoke tokens, and no token is exposed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from tests.simulator.tokens import fingerprint
from tests.unit.docs.guides import ROOT, blocks
from tests.unit.modules.canary import make_canary

from .listener import SECRET, Listener, sign, wait_until

NO_TOKEN = "The alert names no token."
REVOKE, REPORT = "Revoke the tokens that an alert names", "Report that an alert names no token"


def alert(token: str) -> dict[str, object]:
    """Return an alert with a token inside other text."""
    location = {"path": "src/pay.py", "line": f'headers = {{"Authorization": "Bearer {token}"}}'}
    return {"action": "created", "alert": {"number": 42, "locations": [location]}}


def printed(output: str) -> list[str]:
    """Return what the playbook prints, without warnings and the log of ansible-rulebook."""
    (start,) = re.findall(r"^Revoke the tokens of the alert$", output, re.MULTILINE)
    lines = output[output.index(f"\n{start}\n") :].split("\n\n", maxsplit=1)[0].splitlines()
    return [line for line in lines if line and not re.match(r"\[WARNING\]|20\d\d-|\*\*", line)]


def test_signed_alert_revokes_the_token_without_exposing_it(listener: Listener) -> None:
    canary = make_canary(listener.simulator, SECRET)
    listener.callback = "nomba.auth.steps"
    with listener.running():
        assert listener.alert(alert(canary.token)) == 200
        (spool,) = listener.spool
        end = f"{REVOKE} finished"
        wait_until(lambda: end in listener.output, "the playbook ends")
        # Alerts are processed in order, so this one is the last.
        assert listener.alert({"zen": "Design for failure."}) == 200
        wait_until(
            lambda: f"\n{NO_TOKEN}\n" in listener.output.rpartition(end)[2], "the last alert"
        )
    assert listener.output.splitlines().count(NO_TOKEN) == 1
    # Each rule applied to an alert, and not because time has passed.
    applied = re.findall(r'effective rule "([^"]+)" with facts: (\{m=)?', listener.output)
    assert applied == [(REVOKE, "{m="), (REPORT, "{m=")]
    assert printed(listener.output) == [
        "Revoke the tokens of the alert",
        "changed Revoke the tokens and verify the revocation [localhost]",
        "ok      Make the report [localhost]",
        "ok      Append the outcomes to the audit log [localhost]",
        "changed Remove the file [localhost]",
    ]
    assert "\n\nREVOKED AND VERIFIED 1 of 1 token.\n" in listener.output
    assert not listener.simulator.accepts(canary.token)
    assert [entry.operation for entry in listener.simulator.writes()] == ["revoke"]
    assert fingerprint(canary.token) in listener.output
    assert listener.spool == []
    assert not canary.leaks(listener.output, *listener.leftovers, *listener.observed.processes)
    assert any(b"ansible-playbook" in line for line in listener.observed.processes)
    files = listener.observed.files.items()
    assert {path: mode for path, (mode, text) in files if canary.leaks(text)} == {spool: 0o600}


def test_alert_of_the_guide_revokes_the_token(listener: Listener) -> None:
    token = listener.simulator.mint()
    folder = listener.folder
    (folder / "webhook-secret").write_text(f"{SECRET}\n")
    (folder / "alert.json").write_text(json.dumps(alert(token), indent=1))
    shutil.copy(ROOT / "docs" / "examples" / "alerts" / "sign.py", folder)
    (text,) = (text for guide, text in blocks("console") if guide == "alerts" and "curl" in text)
    script = re.sub(r"^\$ ", "", text, flags=re.MULTILINE).replace(":5000", f":{listener.port}")
    with listener.running():
        shell = ["bash", "-euo", "pipefail", "-c", script]
        subprocess.run(shell, cwd=folder, env=listener.environment, check=True)
        wait_until(lambda: "Ansible runner rc: 0" in listener.output, "the playbook ends")
    assert not listener.simulator.accepts(token)


def test_alert_without_valid_signature_has_no_effect(listener: Listener) -> None:
    token = listener.simulator.mint()
    body = json.dumps(alert(token)).encode()
    with listener.running():
        for signature in (None, "", sign(body, "another secret"), sign(b"{}"), "sha256=é"):
            assert listener.post(body, signature) >= 400
        assert listener.post(body + b" ", sign(body)) == 401
        # Alerts are processed in order, so this one is the last.
        assert listener.alert({"zen": "Keep it logically awesome."}) == 200
        wait_until(lambda: f"\n{NO_TOKEN}\n" in listener.output, "the rulebook reports the alert")
    assert listener.simulator.requests() == []
    assert listener.simulator.accepts(token)
    assert not [path for path in listener.observed.files if "nomba_leaked" in str(path)]


def test_file_of_a_valid_token_remains(listener: Listener) -> None:
    canary = make_canary(listener.simulator)
    listener.simulator.configure(revoke_effective=False)
    with listener.running():
        assert listener.alert(alert(canary.token)) == 200
        wait_until(lambda: "STILL ALIVE 1 of 1 token: " in listener.output, "the playbook fails")
        row = f"still_accepted  {fingerprint(canary.token)}"
        wait_until(lambda: row in listener.output, "the playbook reports each token")
    (spool,) = listener.spool
    listener.simulator.configure(revoke_effective=True)
    again = listener.run_playbook(spool)
    assert again.returncode == 0, again.stdout
    assert not listener.simulator.accepts(canary.token)
    assert listener.spool == []
    assert not canary.leaks(listener.output, again.stdout, again.stderr, *listener.leftovers)


@pytest.mark.parametrize("secret", ["", "short"])
def test_short_secret_stops_the_start(listener: Listener, secret: str) -> None:
    with listener.started(secret) as process:
        wait_until(lambda: process.poll() is not None, "ansible-rulebook ends")
    assert process.returncode != 0
    assert "has_less_than_32_characters" in listener.output
