# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control host of a rotation and its stores, reached by running modules on it.

The results of these modules contain tokens. They stay in this process; no task returns them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.nomba.auth.plugins.module_utils import _stored_token as stored_token
from ansible_collections.nomba.auth.plugins.module_utils._rotation import hide_tokens
from ansible_collections.nomba.auth.plugins.module_utils._rotation_report import CLIENT_REFUSALS
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    fingerprint,
    jwts_in,
)
from ansible_collections.nomba.auth.plugins.plugin_utils._rotation_run import (
    ClientAnswer,
    SaveRequired,
    StepFailed,
    Values,
)

# Runs a module on the control host: its name and arguments, and whether it runs although the task
# is in check mode. Returns its result.
RunModule = Callable[..., Mapping[str, Any]]

FOLDER_MODULE = "nomba.auth.nomba_rotation_folder"
_ENCRYPTED = "$ANSIBLE_VAULT"
_STOPPED = (
    "The run stopped here. Run again when the store is writable and no other rotation is active."
)


class Folder:
    """The private folder on the control host. With a file store, it contains the state too.

    It is read once in a run. The next steps use what the last one has read or written: a write
    fails if another run has changed the state since.
    """

    def __init__(self, run_module: RunModule, path: str, values: Values) -> None:
        self._run_module = run_module
        self._path = path
        self._values = values
        self._issued, self._checksum = values.get("folder", ["", ""])

    def read(self) -> str:
        """Return the content of the state file, and remember the issued token."""
        result = self._run("read")
        self._remember(result["issued"], result["checksum"])
        return str(result["state_content"])

    def _remember(self, issued: str, checksum: str) -> None:
        self._issued, self._checksum = issued, checksum
        self._values.put("folder", [issued, checksum])

    @property
    def issued_path(self) -> str:
        """The file of the issued token."""
        return f"{self._path}/issued.json"

    def remember_issued(self, content: str | None) -> None:
        """Use what the file of the issued token now contains; None to read it. Raises StepFailed.

        The state is still compared with what was read first.
        """
        if content is None:
            content = str(self._run("read")["issued"])
        self._remember(content, self._checksum)

    def write(
        self, content: str | None, document: str, events: Iterable[Mapping[str, Any]]
    ) -> None:
        """Replace the state file if it is still the one that was read, and append the events.

        content: None if the state is in another store. document: the state. An issued token that
        is in the state is removed.
        """
        state = {} if content is None else {"state_content": content, "expected": self._checksum}
        discard = self._is_in(document)
        result = self._run("written", **state, events=list(events), discard_issued=discard)
        self._remember("" if discard else self._issued, result["checksum"])

    def _stored(self) -> stored_token.StoredToken | None:
        return stored_token.load(self._issued.encode())

    def _is_in(self, document: str) -> bool:
        found = self._stored()
        if found is None:
            return False
        return all(one in document for one in (found.access_token, *found.replaced))

    def issued(self) -> Mapping[str, Any] | None:
        """Return the issued token that was there at the last read. Raises StepFailed."""
        if not self._issued:
            return None
        found = self._stored()
        # A text that is no JWT can never be revoked, so it must not get into the store.
        if found is None or jwts_in(found.access_token.encode()) != [found.access_token]:
            raise StepFailed(
                f"credential_rotation_dir: {self.issued_path} does not contain a token; "
                "inspect it, and remove it if it contains no token"
            )
        return {
            **vars(found.owner),
            "access_token": found.access_token,
            "expires_at": found.expires_at,
            "replaced": list(found.replaced),
        }

    def discard_issued(self) -> None:
        """Remove the issued token, if it is still there."""
        if self._issued:
            result = self._run("written", discard_issued=True)
            self._remember("", result["checksum"])

    def _run(self, verb: str, **arguments: Any) -> Mapping[str, Any]:
        result = self._run_module(FOLDER_MODULE, {"path": self._path, **arguments})
        if result.get("failed"):
            reason = f"the store could not be {verb}: {_message(result)}."
            stopped = f" {_STOPPED}" if verb == "written" else ""
            raise StepFailed(f"credential_rotation_dir: {reason}{stopped}")
        return result


class FileStore:
    """The state in a file of the folder, encrypted with Ansible Vault if a password is set."""

    def __init__(self, folder: Folder, password: str) -> None:
        self._folder = folder
        self._vault = VaultLib([("default", VaultSecret(password.encode()))]) if password else None

    def read(self) -> str:
        """Return the decrypted document. Raises StepFailed."""
        content = self._folder.read()
        if not content.startswith(_ENCRYPTED):
            return content
        if self._vault is None:
            raise StepFailed("The store is encrypted: set credential_rotation_vault_password.")
        try:
            return str(self._vault.decrypt(content).decode())
        except AnsibleError:
            pass
        raise StepFailed(
            "credential_rotation_vault_password cannot decrypt the store. Set the password that "
            "encrypted the file."
        )

    def write(self, document: str, events: Iterable[Mapping[str, Any]]) -> None:
        """Replace the document. Raises StepFailed."""
        content = self._vault.encrypt(document).decode() if self._vault else document
        self._folder.write(content, document, events)


class HashiVaultStore:
    """The state in the KV version 2 secrets engine of HashiCorp Vault or OpenBao."""

    def __init__(
        self, run_module: RunModule, mount: str, path: str, folder: Folder, values: Values
    ) -> None:
        self._run_module = run_module
        self._place = {"engine_mount_point": mount, "path": path}
        self._folder = folder
        self._values = values

    def read(self) -> str:
        """Return the document and remember its version. Raises StepFailed."""
        self._folder.read()
        result = self._run_module("community.hashi_vault.vault_kv2_get", self._place)
        if "secret" not in result:
            if "nvalid or missing path" not in str(result.get("msg")):
                raise StepFailed(f"The store could not be read: {_message(result)}")
            self._values.put("version", 0)
            return ""
        self._values.put("version", int(result["metadata"]["version"]))
        if set(result["secret"]) - {"state"}:
            raise StepFailed(
                "credential_rotation_hashi_vault_path: this path contains another secret; name a "
                "path that only the rotation uses"
            )
        return str(result["secret"].get("state", ""))

    def write(self, document: str, events: Iterable[Mapping[str, Any]]) -> None:
        """Write the document if its version is unchanged. Raises StepFailed."""
        version = int(self._values.get("version"))
        data = {"data": {"state": document}, "cas": version}
        result = self._run_module("community.hashi_vault.vault_kv2_write", {**self._place, **data})
        if result.get("failed"):
            raise StepFailed(f"The store could not be written: {_message(result)}. {_STOPPED}")
        self._values.put("version", version + 1)
        self._folder.write(None, document, events)


class CustomStore:
    """The state in a store that the user's task files read and write."""

    def __init__(self, document: str, folder: Folder, hand_over: Callable[[str], None]) -> None:
        self._document = document
        self._folder = folder
        self._hand_over = hand_over

    def read(self) -> str:
        """Return the document that the user's task file has read."""
        self._folder.read()
        return self._document

    def write(self, document: str, events: Iterable[Mapping[str, Any]]) -> None:
        """Hand the document over to the user's task file."""
        # An event can be in the audit log before it is in the store: it is appended once.
        self._folder.write(None, "", events)
        self._hand_over(document)
        raise SaveRequired


class ApiClient:
    """The requests of a rotation, sent by the collection's modules on the control host."""

    def __init__(
        self,
        run_module: RunModule,
        folder: Folder,
        owner: Mapping[str, str],
        options: Mapping[str, Any],
    ) -> None:
        self._run_module = run_module
        self._folder = folder
        self._owner = dict(owner)
        self._options = options
        self._path = str(options["dir"])

    def issued(self) -> Mapping[str, Any] | None:
        """Return the issued token that may not be in the store yet. Raises StepFailed."""
        return self._folder.issued()

    def discard_issued(self) -> None:
        """Remove its file. Raises StepFailed."""
        self._folder.discard_issued()

    def issue(self, tokens: Sequence[str]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """Issue a token into a private file, or return the one that is there. Raises StepFailed.

        Also returns the results of the probes of this token and of the given ones.
        """
        secret, dest = self._options["client_secret"] or None, self._folder.issued_path
        try:
            result = self._request("issue", tokens, client_secret=secret, dest=dest)
        except StepFailed:
            self._folder.remember_issued(None)  # the module can fail after it wrote the file
            raise
        self._folder.remember_issued(base64.b64decode(result["issued"]).decode())
        issued = self._folder.issued()
        if issued is None:
            raise StepFailed("the file of the issued token has disappeared")
        return issued, dict(result["probes"])

    def probe(self, tokens: Sequence[str]) -> Mapping[str, str]:
        """Return the result of a probe of each token, by fingerprint. Raises StepFailed."""
        return dict(self._request("probe", tokens)["probes"])

    def revoke(
        self, client_id: str, tokens: Sequence[str], issued_until: float | None = None
    ) -> list[dict[str, Any]]:
        """Return the row of each token. issued_until: ignore those whose `iat` is later."""
        given = {"client_id": client_id, "issued_until": issued_until}
        try:
            return list(self._request("revoke", tokens, **given)["results"])
        except StepFailed as error:
            why = {"outcome": "unknown", "verified": False, "reason": str(error)}
            return [{"fingerprint": fingerprint(one), **why} for one in tokens]

    def check_client(self, client_id: str, secret: str) -> ClientAnswer:
        """Ask for a token of a client, and revoke it if there is one. Raises StepFailed."""
        path = f"{self._path}/client-check.json"
        given = {"client_id": client_id, "client_secret": secret, "dest": path}
        result = self._run_api("check_client", [], **given)
        if result.get("failed"):
            code = str(result.get("error", {}).get("code", "no_clear_answer"))
            return ClientAnswer(code, reason="" if code in CLIENT_REFUSALS else _message(result))
        alive = [row for row in result["results"] if not row["verified"]]
        problem = (
            f"NOT VERIFIED as revoked: the token of the check in {path} ({alive[0]['reason']})"
            if alive
            else ""
        )
        probe = next(iter(result["probes"].values()), "")
        return ClientAnswer(
            "issued", probe, problem, "", result["issued_at"], float(result["lifetime"])
        )

    def _request(self, kind: str, tokens: Sequence[str], **more: Any) -> Mapping[str, Any]:
        result = self._run_api(kind, tokens, **more)
        if result.get("failed"):
            raise StepFailed(_message(result))
        return result

    def _run_api(self, kind: str, tokens: Sequence[str], **more: Any) -> Mapping[str, Any]:
        arguments = {**self._owner, "request": kind, "tokens": list(tokens), **more}
        return self._run_module("nomba.auth.nomba_rotation_api", arguments)


def _message(result: Mapping[str, Any]) -> str:
    """Return the message of a failed module without tokens."""
    return hide_tokens(str(result.get("msg") or "no reason was given")).rstrip(".")
