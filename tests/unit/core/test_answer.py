# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading answers: the verdict, the texts that may be shown, and the server's clock."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._answer import (
    ApiResult,
    HttpAnswer,
    TransportFailure,
    Verdict,
    read,
    redact,
)
from ansible_collections.nomba.auth.plugins.module_utils._timestamps import parse_http_date
from ansible_collections.nomba.auth.plugins.module_utils._token import email_addresses
from tests.unit.clock import NOW

from .token_factory import SEED, token

pytestmark = pytest.mark.pure

YES, NO, UNCLEAR = Verdict.SUCCEEDED, Verdict.REJECTED, Verdict.UNKNOWN
HTML = b"<!DOCTYPE html><html><head><title>Attention Required!</title></head></html>"
SECRET = "c2ltdWxhdG9yLW9ubHktbm90LWEtc2VjcmV0" + "A" * 50 + "=="

secrets = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=21, max_size=200)
printable = st.text(st.characters(codec="ascii"), max_size=60)


def reading(status: int, body: bytes, **headers: str) -> ApiResult:
    """What an answer is read as."""
    return read(HttpAnswer(status, headers, body))


def envelope(**fields: Any) -> bytes:
    """A body as the API writes it."""
    return json.dumps(fields).encode()


# The table: what came, what it means, its code, and whether it refuses the token

RECORDED = {
    "issue, unknown client": (
        404,
        {"description": "Client record not found or client has been suspended"},
        NO,
        None,
    ),
    "issue, wrong secret": (403, {"description": "Forbidden error"}, NO, None),
    "issue, no accountId": (400, {"description": "AccountId not passed in header."}, NO, None),
    "not a JWT": (
        400,
        {"description": "JWT strings must contain exactly 2 period characters"},
        NO,
        None,
    ),
    "sandbox token": (403, {"description": "... your token is a sandbox token"}, NO, None),
    "validation with 200": (
        200,
        {"code": "400", "description": "Validation Error", "message": "...", "status": False},
        NO,
        "400",
    ),
    "success with status false": (
        200,
        {"code": "00", "description": "created successful", "status": False},
        YES,
        "00",
    ),
    "no entitlement": (
        403,
        {"code": "403", "description": "Forbidden error", "status": False},
        NO,
        "403",
    ),
    "being processed": (200, {"code": "201", "description": "PROCESSING"}, NO, "201"),
    "a list": (200, {"results": [], "cursor": ""}, UNCLEAR, None),
    "422": (422, {"errors": []}, NO, None),
    "catch-all": (500, {"code": "500", "description": "Server error"}, UNCLEAR, "500"),
}
DOCUMENTED = {
    "success": (200, {"code": "00", "description": "Success"}, YES, "00"),
    "revoked": (200, {"code": "00", "description": "Token revoked successfully"}, YES, "00"),
    "success, other words": (200, {"code": "00", "description": "Successful"}, YES, "00"),
    "success without words": (200, {"code": "00"}, YES, "00"),
    "generic failure": (200, {"code": "01"}, NO, "01"),
    "validation failure": (200, {"code": "02", "description": "amount ..."}, NO, "02"),
    "not permitted": (200, {"code": "05"}, NO, "05"),
    "do not retry": (200, {"code": "06"}, NO, "06"),
    "webhook success": (200, {"code": "200"}, NO, "200"),
    "bad request": (400, {"code": "400", "description": "Request failed."}, NO, "400"),
    "forbidden": (403, {"code": "403", "description": "Forbidden"}, NO, "403"),
    "not found": (404, {"code": "404", "description": "Record not found"}, NO, "404"),
    "too many": (429, {"code": "429", "data": None}, UNCLEAR, "429"),
    "server error": (500, {"code": "500", "description": "Server error"}, UNCLEAR, "500"),
}
CODES = {
    "201": (201, {"code": "00"}, YES, "00"),
    "202": (202, {"code": "00"}, YES, "00"),
    "no code": (200, {"description": "Success"}, UNCLEAR, None),
    "code null": (200, {"code": None}, UNCLEAR, None),
    "code 0": (200, {"code": 0}, UNCLEAR, None),
    "code true": (200, {"code": True}, UNCLEAR, None),
    "code a list": (200, {"code": ["00"]}, UNCLEAR, None),
    "code an object": (200, {"code": {"00": "00"}}, UNCLEAR, None),
    "code empty": (200, {"code": ""}, UNCLEAR, None),
    "code with spaces": (200, {"code": " 00"}, UNCLEAR, None),
    "code with a line": (200, {"code": "00\n"}, UNCLEAR, None),
    "code in other digits": (200, {"code": "\u0660\u0660"}, UNCLEAR, None),
    "code a secret": (200, {"code": SECRET}, UNCLEAR, None),
    "code a token": (400, {"code": SEED}, NO, None),
    "code in a list": (200, [{"code": "00"}], UNCLEAR, None),
    "code 0000": (200, {"code": "0000"}, NO, "0000"),
    "code of words": (200, {"code": "REFUSED"}, NO, "REFUSED"),
    "code inside data": (200, {"data": {"code": "00"}}, UNCLEAR, None),
    "408 is transient": (408, {"code": "00"}, UNCLEAR, "00"),
    "425 is transient": (425, {"code": "00"}, UNCLEAR, "00"),
    "407 comes from a proxy": (407, {"code": "00"}, UNCLEAR, "00"),
    "400 with code 00": (400, {"code": "00"}, NO, "00"),
    "500 with code 00": (500, {"code": "00"}, UNCLEAR, "00"),
    "503 with code 401": (503, {"code": "401"}, UNCLEAR, "401"),
    "103": (103, {"code": "00"}, UNCLEAR, "00"),
}


@pytest.mark.parametrize(
    ("status", "body", "verdict", "code"),
    [pytest.param(*row, id=name) for name, row in {**RECORDED, **DOCUMENTED, **CODES}.items()],
)
def test_an_envelope_is_read(status: int, body: Any, verdict: Verdict, code: str | None) -> None:
    seen = reading(status, json.dumps(body).encode())
    assert (seen.verdict, seen.status, seen.code) == (verdict, status, code)
    assert not seen.refuses_token
    assert str(status) in seen.problem


@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize("body", [b'{"code":"401"}', b'{"code":"401","description":"x"}'])
def test_code_401_refuses_the_token(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert (seen.verdict, seen.refuses_token) == (NO, True)
    assert seen.problem.startswith(f"HTTP {status}")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b""),
        (401, b" \r\n"),
        (401, b"{}"),
        (401, b'{"code":"00"}'),
        (401, b'{"code":"02"}'),
        (401, b'{"code":401}'),
        (401, b'{"message":"Unauthorized"}'),
        (401, HTML),
        (401, b"Unauthorized"),
        (401, b'["401"]'),
        (401, b'"401"'),
        (302, b'{"code":"401"}'),
        (400, b'{"code":"401"}'),
        (403, b'{"code":"401"}'),
        (407, b'{"code":"401"}'),
        (429, b'{"code":"401"}'),
        (500, b'{"code":"401"}'),
        (502, b'{"code":"401"}'),
        (200, b'{"code":401}'),
        (403, b'{"code":"403"}'),
    ],
)
def test_a_401_that_may_be_another_servers_refuses_nothing(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert not seen.refuses_token
    assert (seen.signature is not None) is (status == 401)


def test_a_signature_tells_one_401_from_another() -> None:
    basic = {"www-authenticate": 'Basic realm="corporate proxy"'}
    answers = [
        reading(401, b""),
        reading(401, b" "),
        reading(401, b"", **{"content-type": "text/html"}),
        reading(401, b"", **basic),
    ]
    assert len({seen.signature for seen in answers}) == len(answers)
    assert reading(401, b"", date="then").signature == reading(401, b"", date="now").signature


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 403, 404, 429, 500, 502, 503])
@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b"Service is starting up",
        b'["00"]',
        b'"00"',
        b"00",
        b"null",
        b"true",
        b'{"code":"00"',
        b'{"code":"00"}{}',
        b"\xff\xfe\x00",
        b"\x1f\x8b\x08\x00",
        b"[" * 100_000,
        b'{"code":' * 50_000,
        b'{"code":"00","data":' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body)[:24],
)
def test_what_is_no_json_object_settles_nothing(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert (seen.verdict, seen.code, seen.data) == (UNCLEAR, None, {})
    assert seen.problem == f"HTTP {status}, an answer that is not a JSON object"


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 500, 502])
@pytest.mark.parametrize("body", [b"", b"\r\n "])
def test_an_empty_answer_settles_nothing(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert seen.verdict is UNCLEAR
    assert seen.problem == f"HTTP {status}, an empty answer"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
@pytest.mark.parametrize("body", [b"", HTML, b'{"code":"00"}', b'{"code":"401"}'])
def test_a_redirect_settles_nothing_whatever_it_says(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert (seen.verdict, seen.code, seen.status) == (UNCLEAR, None, status)
    assert seen.problem == f"HTTP {status}, a redirect, which is never followed"


@given(status=st.integers(100, 599), body=st.binary(max_size=80) | st.text().map(str.encode))
def test_no_body_is_a_yes_by_chance(status: int, body: bytes) -> None:
    assert reading(status, body).verdict is not YES


@given(status=st.integers(100, 999), code=st.text(max_size=10) | st.none() | st.integers())
def test_a_yes_needs_both_2xx_and_code_00(status: int, code: object) -> None:
    yes = reading(status, envelope(code=code)).verdict is YES
    assert yes is (200 <= status < 300 and code == "00")


# No answer


def test_no_answer_is_unclear_and_says_why() -> None:
    seen = read(TransportFailure("the connection was cut", attempts=3))
    assert (seen.verdict, seen.problem) == (UNCLEAR, "the connection was cut")
    assert (seen.status, seen.code, seen.server_time, seen.attempts) == (None, None, None, 3)
    assert not seen.refuses_token


def test_all_sendings_are_counted() -> None:
    assert read(HttpAnswer(200, {}, b'{"code":"00"}', attempts=4)).attempts == 4
    assert read(HttpAnswer(302, {}, b"", attempts=2)).attempts == 2


# What is kept, and what is shown


def test_of_the_data_only_what_is_named_is_kept() -> None:
    body = envelope(code="00", data={"businessId": "b", "bvn": "22222222222", "banks": []})
    assert read(HttpAnswer(200, {}, body), keep=("businessId", "absent")).data == {
        "businessId": "b"
    }
    assert read(HttpAnswer(200, {}, body)).data == {}


@pytest.mark.parametrize("data", [None, [], ["businessId"], "businessId", 7, True])
def test_data_that_is_no_object_is_not_kept(data: object) -> None:
    body = envelope(code="00", data=data)
    assert read(HttpAnswer(200, {}, body), keep=("businessId",)).data == {}


def test_fields_outside_data_are_not_kept() -> None:
    body = envelope(code="00", businessId="b")
    assert read(HttpAnswer(200, {}, body), keep=("businessId", "code")).data == {}


def test_a_repr_shows_neither_body_nor_headers_nor_data() -> None:
    body = envelope(code="00", data={"access_token": SEED})
    answer = HttpAnswer(200, {"set-cookie": SECRET}, body)
    shown = repr(answer) + repr(read(answer, keep=("access_token",)))
    assert SEED not in shown
    assert SECRET not in shown


def test_a_problem_tells_status_code_and_description() -> None:
    seen = reading(400, envelope(code="400", description="Request failed."))
    assert seen.problem == "HTTP 400, code 400: Request failed."
    assert reading(404, b"{}").problem == "HTTP 404, code missing"


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("Token revoked successfully", "Token revoked successfully"),
        ("  many\n\twhite   spaces ", "many white spaces"),
        (f"Could not process {SEED}", "Could not process [redacted]"),
        (f"Bearer {SEED} is bad", "Bearer [redacted] is bad"),
        (f"secret={SECRET}", "secret=[redacted]=="),
        ("ask victor@gmail.com now", "ask [redacted] now"),
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 120 + "..."),
        ("no\x1b[31m red\x07\u202e", "no[31m red"),
        (None, ""),
        (401, ""),
        (["Unauthorized"], ""),
        ({"text": "Unauthorized"}, ""),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_description_is_redacted(description: object, shown: str) -> None:
    assert redact(description, [SEED, SECRET]) == shown


def in_words(secret: str, size: int, separator: str = " ") -> str:
    """A secret in words of a size."""
    return separator.join(secret[i : i + size] for i in range(0, len(secret), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 20])
@pytest.mark.parametrize("separator", [" ", "-", ", "])
def test_a_secret_in_words_of_any_length_is_not_shown(size: int, separator: str) -> None:
    for secret in (SEED[40:], SECRET[:-2]):
        shown = redact(f"bad: {in_words(secret, size, separator)} !", [SEED, SECRET])
        assert shown == "bad: [redacted] !"


@pytest.mark.parametrize(
    "text",
    [SEED[100:108], SEED[150:170].upper(), f"x{SEED[200:230]}y", SECRET[3:11]],
)
def test_eight_characters_of_a_secret_are_not_shown(text: str) -> None:
    assert "[redacted]" in redact(f"near {text} here", [SEED, SECRET])
    assert text.lower()[:9] not in redact(f"near {text} here", [SEED, SECRET]).lower()


@pytest.mark.parametrize(
    "text",
    [
        "victorshoaga at gmail.com",
        "victorshoaga (at) gmail dot com",
        "VICTORSHOAGA",
        "victor shoaga",
    ],
)
def test_an_address_of_the_claims_is_not_shown_without_its_at(text: str) -> None:
    shown = redact(f"user {text} is unknown", [SEED, *email_addresses(SEED)]).lower()
    assert "victor" not in shown
    assert "shoaga" not in shown


def test_a_short_address_is_hidden_whole() -> None:
    assert redact("user a at b.c, a@b.c", ["a@b.c"]) == "user a at b.c, [redacted]"


@given(before=printable, secret=secrets, after=printable)
def test_a_secret_in_a_description_is_never_shown(before: str, secret: str, after: str) -> None:
    for description in (f"{before}{secret}{after}", f"{before} {secret} {after}"):
        shown = redact(description, [secret])
        runs = (secret[i : i + 8] for i in range(len(secret) - 7))
        assert not any(run in shown for run in runs if run.isascii() and run.isalnum())


@given(st.text(max_size=400))
def test_what_is_shown_is_short_printable_and_without_addresses(description: str) -> None:
    shown = redact(description, [])
    assert len(shown) <= 123
    assert shown.isprintable()
    assert "@" not in shown


@given(st.sampled_from(["code", "message", "description", "data", "errors", "status"]))
def test_a_token_that_is_echoed_in_any_field_is_not_shown(name: str) -> None:
    echoed = token(iat=1, exp=2)
    assert echoed not in repr(reading(400, envelope(**{name: echoed})))
    assert echoed not in repr(reading(400, envelope(**{name: f"bad token {echoed}!"})))


# The server's clock


@pytest.fixture
def lagos() -> Iterator[None]:
    """This machine is an hour ahead of UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "WAT-1")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("lagos")
@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 -0000",
        "Sun, 06 Nov 1994 09:49:37 +0100",
        "06 Nov 1994 08:49:37",
    ],
)
def test_an_http_date_of_any_form_is_in_utc(text: str) -> None:
    assert parse_http_date(text) == 784_111_777


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0",
        "60",
        "now",
        "GMT",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994",
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +9999",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun, 06 Nov " + "9" * 5000 + " 08:49:37 GMT",
        "Sun, 06 Non 1994 08:49:37 GMT",
        "-1",
        "x" * 10_000,
    ],
    ids=lambda text: text[:30],
)
def test_nonsense_is_no_parse_http_date(text: str) -> None:
    assert parse_http_date(text) is None


@given(st.text(max_size=40) | st.text("SunMon,0169: -+GMTZ\0\n", max_size=40))
def test_no_text_is_too_strange_for_an_parse_http_date(text: str) -> None:
    assert isinstance(parse_http_date(text), (float, type(None)))


@given(st.integers(0, 4_000_000_000))
def test_an_http_date_is_read_to_the_second(moment: int) -> None:
    assert parse_http_date(formatdate(moment, usegmt=True)) == moment


def test_the_servers_clock_comes_with_any_answer() -> None:
    date = formatdate(NOW, usegmt=True)
    for status, body in ((200, b'{"code":"00"}'), (401, b""), (302, b""), (502, HTML)):
        assert reading(status, body, date=date).server_time == NOW
    assert reading(200, b"{}").server_time is None
