# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No part of a token and no address is in a result, a log or a remaining file."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import urllib3

from tests.simulator.settings import OTHER_ACCOUNT_ID, SECOND_CLIENT_ID

from .canary import Canary, contents, make_canary
from .harness import ModuleResult, Revoke, capture_syslog
from .token_harness import Token

PASSWORD = "hunter2-hunter2-hunter2"


@dataclass
class Given:
    """A canary that the module gets in an option or in a source.

    Ansible masks the value of an option with no_log, which can hide a mistake of the collection.
    It does not mask the content of a source.
    """

    revoke: Revoke
    canary: Canary
    folder: Path
    way: str

    def __call__(self, **options: Any) -> ModuleResult:
        if self.way == "option":
            return self.revoke(self.canary.token, **options)
        source = self.folder / "log"
        source.write_text(f"Bearer {self.canary.token}, {self.canary.email}\n")
        return self.revoke(sources=[str(source)], **options)


Situation = Callable[[Given], ModuleResult]


@dataclass
class Logged:
    """The lines for syslog, and the log of the libraries."""

    syslog: list[str]
    libraries: pytest.LogCaptureFixture


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Logged:
    """Capture everything that is logged."""
    caplog.set_level(logging.DEBUG)
    return Logged(capture_syslog(monkeypatch), caplog)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A private folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def given(revoke: Revoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str) -> Given:
    """A canary, and a client secret in the environment that the module does not use."""
    secret = "c2VjcmV0-never-asked-for"
    monkeypatch.setenv("NOMBA_CLIENT_SECRET", secret)
    canary = make_canary(revoke.simulator, PASSWORD, secret, revoke.simulator.client_secret)
    return Given(revoke, canary, tmp_path, way)


def _plain(**options: Any) -> Situation:
    """Return a run with these options."""
    return lambda given: given(**options)


def _faulty(on: str, kind: str, **how: Any) -> Situation:
    """Return a run with a permanent fault; {token} and {email} in its parameters are filled in."""

    def situation(given: Given) -> ModuleResult:
        filled = {name: _filled(value, given.canary) for name, value in how.items()}
        given.revoke.simulator.fault(on, kind, times=0, **filled)
        return given()

    return situation


def _filled(value: Any, canary: Canary) -> Any:
    if isinstance(value, dict):
        return {name: _filled(text, canary) for name, text in value.items()}
    if not isinstance(value, str):
        return value
    return value.format(token=canary.token, email=canary.email)


def _configured(**settings: Any) -> Situation:
    """Return a run against a simulator with these settings."""

    def situation(given: Given) -> ModuleResult:
        given.revoke.simulator.configure(**settings)
        return given()

    return situation


def _raising(error: Callable[[str], Exception]) -> Situation:
    """Return a run in which the library raises an error with the token and the address."""

    def situation(given: Given) -> ModuleResult:
        def send(*_words: Any, **_options: Any) -> None:
            raise error(f"{given.canary.token} {given.canary.email}")

        given.revoke.monkeypatch.setattr(requests.Session, "send", send)
        return given()

    return situation


def _missing(library: str) -> Situation:
    def situation(given: Given) -> ModuleResult:
        given.revoke.monkeypatch.setitem(sys.modules, library, None)
        return given()

    return situation


def _from_environment(given: Given) -> ModuleResult:
    given.revoke.monkeypatch.setenv("NOMBA_ACCESS_TOKEN", f" Bearer {given.canary.token} ")
    return given.revoke()


def _unread(given: Given) -> ModuleResult:
    return given.revoke(given.canary.token, sources=[str(given.folder / "missing")])


def _strange_authority(given: Given) -> ModuleResult:
    trustme.CA().cert_pem.write_to_path(str(given.folder / "ca.pem"))
    return given(ca_path=str(given.folder / "ca.pem"))


def _proxied(given: Given) -> ModuleResult:
    proxy = given.revoke.simulator.http_url.replace("//", f"//me:{PASSWORD}@")
    given.revoke.monkeypatch.setenv("https_proxy", proxy)
    given.revoke.monkeypatch.setenv("no_proxy", "")
    return given()


def _malformed(given: Given) -> ModuleResult:
    token = given.canary.token
    return given.revoke(token[:-1], token[1:], f"{token}.{token}", f'{{"t":"{token}"}}', token[:90])


def _expired(given: Given) -> ModuleResult:
    given.canary = make_canary(given.revoke.simulator, age=7200, lifetime=3600)
    return given()


def _url_with(form: str) -> Situation:
    return lambda given: given(api_url=form.format(token=given.canary.token))


def _short_of_time(given: Given) -> ModuleResult:
    given.revoke.simulator.fault("revoke", "rate_limited", retry_after=3600, times=0)
    return given(access_token=make_canary(given.revoke.simulator).token, deadline=10, concurrency=1)


ECHOES = {
    "code": "{token}",
    "description": "{token} {email} {{'access_token':'{token}'}} <{email}> {token}",
}
HEADERS = dict.fromkeys(["Retry-After", "X-Rate-Limit-Window", "Location", "Date"], "{token}")
SITUATIONS: dict[str, Situation] = {
    "revoked": _plain(),
    "check and diff": _plain(check=True, diff=True),
    "real and diff": _plain(diff=True),
    "unread": _unread,
    "from the environment": _from_environment,
    "expired": _expired,
    "malformed": _malformed,
    "dead": _configured(revoke_dead="not_found", suspension_kills_tokens=True),
    "still accepted": _configured(revoke_effective=False),
    "sandbox": _configured(sandbox=True),
    "not attempted": _short_of_time,
    "wrong client": _plain(client_id=SECOND_CLIENT_ID),
    "wrong account": _plain(account_id=OTHER_ACCOUNT_ID),
    "echo of the revoke": _faulty("revoke", "echo"),
    "echo of the probe": _faulty("balance", "echo", status=401),
    "echo with success": _faulty("any", "echo", status=200),
    "echo in the code": _faulty("any", "code", **ECHOES),
    "echo in headers": _faulty("any", "rate_limited", headers=HEADERS),
    "redirect": _faulty("any", "redirect", location="/{token}"),
    "server error": _faulty("any", "status", status=500, description="{token} {email}"),
    "reset": _faulty("any", "reset"),
    "truncated": _faulty("revoke", "truncated"),
    "HTML": _faulty("any", "html"),
    "strange authority": _strange_authority,
    "proxy": _proxied,
    "requests.InvalidURL": _raising(requests.exceptions.InvalidURL),
    "requests.ConnectionError": _raising(requests.ConnectionError),
    "requests.SSLError": _raising(requests.exceptions.SSLError),
    "requests.InvalidHeader": _raising(requests.exceptions.InvalidHeader),
    "urllib3.LocationParseError": _raising(urllib3.exceptions.LocationParseError),
    "OSError": _raising(OSError),
    "UnicodeError": _raising(UnicodeError),
    "without requests": _missing("requests"),
    "without PyJWT": _missing("jwt"),
    "bad leeway": _plain(leeway=-1),
    "bad type": _plain(timeout="soon"),
    "bad choice": _plain(proof="perhaps"),
    "unknown option": _plain(acces_token="x"),
    "URL with credentials": _url_with(f"https://me:{PASSWORD}@api.nomba.com"),
    "URL with a token for a user": _url_with("https://{token}@api.nomba.com"),
}


# Ansible masks a token in an option, so that a mistake of the collection shows in a source first.
# As an option: every situation in which Ansible itself or the code before the scan fails.
AS_OPTION = ("revoked", "real and diff", "not attempted", "echo of the revoke", "without PyJWT")
AS_OPTION += (
    "bad leeway",
    "bad type",
    "bad choice",
    "unknown option",
    "URL with a token for a user",
)
CASES = [("source", name) for name in SITUATIONS] + [("option", name) for name in AS_OPTION]


@pytest.mark.parametrize(("way", "name"), CASES)
def test_no_part_of_a_token_is_in_output_logs_or_files(
    given: Given, logged: Logged, temporary: Path, name: str
) -> None:
    returned = SITUATIONS[name](given)
    assert given.canary.leaks(returned.output) == []
    assert given.canary.leaks(*logged.syslog, logged.libraries.text) == []
    assert given.canary.leaks(*contents(temporary)) == []
    assert any("Invoked with" in line for line in logged.syslog) is not _is_refused_at_once(
        returned
    )


def _is_refused_at_once(returned: ModuleResult) -> bool:
    """Return whether AnsibleModule rejected the options before it logged the call."""
    return returned.failed and "error" not in returned.result


@pytest.mark.parametrize("option", ["account_id", "client_id", "ca_path", "api_url"])
def test_token_in_a_wrong_option_is_not_repeated(
    revoke: Revoke, logged: Logged, option: str
) -> None:
    canary = make_canary(revoke.simulator)
    returned = revoke("this is no token", **{option: canary.token})
    assert returned.failed
    assert canary.leaks(returned.output, *logged.syslog) == []
    assert any("Invoked with" in line for line in logged.syslog)
    assert revoke.simulator.requests() == []


def test_token_given_as_a_source_is_revoked_and_not_repeated(
    revoke: Revoke, logged: Logged
) -> None:
    canary = make_canary(revoke.simulator)
    returned = revoke("this is no token", sources=[canary.token])
    assert returned.failed
    assert returned.outcomes == ["malformed", "revoked"]
    assert canary.leaks(returned.output, *logged.syslog) == []
    assert revoke.simulator.live() == []


def test_secret_scan_detects_canary(revoke: Revoke, tmp_path: Path) -> None:
    # The other tests rely on this search.
    canary = make_canary(revoke.simulator, PASSWORD)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_text(f"x{canary.token[60:120]}x")
    assert canary.leaks(f"<{canary.token.rpartition('.')[2]}>")
    assert canary.leaks(f"from {canary.email}")
    assert canary.leaks(f"https://me:{PASSWORD}@host") == [PASSWORD]
    assert canary.leaks(*contents(tmp_path))
    assert canary.leaks("nothing", revoke.simulator.mint()[:24]) == []


@pytest.mark.parametrize("size", [3, 20], ids=["three characters", "twenty characters"])
@pytest.mark.parametrize("operation", ["balance", "revoke"])
def test_echo_in_pieces_is_not_repeated(
    revoke: Revoke, tmp_path: Path, size: int, operation: str
) -> None:
    canary = make_canary(revoke.simulator)
    payload = canary.token.split(".")[1]
    pieces = " ".join(payload[i : i + size] for i in range(40, 140, size))
    name, _at, domain = canary.email.partition("@")
    echo = f"{pieces} of {name} at {domain}"
    revoke.simulator.fault(operation, "status", status=400, description=echo, times=0)
    (tmp_path / "log").write_text(canary.token)
    output = revoke(sources=[str(tmp_path / "log")]).output
    letters = "".join(c for c in output if c.isalnum())
    assert canary.leaks(output) == []
    assert not [i for i in range(40, 120) if payload[i : i + 12] in letters]
    assert name.partition(".")[2] not in output
    assert operation != "revoke" or "[redacted]" in output


def test_secret_in_the_answer_to_an_issue_is_not_repeated(token: Token) -> None:
    secret = token.simulator.client_secret
    echo = " ".join(secret[i : i + 20] for i in range(0, 80, 20))
    token.simulator.fault("issue", "status", status=403, description=echo)
    output = token().output
    assert not [i for i in range(60) if secret[i : i + 8] in output]
    assert "[redacted]" in output
