# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP sessions: the only file that uses requests. Proxies, TLS, connections, and their failures.

Some features of requests can expose secrets and are off: it follows redirects with the body, adds
an Authorization header from ~/.netrc, stores cookies, and quotes URLs and headers in exceptions.
Proxies from the environment are used. _http_connection reads the answers.
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

_TIMEOUT = "no complete answer within the timeout"
_CUT = "the connection failed or was closed"
_PROXY = "the proxy did not let the request through"
_SOCKS = "SOCKS proxies are not supported; use an HTTP proxy"
_TLS = "TLS could not be established with the host of api_url (see ca_path and validate_certs)"
UNSENDABLE = "the request could not be sent"


@dataclass(frozen=True)
class Connection:
    """The options of a connection. timeout (of an attempt) and deadline (of a run) in seconds."""

    api_url: str
    plain_loopback: bool
    validate_certs: bool
    ca_path: str | None
    timeout: float
    deadline: float


@dataclass(frozen=True)
class Failed:
    """An attempt without an answer. sent: whether any byte of the request may have been sent."""

    problem: str
    retryable: bool = True
    sent: bool = True


class Trust:
    """Proxies and certificate authorities, read once per run: a bundle takes 20 ms to load."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._read = False
        self._context: Any = None
        self._proxies: dict[str, str] = {}

    def apply(self, session: Any, urllib3: ModuleType) -> Any:
        """Set a session's proxies, and return the TLS context of its connections. Raises OSError.

        The environment sets proxies and a CA bundle; ~/.netrc is not read.
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
        """Return proxy settings that keep plain HTTP to this host away from any proxy."""
        return {"http": "", "all": ""} if self._connection.plain_loopback else {}


class HttpSession:
    """A session of one thread. exclusive: each of its connections serves one request."""

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
        """Send one request, once. left: returns the seconds that the attempt has left.

        A network failure raises no exception. Raises LibraryMissing without requests.
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
        # The text of the exceptions is not used: it may quote URLs, headers and bodies.
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            return _failure(requests.exceptions, urllib3.exceptions, error, exchange)

    def _session(self, requests: ModuleType, urllib3: ModuleType) -> Any:
        if self._http is None:
            from http.cookiejar import DefaultCookiePolicy  # here: requests imports it anyway

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
    """Gives the connections of a session the current exchange."""

    exchange: Exchange

    def begin(self, left: Callable[[], float], exclusive: bool) -> Exchange:
        """Start the next exchange."""
        from ansible_collections.nomba.auth.plugins.module_utils._http_connection import Exchange

        self.exchange = Exchange(left, exclusive)
        return self.exchange


def _adapter(requests: ModuleType, urllib3: ModuleType, context: Any, attempt: _Attempt) -> Any:
    """Return a requests adapter whose connections use StrictResponse and share a TLS context."""

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
            # The context has the CAs already; a bundle set here would be loaded per connection.
            conn.cert_reqs = "CERT_REQUIRED" if verify else "CERT_NONE"

    return Adapter()


def _strict_pool(pool: Any, exceptions: ModuleType, attempt: _Attempt) -> Any:
    """Return a urllib3 pool class whose connections use StrictResponse."""
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
                attempt.exchange.sent = False  # a CONNECT to a proxy does not count

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
    """Return a context with the CAs of a file, a folder, or requests. Raises OSError."""
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
        import requests  # here: slow to import, often not needed
        import urllib3
    except ImportError:
        raise LibraryMissing("requests") from None
    return requests, urllib3


def _no_redirect(_response: Any) -> None:
    """Return no redirect target: no redirect is followed."""


def _failure(
    requests: ModuleType, urllib3: ModuleType, error: Exception, exchange: Exchange
) -> Failed:
    """Return the failure for an exception of one of the two libraries, without its text."""
    sent = exchange.sent
    if exchange.problem is not None:
        return Failed(exchange.problem, exchange.retryable, sent)
    if isinstance(error, requests.ProxyError):
        return Failed(_PROXY, sent=sent)
    if isinstance(error, (requests.Timeout, urllib3.TimeoutError, socket.timeout)):
        return Failed(_TIMEOUT, sent=sent)
    is_builtin = not isinstance(error, (requests.RequestException, urllib3.HTTPError))
    if isinstance(error, requests.SSLError) or (is_builtin and isinstance(error, OSError)):
        # A CA bundle that cannot be read raises a plain OSError.
        return Failed(_TLS, retryable=False, sent=sent)
    if isinstance(error, (requests.ConnectionError, urllib3.HTTPError)):
        return Failed(_CUT, sent=sent)
    # An invalid proxy URL raises a plain ValueError.
    return Failed(UNSENDABLE, retryable=False, sent=sent)
