# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wire: the only file that knows requests. Proxies, TLS, connections, and their failures.

requests has habits that are wrong for secrets, and each is turned off here: it follows redirects
with the body, adds an Authorization header from ~/.netrc, keeps cookies, and prints URLs and
headers in its exceptions. How an answer is read is the task of _http_connection. Proxies from the
environment stay.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ansible_collections.nomba.auth.plugins.module_utils._answer import HttpAnswer
from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing

if TYPE_CHECKING:
    from ansible_collections.nomba.auth.plugins.module_utils._http_connection import Exchange

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "nomba.auth (Ansible collection)",
}

_TIMEOUT = "no whole answer within the timeout"
_CUT = "the connection failed or was cut"
_PROXY = "the proxy did not let the request through"
_SOCKS = "SOCKS proxies are not supported; use an HTTP proxy"
_TLS = "TLS could not be established with the host of api_url (see ca_path and validate_certs)"
UNSENDABLE = "the request could not be sent"


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
class Failed:
    """One attempt that brought no answer, whether another one may, and whether it ever left."""

    problem: str
    retryable: bool = True
    sent: bool = True


class Trust:
    """Proxies and certificate authorities, read once a run: a bundle takes 20 ms to load."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._read = False
        self._context: Any = None
        self._proxies: dict[str, str] = {}

    def apply(self, session: Any, urllib3: ModuleType) -> Any:
        """Set a session's proxies, and return the TLS context of its connections. Raises OSError.

        The environment is asked for proxies and for a CA bundle, and never for ~/.netrc.
        """
        with self._lock:
            if not self._read:
                settings = session.merge_environment_settings(
                    self._connection.api_url, self._own_proxies(), True, self._own_bundle(), None
                )
                self._proxies = dict(settings["proxies"])
                if self._connection.api_url.startswith("https:"):
                    self._context = _tls_context(urllib3, settings["verify"])
                self._read = True
        session.proxies, session.trust_env = self._proxies, False
        session.verify = self._connection.validate_certs
        return self._context

    def _own_bundle(self) -> bool | str:
        if not self._connection.validate_certs:
            return False
        return self._connection.ca_path or True

    def _own_proxies(self) -> dict[str, str]:
        """Plain HTTP is for this machine only, so it never takes the way over a proxy."""
        return {"http": "", "all": ""} if self._connection.plain_loopback else {}


class HttpSession:
    """One thread's way to the API. exclusive: each of its connections serves one request."""

    def __init__(self, connection: Connection, trust: Trust, exclusive: bool) -> None:
        self._connection = connection
        self._trust = trust
        self._exclusive = exclusive
        self._http: Any = None
        self._attempt = _Attempt()

    def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            self._http.close()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        payload: bytes | None,
        left: Callable[[], float],
    ) -> HttpAnswer | Failed:
        """Send one request, once. left: asks for the seconds that it still has.

        Never raises for what the network does. Raises LibraryMissing without requests.
        """
        requests, urllib3 = _libraries()
        exchange = self._attempt.begin(left, self._exclusive)
        try:
            response = self._session(requests, urllib3).request(
                method,
                self._connection.api_url + path,
                headers=dict(headers, **({"Content-Type": "application/json"} if payload else {})),
                data=payload,
                allow_redirects=False,
                stream=True,
                timeout=max(0.001, left()),
            )
            body = response.raw.read(decode_content=False)  # from memory, see StrictResponse
            names = {name.lower(): value for name, value in response.headers.items()}
            return HttpAnswer(response.status_code, names, body)
        # Nothing of the library's exceptions is passed on: they quote URLs, headers and bodies.
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            return _failure(requests.exceptions, urllib3.exceptions, error, exchange)

    def _session(self, requests: ModuleType, urllib3: ModuleType) -> Any:
        if self._http is None:
            from http.cookiejar import DefaultCookiePolicy  # here: requests loads it anyway

            session = requests.Session()
            session.headers.clear()
            session.headers.update(_HEADERS)
            if self._exclusive:
                session.headers["Connection"] = "close"
            session.get_redirect_target = _no_redirect
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            context = self._trust.apply(session, urllib3)
            for scheme in ("http://", "https://"):
                session.mount(scheme, _adapter(requests, urllib3, context, self._attempt))
            self._http = session
        return self._http


class _Attempt:
    """Where the connections of a session find the exchange that they are part of."""

    exchange: Exchange

    def begin(self, left: Callable[[], float], exclusive: bool) -> Exchange:
        """Start the next exchange."""
        from ansible_collections.nomba.auth.plugins.module_utils._http_connection import Exchange

        self.exchange = Exchange(left, exclusive)
        return self.exchange


def _adapter(requests: ModuleType, urllib3: ModuleType, context: Any, attempt: _Attempt) -> Any:
    """An adapter of requests whose connections read answers strictly and share a TLS context."""

    def make_strict(manager: Any) -> Any:
        manager.pool_classes_by_scheme = {
            scheme: _strict_pool(pool, urllib3.exceptions, attempt)
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }
        return manager

    class Adapter(requests.adapters.HTTPAdapter):  # type: ignore[misc, name-defined] # a module at run time
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, ssl_context=context, **options)
            make_strict(self.poolmanager)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            if proxy.lower().startswith("socks"):
                raise attempt.exchange.fail(_SOCKS, retryable=False)
            if proxy not in self.proxy_manager:
                make_strict(super().proxy_manager_for(proxy, ssl_context=context, **options))
            return self.proxy_manager[proxy]

        def cert_verify(self, conn: Any, _url: str, verify: Any, _cert: Any) -> None:
            # The context holds what is trusted: a bundle named here is loaded by each connection.
            conn.cert_reqs = "CERT_REQUIRED" if verify else "CERT_NONE"

    return Adapter()


def _strict_pool(pool: Any, exceptions: ModuleType, attempt: _Attempt) -> Any:
    """A pool of urllib3 that makes strict connections."""
    from ansible_collections.nomba.auth.plugins.module_utils._http_connection import (
        StrictResponse,
        connect,
    )

    class Connection(pool.ConnectionCls):  # type: ignore[misc] # a class at run time
        def response_class(self, sock: Any, *_more: Any, method: Any = None) -> StrictResponse:
            return StrictResponse(sock, attempt.exchange, method)

        def connect(self) -> None:
            try:
                super().connect()
            finally:
                attempt.exchange.sent = False  # a proxy may have been asked for a tunnel

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            attempt.exchange.sent = True
            super().send(data)

        def _new_conn(self) -> Any:
            try:
                return connect(self._dns_host, self.port, attempt.exchange)
            except (TimeoutError, socket.timeout) as error:
                raise exceptions.ConnectTimeoutError(self, "timed out") from error
            except OSError as error:
                if self.proxy is None:
                    attempt.exchange.problem = _no_connection(self.host, self.port, error)
                raise exceptions.NewConnectionError(self, "no connection") from error

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _no_connection(host: str, port: int, error: OSError) -> str:
    reason = error.strerror or "the name has no address"
    return f"no connection to {host}:{port} ({reason})"


def _tls_context(urllib3: ModuleType, verify: bool | str) -> Any:
    """A context that trusts a file or a folder, or what requests trusts. Raises OSError."""
    import ssl

    from requests.utils import DEFAULT_CA_BUNDLE_PATH
    from urllib3.util.ssl_ import create_urllib3_context

    if not verify:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return create_urllib3_context(cert_reqs=ssl.CERT_NONE)
    context = create_urllib3_context()
    bundle = DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)
    if Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import requests  # here, because it takes long to load and not every run needs it
        import urllib3
    except ImportError:
        raise LibraryMissing("requests") from None
    return requests, urllib3


def _no_redirect(_response: Any) -> None:
    """Not even looked at: no redirect is followed."""


def _failure(
    requests: ModuleType, urllib3: ModuleType, error: Exception, exchange: Exchange
) -> Failed:
    """Which of our own sentences an exception of the two libraries comes to."""
    sent = exchange.sent
    if exchange.problem is not None:
        return Failed(exchange.problem, exchange.retryable, sent)
    if isinstance(error, requests.ProxyError):
        return Failed(_PROXY, sent=sent)
    if isinstance(error, (requests.Timeout, urllib3.TimeoutError, socket.timeout)):
        return Failed(_TIMEOUT, sent=sent)
    foreign = not isinstance(error, (requests.RequestException, urllib3.HTTPError))
    if isinstance(error, requests.SSLError) or (foreign and isinstance(error, OSError)):
        # A CA bundle that cannot be read is a bare OSError.
        return Failed(_TLS, retryable=False, sent=sent)
    if isinstance(error, (requests.ConnectionError, urllib3.HTTPError)):
        return Failed(_CUT, sent=sent)
    # A proxy's URL without sense is a bare ValueError.
    return Failed(UNSENDABLE, retryable=False, sent=sent)
