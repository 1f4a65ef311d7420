# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Obtaining a token by refresh or issue, and the errors when both fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._answer import ApiResult, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client, Grant
from ansible_collections.nomba.auth.plugins.module_utils._errors import (
    InvalidOption,
    IssueRefused,
    NoClearAnswer,
    NotSent,
)
from ansible_collections.nomba.auth.plugins.module_utils._issue import (
    ISSUED,
    REFRESHED,
    issue,
    obtain,
    refusal,
    require,
)
from ansible_collections.nomba.auth.plugins.module_utils._stored_token import Owner, StoredToken
from tests.unit.tables import each_row

from .token_factory import ACCOUNT, SEED, token

pytestmark = pytest.mark.pure

SECRET = "SECRET" * 14 + "AA=="
REFRESH = "01h4eks80yjzqxvjmkk2hbexfr1688561328991"
NEW = token(number=1)
OWNER = Owner("https://api.example", ACCOUNT, "a client")
STORED = StoredToken(OWNER, SEED, REFRESH)
LOST = "A token may have been issued that is in no file"


def granted(**data: str) -> ApiResult:
    """Return an answer with a grant of this data."""
    return ApiResult(Verdict.SUCCEEDED, "HTTP 200, code 00", 200, "00", data)


def rejected(status: int) -> ApiResult:
    """Return a rejection with this status."""
    return ApiResult(Verdict.REJECTED, f"HTTP {status}, code {status}", status, str(status))


CUT = ApiResult(Verdict.UNKNOWN, "the connection failed or was cut")
BROKEN = ApiResult(Verdict.UNKNOWN, "HTTP 500, code 500", 500, "500")


@dataclass
class FakeClient:
    """Return fixed answers and record the requests."""

    issues: ApiResult = field(default_factory=lambda: granted(access_token=NEW))
    refreshes: ApiResult = field(
        default_factory=lambda: granted(access_token=NEW, refresh_token="next")
    )
    requests: list[tuple[str, ...]] = field(default_factory=list)

    def issue(self, secret: str) -> ApiResult:
        self.requests.append(("issue", secret))
        return self.issues

    def refresh(self, refresh_token: str, access_token: str) -> ApiResult:
        self.requests.append(("refresh", refresh_token, access_token))
        return self.refreshes

    @property
    def client(self) -> Client:
        return cast(Client, self)


def causes() -> Mapping[int, tuple[str, tuple[str, ...]]]:
    """Return by status the error code and the causes that the message must name."""
    allow_list = ("address", "allow list")
    firewall = ("firewall", "country", "cloud")
    accounts = ("account_id", "parent account", "sub-account")
    return {
        400: ("bad_request", ("account_id", "client_id", "proxy")),
        403: ("forbidden", ("client_secret", "private key", *accounts, *allow_list, *firewall)),
        404: ("unknown_client", ("client_id", "suspended", "test and live")),
        401: ("refused", ("no reason",)),
        405: ("refused", ("no reason",)),
        422: ("refused", ("no reason",)),
    }


# Refresh with fallback to issue


def test_token_is_issued_without_stored_token() -> None:
    api = FakeClient()
    got = obtain(api.client, SECRET, None)
    assert (got.grant, got.how, got.warnings) == (Grant(NEW), ISSUED, ())
    assert api.requests == [("issue", SECRET)]


@each_row("refresh_token", [None, ""])
def test_token_is_issued_without_refresh_token(refresh_token: str | None) -> None:
    api = FakeClient()
    got = obtain(api.client, SECRET, StoredToken(OWNER, SEED, refresh_token))
    assert (got.how, got.warnings) == (ISSUED, ())
    assert api.requests == [("issue", SECRET)]


@each_row("secret", [SECRET, None, ""])
def test_refresh_needs_no_secret(secret: str | None) -> None:
    api = FakeClient()
    got = obtain(api.client, secret, STORED)
    assert (got.grant, got.how, got.warnings) == (Grant(NEW, "next"), REFRESHED, ())
    assert api.requests == [("refresh", REFRESH, SEED)]


@each_row("status", [400, 401, 403, 404])
def test_rejected_refresh_falls_back_to_issue(status: int) -> None:
    api = FakeClient(refreshes=rejected(status))
    got = obtain(api.client, SECRET, STORED)
    assert (got.grant, got.how) == (Grant(NEW), ISSUED)
    (warning,) = got.warnings
    assert f"HTTP {status}" in warning
    assert LOST not in warning
    assert [name for name, *__ in api.requests] == ["refresh", "issue"]


@each_row("result", [CUT, BROKEN, granted(), granted(refresh_token="next")])
def test_refresh_without_clear_answer_warns_of_lost_token(result: ApiResult) -> None:
    api = FakeClient(refreshes=result)
    got = obtain(api.client, SECRET, STORED)
    (warning,) = got.warnings
    assert result.problem in warning
    assert LOST in warning
    assert [name for name, *__ in api.requests] == ["refresh", "issue"]


def test_failed_refresh_without_secret_names_option() -> None:
    api = FakeClient(refreshes=rejected(400))
    with pytest.raises(InvalidOption, match="client_secret"):
        obtain(api.client, None, STORED)
    assert [name for name, *__ in api.requests] == ["refresh"]


def test_error_of_issue_is_raised_when_both_fail() -> None:
    api = FakeClient(refreshes=rejected(400), issues=rejected(404))
    with pytest.raises(IssueRefused) as caught:
        obtain(api.client, SECRET, STORED)
    assert caught.value.code == "unknown_client"
    assert [name for name, *__ in api.requests] == ["refresh", "issue"]


# The secret


@each_row("secret", [None, "", " ", "\n"])
def test_missing_secret_is_rejected_and_nothing_is_sent(secret: str | None) -> None:
    api = FakeClient()
    with pytest.raises(InvalidOption, match="client_secret") as caught:
        issue(api.client, secret)
    assert caught.value.code == "invalid_option"
    assert api.requests == []


@each_row("form", ["{}", " {}\n", "{}\r\n"])
def test_secret_is_stripped(form: str) -> None:
    assert require(form.format(SECRET)) == SECRET


# Rejections


@each_row("status", causes())
def test_rejection_has_code_and_names_all_causes(status: int) -> None:
    code, phrases = causes()[status]
    with pytest.raises(IssueRefused) as caught:
        issue(FakeClient(issues=rejected(status)).client, SECRET)
    assert caught.value.code == code
    assert [phrase for phrase in phrases if phrase not in str(caught.value)] == []
    assert f"HTTP {status}" in str(caught.value)
    assert LOST not in str(caught.value)


def test_rejection_with_http_200_has_no_cause() -> None:
    answer = ApiResult(Verdict.REJECTED, "HTTP 200, code 99", 200, "99")
    result = refusal(answer)
    assert isinstance(result, IssueRefused)
    assert result.code == "refused"
    assert "code 99" in str(result)


@each_row("result", [CUT, BROKEN, granted(), granted(refresh_token="next")])
def test_unclear_answer_warns_of_lost_token(result: ApiResult) -> None:
    api = FakeClient(issues=result)
    with pytest.raises(NoClearAnswer, match=LOST) as caught:
        issue(api.client, SECRET)
    assert caught.value.code == "no_clear_answer"
    assert result.problem in str(caught.value)
    assert len(api.requests) == 1


def test_unsent_issue_cannot_have_issued_token() -> None:
    unsent = ApiResult(Verdict.UNKNOWN, "no connection to api.example:443", sent=False)
    with pytest.raises(NotSent, match="no connection to api") as caught:
        issue(FakeClient(issues=unsent).client, SECRET)
    assert caught.value.code == "not_sent"
    assert LOST not in str(caught.value)


def test_unsent_refresh_lost_no_token() -> None:
    unsent = ApiResult(Verdict.UNKNOWN, "no connection to api.example:443", sent=False)
    obtained = obtain(FakeClient(refreshes=unsent).client, SECRET, STORED)
    assert LOST not in " ".join(obtained.warnings)


@each_row("result", [rejected(400), rejected(403), rejected(404), rejected(401), CUT, granted()])
def test_error_and_result_omit_secrets(result: ApiResult) -> None:
    with pytest.raises((IssueRefused, NoClearAnswer)) as caught:
        obtain(FakeClient(result, result).client, SECRET, STORED)
    shown = f"{caught.value} {caught.value!r} {obtain(FakeClient().client, SECRET, STORED)!r}"
    assert not [one for one in (SECRET, REFRESH, SEED, NEW) if one in shown]
