# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The claims of a token that may be shown."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing
from ansible_collections.nomba.auth.plugins.module_utils._token import read_claims, shown_claims
from tests.unit.tables import each_row

from .token_factory import ACCOUNT, OTHER_ACCOUNT, SEED, SEED_EXPIRES, SEED_ISSUED, jwt, token

pytestmark = pytest.mark.pure

NOTHING = {"account": None, "roles": [], "subject": None, "iat": None, "exp": None}
names = st.from_regex(r"[a-z0-9._+-]{1,12}", fullmatch=True)
addresses = st.builds("{}@{}.example".format, names, names) | st.emails()


def shown(claims: dict[str, Any]) -> dict[str, Any]:
    """Return what is shown of a token with exactly these claims."""
    return shown_claims(jwt(json.dumps(claims).encode()))


def test_documented_example_is_shown_without_address() -> None:
    assert shown_claims(SEED) == {
        "account": ACCOUNT,
        "roles": ["TEAMS_OWNER"],
        "subject": "5e26cfb0-529f-417b-b8d2-abc471f4c9db",
        "iat": SEED_ISSUED,
        "exp": SEED_EXPIRES,
    }
    assert "victorshoaga@gmail.com" in str(read_claims(SEED))


@each_row("form", [" {}\n", "Bearer {}", "bearer\t{} "])
def test_whitespace_and_bearer_prefix_are_ignored(form: str) -> None:
    assert shown_claims(form.format(SEED)) == shown_claims(SEED)
    assert read_claims(form.format(SEED)) == read_claims(SEED)


@each_row("text", ["", "invalid", "a.b.c", jwt(b"[1]"), jwt(b"{}"), jwt(b"\xff")])
def test_unreadable_token_has_no_claims(text: str) -> None:
    assert read_claims(text) == {}
    assert shown_claims(text) == NOTHING


def test_whole_payload_is_returned() -> None:
    claims = {"sub": "someone", "deep": {"list": [1, None, True]}, "iat": 1}
    assert read_claims(jwt(json.dumps(claims).encode())) == claims


@given(
    address=addresses,
    kinds=st.lists(st.sampled_from(["", "G:", "R:", "E:", "Email:", "sub", "X:"]), min_size=1),
    account=st.booleans(),
)
def test_address_is_never_shown(address: str, kinds: list[str], account: bool) -> None:
    named = {f"{kind}{address}": f"{kind}{address}" for kind in kinds}
    valued = dict.fromkeys(("sub", "iat", "exp", "email", *kinds), address)
    result = shown({**({f"G:{ACCOUNT}": f"G:{ACCOUNT}"} if account else {}), **named, **valued})
    assert address not in json.dumps(result, ensure_ascii=False)
    assert "@" not in json.dumps(result)
    assert result == {**NOTHING, "account": ACCOUNT if account else None}


@given(
    st.dictionaries(
        st.text(max_size=12) | st.builds("{}{}".format, st.sampled_from(["G:", "R:"]), st.text()),
        st.text(max_size=12) | st.integers() | st.none() | st.lists(st.text(max_size=3)),
        max_size=5,
    )
)
def test_only_names_ids_and_dates_are_shown(claims: dict[str, Any]) -> None:
    result = shown({**claims, **{name: name for name in claims if name[:2] in ("G:", "R:")}})
    assert set(result) == set(NOTHING)
    strings = [result["account"] or "", result["subject"] or "", *result["roles"]]
    assert all(one.replace("_", "").replace("-", "").isalnum() or not one for one in strings)
    assert all(result[name] is None or result[name] > 0 for name in ("iat", "exp"))


@each_row(
    "subject",
    ["victor", "victor@example.com", "", "5e26cfb0", ACCOUNT + "0", f" {ACCOUNT}", 17, None, []],
    ids=repr,
)
def test_subject_other_than_uuid_is_omitted(subject: object) -> None:
    assert shown({"sub": subject}) == NOTHING


@each_row(
    "claim",
    [{"R:A": "R:B"}, {"R:A": True}, {"R": "A"}, {"R:": "R:"}, {"R:A B": "R:A B"}, {"r:A": "r:A"}],
    ids=repr,
)
def test_role_of_other_form_is_omitted(claim: dict[str, Any]) -> None:
    assert shown(claim) == NOTHING


def test_roles_keep_their_order() -> None:
    result = shown_claims(token(**{"R:B": "R:B", "R:A": "R:A"}))
    assert result["roles"] == ["TEAMS_OWNER", "B", "A"]


def test_first_account_is_shown() -> None:
    assert shown_claims(token(**{f"G:{OTHER_ACCOUNT}": f"G:{OTHER_ACCOUNT}"}))["account"] == ACCOUNT


@each_row("value", [0, -1, "1", True, 1e300, None])
def test_invalid_date_is_omitted(value: object) -> None:
    assert shown({"iat": value, "exp": value}) == NOTHING


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(LibraryMissing, match="library PyJWT is"):
        shown_claims(SEED)
    assert shown_claims("invalid") == NOTHING
