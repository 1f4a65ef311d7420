# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a simulator, and their conversion from and to JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Fictitious. The formats are those of the API: UUIDs, and a secret of 88 base64 characters
# (64 bytes) that ends in "==".
DEFAULT_ACCOUNT_ID = "0a0a0a0a-1111-4111-8111-aaaaaaaaaaaa"
DEFAULT_CLIENT_ID = "0c0c0c0c-2222-4222-8222-bbbbbbbbbbbb"
DEFAULT_CLIENT_SECRET = "c2ltdWxhdG9yLW9ubHktbm90LWEtc2VjcmV0" + "A" * 50 + "=="
SECOND_CLIENT_ID = "0d0d0d0d-3333-4333-8333-cccccccccccc"
SECOND_CLIENT_SECRET = "c2ltdWxhdG9yLW9ubHktc2Vjb25kLWNsaWVu" + "B" * 49 + "A=="
OTHER_ACCOUNT_ID = "0e0e0e0e-4444-4444-8444-dddddddddddd"
SUB_ACCOUNT_ID = "0f0f0f0f-5555-4555-8555-eeeeeeeeeeee"

CHOICES: Mapping[str, tuple[str, ...]] = {
    "sessions": ("multi", "single"),
    "session_scope": ("client", "account"),
    "revoke_dead": ("success", "bad_request", "unauthorized", "not_found", "server_error"),
    "revoke_foreign_client": ("refuse", "ignore"),
    "refusal_form": ("envelope", "envelope_200", "empty", "message", "html"),
    "rate_class": ("none", "regular", "elevated", "low_traffic"),
}


class SettingsError(ValueError):
    """An unknown setting or an invalid value; the text goes to the client."""


@dataclass(frozen=True)
class ApiClient:
    """One API key of an account: "Client ID" and "Private key" in the dashboard."""

    client_id: str
    client_secret: str
    account_id: str
    suspended: bool = False


DEFAULT_CLIENTS = (
    ApiClient(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_ACCOUNT_ID),
    ApiClient(SECOND_CLIENT_ID, SECOND_CLIENT_SECRET, DEFAULT_ACCOUNT_ID),
)


@dataclass(frozen=True)
class Settings:
    """All settings; README.md documents each one."""

    clients: tuple[ApiClient, ...] = DEFAULT_CLIENTS
    business_id: str | None = None
    sub_accounts: tuple[str, ...] = (SUB_ACCOUNT_ID,)
    token_lifetime: float = 3600
    distinct_tokens: bool = True
    sessions: str = "multi"
    session_scope: str = "client"
    sandbox: bool = False
    fresh_refusals: int = 0
    refresh_enabled: bool = True
    refresh_needs_bearer: bool = False
    refresh_revokes_old: bool = False
    revoke_needs_account_id: bool = False
    revoke_foreign_client: str = "refuse"
    revoke_dead: str = "success"
    revoke_effective: bool = True
    revoke_delay: float = 0
    revoke_delay_requests: int = 0
    revoke_kills_refresh: bool = False
    suspension_kills_tokens: bool = False
    regeneration_kills_tokens: bool = False
    refusal_form: str = "envelope"
    rate_class: str = "none"
    rate_window: float | None = None
    clock_offset: float = 0
    latency: float = 0
    request_log_limit: int = 200_000

    def client(self, client_id: object) -> ApiClient | None:
        """Return the client with this id, suspended or not."""
        return next((one for one in self.clients if one.client_id == client_id), None)

    def with_client(self, client: ApiClient) -> Settings:
        """Return the settings with this client in place of the one with its id."""
        clients = tuple(client if c.client_id == client.client_id else c for c in self.clients)
        return dataclasses.replace(self, clients=clients)

    def without_client(self, client_id: str) -> Settings:
        """Return the settings without the client with this id."""
        clients = tuple(one for one in self.clients if one.client_id != client_id)
        return dataclasses.replace(self, clients=clients)


_FIELDS: Mapping[str, str] = {f.name: str(f.type) for f in dataclasses.fields(Settings)}
_CLIENT_FIELDS = tuple(f.name for f in dataclasses.fields(ApiClient))


def from_json(document: object, base: Settings | None = None) -> Settings:
    """Parse settings from a JSON object; other settings keep their values in `base`."""
    given = _object(document, "settings")
    unknown = sorted(set(given) - set(_FIELDS))
    if unknown:
        raise SettingsError(f"unknown setting: {', '.join(unknown)}; known: {', '.join(_FIELDS)}")
    values = {name: _value(name, value) for name, value in given.items()}
    settings = dataclasses.replace(base or Settings(), **values)  # type: ignore[arg-type]
    if not settings.clients:
        raise SettingsError("clients must contain at least one client")
    return settings


def to_json(settings: Settings) -> dict[str, object]:
    """Return the settings as a JSON object for `from_json`."""
    return dataclasses.asdict(settings)


def _value(name: str, value: object) -> object:
    if name == "clients":
        return tuple(_client(one) for one in _list(name, value))
    if name in CHOICES:
        return _choice(name, value)
    return _plain(name, _FIELDS[name], value)


def _plain(name: str, kind: str, value: object) -> object:
    if kind.endswith("| None"):
        return None if value is None else _plain(name, kind.removesuffix(" | None"), value)
    if kind == "bool":
        return _typed(name, value, bool, "true or false")
    if kind == "int":
        return _whole(name, value)
    if kind == "float":
        return _number(name, value)
    if kind == "str":
        return _typed(name, value, str, "a string")
    return tuple(str(_typed(name, one, str, "a list of strings")) for one in _list(name, value))


def _typed(name: str, value: object, kind: type, description: str) -> object:
    if not isinstance(value, kind):
        raise SettingsError(f"{name} must be {description}")
    return value


def _number(name: str, value: object) -> float:
    # In Python, bool is a subclass of int; here it is not a number.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SettingsError(f"{name} must be a number")
    if value < 0 and name != "clock_offset":
        raise SettingsError(f"{name} must not be negative")
    if value == 0 and name == "rate_window":
        raise SettingsError("rate_window must be more than zero")
    return value


def _whole(name: str, value: object) -> int:
    number = _number(name, value)
    if not isinstance(number, int):
        raise SettingsError(f"{name} must be a whole number")
    return number


def _choice(name: str, value: object) -> str:
    if not isinstance(value, str) or value not in CHOICES[name]:
        raise SettingsError(f"{name} must be one of: {', '.join(CHOICES[name])}")
    return value


def _list(name: str, value: object) -> Sequence[object]:
    if not isinstance(value, (list, tuple)):
        raise SettingsError(f"{name} must be a list")
    return value


def _object(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name} must be an object")
    return value


def _client(value: object) -> ApiClient:
    given = _object(value, "a client")
    unknown = sorted(set(given) - set(_CLIENT_FIELDS))
    missing = sorted(set(_CLIENT_FIELDS) - set(given) - {"suspended"})
    if unknown or missing:
        raise SettingsError(f"a client has exactly these fields: {', '.join(_CLIENT_FIELDS)}")
    texts = [str(_typed(name, given[name], str, "a string")) for name in _CLIENT_FIELDS[:3]]
    suspended = _typed("suspended", given.get("suspended", False), bool, "true or false")
    return ApiClient(texts[0], texts[1], texts[2], bool(suspended))
