# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics of the status, read by the parser of Prometheus."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._rotation import Inspection
from tests.unit.clock import NOW
from tests.unit.core.rotation_factory import MARKS, NEW, whole_rotation
from tests.unit.core.test_rotation_status import shown

RULES = Path(__file__).parents[3] / "docs" / "examples" / "prometheus" / "rules.yml"


@pytest.mark.newest
def test_metrics_can_be_parsed_and_the_alerts_use_them() -> None:
    from prometheus_client.parser import text_string_to_metric_families  # newest only

    text = shown(whole_rotation(), Inspection((MARKS[NEW],)), None).metrics
    found = {one.name: one.samples[0] for one in text_string_to_metric_families(text)}
    assert {name: sample.value for name, sample in found.items()} == {
        "nomba_credential_age_seconds": found["nomba_credential_age_seconds"].value,
        "nomba_credential_expires_in_seconds": found["nomba_credential_expires_in_seconds"].value,
        "nomba_credential_last_success_timestamp": NOW + 6,
        "nomba_credential_rotation_open": 0,
        "nomba_credential_not_proved_dead": 0,
        "nomba_credential_hosts_not_in_line": 1,
    }
    assert {sample.labels["store"] for sample in found.values()} == {'a "store"'}
    rules = RULES.read_text(encoding="utf-8")
    assert all(name in rules for name in found)
