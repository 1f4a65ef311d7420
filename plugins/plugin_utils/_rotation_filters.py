# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the filters of a rotation meet Ansible: their input, and the one place for their errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ansible.errors import AnsibleFilterError

from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._errors import BadState
from ansible_collections.nomba.auth.plugins.module_utils._rotation import Actor, State, load


def checked_state(document: object) -> State:
    """The state in a document or its JSON; empty only where there is none. Raises BadState."""
    if document is None or (isinstance(document, (str, bytes)) and not document.strip()):
        return State()
    if isinstance(document, (str, bytes)):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            raise BadState("the store holds no JSON; is it encrypted?") from None
    return load(document)


def checked_actor(actor: Mapping[str, str] | None) -> Actor:
    """Who does a step, now."""
    given = actor or {}
    return Actor(SYSTEM.now(), *(str(given.get(name, "")) for name in ("run", "actor", "host")))


@contextmanager
def bad_state_as_filter_error(name: str) -> Iterator[None]:
    """Turn our errors into Ansible's. None of their texts holds a secret."""
    try:
        yield
    except BadState as error:
        raise AnsibleFilterError(f"{name}: {error}") from None
