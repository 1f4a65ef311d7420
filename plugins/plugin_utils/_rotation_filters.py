# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The input and the errors of the rotation filters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ansible.errors import AnsibleFilterError

from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState
from ansible_collections.nomba.auth.plugins.module_utils._rotation import Actor, State, load


def checked_state(document: object) -> State:
    """Return the state in a document or its JSON; empty without a document. Raises BadState."""
    if document is None or (isinstance(document, (str, bytes)) and not document.strip()):
        return State()
    if isinstance(document, (str, bytes)):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            raise BadState("the store does not contain JSON; is it encrypted?") from None
    return load(document)


def checked_actor(actor: Mapping[str, str] | None) -> Actor:
    """Return the actor of a transition, at the current time."""
    fields = actor or {}
    return Actor(SYSTEM.now(), *(str(fields.get(name, "")) for name in ("run", "actor", "host")))


@contextmanager
def bad_state_as_filter_error(name: str) -> Iterator[None]:
    """Raise AnsibleFilterError for BadState. Its text contains no secret."""
    try:
        yield
    except BadState as error:
        raise AnsibleFilterError(f"{name}: {error}") from None
