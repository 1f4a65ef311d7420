# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of all modules that send requests: the API, TLS, time limits and ids.

All functions but `spec` raise InvalidOption.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import env_fallback

from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._http_session import Connection

PRODUCTION = "https://api.nomba.com"

_ID_VARIABLES = {"account_id": "NOMBA_ACCOUNT_ID", "client_id": "NOMBA_CLIENT_ID"}
_WORKERS = range(1, 65)
_MAX_SECONDS = 7 * 24 * 3600.0
_PRINTABLE = re.compile(r"[!-~]{1,255}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NOT_IN_A_URL = re.compile(r"[\s\\]")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


def spec(**options: Mapping[str, Any]) -> dict[str, Any]:
    """Return an argument spec: the connection options of all modules, and the module's own."""
    shared = {
        "api_url": _option("NOMBA_BASE_URL", default=PRODUCTION),
        **{option: _option(variable) for option, variable in _ID_VARIABLES.items()},
        "validate_certs": {"type": "bool", "default": True},
        "ca_path": {"type": "path"},
        "allow_http": {"type": "bool", "default": False},
        "timeout": {"type": "float", "default": 10.0},
        "deadline": {"type": "float", "default": 120.0},
    }
    return {**shared, **options}


def connection(params: Mapping[str, Any]) -> Connection:
    """Return the validated connection options. Raises InvalidOption."""
    api_url = _api_url(params["api_url"], params["allow_http"])
    return Connection(
        api_url=api_url,
        plain_loopback=api_url.startswith("http:") and _is_loopback(urlsplit(api_url).hostname),
        validate_certs=params["validate_certs"],
        ca_path=_ca_path(params["ca_path"]),
        timeout=seconds(params, "timeout"),
        deadline=seconds(params, "deadline"),
    )


def identity(params: Mapping[str, Any], option: str) -> str:
    """Return an id that is valid in a header. Raises InvalidOption."""
    if params[option] is None:
        variable = _ID_VARIABLES[option]
        raise InvalidOption(
            option, f"it is not set; set it, or the environment variable {variable}"
        )
    value = str(params[option]).strip()
    if not _PRINTABLE.fullmatch(value):
        raise InvalidOption(option, "it is empty or has spaces; copy it from Nomba's dashboard")
    # Nomba's ids are in lower case. The API may refuse one in upper case, which would look like a
    # refusal of the token, because the token's own claim is compared case-insensitively.
    return value.lower() if _UUID.fullmatch(value) else value


def optional_identity(params: Mapping[str, Any], option: str) -> str:
    """Return an optional id; empty when it is not set. Raises InvalidOption."""
    return "" if params[option] is None else identity(params, option)


def seconds(params: Mapping[str, Any], option: str, least: float = 0.001) -> float:
    """Return a duration in seconds. Raises InvalidOption."""
    value = float(params[option])
    if math.isnan(value) or not least <= value <= _MAX_SECONDS:
        raise InvalidOption(option, f"set a number of seconds from {least:g} to {_MAX_SECONDS:.0f}")
    return value


def workers(params: Mapping[str, Any]) -> int:
    """Return the number of concurrent tokens. Raises InvalidOption."""
    if params["concurrency"] not in _WORKERS:
        raise InvalidOption("concurrency", f"set a number from {_WORKERS[0]} to {_WORKERS[-1]}")
    return int(params["concurrency"])


def _option(variable: str, **more: Any) -> dict[str, Any]:
    return {"type": "str", "fallback": (env_fallback, [variable]), **more}


def _api_url(text: str, allow_http: bool) -> str:
    """Return scheme, host and port. No message repeats the URL: it may contain a password."""
    text = text.strip()
    try:
        parts = urlsplit(text)  # accepts white space; an invalid port raises at .port
        usable = parts.port != 0 and not _NOT_IN_A_URL.search(text)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidOption("api_url", f"it is not a URL; write it like {PRODUCTION}")
    host = parts.hostname
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidOption("api_url", f"it needs a scheme and a host, like {PRODUCTION}")
    if "@" in parts.netloc:
        raise InvalidOption("api_url", "it contains credentials; remove the part before the @")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidOption("api_url", f"it must end after the host, like {PRODUCTION}")
    if parts.scheme == "http" and not (allow_http or _is_loopback(host)):
        raise InvalidOption(
            "api_url",
            "plain http would expose the tokens to the network; use https, or set allow_http",
        )
    return f"{parts.scheme}://{parts.netloc}"


def _is_loopback(host: str | None) -> bool:
    return bool(host and _LOOPBACK.fullmatch(host))


def _ca_path(path: str | None) -> str | None:
    if path is not None and not os.path.isdir(path):  # noqa: PTH112 -- pathlib's may raise
        _load_certificates(path)
    return path


def _load_certificates(path: str) -> None:
    """Load the file now: later a failure would look like a failed connection."""
    import ssl  # here: slow to import, often not needed

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except FileNotFoundError:
        problem = "there is no such file or folder; set the CA's PEM file"
        raise InvalidOption("ca_path", problem) from None
    except OSError:
        problem = "it contains no readable certificate; set the CA's PEM file"
        raise InvalidOption("ca_path", problem) from None
