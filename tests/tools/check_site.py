# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at every page of the site in Chromium: narrow and wide, light and dark.

A page of the checker loads each page of the site in a frame, measures it with check_site.js, and
sends what it found to a server in this process. Nothing is written into the site.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.tools.project import BUILD

WIDTHS = (390, 1280)
# The values of Chromium for prefers-color-scheme.
SCHEMES = {"light": 1, "dark": 0}
_SECONDS = 240
_SCRIPT = Path(__file__).with_suffix(".js")
_CHECKER = '<!doctype html><html><body><script src="/_check/check.js"></script></body></html>'


class Handler(SimpleHTTPRequestHandler):
    """Serves the site, the checker, and the list of pages; receives the findings."""

    server: Server

    def do_GET(self) -> None:
        generated = {
            "/_check/": ("text/html", _CHECKER),
            "/_check/check.js": ("text/javascript", _SCRIPT.read_text(encoding="utf-8")),
            "/_check/pages": ("application/json", json.dumps([self.server.pages, WIDTHS])),
        }
        if self.path not in generated:
            super().do_GET()
            return
        kind, text = generated[self.path]
        self._answer(kind, text.encode())

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.findings = json.loads(self.rfile.read(length))
        self._answer("text/plain", b"")
        self.server.done.set()

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Print no requests."""


class Server(ThreadingHTTPServer):
    """A server for one look of the browser at a site."""

    def __init__(self, site: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(site)))
        names = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
        self.pages = [name for name in names if not name.startswith("_")]
        self.findings: dict[str, Any] = {}
        self.done = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore connections that the browser has closed, as it does with a removed frame."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        """The address of the checker."""
        return f"http://127.0.0.1:{self.server_port}/_check/"


def main(site: Path) -> int:
    """Print the faults of each page; return 1 if there are any."""
    faults: list[str] = []
    for scheme, value in SCHEMES.items():
        found = look(site, value)
        faults += [f"{scheme}: {fault}" for fault in found["faults"]]
        print(
            f"{scheme}: {found['looked']} looks at {found['pages']} pages, {found['checks']} checks"
        )
        if found["scheme"] != scheme or found["looked"] != found["pages"] * len(WIDTHS):
            faults.append(f"{scheme}: the browser did not look at all pages in this scheme")
    print("\n".join(faults))
    return bool(faults)


def look(site: Path, scheme: int) -> dict[str, Any]:
    """Return what the browser found in one color scheme."""
    with serve(site) as server, browser(server.url, scheme) as process:
        if not server.done.wait(_SECONDS):
            sys.exit(f"no result after {_SECONDS} s; Chromium: {process.poll()}")
        return server.findings


@contextmanager
def serve(site: Path) -> Iterator[Server]:
    """Serve the site on loopback."""
    with Server(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def browser(url: str, scheme: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run Chromium with a profile of its own."""
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("chromium")
    # Root, as in most containers, cannot use the sandbox; all pages are our own.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    options += ["--no-first-run", "--disable-background-networking", "--hide-scrollbars"]
    options += [f"--user-data-dir={BUILD}/chromium", "--window-size=1400,1000"]
    command = [program, *options, f"--blink-settings=preferredColorScheme={scheme}", url]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            yield process
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
