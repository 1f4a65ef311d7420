# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Getting a token: by refresh, by issue, or not at all, and then why."""

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

from .token_factory import ACCOUNT, SEED, token

pytestmark = pytest.mark.pure

SECRET = "SECRET" * 14 + "AA=="
REFRESH = "01h4eks80yjzqxvjmkk2hbexfr1688561328991"
NEW = token(number=1)
OWNER = Owner("https://api.example", ACCOUNT, "a client")
KEPT = StoredToken(OWNER, SEED, REFRESH)
LOST = "A token may have been issued that is in no file"


def yes(**data: str) -> ApiResult:
    """An answer that grants this."""
    return ApiResult(Verdict.SUCCEEDED, "HTTP 200, code 00", 200, "00", data)


def no(status: int) -> ApiResult:
    """A refusal with this status."""
    return ApiResult(Verdict.REJECTED, f"HTTP {status}, code {status}", status, str(status))


CUT = ApiResult(Verdict.UNKNOWN, "the connection failed or was cut")
BROKEN = ApiResult(Verdict.UNKNOWN, "HTTP 500, code 500", 500, "500")


@dataclass
class FakeClient:
    """Gives the answers that it was made with, and keeps the requests."""

    issues: ApiResult = field(default_factory=lambda: yes(access_token=NEW))
    refreshes: ApiResult = field(
        default_factory=lambda: yes(access_token=NEW, refresh_token="next")
    )
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def issue(self, secret: str) -> ApiResult:
        self.asked.append(("issue", secret))
        return self.issues

    def refresh(self, refresh_token: str, access_token: str) -> ApiResult:
        self.asked.append(("refresh", refresh_token, access_token))
        return self.refreshes

    @property
    def client(self) -> Client:
        return cast(Client, self)


def causes() -> Mapping[int, tuple[str, tuple[str, ...]]]:
    """By status: the code, and all that the message must tell the user to check."""
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


# Refresh, and issue where that does not work


def test_without_a_kept_token_one_is_issued() -> None:
    api = FakeClient()
    got = obtain(api.client, SECRET, None)
    assert (got.grant, got.how, got.warnings) == (Grant(NEW), ISSUED, ())
    assert api.asked == [("issue", SECRET)]


@pytest.mark.parametrize("refresh_token", [None, ""])
def test_without_a_refresh_token_one_is_issued(refresh_token: str | None) -> None:
    api = FakeClient()
    got = obtain(api.client, SECRET, StoredToken(OWNER, SEED, refresh_token))
    assert (got.how, got.warnings) == (ISSUED, ())
    assert api.asked == [("issue", SECRET)]


@pytest.mark.parametrize("secret", [SECRET, None, ""])
def test_a_refresh_needs_no_secret(secret: str | None) -> None:
    api = FakeClient()
    got = obtain(api.client, secret, KEPT)
    assert (got.grant, got.how, got.warnings) == (Grant(NEW, "next"), REFRESHED, ())
    assert api.asked == [("refresh", REFRESH, SEED)]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refresh_that_is_refused_is_made_up_for_by_an_issue(status: int) -> None:
    api = FakeClient(refreshes=no(status))
    got = obtain(api.client, SECRET, KEPT)
    assert (got.grant, got.how) == (Grant(NEW), ISSUED)
    (warning,) = got.warnings
    assert f"HTTP {status}" in warning
    assert LOST not in warning
    assert [name for name, *__ in api.asked] == ["refresh", "issue"]


@pytest.mark.parametrize("said", [CUT, BROKEN, yes(), yes(refresh_token="next")])
def test_a_refresh_without_a_clear_answer_is_told_as_a_possible_loss(said: ApiResult) -> None:
    api = FakeClient(refreshes=said)
    got = obtain(api.client, SECRET, KEPT)
    (warning,) = got.warnings
    assert said.problem in warning
    assert LOST in warning
    assert [name for name, *__ in api.asked] == ["refresh", "issue"]


def test_a_refresh_that_fails_without_a_secret_asks_for_it() -> None:
    api = FakeClient(refreshes=no(400))
    with pytest.raises(InvalidOption, match="client_secret"):
        obtain(api.client, None, KEPT)
    assert [name for name, *__ in api.asked] == ["refresh"]


def test_when_both_fail_the_issue_is_what_is_told() -> None:
    api = FakeClient(refreshes=no(400), issues=no(404))
    with pytest.raises(IssueRefused) as caught:
        obtain(api.client, SECRET, KEPT)
    assert caught.value.code == "unknown_client"
    assert [name for name, *__ in api.asked] == ["refresh", "issue"]


# The secret


@pytest.mark.parametrize("secret", [None, "", " ", "\n"])
def test_without_a_secret_nothing_is_sent(secret: str | None) -> None:
    api = FakeClient()
    with pytest.raises(InvalidOption, match="client_secret") as caught:
        issue(api.client, secret)
    assert caught.value.code == "invalid_option"
    assert api.asked == []


@pytest.mark.parametrize("around", ["{}", " {}\n", "{}\r\n"])
def test_a_secret_is_sent_without_what_copying_adds(around: str) -> None:
    assert require(around.format(SECRET)) == SECRET


# Refusals


@pytest.mark.parametrize("status", causes())
def test_a_refusal_has_a_code_and_names_every_cause(status: int) -> None:
    code, words = causes()[status]
    with pytest.raises(IssueRefused) as caught:
        issue(FakeClient(issues=no(status)).client, SECRET)
    assert caught.value.code == code
    assert [word for word in words if word not in str(caught.value)] == []
    assert f"HTTP {status}" in str(caught.value)
    assert LOST not in str(caught.value)


def test_a_refusal_within_a_success_gives_no_cause() -> None:
    said = ApiResult(Verdict.REJECTED, "HTTP 200, code 99", 200, "99")
    result = refusal(said)
    assert isinstance(result, IssueRefused)
    assert result.code == "refused"
    assert "code 99" in str(result)


@pytest.mark.parametrize("said", [CUT, BROKEN, yes(), yes(refresh_token="next")])
def test_what_is_no_clear_answer_may_have_issued_a_token(said: ApiResult) -> None:
    api = FakeClient(issues=said)
    with pytest.raises(NoClearAnswer, match=LOST) as caught:
        issue(api.client, SECRET)
    assert caught.value.code == "no_clear_answer"
    assert said.problem in str(caught.value)
    assert len(api.asked) == 1


def test_what_was_not_sent_cannot_have_issued_a_token() -> None:
    unsent = ApiResult(Verdict.UNKNOWN, "no connection to api.example:443", sent=False)
    with pytest.raises(NotSent, match="no connection to api") as caught:
        issue(FakeClient(issues=unsent).client, SECRET)
    assert caught.value.code == "not_sent"
    assert LOST not in str(caught.value)


def test_a_refresh_that_was_not_sent_lost_no_token() -> None:
    unsent = ApiResult(Verdict.UNKNOWN, "no connection to api.example:443", sent=False)
    obtained = obtain(FakeClient(refreshes=unsent).client, SECRET, KEPT)
    assert LOST not in " ".join(obtained.warnings)


@pytest.mark.parametrize("said", [no(400), no(403), no(404), no(401), CUT, yes()])
def test_what_is_told_and_what_is_held_shows_no_secret(said: ApiResult) -> None:
    with pytest.raises((IssueRefused, NoClearAnswer)) as caught:
        obtain(FakeClient(said, said).client, SECRET, KEPT)
    shown = f"{caught.value} {caught.value!r} {obtain(FakeClient().client, SECRET, KEPT)!r}"
    assert not [one for one in (SECRET, REFRESH, SEED, NEW) if one in shown]
