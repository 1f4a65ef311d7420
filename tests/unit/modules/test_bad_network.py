# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates, proxies and other servers between the module and the API.

Also with the libraries of the oldest Ansible: requests and urllib3 handle TLS and proxies.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from ansible_collections.nomba.auth.plugins.module_utils import _http_connection

from .harness import ModuleResult, Revoke
from .request_log import ONE_LIVE_TOKEN, operations

TLS = "TLS could not be established with the host of api_url (see ca_path and validate_certs)"
PEMS = {
    "empty": "",
    "no PEM": "no PEM at all",
    "a key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
    "cut": "-----BEGIN CERTIFICATE-----\nMIIB\n",
    "spoilt": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
}
NO_HTTP = {
    "nothing": b"",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "a status of 99": b"HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 Odd\r\nContent-Length: 0\r\n\r\n",
    "headers without end": b"HTTP/1.1 200 OK\r\nA: b\r\n",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    "a line without end": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000,
    "bytes for headers": b"HTTP/1.1 200 OK\r\nA\xff\x00: \xfe\r\n\xff\r\n\r\n{}",
    "a chunk without size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a chunk that is cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}",
    "a negative chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-9\r\n{}\r\n",
    "an interim answer only": b"HTTP/1.1 100 Continue\r\n\r\n",
    "another protocol to switch to": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}
PAGE = b"<!DOCTYPE html><title>Who are you?</title>"


class OtherServer(ThreadingHTTPServer):
    """A server or proxy that answers every request with the same page."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.status = 403
        self.headers: dict[str, str] = {"Content-Length": str(len(PAGE))}
        self.pages = 1
        self.raw: bytes | None = None
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Page(BaseHTTPRequestHandler):
    server: OtherServer

    def answer(self) -> None:
        self.server.requests.append(self.command)
        self.close_connection = True
        if self.server.raw is not None:
            self.wfile.write(self.server.raw)
            return
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # the other side may have had enough
            for __ in range(self.server.pages):
                self.wfile.write(PAGE)

    do_CONNECT = do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_words: object) -> None:
        """Print nothing."""


@pytest.fixture
def other_server() -> Iterator[OtherServer]:
    """A server that is not the API."""
    with OtherServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(other_server: OtherServer, monkeypatch: pytest.MonkeyPatch) -> OtherServer:
    """The same, and an environment that names it as the proxy."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, other_server.url)
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return other_server


@pytest.fixture
def other_ca(tmp_path: Path) -> str:
    """A certificate authority that has nothing to do with the simulator's."""
    path = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return str(path)


def is_not_attempted(result: ModuleResult) -> bool:
    """Return whether the run failed and reports that it sent and changed nothing."""
    failed = result.error == "not_attempted" and result.row["reason"].endswith("; nothing was sent")
    row = (result.row["outcome"], result.row["verified"], result.row["attempts"])
    return failed and not result["changed"] and row == ("not_attempted", False, 0)


def test_ca_path_that_is_missing_is_rejected(revoke: Revoke, tmp_path: Path) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, ca_path=str(tmp_path / "missing.pem"))
    assert result.error == "invalid_option"
    assert result["msg"] == "ca_path: there is no such file or folder; set the CA's PEM file"
    assert token not in result.output
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("content", PEMS.values(), ids=PEMS.keys())
def test_ca_path_that_is_no_pem_is_rejected(revoke: Revoke, tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    token = revoke.simulator.mint()
    result = revoke(token, ca_path=str(tmp_path / "ca.pem"))
    assert result.error == "invalid_option"
    assert result["msg"] == "ca_path: it contains no readable certificate; set the CA's PEM file"
    assert token not in result.output
    assert revoke.simulator.requests() == []


def test_certificate_of_another_authority_gets_no_token(revoke: Revoke, other_ca: str) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, ca_path=other_ca)
    assert is_not_attempted(result)
    assert TLS in result["msg"]
    assert revoke.clock.slept == []
    assert revoke.simulator.requests() == []


def test_ca_path_of_an_empty_folder_trusts_no_certificate(revoke: Revoke, tmp_path: Path) -> None:
    result = revoke(revoke.simulator.mint(), ca_path=str(tmp_path))
    assert is_not_attempted(result)
    assert TLS in result["msg"]
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize(("name", "sent"), [("other.example", False), ("127.0.0.1", True)])
def test_certificate_for_another_name_gets_no_token(
    revoke: Revoke, other_server: OtherServer, tmp_path: Path, name: str, sent: bool
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other_server.socket = context.wrap_socket(other_server.socket, server_side=True)
    url = other_server.url.replace("http:", "https:")
    result = revoke(revoke.simulator.mint(), api_url=url, ca_path=str(tmp_path / "ca.pem"))
    assert result.outcomes == ["unknown" if sent else "not_attempted"]
    assert result["changed"] is sent
    assert (TLS in result["msg"]) is not sent
    assert bool(other_server.requests) is sent


def test_https_to_a_port_with_http_is_reported(revoke: Revoke) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, api_url=revoke.simulator.http_url.replace("http:", "https:"))
    assert is_not_attempted(result)
    assert TLS in result["msg"]
    assert revoke.simulator.requests() == []


def test_refused_connection_is_retried_a_few_times(revoke: Revoke) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and never listening
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        result = revoke(revoke.simulator.mint(), api_url=f"https://{host}")
    assert is_not_attempted(result)
    assert f"no connection to {host} (Connection refused); nothing was sent" in result["msg"]
    assert len(revoke.clock.slept) == 5
    assert sum(revoke.clock.slept) <= 120
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize("error", [socket.EAI_NONAME, socket.EAI_AGAIN], ids=["unknown", "no DNS"])
def test_unknown_host_is_named(revoke: Revoke, error: int) -> None:
    def find_nothing(*_words: object) -> list[object]:
        raise socket.gaierror(error, "Name or service not known")

    token = revoke.simulator.mint()
    revoke.monkeypatch.setattr(socket, "getaddrinfo", find_nothing)
    result = revoke(token, api_url="https://api.nomba.example")
    assert is_not_attempted(result)
    named = "no connection to api.nomba.example:443 (Name or service not known)"
    assert f"{named}; nothing was sent" in result["msg"]
    assert token not in result.output


def test_proxy_that_rejects_the_tunnel_is_reported(revoke: Revoke, proxy: OtherServer) -> None:
    token = revoke.simulator.mint()
    result = revoke(token)
    assert is_not_attempted(result)
    assert "the proxy did not let the request through" in result["msg"]
    assert set(proxy.requests) == {"CONNECT"}
    assert PAGE.decode() not in result.output
    assert revoke.simulator.requests() == []


def test_proxy_that_answers_with_html_gets_no_token(revoke: Revoke, proxy: OtherServer) -> None:
    proxy.status = 200
    result = revoke(revoke.simulator.mint())
    assert is_not_attempted(result)
    assert TLS in result["msg"]
    assert set(proxy.requests) == {"CONNECT"}
    assert revoke.simulator.requests() == []


def test_html_page_settles_nothing(revoke: Revoke, proxy: OtherServer) -> None:
    rows = {}
    statuses = (200, 302, 400, 401, 403, 404, 500)
    for status in statuses:
        proxy.status = status
        proxy.requests.clear()
        result = revoke(revoke.simulator.mint(), api_url="http://api.example", allow_http=True)
        shown = PAGE.decode() in result.output
        rows[status] = (*result.outcomes, result.row["http_status"], shown, list(proxy.requests))
    assert rows == {
        status: ("unknown", status, False, ["GET", "POST", "GET"]) for status in statuses
    }


def test_plain_http_to_another_host_uses_the_proxy(
    revoke: Revoke, monkeypatch: pytest.MonkeyPatch, proxy: OtherServer
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, revoke.simulator.http_url)
    token = revoke.simulator.mint()
    result = revoke(token, api_url="http://api.example", allow_http=True)
    assert result.outcomes == ["revoked"]
    assert operations(revoke.simulator) == ONE_LIVE_TOKEN
    assert proxy.requests == []


def test_plain_http_to_this_host_uses_no_proxy(revoke: Revoke, proxy: OtherServer) -> None:
    token = revoke.simulator.mint()
    result = revoke(token, api_url=revoke.simulator.http_url)
    assert result.outcomes == ["revoked"]
    assert proxy.requests == []
    assert not revoke.simulator.accepts(token)


def test_endless_body_of_a_redirect_is_not_read(revoke: Revoke, other_server: OtherServer) -> None:
    revoke.monkeypatch.setattr(_http_connection, "MAX_BODY", 4096)
    other_server.status, other_server.pages = 307, 10_000
    other_server.headers = {"Location": f"{revoke.simulator.http_url}/elsewhere"}
    result = revoke(revoke.simulator.mint(), api_url=other_server.url)
    assert result.outcomes == ["unknown"]
    assert "the answer is too large to be the API's" in result["msg"]
    assert other_server.requests == ["GET", "POST", "GET"]
    assert revoke.simulator.requests() == []


def test_invalid_content_length_settles_nothing(revoke: Revoke, other_server: OtherServer) -> None:
    rows = {}
    for length in ("9" * 5000, "-1", "many", "", str(2**70)):
        other_server.headers = {"Content-Length": length}
        result = revoke(revoke.simulator.mint(), api_url=other_server.url)
        rows[length] = (*result.outcomes, "Traceback" in result.output)
    assert rows == dict.fromkeys(rows, ("unknown", False))
    assert set(other_server.requests) == {"GET", "POST"}


def test_unrequested_content_encoding_is_not_decoded(
    revoke: Revoke, other_server: OtherServer
) -> None:
    rows = {}
    for encoding in ("gzip", "deflate", "br", "unheard-of"):
        other_server.headers["Content-Encoding"] = encoding
        other_server.requests.clear()
        result = revoke(revoke.simulator.mint(), api_url=other_server.url)
        rows[encoding] = (*result.outcomes, result.row["http_status"], list(other_server.requests))
    assert rows == dict.fromkeys(rows, ("unknown", 403, ["GET", "POST", "GET"]))


def test_answer_that_is_no_http_settles_nothing(revoke: Revoke, other_server: OtherServer) -> None:
    rows = {}
    for name, raw in NO_HTTP.items():
        other_server.raw = raw
        other_server.requests.clear()
        token = revoke.simulator.mint()
        result = revoke(token, api_url=other_server.url)
        leaks = "Traceback" in result.output or token in result.output
        rows[name] = (*result.outcomes, leaks, 1 <= other_server.requests.count("POST") <= 6)
    assert rows == dict.fromkeys(NO_HTTP, ("unknown", False, True))
