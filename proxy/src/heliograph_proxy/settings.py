"""The configuration file as frozen dataclasses. Pure but for `load`, which reads the file it is given.

Every key of the interface is known here with its default; anything else is a `SettingsError` of one line that names the
file, the key and what is allowed. What the interface promises and this version cannot do is refused, never ignored.
"""

# ruff: noqa: RUF009  (`_key` is dataclasses.field with a check)

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from heliograph_proxy import values
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.trust import TrustedPeers

T = TypeVar("T")

#: The state folder of a stack, which its manager sets. A proxy alone keeps what it makes in FOLDER beside its file.
STATE_VARIABLE = "HELIOGRAPH_STATE"
FOLDER = "var"
LOG_VARIABLE = "HELIOGRAPH_LOG"  # json or text, for events


def _key(check: Callable[[Any], Any], default: Any = MISSING) -> Any:
    """A key of the file: how it is checked, and its default as it would stand in the file."""
    if default is MISSING:
        return field(metadata={"check": check})
    return field(default_factory=lambda: check(default), metadata={"check": check})


@dataclass(frozen=True, slots=True)
class BackendSettings:
    name: str = _key(values.name)
    address: values.Address = _key(values.address)
    weight: int = _key(values.weight, 1)
    max_connections: int = _key(values.number(1, whole=True), 1000)
    max_tunnels: int = _key(values.number(0, whole=True), 20000)
    backup: bool = _key(values.boolean, False)


@dataclass(frozen=True, slots=True)
class HealthSettings:
    #: Empty: the library's own path.
    path: str = _key(values.path_or_none, "")
    host: str = _key(values.host, "localhost")
    interval: float = _key(values.positive, 2.0)
    timeout: float = _key(values.positive, 1.0)
    rise: int = _key(values.number(1, whole=True), 2)
    fall: int = _key(values.number(1, whole=True), 3)
    eject_failures: int = _key(values.number(1, whole=True), 5)
    eject_time: float = _key(values.positive, 10.0)
    slow_start: float = _key(values.number(0), 10.0)
    #: Statuses from here on are a failed check. 0: 400 where the configuration names a path, else 500.
    below: int = _key(values.number(0, 600, whole=True), 0)


@dataclass(frozen=True, slots=True)
class Timeouts:
    head: float = _key(values.positive, 10.0)
    body: float = _key(values.positive, 30.0)
    connect: float = _key(values.positive, 2.0)
    response: float = _key(values.positive, 60.0)
    queue: float = _key(values.positive, 5.0)
    idle: float = _key(values.positive, 75.0)
    tunnel: float = _key(values.positive, 3600.0)
    drain: float = _key(values.positive, 30.0)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    idle: float = _key(values.number(0), 1.0)
    max: int = _key(values.number(0, whole=True), 64)


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    # The upper bounds are what Gunicorn takes: a longer head would be its error, and count as a failure of the backend.
    request_line: int = _key(values.number(16, 4094, whole=True), 4094)
    header_fields: int = _key(values.number(1, 100, whole=True), 90)
    header_field_bytes: int = _key(values.number(16, 8190, whole=True), 8190)
    header_bytes: int = _key(values.number(64, 65536, whole=True), 32768)
    body_bytes: int = _key(values.number(0, whole=True), 0)
    connections: int = _key(values.number(1, whole=True), 20000)
    queue: int = _key(values.number(0, whole=True), 1000)
    #: Bytes of bodies and answers that are held for clients, in all.
    held_bytes: int = _key(values.number(0, whole=True), 256 << 20)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What one client may have; a client is an address, by the trusted chain."""

    share: float = _key(values.share, 0.75)
    rate: float = _key(values.number(0), 0.0)
    connections: int = _key(values.number(0, whole=True), 0)
    body_rate: float = _key(values.number(0), 500.0)
    answer_rate: float = _key(values.number(0), 1024.0)


@dataclass(frozen=True, slots=True)
class RetrySettings:
    attempts: int = _key(values.number(1, whole=True), 2)
    deadline: float = _key(values.positive, 30.0)
    budget: float = _key(values.ratio, 0.2)


@dataclass(frozen=True, slots=True)
class StickySettings:
    cookie: str = _key(values.cookie, "")
    #: The first signs, all verify. None: one is made and kept.
    secret: tuple[str, ...] = _key(values.secrets, "")
    ttl: int = _key(values.number(0, whole=True), 0)
    path: str = _key(values.cookie_path, "/")


@dataclass(frozen=True, slots=True)
class LogSettings:
    access: str = _key(values.text, "-")
    format: str = _key(values.choice("json", "combined"), "json")


@dataclass(frozen=True, slots=True)
class ProxySettings:
    backends: tuple[BackendSettings, ...]
    listen: tuple[values.Address, ...] = _key(values.addresses, "127.0.0.1:8000")
    admin: values.Address = _key(values.address, "127.0.0.1:8001")
    admin_token: str = _key(values.token, "")
    #: In the form that `private.covers` wants.
    private: tuple[bytes, ...] = _key(values.private, [])
    strategy: str = _key(values.strategy, "least_time")
    trusted: TrustedPeers = _key(values.trusted, ["127.0.0.1", "::1", "unix"])
    health: HealthSettings = field(default_factory=HealthSettings)
    timeouts: Timeouts = field(default_factory=Timeouts)
    pool: PoolSettings = field(default_factory=PoolSettings)
    limits: ProxyLimits = field(default_factory=ProxyLimits)
    client: ClientSettings = field(default_factory=ClientSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
    sticky: StickySettings = field(default_factory=StickySettings)
    log: LogSettings = field(default_factory=LogSettings)
    #: Where the proxy keeps what it makes itself, such as the key of sticky sessions.
    state: Path = Path(FOLDER)


SECTIONS: dict[str, type] = {
    "health": HealthSettings,
    "timeouts": Timeouts,
    "pool": PoolSettings,
    "limits": ProxyLimits,
    "client": ClientSettings,
    "retry": RetrySettings,
    "sticky": StickySettings,
    "log": LogSettings,
}


def load(file: str) -> ProxySettings:
    """Read and check a configuration file."""
    return replace(parse(read(file), file), state=state_folder(file))


def log_format() -> str:
    """The format of what is logged for people and programs beside the access log, as for every layer of a stack."""
    given = environment().get(LOG_VARIABLE, "").strip()
    if given not in ("", "json", "text"):
        raise SettingsError(LOG_VARIABLE, "", "must be json or text")
    return given or "json"


def environment() -> MutableMapping[str, str]:
    """What this process was started with beside its file."""
    return os.environ


def state_folder(file: str) -> Path:
    """Where a proxy with this configuration keeps what it makes itself."""
    stack = environment().get(STATE_VARIABLE, "")
    return Path(stack) if stack else Path(file).parent / FOLDER


def read(file: str) -> dict[str, Any]:
    """The document in a file, unchecked."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise SettingsError(file, "", f"cannot be read: {reason}") from exc
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(file, "", f"is no TOML: {exc}") from exc


def parse(document: Mapping[str, Any], file: str = "proxy.toml") -> ProxySettings:
    """Check a whole document; `file` is for the errors only. The first is raised and has the others."""
    known = {one.name: one.metadata["check"] for one in fields(ProxySettings) if "check" in one.metadata}
    given: dict[str, Any] = {}
    errors: list[SettingsError] = []
    for key, value in document.items():
        try:
            if key in SECTIONS:
                given[key] = _section(SECTIONS[key], value, file, key)
            elif key == "backend":
                given["backends"] = _backends(value, file)
            elif key in known:
                given[key] = _checked(known[key], value, file, key)
            else:
                raise _unknown(file, key, key, [*known, "backend", *SECTIONS])
        except SettingsError as exc:
            errors += _with_others(exc)
    if "backend" not in document:
        errors.append(SettingsError(file, "backend", "at least one [[backend]] is needed"))
    _raise_first(errors)
    settings = ProxySettings(**given)
    if not settings.admin.loopback and len(settings.admin_token) < values.MIN_TOKEN:
        allowed = f"must have at least {values.MIN_TOKEN} characters where admin is not loopback"
        errors.append(SettingsError(file, "admin_token", allowed))
    if settings.admin in settings.listen:
        allowed = f"must be another address than listen, not {settings.admin} too"
        errors.append(SettingsError(file, "admin", allowed))
    _raise_first(errors)
    return settings


def _raise_first(errors: list[SettingsError]) -> None:
    """Raise the first error, which then has the others, if there is any."""
    if errors:
        first = errors[0]
        first.others = errors[1:]
        raise first


def _with_others(error: SettingsError) -> list[SettingsError]:
    found, error.others = [error, *error.others], []
    return found


def _unknown(file: str, place: str, key: str, known: Iterable[str]) -> SettingsError:
    """The error for a key that nothing reads, with the nearest that something does."""
    near = difflib.get_close_matches(key, list(known), 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return SettingsError(file, place, f"is not a key; {hint}allowed: {', '.join(known)}")


def backend(given: Any, file: str, place: str = "backend") -> BackendSettings:
    """One [[backend]] table."""
    return _section(BackendSettings, given, file, place)


def _backends(given: Any, file: str) -> tuple[BackendSettings, ...]:
    if not isinstance(given, list) or not given:
        raise SettingsError(file, "backend", "must be one or more [[backend]] tables")
    found: list[BackendSettings] = []
    errors: list[SettingsError] = []
    for number, table in enumerate(given, 1):
        try:
            one = backend(table, file, f"backend[{number}]")
        except SettingsError as exc:
            errors += _with_others(exc)
            continue
        if any(other.name == one.name for other in found):
            allowed = f'must be unique; "{one.name}" is there twice'
            errors.append(SettingsError(file, f"backend[{number}].name", allowed))
        found.append(one)
    _raise_first(errors)
    return tuple(found)


def _section(kind: type[T], given: Any, file: str, place: str) -> T:
    """A table of the file as its dataclass."""
    if not isinstance(given, Mapping):
        raise SettingsError(file, place, "must be a table")
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    errors: list[SettingsError] = []
    checked: dict[str, Any] = {}
    for key, value in given.items():
        try:
            if key not in known:
                raise _unknown(file, f"{place}.{key}", key, known)
            checked[key] = _checked(known[key].metadata["check"], value, file, f"{place}.{key}")
        except SettingsError as exc:
            errors.append(exc)
    for name, one in known.items():
        if name not in given and one.default_factory is MISSING:
            errors.append(SettingsError(file, f"{place}.{name}", "is needed"))
    _raise_first(errors)
    return kind(**checked)


def _checked(check: Callable[[Any], Any], value: Any, file: str, key: str) -> Any:
    try:
        return check(value)
    except values.Wrong as wrong:
        raise SettingsError(file, key, str(wrong)) from wrong
