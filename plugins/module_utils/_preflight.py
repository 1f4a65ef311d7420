# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks before a rotation or a revocation: each with its result and its remedy.

No Ansible and no network of its own: the client and the clock are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.nomba.auth.plugins.module_utils._answer import ApiResult, Verdict
from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import (
    BAD_REQUEST,
    FORBIDDEN,
    PREFLIGHT_FAILED,
    UNKNOWN_CLIENT,
    NombaError,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    DEFAULT_LEEWAY,
    make_unissued_token,
)

_HOUR = 3600.0
_REMEDIES = {
    UNKNOWN_CLIENT: "client_id does not exist at this API, or is suspended",
    FORBIDDEN: "check client_secret, that client_id is of account_id, and the allow list",
    BAD_REQUEST: "check account_id, and that no proxy removes the header accountId",
}
# Issues a token of the client, and revokes it. Raises NombaError.
CheckClient = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class Check:
    """The result of one check. remedy: what to do if it failed."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The line that a person reads."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{'ok' if self.ok else 'FAILED':<7} {self.name:<10} {self.detail}{remedy}"


def check_api(client: Client, clock: Clock) -> list[Check]:
    """Send a token that was never issued, which the API must refuse. Raises LibraryMissing."""
    now = clock.now()
    token = make_unissued_token(client.account_id, now, now + _HOUR)
    checks = [Check("libraries", True, "requests and PyJWT are installed")]
    answer = client.probe(token, exclusive=True)
    if answer.status is None:
        remedy = "check api_url, ca_path, the network and the proxy"
        return [*checks, Check("api", False, answer.problem, remedy)]
    return [*checks, _answered(answer), *_clock(answer, clock)]


def check_client(check: CheckClient) -> list[Check]:
    """Issue a token of the client, and revoke it with proof."""
    try:
        done = check()
    except NombaError as error:
        return [Check("client", False, str(error).rstrip("."), _REMEDIES.get(error.code, ""))]
    if "error" in done:
        code = str(done["error"]["code"])
        return [Check("client", False, str(done["msg"]).rstrip("."), _REMEDIES.get(code, ""))]
    alive = [row for row in done["results"] if row["verified"] is not True]
    if alive:
        name, reason = alive[0]["fingerprint"], alive[0]["reason"]
        remedy = "run again, which revokes it"
        return [Check("client", False, f"the token {name} is not proved dead: {reason}", remedy)]
    probe = next(iter(done["probes"].values()), "inconclusive")
    if probe != "accepted":
        return [Check("client", False, f"the API does not accept its token (probe: {probe})")]
    detail = "it gets tokens of account_id, which the API accepts and revokes"
    return [Check("client", True, f"{detail}; they live for {done['lifetime']:.0f} s")]


def render(checks: Sequence[Check], skipped: Sequence[str]) -> dict[str, Any]:
    """Return the return values of the module. skipped: lines about checks that were not made."""
    failed = [one.name for one in checks if not one.ok]
    lines = [*(one.line for one in checks if not one.ok), *(one.line for one in checks if one.ok)]
    verdict = f"NOT READY: {', '.join(failed)}" if failed else "READY"
    values: dict[str, Any] = {
        "checks": [asdict(one) for one in checks],
        "lines": [verdict, *lines, *skipped],
        "msg": f"{verdict}. {lines[0]}" if failed else verdict,
    }
    return {**values, "error": {"code": PREFLIGHT_FAILED}} if failed else values


def _answered(answer: ApiResult) -> Check:
    if answer.verdict is Verdict.SUCCEEDED:
        problem = "it accepts a token that was never issued, as Nomba's sandbox does"
        return Check("api", False, problem, "no revocation can be proved here; check api_url")
    if answer.refuses_token:
        detail = f"it refuses a token that was never issued (HTTP {answer.status})"
        return Check("api", True, f"{detail}, so this address may send requests")
    if answer.status == 403:
        remedy = "add this host's address to the allow list in the dashboard, or use another host"
        return Check("api", False, answer.problem, remedy)
    remedy = "this is not the API's own answer; check api_url and the proxy"
    return Check("api", False, answer.problem, remedy)


def _clock(answer: ApiResult, clock: Clock) -> list[Check]:
    if answer.server_time is None:
        return []
    ahead = clock.now() - answer.server_time
    detail = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of the API"
    is_ok = abs(ahead) <= DEFAULT_LEEWAY
    return [Check("clock", is_ok, detail, "" if is_ok else "correct this host's clock")]
