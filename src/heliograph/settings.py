"""Settings of the application, read once from a mapping (normally the environment).

`load(environ)` is pure: it returns a frozen `Settings` or raises `SettingError`, whose text is one line: the variable, its value,
what is allowed. Only `from_environment` and `require_folder` look at the machine. `Reader` is the vocabulary in which settings are
read; conf/ uses it for the settings of the whole stack.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from heliograph.channels.errors import LocationError
from heliograph.channels.location import parse_location, redacted

PREFIX = "HELIOGRAPH_"

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

DAY = 86_400

_SIZE = re.compile(r"(\d{1,15})\s*(?:(B|K|KB|KIB|M|MB|MIB|G|GB|GIB|T|TB|TIB))?", re.IGNORECASE | re.ASCII)
_FACTORS = {"": 1, "B": 1, "K": KIB, "M": MIB, "G": GIB, "T": 1 << 40}
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]", re.IGNORECASE | re.ASCII)
_ORIGIN = re.compile(r"(https?)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?", re.IGNORECASE | re.ASCII)
_SCHEME_PORTS = {"http": 80, "https": 443}
_INSTANCE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingError(ValueError):
    """A setting has a value that is not allowed. Its text is one line for the person who set it."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"{name}={value!r}: {allowed}")
        self.name, self.value, self.allowed = name, value, allowed


class Reader:
    """Reads typed values from a mapping of names to texts. An empty text means: not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str = "") -> str:
        return self._environ.get(name, "").strip() or default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise SettingError(name, value, f"one of {', '.join(allowed)} is allowed")
        return value

    def flag(self, name: str) -> bool:
        return self.choice(name, "0", ("0", "1")) == "1"

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"\d{1,18}", value, re.ASCII) or not low <= int(value) <= high:
            raise SettingError(name, value, f"a whole number from {low} to {high} is allowed")
        return int(value)

    def port(self, name: str, default: int) -> int:
        return self.integer(name, default, 1, 65535)

    def size(self, name: str, default: int, low: int = 1) -> int:
        """Bytes: a whole number, or one with KiB, MiB, GiB or TiB behind it."""
        value = self.text(name, str(default))
        match = _SIZE.fullmatch(value)
        size = int(match[1]) * _FACTORS[(match[2] or "").upper()[:1]] if match else -1
        if not low <= size <= 1 << 50:
            raise SettingError(
                name, value, f"a size of at least {low} bytes, such as 1048576, 64MiB or 4 GiB, is allowed"
            )
        return size

    def items(self, name: str) -> tuple[str, ...]:
        """A list: separated by commas or white space."""
        return tuple(part for part in re.split(r"[,\s]+", self.text(name)) if part)


@dataclass(frozen=True)
class Settings:
    """What the application was told. Sizes are bytes, times are seconds."""

    instance: str
    spool: str
    spool_max: int
    max_body: int
    max_output: int
    max_ratio: int
    codec_jobs: int
    ws_max_message: int
    allowed_origins: frozenset[str]
    allowed_hosts: frozenset[str]
    trusted_networks: tuple[Network, ...]
    trust_unix: bool
    channels: str = field(repr=False)  # a URL, which may hold a password
    history_size: int
    history_ttl: int
    max_channels: int
    rate: int
    auth_secret: str = field(repr=False)
    log: str


def load(environ: Mapping[str, str], cores: int = 2) -> Settings:
    """The application's settings. Raises SettingError for the first value that is not allowed.

    `cores` is the number of processors, for defaults that depend on it.
    """
    read = Reader(environ)
    networks, trust_unix = _trusted(read)
    return Settings(
        instance=_instance(read),
        spool=read.text("HELIOGRAPH_SPOOL", "var/spool"),
        spool_max=read.size("HELIOGRAPH_SPOOL_MAX", 8 * GIB),
        max_body=read.size("HELIOGRAPH_MAX_BODY", 4 * GIB),
        max_output=read.size("HELIOGRAPH_MAX_OUTPUT", GIB),
        max_ratio=read.integer("HELIOGRAPH_MAX_RATIO", 1000, 1, 10**9),
        codec_jobs=read.integer("HELIOGRAPH_CODEC_JOBS", 2 * cores, 1, 256),
        ws_max_message=read.size("HELIOGRAPH_WS_MAX_MESSAGE", MIB),
        allowed_origins=_origins(read),
        allowed_hosts=_hosts(read),
        trusted_networks=networks,
        trust_unix=trust_unix,
        channels=_channels(read),
        history_size=read.integer("HELIOGRAPH_HISTORY_SIZE", 10_000, 1, 10_000_000),
        history_ttl=read.integer("HELIOGRAPH_HISTORY_TTL", DAY, 1, 3650 * DAY),
        max_channels=read.integer("HELIOGRAPH_MAX_CHANNELS", 10_000, 1, 10_000_000),
        rate=read.integer("HELIOGRAPH_RATE", 1000, 0, 10_000_000),
        auth_secret=auth_secret(read),
        log=read.choice("HELIOGRAPH_LOG", "json", ("json", "text")),
    )


def _channels(read: Reader) -> str:
    """The URL of the log. What is wrong with one is said without the password that it may hold."""
    url = read.text("HELIOGRAPH_CHANNELS", "sqlite:///var/channels.db")
    try:
        parse_location(url)
    except LocationError as exc:
        shown = redacted(url)
        raise SettingError("HELIOGRAPH_CHANNELS", shown, str(exc).removeprefix(f"{shown}: ")) from exc
    return url


def auth_secret(read: Reader) -> str:
    secret = read.text("HELIOGRAPH_AUTH_SECRET")
    if secret and len(secret.encode()) < 32:
        raise SettingError("HELIOGRAPH_AUTH_SECRET", "…", "at least 32 bytes are allowed, or nothing")
    return secret


def refuse_open_listening(environ: Mapping[str, str], host: str, name: str) -> None:
    """Raise SettingError when `host`, set by variable `name`, is beyond loopback and nothing protects the service."""
    read = Reader(environ)
    if is_loopback(host) or auth_secret(read) or read.flag("HELIOGRAPH_OPEN"):
        return
    raise SettingError(
        name,
        read.text(name, host),
        "listens beyond loopback, which is allowed only with HELIOGRAPH_AUTH_SECRET, or with HELIOGRAPH_OPEN=1 to let everybody in",
    )


def instance_address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Where an instance listens by itself: ``$PORT`` on all addresses (platforms set it), else the stack's first."""
    read = Reader(environ)
    if not read.text("PORT"):
        return "127.0.0.1", read.port("HELIOGRAPH_PORT_BASE", 8100)
    refuse_open_listening(environ, "0.0.0.0", "PORT")
    return "0.0.0.0", read.port("PORT", 8100)


def require_folder(name: str, folder: str) -> None:
    """Make a folder where it is missing. Raises SettingError when no file without a name can be made in it."""
    try:
        os.makedirs(folder, exist_ok=True)
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise SettingError(
            name, folder, f"a folder that can be written to is allowed ({exc.strerror})"
        ) from exc


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _instance(read: Reader) -> str:
    name = read.text("HELIOGRAPH_INSTANCE", "web")
    if not _INSTANCE.fullmatch(name):
        raise SettingError(
            "HELIOGRAPH_INSTANCE", name, "1 to 64 of the characters A-Z a-z 0-9 . _ - are allowed"
        )
    return name


def _trusted(read: Reader) -> tuple[tuple[Network, ...], bool]:
    items = read.items("HELIOGRAPH_TRUSTED_PROXIES") or ("127.0.0.1", "::1", "unix")
    networks: list[Network] = []
    for item in items:
        if item == "unix":
            continue
        try:
            networks.append(ipaddress.ip_network(item))
        except ValueError as exc:
            raise SettingError(
                "HELIOGRAPH_TRUSTED_PROXIES",
                item,
                "addresses, networks such as 10.0.0.0/8, and unix are allowed",
            ) from exc
    return tuple(networks), "unix" in items


def _hosts(read: Reader) -> frozenset[str]:
    items = read.items("HELIOGRAPH_ALLOWED_HOSTS")
    for item in items:
        if item != "*" and not _HOST.fullmatch(item):
            raise SettingError(
                "HELIOGRAPH_ALLOWED_HOSTS", item, "host names without port, *.name, or * are allowed"
            )
    return frozenset(item.lower() for item in items)


def _origins(read: Reader) -> frozenset[str]:
    """The origins in the form in which browsers send them: lower case, without the scheme's own port."""
    found = set()
    for item in read.items("HELIOGRAPH_ALLOWED_ORIGINS"):
        match = _ORIGIN.fullmatch(item)
        if not match or int(match[3] or 1) not in range(1, 65536):
            raise SettingError(
                "HELIOGRAPH_ALLOWED_ORIGINS", item, "origins such as https://example.org are allowed"
            )
        scheme, host, port = match[1].lower(), match[2].lower(), match[3]
        default = port is None or int(port) == _SCHEME_PORTS[scheme]
        found.add(f"{scheme}://{host}" if default else f"{scheme}://{host}:{int(port)}")
    return frozenset(found)


def from_environment(status: int = 1) -> tuple[Settings, tuple[str, int]]:
    """The settings of this process and its `instance_address`. A wrong one ends it with `status` and one line."""
    try:
        settings, address = load(os.environ, os.cpu_count() or 2), instance_address(os.environ)
        require_folder("HELIOGRAPH_SPOOL", settings.spool)
        return settings, address
    except SettingError as exc:
        print(exc, file=sys.stderr)
        raise SystemExit(status) from None
