# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An unusable input ends in one sentence that names the option and the remedy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.simulator.settings import SUB_ACCOUNT_ID
from tests.simulator.tokens import fingerprint
from tests.unit.core.token_factory import base64url, jwt

from .harness import ModuleResult, Revoke
from .request_log import ONE_LIVE_TOKEN, operations

NAN, INFINITY = float("nan"), float("inf")
NO_TOKEN = (
    "access_token: no token is set; set access_token, access_tokens, sources "
    "or the variable NOMBA_ACCESS_TOKEN"
)
NOT_WHOLE = "it is not a complete JWT: set all three parts, separated by dots"


def is_clean(result: ModuleResult, *secrets: str) -> bool:
    """Return whether a run failed without a traceback and without its input in the output."""
    shown = [secret for secret in secrets if secret in result.output]
    return result.failed and "Traceback" not in result.output and not shown


# Tokens

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


def test_run_without_a_token_names_the_options(revoke: Revoke) -> None:
    for options in ({}, {"access_tokens": []}, {"sources": []}):
        result = revoke(**options)
        assert (result.error, result["msg"]) == (
            "no_token",
            NO_TOKEN,
        )
        assert is_clean(result)
    assert revoke.simulator.requests() == []


def test_empty_token_is_rejected(revoke: Revoke) -> None:
    for text in ("", "\n\t "):
        result = revoke(revoke.simulator.mint(), access_token=text)
        assert result.error == "no_token"
        assert (
            result["msg"] == "access_token: it is empty; set the complete token, or omit the option"
        )
        assert is_clean(result)
    assert revoke.simulator.requests() == []


def test_text_that_is_no_whole_jwt_is_malformed_and_not_sent(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    texts = {name: spoil(token) for name, spoil in MALFORMED.items()}
    result = revoke(*texts.values())
    rows = dict(zip(texts, result["results"]))
    assert {name: row["outcome"] for name, row in rows.items()} == dict.fromkeys(texts, "malformed")
    assert {name: row["reason"] for name, row in rows.items()} == dict.fromkeys(texts, NOT_WHOLE)
    assert (result.error, result["changed"]) == ("malformed", False)
    assert result["msg"].endswith(f"is malformed: {NOT_WHOLE}.")
    assert is_clean(result, token[:-1], token[50:])
    assert revoke.simulator.requests() == []


def test_unreadable_jwt_is_sent_and_not_verified(revoke: Revoke) -> None:
    result = revoke(*UNREADABLE.values(), abort_after=0, concurrency=1)
    rows = dict(zip(UNREADABLE, result["results"]))
    decided = {
        name: (row["outcome"], row["verified"], row["expires_at"]) for name, row in rows.items()
    }
    assert decided == dict.fromkeys(UNREADABLE, ("unknown", False, None))
    assert all("rejected before, rejected after" in row["reason"] for row in rows.values())
    assert "Traceback" not in result.output
    sent = {
        name: operations(revoke.simulator, fingerprint(text)) for name, text in UNREADABLE.items()
    }
    assert sent == {name: ["balance", "revoke", "balance"] for name in UNREADABLE}


def test_token_with_an_unusable_exp_is_revoked(revoke: Revoke) -> None:
    tokens = {name: revoke.simulator.mint(claims={"exp": exp}) for name, exp in MOMENTS.items()}
    result = revoke(*tokens.values())
    decided = {
        name: (row["outcome"], row["verified"], row["expires_at"])
        for name, row in zip(tokens, result["results"])
    }
    assert decided == dict.fromkeys(tokens, ("revoked", True, None))
    assert revoke.simulator.live() == []
    assert len(revoke.simulator.writes()) == len(tokens)


def test_fractional_exp_is_a_date(revoke: Revoke) -> None:
    result = revoke(revoke.simulator.mint(claims={"exp": 1600000000.75}))
    assert result.outcomes == ["expired"]
    assert result.row["expires_at"] == "2020-09-13T12:26:40Z"
    assert revoke.simulator.requests() == []


def test_claim_of_a_wrong_type_does_not_prevent_the_revoke(revoke: Revoke) -> None:
    claims: dict[str, dict[str, Any]] = {
        f"{name}={value!r}": {name: value}
        for name in ("iat", "nbf", "sub", "aud", "iss", "jti")
        for value in ("x", -1, [], {})
    }
    tokens = [revoke.simulator.mint(claims=one) for one in claims.values()]
    result = revoke(*tokens)
    decided = {
        name: (row["outcome"], row["verified"]) for name, row in zip(claims, result["results"])
    }
    assert decided == dict.fromkeys(claims, ("revoked", True))
    assert revoke.simulator.live() == []


def test_account_claim_of_another_value_names_no_account(revoke: Revoke) -> None:
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
    "plain http to a name that begins like a local address": ("http://127.0.0.1.example.com", HTTP),
    "port 0": ("https://api.nomba.com:0", NOT_A_URL),
    "a port too high": ("https://api.nomba.com:99999", NOT_A_URL),
    "a port in words": ("https://api.nomba.com:https", NOT_A_URL),
    "an open bracket": ("https://[::1", NOT_A_URL),
    "an inner space": ("https://api.nom ba.com", NOT_A_URL),
    "an inner line end": ("https://api.nomba.com\nhost: a", NOT_A_URL),
    "a backslash": ("https://api.nomba.com\\.example.com", NOT_A_URL),
}
MONTH = 30 * 24 * 3600


# Ids: copying them from the dashboard adds the rest.
IDS = {
    "empty": "",
    "space": " ",
    "inner space": "a b",
    "line end": "a\nAuthorization: b",
    "not ASCII": "é",
    "too long": "a" * 256,
}


def refusals(revoke: Revoke, rows: Iterable[tuple[str, object]]) -> dict[tuple[str, object], str]:
    """Return the error code and the message of a run for each option and value."""
    token = revoke.simulator.mint()
    texts = {}
    for option, value in rows:
        result = revoke(token, **{option: value})
        clean = is_clean(result, token, "hunter2hunter2") and result["changed"] is False
        texts[option, value] = f"{result.error}: {result['msg']}" if clean else result.output
    assert revoke.simulator.requests() == []
    assert revoke.simulator.accepts(token)
    return texts


def test_unusable_api_url_is_rejected(revoke: Revoke) -> None:
    texts = refusals(revoke, (("api_url", url) for url, _message in URLS.values()))
    assert texts == {
        ("api_url", url): f"invalid_option: {message}" for url, message in URLS.values()
    }


def test_api_url_tolerates_white_space_and_a_slash(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, api_url=f" {revoke.simulator.url}/\n")
    assert result.outcomes == ["revoked"]
    assert not revoke.simulator.accepts(token)


def test_unusable_id_is_rejected(revoke: Revoke) -> None:
    rows = [(option, value) for option in ("account_id", "client_id") for value in IDS.values()]
    assert refusals(revoke, rows) == {
        (option, value): f"invalid_option: {option}: {EMPTY_ID}" for option, value in rows
    }


def test_missing_id_names_the_option_and_the_environment_variable(revoke: Revoke) -> None:
    rows: list[tuple[str, object]] = [("account_id", None), ("client_id", None)]
    assert refusals(revoke, rows) == {
        (option, None): f"invalid_option: {option}: it is not set; set it, or the environment "
        f"variable NOMBA_{option.upper()}"
        for option, _value in rows
    }


def test_message_hints_at_a_wrong_client_id(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, client_id="00000000-0000-4000-8000-000000000000")
    assert result.outcomes == ["refused"]
    assert result.row["http_status"] == 404
    assert "client_id is unknown or suspended" in result["msg"]
    assert is_clean(result, token)
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN
    assert revoke.simulator.accepts(token)


def test_message_hints_at_a_suspended_client(revoke: Revoke) -> None:
    revoke.simulator.suspend(revoke.simulator.client_id)
    token = revoke.simulator.mint()
    result = revoke(token)
    assert result.outcomes == ["refused"]
    assert "client_id is unknown or suspended" in result["msg"]
    assert revoke.simulator.accepts(token)
    assert operations(revoke.simulator).count("revoke") == 1


@pytest.mark.parametrize("wrong", ["00000000-0000-4000-8000-000000000000", SUB_ACCOUNT_ID])
def test_wrong_account_id_prevents_neither_the_revoke_nor_the_proof(
    revoke: Revoke, wrong: str
) -> None:
    token, account = revoke.simulator.mint(), revoke.simulator.account_id
    result = revoke(token, account_id=wrong)
    assert (result.outcomes, result.row["verified"]) == (["revoked"], True)
    assert f"name the account {account}, but account_id is {wrong}." in result.warnings
    assert token not in result.output
    assert not revoke.simulator.accepts(token)


@pytest.mark.parametrize("wrong", ["00000000-0000-4000-8000-000000000000", SUB_ACCOUNT_ID])
def test_wrong_account_id_verifies_no_token_without_an_account(revoke: Revoke, wrong: str) -> None:
    # Each refusal may be about the account: the token is dead, and nothing shows it.
    token = revoke.simulator.mint(claims={f"G:{revoke.simulator.account_id}": None})
    result = revoke(token, account_id=wrong)
    assert (result.outcomes, result.row["verified"]) == (["unknown"], False)
    assert is_clean(result, token)
    assert not revoke.simulator.accepts(token)


def test_number_out_of_range_is_rejected(revoke: Revoke) -> None:
    seconds = "set a number of seconds from"
    ranges: dict[str, tuple[list[object], str]] = {
        "timeout": ([0, -1, NAN, INFINITY, "nan", "inf", MONTH], f"{seconds} 0.001 to 604800"),
        "deadline": ([0, -1, NAN, INFINITY, MONTH], f"{seconds} 0.001 to 604800"),
        "leeway": ([-1, NAN, INFINITY, MONTH], f"{seconds} 0 to 604800"),
        "concurrency": ([-1, 0, 65], "set a number from 1 to 64"),
    }
    rows = [(option, value) for option, (values, _text) in ranges.items() for value in values]
    assert refusals(revoke, rows) == {
        (option, value): f"invalid_option: {option}: {ranges[option][1]}" for option, value in rows
    }


def test_value_of_a_wrong_type_is_rejected_by_ansible_with_the_name_of_the_option(
    revoke: Revoke,
) -> None:
    token = revoke.simulator.mint()
    rows: list[tuple[str, object]] = [
        ("timeout", "soon"),
        ("deadline", [1]),
        ("leeway", "much"),
        ("concurrency", 1.5),
        ("concurrency", "nan"),
        ("concurrency", NAN),
        ("expired", "keep"),
        ("proof", "maybe"),
        ("validate_certs", "perhaps"),
        ("acess_token", "misspelled"),
    ]
    accepted = []
    for option, value in rows:
        result = revoke(token, **{option: value})
        if option not in result["msg"] or not is_clean(result, token):
            accepted.append((option, value, result.output))
    assert accepted == []
    assert revoke.simulator.requests() == []


def test_leeway_of_zero_is_valid(revoke: Revoke) -> None:
    now = int(revoke.clock.as_clock().now())
    result = revoke(revoke.simulator.mint(claims={"exp": now - 2}), leeway=0)
    assert result.outcomes == ["expired"]
    assert revoke.simulator.requests() == []


def test_forged_token_is_readable(revoke: Revoke) -> None:
    # Guards the table above: these tokens are read, they are not refused for their form.
    token = jwt(b'{"exp":1600000000}')
    assert token.split(".")[1] == base64url(b'{"exp":1600000000}')
    assert revoke(token).outcomes == ["expired"]
    assert revoke.simulator.requests() == []


def test_short_texts_as_tokens_do_not_mask_the_result(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    result = revoke("e", "-", "revoked", " ", token)
    assert result.outcomes == ["malformed"] * 4 + ["revoked"]
    assert result.error == "malformed"
    assert result["msg"].startswith("5 token(s): 1 revoked, 4 malformed. sha256:")
    assert not revoke.simulator.accepts(token)
