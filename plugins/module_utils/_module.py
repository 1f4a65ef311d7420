# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the collection meets Ansible: the connection options, and the one place for errors."""

from __future__ import annotations

import math
import os
import re
import stat
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

from ansible_collections.nomba.auth.plugins.module_utils._errors import (
    InvalidOption,
    LibraryMissing,
    NombaError,
    NoToken,
)
from ansible_collections.nomba.auth.plugins.module_utils._sources import (
    Harvest,
    gather,
    shown_path,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import sensitive_parts
from ansible_collections.nomba.auth.plugins.module_utils._transport import Connection

PRODUCTION = "https://api.nomba.com"

_VARIABLE = "NOMBA_ACCESS_TOKEN"
TOKEN_OPTIONS: dict[str, dict[str, Any]] = {
    "access_token": {"type": "str", "no_log": True},
    "access_tokens": {"type": "list", "elements": "str", "no_log": True},
    "sources": {"type": "list", "elements": "path"},
    "leeway": {"type": "float", "default": 300.0},
}

_WORKERS = range(1, 65)
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_TOO_OPEN = "others could read the token; use 0600 or stricter"
_OCTAL = re.compile(r"[0-7]{1,5}")
_SHORTEST = 20
_LONGEST = 7 * 24 * 3600.0
_PRINTABLE = re.compile(r"[!-~]{1,255}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NOT_IN_A_URL = re.compile(r"[\s\\]")
_MISPLACED = re.compile(r"//.*@|eyJ[\w-]*(?:\.[\w-]+)+")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


def spec(**options: Mapping[str, Any]) -> dict[str, Any]:
    """An argument spec: the connection options that all modules share, and the module's own."""
    shared = {
        "api_url": _option("NOMBA_BASE_URL", default=PRODUCTION),
        "account_id": _option("NOMBA_ACCOUNT_ID", required=True),
        "client_id": _option("NOMBA_CLIENT_ID", required=True),
        "validate_certs": {"type": "bool", "default": True},
        "ca_path": {"type": "path"},
        "allow_http": {"type": "bool", "default": False},
        "timeout": {"type": "float", "default": 10.0},
        "deadline": {"type": "float", "default": 120.0},
    }
    return {**shared, **options}


def optional_ids() -> dict[str, Any]:
    """The two ids for the spec of a module that can do without them."""
    return {"account_id": _option("NOMBA_ACCOUNT_ID"), "client_id": _option("NOMBA_CLIENT_ID")}


def run(module: AnsibleModule, work: Callable[[AnsibleModule], dict[str, Any]]) -> None:
    """Do a module's work; its result or its error goes to Ansible, here and nowhere else.

    A result that holds an error has failed. The texts of NombaError never hold a secret.
    """
    _choose_what_to_blank_out(module)
    try:
        result = work(module)
    except LibraryMissing as error:
        trace = traceback.format_exc()
        told = missing_required_lib(error.library)
        module.fail_json(msg=told, exception=trace, error={"code": error.code})
    except NombaError as error:
        module.fail_json(msg=str(error), changed=False, error={"code": error.code})
    else:
        leave = module.fail_json if "error" in result else module.exit_json
        leave(**result)


def connection(params: Mapping[str, Any]) -> Connection:
    """The checked connection options. Raises InvalidOption."""
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
    """An id that can stand in a header. Raises InvalidOption."""
    value = str(params[option]).strip()
    if not _PRINTABLE.fullmatch(value):
        raise InvalidOption(option, "it is empty or holds spaces; copy it from Nomba's dashboard")
    # Nomba writes its ids in lower case. One in capitals might be refused, and that refusal be
    # taken for one of the token, because the token's own claim is compared without regard to case.
    return value.lower() if _UUID.fullmatch(value) else value


def optional_identity(params: Mapping[str, Any], option: str) -> str:
    """The same for an id that is not needed; empty when it is not set. Raises InvalidOption."""
    return "" if params[option] is None else identity(params, option)


def seconds(params: Mapping[str, Any], option: str, least: float = 0.001) -> float:
    """A span of time in seconds. Raises InvalidOption."""
    value = float(params[option])
    if math.isnan(value) or not least <= value <= _LONGEST:
        raise InvalidOption(option, f"give a number of seconds from {least:g} to {_LONGEST:.0f}")
    return value


def workers(params: Mapping[str, Any]) -> int:
    """How many tokens to work on at a time. Raises InvalidOption."""
    if params["concurrency"] not in _WORKERS:
        raise InvalidOption("concurrency", f"give a number from {_WORKERS[0]} to {_WORKERS[-1]}")
    return int(params["concurrency"])


def harvest(module: AnsibleModule) -> Harvest:
    """All tokens that the options name. Raises NoToken, LibraryMissing.

    From then on the option sources holds the paths as they are shown: Ansible repeats all options
    in a result, and loses one that holds a path that is no UTF-8.
    """
    given, sources = _given(module), module.params["sources"] or []
    module.params["sources"] = [shown_path(path) for path in sources] or None
    found = gather(given, sources)
    if found.foreign:
        told = f"sources: {found.foreign} JWT(s) name no Nomba account and were left alone."
        module.warn(f"{told} Give one as access_token if it is Nomba's all the same.")
    return found


def unread(found: Harvest) -> list[dict[str, str]]:
    """The sources that could not be read, as results tell it."""
    return [{"path": path, "reason": reason} for path, reason in found.unread]


def tell_unread(found: Harvest) -> str:
    """The same for people; empty when all were read."""
    if not found.unread:
        return ""
    path, reason = found.unread[0]
    return f" sources: {len(found.unread)} could not be read, {path} first: {reason}."


def private_file(module: AnsibleModule, option: str) -> Path:
    """The file that an option names, behind any link, for its owner alone. Raises InvalidOption."""
    path = Path(os.path.realpath(module.params[option]))
    if path.is_dir():
        raise InvalidOption(option, "it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise InvalidOption(option, "its folder does not exist; create it first")
    if _bits(module) & _FOR_OTHERS:
        raise InvalidOption("mode", _TOO_OPEN)
    return path


def fit_private_file(module: AnsibleModule, path: Path) -> bool:
    """Give a file the owner and mode that were asked for; whether that changed anything.

    Raises InvalidOption when others could read it all the same.
    """
    wanted = module.load_file_common_arguments(module.params, path=str(path))
    changed = bool(module.set_fs_attributes_if_different(wanted, changed=False))
    if not module.check_mode and path.stat().st_mode & _FOR_OTHERS:
        raise InvalidOption("mode", _TOO_OPEN)
    return changed


def _bits(module: AnsibleModule) -> int:
    """What the option mode makes of a new file: a number, 0600, or u=rw. Raises InvalidOption."""
    mode = module.params["mode"]
    if mode is None or isinstance(mode, int):
        return mode or 0
    new = os.stat_result((stat.S_IFREG | stat.S_IRUSR | stat.S_IWUSR, *[0] * 9))
    try:
        octal = _OCTAL.fullmatch(mode)
        return int(mode, 8) if octal else int(module._symbolic_mode_to_octal(new, mode))
    except (AttributeError, TypeError, ValueError):
        raise InvalidOption("mode", "it is no mode; use 0600 or stricter") from None


def _given(module: AnsibleModule) -> list[str]:
    """The tokens that came by options, or else by the environment."""
    single, several = module.params["access_token"], module.params["access_tokens"] or []
    if single is None and not several and not module.params["sources"]:
        single = os.environ.get(_VARIABLE)
        if single is None:
            ways = f"set access_token, access_tokens, sources or the variable {_VARIABLE}"
            raise NoToken("access_token", f"no token was given; {ways}")
    if single is not None and not single.strip():
        raise NoToken("access_token", "it is empty; give the whole token, or leave it out")
    if single is not None:
        module.no_log_values.add(single)
    return ([] if single is None else [single]) + several


def _choose_what_to_blank_out(module: AnsibleModule) -> None:
    """Ansible blanks out these values wherever they stand in a result, its msg included."""
    several = module.params.get("access_tokens") or []
    given = {module.params.get("access_token"), *several}
    # What is too short to be a token would only blank out parts of our own words.
    module.no_log_values.difference_update({v for v in given if v and len(v) < _SHORTEST})
    # A result repeats all options: a password in a URL, or a token in a wrong place, stays hidden.
    for name in ("api_url", "account_id", "client_id", "ca_path"):
        module.no_log_values.update(_MISPLACED.findall(str(module.params.get(name))))
    for path in module.params.get("sources") or []:
        module.no_log_values.update(sensitive_parts(path))


def _option(variable: str, **more: Any) -> dict[str, Any]:
    return {"type": "str", "fallback": (env_fallback, [variable]), **more}


def _api_url(text: str, allow_http: bool) -> str:
    """Scheme, host and port. What was given is not repeated: it may hold a password."""
    text = text.strip()
    try:
        parts = urlsplit(text)  # it overlooks white space; reading a bad port raises
        usable = parts.port != 0 and not _NOT_IN_A_URL.search(text)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidOption("api_url", f"it is not a URL; write it like {PRODUCTION}")
    host = parts.hostname
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidOption("api_url", f"it needs a scheme and a host, like {PRODUCTION}")
    if "@" in parts.netloc:
        raise InvalidOption("api_url", "it must not hold credentials; remove the part before the @")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidOption("api_url", f"it must end after the host, like {PRODUCTION}")
    if parts.scheme == "http" and not (allow_http or _is_loopback(host)):
        raise InvalidOption(
            "api_url",
            "plain http would show the tokens to the network; use https, or set allow_http",
        )
    return f"{parts.scheme}://{parts.netloc}"


def _is_loopback(host: str | None) -> bool:
    return bool(host and _LOOPBACK.fullmatch(host))


def _ca_path(path: str | None) -> str | None:
    if path is not None and not os.path.isdir(path):  # noqa: PTH112 -- pathlib's may raise
        _load_certificates(path)
    return path


def _load_certificates(path: str) -> None:
    """Try the file now: later it would only be one more reason why a connection failed."""
    import ssl  # here, because it takes long to load and not every run needs it

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except FileNotFoundError:
        problem = "there is no such file or folder; give the CA's PEM file"
        raise InvalidOption("ca_path", problem) from None
    except OSError:
        problem = "no certificate can be read from it; give the CA's PEM file"
        raise InvalidOption("ca_path", problem) from None
