# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources that are missing, unreadable, endless, huge or empty."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulator.tokens import fingerprint

from .canary import make_canary
from .harness import Revoke


def _missing(folder: Path) -> Path:
    return folder / "missing"


def _below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "below"


def _loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def _dangling(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "missing")
    return folder / "link"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _long_name(folder: Path) -> Path:
    return folder / ("x" * 5000)


def _cannot_be_read(_folder: Path) -> Path:
    return Path("/proc/self/mem")  # opens, even for root, and fails at the first byte


UNREADABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (_missing, "No such file or directory"),
    "below a file": (_below_a_file, "Not a directory"),
    "a link to itself": (_loop, "Too many levels of symbolic links"),
    "a dangling link": (_dangling, "No such file or directory"),
    "a pipe": (_pipe, "it is neither a file nor a folder"),
    "a name too long": (_long_name, "File name too long"),
    "an error on reading": (_cannot_be_read, "Input/output error"),
}


@pytest.mark.parametrize(("make", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_source_that_cannot_be_read_fails_the_run(
    revoke: Revoke, tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    path = str(make(tmp_path))
    returned = revoke(sources=[path])
    assert (returned.error, returned["changed"]) == ("source_unread", False)
    assert returned["unread"] == [{"path": path, "reason": reason}]
    assert returned["msg"] == (
        f"No Nomba token was found. sources: 1 could not be read, {path} first: {reason}."
    )
    assert "Traceback" not in returned.output
    assert revoke.simulator.requests() == []


@pytest.mark.parametrize(("make", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable_source_does_not_affect_the_others(
    revoke: Revoke, tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    (tmp_path / "good.log").write_text(revoke.simulator.mint())
    returned = revoke(sources=[str(make(tmp_path)), str(tmp_path / "good.log")])
    assert returned.outcomes == ["revoked"]
    assert (returned.error, returned["changed"]) == ("source_unread", True)
    assert [row["reason"] for row in returned["unread"]] == [reason]
    assert revoke.simulator.live() == []


def test_unreadable_path_below_a_folder_is_reported(revoke: Revoke, tmp_path: Path) -> None:
    links = [_loop(tmp_path), _dangling(tmp_path)]
    (tmp_path / "log").write_text(revoke.simulator.mint())
    returned = revoke(sources=[str(tmp_path)])
    assert [row["path"] for row in returned["unread"]] == sorted(map(str, links))
    assert f"sources: 2 could not be read, {min(map(str, links))} first" in returned["msg"]
    assert revoke.simulator.live() == []


def test_live_token_outranks_an_unread_source(revoke: Revoke, tmp_path: Path) -> None:
    revoke.simulator.configure(revoke_effective=False)
    token = revoke.simulator.mint()
    returned = revoke(token, sources=[str(tmp_path / "missing")])
    assert returned.error == "still_accepted"
    assert fingerprint(token) in returned["msg"]
    assert "could not be read" in returned["msg"]
    assert len(revoke.simulator.writes()) == 1


def test_folder_that_links_to_itself_is_scanned_once(revoke: Revoke, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "again").symlink_to(tmp_path)
    (tmp_path / "log").write_text(revoke.simulator.mint())
    returned = revoke(sources=[str(tmp_path)])
    assert returned.outcomes == ["revoked"]
    assert returned.row["found_in"] == [{"path": str(tmp_path / "log"), "line": 1}]
    assert (returned.failed, returned["unread"]) == (False, [])
    assert len(revoke.simulator.writes()) == 1


def test_pipe_in_a_folder_is_skipped(revoke: Revoke, tmp_path: Path) -> None:
    _pipe(tmp_path)
    (tmp_path / "log").write_text(revoke.simulator.mint())
    returned = revoke(sources=[str(tmp_path)])
    assert returned.outcomes == ["revoked"]
    assert returned["summary"]["files"] == 1
    assert revoke.simulator.live() == []


@pytest.mark.parametrize("content", [None, b"", b"\0\xff" * 1000, b"eyJ" * 10_000])
def test_source_without_a_token_is_no_failure(
    revoke: Revoke, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    returned = revoke(sources=[str(tmp_path)])
    assert (returned.failed, returned["changed"], returned["results"]) == (False, False, [])
    assert returned["msg"] == "No Nomba token was found."
    assert returned["summary"]["files"] == (content is not None)
    assert revoke.simulator.requests() == []


# Tokens that were cut short

ENDINGS = {
    "one character": lambda token: token[:-1] + "\n",
    "half a signature": lambda token: token[:-20] + '"',
    "all but one": lambda token: token[:-42],
    "an ellipsis": lambda token: token.rpartition(".")[0] + "...",
    "no signature": lambda token: token.rpartition(".")[0],
    "half a payload": lambda token: token[:200] + "[truncated]",
    "another line": lambda token: f"{token[:250]}\n{token[250:-5]} is cut",
    "a front": lambda token: token[5:],
}


@pytest.mark.parametrize("cut", ENDINGS.values(), ids=ENDINGS.keys())
def test_cut_token_is_malformed_and_fails_the_run(
    revoke: Revoke, tmp_path: Path, cut: Callable[[str], str]
) -> None:
    token = revoke.simulator.mint()
    (tmp_path / "log").write_text(f"first\ntoken={cut(token)}")
    returned = revoke(sources=[str(tmp_path)])
    assert (returned.error, returned["changed"], returned.outcomes) == (
        "malformed",
        False,
        ["malformed"],
    )
    assert returned.row["found_in"] == [{"path": str(tmp_path / "log"), "line": 2}]
    assert revoke.simulator.requests() == []
    assert revoke.simulator.accepts(token)
    assert token[100:140] not in returned.output


def test_piece_of_a_token_found_as_a_whole_is_no_failure(revoke: Revoke, tmp_path: Path) -> None:
    token = revoke.simulator.mint()
    (tmp_path / "a").write_text(token[:-7])
    (tmp_path / "b").write_text(token)
    returned = revoke(sources=[str(tmp_path)])
    assert (returned.failed, returned.outcomes) == (False, ["revoked"])
    assert {Path(place["path"]).name for place in returned.row["found_in"]} == {"a", "b"}
    assert not revoke.simulator.accepts(token)


# Files that hide text


def test_file_that_is_not_opened_fails_the_run(revoke: Revoke, tmp_path: Path) -> None:
    token = revoke.simulator.mint()
    (tmp_path / "app.log.7z").write_bytes(b"7z\xbc\xaf\x27\x1c\0\x04")
    returned = revoke(sources=[str(tmp_path)])
    reason = "it is an archive (7z), which is not opened; unpack it and scan again"
    assert (returned.failed, returned.error) == (True, "source_unread")
    assert returned["unread"] == [{"path": str(tmp_path / "app.log.7z"), "reason": reason}]
    assert reason in returned["msg"]
    assert revoke.simulator.accepts(token)


def test_token_in_a_damaged_file_is_revoked(revoke: Revoke, tmp_path: Path) -> None:
    text = revoke.simulator.mint() + "\n" + str(list(range(9000)))
    (tmp_path / "app.log.gz").write_bytes(gzip.compress(text.encode())[:-100])
    returned = revoke(sources=[str(tmp_path)])
    assert (returned.error, returned.outcomes) == ("source_unread", ["revoked"])
    assert revoke.simulator.live() == []


# Files that do not end


def test_kernel_log_is_not_waited_for(revoke: Revoke, tmp_path: Path) -> None:
    # Whoever may open it would wait for the kernel's next message.
    (tmp_path / "log").write_text(revoke.simulator.mint())
    returned = revoke(sources=["/proc/kmsg", str(tmp_path)])
    assert (returned.error, returned.outcomes) == ("source_unread", ["revoked"])
    assert [row["path"] for row in returned["unread"]] == ["/proc/kmsg"]
    assert revoke.simulator.live() == []


# Paths with a secret


def test_token_in_a_path_is_revoked_and_not_shown(revoke: Revoke) -> None:
    canary = make_canary(revoke.simulator)
    path = f"/missing/{canary.token}/{canary.email}"
    returned = revoke(sources=[path])
    shown = f"/missing/{fingerprint(canary.token)}/<e-mail>"
    assert (returned.error, returned.outcomes) == ("source_unread", ["revoked"])
    assert returned.row["found_in"] == [{"path": shown, "line": None}]
    assert returned["unread"] == [{"path": shown, "reason": "No such file or directory"}]
    assert shown in returned["msg"]
    assert canary.leaks(returned.output) == []
    assert revoke.simulator.live() == []


def test_token_in_a_link_is_revoked_and_not_shown(revoke: Revoke, tmp_path: Path) -> None:
    canary = make_canary(revoke.simulator)
    (tmp_path / "session").symlink_to(f"{canary.token}:8080")
    returned = revoke(sources=[str(tmp_path)])
    assert (returned.error, returned.outcomes) == ("source_unread", ["revoked"])
    assert returned.row["found_in"] == [{"path": f"{tmp_path}/session", "line": None}]
    assert canary.leaks(returned.output) == []
    assert revoke.simulator.live() == []


@pytest.mark.parametrize("check", [True, False])
def test_address_in_a_path_is_not_shown(revoke: Revoke, tmp_path: Path, check: bool) -> None:
    folder = tmp_path / "ada.lovelace@bank.example"
    folder.mkdir()
    (folder / "log").write_text(revoke.simulator.mint())
    returned = revoke(sources=[str(folder), f"{folder}/missing"], check=check, diff=True)
    assert returned.row["found_in"] == [{"path": f"{tmp_path}/<e-mail>/log", "line": 1}]
    assert "lovelace" not in returned.output


@pytest.mark.parametrize("options", [{"leeway": -1}, {"concurrency": 0}, {"account_id": " "}])
def test_address_in_a_path_is_not_shown_by_an_error(
    revoke: Revoke, tmp_path: Path, options: dict[str, object]
) -> None:
    returned = revoke(sources=[f"{tmp_path}/ada.lovelace@bank.example/log"], **options)
    assert returned.error == "invalid_option"
    assert "lovelace" not in returned.output


def test_name_that_is_not_utf8_is_shown_escaped(revoke: Revoke, tmp_path: Path) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.log")
    Path(path).write_text(revoke.simulator.mint())
    Path(f"{path}.1").symlink_to("missing")
    returned = revoke(sources=[str(tmp_path)])
    shown = f"{tmp_path}/caf" + r"\xe9.log"
    assert returned.row["found_in"] == [{"path": shown, "line": 1}]
    assert [row["path"] for row in returned["unread"]] == [f"{shown}.1"]
    assert json.dumps(dict(returned.result), ensure_ascii=False).encode()
    assert revoke.simulator.live() == []
