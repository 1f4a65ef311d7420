# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wire: retries, waiting, limits and silence, with a real server at the other end."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from ansible_collections.nomba.auth.plugins.module_utils import _http_connection, _transport
from ansible_collections.nomba.auth.plugins.module_utils._answer import HttpAnswer, TransportFailure
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM, Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing
from ansible_collections.nomba.auth.plugins.module_utils._http_session import Connection
from ansible_collections.nomba.auth.plugins.module_utils._transport import (
    MAX_TRIES,
    HttpTransport,
)
from tests.simulator.control_client import ControlClient
from tests.unit.clock import FastClock

pytestmark = pytest.mark.pure

DEADLINE = "the run's deadline came first (see the option deadline)"
TIMEOUT = "no complete answer within the timeout"
CUT = "the connection failed or was closed"
PROXY = "the proxy did not let the request through; nothing was sent"
TOO_LARGE = "the answer is too large to be the API's"
TLS = (
    "TLS could not be established with the host of api_url (see ca_path and validate_certs); "
    "nothing was sent"
)
UNSENDABLE = "the request could not be sent; nothing was sent"

# One attempt: the pause before a second one would end after the deadline.
ONE_ATTEMPT = {"deadline": 60.0, "pauses": 100.0}

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Wire:
    """A transport to the simulator, and the two requests that go over it."""

    def __init__(self, simulator: ControlClient, clock: Clock, **changes: Any) -> None:
        returned = {
            "api_url": simulator.http_url,
            "plain_loopback": True,
            "validate_certs": True,
            "ca_path": None,
            "timeout": 10.0,
            "deadline": 120.0,
        }
        self.transport = HttpTransport(Connection(**{**returned, **changes}), clock)
        self.account_id, self.client_id = simulator.account_id, simulator.client_id
        self.token = simulator.mint()

    def revoke(self) -> HttpAnswer | TransportFailure:
        """A POST, with the token in its body."""
        body = {"clientId": self.client_id, "access_token": self.token}
        headers = {"accountId": self.account_id}
        return self.transport.send("POST", "/v1/auth/token/revoke", headers, body)

    def probe(self) -> HttpAnswer | TransportFailure:
        """A GET, with the token in a header."""
        headers = {"accountId": self.account_id, "Authorization": f"Bearer {self.token}"}
        return self.transport.send("GET", "/v1/accounts/balance", headers)


Dial = Callable[..., Wire]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that the machine's own environment says about proxies, CAs and passwords."""
    for name in (*PROXIES, *map(str.upper, PROXIES), *BUNDLES, "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def clock() -> FastClock:
    """A clock on which waiting takes no time."""
    return FastClock()


@pytest.fixture
def dial(
    simulator: ControlClient, clock: FastClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Dial]:
    """Makes transports, over plain HTTP by default, and closes them.

    pauses: how much longer than usual a pause before a retry is.
    """
    made: list[Wire] = []

    def dial(using: Clock | None = None, pauses: float = 0, **changes: Any) -> Wire:
        if pauses:
            monkeypatch.setattr(_transport._RANDOM, "uniform", lambda _low, _high: pauses)
        made.append(Wire(simulator, using or clock.as_clock(), **changes))
        return made[-1]

    yield dial
    for wire in made:
        wire.transport.close()


@pytest.fixture
def dial_tls(dial: Dial, simulator: ControlClient) -> Dial:
    """The same over HTTPS, trusting the simulator's CA by default."""

    def dial_tls(**changes: Any) -> Wire:
        returned = {"api_url": simulator.url, "plain_loopback": False, "ca_path": simulator.ca_path}
        return dial(**{**returned, **changes})

    return dial_tls


@pytest.fixture
def closed_port() -> Iterator[str]:
    """The URL of a port on which nobody listens, and nobody else can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def status(outcome: HttpAnswer | TransportFailure) -> int:
    """The status of what must be an answer."""
    assert isinstance(outcome, HttpAnswer), outcome
    return outcome.status


def problem(outcome: HttpAnswer | TransportFailure) -> str:
    """The problem of what must be none."""
    assert isinstance(outcome, TransportFailure), outcome
    return outcome.problem


def seen(simulator: ControlClient) -> list[tuple[str, int | None]]:
    """What the simulator was asked for, and the status that it answered."""
    return [(entry.operation, entry.status) for entry in simulator.requests()]


def connections(simulator: ControlClient) -> list[int]:
    """The numbers of the connections on which requests came."""
    return [entry.connection for entry in simulator.requests()]


# What is sent


def test_a_revoke_carries_a_body_and_no_more_headers_than_it_needs(
    dial: Dial, simulator: ControlClient
) -> None:
    assert status(dial().revoke()) == 200
    (entry,) = simulator.requests()
    assert entry.body_fields == ("access_token", "clientId")
    assert entry.user_agent == "nomba.auth (Ansible collection)"
    returned = {"accept", "accept-encoding", "accountid", "content-length", "content-type"}
    assert set(entry.header_names) == returned | {"host", "user-agent"}


def test_a_probe_carries_no_body(dial: Dial, simulator: ControlClient) -> None:
    assert status(dial().probe()) == 200
    (entry,) = simulator.requests()
    assert (entry.method, entry.body_bytes, entry.authorization) == ("GET", 0, True)
    assert "content-type" not in entry.header_names


@pytest.mark.parametrize("own_file", [True, False], ids=["NETRC", "HOME"])
def test_a_netrc_that_names_the_host_adds_no_authorization(
    dial: Dial,
    simulator: ControlClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_file: bool,
) -> None:
    netrc = tmp_path / ("secrets" if own_file else ".netrc")
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    if own_file:
        monkeypatch.setenv("NETRC", str(netrc))
    wire = dial()
    assert [status(wire.revoke()), status(wire.revoke())] == [200, 200]
    assert [entry.authorization for entry in simulator.requests()] == [False, False]


def test_a_netrc_does_not_replace_the_token_of_a_probe(dial: Dial, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login somebody password something\n")
    netrc.chmod(0o600)
    assert status(dial().probe()) == 200


def test_cookies_are_not_sent_back(dial: Dial, simulator: ControlClient) -> None:
    cookie = {"Set-Cookie": "session=something; Path=/"}
    simulator.fault("any", "date", offset=0, headers=cookie, times=0)
    wire = dial()
    assert "session=something" in str(wire.probe().headers)
    assert status(wire.probe()) == 200
    assert ["cookie" in entry.header_names for entry in simulator.requests()] == [False, False]


# Connections


def test_one_connection_serves_all_requests(dial: Dial, simulator: ControlClient) -> None:
    wire = dial()
    assert [status(wire.probe()), status(wire.revoke()), status(wire.probe())] == [200, 200, 401]
    assert len(simulator.requests()) == 3
    assert len(set(connections(simulator))) == 1


def test_one_tls_connection_serves_all_requests(dial_tls: Dial, simulator: ControlClient) -> None:
    wire = dial_tls()
    assert [status(wire.probe()), status(wire.revoke()), status(wire.probe())] == [200, 200, 401]
    assert len(set(connections(simulator))) == 1


@pytest.mark.parametrize("kind", ["redirect", "html", "echo", "empty", "rate_limited"])
def test_an_answer_of_any_kind_leaves_the_connection_usable(
    dial: Dial, simulator: ControlClient, kind: str
) -> None:
    wire = dial()
    simulator.fault("any", kind)
    wire.probe()
    assert status(wire.probe()) == 200
    assert simulator.requests()[0].fault == kind
    assert len(set(connections(simulator))) == 1


def test_a_connection_that_was_cut_is_replaced(dial: Dial, simulator: ControlClient) -> None:
    wire = dial()
    simulator.fault("any", "truncated", skip=1)
    assert [status(wire.probe()), status(wire.probe())] == [200, 200]
    first, second, third = connections(simulator)
    assert first == second != third


# Retries


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_a_passing_trouble_is_tried_again(dial: Dial, simulator: ControlClient, code: int) -> None:
    simulator.fault("revoke", "status", status=code, times=2)
    answer = dial().revoke()
    assert status(answer) == 200
    assert answer.attempts == 3
    assert seen(simulator) == [("revoke", code), ("revoke", code), ("revoke", 200)]


@pytest.mark.parametrize("code", [200, 400, 401, 403, 404, 408, 409, 500, 501, 505])
def test_a_clear_answer_is_not_tried_again(
    dial: Dial, simulator: ControlClient, clock: FastClock, code: int
) -> None:
    simulator.fault("any", "status", status=code, headers={"Retry-After": "1"})
    answer = dial().revoke()
    assert status(answer) == code
    assert answer.attempts == 1
    assert seen(simulator) == [("revoke", code)]
    assert clock.slept == []


@pytest.mark.parametrize("kind", ["reset", "lost_answer", "truncated"])
def test_a_cut_connection_is_tried_again(dial: Dial, simulator: ControlClient, kind: str) -> None:
    simulator.fault("revoke", kind)
    wire = dial()
    answer = wire.revoke()
    assert status(answer) == 200
    assert answer.attempts == 2
    assert len(simulator.requests()) == 2
    assert not simulator.accepts(wire.token)


@pytest.mark.parametrize("kind", ["reset", "truncated"])
def test_a_connection_that_is_always_cut_is_given_up(
    dial: Dial, simulator: ControlClient, clock: FastClock, kind: str
) -> None:
    simulator.fault("any", kind, times=0)
    assert dial().revoke() == TransportFailure(CUT, MAX_TRIES)
    assert len(simulator.requests()) == MAX_TRIES
    assert len(clock.slept) == MAX_TRIES - 1


@pytest.mark.parametrize("code", [502, 503, 504])
def test_a_gateway_that_stays_in_trouble_is_given_up(
    dial: Dial, simulator: ControlClient, code: int
) -> None:
    simulator.fault("any", "html", status=code, times=0)
    answer = dial().revoke()
    assert (status(answer), answer.attempts) == (code, MAX_TRIES)
    assert len(simulator.requests()) == MAX_TRIES


def test_a_limited_revoke_goes_on_until_the_deadline(dial: Dial, simulator: ControlClient) -> None:
    simulator.fault("any", "rate_limited", retry_after=10, times=0)
    answer = dial(deadline=105.0).revoke()
    assert (status(answer), answer.attempts) == (429, 11)
    assert len(simulator.requests()) == 11


def test_a_limited_probe_is_given_up(dial: Dial, simulator: ControlClient) -> None:
    simulator.fault("any", "rate_limited", retry_after=1, times=0)
    answer = dial().probe()
    assert (status(answer), answer.attempts) == (429, MAX_TRIES)
    assert len(simulator.requests()) == MAX_TRIES


def test_pauses_grow_and_have_an_upper_bound(
    dial: Dial, simulator: ControlClient, clock: FastClock
) -> None:
    simulator.fault("any", "rate_limited", times=12)
    assert status(dial(deadline=10_000.0).revoke()) == 200
    longest = [1, 2, 4, 8, 16, *[30] * 7]
    assert len(clock.slept) == len(longest)
    assert all(most / 2 <= pause <= most for pause, most in zip(clock.slept, longest))


def test_no_two_runs_pause_alike(dial: Dial, simulator: ControlClient, clock: FastClock) -> None:
    for wire in (dial(), dial()):
        simulator.fault("any", "rate_limited", times=3)
        assert status(wire.revoke()) == 200
    assert len(clock.slept) == 6
    assert clock.slept[:3] != clock.slept[3:]


# How long to wait

WINDOW = {"X-Rate-Limit-Window": "60s"}
AFTER = {"Retry-After": "7"}
BACKOFF = (0.5, 1)
PAUSES: dict[str, tuple[dict[str, str], tuple[float, float]]] = {
    "a number": (AFTER, (7, 7)),
    "a number with more zeros than sense": ({"Retry-After": "0007"}, (7, 7)),
    "zero": ({"Retry-After": "0"}, BACKOFF),
    "a negative number": ({"Retry-After": "-7"}, BACKOFF),
    "a fraction": ({"Retry-After": "7.5"}, BACKOFF),
    "nothing": ({"Retry-After": ""}, BACKOFF),
    "words": ({"Retry-After": "in a while"}, BACKOFF),
    "a strange digit": ({"Retry-After": "\u00b2"}, BACKOFF),
    "no header at all": ({}, BACKOFF),
    "the length of the window": (WINDOW, (60, 60)),
    "a number and a window": ({**AFTER, **WINDOW}, (7, 7)),
    "a window without sense": ({"X-Rate-Limit-Window": "a while"}, BACKOFF),
    "a date long ago": ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, BACKOFF),
    "a date that is none": ({"Retry-After": "Wed, 99 Oct 2015 07:28:00 GMT"}, BACKOFF),
}


@pytest.mark.parametrize(("headers", "bounds"), PAUSES.values(), ids=PAUSES.keys())
def test_after_a_limit_the_pause_is_what_the_answer_asks_for(
    dial: Dial,
    simulator: ControlClient,
    clock: FastClock,
    headers: dict[str, str],
    bounds: tuple[float, float],
) -> None:
    simulator.fault("revoke", "rate_limited", headers=headers)
    assert status(dial().revoke()) == 200
    assert bounds[0] <= sum(clock.slept) <= bounds[1] + 0.001
    assert seen(simulator) == [("revoke", 429), ("revoke", 200)]


@pytest.mark.parametrize("code", [502, 503, 504])
def test_a_gateway_may_ask_for_a_pause_too(
    dial: Dial, simulator: ControlClient, clock: FastClock, code: int
) -> None:
    simulator.fault("any", "status", status=code, headers=AFTER)
    assert status(dial().revoke()) == 200
    assert clock.slept == [7.0]


@pytest.mark.parametrize("offset", [0, -7200, 7200], ids=["right", "behind", "ahead"])
def test_a_date_to_wait_for_is_read_by_the_clock_of_the_server(
    dial: Dial, simulator: ControlClient, clock: FastClock, offset: int
) -> None:
    simulator.configure(clock_offset=offset)
    then = formatdate(clock.as_clock().now() + offset + 60, usegmt=True)
    simulator.fault("any", "rate_limited", retry_after=then)
    assert status(dial().revoke()) == 200
    assert 55 <= sum(clock.slept) <= 61


def test_a_date_to_wait_for_is_read_by_our_clock_when_the_server_shows_none(
    dial: Dial, simulator: ControlClient, clock: FastClock
) -> None:
    clock.ahead = 86_400.0
    then = formatdate(clock.as_clock().now() + 60, usegmt=True)
    simulator.fault("any", "rate_limited", retry_after=then, headers={"Date": "some day"})
    assert status(dial().revoke()) == 200
    assert 55 <= sum(clock.slept) <= 61


# The deadline


@pytest.mark.parametrize("asked", ["600", "9" * 400], ids=["long", "absurd"])
def test_a_pause_beyond_the_deadline_is_not_begun(
    dial: Dial, simulator: ControlClient, clock: FastClock, asked: str
) -> None:
    simulator.fault("any", "rate_limited", retry_after=asked, times=0)
    answer = dial(deadline=120.0).revoke()
    assert (status(answer), answer.attempts) == (429, 1)
    assert clock.slept == []
    assert seen(simulator) == [("revoke", 429)]


def test_a_failure_shortly_before_the_deadline_is_told_at_once(
    dial: Dial, simulator: ControlClient, clock: FastClock
) -> None:
    simulator.fault("any", "reset", times=0)
    assert dial(**ONE_ATTEMPT).revoke() == TransportFailure(CUT, 1)
    assert clock.slept == []
    assert len(simulator.requests()) == 1


def test_after_the_deadline_nothing_is_sent(
    dial: Dial, simulator: ControlClient, clock: FastClock
) -> None:
    wire = dial(deadline=10.0)
    clock.slept.append(10.0)
    assert wire.transport.remaining() <= 0
    assert wire.revoke() == wire.probe() == TransportFailure(DEADLINE, 0, sent=False)
    assert simulator.requests() == []


def test_after_a_pause_that_took_too_long_nothing_is_sent(
    dial: Dial, simulator: ControlClient, clock: FastClock
) -> None:
    own = clock.as_clock()
    oversleeping = Clock(own.now, own.monotonic, lambda seconds: clock.slept.append(seconds + 60))
    simulator.fault("any", "rate_limited", retry_after=5)
    assert dial(oversleeping, deadline=10.0).revoke() == TransportFailure(DEADLINE, 1)
    assert seen(simulator) == [("revoke", 429)]


def test_a_rate_window_beyond_the_deadline_is_not_waited_for(
    dial: Dial, simulator: ControlClient, clock: FastClock
) -> None:
    simulator.configure(rate_class="low_traffic")
    wire = dial(deadline=30.0)
    assert status(wire.revoke()) == 200
    assert wire.revoke() == TransportFailure(DEADLINE, 0, sent=False)
    assert clock.slept == []
    assert seen(simulator) == [("revoke", 200)]


def test_no_attempt_lasts_longer_than_the_deadline(dial: Dial, simulator: ControlClient) -> None:
    simulator.fault("any", "slow", delay=3)
    assert dial(deadline=0.3, timeout=30.0).probe() == TransportFailure(TIMEOUT, 1)


# Bodies that do not end, or not well


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that comes to the aid of whoever waits for an endless body."""
    monkeypatch.setattr(_http_connection, "MAX_BODY", 150)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["slow", "stalled", "endless"])
def test_an_answer_that_does_not_end_in_time_is_none(
    dial: Dial, simulator: ControlClient, kind: str
) -> None:
    simulator.fault("any", kind)
    assert dial(timeout=0.2, **ONE_ATTEMPT).revoke() == TransportFailure(TIMEOUT, 1)
    assert len(simulator.requests()) == 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["slow", "stalled", "endless"])
def test_an_answer_that_did_not_end_in_time_is_asked_for_again(
    dial: Dial, simulator: ControlClient, kind: str
) -> None:
    simulator.fault("any", kind)
    answer = dial(timeout=0.2).revoke()
    assert (status(answer), answer.attempts) == (200, 2)
    assert len(set(connections(simulator))) == 2


def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    dial: Dial, simulator: ControlClient
) -> None:
    simulator.fault("any", "too_large")
    assert dial().revoke() == TransportFailure(TOO_LARGE, 1)
    assert len(simulator.requests()) == 1


@pytest.mark.parametrize("more", [0, 1], ids=["as large as may be", "one byte larger"])
def test_the_bound_of_an_answer_is_exact(
    dial: Dial, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    simulator.fault("any", "too_large", size=1000, times=2)
    wire = dial()
    size = len(wire.probe().body)
    monkeypatch.setattr(_http_connection, "MAX_BODY", size - more)
    answer = wire.probe()
    assert isinstance(answer, TransportFailure if more else HttpAnswer)


def test_an_empty_body_is_an_answer(dial: Dial, simulator: ControlClient) -> None:
    simulator.fault("any", "empty")
    answer = dial().revoke()
    assert status(answer) == 200
    assert answer.body == b""


def test_header_names_come_in_lower_case(dial: Dial, simulator: ControlClient) -> None:
    simulator.fault("any", "date", offset=0, headers={"X-Something": "Else"})
    answer = dial().revoke()
    assert answer.headers["x-something"] == "Else"
    assert {"date", "content-length"} <= set(answer.headers)


# Redirects


@pytest.mark.parametrize("method", ["revoke", "probe"])
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    dial: Dial, simulator: ControlClient, code: int, method: str
) -> None:
    simulator.fault("any", "redirect", status=code, location=f"{simulator.http_url}/elsewhere")
    answer = getattr(dial(), method)()
    assert (status(answer), answer.attempts) == (code, 1)
    assert seen(simulator) == [("revoke" if method == "revoke" else "balance", code)]


# TLS


def test_a_certificate_of_an_unknown_authority_gets_nothing(
    dial_tls: Dial, simulator: ControlClient, clock: FastClock, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "strange.pem"))
    wire = dial_tls(ca_path=str(tmp_path / "strange.pem"))
    assert wire.revoke() == TransportFailure(TLS, 1, sent=False)
    assert clock.slept == []
    assert simulator.requests() == []


def test_a_private_authority_is_unknown_by_default(
    dial_tls: Dial, simulator: ControlClient
) -> None:
    assert dial_tls(ca_path=None).revoke() == TransportFailure(TLS, 1, sent=False)
    assert simulator.requests() == []


def test_a_certificate_for_another_name_gets_nothing(
    dial_tls: Dial, simulator: ControlClient
) -> None:
    same_host = simulator.url.replace("127.0.0.1", "127.1")
    assert dial_tls(api_url=same_host).revoke() == TransportFailure(TLS, 1, sent=False)
    assert status(dial_tls(api_url=same_host, validate_certs=False).probe()) == 200
    assert len(simulator.requests()) == 1


@pytest.mark.filterwarnings("error")
def test_without_validation_any_certificate_will_do_and_nothing_warns(dial_tls: Dial) -> None:
    wire = dial_tls(ca_path=None, validate_certs=False)
    assert [status(wire.probe()), status(wire.probe())] == [200, 200]


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_of_the_environment_that_is_missing_is_no_answer(
    dial_tls: Dial, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/nowhere/missing.pem")
    assert dial_tls(ca_path=None).revoke() == TransportFailure(TLS, 1, sent=False)
    assert simulator.requests() == []


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_of_the_environment_is_used(
    dial_tls: Dial, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, simulator.ca_path)
    assert status(dial_tls(ca_path=None).probe()) == 200


@pytest.mark.parametrize("changes", [{}, {"validate_certs": False}], ids=["ca_path", "no checks"])
def test_an_option_wins_over_a_bundle_of_the_environment(
    dial_tls: Dial, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/missing.pem")
    assert status(dial_tls(**changes).probe()) == 200


# Proxies


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used_for_https(
    dial_tls: Dial,
    simulator: ControlClient,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: str,
    name: str,
) -> None:
    monkeypatch.setenv(name, closed_port)
    assert dial_tls(**ONE_ATTEMPT).revoke() == TransportFailure(PROXY, 1, sent=False)
    assert simulator.requests() == []


def test_no_proxy_of_the_environment_is_heeded(
    dial_tls: Dial, monkeypatch: pytest.MonkeyPatch, closed_port: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", closed_port)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert status(dial_tls().probe()) == 200


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_plain_http_to_this_machine_takes_no_proxy(
    dial: Dial,
    simulator: ControlClient,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: str,
    name: str,
) -> None:
    monkeypatch.setenv(name, closed_port)
    assert status(dial(**ONE_ATTEMPT).revoke()) == 200
    assert seen(simulator) == [("revoke", 200)]


@pytest.mark.parametrize(
    "proxy",
    ["http://[::1", "http://:0", "socks9://x", "http://x:99999", "http://a b:1", "\udcff", "://"],
)
def test_a_proxy_that_cannot_be_used_is_no_answer(
    dial_tls: Dial, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert isinstance(dial_tls(**ONE_ATTEMPT).revoke(), TransportFailure)
    assert simulator.requests() == []


# Rate limits


@pytest.mark.parametrize("workers", [1, 4], ids=["one thread", "four threads"])
def test_forty_revokes_keep_within_the_limits(
    dial: Dial, simulator: ControlClient, workers: int
) -> None:
    simulator.configure(rate_class="regular", rate_window=0.2)
    wire = dial(SYSTEM, deadline=10.0)
    outcomes = at_once(workers, [wire.revoke] * 40)
    assert [status(outcome) for outcome in outcomes] == [200] * 40
    assert seen(simulator) == [("revoke", 200)] * 40


# Threads


def at_once(workers: int, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results of calls that so many threads make, all of them beginning together."""
    begun = threading.Barrier(workers)
    with ThreadPoolExecutor(workers, initializer=begun.wait) as pool:
        started = [pool.submit(call) for call in calls]
        return [one.result() for one in started]


def test_a_thread_does_not_use_the_connection_of_another(
    dial: Dial, simulator: ControlClient
) -> None:
    wire = dial()
    for _turn in range(2):
        assert [status(answer) for answer in at_once(1, [wire.probe] * 2)] == [200, 200]
    first, second, third, fourth = connections(simulator)
    assert first == second != third == fourth


def test_a_second_thread_waits_for_the_first_answer_which_tells_the_limits(
    dial: Dial, simulator: ControlClient
) -> None:
    simulator.fault("any", "slow", delay=0.3)
    wire = dial(SYSTEM, deadline=5.0)
    assert [status(answer) for answer in at_once(2, [wire.revoke] * 2)] == [200, 200]
    first, second = simulator.requests()
    assert first.fault == "slow"
    assert second.time - first.time >= 0.29


def test_a_thread_whose_request_fails_does_not_hold_up_the_other(
    dial: Dial, simulator: ControlClient
) -> None:
    simulator.fault("any", "reset", times=0)
    wire = dial(SYSTEM, **ONE_ATTEMPT)
    assert at_once(2, [wire.revoke] * 2) == [TransportFailure(CUT, 1)] * 2
    assert len(simulator.requests()) == 2


# What nobody may read


FAILURES: dict[str, dict[str, Any]] = {
    "reset": {},
    "lost_answer": {},
    "slow": {"timeout": 0.2},
    "endless": {"timeout": 0.2},
    "stalled": {"timeout": 0.2},
    "truncated": {},
    "too_large": {},
}


def reveals_nothing(
    wire: Wire, outcome: HttpAnswer | TransportFailure, simulator: ControlClient
) -> bool:
    """Whether no part of the request stands in what came of it."""
    secrets = {wire.token, wire.account_id, wire.client_id, "http", "/v1/"}
    secrets |= {wire.token.split(".")[2], simulator.url.rpartition(":")[2]}
    return not any(secret in problem(outcome) + repr(outcome) for secret in secrets)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("method", ["revoke", "probe"])
@pytest.mark.parametrize(("kind", "changes"), FAILURES.items(), ids=FAILURES.keys())
def test_a_failure_repeats_nothing_of_the_request(
    dial: Dial, simulator: ControlClient, kind: str, changes: dict[str, Any], method: str
) -> None:
    simulator.fault("any", kind, times=0)
    wire = dial(**ONE_ATTEMPT, **changes)
    assert reveals_nothing(wire, getattr(wire, method)(), simulator)
    assert len(simulator.requests()) == 1


@pytest.mark.parametrize("method", ["revoke", "probe"])
@pytest.mark.parametrize(
    "changes",
    [
        {"api_url": "https://127.0.0.1:1", "plain_loopback": False},
        {"api_url": "http://127.0.0.1:1"},
        {"api_url": "nonsense://127.0.0.1"},
        {"api_url": "http://"},
        {"deadline": 0.0},
    ],
    ids=["nobody there over TLS", "nobody there", "no such scheme", "no host", "no time"],
)
def test_a_request_that_never_left_is_not_repeated_in_the_failure(
    dial: Dial, simulator: ControlClient, changes: dict[str, Any], method: str
) -> None:
    wire = dial(**{**ONE_ATTEMPT, **changes})
    assert reveals_nothing(wire, getattr(wire, method)(), simulator)
    assert simulator.requests() == []


def test_a_refused_certificate_repeats_nothing_of_the_request(
    dial_tls: Dial, simulator: ControlClient
) -> None:
    wire = dial_tls(ca_path=None)
    assert reveals_nothing(wire, wire.probe(), simulator)


def test_a_failed_proxy_repeats_nothing_of_the_request(
    dial_tls: Dial, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, closed_port: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", closed_port.replace("//", "//somebody:something@"))
    wire = dial_tls(**ONE_ATTEMPT)
    failed = wire.probe()
    assert reveals_nothing(wire, failed, simulator)
    assert "some" not in problem(failed)


def test_a_header_that_cannot_be_sent_is_no_answer(dial: Dial, simulator: ControlClient) -> None:
    wire = dial()
    wire.account_id = "one\r\nHost: two"
    assert wire.revoke() == TransportFailure(UNSENDABLE, 1, sent=False)
    assert simulator.requests() == []


# Libraries


@pytest.mark.parametrize("library", ["requests", "urllib3"])
def test_a_missing_library_is_told_and_holds_up_nobody(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    wire = dial()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, library, None)
        with pytest.raises(LibraryMissing, match="requests"):
            wire.revoke()
    assert status(wire.revoke()) == 200
