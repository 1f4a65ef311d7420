# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large file that is searched in parts, by several processes, has the result of one search."""

from __future__ import annotations

import base64
import gzip
import json
import lzma
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils import _scan_parts
from ansible_collections.nomba.auth.plugins.module_utils._scan_text import (
    PackedFinding,
    TextFinding,
    search_part,
    search_text,
)
from tests.corpus.kinds import ARCHIVES, COMPRESSED, KINDS, lines
from tests.unit.tables import each_row

from .token_factory import rs256, token

pytestmark = pytest.mark.pure

MIB = 1024 * 1024
TOKEN = token(iat=1_800_000_000, exp=1_800_003_600)
TEXTS = [kind.content for kind in KINDS if kind not in (*COMPRESSED, *ARCHIVES)]
# What is around tokens, with and without bytes at which a text may be cut.
NEIGHBORS = (
    *(b"", b"\n", b" ", b"(", b"{", b": ", b" [", b"?", b"@", b"$", b"\x1b[0m", b"\x1b[1: ", b'"'),
    *(b"x" * 50, b"QUJD" * 200, b"2026-01-13 10:00:00 INFO [main] ok (1)\n", b".", b"\\n", b"eyJ"),
    *(b"e(y(J", b"\0", b"\xff", b"  ", TOKEN.encode(), TOKEN[:-9].encode(), rs256().encode()),
)


def merged(data: bytes, size: int, chunk: int) -> list[TextFinding | PackedFinding]:
    """Search a text in parts of this size, each in chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_scan_parts, "PART", size)
        parts = _scan_parts.cut(len(data), lambda length, at: data[at : at + length])
    found: list[TextFinding | PackedFinding] = []
    before = 0

    def search(part: _scan_parts.Part) -> Iterator[TextFinding | PackedFinding]:
        nonlocal before
        text = data[part.first : part.end]
        first = max(chunk, part.context)
        starts = [0, *range(first, len(text), chunk)]
        chunks = [text[at:end] for at, end in zip(starts, [*starts[1:], len(text)])]
        before += yield from search_part(chunks, part.context)

    for part in parts:
        line_breaks = before
        found += [replace(one, line=one.line + line_breaks) for one in search(part)]
    assert before == data.count(b"\n")
    return found


@given(
    st.lists(st.sampled_from(NEIGHBORS), max_size=12),
    st.sampled_from(TEXTS),
    st.lists(st.sampled_from(NEIGHBORS), max_size=12),
    st.integers(0, 9000),
    st.integers(5000, 12_000),
    st.sampled_from([3000, 100_000]),
)
def test_parts_contain_what_the_whole_text_contains(  # noqa: PLR0917  drawn by position
    before: list[bytes], text: Any, after: list[bytes], offset: int, size: int, chunk: int
) -> None:
    line = b"2026-01-13 10:00:00 INFO [main] ok (1)\n"
    around = line * 200
    piece = b"".join(before) + text(TOKEN).replace(b"\0", b"") + b"".join(after)
    data = around + b"x" * offset + b"".join([piece, line]) * 3 + around
    assert merged(data, size, chunk) == list(search_text([data]))


def test_text_is_cut_into_parts_without_a_gap() -> None:
    data = b"2026-01-13 10:00:00 INFO [main] ok (1)\n" * 20_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_scan_parts, "PART", 100_000)
        parts = _scan_parts.cut(len(data), lambda length, at: data[at : at + length])
    assert len(parts) == 8
    assert [part.first for part in parts] == [number * 100_000 for number in range(8)]
    starts = [part.first + part.context for part in parts]
    assert starts == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end is None


@each_row("text", [b"QUJD" * 100_000, b"a\0(b) " * 100_000], ids=["no barrier", "NUL bytes"])
def test_text_without_a_border_is_one_part(text: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_scan_parts, "PART", 50_000)
        parts = _scan_parts.cut(len(text), lambda length, at: text[at : at + length])
    assert parts == [_scan_parts.Part(0, 0, None)]


def test_number_of_parts_is_bounded() -> None:
    parts = _scan_parts.cut(2**46, lambda length, _at: b"(" * length)
    assert 500 < len(parts) < 600


# With processes. The process of the tests has threads, so scans run in one of their own.

SCAN = """
import json, os, signal, sys
from ansible_collections.nomba.auth.plugins.module_utils import (
    _scan_parts, _scan_processes, _scan_sources,
)
from ansible_collections.nomba.auth.plugins.module_utils._scan import ScanResult, scan

count, path, code = int(sys.argv[1]), sys.argv[2], sys.argv[3]
forks, fork = [], os.fork

def counted():
    child = fork()
    forks.append(child)
    return child

os.fork = counted
_scan_sources.usable_processes = lambda: count
_scan_sources._LARGE = _scan_parts.PART = 1024 * 1024
_scan_sources._LONG = 2 * 1024 * 1024
stopped = lambda: False
exec(code)
found = scan([], [path], stopped)
left = 0
try:
    os.waitpid(-1, os.WNOHANG)
    left = 1
except ChildProcessError:
    pass
print(json.dumps({
    "forks": len(forks), "left": left, "tokens": [one.text for one in found.tokens],
    "shape": [
        [one.well_formed, one.readable, one.issued_at, one.expires_at, one.accounts]
        for one in found.tokens
    ],
    "places": {one.fingerprint: found.found_in(one) for one in found.tokens},
    "unread": found.unread, "counts": found.counts(),
}))
"""


def scan_process(path: Path, count: int, code: str = "") -> dict[str, Any]:
    """Scan a file in another process, which may use so many processes."""
    found: dict[str, Any] = json.loads(python(SCAN, str(count), str(path), code))
    return found


def python(code: str, *arguments: str) -> str:
    """Run code in another process; return its output."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    run = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def environment() -> dict[str, str]:
    """Return the environment in which a Python imports what this one imports."""
    paths = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": paths}


LINE = b"2026-01-13 10:00:00 INFO [main] request 0a1b2c3d ok (1)\n"


def write_large(path: Path, size: int = 6 * MIB) -> Path:
    """Write a log with tokens in many forms, at and between the borders of parts."""
    packed = base64.b64encode(gzip.compress(token(n=1).encode() * 9))
    forms = [kind(token(n=number)) for number, kind in enumerate(TEXTS, start=10)]
    forms += [packed, token(n=2)[:-9].encode(), rs256().encode(), lines(token(n=3), 60).encode()]
    forms = [one.replace(b"\0", b"") for one in forms]
    text = bytearray(LINE * (size // len(LINE)))
    ends = accumulate([len(text) // (len(forms) + 1)] * len(forms))
    for end, form in reversed(list(zip(ends, forms))):
        at = text.rfind(b"\n", 0, end) + 1
        text[at:at] = form + b"\n"
    for border in range(MIB, size, MIB):
        at = text.rfind(b"\n", 0, border - 100) + 1
        text[at:at] = b"at a border " + token(n=border).encode() + b"\n"
    path.write_bytes(text)
    return path


@each_row("count", [2, 3, 4])
def test_result_of_several_processes_is_that_of_one(tmp_path: Path, count: int) -> None:
    path = write_large(tmp_path / "file")
    one, several = scan_process(path, 1), scan_process(path, count)
    assert (one.pop("forks"), several.pop("forks")) == (0, count)
    assert one == several
    assert (one["unread"], one["counts"]["bytes"]) == ([], path.stat().st_size)
    assert len(one["tokens"]) > 40
    assert one["counts"]["other_jwts"] == 1


KILL_IN_THE_SECOND_PART = """
search = _scan_sources.search_part
def killed(chunks, context):
    if context:
        os.kill(os.getpid(), signal.SIGKILL)
    return (yield from search(chunks, context))
_scan_sources.search_part = killed
"""


def test_file_is_unread_if_a_process_is_killed(tmp_path: Path) -> None:
    path = write_large(tmp_path / "file")
    found = scan_process(path, 2, KILL_IN_THE_SECOND_PART)
    assert found["tokens"]  # those of the first part
    assert (found["forks"], found["left"]) == (2, 0)
    assert found["unread"] == [[str(path), "a process that read it was killed"]]


def test_no_process_is_left_after_a_signal(tmp_path: Path) -> None:
    path = write_large(tmp_path / "file")
    found = scan_process(path, 2, "stopped = lambda: len(forks) == 2")
    assert found["unread"] == [
        [str(path), "it was not read completely: the run was stopped by a signal"]
    ]
    assert (found["forks"], found["left"]) == (2, 0)


FAIL = """
read = os.read
def failing(descriptor, size):
    if len(forks) and os.getpid() != main and os.lseek(descriptor, 0, os.SEEK_CUR) > 2_500_000:
        raise OSError(5, "Input/output error")
    return read(descriptor, size)
main = os.getpid()
os.read = failing
"""


def test_error_in_a_part_is_reported_once(tmp_path: Path) -> None:
    path = write_large(tmp_path / "file")
    found = scan_process(path, 2, FAIL)
    assert found["unread"] == [[str(path), "Input/output error"]]
    assert (found["forks"], found["left"]) == (2, 0)


NO_FORK = """
def fails():
    raise OSError(11, "Resource temporarily unavailable")
os.fork = fails
"""


def test_file_is_read_by_this_process_if_there_is_no_other(tmp_path: Path) -> None:
    path = write_large(tmp_path / "file")
    one, other = scan_process(path, 1), scan_process(path, 2, NO_FORK)
    assert one == other


def test_growing_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = write_large(tmp_path / "file")
    last = token(n=4)
    grow = f"""
start = _scan_sources.Processes
def grown(*arguments):
    with open(path, "ab") as stream:
        stream.write(b"Bearer {last}\\n")
    return start(*arguments)
_scan_sources.Processes = grown
"""
    found = scan_process(path, 2, grow)
    assert last in found["tokens"]
    assert found["counts"]["bytes"] == path.stat().st_size


@each_row(
    ("name", "content"),
    [
        ("no border", b"QUJD" * MIB),
        ("program with a zip archive", LINE * 60_000 + b"PK\x05\x06" + bytes(18)),
    ],
    ids=lambda row: row if isinstance(row, str) else "",
)
def test_other_files_are_read_as_before(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    one, several = scan_process(path, 1), scan_process(path, 2)
    assert several.pop("forks") == (1 if name == "no border" else 0)
    one.pop("forks")
    assert one == several


# What is unpacked by this process is searched in another one.


@each_row("name", ["file.gz", "file.tar.gz", "file.xz"])
def test_result_of_unpacking_and_searching_processes_is_that_of_one(
    tmp_path: Path, name: str
) -> None:
    path = write_packed(tmp_path, name)
    one, two = scan_process(path, 1), scan_process(path, 2)
    assert (one.pop("forks"), two.pop("forks")) == (0, 2 if "tar" in name else 1)
    assert one == two
    assert (one["unread"], one["counts"]["archives"] > 0) == ([], True)
    assert len(one["tokens"]) > 40


def write_packed(folder: Path, name: str) -> Path:
    """Write a large log in this format; two of them if it is an archive."""
    log, path = write_large(folder / "log"), folder / name
    if ".tar" in name:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(log, "a.log")
            archive.add(log, "b.log")
    else:
        compress = lzma.compress if name.endswith(".xz") else gzip.compress
        path.write_bytes(compress(log.read_bytes()))
    return path


KILL_THE_SEARCH = """
search = _scan_processes.search_text
def killed(chunks):
    next(chunks)
    os.kill(os.getpid(), signal.SIGKILL)
    yield
if "tar" not in path:
    _scan_processes.search_text = killed
"""
KILL_THE_FIRST_SEARCH = KILL_THE_SEARCH.replace('"tar" not in path', "True").replace(
    "    next(chunks)\n", "    if len(forks) > 1:\n        return (yield from search(chunks))\n"
)


@each_row(
    ("name", "code", "left"),
    [("file.gz", KILL_THE_SEARCH, ""), ("file.tar.gz", KILL_THE_FIRST_SEARCH, "b.log")],
)
def test_text_is_unread_if_its_process_is_killed(
    tmp_path: Path, name: str, code: str, left: str
) -> None:
    path = write_packed(tmp_path, name)
    found = scan_process(path, 2, code)
    unread = f"{path}!a.log" if left else str(path)
    assert found["unread"] == [[unread, "a process that read it was killed"]]
    assert found["left"] == 0
    assert bool(found["tokens"]) is bool(left)
    places = {place["path"] for places in found["places"].values() for place in places}
    assert {one.partition(" ")[0] for one in places} == ({f"{path}!{left}"} if left else set())


def test_damaged_file_is_searched_up_to_the_damage(tmp_path: Path) -> None:
    path = write_packed(tmp_path, "file.gz")
    os.truncate(path, path.stat().st_size // 2)
    one, two = scan_process(path, 1), scan_process(path, 2)
    assert (one.pop("forks"), two.pop("forks")) == (0, 1)
    assert one == two
    assert one["tokens"]
    assert one["unread"]


def test_no_searching_process_is_left_after_a_signal(tmp_path: Path) -> None:
    path = write_packed(tmp_path, "file.gz")
    with path.open("ab") as stream:
        stream.write(gzip.compress(os.urandom(4 * MIB)))
    found = scan_process(path, 2, "stopped = lambda: len(forks) == 1")
    assert (found["forks"], found["left"]) == (1, 0)
    assert found["unread"][-1] == [
        str(path),
        "it was not read completely: the run was stopped by a signal",
    ]


def test_text_is_searched_by_this_process_if_there_is_no_other(tmp_path: Path) -> None:
    path = write_packed(tmp_path, "file.gz")
    one, other = scan_process(path, 1), scan_process(path, 2, NO_FORK)
    assert one == other


def test_sparse_file_is_read_by_one_process(tmp_path: Path) -> None:
    path = write_large(tmp_path / "file")
    os.truncate(path, 8 * MIB)
    assert scan_process(path, 2)["forks"] == 0


COUNT = """
import threading
from ansible_collections.nomba.auth.plugins.module_utils._scan_processes import usable_processes
alone = usable_processes()
event = threading.Event()
thread = threading.Thread(target=event.wait)
thread.start()
print(alone, usable_processes())
event.set()
"""


def test_a_process_with_threads_starts_no_other() -> None:
    alone, with_thread = python(COUNT).split()
    assert (int(alone), int(with_thread)) == (min(4, len(os.sched_getaffinity(0))), 1)


STREAM = """
import os
from ansible_collections.nomba.auth.plugins.module_utils._scan_parts import Part
from ansible_collections.nomba.auth.plugins.module_utils._scan_processes import End, Processes

reading, writing = os.pipe()

def search(part):
    if part.first:
        os.read(reading, 1)
    yield End(part.first, 0, (), False)

processes = Processes(1, [Part(0, 0, 1), Part(1, 0, None)], search)
for record in processes.records(lambda: False):
    print(record.line_breaks)
    os.write(writing, b"x")
processes.close()
"""


def test_part_is_received_before_its_process_ends() -> None:
    assert python(STREAM).split() == ["0", "1"]


WAIT = """
search = _scan_sources.search_part
def waiting(chunks, context):
    os.write(1, b"%d\\n" % os.getpid())
    os.read(int(os.environ["GATE"]), 1)
    return (yield from search(chunks, context))
_scan_sources.search_part = waiting
"""


def test_no_process_outlives_a_killed_scan(tmp_path: Path) -> None:
    path = write_large(tmp_path / "file")
    reading, writing = os.pipe()
    command = [sys.executable, "-c", SCAN, "2", str(path), WAIT]
    gate = {**environment(), "GATE": str(reading)}
    with subprocess.Popen(command, env=gate, stdout=subprocess.PIPE, pass_fds=[reading]) as process:
        assert process.stdout is not None
        lines_of_children = [process.stdout.readline() for __ in range(2)]
        process.kill()
        os.write(writing, b"x" * 100)
        # The output ends when no process is left. Each ended after its part, and began no other.
        assert process.stdout.read() == b""
    os.close(reading)
    os.close(writing)
    assert len(set(lines_of_children)) == 2
