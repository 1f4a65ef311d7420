# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup stored_token returns a token that can be used, or fails with one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader

from ansible_collections.nomba.auth.plugins.lookup import stored_token
from tests.unit.tables import each_row

from .token_harness import Token


def look_up(*terms: Any, field: str = "access_token") -> list[str | None]:
    """Return the result of the lookup."""
    lookup = stored_token.LookupModule(loader=DataLoader())
    lookup.set_options = lambda **_options: None
    lookup.get_option = lambda name, **_more: {"field": field}[name]
    return list(lookup.run(list(terms)))


def test_lookup_returns_the_token_without_a_request(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(stored_token, "register_secrets", masked.extend)
    made = token.hold()
    before = token.dest.read_bytes()
    expected = {
        "account_id": token.simulator.account_id,
        "api_url": token.simulator.url,
        "expires_at": token.document["expires_at"],
    }
    for field, value in expected.items():
        assert look_up(str(token.dest), field=field) == [value]
    assert masked == []
    assert look_up(str(token.dest)) == [made["access_token"]]
    assert masked == [made["access_token"]]
    token.hold(lifetime=-240)  # within the leeway for the clock
    assert look_up(str(token.dest)) == [token.document["access_token"]]
    assert (token.files, before != token.dest.read_bytes()) == (["token.json"], True)
    assert token.simulator.requests() == []


def test_lookup_returns_what_the_module_stores(token: Token) -> None:
    token()
    assert look_up(str(token.dest)) == [token.document["access_token"]]


@each_row(
    ("case", "message"),
    [
        ("missing", "{path}: it does not exist; issue the token with nomba_token first"),
        ("folder missing", "{path}/x: {path} is not a folder; name a file in a folder"),
        ("group", "{path}: other users can access it (mode 0640); replace the token, and set the"),
        ("others", "{path}: other users can access it (mode 0604)"),
        ("link", "{path}: other users can access it (mode 0644)"),
        ("folder", "{path}: its folder can be written by every user"),
        ("expired", "{path}: its token {name} has expired; issue another one with nomba_token"),
        ("other file", "{path}: it does not contain a token of nomba_token"),
    ],
)
def test_token_that_cannot_be_used_is_an_error(token: Token, case: str, message: str) -> None:
    made = token.hold(lifetime=-400 if case == "expired" else 3600)
    path, term = token.dest, str(token.dest)
    if case == "missing":
        path.unlink()
    elif case == "folder missing":
        term += "/x"
    elif case in ("group", "others"):
        path.chmod(0o640 if case == "group" else 0o604)
    elif case == "link":
        path.chmod(0o644)
        Path(term := str(path.with_name("link"))).symlink_to(path)
    elif case == "folder":
        path.parent.chmod(0o777)
    elif case == "other file":
        path.write_text("NOMBA=1\n")
    try:
        with pytest.raises(AnsibleLookupError) as caught:
            look_up(term)
    finally:
        path.parent.chmod(0o700)
        path.with_name("link").unlink(missing_ok=True)
    shown = "link" if case == "link" else "token.json"
    expected = message.format(path=path.with_name(shown), name=made["fingerprint"])
    assert str(caught.value).startswith(f"stored_token: {expected}")
    assert made["access_token"] not in str(caught.value)
    assert token.simulator.requests() == []


@pytest.mark.parametrize("terms", [(), ("",), (1,)], ids=repr)
def test_terms_that_are_no_paths_are_rejected(terms: tuple[Any, ...]) -> None:
    with pytest.raises(AnsibleLookupError, match=r"^stored_token: pass the path of a file"):
        look_up(*terms)


def test_token_in_place_of_a_path_is_not_printed(token: Token) -> None:
    made = token.hold()
    with pytest.raises(AnsibleLookupError) as caught:
        look_up(made["access_token"])
    assert made["access_token"] not in str(caught.value)
