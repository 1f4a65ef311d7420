# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules that take tokens, and that scan files for them."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption, NoToken
from ansible_collections.nomba.auth.plugins.module_utils._module import mask_everywhere
from ansible_collections.nomba.auth.plugins.module_utils._scan import (
    ScanOptions,
    ScanResult,
    scan,
    shown_path,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import DEFAULT_LEEWAY

SCAN_OPTIONS: dict[str, dict[str, Any]] = {
    "sources": {"type": "list", "elements": "path"},
    "exclude": {"type": "list", "elements": "str"},
    "max_file_size": {"type": "bytes"},
}
TOKEN_OPTIONS: dict[str, dict[str, Any]] = {
    "access_token": {"type": "str", "no_log": True},
    "access_tokens": {"type": "list", "elements": "str", "no_log": True},
    **SCAN_OPTIONS,
    "leeway": {"type": "float", "default": DEFAULT_LEEWAY},
}

_VARIABLE = "NOMBA_ACCESS_TOKEN"


def scan_tokens(module: AnsibleModule) -> ScanResult:
    """Return all tokens of the options. Raises InvalidOption, NoToken, LibraryMissing."""
    found = scan_sources(module, _given_tokens(module))
    if found.other_jwts:
        ignored = f"sources: {found.other_jwts} JWT(s) name no Nomba account and were ignored."
        module.warn(f"{ignored} If one of them is Nomba's, set it as access_token.")
    return found


def scan_sources(module: AnsibleModule, texts: Collection[str] = ()) -> ScanResult:
    """Return the tokens in texts, and in the option sources. Raises InvalidOption, LibraryMissing.

    Replaces the paths in the option sources by their shown form: Ansible repeats all options in a
    result, and fails for a path that is not UTF-8.
    """
    sources, size = module.params["sources"] or [], module.params["max_file_size"]
    module.params["sources"] = [shown_path(path) for path in sources] or None
    if size is not None and size < 1:
        raise InvalidOption("max_file_size", "set a size like 100M, or omit it to read all files")
    options = ScanOptions(tuple(module.params["exclude"] or ()), size)
    return scan(texts, sources, lambda: SYSTEM.stopped_at() is not None, options)


def _given_tokens(module: AnsibleModule) -> list[str]:
    """Return the tokens of the options, or else of the environment."""
    single, several = module.params["access_token"], module.params["access_tokens"] or []
    if single is None and not several and not module.params["sources"]:
        single = os.environ.get(_VARIABLE)
        if single is None:
            ways = f"set access_token, access_tokens, sources or the variable {_VARIABLE}"
            raise NoToken("access_token", f"no token is set; {ways}")
    if single is not None and not single.strip():
        raise NoToken("access_token", "it is empty; set the complete token, or omit the option")
    if single is not None:
        mask_everywhere(module, [single])
    return ([] if single is None else [single]) + several
