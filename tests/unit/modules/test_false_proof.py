# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No answer gets a live token reported as dead; the list of the server decides what is alive."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.simulator.settings import DEFAULT_CLIENTS, OTHER_ACCOUNT_ID, ApiClient
from tests.simulator.tokens import fingerprint
from tests.unit.clock import FastClock

from .harness import ModuleResult, Revoke

pytestmark = pytest.mark.newest

OTHER_CLIENT = ApiClient(
    "0d0d0d0d-5555-4555-8555-ffffffffffff", "c2VjcmV0", account_id=OTHER_ACCOUNT_ID
)


@dataclass(frozen=True)
class Page:
    """An answer to a probe."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def envelope(status: int, code: object) -> Page:
    """An answer in the form of the API."""
    return Page(status, json.dumps({"code": code, "description": "Any"}).encode())


JSON_TYPE = {"Content-Type": "application/json"}
ACCEPTED, REFUSED = envelope(200, "00"), envelope(401, "401")
MESSAGE = Page(401, b'{"message": "Unauthorized"}', JSON_TYPE)
# Refusals that do not come from this API, or that do not refuse the token.
NO_EVIDENCE = {
    "a proxy's challenge": Page(401, headers={"WWW-Authenticate": 'Basic realm="corporate proxy"'}),
    "a gateway's message": MESSAGE,
    "nothing": Page(401),
    "an empty object": Page(401, b"{}", JSON_TYPE),
    "code 00": envelope(401, "00"),
    "another code": envelope(401, "403"),
    "a number for a code": envelope(401, 401),
    "a list": Page(401, b'[{"code": "401"}]', JSON_TYPE),
    "the envelope in another": Page(401, b'{"data": {"code": "401"}}', JSON_TYPE),
    "the envelope cut short": Page(401, b'{"code": "401", "descr', JSON_TYPE),
    "HTML": Page(401, b"<title>401</title>", {"Content-Type": "text/html"}),
    "code 401 in a 403": envelope(403, "401"),
    "code 401 in a 400": envelope(400, "401"),
    "code 401 in a 502": envelope(502, "401"),
    "code 401 in a 407": envelope(407, "401"),
}


class Gateway(ThreadingHTTPServer):
    """An API with a list of its live tokens, and a gateway in front of it.

    front: what the gateway answers to a probe of a token in place of the API; None lets it pass.
    refusal: how the API itself refuses a token. effective: whether a revoke has an effect.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.live: set[str] = set()
        self.front: Callable[[str], Page | None] = lambda _token: None
        self.refusal = REFUSED
        self.effective = True
        self.on_revoke: Callable[[], Page] = lambda: ACCEPTED
        self.requests: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def revoked(self) -> list[str]:
        """The tokens for which a revoke was sent, in order."""
        return [token for method, token in self.requests if method == "POST"]

    def probe(self, token: str) -> Page:
        self.requests.append(("GET", token))
        in_front = self.front(token)
        if in_front is not None:
            return in_front
        return ACCEPTED if token in self.live else self.refusal

    def revoke(self, token: str) -> Page:
        self.requests.append(("POST", token))
        if self.effective:
            self.live.discard(token)
        return self.on_revoke()


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway

    def do_GET(self) -> None:
        self.answer(self.server.probe(self.headers["Authorization"].partition(" ")[2]))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(self.server.revoke(body["access_token"]))

    def answer(self, page: Page) -> None:
        if not page.status:
            self.close_connection = True
            return
        self.send_response(page.status)
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        self.wfile.write(page.body)

    def log_message(self, *_words: object) -> None:
        """Print nothing."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway that forwards every request to an API without tokens."""
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def mint(revoke: Revoke, gateway: Gateway, count: int = 1) -> list[str]:
    """Return new live tokens of the API behind the gateway."""
    tokens = revoke.simulator.mint_many(count, known=False)
    gateway.live.update(tokens)
    return tokens


def verified(result: ModuleResult) -> list[str]:
    """Return the fingerprints of the tokens that are reported as verified."""
    return [row["fingerprint"] for row in result["results"] if row["verified"]]


def decided(result: ModuleResult, names: Mapping[str, str]) -> dict[str, tuple[str, bool]]:
    """Return outcome and verification of each token, by the name of its page."""
    rows = {row["fingerprint"]: (row["outcome"], row["verified"]) for row in result["results"]}
    return {name: rows[fingerprint(token)] for token, name in names.items()}


# Refusals that are no evidence


@pytest.mark.parametrize("effective", [True, False], ids=["effective", "without effect"])
def test_refusal_that_is_not_from_the_api_verifies_nothing(
    revoke: Revoke, gateway: Gateway, effective: bool
) -> None:
    names = dict(zip(mint(revoke, gateway, len(NO_EVIDENCE)), NO_EVIDENCE))
    gateway.front, gateway.effective = lambda token: NO_EVIDENCE[names[token]], effective
    result = revoke(*names, api_url=gateway.url, concurrency=1, abort_after=0)
    assert decided(result, names) == dict.fromkeys(NO_EVIDENCE, ("unknown", False))
    assert result.error == "unknown"
    assert gateway.revoked == list(names)
    assert gateway.live == (set() if effective else set(names))


def test_refusal_before_the_revoke_does_not_prevent_it(revoke: Revoke, gateway: Gateway) -> None:
    names = dict(zip(mint(revoke, gateway, len(NO_EVIDENCE)), NO_EVIDENCE))
    gateway.front = lambda token: (
        None if token in gateway.revoked else NO_EVIDENCE.get(names.get(token, ""))
    )
    result = revoke(*names, api_url=gateway.url, concurrency=1)
    assert decided(result, names) == dict.fromkeys(NO_EVIDENCE, ("revoked", True))
    assert gateway.revoked == list(names)
    assert gateway.live == set()


def test_refusal_after_a_revoke_without_effect_verifies_nothing(
    revoke: Revoke, gateway: Gateway
) -> None:
    names = dict(zip(mint(revoke, gateway, len(NO_EVIDENCE)), NO_EVIDENCE))
    gateway.front = lambda token: NO_EVIDENCE[names[token]] if token in gateway.revoked else None
    gateway.effective = False
    options = {"concurrency": 1, "abort_after": 0, "deadline": 3600}
    result = revoke(*names, api_url=gateway.url, **options)
    assert decided(result, names) == dict.fromkeys(NO_EVIDENCE, ("unknown", False))
    assert result.error == "unknown"
    assert gateway.live == set(names)


@pytest.mark.parametrize("proof", ["attempt", "none"])
def test_unverified_token_is_reported_first_without_required_proof(
    revoke: Revoke, gateway: Gateway, proof: str
) -> None:
    (token,) = mint(revoke, gateway)
    gateway.front, gateway.effective = lambda _token: MESSAGE, False
    result = revoke(token, api_url=gateway.url, proof=proof)
    assert (result.outcomes, verified(result)) == (["revoked"], [])
    assert result["msg"].startswith("NOT VERIFIED: 1 of 1 token(s). ")
    assert (result["summary"]["verified"], result["summary"]["not_verified"]) == (0, 1)
    assert gateway.live == {token}


# What the negative control learns


@pytest.mark.parametrize("page", [MESSAGE, Page(401)], ids=["message", "empty"])
def test_form_of_refusal_is_learned_while_the_api_accepts_a_token(
    revoke: Revoke, gateway: Gateway, page: Page
) -> None:
    live, dead = mint(revoke, gateway, 2)
    gateway.live.discard(dead)
    gateway.refusal = page
    result = revoke(live, dead, api_url=gateway.url, concurrency=1)
    assert result.outcomes == ["revoked", "already_revoked"]
    assert verified(result) == [fingerprint(live), fingerprint(dead)]
    assert gateway.revoked == [live]
    assert gateway.live == set()


def test_form_of_refusal_without_an_accepted_token_is_not_learned(
    revoke: Revoke, gateway: Gateway
) -> None:
    # After its first answer the gateway rejects every request, the negative control included.
    tokens = mint(revoke, gateway, 6)
    gateway.front = lambda _token: MESSAGE if len(gateway.requests) > 1 else None
    gateway.effective = False
    result = revoke(*tokens, api_url=gateway.url, concurrency=1)
    assert (result.outcomes, verified(result)) == (["unknown"] * 6, [])
    assert gateway.revoked == tokens
    assert gateway.live == set(tokens)


def test_gateway_that_rejects_one_token_verifies_nothing(revoke: Revoke, gateway: Gateway) -> None:
    # It blocks a leaked token with its own page, while the API still accepts the token.
    leaked, other = mint(revoke, gateway, 2)
    gateway.front = lambda token: MESSAGE if token == leaked else None
    gateway.effective = False
    result = revoke(other, leaked, api_url=gateway.url, concurrency=1)
    assert (result.outcomes, verified(result)) == (["still_accepted", "unknown"], [])
    assert gateway.live == {leaked, other}


# Accounts


@pytest.mark.parametrize("effective", [True, False], ids=["effective", "without effect"])
def test_wrong_account_id_hides_no_live_token(revoke: Revoke, effective: bool) -> None:
    revoke.simulator.configure(revoke_effective=effective)
    token = revoke.simulator.mint()
    result = revoke(token, account_id=OTHER_ACCOUNT_ID)
    assert result.outcomes == ["revoked" if effective else "still_accepted"]
    assert result.failed is not effective
    assert verified(result) == [fingerprint(token)] * effective
    assert revoke.simulator.accepts(token) is not effective
    for account in (OTHER_ACCOUNT_ID, revoke.simulator.account_id):
        assert account in result.warnings


@pytest.mark.parametrize("effective", [True, False], ids=["effective", "without effect"])
def test_token_that_names_two_accounts_is_probed_under_both(
    revoke: Revoke, effective: bool
) -> None:
    revoke.simulator.configure(revoke_effective=effective)
    token = revoke.simulator.mint(claims={f"G:{OTHER_ACCOUNT_ID}": f"G:{OTHER_ACCOUNT_ID}"})
    result = revoke(token, account_id=OTHER_ACCOUNT_ID)
    assert result.outcomes == ["revoked" if effective else "still_accepted"]
    assert verified(result) == [fingerprint(token)] * effective
    assert revoke.simulator.accepts(token) is not effective


def test_rejected_tokens_of_another_account_do_not_abort_the_others(revoke: Revoke) -> None:
    revoke.simulator.configure(clients=[*DEFAULT_CLIENTS, OTHER_CLIENT])
    others = revoke.simulator.mint_many(30, client_id=OTHER_CLIENT.client_id)
    live = revoke.simulator.mint_many(10)
    result = revoke(*others, *live, concurrency=1)
    outcomes = ["refused"] * 5 + ["not_attempted"] * 25 + ["revoked"] * 10
    assert (result.outcomes, result.error) == (outcomes, "refused")
    assert verified(result) == [fingerprint(token) for token in live]
    assert set(revoke.simulator.live()) == {fingerprint(token) for token in others}


# Lost answers and lost time


def test_lost_answers_leave_time_for_the_proof(
    revoke: Revoke, gateway: Gateway, clock: FastClock
) -> None:
    (token,) = mint(revoke, gateway)

    def time_out() -> Page:
        clock.slept.append(10)
        return Page(0)

    gateway.on_revoke = time_out
    result = revoke(token, api_url=gateway.url, deadline=60)
    assert (result.outcomes, verified(result)) == (["revoked"], [fingerprint(token)])
    assert len(gateway.revoked) > 1
    assert gateway.live == set()
    assert sum(clock.slept) <= 60


def test_lost_answer_is_never_reported_as_nothing_sent(revoke: Revoke, gateway: Gateway) -> None:
    (token,) = mint(revoke, gateway)

    def go_away() -> Page:
        gateway.socket.close()
        return Page(0)

    gateway.on_revoke = go_away
    result = revoke(token, api_url=gateway.url, deadline=60)
    assert (result.outcomes, result["changed"]) == (["unknown"], True)
    assert "no connection to 127.0.0.1:" in result.row["reason"]
    assert "nothing was sent" not in result.output
    assert gateway.revoked == [token]
