# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each row of the benchmark means, and why its target can be missed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

# A reason names other rows in braces; the page shows their results.
Shown = Callable[[str], str]


class Explanation(NamedTuple):
    """The rows that a pattern matches. A row with a target has a reason."""

    pattern: str
    meaning: str
    reason: str = ""


_PARTS = "Where the time goes: "
_LIBRARIES = (
    f"the import of PyJWT and requests ({{{_PARTS}with requests}}, without them "
    f"{{{_PARTS}with this collection}})"
)
_PYJWT = (
    f"the import of PyJWT ({{{_PARTS}with PyJWT}}, without it {{{_PARTS}with this collection}})"
)
_PACKED = (
    f"packing the files of the module for each task ({{{_PARTS}Ansible packs nomba_token_revoke}}, "
    f"`ping` {{{_PARTS}Ansible packs ping}})"
)
_EXPIRED = r"[\d,]+ expired tokens in one file: "
EXPLANATIONS = (
    Explanation(
        r"1 live token with proof, .*: time",
        "One task that probes, revokes and probes, against one task that sends one POST.",
        f"The difference is {_PACKED}, {_LIBRARIES}, and two more requests.",
    ),
    Explanation(
        r"1 live token with proof, .*: (nomba_token_revoke|uri)",
        "The two times of the ratio above.",
    ),
    Explanation(
        r"1 expired token, .*: time",
        "A task that finds nothing to revoke, against the smallest module of Ansible.",
        f"The difference is {_PACKED}, and {_PYJWT}.",
    ),
    Explanation(
        r"1 expired token, .*: (nomba_token_revoke|ping)",
        "The two times of the ratio above.",
    ),
    Explanation(
        r"Rotation of \d+ hosts, .*: time",
        "A rotation of a token, against a playbook that issues a token, copies it and checks the "
        "health of each host, without state, proof and rollback, and revokes nothing.",
        "The role compares the file of each host before it begins, saves its state before each "
        "effect, reads each file back, and verifies that the old token is dead. For each host, "
        "these are one module and about ten short tasks more.",
    ),
    Explanation(
        r"Rotation of \d+ hosts, .*: (credential_rotation|uri, copy, command)",
        "The two times of the ratio above.",
    ),
    Explanation(
        rf"{_PARTS}(Python only|with .*)",
        "A Python process that imports this; each row includes the row before it.",
    ),
    Explanation(
        rf"{_PARTS}the module's process, .*",
        "The module in a process of its own, without Ansible on the controller.",
    ),
    Explanation(
        rf"{_PARTS}a playbook.*",
        "A complete run of `ansible-playbook` with one task.",
    ),
    Explanation(
        rf"{_PARTS}Ansible packs .*",
        "A process that packs this module as Ansible does on the controller, for each task.",
    ),
    Explanation(
        r"[\d,]+ live tokens with proof, against a loop of `uri` without proof .*: times faster",
        "One task for all tokens, against a loop with one POST for each token.",
        "The module sends three requests for each token, the loop one. Against a loop that proves "
        "too: {1,000 live tokens with proof, against a loop of `uri` with proof (measured at 100, "
        "scaled linearly): times faster}.",
    ),
    Explanation(
        r"[\d,]+ live tokens with proof, against a loop of `uri` with proof .*: times faster",
        "One task for all tokens, against a loop that sends the same three requests.",
    ),
    Explanation(
        r"[\d,]+ live tokens with proof: nomba_token_revoke",
        "The time of the one task, in a complete run of `ansible-playbook`.",
    ),
    Explanation(
        r"[\d,]+ live tokens, a loop of `uri` .*",
        "The time of the loop: that of one token and of the slope between 1 and 100.",
    ),
    Explanation(
        r"[\d,]+ live tokens, \d+ ms, \d+ at a time: rate, relative to requests\.Session",
        "The same requests at this server latency by a script with threads and the same library, "
        "which judges no answer, respects no limit and reports nothing.",
    ),
    Explanation(
        r"[\d,]+ live tokens, \d+ ms, \d+ at a time: rate, relative to aiohttp",
        "The same by a script with asyncio, without the start of Ansible: close to the maximum.",
        f"The time includes the start of Ansible ({{{_PARTS}a playbook with `ping`}}). The rate of "
        "its process alone is in the table below.",
    ),
    Explanation(
        r"(Regular account, \d+ ms|Low-traffic account): used share of the allowed POST rate",
        "How much of the rate that the account may have is used, from the first POST to the last.",
        "A request counts from its start until one window after its answer, so that no window of "
        "the API has too many. One second becomes one second and one round trip: at 100 ms, the "
        "share is at most 0.91.",
    ),
    Explanation(
        r"(Regular account, \d+ ms|Low-traffic account): 429 responses",
        "How often the API rejects a request because there are too many.",
        "The first request of a run does not know the limits of the account.",
    ),
    Explanation(
        rf"{_EXPIRED}playbook",
        "A complete run over a file in which every token is skipped.",
        "Each token has a result of its own, which Ansible copies several times. The module's "
        "process alone takes {100,000 expired tokens in one file: the module's process}.",
    ),
    Explanation(
        rf"{_EXPIRED}memory in addition to that of an empty file",
        "The peak memory of the module's process, less that of a run over an empty file.",
        "The results of all tokens are one JSON document, in memory as objects and as text.",
    ),
    Explanation(
        rf"{_EXPIRED}(the module's process|largest process of the playbook)",
        "Its part of the row of the playbook.",
    ),
    Explanation(
        r"[\d,]+ live tokens, against [\d,]+: memory of the module's process",
        "The peak memory for many tokens, divided by that for few.",
        "Each token keeps its result until the end: {10,000 live tokens, against 1,000: memory per "
        "additional token}.",
    ),
    Explanation(
        r"[\d,]+ live tokens, against [\d,]+: memory per additional token",
        "The difference of the two runs, for each token.",
    ),
    Explanation(
        r"[\d,]+ live tokens: the module's process",
        "The peak memory of the larger run.",
    ),
    Explanation(
        r".*: time, relative to (rg|kingfisher)",
        "The same files by another scanner, which finds the same tokens. All files are in the page "
        "cache. `rg` is ripgrep with one pattern, which decodes and unpacks nothing. `kingfisher` "
        "is a scanner of secrets in several threads.",
        "The scan is written in Python. It searches base64, UTF-16, escapes and line breaks too, "
        "and starts in {512 MiB of log with 14 tokens: start of Python}. Large files are searched "
        "by several processes, many small files by one.",
    ),
    Explanation(
        r"[\d,]+ (MiB|small files).*: memory",
        "The peak memory of the scan: that of its largest process.",
        "A part of a file, its decoded forms and the results are in memory at the same time.",
    ),
    Explanation(
        r"[\d,]+ (MiB|small files).*: (the scanning process|rg|kingfisher|start of Python)",
        "The times of the ratios of this place.",
    ),
)


def explanation(what: str) -> Explanation:
    """Return the explanation of a row; each row has exactly one."""
    (found,) = (one for one in EXPLANATIONS if re.fullmatch(one.pattern, what))
    return found


def reason(what: str, shown: Shown) -> str:
    """Return why the target of a row can be missed, with the results of the rows that it names."""
    return re.sub(r"\{([^}]+)\}", lambda named: shown(named[1]), explanation(what).reason)
