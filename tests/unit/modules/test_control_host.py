# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stores and the API of a rotation, reached by modules that these tests answer."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._stored_token import StoredToken, dump
from ansible_collections.nomba.auth.plugins.plugin_utils._control_host import (
    ApiClient,
    CustomStore,
    FileStore,
    Folder,
    HashiVaultStore,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import (
    ClientAnswer,
    SaveRequired,
    StepFailed,
)
from tests.unit.core.rotation_factory import FOREIGN, MARKS, NEW, OLD, OWNER
from tests.unit.tables import each_row

from .test_documents import MODULES, declared

EVENTS = [{"id": "1"}]
ISSUED = dump(StoredToken(OWNER, NEW, expires_at="2027-01-15T09:00:00Z")).decode()
DOCUMENT = json.dumps({"current": OLD})
STOPPED = "The run stopped here. Run again when the store is writable and no other rotation is"


class FakeModules:
    """Answers the modules of the control host; calls: what they were given, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.state, self.issued = "", ""
        self.results: dict[str, list[Mapping[str, Any]]] = {}

    def __call__(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        short = name.rpartition(".")[2]
        self.calls.append((short, dict(arguments)))
        if self.results.get(short):
            return self.results[short].pop(0)
        return self._folder(arguments) if short == "nomba_rotation_folder" else {}

    def _folder(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if arguments.get("discard_issued"):
            self.issued = ""
        if "state_content" not in arguments:
            result = {"state_content": self.state, "issued": self.issued}
            return {**result, "checksum": checksum(self.state)}
        assert arguments["expected"] == checksum(self.state)
        self.state = arguments["state_content"]
        return {"checksum": checksum(self.state)}

    def given_to(self, short: str) -> list[dict[str, Any]]:
        """Return the arguments of each run of a module."""
        return [arguments for name, arguments in self.calls if name == short]


class FakeValues(dict[str, Any]):
    """The values of a run."""

    def put(self, name: str, value: Any) -> None:
        self[name] = value


def checksum(content: str) -> str:
    """Return the SHA-256 of a content; empty for none."""
    return hashlib.sha256(content.encode()).hexdigest() if content else ""


@pytest.fixture
def modules() -> FakeModules:
    """Modules that have not run yet."""
    return FakeModules()


@pytest.fixture
def folder(modules: FakeModules) -> Folder:
    """The folder of a rotation."""
    return Folder(modules, "/folder", FakeValues())


# The file store


@each_row("password", ["", "a password"])
def test_document_in_file_is_written_and_read(password: str) -> None:
    modules = FakeModules()
    store = FileStore(Folder(modules, "/folder", FakeValues()), password)
    assert store.read() == ""
    store.write(DOCUMENT, EVENTS)
    assert (store.read(), OLD in modules.state) == (DOCUMENT, not password)
    assert modules.calls[1][1]["events"] == EVENTS


@each_row(
    ("password", "problem"),
    [
        ("", r"^The store is encrypted: set credential_rotation_vault_password\."),
        ("another password", r"^credential_rotation_vault_password cannot decrypt"),
    ],
)
def test_store_that_cannot_be_decrypted_stops_run(password: str, problem: str) -> None:
    modules = FakeModules()
    folder = Folder(modules, "/folder", FakeValues())
    FileStore(folder, "a password").write(DOCUMENT, [])
    with pytest.raises(StepFailed, match=problem):
        FileStore(folder, password).read()


def test_next_task_writes_what_the_last_one_has_read(modules: FakeModules) -> None:
    values = FakeValues()
    FileStore(Folder(modules, "/folder", values), "").write(DOCUMENT, [])
    FileStore(Folder(modules, "/folder", values), "").write("the next one", [])
    assert modules.state == "the next one"


@each_row(("verb", "suffix"), [("read", ""), ("written", f" {STOPPED} active.")])
def test_failed_folder_stops_run(verb: str, suffix: str) -> None:
    modules = FakeModules()
    store = FileStore(Folder(modules, "/folder", FakeValues()), "")
    modules.results["nomba_rotation_folder"] = [{"failed": True, "msg": f"no space for {OLD}."}]
    with pytest.raises(StepFailed) as caught:
        store.read() if verb == "read" else store.write(DOCUMENT, [])
    expected = f"credential_rotation_dir: the store could not be {verb}: no space for (a token)."
    assert str(caught.value) == f"{expected}{suffix}"


def test_issued_token_is_discarded_only_with_a_document_that_contains_it(
    modules: FakeModules, folder: Folder
) -> None:
    modules.issued = ISSUED
    store = FileStore(folder, "")
    store.read()
    store.write(DOCUMENT, [])
    assert modules.issued == ISSUED
    store.write(json.dumps({"pending": NEW}), [])
    assert (modules.issued, folder.issued()) == ("", None)


# HashiCorp Vault


def hashi_vault(modules: FakeModules, folder: Folder) -> HashiVaultStore:
    """Return a store with its values in memory."""
    return HashiVaultStore(modules, "secret", "nomba/credentials", folder, FakeValues())


PLACE = {"engine_mount_point": "secret", "path": "nomba/credentials"}


def test_document_in_vault_is_written_with_check_and_set(
    modules: FakeModules, folder: Folder
) -> None:
    found = {"secret": {"state": DOCUMENT}, "metadata": {"version": 7}}
    modules.results["vault_kv2_get"] = [found]
    store = hashi_vault(modules, folder)
    assert store.read() == DOCUMENT
    store.write("next", EVENTS)
    store.write("last", EVENTS)
    written = modules.given_to("vault_kv2_write")
    assert written == [
        {**PLACE, "data": {"state": "next"}, "cas": 7},
        {**PLACE, "data": {"state": "last"}, "cas": 8},
    ]
    assert [one.get("events") for one in modules.given_to("nomba_rotation_folder")[1:]] == [
        EVENTS,
        EVENTS,
    ]
    assert modules.state == ""


def test_missing_secret_is_an_empty_store(modules: FakeModules, folder: Folder) -> None:
    missing = {"failed": True, "msg": "Invalid or missing path ['nomba/credentials']"}
    modules.results["vault_kv2_get"] = [missing]
    store = hashi_vault(modules, folder)
    assert store.read() == ""
    store.write("first", [])
    assert modules.given_to("vault_kv2_write")[0]["cas"] == 0


def test_failed_vault_stops_run(modules: FakeModules, folder: Folder) -> None:
    sealed = {"failed": True, "msg": f"sealed {OLD}"}
    store = hashi_vault(modules, folder)
    modules.results["vault_kv2_get"] = [sealed]
    with pytest.raises(StepFailed, match=r"^The store could not be read: sealed \(a token\)$"):
        store.read()
    modules.results["vault_kv2_get"] = [{"secret": {}, "metadata": {"version": 1}}]
    modules.results["vault_kv2_write"] = [sealed]
    assert store.read() == ""
    with pytest.raises(
        StepFailed, match=r"^The store could not be written: sealed \(a token\)\. T"
    ):
        store.write(DOCUMENT, EVENTS)
    assert not [one for one in modules.given_to("nomba_rotation_folder") if "events" in one]


def test_other_secret_at_the_path_is_not_overwritten(modules: FakeModules, folder: Folder) -> None:
    found = {"secret": {"state": DOCUMENT, "password": "x"}, "metadata": {"version": 7}}
    modules.results["vault_kv2_get"] = [found]
    with pytest.raises(StepFailed, match=r"^credential_rotation_hashi_vault_path: .* another sec"):
        hashi_vault(modules, folder).read()


# The custom store


def test_custom_store_passes_document_to_task_file(modules: FakeModules, folder: Folder) -> None:
    passed: list[str] = []
    store = CustomStore(DOCUMENT, folder, passed.append)
    assert store.read() == DOCUMENT
    with pytest.raises(SaveRequired):
        store.write("next", EVENTS)
    assert passed == ["next"]
    assert modules.given_to("nomba_rotation_folder")[-1]["events"] == EVENTS


def test_custom_store_keeps_issued_token_until_it_is_saved(
    modules: FakeModules, folder: Folder
) -> None:
    modules.issued = ISSUED
    store = CustomStore("", folder, lambda _document: None)
    store.read()
    with pytest.raises(SaveRequired):
        store.write(json.dumps({"pending": NEW}), [])
    assert modules.issued == ISSUED


# The API


def client(modules: FakeModules, folder: Folder, **options: str) -> ApiClient:
    """Return a client of the API."""
    given = {"dir": "/folder", "client_secret": "", **options}
    return ApiClient(modules, folder, vars(OWNER), given)


def test_token_is_issued_into_private_file(modules: FakeModules, folder: Folder) -> None:
    content, probes = base64.b64encode(ISSUED.encode()).decode(), {MARKS[NEW]: "accepted"}
    modules.results["nomba_rotation_api"] = [{"issued": content, "probes": probes}]
    folder.read()
    found = client(modules, folder, client_secret="a secret").issue([OLD])
    issued = {
        **vars(OWNER),
        "access_token": NEW,
        "expires_at": "2027-01-15T09:00:00Z",
        "replaced": [],
    }
    assert found == (issued, probes)
    assert folder.issued() == issued
    assert modules.given_to("nomba_rotation_api") == [
        {
            **vars(OWNER),
            "request": "issue",
            "tokens": [OLD],
            "client_secret": "a secret",
            "dest": "/folder/issued.json",
        }
    ]


def test_failed_issue_stops_step(modules: FakeModules, folder: Folder) -> None:
    modules.results["nomba_rotation_api"] = [
        {"failed": True, "msg": f"HTTP 503 for {OLD}."},
        {"issued": "", "probes": {}},
    ]
    with pytest.raises(StepFailed, match=r"^HTTP 503 for \(a token\)$"):
        client(modules, folder).issue([])
    with pytest.raises(StepFailed, match="the file of the issued token has disappeared"):
        client(modules, folder).issue([])


@each_row("content", ["no token at all", "{}", '{"access_token": "x"}'])
def test_unreadable_issued_file_is_named(content: str) -> None:
    modules = FakeModules()
    folder = Folder(modules, "/folder", FakeValues())
    modules.issued = content
    folder.read()
    with pytest.raises(StepFailed, match=r"/folder/issued\.json does not contain a token"):
        client(modules, folder).issued()


def test_probe_returns_the_result_of_each_token(modules: FakeModules, folder: Folder) -> None:
    probes = {MARKS[OLD]: "accepted", MARKS[FOREIGN]: "refused"}
    modules.results["nomba_rotation_api"] = [{"probes": probes}]
    assert client(modules, folder).probe([OLD, FOREIGN]) == probes
    (call,) = modules.given_to("nomba_rotation_api")
    assert (call["request"], call["tokens"]) == ("probe", [OLD, FOREIGN])


def test_failed_probe_stops_step(modules: FakeModules, folder: Folder) -> None:
    modules.results["nomba_rotation_api"] = [{"failed": True, "msg": "requests is not installed"}]
    with pytest.raises(StepFailed, match=r"^requests is not installed$"):
        client(modules, folder).probe([OLD])


def test_row_of_each_token_is_returned(modules: FakeModules, folder: Folder) -> None:
    row = {"fingerprint": MARKS[OLD], "outcome": "revoked", "verified": True, "reason": ""}
    modules.results["nomba_rotation_api"] = [{"results": [row]}]
    assert client(modules, folder).revoke("a client", [OLD]) == [row]
    (call,) = modules.given_to("nomba_rotation_api")
    assert (call["client_id"], call["request"], call["tokens"]) == ("a client", "revoke", [OLD])


def test_failed_revocation_has_a_row_for_each_token(modules: FakeModules, folder: Folder) -> None:
    modules.results["nomba_rotation_api"] = [{"failed": True, "msg": f"no route, {OLD}."}]
    rows = client(modules, folder).revoke("a client", [OLD, NEW])
    unknown = {"outcome": "unknown", "verified": False, "reason": "no route, (a token)"}
    assert rows == [{"fingerprint": MARKS[one], **unknown} for one in (OLD, NEW)]


def checked(**more: Any) -> dict[str, Any]:
    """Return the result of a check of a client that got a token."""
    row = {"fingerprint": MARKS[NEW], "outcome": "revoked", "verified": True, "reason": ""}
    probes = {MARKS[NEW]: "accepted"}
    return {"results": [row], "probes": probes, "issued_at": 7.0, "lifetime": 3600.0, **more}


ALIVE = {"fingerprint": MARKS[NEW], "outcome": "unknown", "verified": False, "reason": "no answer"}


@each_row(
    ("result", "expected"),
    [
        (checked(), ClientAnswer("issued", "accepted", issued_at=7.0, lifetime=3600.0)),
        ({"failed": True, "error": {"code": "forbidden"}}, ClientAnswer("forbidden")),
        ({"failed": True, "error": {"code": "unknown_client"}}, ClientAnswer("unknown_client")),
        (
            {"failed": True, "msg": f"MODULE FAILURE {OLD}"},
            ClientAnswer("no_clear_answer", reason="MODULE FAILURE (a token)"),
        ),
        (
            checked(results=[ALIVE], probes={}),
            ClientAnswer(
                "issued",
                problem="NOT VERIFIED as revoked: the token of the check in "
                "/folder/client-check.json (no answer)",
                issued_at=7.0,
                lifetime=3600.0,
            ),
        ),
    ],
)
def test_answer_to_client(result: dict[str, Any], expected: ClientAnswer) -> None:
    modules = FakeModules()
    modules.results["nomba_rotation_api"] = [result]
    api = client(modules, Folder(modules, "/folder", FakeValues()))
    assert api.check_client("old", "a secret") == expected
    (call,) = modules.given_to("nomba_rotation_api")
    assert (call["request"], call["client_id"], call["client_secret"], call["dest"]) == (
        *("check_client", "old", "a secret"),
        "/folder/client-check.json",
    )


def test_modules_are_given_options_that_they_have(
    modules: FakeModules, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules.issued = ISSUED
    folder.read()
    modules.results["nomba_rotation_api"] = [
        {"issued": "", "results": [], **checked(probes={})}
    ] * 4
    api = client(modules, folder)
    calls: list[Callable[[], object]] = [
        lambda: api.revoke("a client", [OLD]),
        lambda: api.probe([OLD]),
        lambda: api.check_client("old", "a secret"),
        api.discard_issued,
        lambda: FileStore(folder, "").write(DOCUMENT, EVENTS),
    ]
    for call in calls:
        call()
    with pytest.raises(StepFailed):
        api.issue([OLD])
    used = [(name, options) for name, options in modules.calls if name in MODULES]
    assert {name for name, __ in used} == {
        *("nomba_rotation_api", "nomba_rotation_folder"),
    }
    for name, options in used:
        assert (name, set(options) - set(declared(name, monkeypatch))) == (name, set())
