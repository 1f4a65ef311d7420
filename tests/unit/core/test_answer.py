# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict on an answer, redaction of its texts, and the server's clock."""

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
from tests.unit.tables import each_row

from .token_factory import SEED, token

pytestmark = pytest.mark.pure

SUCCEEDED, REJECTED, UNKNOWN = Verdict.SUCCEEDED, Verdict.REJECTED, Verdict.UNKNOWN
HTML = b"<!DOCTYPE html><html><head><title>Attention Required!</title></head></html>"
SECRET = "c2ltdWxhdG9yLW9ubHktbm90LWEtc2VjcmV0" + "A" * 50 + "=="

secrets = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=21, max_size=200)
printable = st.text(st.characters(codec="ascii"), max_size=60)


def reading(status: int, body: bytes, **headers: str) -> ApiResult:
    """Return the result of reading an answer."""
    return read(HttpAnswer(status, headers, body))


def envelope(**fields: Any) -> bytes:
    """Return a body as the API writes it."""
    return json.dumps(fields).encode()


# Columns: HTTP status, body, verdict, code

RECORDED = {
    "issue, unknown client": (
        404,
        {"description": "Client record not found or client has been suspended"},
        REJECTED,
        None,
    ),
    "issue, wrong secret": (403, {"description": "Forbidden error"}, REJECTED, None),
    "issue, no accountId": (
        400,
        {"description": "AccountId not passed in header."},
        REJECTED,
        None,
    ),
    "not a JWT": (
        400,
        {"description": "JWT strings must contain exactly 2 period characters"},
        REJECTED,
        None,
    ),
    "sandbox token": (403, {"description": "... your token is a sandbox token"}, REJECTED, None),
    "validation with 200": (
        200,
        {"code": "400", "description": "Validation Error", "message": "...", "status": False},
        REJECTED,
        "400",
    ),
    "success with status false": (
        200,
        {"code": "00", "description": "created successful", "status": False},
        SUCCEEDED,
        "00",
    ),
    "no entitlement": (
        403,
        {"code": "403", "description": "Forbidden error", "status": False},
        REJECTED,
        "403",
    ),
    "being processed": (200, {"code": "201", "description": "PROCESSING"}, REJECTED, "201"),
    "a list": (200, {"results": [], "cursor": ""}, UNKNOWN, None),
    "422": (422, {"errors": []}, REJECTED, None),
    "catch-all": (500, {"code": "500", "description": "Server error"}, UNKNOWN, "500"),
}
DOCUMENTED = {
    "success": (200, {"code": "00", "description": "Success"}, SUCCEEDED, "00"),
    "revoked": (200, {"code": "00", "description": "Token revoked successfully"}, SUCCEEDED, "00"),
    "success, other description": (
        200,
        {"code": "00", "description": "Successful"},
        SUCCEEDED,
        "00",
    ),
    "success without description": (200, {"code": "00"}, SUCCEEDED, "00"),
    "generic failure": (200, {"code": "01"}, REJECTED, "01"),
    "validation failure": (200, {"code": "02", "description": "amount ..."}, REJECTED, "02"),
    "not permitted": (200, {"code": "05"}, REJECTED, "05"),
    "do not retry": (200, {"code": "06"}, REJECTED, "06"),
    "webhook success": (200, {"code": "200"}, REJECTED, "200"),
    "bad request": (400, {"code": "400", "description": "Request failed."}, REJECTED, "400"),
    "forbidden": (403, {"code": "403", "description": "Forbidden"}, REJECTED, "403"),
    "not found": (404, {"code": "404", "description": "Record not found"}, REJECTED, "404"),
    "too many": (429, {"code": "429", "data": None}, UNKNOWN, "429"),
    "server error": (500, {"code": "500", "description": "Server error"}, UNKNOWN, "500"),
}
CODES = {
    "201": (201, {"code": "00"}, SUCCEEDED, "00"),
    "202": (202, {"code": "00"}, SUCCEEDED, "00"),
    "no code": (200, {"description": "Success"}, UNKNOWN, None),
    "code null": (200, {"code": None}, UNKNOWN, None),
    "code 0": (200, {"code": 0}, UNKNOWN, None),
    "code true": (200, {"code": True}, UNKNOWN, None),
    "code a list": (200, {"code": ["00"]}, UNKNOWN, None),
    "code an object": (200, {"code": {"00": "00"}}, UNKNOWN, None),
    "code empty": (200, {"code": ""}, UNKNOWN, None),
    "code with spaces": (200, {"code": " 00"}, UNKNOWN, None),
    "code with a line": (200, {"code": "00\n"}, UNKNOWN, None),
    "code in other digits": (200, {"code": "\u0660\u0660"}, UNKNOWN, None),
    "code a secret": (200, {"code": SECRET}, UNKNOWN, None),
    "code a token": (400, {"code": SEED}, REJECTED, None),
    "code in a list": (200, [{"code": "00"}], UNKNOWN, None),
    "code 0000": (200, {"code": "0000"}, REJECTED, "0000"),
    "code of letters": (200, {"code": "REFUSED"}, REJECTED, "REFUSED"),
    "code inside data": (200, {"data": {"code": "00"}}, UNKNOWN, None),
    "408 is transient": (408, {"code": "00"}, UNKNOWN, "00"),
    "425 is transient": (425, {"code": "00"}, UNKNOWN, "00"),
    "407 comes from a proxy": (407, {"code": "00"}, UNKNOWN, "00"),
    "400 with code 00": (400, {"code": "00"}, REJECTED, "00"),
    "500 with code 00": (500, {"code": "00"}, UNKNOWN, "00"),
    "503 with code 401": (503, {"code": "401"}, UNKNOWN, "401"),
    "103": (103, {"code": "00"}, UNKNOWN, "00"),
}


ENVELOPES = {**RECORDED, **DOCUMENTED, **CODES}


@each_row(("status", "body", "verdict", "code"), ENVELOPES.values(), ids=ENVELOPES)
def test_envelope_gives_verdict_and_code(
    status: int, body: Any, verdict: Verdict, code: str | None
) -> None:
    seen = reading(status, json.dumps(body).encode())
    assert (seen.verdict, seen.status, seen.code) == (verdict, status, code)
    assert not seen.refuses_token
    assert str(status) in seen.problem


@each_row("status", [200, 401])
@each_row("body", [b'{"code":"401"}', b'{"code":"401","description":"x"}'])
def test_code_401_in_envelope_rejects_token(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert (seen.verdict, seen.refuses_token) == (REJECTED, True)
    assert seen.problem.startswith(f"HTTP {status}")


@each_row(
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
def test_answer_of_another_server_does_not_reject_token(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert not seen.refuses_token
    assert (seen.signature is not None) is (status == 401)


def test_signature_distinguishes_401_answers() -> None:
    basic = {"www-authenticate": 'Basic realm="corporate proxy"'}
    answers = [
        reading(401, b""),
        reading(401, b" "),
        reading(401, b"", **{"content-type": "text/html"}),
        reading(401, b"", **basic),
    ]
    assert len({seen.signature for seen in answers}) == len(answers)
    assert reading(401, b"", date="then").signature == reading(401, b"", date="now").signature


BODIES = [
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
]
# All bodies where code 00 or 401 would count, and one body at every other status.
NO_OBJECT = [
    *((200, body) for body in BODIES),
    *((status, BODIES[0]) for status in (201, 204, 400, 401, 403, 404, 429, 500, 502, 503)),
    (401, b'["401"]'),
]


@each_row(("status", "body"), NO_OBJECT)
def test_answer_without_json_object_is_unknown(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert (seen.verdict, seen.code, seen.data) == (UNKNOWN, None, {})
    assert seen.problem == f"HTTP {status}, an answer that is not a JSON object"


@each_row(
    ("status", "body"),
    [*((status, b"") for status in (200, 204, 400, 401, 403, 404, 500, 502)), (200, b"\r\n ")],
)
def test_empty_answer_is_unknown(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert seen.verdict is UNKNOWN
    assert seen.problem == f"HTTP {status}, an empty answer"


@each_row(
    ("status", "body"),
    [
        *((status, b'{"code":"00"}') for status in (300, 301, 302, 303, 304, 307, 308, 399)),
        *((302, body) for body in (b"", HTML, b'{"code":"401"}')),
    ],
)
def test_redirect_is_unknown_whatever_its_body(status: int, body: bytes) -> None:
    seen = reading(status, body)
    assert (seen.verdict, seen.code, seen.status) == (UNKNOWN, None, status)
    assert seen.problem == f"HTTP {status}, a redirect, which is never followed"


@given(status=st.integers(100, 599), body=st.binary(max_size=80) | st.text().map(str.encode))
def test_random_body_is_never_success(status: int, body: bytes) -> None:
    assert reading(status, body).verdict is not SUCCEEDED


@given(status=st.integers(100, 999), code=st.text(max_size=10) | st.none() | st.integers())
def test_success_requires_2xx_and_code_00(status: int, code: object) -> None:
    yes = reading(status, envelope(code=code)).verdict is SUCCEEDED
    assert yes is (200 <= status < 300 and code == "00")


# Transport failures


def test_transport_failure_is_unknown_and_keeps_its_problem() -> None:
    seen = read(TransportFailure("the connection was cut", attempts=3))
    assert (seen.verdict, seen.problem) == (UNKNOWN, "the connection was cut")
    assert (seen.status, seen.code, seen.server_time, seen.attempts) == (None, None, None, 3)
    assert not seen.refuses_token


def test_all_attempts_are_counted() -> None:
    assert read(HttpAnswer(200, {}, b'{"code":"00"}', attempts=4)).attempts == 4
    assert read(HttpAnswer(302, {}, b"", attempts=2)).attempts == 2


# Fields and redaction


def test_only_named_fields_of_data_are_kept() -> None:
    body = envelope(code="00", data={"businessId": "b", "bvn": "22222222222", "banks": []})
    assert read(HttpAnswer(200, {}, body), keep=("businessId", "absent")).data == {
        "businessId": "b"
    }
    assert read(HttpAnswer(200, {}, body)).data == {}


@each_row("data", [None, [], ["businessId"], "businessId", 7, True])
def test_data_other_than_object_is_not_kept(data: object) -> None:
    body = envelope(code="00", data=data)
    assert read(HttpAnswer(200, {}, body), keep=("businessId",)).data == {}


def test_fields_outside_data_are_not_kept() -> None:
    body = envelope(code="00", businessId="b")
    assert read(HttpAnswer(200, {}, body), keep=("businessId", "code")).data == {}


def test_repr_omits_body_headers_and_data() -> None:
    body = envelope(code="00", data={"access_token": SEED})
    answer = HttpAnswer(200, {"set-cookie": SECRET}, body)
    shown = repr(answer) + repr(read(answer, keep=("access_token",)))
    assert SEED not in shown
    assert SECRET not in shown


def test_problem_contains_status_code_and_description() -> None:
    seen = reading(400, envelope(code="400", description="Request failed."))
    assert seen.problem == "HTTP 400, code 400: Request failed."
    assert reading(404, b"{}").problem == "HTTP 404, code missing"


@each_row(
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
def test_description_is_redacted(description: object, shown: str) -> None:
    assert redact(description, [SEED, SECRET]) == shown


def in_words(secret: str, size: int, separator: str = " ") -> str:
    """Return a secret split into words of a size."""
    return separator.join(secret[i : i + size] for i in range(0, len(secret), size))


@each_row("size", [1, 2, 3, 7, 8, 20])
@each_row("separator", [" ", "-", ", "])
def test_secret_split_into_words_is_redacted(size: int, separator: str) -> None:
    for secret in (SEED[40:], SECRET[:-2]):
        shown = redact(f"bad: {in_words(secret, size, separator)} !", [SEED, SECRET])
        assert shown == "bad: [redacted] !"


@each_row(
    "text",
    [SEED[100:108], SEED[150:170].upper(), f"x{SEED[200:230]}y", SECRET[3:11]],
)
def test_eight_characters_of_secret_are_redacted(text: str) -> None:
    assert "[redacted]" in redact(f"near {text} here", [SEED, SECRET])
    assert text.lower()[:9] not in redact(f"near {text} here", [SEED, SECRET]).lower()


@each_row(
    "text",
    [
        "victorshoaga at gmail.com",
        "victorshoaga (at) gmail dot com",
        "VICTORSHOAGA",
        "victor shoaga",
    ],
)
def test_address_from_claims_is_redacted_without_at_sign(text: str) -> None:
    shown = redact(f"user {text} is unknown", [SEED, *email_addresses(SEED)]).lower()
    assert "victor" not in shown
    assert "shoaga" not in shown


def test_short_address_is_redacted_as_whole() -> None:
    assert redact("user a at b.c, a@b.c", ["a@b.c"]) == "user a at b.c, [redacted]"


@given(before=printable, secret=secrets, after=printable)
def test_secret_in_any_description_is_redacted(before: str, secret: str, after: str) -> None:
    for description in (f"{before}{secret}{after}", f"{before} {secret} {after}"):
        shown = redact(description, [secret])
        runs = (secret[i : i + 8] for i in range(len(secret) - 7))
        assert not any(run in shown for run in runs if run.isascii() and run.isalnum())


@given(st.text(max_size=400))
def test_redacted_text_is_short_printable_and_without_addresses(description: str) -> None:
    shown = redact(description, [])
    assert len(shown) <= 123
    assert shown.isprintable()
    assert "@" not in shown


@given(st.sampled_from(["code", "message", "description", "data", "errors", "status"]))
def test_token_echoed_in_any_field_is_redacted(name: str) -> None:
    echoed = token(iat=1, exp=2)
    assert echoed not in repr(reading(400, envelope(**{name: echoed})))
    assert echoed not in repr(reading(400, envelope(**{name: f"bad token {echoed}!"})))


# The server's clock


@pytest.fixture
def lagos() -> Iterator[None]:
    """Set the local time zone to UTC+1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "WAT-1")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("lagos")
@each_row(
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
def test_http_date_of_any_form_is_in_utc(text: str) -> None:
    assert parse_http_date(text) == 784_111_777


@each_row(
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
def test_invalid_http_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None


@given(st.text(max_size=40) | st.text("SunMon,0169: -+GMTZ\0\n", max_size=40))
def test_http_date_accepts_any_text(text: str) -> None:
    assert isinstance(parse_http_date(text), (float, type(None)))


@given(st.integers(0, 4_000_000_000))
def test_http_date_is_read_to_second(seconds: int) -> None:
    assert parse_http_date(formatdate(seconds, usegmt=True)) == seconds


def test_any_answer_carries_server_time() -> None:
    date = formatdate(NOW, usegmt=True)
    for status, body in ((200, b'{"code":"00"}'), (401, b""), (302, b""), (502, HTML)):
        assert reading(status, body, date=date).server_time == NOW
    assert reading(200, b"{}").server_time is None
