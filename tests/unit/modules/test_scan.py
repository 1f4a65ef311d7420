# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scan finds every Nomba token in files and folders, in any format."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus.kinds import tar
from tests.simulator.tokens import fingerprint

from .harness import Revoke

FORMATS: dict[str, Callable[[str], bytes]] = {
    "environment file": lambda token: f'PORT=1\nNOMBA_ACCESS_TOKEN="{token}"\n'.encode(),
    "JSON": lambda token: json.dumps({"data": {"access_token": token}}).encode(),
    "log line": lambda token: f"10:41 INFO up\n10:42 Authorization: Bearer {token}\n".encode(),
    "URL": lambda token: f"\nGET /callback?token={token}&state=1 HTTP/1.1".encode(),
    "YAML": lambda token: f"nomba:\n  token: {token}\n".encode(),
    "glued": lambda token: f"\nkeyJ{token}, and more".encode(),
    "UTF-16": lambda token: f"\r\ntoken: {token}\r\n".encode("utf-16"),
    "binary": lambda token: b"\x00\xff\xfe\n\x80" + token.encode() + b"\x00\x01",
}


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS.keys())
def test_token_is_found_in_any_format(
    revoke: Revoke, tmp_path: Path, form: Callable[[str], bytes]
) -> None:
    token, file = revoke.simulator.mint(), tmp_path / "file"
    file.write_bytes(form(token))
    line = form(token).replace(b"\0", b"").split(token.encode())[0].count(b"\n") + 1
    result = revoke(sources=[str(file)])
    assert result.outcomes == ["revoked"]
    assert result.row["found_in"] == [{"path": str(file), "line": line}]
    assert not revoke.simulator.accepts(token)
    assert token not in result.output


@pytest.mark.parametrize(("alg", "length"), [("HS384", 64), ("HS512", 86), ("RS256", 342)])
def test_token_of_another_alg_is_sent_whole(
    revoke: Revoke, tmp_path: Path, alg: str, length: int
) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": alg}).encode()).decode().rstrip("=")
    payload = revoke.simulator.mint().split(".")[1]
    token = f"{header}.{payload}.{'A' * length}"
    (tmp_path / "log").write_text(f"token={token};")
    result = revoke(sources=[str(tmp_path)])
    assert result.row["fingerprint"] == fingerprint(token)
    sent = {entry.fingerprint for entry in revoke.simulator.requests()}
    assert sent == {fingerprint(token)}


def test_folder_is_scanned_recursively(revoke: Revoke, tmp_path: Path) -> None:
    tokens = revoke.simulator.mint_many(3)
    for depth, token in zip(["a", "b/c", "b/c/d/e"], tokens):
        (tmp_path / depth).mkdir(parents=True, exist_ok=True)
        (tmp_path / depth / "log").write_text(token)
    result = revoke(sources=[str(tmp_path)])
    assert [row["fingerprint"] for row in result["results"]] == list(map(fingerprint, tokens))
    assert result.outcomes == ["revoked"] * 3
    assert result["summary"]["files"] == 3
    assert revoke.simulator.live() == []


def test_row_names_every_file_with_the_first_line(revoke: Revoke, tmp_path: Path) -> None:
    token = revoke.simulator.mint()
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_text(f"\n\n{token}\n{token}\n")
    second.write_text(f"{token} {token}")
    result = revoke(token, sources=[str(tmp_path)])
    assert result.row["found_in"] == [
        {"path": str(first), "line": 3},
        {"path": str(second), "line": 1},
    ]
    assert len(revoke.simulator.writes()) == 1


def test_file_with_several_paths_is_read_once(revoke: Revoke, tmp_path: Path) -> None:
    file, token = tmp_path / "log", revoke.simulator.mint()
    file.write_text(token)
    (tmp_path / "other").symlink_to(file)
    (tmp_path / "third").hardlink_to(file)
    result = revoke(sources=[str(file), str(tmp_path)])
    assert result.row["found_in"] == [{"path": str(file), "line": 1}]
    assert result["summary"]["files"] == 1
    assert len(revoke.simulator.writes()) == 1


def test_given_tokens_precede_found_ones(revoke: Revoke, tmp_path: Path) -> None:
    found, single, several = revoke.simulator.mint_many(3)
    (tmp_path / "log").write_text(found)
    result = revoke(several, access_token=single, sources=[str(tmp_path)])
    order = [fingerprint(token) for token in (single, several, found)]
    assert [row["fingerprint"] for row in result["results"]] == order
    assert revoke.simulator.live() == []


def test_jwt_of_another_service_is_not_sent(revoke: Revoke, tmp_path: Path) -> None:
    other = revoke.simulator.mint(claims={f"G:{revoke.simulator.account_id}": None})
    token = revoke.simulator.mint()
    (tmp_path / "log").write_text(f"{other}\n{token}\n{other}\n")
    result = revoke(sources=[str(tmp_path)])
    assert result.outcomes == ["revoked"]
    assert result["summary"]["other_jwts"] == 1
    assert "1 JWT(s) name no Nomba account and were ignored" in result.warnings
    assert revoke.simulator.requests(fingerprint=fingerprint(other)) == []
    assert revoke.simulator.accepts(other)


def test_jwt_that_names_no_account_is_revoked_when_given(revoke: Revoke) -> None:
    token = revoke.simulator.mint(claims={f"G:{revoke.simulator.account_id}": None})
    result = revoke(token)
    assert result.outcomes == ["revoked"]
    assert result.warnings == ""
    assert not revoke.simulator.accepts(token)


def test_summary_counts_tokens_outcomes_files_and_other_jwts(
    revoke: Revoke, tmp_path: Path
) -> None:
    live, dead = revoke.simulator.mint_many(2), revoke.simulator.mint(known=False)
    expired = revoke.simulator.mint(age=7200, lifetime=3600)
    other = revoke.simulator.mint(claims={f"G:{revoke.simulator.account_id}": None})
    (tmp_path / "one").write_text("\n".join([*live, dead]))
    (tmp_path / "two").write_text("\n".join([expired, other, live[0]]))
    result = revoke("this is no token", sources=[str(tmp_path)])
    counts = {"revoked": 2, "already_revoked": 1, "expired": 1, "malformed": 1}
    zeros = dict.fromkeys(["refused", "still_accepted", "unknown", "not_attempted"], 0)
    outcomes = {**counts, **zeros}
    assert result["summary"] == {
        "tokens": 5,
        "verified": 3,
        "not_verified": 0,
        "outcomes": outcomes,
        "files": 2,
        "bytes": sum(file.stat().st_size for file in tmp_path.iterdir()),
        "archives": 0,
        "objects": 0,
        "excluded": 0,
        "unread": 0,
        "other_jwts": 1,
    }
    assert len(revoke.simulator.writes()) == 2


def test_second_scan_of_a_folder_changes_nothing(revoke: Revoke, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(" ".join(revoke.simulator.mint_many(3)))
    revoke(sources=[str(tmp_path)])
    revoke.simulator.forget_requests()
    result = revoke(sources=[str(tmp_path)])
    assert result.outcomes == ["already_revoked"] * 3
    assert (result["changed"], result.failed) == (False, False)
    assert revoke.simulator.writes() == []


def test_token_in_an_archive_is_revoked_with_its_place(revoke: Revoke, tmp_path: Path) -> None:
    live = revoke.simulator.mint()
    (tmp_path / "logs.tar.gz").write_bytes(gzip.compress(tar(live)))
    result = revoke(sources=[str(tmp_path)])
    assert result.outcomes == ["revoked"]
    place = {"path": f"{tmp_path}/logs.tar.gz!dir/app.log", "line": 2}
    assert result["results"][0]["found_in"] == [place]
    assert result["summary"]["archives"] == 2


def test_excluded_and_large_files_are_not_read(revoke: Revoke, tmp_path: Path) -> None:
    one, two, three = revoke.simulator.mint_many(3)
    (tmp_path / "a.log").write_text(one)
    (tmp_path / "b.pdf").write_text(two)
    (tmp_path / "c.log").write_text("x" * 2000 + three)
    result = revoke(sources=[str(tmp_path)], exclude=["*.pdf"], max_file_size="2K")
    assert (result.error, result.outcomes) == ("source_unread", ["revoked"])
    assert result["summary"]["excluded"] == 1
    reason = "it is larger than max_file_size (2048 bytes) and was not read"
    assert result["unread"] == [{"path": str(tmp_path / "c.log"), "reason": reason}]
    assert [revoke.simulator.accepts(text) for text in (one, two, three)] == [False, True, True]


def test_invalid_file_size_is_refused(revoke: Revoke, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(revoke.simulator.mint())
    result = revoke(sources=[str(tmp_path)], max_file_size="0")
    assert result.error == "invalid_option"
    assert revoke.simulator.requests() == []
