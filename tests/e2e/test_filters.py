# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters in a play."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.nomba.auth.plugins.filter.token_claims import token_claims
from tests.simulator.control_client import ControlClient
from tests.simulator.tokens import fingerprint
from tests.unit.modules.canary import make_canary

from .controller import COLLECTIONS


def play(tmp_path: Path, expressions: dict[str, str], **variables: Any) -> tuple[int, str, Any]:
    """The status, the output and the values that expressions have in a play."""
    written = tmp_path / "values.json"
    values = {name: f"{{{{ {text} }}}}" for name, text in expressions.items()}
    task = {
        "ansible.builtin.copy": {"content": "{{ values | to_json }}", "dest": str(written)},
        "vars": {"values": values},
    }
    known = {"ansible_python_interpreter": sys.executable, **variables}
    book = {"hosts": "localhost", "gather_facts": False, "vars": known, "tasks": [task]}
    (tmp_path / "play.json").write_text(json.dumps([book]))
    environment = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_LOCALHOST_WARNING": "False"}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(COLLECTIONS)
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    run = subprocess.run(
        [program, str(tmp_path / "play.json"), "-i", "localhost,", "-c", "local"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    result = json.loads(written.read_text()) if written.exists() else None
    return run.returncode, run.stdout, result


def test_filters_run_in_a_play(simulator: ControlClient, tmp_path: Path) -> None:
    canary = make_canary(simulator)
    expressions = {
        "name": "token | nomba.auth.token_fingerprint",
        "shown": "token | nomba.auth.token_claims",
        "account": "((' Bearer ' ~ token) | nomba.auth.token_claims).account",
        "all": "token | nomba.auth.token_claims(all=true)",
    }
    status, output, result = play(tmp_path, expressions, token=canary.token)
    assert status == 0, output
    assert result["name"] == fingerprint(canary.token)
    assert result["shown"] == token_claims(canary.token)
    assert result["account"] == simulator.account_id
    assert result["all"] == token_claims(canary.token, all=True)
    assert canary.leaks(output) == []


def test_filter_error_in_a_play_is_one_sentence(simulator: ControlClient, tmp_path: Path) -> None:
    head = simulator.mint().rpartition(".")[0]
    expressions = {"name": "token | nomba.auth.token_claims"}
    status, output, result = play(tmp_path, expressions, token=head)
    assert (status, result) == (2, None)
    assert "this is not a JWT with readable claims" in " ".join(output.split())
    assert head not in output
    assert "Traceback" not in output
