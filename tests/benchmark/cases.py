# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases: what is compared, and the targets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .results import AT_LEAST, AT_MOST, Point, Results, Row
from .testbed import Testbed
from .timing import Sample, Samples, Spread, interleave, ratios, spread, times

_DEFAULT_WORKERS = 4
_WORKERS = 16
# Runs of a point of the growth curve are repeated until they take this long in total (seconds).
_MAX_POINT_SECONDS = 20.0
# A point with more tokens per worker is omitted: at 20 ms it takes longer than ten minutes.
_MAX_TOKENS_PER_WORKER = 5000

# From this latency on (milliseconds), fewer tokens are sufficient.
_HIGH_LATENCY = 100

# The POST limit of a window, and its length in seconds.
_REGULAR = (15, 1.0)
_LOW_TRAFFIC = (1, 2.0)


@dataclass(frozen=True)
class Size:
    """The size of a benchmark run. scanned: MiB of the largest log."""

    runs: int
    tokens: int
    looped: int
    sequential: int
    limited: int
    slow: int
    expired: int
    few: int
    many: int
    latencies: tuple[int, ...]
    hosts: tuple[tuple[int, float], ...]
    scanned: int
    scanned_files: int
    growth: tuple[int, ...]
    workers: tuple[int, ...]


FULL = Size(
    runs=5,
    tokens=1000,
    looped=100,
    sequential=50,
    limited=300,
    slow=8,
    expired=100_000,
    few=1000,
    many=10_000,
    latencies=(0, 20, 100),
    hosts=((3, 2.0), (30, 1.3), (100, 1.15)),
    scanned=512,
    scanned_files=100_000,
    growth=(1, 10, 100, 1000, 10_000),
    workers=(1, 4, 16, 64),
)
QUICK = Size(
    runs=1,
    tokens=20,
    looped=3,
    sequential=3,
    limited=30,
    slow=2,
    expired=1000,
    few=10,
    many=100,
    latencies=(20,),
    hosts=((3, 2.0),),
    scanned=8,
    scanned_files=300,
    growth=(1, 10),
    workers=(1, 4),
)


def one_token(testbed: Testbed, size: Size) -> Results:
    """Measure a single revoke against one POST."""
    sides = {
        "nomba_token_revoke": lambda: testbed.require_revoked(
            testbed.revoke(tokens=testbed.live(1))
        ),
        "uri": lambda: testbed.require_revoked(
            testbed.playbook("peers/uri_once.yml", tokens=testbed.live(1))
        ),
    }
    samples = interleave(sides, size.runs)
    what = "1 live token with proof, against one `uri` POST without: time"
    return _compared(what, samples, ("nomba_token_revoke", "uri"), AT_MOST, 1.15)


def skipped(testbed: Testbed, size: Size) -> Results:
    """Measure a run with nothing to revoke."""
    token = testbed.expired(1)
    sides = {
        "nomba_token_revoke": lambda: testbed.revoke(tokens=token),
        "ping": lambda: testbed.playbook("playbooks/ping.yml"),
    }
    samples = interleave(sides, size.runs)
    what = "1 expired token, skipped, against `ping`: time"
    return _compared(what, samples, ("nomba_token_revoke", "ping"), AT_MOST, 1.05)


def rotation(testbed: Testbed, size: Size) -> Results:
    """Measure a rotation against a playbook that issues a token, copies it and checks the hosts."""
    results = Results()
    testbed.live(0)
    for hosts, bound in size.hosts:
        sides = {
            "credential_rotation": partial(testbed.rotation, "playbooks/rotate.yml", hosts),
            "uri, copy, command": partial(testbed.rotation, "peers/rotate.yml", hosts),
        }
        sides["credential_rotation"]()  # puts a token in service
        samples = interleave(sides, size.runs)
        what = f"Rotation of {hosts} hosts, against `uri`, `copy` and a health check: time"
        names = ("credential_rotation", "uri, copy, command")
        compared = _compared(what, samples, names, AT_MOST, bound)
        results.rows += compared.rows
        results.samples.update(compared.samples)
    return results


def parts(testbed: Testbed, size: Size) -> Results:
    """Measure the parts of a run with one token; each part includes the previous one."""
    module = "ansible_collections.nomba.auth.plugins.modules.nomba_token_revoke"
    expired = testbed.expired(1)
    sides = {
        "Python only": lambda: testbed.python("pass"),
        "with Ansible's module code": lambda: testbed.python("import ansible.module_utils.basic"),
        "with this collection": lambda: testbed.python(f"import {module}"),
        "with PyJWT": lambda: testbed.python(f"import {module}, jwt"),
        "with requests": lambda: testbed.python(f"import {module}, jwt, requests"),
        "the module's process, token skipped": lambda: testbed.module_process(
            access_tokens=expired
        ),
        "the module's process, token revoked and verified": lambda: testbed.require_revoked(
            testbed.module_process(access_tokens=testbed.live(1))
        ),
        "Ansible packs ping": lambda: testbed.pack("ansible.builtin.ping"),
        "Ansible packs nomba_token_revoke": lambda: testbed.pack("nomba.auth.nomba_token_revoke"),
        "a playbook with `ping`": lambda: testbed.playbook("playbooks/ping.yml"),
        "a playbook, token skipped": lambda: testbed.revoke(tokens=expired),
        "a playbook, token revoked and verified": lambda: testbed.require_revoked(
            testbed.revoke(tokens=testbed.live(1))
        ),
    }
    samples = interleave(sides, size.runs)
    results = Results()
    results.add_samples("parts", samples)
    results.rows += [_seconds("Where the time goes", samples, name) for name in sides]
    return results


def loops(testbed: Testbed, size: Size) -> Results:
    """Measure one task with many tokens against a task in a loop."""

    def loop(name: str, count: int) -> Sample:
        return testbed.require_revoked(
            testbed.playbook(f"peers/{name}.yml", tokens=testbed.live(count))
        )

    def revoke() -> Sample:
        return testbed.require_revoked(testbed.revoke(tokens=testbed.live(size.tokens)))

    names = ("uri_loop", "uri_loop_with_proof")
    sides: dict[str, Callable[[], Sample]] = {"nomba_token_revoke": revoke}
    for name in names:
        sides[f"{name}, 1"] = partial(loop, name, 1)
        sides[f"{name}, {size.looped}"] = partial(loop, name, size.looped)
    samples = interleave(sides, size.runs)
    results = Results()
    results.add_samples("loops", samples)
    results.rows.append(
        _seconds(f"{size.tokens:,} live tokens with proof", samples, "nomba_token_revoke")
    )
    for name, bound in zip(names, (100.0, 0.0)):
        results.rows += _scaled(name, bound, samples, size)
    return results


def _scaled(name: str, bound: float, samples: Samples, size: Size) -> list[Row]:
    """Scale the time of a loop linearly to the number of tokens of the module."""
    ones, loops_ = samples[f"{name}, 1"], samples[f"{name}, {size.looped}"]
    estimates = [
        one.seconds + (many.seconds - one.seconds) / (size.looped - 1) * (size.tokens - 1)
        for one, many in zip(ones, loops_)
    ]
    ours = [sample.seconds for sample in samples["nomba_token_revoke"]]
    proof = "with" if name.endswith("proof") else "without"
    peer = f"a loop of `uri` {proof} proof (measured at {size.looped}, scaled linearly)"
    sense = AT_LEAST if bound else ""
    gains = spread([other / own for other, own in zip(estimates, ours)])
    what = f"{size.tokens:,} live tokens with proof, against {peer}: times faster"
    return [
        Row(f"{size.tokens:,} live tokens, {peer}", "s", spread(estimates), len(ours)),
        Row(what, "x", gains, len(ours), sense, bound),
    ]


def wire(testbed: Testbed, size: Size) -> Results:
    """Measure the same requests by other programs, at several server latencies."""
    results = Results()
    for latency in size.latencies:
        plans = [_WORKERS] if latency != 20 else [_DEFAULT_WORKERS, _WORKERS]
        for workers in plans:
            _wire(testbed, size, results, latency, workers)
        _sequential(testbed, size, results, latency)
    return results


def _wire(testbed: Testbed, size: Size, results: Results, latency: int, workers: int) -> None:
    print(f"  {latency} ms, {workers} workers")
    count = size.tokens if latency < _HIGH_LATENCY else size.limited

    def job() -> dict[str, object]:
        return {"tokens": testbed.live(count, latency=latency / 1000), "concurrency": workers}

    def module() -> Sample:
        given = job()
        return testbed.module_process(access_tokens=given["tokens"], concurrency=workers)

    sides = {
        "nomba_token_revoke": lambda: testbed.require_revoked(testbed.revoke(**job())),
        "its process alone": lambda: testbed.require_revoked(module()),
        "requests.Session": lambda: testbed.require_revoked(testbed.peer("session.py", **job())),
        "aiohttp": lambda: testbed.require_revoked(testbed.peer("aio.py", **job())),
    }
    samples = interleave(sides, size.runs)
    results.add_samples(f"{latency} ms, {workers} workers", samples)
    for name, each in samples.items():
        rates = spread([count / sample.seconds for sample in each])
        row = Row(f"{name}, {workers} at a time", "tokens/s", rates, len(each))
        results.latencies.append((latency, row))
    for peer in ("requests.Session", "aiohttp"):
        gains = ratios(samples[peer], samples["nomba_token_revoke"])
        target = (peer, latency) == ("aiohttp", 20)
        subject = f"{count:,} live tokens, {latency} ms, {workers} at a time"
        what = f"{subject}: rate, relative to {peer}"
        sense, bound = (AT_LEAST, 0.8) if target else ("", 0.0)
        results.rows.append(Row(what, "x", gains, size.runs, sense, bound))


def _sequential(testbed: Testbed, size: Size, results: Results, latency: int) -> None:
    """Measure sequential requests, with fewer tokens because they are slow."""

    def side(program: Callable[..., Sample]) -> Sample:
        tokens = testbed.live(size.sequential, latency=latency / 1000)
        return testbed.require_revoked(program(tokens=tokens, concurrency=1))

    sides = {
        "nomba_token_revoke": lambda: side(testbed.revoke),
        "requests.Session": lambda: side(partial(testbed.peer, "session.py")),
    }
    samples = interleave(sides, size.runs)
    results.add_samples(f"{latency} ms, sequential", samples)
    for name, each in samples.items():
        rates = spread([size.sequential / sample.seconds for sample in each])
        row = Row(f"{name}, 1 at a time ({size.sequential} tokens)", "tokens/s", rates, len(each))
        results.latencies.append((latency, row))


def limits(testbed: Testbed, size: Size) -> Results:
    """Measure the used share of the rate limit, and the number of 429 responses."""
    results = Results()

    def regular(latency: int) -> Sample:
        tokens = testbed.live(size.limited, latency=latency / 1000, rate_class="regular")
        sample = testbed.require_revoked(testbed.revoke(tokens=tokens, concurrency=_WORKERS))
        return testbed.with_limits(sample, *_REGULAR)

    def low_traffic() -> Sample:
        tokens = testbed.live(size.slow, rate_class="low_traffic", rate_window=_LOW_TRAFFIC[1])
        return testbed.with_limits(
            testbed.require_revoked(testbed.revoke(tokens=tokens)), *_LOW_TRAFFIC
        )

    sides = {f"{latency} ms": partial(regular, latency) for latency in size.latencies}
    samples = interleave({**sides, "low traffic": low_traffic}, size.runs)
    results.add_samples("limits", samples)
    for name, each in samples.items():
        regular_class = name != "low traffic"
        account = f"Regular account, {name}" if regular_class else "Low-traffic account"
        used = spread([sample.observed["used"] for sample in each])
        results.rows += [
            Row(
                f"{account}: used share of the allowed POST rate",
                "x",
                used,
                len(each),
                AT_LEAST if regular_class else "",
                0.95 if regular_class else 0.0,
            ),
            Row(
                f"{account}: 429 responses",
                "",
                spread([sample.observed["too_many"] for sample in each]),
                len(each),
                AT_MOST,
                0.0 if regular_class else 1.0,
            ),
        ]
    return results


def expired(testbed: Testbed, size: Size) -> Results:
    """Measure a large file that contains only expired tokens."""
    tokens = testbed.expired(size.expired)

    def peak(given: list[str]) -> Sample:
        return testbed.module_process(sources=[testbed.source(given)])

    sides = {
        "playbook": lambda: testbed.revoke(sources=[testbed.source(tokens)]),
        "process": lambda: peak(tokens),
        "process, empty file": lambda: peak([]),
    }
    samples = interleave(sides, size.runs)
    results = Results()
    results.add_samples("expired", samples)
    what = f"{size.expired:,} expired tokens in one file"
    more = _extra_memory(samples["process"], samples["process, empty file"])
    results.rows += [
        Row(f"{what}: playbook", "s", times(samples["playbook"]), size.runs, AT_MOST, 10.0),
        Row(f"{what}: the module's process", "s", times(samples["process"]), size.runs),
        Row(
            f"{what}: memory in addition to that of an empty file",
            "MB",
            more,
            size.runs,
            AT_MOST,
            150.0,
        ),
        Row(
            f"{what}: largest process of the playbook", "MB", _peak(samples["playbook"]), size.runs
        ),
    ]
    return results


def memory(testbed: Testbed, size: Size) -> Results:
    """Measure the memory for many live tokens against that for few."""

    def revoke(count: int) -> Sample:
        tokens = testbed.live(count)
        source = testbed.source(tokens)
        return testbed.require_revoked(
            testbed.module_process(sources=[source], concurrency=_WORKERS)
        )

    counts = (size.few, size.many)
    samples = interleave({f"{count:,}": partial(revoke, count) for count in counts}, size.runs)
    results = Results()
    results.add_samples("memory", samples)
    few, many = (samples[f"{count:,}"] for count in counts)
    extra = spread(
        [(a.peak_mb - b.peak_mb) * 1000 / (size.many - size.few) for a, b in zip(many, few)]
    )
    ratio = spread([a.peak_mb / b.peak_mb for a, b in zip(many, few)])
    what = f"{size.many:,} live tokens, against {size.few:,}"
    results.rows += [
        Row(f"{what}: memory of the module's process", "x", ratio, size.runs, AT_MOST, 1.5),
        Row(f"{what}: memory per additional token", "kB", extra, size.runs),
        Row(f"{size.many:,} live tokens: the module's process", "MB", _peak(many), size.runs),
    ]
    return results


def scans(testbed: Testbed, size: Size) -> Results:
    """Measure the scan of logs and of many small files against other scanners."""
    mib, tokens, many = size.scanned, testbed.expired(14), testbed.expired(1000)
    log = testbed.log("14.log", mib, tokens)
    dense = testbed.log("1000.log", mib // 2, many)
    packed = testbed.packed_log("14.log.gz", log)
    files = testbed.small_files("small", size.scanned_files, tokens)
    results = Results()
    ours = "the scanning process"
    for what, place, found, peers in (
        (f"{mib} MiB of log with 14 tokens", log, 14, {"rg": 3.0, "kingfisher": 2.0}),
        (f"{mib // 2} MiB of log with 1,000 tokens", dense, 1000, {"kingfisher": 1 / 3}),
        (f"{mib} MiB of log in gzip", packed, 14, {"kingfisher": 1.0}),
        (f"{size.scanned_files:,} small files", files, 14, {"rg": 1.5}),
    ):
        sides: dict[str, Callable[[], Sample]] = {ours: partial(testbed.scan, place, found)}
        sides.update({peer: partial(getattr(testbed, peer), place) for peer in peers})
        if "rg" in peers:
            sides["start of Python"] = lambda: testbed.python("pass")
        for peer in peers:
            testbed.require_same_findings(peer, place, found)
        samples = interleave(sides, size.runs)
        results.add_samples(what, samples)
        for peer, bound in peers.items():
            gains = ratios(samples[ours], samples[peer])
            row = Row(f"{what}: time, relative to {peer}", "x", gains, size.runs, AT_MOST, bound)
            results.rows.append(row)
        peak = _peak(samples[ours])
        results.rows.append(Row(f"{what}: memory", "MB", peak, size.runs, AT_MOST, 60.0))
        results.rows += [_seconds(what, samples, name) for name in sides]
    return results


def growth(testbed: Testbed, size: Size) -> Results:
    """Measure the time by number of tokens and workers, at 20 ms."""
    results = Results()
    for workers in size.workers:
        for count in size.growth:
            if count > workers * _MAX_TOKENS_PER_WORKER:
                continue
            each = _point(testbed, count, workers, size.runs)
            results.add_samples(f"growth, {workers} workers", {f"{count:,} tokens": each})
            seconds = times(each).median
            results.growth.append(Point(count, workers, seconds, len(each)))
            print(f"    {count:,} tokens, {workers} workers: {seconds:.2f} s", flush=True)
    return results


def _point(testbed: Testbed, count: int, workers: int, runs: int) -> list[Sample]:
    samples: list[Sample] = []
    start = time.monotonic()
    while len(samples) < runs and (not samples or time.monotonic() - start < _MAX_POINT_SECONDS):
        source = testbed.source(testbed.live(count, latency=0.02))
        sample = testbed.revoke(sources=[source], concurrency=workers)
        samples.append(testbed.require_revoked(sample))
    return samples


def _compared(
    what: str, samples: Samples, names: tuple[str, str], sense: str, bound: float
) -> Results:
    ours, theirs = (samples[name] for name in names)
    results = Results()
    results.add_samples(what, samples)
    results.rows.append(Row(what, "x", ratios(ours, theirs), len(ours), sense, bound))
    subject = what.partition(":")[0]
    results.rows += [_seconds(subject, samples, name) for name in names]
    return results


def _seconds(what: str, samples: Samples, name: str) -> Row:
    return Row(f"{what}: {name}", "s", times(samples[name]), len(samples[name]))


def _extra_memory(over: list[Sample], under: list[Sample]) -> Spread:
    return spread([one.peak_mb - other.peak_mb for one, other in zip(over, under)])


def _peak(samples: list[Sample]) -> Spread:
    return spread([sample.peak_mb for sample in samples])


CASES: dict[str, Callable[[Testbed, Size], Results]] = {
    "one": one_token,
    "skip": skipped,
    "rotation": rotation,
    "parts": parts,
    "loops": loops,
    "wire": wire,
    "limits": limits,
    "expired": expired,
    "memory": memory,
    "scans": scans,
    "growth": growth,
}
