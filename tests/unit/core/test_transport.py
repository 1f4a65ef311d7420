# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP transport against a real server: retries, rate limits, timeouts and redaction."""

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

# One attempt: the backoff before a second one would end after the deadline.
ONE_ATTEMPT = {"deadline": 60.0, "pauses": 100.0}

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Sender:
    """A transport to the simulator, and two requests."""

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
        """Send a POST with the token in its body."""
        body = {"clientId": self.client_id, "access_token": self.token}
        headers = {"accountId": self.account_id}
        return self.transport.send("POST", "/v1/auth/token/revoke", headers, body)

    def probe(self) -> HttpAnswer | TransportFailure:
        """Send a GET with the token in a header."""
        headers = {"accountId": self.account_id, "Authorization": f"Bearer {self.token}"}
        return self.transport.send("GET", "/v1/accounts/balance", headers)


Connect = Callable[..., Sender]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove settings of proxies, CAs and passwords from the environment."""
    for name in (*PROXIES, *map(str.upper, PROXIES), *BUNDLES, "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def clock() -> FastClock:
    """Return a clock on which sleeping takes no time."""
    return FastClock()


@pytest.fixture
def connect(
    simulator: ControlClient, clock: FastClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connect]:
    """Return a factory of transports, by default over plain HTTP; close them at the end.

    pauses: seconds added to each backoff.
    """
    made: list[Sender] = []

    def connect(using: Clock | None = None, pauses: float = 0, **changes: Any) -> Sender:
        if pauses:
            monkeypatch.setattr(_transport._RANDOM, "uniform", lambda _low, _high: pauses)
        made.append(Sender(simulator, using or clock.as_clock(), **changes))
        return made[-1]

    yield connect
    for sender in made:
        sender.transport.close()


@pytest.fixture
def connect_tls(connect: Connect, simulator: ControlClient) -> Connect:
    """Return the same over HTTPS, by default with the CA of the simulator."""

    def connect_tls(**changes: Any) -> Sender:
        returned = {"api_url": simulator.url, "plain_loopback": False, "ca_path": simulator.ca_path}
        return connect(**{**returned, **changes})

    return connect_tls


@pytest.fixture
def closed_port() -> Iterator[str]:
    """Return the URL of a port that is bound but has no listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def status(outcome: HttpAnswer | TransportFailure) -> int:
    """Return the status of an answer."""
    assert isinstance(outcome, HttpAnswer), outcome
    return outcome.status


def problem(outcome: HttpAnswer | TransportFailure) -> str:
    """Return the problem of a failure."""
    assert isinstance(outcome, TransportFailure), outcome
    return outcome.problem


def seen(simulator: ControlClient) -> list[tuple[str, int | None]]:
    """Return operation and status of all requests of the simulator."""
    return [(entry.operation, entry.status) for entry in simulator.requests()]


def connections(simulator: ControlClient) -> list[int]:
    """Return the connection numbers of all requests."""
    return [entry.connection for entry in simulator.requests()]


# Requests


def test_revoke_sends_body_and_only_required_headers(
    connect: Connect, simulator: ControlClient
) -> None:
    assert status(connect().revoke()) == 200
    (entry,) = simulator.requests()
    assert entry.body_fields == ("access_token", "clientId")
    assert entry.user_agent == "nomba.auth (Ansible collection)"
    returned = {"accept", "accept-encoding", "accountid", "content-length", "content-type"}
    assert set(entry.header_names) == returned | {"host", "user-agent"}


def test_probe_sends_no_body(connect: Connect, simulator: ControlClient) -> None:
    assert status(connect().probe()) == 200
    (entry,) = simulator.requests()
    assert (entry.method, entry.body_bytes, entry.authorization) == ("GET", 0, True)
    assert "content-type" not in entry.header_names


@pytest.mark.parametrize("own_file", [True, False], ids=["NETRC", "HOME"])
def test_netrc_adds_no_authorization(
    connect: Connect,
    simulator: ControlClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_file: bool,
) -> None:
    netrc = tmp_path / ("secrets" if own_file else ".netrc")
    netrc.write_text("machine 127.0.0.1 login user password something\n")
    netrc.chmod(0o600)
    if own_file:
        monkeypatch.setenv("NETRC", str(netrc))
    sender = connect()
    assert [status(sender.revoke()), status(sender.revoke())] == [200, 200]
    assert [entry.authorization for entry in simulator.requests()] == [False, False]


def test_netrc_does_not_replace_token_of_probe(connect: Connect, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login user password something\n")
    netrc.chmod(0o600)
    assert status(connect().probe()) == 200


def test_cookies_are_not_sent_back(connect: Connect, simulator: ControlClient) -> None:
    cookie = {"Set-Cookie": "session=something; Path=/"}
    simulator.fault("any", "date", offset=0, headers=cookie, times=0)
    sender = connect()
    assert "session=something" in str(sender.probe().headers)
    assert status(sender.probe()) == 200
    assert ["cookie" in entry.header_names for entry in simulator.requests()] == [False, False]


# Connections


def test_connection_is_reused(connect: Connect, simulator: ControlClient) -> None:
    sender = connect()
    assert [status(sender.probe()), status(sender.revoke()), status(sender.probe())] == [
        200,
        200,
        401,
    ]
    assert len(simulator.requests()) == 3
    assert len(set(connections(simulator))) == 1


def test_tls_connection_is_reused(connect_tls: Connect, simulator: ControlClient) -> None:
    sender = connect_tls()
    assert [status(sender.probe()), status(sender.revoke()), status(sender.probe())] == [
        200,
        200,
        401,
    ]
    assert len(set(connections(simulator))) == 1


@pytest.mark.parametrize("kind", ["redirect", "html", "echo", "empty", "rate_limited"])
def test_connection_is_reused_after_any_complete_answer(
    connect: Connect, simulator: ControlClient, kind: str
) -> None:
    sender = connect()
    simulator.fault("any", kind)
    sender.probe()
    assert status(sender.probe()) == 200
    assert simulator.requests()[0].fault == kind
    assert len(set(connections(simulator))) == 1


def test_closed_connection_is_replaced(connect: Connect, simulator: ControlClient) -> None:
    sender = connect()
    simulator.fault("any", "truncated", skip=1)
    assert [status(sender.probe()), status(sender.probe())] == [200, 200]
    first, second, third = connections(simulator)
    assert first == second != third


# Retries


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_transient_status_is_retried(connect: Connect, simulator: ControlClient, code: int) -> None:
    simulator.fault("revoke", "status", status=code, times=2)
    answer = connect().revoke()
    assert status(answer) == 200
    assert answer.attempts == 3
    assert seen(simulator) == [("revoke", code), ("revoke", code), ("revoke", 200)]


@pytest.mark.parametrize("code", [200, 400, 401, 403, 404, 408, 409, 500, 501, 505])
def test_final_status_is_not_retried(
    connect: Connect, simulator: ControlClient, clock: FastClock, code: int
) -> None:
    simulator.fault("any", "status", status=code, headers={"Retry-After": "1"})
    answer = connect().revoke()
    assert status(answer) == code
    assert answer.attempts == 1
    assert seen(simulator) == [("revoke", code)]
    assert clock.slept == []


@pytest.mark.parametrize("kind", ["reset", "lost_answer", "truncated"])
def test_connection_error_is_retried(connect: Connect, simulator: ControlClient, kind: str) -> None:
    simulator.fault("revoke", kind)
    sender = connect()
    answer = sender.revoke()
    assert status(answer) == 200
    assert answer.attempts == 2
    assert len(simulator.requests()) == 2
    assert not simulator.accepts(sender.token)


@pytest.mark.parametrize("kind", ["reset", "truncated"])
def test_persistent_connection_error_fails_after_max_tries(
    connect: Connect, simulator: ControlClient, clock: FastClock, kind: str
) -> None:
    simulator.fault("any", kind, times=0)
    assert connect().revoke() == TransportFailure(CUT, MAX_TRIES)
    assert len(simulator.requests()) == MAX_TRIES
    assert len(clock.slept) == MAX_TRIES - 1


@pytest.mark.parametrize("code", [502, 503, 504])
def test_persistent_gateway_error_fails_after_max_tries(
    connect: Connect, simulator: ControlClient, code: int
) -> None:
    simulator.fault("any", "html", status=code, times=0)
    answer = connect().revoke()
    assert (status(answer), answer.attempts) == (code, MAX_TRIES)
    assert len(simulator.requests()) == MAX_TRIES


def test_rate_limited_revoke_is_retried_until_deadline(
    connect: Connect, simulator: ControlClient
) -> None:
    simulator.fault("any", "rate_limited", retry_after=10, times=0)
    answer = connect(deadline=105.0).revoke()
    assert (status(answer), answer.attempts) == (429, 11)
    assert len(simulator.requests()) == 11


def test_rate_limited_probe_fails_after_max_tries(
    connect: Connect, simulator: ControlClient
) -> None:
    simulator.fault("any", "rate_limited", retry_after=1, times=0)
    answer = connect().probe()
    assert (status(answer), answer.attempts) == (429, MAX_TRIES)
    assert len(simulator.requests()) == MAX_TRIES


def test_backoff_grows_up_to_limit(
    connect: Connect, simulator: ControlClient, clock: FastClock
) -> None:
    simulator.fault("any", "rate_limited", times=12)
    assert status(connect(deadline=10_000.0).revoke()) == 200
    longest = [1, 2, 4, 8, 16, *[30] * 7]
    assert len(clock.slept) == len(longest)
    assert all(most / 2 <= pause <= most for pause, most in zip(clock.slept, longest))


def test_backoff_has_jitter(connect: Connect, simulator: ControlClient, clock: FastClock) -> None:
    for sender in (connect(), connect()):
        simulator.fault("any", "rate_limited", times=3)
        assert status(sender.revoke()) == 200
    assert len(clock.slept) == 6
    assert clock.slept[:3] != clock.slept[3:]


# Retry delays

WINDOW = {"X-Rate-Limit-Window": "60s"}
AFTER = {"Retry-After": "7"}
BACKOFF = (0.5, 1)
PAUSES: dict[str, tuple[dict[str, str], tuple[float, float]]] = {
    "a number": (AFTER, (7, 7)),
    "leading zeros": ({"Retry-After": "0007"}, (7, 7)),
    "zero": ({"Retry-After": "0"}, BACKOFF),
    "a negative number": ({"Retry-After": "-7"}, BACKOFF),
    "a fraction": ({"Retry-After": "7.5"}, BACKOFF),
    "empty": ({"Retry-After": ""}, BACKOFF),
    "text": ({"Retry-After": "in a while"}, BACKOFF),
    "superscript digit": ({"Retry-After": "\u00b2"}, BACKOFF),
    "no header": ({}, BACKOFF),
    "the length of the window": (WINDOW, (60, 60)),
    "a number and a window": ({**AFTER, **WINDOW}, (7, 7)),
    "an invalid window": ({"X-Rate-Limit-Window": "a while"}, BACKOFF),
    "a past date": ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, BACKOFF),
    "an invalid date": ({"Retry-After": "Wed, 99 Oct 2015 07:28:00 GMT"}, BACKOFF),
}


@pytest.mark.parametrize(("headers", "bounds"), PAUSES.values(), ids=PAUSES.keys())
def test_retry_delay_follows_answer_headers(
    connect: Connect,
    simulator: ControlClient,
    clock: FastClock,
    headers: dict[str, str],
    bounds: tuple[float, float],
) -> None:
    simulator.fault("revoke", "rate_limited", headers=headers)
    assert status(connect().revoke()) == 200
    assert bounds[0] <= sum(clock.slept) <= bounds[1] + 0.001
    assert seen(simulator) == [("revoke", 429), ("revoke", 200)]


@pytest.mark.parametrize("code", [502, 503, 504])
def test_retry_after_of_gateway_is_honored(
    connect: Connect, simulator: ControlClient, clock: FastClock, code: int
) -> None:
    simulator.fault("any", "status", status=code, headers=AFTER)
    assert status(connect().revoke()) == 200
    assert clock.slept == [7.0]


@pytest.mark.parametrize("offset", [0, -7200, 7200], ids=["right", "behind", "ahead"])
def test_retry_after_date_is_relative_to_server_clock(
    connect: Connect, simulator: ControlClient, clock: FastClock, offset: int
) -> None:
    simulator.configure(clock_offset=offset)
    then = formatdate(clock.as_clock().now() + offset + 60, usegmt=True)
    simulator.fault("any", "rate_limited", retry_after=then)
    assert status(connect().revoke()) == 200
    assert 55 <= sum(clock.slept) <= 61


def test_retry_after_date_is_relative_to_local_clock_without_date(
    connect: Connect, simulator: ControlClient, clock: FastClock
) -> None:
    clock.ahead = 86_400.0
    then = formatdate(clock.as_clock().now() + 60, usegmt=True)
    simulator.fault("any", "rate_limited", retry_after=then, headers={"Date": "some day"})
    assert status(connect().revoke()) == 200
    assert 55 <= sum(clock.slept) <= 61


# The deadline


@pytest.mark.parametrize("delay", ["600", "9" * 400], ids=["long", "absurd"])
def test_retry_delay_beyond_deadline_is_not_started(
    connect: Connect, simulator: ControlClient, clock: FastClock, delay: str
) -> None:
    simulator.fault("any", "rate_limited", retry_after=delay, times=0)
    answer = connect(deadline=120.0).revoke()
    assert (status(answer), answer.attempts) == (429, 1)
    assert clock.slept == []
    assert seen(simulator) == [("revoke", 429)]


def test_failure_shortly_before_deadline_is_returned_at_once(
    connect: Connect, simulator: ControlClient, clock: FastClock
) -> None:
    simulator.fault("any", "reset", times=0)
    assert connect(**ONE_ATTEMPT).revoke() == TransportFailure(CUT, 1)
    assert clock.slept == []
    assert len(simulator.requests()) == 1


def test_nothing_is_sent_after_deadline(
    connect: Connect, simulator: ControlClient, clock: FastClock
) -> None:
    sender = connect(deadline=10.0)
    clock.slept.append(10.0)
    assert sender.transport.remaining() <= 0
    assert sender.revoke() == sender.probe() == TransportFailure(DEADLINE, 0, sent=False)
    assert simulator.requests() == []


def test_nothing_is_sent_after_overlong_sleep(
    connect: Connect, simulator: ControlClient, clock: FastClock
) -> None:
    own = clock.as_clock()
    oversleeping = Clock(own.now, own.monotonic, lambda seconds: clock.slept.append(seconds + 60))
    simulator.fault("any", "rate_limited", retry_after=5)
    assert connect(oversleeping, deadline=10.0).revoke() == TransportFailure(DEADLINE, 1)
    assert seen(simulator) == [("revoke", 429)]


def test_rate_window_beyond_deadline_is_not_waited_for(
    connect: Connect, simulator: ControlClient, clock: FastClock
) -> None:
    simulator.configure(rate_class="low_traffic")
    sender = connect(deadline=30.0)
    assert status(sender.revoke()) == 200
    assert sender.revoke() == TransportFailure(DEADLINE, 0, sent=False)
    assert clock.slept == []
    assert seen(simulator) == [("revoke", 200)]


def test_attempt_ends_at_deadline(connect: Connect, simulator: ControlClient) -> None:
    simulator.fault("any", "slow", delay=3)
    assert connect(deadline=0.3, timeout=30.0).probe() == TransportFailure(TIMEOUT, 1)


# Endless and large bodies


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the size limit of bodies so that an endless body ends soon."""
    monkeypatch.setattr(_http_connection, "MAX_BODY", 150)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["slow", "stalled", "endless"])
def test_endless_answer_is_a_timeout(connect: Connect, simulator: ControlClient, kind: str) -> None:
    simulator.fault("any", kind)
    assert connect(timeout=0.2, **ONE_ATTEMPT).revoke() == TransportFailure(TIMEOUT, 1)
    assert len(simulator.requests()) == 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["slow", "stalled", "endless"])
def test_endless_answer_is_retried(connect: Connect, simulator: ControlClient, kind: str) -> None:
    simulator.fault("any", kind)
    answer = connect(timeout=0.2).revoke()
    assert (status(answer), answer.attempts) == (200, 2)
    assert len(set(connections(simulator))) == 2


def test_too_large_answer_is_not_read_completely(
    connect: Connect, simulator: ControlClient
) -> None:
    simulator.fault("any", "too_large")
    assert connect().revoke() == TransportFailure(TOO_LARGE, 1)
    assert len(simulator.requests()) == 1


@pytest.mark.parametrize("more", [0, 1], ids=["at limit", "one byte above"])
def test_size_limit_of_answer_is_exact(
    connect: Connect, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    simulator.fault("any", "too_large", size=1000, times=2)
    sender = connect()
    size = len(sender.probe().body)
    monkeypatch.setattr(_http_connection, "MAX_BODY", size - more)
    answer = sender.probe()
    assert isinstance(answer, TransportFailure if more else HttpAnswer)


def test_empty_body_is_returned(connect: Connect, simulator: ControlClient) -> None:
    simulator.fault("any", "empty")
    answer = connect().revoke()
    assert status(answer) == 200
    assert answer.body == b""


def test_header_names_are_lower_case(connect: Connect, simulator: ControlClient) -> None:
    simulator.fault("any", "date", offset=0, headers={"X-Something": "Else"})
    answer = connect().revoke()
    assert answer.headers["x-something"] == "Else"
    assert {"date", "content-length"} <= set(answer.headers)


# Redirects


@pytest.mark.parametrize("method", ["revoke", "probe"])
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(
    connect: Connect, simulator: ControlClient, code: int, method: str
) -> None:
    simulator.fault("any", "redirect", status=code, location=f"{simulator.http_url}/elsewhere")
    answer = getattr(connect(), method)()
    assert (status(answer), answer.attempts) == (code, 1)
    assert seen(simulator) == [("revoke" if method == "revoke" else "balance", code)]


# TLS


def test_certificate_of_unknown_ca_prevents_request(
    connect_tls: Connect, simulator: ControlClient, clock: FastClock, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "unknown.pem"))
    sender = connect_tls(ca_path=str(tmp_path / "unknown.pem"))
    assert sender.revoke() == TransportFailure(TLS, 1, sent=False)
    assert clock.slept == []
    assert simulator.requests() == []


def test_private_ca_is_untrusted_by_default(connect_tls: Connect, simulator: ControlClient) -> None:
    assert connect_tls(ca_path=None).revoke() == TransportFailure(TLS, 1, sent=False)
    assert simulator.requests() == []


def test_certificate_for_another_name_prevents_request(
    connect_tls: Connect, simulator: ControlClient
) -> None:
    same_host = simulator.url.replace("127.0.0.1", "127.1")
    assert connect_tls(api_url=same_host).revoke() == TransportFailure(TLS, 1, sent=False)
    assert status(connect_tls(api_url=same_host, validate_certs=False).probe()) == 200
    assert len(simulator.requests()) == 1


@pytest.mark.filterwarnings("error")
def test_disabled_validation_accepts_any_certificate_without_warning(connect_tls: Connect) -> None:
    sender = connect_tls(ca_path=None, validate_certs=False)
    assert [status(sender.probe()), status(sender.probe())] == [200, 200]


@pytest.mark.parametrize("name", BUNDLES)
def test_missing_ca_bundle_of_environment_is_tls_failure(
    connect_tls: Connect, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/nowhere/missing.pem")
    assert connect_tls(ca_path=None).revoke() == TransportFailure(TLS, 1, sent=False)
    assert simulator.requests() == []


@pytest.mark.parametrize("name", BUNDLES)
def test_ca_bundle_of_environment_is_used(
    connect_tls: Connect, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, simulator.ca_path)
    assert status(connect_tls(ca_path=None).probe()) == 200


@pytest.mark.parametrize(
    "changes", [{}, {"validate_certs": False}], ids=["ca_path", "no validation"]
)
def test_options_override_ca_bundle_of_environment(
    connect_tls: Connect, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/missing.pem")
    assert status(connect_tls(**changes).probe()) == 200


# Proxies


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_proxy_of_environment_is_used_for_https(
    connect_tls: Connect,
    simulator: ControlClient,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: str,
    name: str,
) -> None:
    monkeypatch.setenv(name, closed_port)
    assert connect_tls(**ONE_ATTEMPT).revoke() == TransportFailure(PROXY, 1, sent=False)
    assert simulator.requests() == []


def test_no_proxy_of_environment_is_honored(
    connect_tls: Connect, monkeypatch: pytest.MonkeyPatch, closed_port: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", closed_port)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert status(connect_tls().probe()) == 200


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_loopback_http_uses_no_proxy(
    connect: Connect,
    simulator: ControlClient,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: str,
    name: str,
) -> None:
    monkeypatch.setenv(name, closed_port)
    assert status(connect(**ONE_ATTEMPT).revoke()) == 200
    assert seen(simulator) == [("revoke", 200)]


@pytest.mark.parametrize(
    "proxy",
    ["http://[::1", "http://:0", "socks9://x", "http://x:99999", "http://a b:1", "\udcff", "://"],
)
def test_unusable_proxy_is_transport_failure(
    connect_tls: Connect, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert isinstance(connect_tls(**ONE_ATTEMPT).revoke(), TransportFailure)
    assert simulator.requests() == []


# Rate limits


@pytest.mark.parametrize("workers", [1, 4], ids=["one thread", "four threads"])
def test_forty_revokes_keep_within_limits(
    connect: Connect, simulator: ControlClient, workers: int
) -> None:
    simulator.configure(rate_class="regular", rate_window=0.2)
    sender = connect(SYSTEM, deadline=10.0)
    outcomes = at_once(workers, [sender.revoke] * 40)
    assert [status(outcome) for outcome in outcomes] == [200] * 40
    assert seen(simulator) == [("revoke", 200)] * 40


# Threads


def at_once(workers: int, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Return the results of calls by a number of threads that start together."""
    begun = threading.Barrier(workers)
    with ThreadPoolExecutor(workers, initializer=begun.wait) as pool:
        started = [pool.submit(call) for call in calls]
        return [one.result() for one in started]


def test_threads_do_not_share_connections(connect: Connect, simulator: ControlClient) -> None:
    sender = connect()
    for _turn in range(2):
        assert [status(answer) for answer in at_once(1, [sender.probe] * 2)] == [200, 200]
    first, second, third, fourth = connections(simulator)
    assert first == second != third == fourth


def test_second_thread_waits_for_limits_in_first_answer(
    connect: Connect, simulator: ControlClient
) -> None:
    simulator.fault("any", "slow", delay=0.3)
    sender = connect(SYSTEM, deadline=5.0)
    assert [status(answer) for answer in at_once(2, [sender.revoke] * 2)] == [200, 200]
    first, second = simulator.requests()
    assert first.fault == "slow"
    assert second.time - first.time >= 0.29


def test_failed_request_does_not_block_other_thread(
    connect: Connect, simulator: ControlClient
) -> None:
    simulator.fault("any", "reset", times=0)
    sender = connect(SYSTEM, **ONE_ATTEMPT)
    assert at_once(2, [sender.revoke] * 2) == [TransportFailure(CUT, 1)] * 2
    assert len(simulator.requests()) == 2


# Redaction


FAILURES: dict[str, dict[str, Any]] = {
    "reset": {},
    "lost_answer": {},
    "slow": {"timeout": 0.2},
    "endless": {"timeout": 0.2},
    "stalled": {"timeout": 0.2},
    "truncated": {},
    "too_large": {},
}


def omits_request(
    sender: Sender, outcome: HttpAnswer | TransportFailure, simulator: ControlClient
) -> bool:
    """Return whether the outcome contains no part of the request."""
    secrets = {sender.token, sender.account_id, sender.client_id, "http", "/v1/"}
    secrets |= {sender.token.split(".")[2], simulator.url.rpartition(":")[2]}
    return not any(secret in problem(outcome) + repr(outcome) for secret in secrets)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("method", ["revoke", "probe"])
@pytest.mark.parametrize(("kind", "changes"), FAILURES.items(), ids=FAILURES.keys())
def test_failure_omits_request(
    connect: Connect, simulator: ControlClient, kind: str, changes: dict[str, Any], method: str
) -> None:
    simulator.fault("any", kind, times=0)
    sender = connect(**ONE_ATTEMPT, **changes)
    assert omits_request(sender, getattr(sender, method)(), simulator)
    assert len(simulator.requests()) == 1


@pytest.mark.parametrize("method", ["revoke", "probe"])
@pytest.mark.parametrize(
    "changes",
    [
        {"api_url": "https://127.0.0.1:1", "plain_loopback": False},
        {"api_url": "http://127.0.0.1:1"},
        {"api_url": "invalid://127.0.0.1"},
        {"api_url": "http://"},
        {"deadline": 0.0},
    ],
    ids=["no listener, TLS", "no listener", "unknown scheme", "no host", "no time"],
)
def test_failure_of_unsent_request_omits_request(
    connect: Connect, simulator: ControlClient, changes: dict[str, Any], method: str
) -> None:
    sender = connect(**{**ONE_ATTEMPT, **changes})
    assert omits_request(sender, getattr(sender, method)(), simulator)
    assert simulator.requests() == []


def test_failure_of_certificate_omits_request(
    connect_tls: Connect, simulator: ControlClient
) -> None:
    sender = connect_tls(ca_path=None)
    assert omits_request(sender, sender.probe(), simulator)


def test_failure_of_proxy_omits_request(
    connect_tls: Connect,
    simulator: ControlClient,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: str,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", closed_port.replace("//", "//proxyuser:proxypass@"))
    sender = connect_tls(**ONE_ATTEMPT)
    failed = sender.probe()
    assert omits_request(sender, failed, simulator)
    assert "proxyuser" not in problem(failed)
    assert "proxypass" not in problem(failed)


def test_invalid_header_is_transport_failure(connect: Connect, simulator: ControlClient) -> None:
    sender = connect()
    sender.account_id = "one\r\nHost: two"
    assert sender.revoke() == TransportFailure(UNSENDABLE, 1, sent=False)
    assert simulator.requests() == []


# Libraries


@pytest.mark.parametrize("library", ["requests", "urllib3"])
def test_missing_library_is_named_and_blocks_no_later_request(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    sender = connect()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, library, None)
        with pytest.raises(LibraryMissing, match="requests"):
            sender.revoke()
    assert status(sender.revoke()) == 200
