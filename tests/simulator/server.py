# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop the server: in a thread for pytest, otherwise in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from . import control, faults, wire
from .control_client import ControlClient
from .settings import Settings
from .state import Simulator
from .tls import make_server_tls

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Options:
    """Ports and the folder of the CA. Port 0: any free port. No folder: a temporary one."""

    port: int = 0
    tls_port: int = 0
    ca_dir: Path | None = None


@dataclass(frozen=True)
class Announcement:
    """The addresses of a server, and the content of the announce file.

    `control_url` serves the same paths as `http_url`, but connect faults do not trigger on it.
    """

    url: str
    http_url: str
    ca_path: str
    pid: int
    control_url: str


@dataclass(frozen=True)
class _Connection:
    transport: asyncio.Transport
    socket: socket.socket


class Server(web.Server):
    """An HTTP server that routes requests to the control API or to the simulated API."""

    def __init__(self, simulator: Simulator, control_port: int) -> None:
        # Without cancellation, a slow response continues after the client closed the connection.
        super().__init__(self._respond, access_log=None, handler_cancellation=True)
        self._simulator = simulator
        self._control_port = control_port
        self._open: dict[object, _Connection] = {}

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(control.PREFIX):
            return await control.respond(self._simulator, request)
        return await wire.respond(self._simulator.state, request)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Record a connection, to close it at the end."""
        super().connection_made(handler, transport)
        # Read the socket now: a transport that is closing no longer returns it.
        self._open[handler] = _Connection(transport, transport.get_extra_info("socket"))
        self._send_connect_fault(transport)

    def _send_connect_fault(self, transport: asyncio.Transport) -> None:
        """Send the bytes of a connect fault before any request."""
        if transport.get_extra_info("sockname")[1] == self._control_port:
            return
        state = self._simulator.state
        fault = state.script.next_fault(faults.CONNECT, None)
        if fault is not None:
            data = wire.serialize(faults.unsolicited(fault), state.now())
            wire.write_later(transport, data, fault.number("delay"))

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Remove a closed connection."""
        super().connection_lost(handler, exc)
        self._open.pop(handler, None)
        self._simulator.state.disconnected(handler)

    async def close_connections(self) -> None:
        """Close all connections, because a client that keeps one open must not delay the end."""
        while self._open:
            for connection in self._open.values():
                _abort(connection)
            await asyncio.sleep(0)


def _abort(connection: _Connection) -> None:
    connection.transport.abort()
    # A TLS connection that is closing waits for the close_notify of the peer, even after an abort.
    # Shutting down its socket ends the wait.
    with contextlib.suppress(OSError):
        connection.socket.shutdown(socket.SHUT_RDWR)


@contextlib.asynccontextmanager
async def listening(simulator: Simulator, options: Options) -> AsyncIterator[Announcement]:
    """Serve HTTP and HTTPS on loopback with one state, until the context ends."""
    with contextlib.ExitStack() as stack:
        folder = options.ca_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tls = make_server_tls(folder)
        plain, secure = _bind(stack, options.port), _bind(stack, options.tls_port)
        reserved = _bind(stack, 0)
        server = Server(simulator, reserved.getsockname()[1])
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.SockSite(runner, plain, backlog=1024).start()
            await web.SockSite(runner, secure, ssl_context=tls.context, backlog=1024).start()
            await web.SockSite(runner, reserved, backlog=1024).start()
            yield _announcement(plain, secure, reserved, tls.ca_path)
        finally:
            await server.close_connections()
            await runner.cleanup()


def _bind(stack: contextlib.ExitStack, port: int) -> socket.socket:
    bound = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


def _announcement(
    plain: socket.socket, secure: socket.socket, reserved: socket.socket, ca_path: Path
) -> Announcement:
    return Announcement(
        url=f"https://{HOST}:{secure.getsockname()[1]}",
        http_url=f"http://{HOST}:{plain.getsockname()[1]}",
        ca_path=str(ca_path.resolve()),
        pid=os.getpid(),
        control_url=f"http://{HOST}:{reserved.getsockname()[1]}",
    )


# In a thread


@dataclass
class _ThreadState:
    """The values that the server thread shares with its creator."""

    ready: threading.Event = dataclasses.field(default_factory=threading.Event)
    announcement: Announcement | None = None
    failure: OSError | None = None
    loop: asyncio.AbstractEventLoop | None = None
    stop: asyncio.Event | None = None


@contextlib.contextmanager
def running(
    settings: Settings | None = None, options: Options | None = None
) -> Iterator[ControlClient]:
    """Run a simulator in a thread with its own event loop; yield its control client."""
    shared = _ThreadState()
    serving = _serve_thread(shared, Simulator(settings), options or Options())
    thread = threading.Thread(target=asyncio.run, args=(serving,), name="simulator", daemon=True)
    thread.start()
    shared.ready.wait()
    if shared.announcement is None or shared.loop is None or shared.stop is None:
        raise shared.failure or RuntimeError("the simulator did not start")
    try:
        yield ControlClient(**_addresses(shared.announcement))
    finally:
        shared.loop.call_soon_threadsafe(shared.stop.set)
        thread.join()


def _addresses(announcement: Announcement) -> dict[str, str]:
    values = dataclasses.asdict(announcement)
    return {name: values[name] for name in ("url", "http_url", "ca_path", "control_url")}


async def _serve_thread(shared: _ThreadState, simulator: Simulator, options: Options) -> None:
    shared.loop, shared.stop = asyncio.get_running_loop(), asyncio.Event()
    try:
        async with listening(simulator, options) as announcement:
            shared.announcement = announcement
            shared.ready.set()
            await shared.stop.wait()
    except OSError as failure:
        shared.failure = failure
    finally:
        shared.ready.set()


# In the foreground


async def serve(simulator: Simulator, options: Options, announce: Path) -> None:
    """Serve until SIGTERM or SIGINT; the announce file exists while the server listens."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with listening(simulator, options) as announcement:
        write_announcement(announce, announcement)
        try:
            print(f"simulator ready: {announcement.url} and {announcement.http_url}", flush=True)
            await stop.wait()
        finally:
            announce.unlink(missing_ok=True)


def write_announcement(path: Path, announcement: Announcement) -> None:
    """Write the file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(dataclasses.asdict(announcement)) + "\n", encoding="utf-8")
    draft.replace(path)
