# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wire: the only file that knows requests. TLS, timeouts, retries, pacing, the run's deadline.

requests has habits that are wrong for secrets, and each is turned off here: it follows redirects
with the body, adds an Authorization header from ~/.netrc, reads a body whatever its size, keeps
cookies, and prints URLs and headers in its exceptions. Proxies from the environment stay.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._answer import Answer, NoAnswer, http_date
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing
from ansible_collections.nomba.auth.plugins.module_utils._pacing import (
    UNTIL_AN_ANSWER,
    Pacer,
    window_seconds,
)

# The answers of this API are short; a longer one is not from it.
MAX_BODY = 256 * 1024

# A connection that fails, or a gateway in trouble, gets this many tries; a POST that meets a 429 as
# many as the deadline allows, because its window passes by itself. Not so a probe: it must not use
# up the time of the revoke.
MAX_TRIES = 6
_GATEWAY_TROUBLE = frozenset({502, 503, 504})
_TOO_MANY = 429
_LONGEST_PAUSE = 30.0
_CHANCE = random.SystemRandom()

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "nomba.auth (Ansible collection)",
}

_DEADLINE = "the run's deadline came first (see the option deadline)"
_TIMEOUT = "no whole answer within the timeout"
_CUT = "the connection failed or was cut"
_PROXY = "the proxy did not let the request through"
_TOO_LARGE = "an answer too large to be the API's"
_TLS = "TLS could not be established with the host of api_url (see ca_path and validate_certs)"
_UNSENDABLE = "the request could not be sent"


@dataclass(frozen=True)
class Connection:
    """Where the API is and how to reach it; timeout (one attempt) and deadline (run) in seconds."""

    api_url: str
    plain_loopback: bool
    validate_certs: bool
    ca_path: str | None
    timeout: float
    deadline: float


@dataclass(frozen=True)
class _Failed:
    """One attempt that brought no answer, whether another one may, and whether it ever left."""

    problem: str
    again: bool = True
    sent: bool = True


class HttpTransport:
    """Sends requests to one API within one deadline; safe to use from several threads."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._ends = clock.monotonic() + connection.deadline
        self._pacer = Pacer()
        self._turn = threading.Condition()
        self._local = threading.local()
        self._sessions: list[Any] = []

    def remaining(self) -> float:
        """Seconds left until the run's deadline."""
        return self._ends - self._clock.monotonic()

    def close(self) -> None:
        """Close all connections."""
        while self._sessions:
            self._sessions.pop().close()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, str] | None = None,
        harmless_twice: bool = True,
    ) -> Answer | NoAnswer:
        """Send one request; again after 429, 502, 503, 504 and failed connections.

        What does harm when done twice is sent again only if it surely was not done: after 429,
        and when no connection came about.

        Never raises for what the network does. Raises LibraryMissing without requests.
        """
        payload = None if body is None else json.dumps(body).encode()
        attempts = 0
        while self._wait_for_turn(method):
            attempts += 1
            outcome = self._attempt(method, path, headers, payload)
            pause = self._pause(method, outcome, attempts)
            if not harmless_twice and _maybe_done(outcome):
                pause = None
            if pause is None or pause >= self.remaining():
                return _final(outcome, attempts)
            self._clock.sleep(pause)
        return NoAnswer(_DEADLINE, attempts)

    def _wait_for_turn(self, method: str) -> bool:
        """Wait until the rate limits allow a request; False when the deadline comes before."""
        while self.remaining() > 0:
            with self._turn:
                wait = self._pacer.wait(method, self._clock.monotonic())
                if wait == UNTIL_AN_ANSWER:
                    self._turn.wait(self.remaining())
                    continue
            if not wait:
                return True
            if wait >= self.remaining():
                return False
            self._clock.sleep(wait)
        return False

    def _attempt(
        self, method: str, path: str, headers: Mapping[str, str], payload: bytes | None
    ) -> Answer | _Failed:
        outcome: Answer | _Failed = _Failed(_UNSENDABLE, again=False)
        try:
            outcome = self._exchange(method, path, headers, payload)
        finally:
            with self._turn:
                told = outcome.headers if isinstance(outcome, Answer) else None
                self._pacer.done(method, self._clock.monotonic(), told)
                self._turn.notify_all()
        return outcome

    def _pause(self, method: str, outcome: Answer | _Failed, attempts: int) -> float | None:
        """Seconds before another attempt; None when this one is final."""
        backoff = min(_LONGEST_PAUSE, 0.5 * 2 ** min(attempts, 9)) * _CHANCE.uniform(0.5, 1.0)
        if isinstance(outcome, _Failed):
            return backoff if outcome.again and attempts < MAX_TRIES else None
        if outcome.status == _TOO_MANY and (method == "POST" or attempts < MAX_TRIES):
            pause = self._asked_for(outcome) or window_seconds(outcome.headers) or backoff
            with self._turn:
                self._pacer.close(method, self._clock.monotonic() + pause)
            return pause
        if outcome.status in _GATEWAY_TROUBLE and attempts < MAX_TRIES:
            return self._asked_for(outcome) or backoff
        return None

    def _asked_for(self, answer: Answer) -> float | None:
        """What Retry-After asks for, in seconds (a number, or a date by the server's own clock)."""
        text = answer.headers.get("retry-after", "").strip()
        if text.isdecimal():
            return float(text[:9])
        moment, server_now = http_date(text), http_date(answer.headers.get("date", ""))
        if moment is None:
            return None
        now = self._clock.now() if server_now is None else server_now
        return max(0.0, moment - now)

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], payload: bytes | None
    ) -> Answer | _Failed:
        requests, urllib3 = _libraries()
        timeout = max(0.001, min(self._connection.timeout, self.remaining()))
        gives_up = self._clock.monotonic() + timeout
        try:
            response = self._session(requests, urllib3).request(
                method,
                self._connection.api_url + path,
                headers=dict(headers, **({"Content-Type": "application/json"} if payload else {})),
                data=payload,
                allow_redirects=False,
                stream=True,
                timeout=timeout,
            )
            try:
                return self._read(response, gives_up)
            finally:
                response.close()
        # Nothing of the library's exceptions is passed on: they quote URLs, headers and bodies.
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            return _failure(requests.exceptions, urllib3.exceptions, error)

    def _read(self, response: Any, gives_up: float) -> Answer | _Failed:
        """Read a body of bounded size in bounded time, so that its connection can serve again."""
        raw = response.raw
        # Without read1 (urllib3 before 2.1) only single bytes come as soon as they are there.
        piece_of, size = (raw.read1, MAX_BODY) if hasattr(raw, "read1") else (raw.read, 1)
        body = bytearray()
        while piece := piece_of(size, decode_content=False):
            body += piece
            if len(body) > MAX_BODY:
                return _Failed(_TOO_LARGE, again=False)
            if self._clock.monotonic() > gives_up:
                return _Failed(_TIMEOUT)
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and len(body) < float(length):  # int() refuses 4301 digits
            return _Failed(_CUT)
        raw.read(decode_content=False)  # nothing is left: this frees the connection for the next
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, bytes(body))

    def _session(self, requests: ModuleType, urllib3: ModuleType) -> Any:
        """This thread's session: requests does not promise that one serves several threads."""
        if not hasattr(self._local, "session"):
            from http.cookiejar import DefaultCookiePolicy  # here: requests loads it anyway

            session = requests.Session()
            session.headers.clear()
            session.headers.update(_HEADERS)
            session.get_redirect_target = _no_redirect
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            self._ask_the_environment(session)
            if not self._connection.validate_certs:
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            self._local.session = session
            self._sessions.append(session)
        return self._local.session

    def _ask_the_environment(self, session: Any) -> None:
        """Once for proxies and CA bundle, not at every request; and never for ~/.netrc."""
        told = session.merge_environment_settings(
            self._connection.api_url, self._proxies(), True, self._verify(), None
        )
        session.proxies, session.verify = told["proxies"], told["verify"]
        session.trust_env = False

    def _verify(self) -> bool | str:
        if not self._connection.validate_certs:
            return False
        return self._connection.ca_path or True

    def _proxies(self) -> dict[str, str]:
        """Plain HTTP is for this machine only, so it never takes the way over a proxy."""
        return {"http": "", "all": ""} if self._connection.plain_loopback else {}


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import requests  # here, because it takes long to load and not every run needs it
        import urllib3
    except ImportError:
        raise LibraryMissing("requests") from None
    return requests, urllib3


def _no_redirect(_response: Any) -> None:
    """Not even looked at: to do so, requests reads the whole body first, however long it is."""


def _maybe_done(outcome: Answer | _Failed) -> bool:
    """Whether the API may have done what it was asked for."""
    return outcome.sent if isinstance(outcome, _Failed) else outcome.status != _TOO_MANY


def _never_left(requests: ModuleType, urllib3: ModuleType, error: Exception) -> bool:
    """Whether no connection came about, so that nothing can have been sent."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, (requests.ConnectTimeout, requests.ProxyError)) or isinstance(
        reason, urllib3.NewConnectionError
    )


def _failure(requests: ModuleType, urllib3: ModuleType, error: Exception) -> _Failed:
    """Which of our own sentences an exception of the two libraries comes to."""
    sent = not _never_left(requests, urllib3, error)
    if isinstance(error, requests.ProxyError):
        return _Failed(_PROXY, sent=sent)
    if isinstance(error, (requests.Timeout, urllib3.TimeoutError)):
        return _Failed(_TIMEOUT, sent=sent)
    foreign = not isinstance(error, (requests.RequestException, urllib3.HTTPError))
    if isinstance(error, requests.SSLError) or (foreign and isinstance(error, OSError)):
        return _Failed(_TLS, again=False)  # a CA bundle that cannot be read is a bare OSError
    if isinstance(error, (requests.ConnectionError, urllib3.HTTPError)):
        return _Failed(_CUT, sent=sent)
    return _Failed(_UNSENDABLE, again=False)  # a proxy's URL without sense is a bare ValueError


def _final(outcome: Answer | _Failed, attempts: int) -> Answer | NoAnswer:
    if isinstance(outcome, _Failed):
        return NoAnswer(outcome.problem, attempts)
    return Answer(outcome.status, outcome.headers, outcome.body, attempts)
