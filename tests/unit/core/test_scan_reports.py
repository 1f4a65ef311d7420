# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of other scanners as sources, and the rule for one of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._scan import scan
from tests.unit.tables import each_row

from .token_factory import OTHER_ACCOUNT, SEED, rs256, token

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[3]
TOKEN = token(iat=1_800_000_000, exp=1_800_003_600)

REPORTS: dict[str, Any] = {
    "gitleaks": [{"RuleID": "jwt", "StartLine": 3, "Secret": TOKEN, "Match": f"token={TOKEN}"}],
    "SARIF": {
        "runs": [
            {
                "results": [
                    {
                        "ruleId": "jwt",
                        "locations": [
                            {"physicalLocation": {"region": {"snippet": {"text": TOKEN}}}}
                        ],
                    }
                ]
            }
        ]
    },
    "TruffleHog": {"DetectorName": "JWT", "Raw": TOKEN, "RawV2": "", "Redacted": TOKEN[:30]},
    "Kingfisher": {"findings": [{"finding": {"snippet": TOKEN, "line": 1, "path": "a.log"}}]},
    "GitHub secret scanning": [{"number": 1, "secret_type": "jwt", "secret": TOKEN}],
}


@each_row("indent", [None, 2])
@each_row("report", REPORTS.values(), ids=REPORTS.keys())
def test_token_in_report_is_found(tmp_path: Path, report: Any, indent: int | None) -> None:
    (tmp_path / "report").write_text(json.dumps(report, indent=indent))
    scanned = scan([], [str(tmp_path)])
    assert [one.text for one in scanned.tokens] == [TOKEN]
    assert scanned.unread == []


def test_rule_for_kingfisher_finds_tokens_of_accounts_only() -> None:
    text = (ROOT / "docs" / "examples" / "kingfisher" / "nomba.yml").read_text(encoding="utf-8")
    block = text.partition("pattern: |\n")[2].partition("    min_entropy")[0]
    pattern = re.compile("\n".join(line[6:] for line in block.splitlines()))
    for one in (TOKEN, SEED, token(OTHER_ACCOUNT)):
        (found,) = pattern.findall(f'x="{one}"\n{rs256()}')
        assert found == one
