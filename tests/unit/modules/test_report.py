# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for the file of an incident: complete, private, without a secret, never replaced."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.module_utils._rotation_report import Findings, report
from ansible_collections.nomba.auth.plugins.modules import nomba_report
from tests.unit.clock import NOW
from tests.unit.core.rotation_factory import HOSTS, MARKS, OLD, options, whole_rotation
from tests.unit.core.rotation_factory import row as retired_row
from tests.unit.core.token_factory import token

from .conftest import Revoke
from .harness import ModuleResult, run_module
from .test_documents import ANSIBLES_OWN, VALUE

RETURNED = yaml.safe_load(nomba_report.RETURN)
SCHEMA = Path(__file__).parents[3] / "docs" / "report.schema.json"
FOUND_ON_HOST = {"host": "web1", "path": "/log", "line": 3}
WHO = {"actor": "ada", "control_host": "bastion", "incident": "INC-42"}


class Report:
    """nomba_report in an empty folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.monkeypatch = monkeypatch
        self.folder = folder

    def __call__(self, check: bool = False, **given: Any) -> ModuleResult:
        path = str(self.folder / "incident")
        values = {"path": path, "_ansible_check_mode": check, **WHO, **given}
        return run_module(nomba_report.main, values, self.monkeypatch)

    def read(self, name: str = "incident") -> tuple[dict[str, Any], str]:
        """Return the JSON document and the Markdown."""
        text = (self.folder / f"{name}.json").read_text(encoding="utf-8")
        return json.loads(text), (self.folder / f"{name}.md").read_text(encoding="utf-8")


@pytest.fixture
def write_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Report:
    folder = tmp_path / "reports"
    folder.mkdir()
    return Report(monkeypatch, folder)


def rotation(**findings: Any) -> dict[str, Any]:
    """Return what the role registers after a rotation."""
    given = Findings(**{"mode": "token", "why": "it was forced", "hosts": HOSTS, **findings})
    found = report(whole_rotation(), given, options(), NOW + 20)
    return {**found.values, "steps": found.lines, "actor": "ada"}


def test_report_names_each_token_its_location_and_the_proof(
    revoke: Revoke, write_report: Report, tmp_path: Path
) -> None:
    log = tmp_path / "app.log"
    log.write_text(f"first line\nBearer {revoke.simulator.mint()} x\n", encoding="utf-8")
    found = dict(revoke(access_token=None, sources=[str(log)]).result)
    cut = dict(revoke("eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ").result)
    written = write_report(revocations={"web1": found, "web2": cut})
    document, shown = write_report.read()

    assert (document["verdict"], document["failed"]) == ("1 of 2 tokens are proved dead", True)
    assert [document[name] for name in WHO] == list(WHO.values())
    assert [one["proved"] for one in document["credentials"]] == [False, True]
    dead = document["credentials"][1]
    assert dead["locations"][0]["host"] == "web1"
    assert dead["locations"][0]["path"] == str(log)
    steps = [(one["step"], one["result"]) for one in dead["evidence"]]
    assert steps == [
        ("probe_before", "accepted"),
        ("revoke", "succeeded"),
        ("probe_after", "refused"),
    ]
    assert dead["time"] == dead["evidence"][-1]["time"] != ""
    assert document["problems"][0].startswith("web2: ")
    for part in (dead["fingerprint"], str(log), "INC-42", "probe_after refused (HTTP 401"):
        assert part in shown
    assert written["report"] == document


def test_report_of_a_rotation_names_hosts_events_and_what_is_unknown(write_report: Report) -> None:
    gone = retired_row(OLD, "client_refused", at="2027-01-15T09:21:10Z")
    write_report(rotation=rotation(before=MARKS[OLD], rows=[gone]))
    document, shown = write_report.read()
    assert document["verdict"].startswith(f"ROTATED token {MARKS[OLD]} -> ")
    assert [one["name"] for one in document["hosts"]] == list(HOSTS)
    assert all(one["in_service"] for one in document["hosts"])
    assert [one["outcome"] for one in document["credentials"]] == ["client_refused", "in_service"]
    assert document["unknown"][0].startswith("Tokens that an old client issued")
    assert document["events"][-1]["outcome"] == "finished"
    for part in ("## Hosts", "## Still unknown", "## Events", "2027-01-15T09:21:10Z"):
        assert part in shown


def test_scan_with_an_unread_source_has_failed(write_report: Report) -> None:
    unread = [{"host": "web1", "path": "/log", "reason": "Permission denied"}]
    scanned = {"results": [], "hosts": [], "unread": unread}
    failed = write_report(revocations={"scan": scanned})
    assert failed["report"]["problems"] == ["1 source(s) were not searched completely"]
    assert failed["report"]["unread"] == unread
    (event,) = failed["events"]
    assert (event["outcome"], event["detail"]) == ("failed", failed["report"]["problems"][0])
    done = write_report(revocations={"scan": {**scanned, "unread": []}})
    (event,) = done["events"]
    assert (event["outcome"], event["step"], event["fingerprints"]) == (
        "nothing_found",
        "revocation",
        [],
    )
    assert event["actor"] == "ada"


def test_events_have_the_fields_of_those_of_a_rotation(
    revoke: Revoke, write_report: Report
) -> None:
    found = dict(revoke(revoke.simulator.mint()).result)
    document = write_report(revocations={"a": found})
    (event,) = document["events"]
    assert set(event) == set(rotation()["events"][0])
    (credential,) = document["report"]["credentials"]
    name = f"{credential['time']} {credential['fingerprint']} revoked"
    assert (event["id"], event["detail"]) == (name, "proved dead")


@pytest.mark.newest
def test_documents_match_the_published_schema(revoke: Revoke, write_report: Report) -> None:
    import jsonschema  # only with the newest Ansible

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    check = jsonschema.Draft202012Validator(schema)
    failed = dict(revoke("eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ", sources=["/missing"]).result)
    given: list[dict[str, Any]] = [
        {"revocations": {"a": dict(revoke(revoke.simulator.mint()).result), "b": failed}},
        {"revocations": {"a": {"failed": True, "msg": "unreachable"}}},
        {"rotation": rotation(rows=[retired_row(OLD, client_id="0c0c")], unread=["a: /x"])},
        {"rotation": rotation(found=[retired_row(OLD, found_in=[FOUND_ON_HOST])])},
    ]
    for one in given:
        check.validate(write_report(**one)["report"])
    with pytest.raises(jsonschema.ValidationError):
        check.validate({"format": "nomba.auth report 1"})


def test_reports_are_private_and_never_replaced(write_report: Report) -> None:
    first = write_report(rotation=rotation())
    before = write_report.read()
    second = write_report(rotation=rotation())
    names = [[Path(path).name for path in one["paths"]] for one in (first, second)]
    assert names == [["incident.json", "incident.md"], ["incident-2.json", "incident-2.md"]]
    assert write_report.read() == before
    for path in (*first["paths"], *second["paths"]):
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_report_contains_no_token_and_no_email_address(write_report: Report) -> None:
    secret = token(jti="in a message")
    errors = [f"pay1: the service printed {secret}", "pay2: ask ada@example.com"]
    write_report(rotation={**rotation(), "errors": errors})
    document, shown = write_report.read()
    assert document["problems"] == [
        "pay1: the service printed " + document["problems"][0].rsplit(" ", 1)[1],
        "pay2: ask <e-mail>",
    ]
    for text in (json.dumps(document), shown):
        assert "eyJ" not in text
        assert "ada@" not in text


def test_check_mode_writes_no_report(write_report: Report) -> None:
    result = write_report(rotation=rotation(), check=True)
    assert result["msg"].startswith("Check mode: a real run would write ")
    assert list(write_report.folder.iterdir()) == []


def test_wrong_value_is_rejected_with_the_option(write_report: Report) -> None:
    for option in ("rotation", "revocations"):
        result = write_report(**{option: {"msg": "skipped"}})
        assert (result.failed, result.error) == (True, "invalid_option")
        assert result["msg"].startswith(f"{option}: it is not what ")
    assert list(write_report.folder.glob("*.*")) == []


def test_every_return_value_is_documented(write_report: Report) -> None:
    result = write_report(rotation=rotation())
    assert set(result.result) - ANSIBLES_OWN == {"paths", "report", "events"}
    assert set(RETURNED) == {"paths", "report", "events", "error"}
    failed = write_report(rotation={})
    assert failed.error in VALUE.findall(str(RETURNED["error"]))
