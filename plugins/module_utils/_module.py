# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only file that uses AnsibleModule: shared options, file attributes, results and errors."""

from __future__ import annotations

import grp
import math
import os
import pwd
import re
import signal
import stat
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import (
    SetAttributes,
    open_existing,
)
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM, request_stop
from ansible_collections.nomba.auth.plugins.module_utils._errors import (
    InvalidOption,
    LibraryMissing,
    NombaError,
    NoToken,
)
from ansible_collections.nomba.auth.plugins.module_utils._http_session import Connection
from ansible_collections.nomba.auth.plugins.module_utils._scan import (
    ScanOptions,
    ScanResult,
    scan,
    shown_path,
)
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    ACL,
    FileEntry,
    OpenFile,
    open_entry,
)
from ansible_collections.nomba.auth.plugins.module_utils._token import (
    DEFAULT_LEEWAY,
    sensitive_parts,
)

try:
    from ansible.module_utils.secrets import register_secrets
except ImportError:  # ansible-core 2.21 and older mask the values of no_log_values only
    register_secrets = None

PRODUCTION = "https://api.nomba.com"

_VARIABLE = "NOMBA_ACCESS_TOKEN"
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

_ID_VARIABLES = {"account_id": "NOMBA_ACCOUNT_ID", "client_id": "NOMBA_CLIENT_ID"}
_WORKERS = range(1, 65)
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_TOO_OPEN = "other users could read the token; use 0600 or stricter"
_OCTAL = re.compile(r"[0-7]{1,5}")
_ID = re.compile(r"[0-9]{1,10}")
_MAX_ID = 2**32 - 2
_NEW_FILE = os.stat_result((stat.S_IFREG | stat.S_IRUSR | stat.S_IWUSR, *[0] * 9))
_BY_ANSIBLE = ("seuser", "serole", "setype", "selevel", "attributes")
_UNREPLACEABLE = re.compile(r"[^-].*[ai]|[ai]")
# The minimum length of a token that Ansible masks everywhere in a result.
_MIN_LENGTH = 20
_MAX_SECONDS = 7 * 24 * 3600.0
_PRINTABLE = re.compile(r"[!-~]{1,255}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NOT_IN_A_URL = re.compile(r"[\s\\]")
_MISPLACED = re.compile(r"//.*@|eyJ[\w-]*(?:\.[\w-]+)+")
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


class NombaModule(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule that masks misplaced secrets before Ansible logs the options to syslog."""

    def _log_invocation(self) -> None:
        _register_no_log_values(self)
        super()._log_invocation()


def run(module: AnsibleModule, main: Callable[[AnsibleModule], dict[str, Any]]) -> None:
    """Run a module and return its result or its error to Ansible.

    main: returns the result; one that contains `error` has failed. The text of a NombaError never
    contains a secret. SIGTERM and SIGINT stop the run early, with a result for each token.
    """
    if threading.current_thread() is threading.main_thread():  # only it may set handlers
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop_early)
    _register_no_log_values(module)  # Ansible does not log the options of a task with no_log
    try:
        result = main(module)
    except LibraryMissing as error:
        trace = traceback.format_exc()
        description = missing_required_lib(error.library)
        module.fail_json(msg=description, exception=trace, error={"code": error.code})
    except NombaError as error:
        module.fail_json(msg=str(error), changed=False, error={"code": error.code})
    else:
        finish = module.fail_json if "error" in result else module.exit_json
        finish(**result)


def _stop_early(_number: int, _frame: object) -> None:
    request_stop()


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


@dataclass(frozen=True)
class _Owner:
    """The uid and the gid to set on a file; None keeps the current one."""

    uid: int | None
    gid: int | None


@dataclass(frozen=True)
class _Access:
    """The mode of a file, and its POSIX access control list; None without one."""

    mode: int
    acl: bytes | None


@contextmanager
def private_file(
    module: AnsibleModule, option: str, keep: bool = False
) -> Iterator[tuple[FileEntry, SetAttributes]]:
    """Open the private file that an option names; yield it and a function that sets its attributes.

    keep: an existing file keeps its mode, owner and group where no option sets them, also a mode
    with which other users can read it. Validates all file options before a request is sent or a
    file is written. Raises InvalidOption.
    """
    if _parse_mode(module, _NEW_FILE) & _FOR_OTHERS:
        raise InvalidOption("mode", _TOO_OPEN)
    if _UNREPLACEABLE.match(module.params["attributes"] or ""):
        problem = "a file with the attribute a or i cannot be replaced; omit these"
        raise InvalidOption("attributes", problem)
    owner = _parse_owner(module)
    with open_entry(option, module.params[option], follow_link=True) as found:
        status = found.status()
        if keep and status is not None:
            owner = _require_owner(option, owner, status)
        else:
            owner = _inherit(owner, status)
        entry = found.owned_by(os.geteuid() if owner.uid is None else owner.uid)
        keeps_mode = keep and status is not None and module.params["mode"] is None
        kept = _access(module, entry) if keeps_mode else None
        yield entry, partial(set_file_attributes, module, entry, owner, kept)


def set_file_attributes(
    module: AnsibleModule, entry: FileEntry, owner: _Owner, kept: _Access | None, file: OpenFile
) -> bool:
    """Set an open file's owner, mode and other attributes; return whether this changes anything.

    kept: the access to set, None for the option mode. Check mode changes nothing. Raises
    InvalidOption, also if the option would let other users read the file.
    """
    status = os.fstat(file.descriptor)
    uid = status.st_uid if owner.uid is None else owner.uid
    gid = status.st_gid if owner.gid is None else owner.gid
    mode = _parse_mode(module, status) if kept is None else kept.mode
    if kept is None and mode & _FOR_OTHERS:
        raise InvalidOption("mode", _TOO_OPEN)
    if not module.check_mode:
        if uid != status.st_uid:
            _change("owner", os.fchown, file.descriptor, uid, -1)
        if gid != status.st_gid:
            _change("group", os.fchown, file.descriptor, -1, gid)
        # The mode is read again: a change of the owner can clear bits.
        if mode != stat.S_IMODE(os.fstat(file.descriptor).st_mode):
            _change("mode", os.fchmod, file.descriptor, mode)
        if kept is not None:
            _set_acl(entry, file.descriptor, kept.acl)
    changed = (uid, gid, mode) != (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
    return _set_by_ansible(module, entry, file) or changed


def _change(option: str, change: Callable[..., None], *arguments: int) -> None:
    try:
        change(*arguments)
    except OSError as error:
        problem = f"it cannot be set: {error.strerror}; run as root, or omit it"
        raise InvalidOption(option, problem) from None


def _set_by_ansible(module: AnsibleModule, entry: FileEntry, file: OpenFile) -> bool:
    """Set the SELinux context and the attributes; Ansible needs a path for these."""
    if all(module.params[name] is None for name in _BY_ANSIBLE):
        return False
    settings = module.load_file_common_arguments(module.params, path=entry.path)
    # The path starts at the open folder, for this process and its child processes, so that nobody
    # can exchange a folder of the path. Neither Ansible nor chattr follows a link at its end.
    open_folder = f"/proc/{os.getpid()}/fd/{file.folder}"
    folder = open_folder if os.path.isdir(open_folder) else os.path.dirname(entry.path)  # noqa: PTH112, PTH120
    settings.update(path=f"{folder}/{file.name}", owner=None, group=None, mode=None)
    return bool(module.set_fs_attributes_if_different(settings, changed=False, expand=False))


def _parse_mode(module: AnsibleModule, status: os.stat_result) -> int:
    """Return the mode that the option mode (0600, u=rw or a number) sets. Raises InvalidOption."""
    mode = module.params["mode"]
    if mode is None:
        return stat.S_IMODE(status.st_mode)
    if isinstance(mode, int):
        return mode
    try:
        octal = _OCTAL.fullmatch(mode)
        return int(mode, 8) if octal else int(module._symbolic_mode_to_octal(status, mode))
    except (AttributeError, TypeError, ValueError):
        raise InvalidOption("mode", "it is not a mode; use 0600 or stricter") from None


def _parse_owner(module: AnsibleModule) -> _Owner:
    return _Owner(
        _parse_id("owner", module.params["owner"], lambda name: pwd.getpwnam(name).pw_uid),
        _parse_id("group", module.params["group"], lambda name: grp.getgrnam(name).gr_gid),
    )


def _parse_id(option: str, name: str | None, find: Callable[[str], int]) -> int | None:
    if name is None:
        return None
    if _ID.fullmatch(name) and int(name) <= _MAX_ID:
        return int(name)
    try:
        return find(name)
    except (KeyError, ValueError):
        problem = f"this host has no {option} with this name; create it first, or set a number"
        raise InvalidOption(option, problem) from None


def _access(module: AnsibleModule, entry: FileEntry) -> _Access:
    """Return who can access an existing file; warn if everybody can read it. Raises InvalidOption.

    With an access control list, the mode's group bits are those of the list's mask. Without the
    list they would open the file to its group.
    """
    with open_existing(entry) as file:
        mode = stat.S_IMODE(os.fstat(file.descriptor).st_mode)
        if mode & stat.S_IROTH:
            module.warn(f"{entry.option}: every user can read it (mode {mode:04o}); set mode 0600")
        return _Access(mode, _read_acl(file.descriptor))


def _read_acl(descriptor: int) -> bytes | None:
    """Return the access control list of a file; None without one, or where there are none."""
    try:
        return os.getxattr(descriptor, ACL)
    except (AttributeError, OSError):
        return None


def _set_acl(entry: FileEntry, descriptor: int, acl: bytes | None) -> None:
    """Set or remove the list, which a new file has from its folder. Raises InvalidOption."""
    if _read_acl(descriptor) == acl:
        return
    try:
        if acl is None:
            os.removexattr(descriptor, ACL)
        else:
            os.setxattr(descriptor, ACL, acl)
    except OSError as error:
        problem = f"its access control list cannot be kept: {error.strerror}; run as root"
        raise InvalidOption(entry.option, problem) from None


def _inherit(owner: _Owner, status: os.stat_result | None) -> _Owner:
    """Keep the owner and group of an existing file when root writes it and they are not set."""
    return owner if status is None or os.geteuid() else _complete(owner, status)


def _require_owner(option: str, owner: _Owner, status: os.stat_result) -> _Owner:
    """Keep the owner and group of an existing file if they are not set. Raises InvalidOption."""
    user, groups = os.geteuid(), {os.getegid(), *os.getgroups()}
    if user and owner.uid is None and status.st_uid != user:
        problem = "it belongs to another user, and only root can keep its owner; run as root"
        raise InvalidOption(option, problem)
    if user and owner.gid is None and status.st_gid not in groups:
        problem = "this user is not in its group, and only root can keep its group; run as root"
        raise InvalidOption(option, problem)
    return _complete(owner, status)


def _complete(owner: _Owner, status: os.stat_result) -> _Owner:
    return _Owner(
        status.st_uid if owner.uid is None else owner.uid,
        status.st_gid if owner.gid is None else owner.gid,
    )


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


def mask_everywhere(module: AnsibleModule, values: Collection[str]) -> None:
    """Mask values in everything that Ansible prints, and in the result before ansible-core 2.22."""
    module.no_log_values.update(values)
    mask_output(values)


def mask_output(values: Collection[str]) -> None:
    """Mask values in everything that Ansible prints; tasks still receive the unmasked result.

    ansible-core 2.21 and older cannot do this: their users need no_log on the task.
    """
    if register_secrets is not None:
        register_secrets(values)


def _register_no_log_values(module: AnsibleModule) -> None:
    """Register values that Ansible masks everywhere in a result, including its msg."""
    several = module.params.get("access_tokens") or []
    tokens = {module.params.get("access_token"), *several}
    # A value that is too short to be a token would also mask parts of ordinary messages.
    module.no_log_values.difference_update({v for v in tokens if v and len(v) < _MIN_LENGTH})
    # A result repeats all options: mask a password in a URL, or a token in the wrong option.
    for name in ("api_url", "account_id", "client_id", "ca_path"):
        mask_everywhere(module, _MISPLACED.findall(str(module.params.get(name))))
    for path in module.params.get("sources") or []:
        mask_everywhere(module, sensitive_parts(path))


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
