# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Input that cannot be used: one sentence that names the option and the remedy, no traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.settings import SUB_ACCOUNT_ID
from tests.unit.core.token_factory import base64url, jwt

from .harness import ModuleResult, Revoke
from .request_log import ONE_LIVE_TOKEN, operations

NAN, INFINITY = float("nan"), float("inf")
NOT_WHOLE = "it is not a complete JWT: set all three parts, separated by dots"


def is_clean(result: ModuleResult, *secrets: str) -> bool:
    """Whether a run failed without a traceback, and without repeating what it was given."""
    shown = [secret for secret in secrets if secret in result.output]
    return result.failed and "Traceback" not in result.output and not shown


# Tokens

WAYS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "an empty list": {"access_tokens": []},
    "no sources": {"sources": []},
}
MALFORMED: dict[str, Callable[[str], str]] = {
    "not a JWT": lambda _token: "correct-horse-battery-staple",
    "empty": lambda _token: "",
    "two parts": lambda token: token.rpartition(".")[0],
    "a JWE of five parts": lambda token: f"{token}.{token.split('.')[1]}.{token.split('.')[2]}",
    "an inner line end": lambda token: f"{token[:50]}\n{token[50:]}",
    "an inner space": lambda token: f"{token[:50]} {token[50:]}",
    "a second Bearer": lambda token: f"Bearer Bearer {token}",
    "cut short": lambda token: token[:-1],
    "one character more": lambda token: token + "A",
    "quoted": lambda token: f'"{token}"',
    "JSON": lambda token: json.dumps({"access_token": token}),
    "not ASCII": lambda token: token[:-1] + "é",
    "white space": lambda _token: " ",
    "100 KB": lambda token: token.replace(".", "." + "A" * 100_000, 1),
}
UNREADABLE: dict[str, str] = {
    "a payload that is not JSON": jwt(b"no JSON at all"),
    "a payload that is a list": jwt(b'["exp", 1]'),
    "a payload that is a number": jwt(b"1"),
    "an empty payload": jwt(b"{}"),
    "a payload that is nested deeply": jwt(b"[" * 5000),
    "a payload that is not UTF-8": jwt(b'{"exp":"\xff"}'),
    "a payload with a huge number": jwt(b'{"exp":' + b"9" * 5000 + b"}"),
    "a header that is not JSON": jwt(b"{}", b"no JSON"),
    "a header that is a list": jwt(b"{}", b"[1]"),
    "a header that is nested deeply": jwt(b"{}", b"[" * 5000, b"x" * 30),
    "a header with a strange key id": jwt(b"{}", b'{"alg":"RS256","kid":1}', b"x" * 256),
}
MOMENTS: dict[str, Any] = {
    "missing": None,
    "zero": 0,
    "negative": -1,
    "a string": "1600000000",
    "true": True,
    "a list": [1600000000],
    "not a number": NAN,
    "infinite": INFINITY,
    "negative infinity": -INFINITY,
    "10^400": 10**400,
    "milliseconds": 1600000000000,
}


@pytest.mark.parametrize("ways", WAYS.values(), ids=WAYS.keys())
def test_a_run_without_any_token_says_how_to_give_one(revoke: Revoke, ways: dict[str, Any]) -> None:
    result = revoke(**ways)
    assert result.error == "no_token"
    assert result["msg"] == (
        "access_token: no token is set; set access_token, access_tokens, sources "
        "or the variable NOMBA_ACCESS_TOKEN"
    )
    assert is_clean(result)
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("text", ["", " ", "\n\t "], ids=["empty", "space", "white space"])
def test_an_empty_token_is_no_token(revoke: Revoke, text: str) -> None:
    result = revoke(revoke.simulator.mint(), access_token=text)
    assert result.error == "no_token"
    assert result["msg"] == "access_token: it is empty; set the complete token, or omit the option"
    assert is_clean(result)
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("spoil", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_a_whole_jwt_is_malformed_and_not_sent(
    revoke: Revoke, spoil: Callable[[str], str]
) -> None:
    token = revoke.simulator.mint()
    result = revoke(spoil(token))
    assert result.outcomes == ["malformed"]
    assert (result.error, result["changed"]) == ("malformed", False)
    assert result["msg"].endswith(f"is malformed: {NOT_WHOLE}.")
    assert is_clean(result, token[:-1], token[50:])
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("token", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_jwt_is_sent_and_not_verified(revoke: Revoke, token: str) -> None:
    result = revoke(token)
    assert (result.outcomes, result.error) == (["unknown"], "unknown")
    assert (result.row["verified"], result.row["expires_at"]) == (False, None)
    assert "rejected before, rejected after" in result.row["reason"]
    assert "Traceback" not in result.output
    assert operations(revoke.simulator) == ["balance", "revoke", "balance"]


@pytest.mark.parametrize("exp", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_token_whose_exp_cannot_be_used_is_revoked(revoke: Revoke, exp: object) -> None:
    token = revoke.simulator.mint(claims={"exp": exp})
    result = revoke(token)
    assert result.outcomes == ["revoked"]
    assert (result.row["verified"], result.row["expires_at"]) == (True, None)
    assert not revoke.simulator.accepts(token)
    assert len(revoke.simulator.writes()) == 1


def test_a_fractional_exp_is_a_date(revoke: Revoke) -> None:
    result = revoke(revoke.simulator.mint(claims={"exp": 1600000000.75}))
    assert result.outcomes == ["expired"]
    assert result.row["expires_at"] == "2020-09-13T12:26:40Z"
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("claim", ["iat", "nbf", "sub", "aud", "iss", "jti"])
@pytest.mark.parametrize("value", ["x", -1, [], {}], ids=["text", "negative", "list", "object"])
def test_a_claim_of_a_wrong_type_is_no_obstacle(revoke: Revoke, claim: str, value: object) -> None:
    token = revoke.simulator.mint(claims={claim: value})
    result = revoke(token)
    assert result.outcomes == ["revoked"]
    assert result.row["verified"] is True
    assert not revoke.simulator.accepts(token)


def test_an_account_claim_of_another_value_names_no_account(revoke: Revoke) -> None:
    claim = f"G:{revoke.simulator.account_id}"
    result = revoke(revoke.simulator.mint(known=False, claims={claim: ["G:x"]}))
    assert result.outcomes == ["unknown"]
    assert result.row["verified"] is False
    assert operations(revoke.simulator) == ["balance", "revoke", "balance"]


# Connection

LIKE = "like https://api.nomba.com"
NOT_A_URL = f"api_url: it is not a URL; write it {LIKE}"
NO_SCHEME = f"api_url: it needs a scheme and a host, {LIKE}"
PATH = f"api_url: it must end after the host, {LIKE}"
CREDENTIALS = "api_url: it contains credentials; remove the part before the @"
HTTP = "api_url: plain http would expose the tokens to the network; use https, or set allow_http"
EMPTY_ID = "it is empty or has spaces; copy it from Nomba's dashboard"
URLS = {
    "no scheme": ("api.nomba.com", NO_SCHEME),
    "no scheme but a port": ("api.nomba.com:443", NO_SCHEME),
    "empty": ("", NO_SCHEME),
    "white space": ("  ", NO_SCHEME),
    "another scheme": ("ftp://api.nomba.com", NO_SCHEME),
    "no host": ("https:///v1", NO_SCHEME),
    "a path": ("https://api.nomba.com/v1/auth", PATH),
    "a query": ("https://api.nomba.com?a=b", PATH),
    "a fragment": ("https://api.nomba.com#a", PATH),
    "credentials": ("https://me:hunter2hunter2@api.nomba.com", CREDENTIALS),
    "a user": ("https://hunter2hunter2@api.nomba.com", CREDENTIALS),
    "credentials and http": ("http://me:hunter2hunter2@127.0.0.1", CREDENTIALS),
    "plain http": ("http://api.nomba.com", HTTP),
    "plain http to a private host": ("http://10.0.0.1", HTTP),
    "plain http to what looks local": ("http://127.0.0.1.example.com", HTTP),
    "port 0": ("https://api.nomba.com:0", NOT_A_URL),
    "a port too high": ("https://api.nomba.com:99999", NOT_A_URL),
    "a port in words": ("https://api.nomba.com:https", NOT_A_URL),
    "an open bracket": ("https://[::1", NOT_A_URL),
    "an inner space": ("https://api.nom ba.com", NOT_A_URL),
    "an inner line end": ("https://api.nomba.com\nhost: a", NOT_A_URL),
    "a backslash": ("https://api.nomba.com\\.example.com", NOT_A_URL),
}
SPANS = {
    "zero": 0,
    "negative": -1,
    "not a number": NAN,
    "infinite": INFINITY,
    "text nan": "nan",
    "text inf": "inf",
    "a month": 30 * 24 * 3600,
}


@pytest.mark.parametrize(("url", "message"), URLS.values(), ids=URLS.keys())
def test_an_api_url_that_cannot_be_used_is_refused(revoke: Revoke, url: str, message: str) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, api_url=url)
    assert result.error == "invalid_option"
    assert result["msg"] == message
    assert result["changed"] is False
    assert is_clean(result, token, "hunter2hunter2")
    assert revoke.simulator.accepts(token)


@pytest.mark.parametrize("form", [" {}\n", "{}/"], ids=["white space", "a slash"])
def test_what_copying_adds_to_an_api_url_is_tolerated(revoke: Revoke, form: str) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, api_url=form.format(revoke.simulator.url))
    assert result.outcomes == ["revoked"]
    assert not revoke.simulator.accepts(token)


@pytest.mark.parametrize("option", ["account_id", "client_id"])
@pytest.mark.parametrize(
    "value",
    ["", " ", "a b", "a\nAuthorization: b", "é", "a" * 256],
    ids=["empty", "space", "inner space", "line end", "not ASCII", "too long"],
)
def test_an_id_that_is_none_is_refused(revoke: Revoke, option: str, value: Any) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, **{option: value})
    assert result.error == "invalid_option"
    assert result["msg"] == f"{option}: {EMPTY_ID}"
    assert is_clean(result, token)
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("option", ["account_id", "client_id"])
def test_a_missing_id_names_the_option_and_the_environment_variable(
    revoke: Revoke, option: str
) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, **{option: None})
    variable = f"NOMBA_{option.upper()}"
    remedy = f"it is not set; set it, or the environment variable {variable}"
    assert (result.error, result["changed"]) == ("invalid_option", False)
    assert result["msg"] == f"{option}: {remedy}"
    assert is_clean(result, token)
    assert revoke.simulator.requests() == []


def test_a_wrong_client_id_is_hinted_at(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, client_id="00000000-0000-4000-8000-000000000000")
    assert result.outcomes == ["refused"]
    assert result.row["http_status"] == 404
    assert "client_id is unknown or suspended" in result["msg"]
    assert is_clean(result, token)
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN
    assert revoke.simulator.accepts(token)


def test_a_suspended_client_is_hinted_at(revoke: Revoke) -> None:
    revoke.simulator.suspend(revoke.simulator.client_id)
    token = revoke.simulator.mint()
    result = revoke(token)
    assert result.outcomes == ["refused"]
    assert "client_id is unknown or suspended" in result["msg"]
    assert revoke.simulator.accepts(token)
    assert operations(revoke.simulator).count("revoke") == 1


@pytest.mark.parametrize("wrong", ["00000000-0000-4000-8000-000000000000", SUB_ACCOUNT_ID])
def test_a_wrong_account_id_costs_neither_the_revoke_nor_the_proof(
    revoke: Revoke, wrong: str
) -> None:
    token, account = revoke.simulator.mint(), revoke.simulator.account_id
    result = revoke(token, account_id=wrong)
    assert (result.outcomes, result.row["verified"]) == (["revoked"], True)
    assert f"name the account {account}, but account_id is {wrong}." in result.warnings
    assert token not in result.output
    assert not revoke.simulator.accepts(token)


@pytest.mark.parametrize("wrong", ["00000000-0000-4000-8000-000000000000", SUB_ACCOUNT_ID])
def test_a_wrong_account_id_verifies_no_token_without_an_account(
    revoke: Revoke, wrong: str
) -> None:
    # Each refusal may be about the account: the token is dead, and nothing shows it.
    token = revoke.simulator.mint(claims={f"G:{revoke.simulator.account_id}": None})
    result = revoke(token, account_id=wrong)
    assert (result.outcomes, result.row["verified"]) == (["unknown"], False)
    assert is_clean(result, token)
    assert not revoke.simulator.accepts(token)


@pytest.mark.parametrize("option", ["timeout", "deadline"])
@pytest.mark.parametrize("value", SPANS.values(), ids=SPANS.keys())
def test_a_span_out_of_range_is_refused(revoke: Revoke, option: str, value: Any) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, **{option: value})
    assert result.error == "invalid_option"
    assert result["msg"] == f"{option}: set a number of seconds from 0.001 to 604800"
    assert is_clean(result, token)
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("value", [-1, NAN, INFINITY, 30 * 24 * 3600])
def test_a_leeway_out_of_range_is_refused(revoke: Revoke, value: float) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, leeway=value)
    assert result.error == "invalid_option"
    assert result["msg"] == "leeway: set a number of seconds from 0 to 604800"
    assert is_clean(result, token)
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("value", [-1, 0, 65])
def test_a_concurrency_out_of_range_is_refused(revoke: Revoke, value: int) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, concurrency=value)
    assert result.error == "invalid_option"
    assert result["msg"] == "concurrency: set a number from 1 to 64"
    assert is_clean(result, token)
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", "soon"),
        ("deadline", [1]),
        ("leeway", "much"),
        ("concurrency", 1.5),
        ("concurrency", "all"),
        ("concurrency", "nan"),
        ("concurrency", NAN),
        ("expired", "keep"),
        ("proof", "maybe"),
        ("validate_certs", "perhaps"),
        ("acess_token", "misspelt"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_by_name(
    revoke: Revoke, option: str, value: Any
) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, **{option: value})
    assert option in result["msg"]
    assert is_clean(result, token)
    assert revoke.simulator.requests() == []


def test_a_leeway_of_nothing_is_a_leeway(revoke: Revoke) -> None:
    now = int(revoke.clock.as_clock().now())
    result = revoke(revoke.simulator.mint(claims={"exp": now - 2}), leeway=0)
    assert result.outcomes == ["expired"]
    assert revoke.simulator.requests() == []


def test_the_pieces_of_a_forged_token_fit(revoke: Revoke) -> None:
    # Guards the table above: these tokens are read, they are not refused for their form.
    token = jwt(b'{"exp":1600000000}')
    assert token.split(".")[1] == base64url(b'{"exp":1600000000}')
    assert revoke(token).outcomes == ["expired"]
    assert revoke.simulator.requests() == []


def test_scraps_for_tokens_do_not_garble_the_result(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    result = revoke("e", "-", "revoked", " ", token)
    assert result.outcomes == ["malformed"] * 4 + ["revoked"]
    assert result.error == "malformed"
    assert result["msg"].startswith("5 token(s): 1 revoked, 4 malformed. sha256:")
    assert not revoke.simulator.accepts(token)
