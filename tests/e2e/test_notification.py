# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a rotation is written and handed on after success, rollback and a stopped run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import BaseServer, StreamRequestHandler, ThreadingTCPServer
from typing import ClassVar

import pytest

from tests.simulator.control_client import ControlClient

from .controller import Controller
from .rotations import fails_on, message, options, play_file
from .screens import assert_screen

pytestmark = pytest.mark.newest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "notify"


@contextmanager
def webhook() -> Iterator[tuple[str, list[str]]]:
    """Run a server that keeps the text of each message; return its URL and the texts."""
    texts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            texts.append(json.loads(body)["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}/hook", texts


class MailSession(StreamRequestHandler):
    """One SMTP session, which keeps the message. A client can open several."""

    messages: ClassVar[list[str]]

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in iter(self.rfile.readline, b""):
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                self.messages.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self.wfile.write(b"250 ok\r\n")


@contextmanager
def running(server: BaseServer) -> Iterator[None]:
    """Run a server in a thread."""
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_report_is_written_and_sent_after_success_rollback_and_a_stopped_run(
    simulator: ControlClient, tmp_path: Path
) -> None:
    controller = Controller(simulator, tmp_path)
    controller.put_in_service()
    report = options(report_path=str(tmp_path / "report"), actor="ada")
    with webhook() as (url, texts):
        slack = options(notify_tasks=str(EXAMPLES / "slack.yml"))
        given = {**report, **slack, "slack_webhook_url": url}
        play = play_file(controller)

        rehearsal = controller.run(play, "--check", **given, **options(force=True))
        assert (rehearsal.status, texts, list(tmp_path.glob("report*"))) == (0, [], [])

        done = controller.run(play, **given, **options(force=True))
        assert done.status == 0, message(done)
        sick = options(force=True, health_tasks=fails_on("service", controller))
        assert_screen("rotated", done, controller)
        returned = controller.run(play, **given, **sick)
        assert returned.status == 2
        assert_screen("rolled back", returned, controller)

        # The hook is not there any longer: the rotation succeeds, and the run fails.
        given["slack_webhook_url"] = "http://127.0.0.1:9/"
        unreported = controller.run(play, **given, **options(force=True))
        assert unreported.status == 2
        assert message(unreported).startswith("NOT REPORTED: Post the verdict to Slack: ")
        assert "ROTATED token " in message(unreported)

        given["slack_webhook_url"] = url
        stopped = controller.run(play, **given, **options(account_id="another"))
        assert stopped.status == 2
        assert_screen("stopped", stopped, controller)

    first = [text.splitlines()[0].partition(":")[0].partition(" token")[0] for text in texts]
    assert first == ["ROTATED", "ROLLED BACK", "NOT FINISHED"]
    assert "the service is down" in texts[1]
    assert "account_id" in texts[2]
    documents = [
        json.loads((tmp_path / f"report{number}.json").read_text(encoding="utf-8"))
        for number in ("", "-2", "-3", "-4")
    ]
    assert [one["failed"] for one in documents] == [False, True, False, True]
    assert {one["actor"] for one in documents} == {"ada"}
    assert documents[0]["hosts"][0]["in_service"] is True
    (dead,) = [one for one in documents[0]["credentials"] if one["outcome"] == "revoked"]
    assert (dead["proved"], len(dead["evidence"])) == (True, 3)
    # The message of a step that failed is not printed again.
    assert 1 <= stopped.output.count(documents[3]["problems"][0]) <= 2  # Ansible repeats it itself
    assert "NOT FINISHED: the run stopped before its end" in message(stopped)


def text_of(message: str) -> str:
    """Return the text of a message."""
    parts = message_from_string(message).walk()
    decoded = [part.get_payload(decode=True) for part in parts if not part.is_multipart()]
    return b"".join(one for one in decoded if isinstance(one, bytes)).decode()


def test_report_without_a_change_is_sent_and_not_written(
    simulator: ControlClient, tmp_path: Path
) -> None:
    controller = Controller(simulator, tmp_path)
    controller.put_in_service(age=10)
    handler = type("Session", (MailSession,), {"messages": (messages := [])})
    server = ThreadingTCPServer(("127.0.0.1", 0), handler)
    with running(server):
        mail = {
            "mail_port": server.server_address[1],
            "mail_sender": "a@localhost",
            "mail_recipients": "b@localhost",
        }
        email = options(max_age=900, notify_tasks=str(EXAMPLES / "email.yml"))
        email |= options(report_path=str(tmp_path / "report"))
        run = controller.run(play_file(controller), **mail, **email)
    assert run.status == 0, message(run)
    assert_screen("no change", run, controller)
    assert len(messages) == 1
    assert "No change: token sha256:" in text_of(messages[0])
    assert list(tmp_path.glob("report*")) == []
