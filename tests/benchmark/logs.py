# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs like those of services, with tokens in them, for the benchmark of a scan."""

from __future__ import annotations

import gzip
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

MIB = 1024 * 1024
_BROWSER = "AppleWebKit/537.36 (KHTML, like Gecko)"
_AGENTS = (
    f"Mozilla/5.0 (X11; Linux x86_64) {_BROWSER} Chrome/126.0 Safari/537.36",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {_BROWSER} Version/17.5",
    "okhttp/4.12.0",
    "kube-probe/1.29",
)
_PATHS = ("/v1/transfers/bank", "/v1/accounts/balance", "/healthz", "/static/app.js")
_SMALL_FOLDERS = 200


def _access(source: random.Random, number: int) -> str:
    address = ".".join(str(source.randrange(256)) for __ in range(3))
    request = f"GET {source.choice(_PATHS)}?ref={source.getrandbits(24):06x} HTTP/1.1"
    rest = f'{source.choice((200, 201, 404))} {source.randrange(20_000)} "-"'
    at = f"13/Jan/2026:10:{number % 60:02}:{source.randrange(60):02} +0000"
    return f'10.{address} - - [{at}] "{request}" {rest} "{source.choice(_AGENTS)}"\n'


def _json(source: random.Random, number: int) -> str:
    at = f"2026-01-13T10:{number % 60:02}:{source.randrange(60):02}.{number % 1000:03}Z"
    ids = f'"requestId":"{source.getrandbits(128):032x}","amount":{source.randrange(10**6)}'
    return f'{{"ts":"{at}","level":"INFO","logger":"payments.Transfers",{ids}}}\n'


def _application(source: random.Random, number: int) -> str:
    at = f"2026-01-13 10:{number % 60:02}:{source.randrange(60):02},{number % 1000:03}"
    what = f"delivered webhook {source.getrandbits(64):016x} in {source.randrange(900)} ms"
    return f"{at} INFO  [http-nio-8080-exec-{number % 40}] c.e.payments.Webhooks - {what}\n"


_LINES: tuple[Callable[[random.Random, int], str], ...] = (_access, _json, _application)


def block(size: int = 16 * MIB) -> bytes:
    """Return so many bytes of log lines, or a few more: always the same."""
    source, lines, length, number = random.Random(7), [], 0, 0
    while length < size:
        line = _LINES[number % len(_LINES)](source, number).encode()
        lines.append(line)
        length += len(line)
        number += 1
    return b"".join(lines)


def write_log(path: Path, size: int, tokens: Sequence[str]) -> Path:
    """Write a log of this size in MiB with tokens at equal distances."""
    part = block(min(16, size) * MIB)
    positions = [size * MIB * (number + 1) // (len(tokens) + 1) for number in range(len(tokens))]
    waiting = list(zip(positions, tokens))
    with path.open("wb") as file:
        while file.tell() < size * MIB:
            start, end, done = file.tell(), file.tell() + len(part), 0
            while waiting and waiting[0][0] < end:
                at, token = waiting.pop(0)
                line = part.find(b"\n", max(0, at - start)) + 1
                file.write(part[done:line] + f"10:41 DEBUG Bearer {token} sent\n".encode())
                done = line
            file.write(part[done:])
    return path


def write_gzip(path: Path, log: Path) -> Path:
    """Write a log in gzip."""
    with log.open("rb") as source, gzip.open(path, "wb", 6) as target:
        shutil.copyfileobj(source, target, MIB)
    return path


def write_small_files(folder: Path, count: int, tokens: Sequence[str]) -> Path:
    """Write so many files of 200 to 4200 bytes; the first ones contain a token each."""
    part = block(4 * MIB)
    for number, extra in zip(range(count), _padded(tokens)):
        file = folder / str(number % _SMALL_FOLDERS) / f"{number}.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        start = number * 997 % (3 * MIB)
        file.write_bytes(part[start : start + 200 + number * 37 % 4000] + extra)
    return folder


def _padded(tokens: Sequence[str]) -> Iterator[bytes]:
    yield from (f"\ntoken={token}\n".encode() for token in tokens)
    while True:
        yield b""
