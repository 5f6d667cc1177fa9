"""Settings of the whole stack as script/server starts it. The only place of script/ that reads the environment.

`load(environ)` returns a frozen `StackSettings` or raises SettingError, whose text is one line. The application's own
settings are checked too, so that a wrong one stops the start before any process runs.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass

from heliograph import settings as application
from heliograph.settings import PREFIX, Reader, SettingError, refuse_open_listening

#: A process each, some 60 MiB: more than any machine this is meant for has cores.
MAX_INSTANCES = 256

#: Where everything listens that is not to be reached from outside.
LOOPBACK = "127.0.0.1"

#: How like a known name an unknown one must be to be taken for a slip of the pen; difflib's own default.
RESEMBLANCE = 0.6


@dataclass(frozen=True)
class StackSettings:
    """What script/server was told."""

    host: str
    nginx_port: int
    proxy_port: int
    admin_port: int
    port_base: int
    instances: int
    nginx: str

    @property
    def instance_ports(self) -> dict[str, int]:
        return {f"web{number + 1}": self.port_base + number for number in range(self.instances)}


class _Asked(dict[str, str]):
    """An environment that remembers which names were asked for: those are the known ones, without a second list."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self.names = {"HELIOGRAPH_OPEN"}  # asked for only when listening beyond loopback

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.names.add(key)
        return super().get(key, default)


def environment() -> dict[str, str]:
    """What this process was started with."""
    return dict(os.environ)


def load(environ: Mapping[str, str], cores: int = 2) -> StackSettings:
    """Raises SettingError for the first value that is not allowed, the application's included."""
    read = Reader(environ)
    instances = read.integer("HELIOGRAPH_INSTANCES", max(2, cores), 1, MAX_INSTANCES)
    found = StackSettings(
        host=_host(read),
        nginx_port=read.port("HELIOGRAPH_NGINX_PORT", 8080),
        proxy_port=read.port("HELIOGRAPH_PROXY_PORT", 8000),
        admin_port=read.port("HELIOGRAPH_ADMIN_PORT", 8001),
        port_base=read.integer("HELIOGRAPH_PORT_BASE", 8100, 1, 65536 - instances),
        instances=instances,
        nginx=read.choice("HELIOGRAPH_NGINX", "auto", ("auto", "0", "1")),
    )
    refuse_open_listening(environ, found.host, "HELIOGRAPH_HOST")
    application.load(environ, cores)
    return found


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """A warning for each HELIOGRAPH_ variable that nothing reads, naming the nearest one that exists."""
    asked = _Asked(environ)
    load(asked)
    warnings = []
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in asked.names):
        near = difflib.get_close_matches(name, sorted(asked.names), 1, RESEMBLANCE)
        hint = f"; did you mean {near[0]}?" if near else ""
        warnings.append(f"{name} is not a setting of Heliograph and is ignored{hint}")
    return warnings


def _host(read: Reader) -> str:
    host = read.text("HELIOGRAPH_HOST", LOOPBACK)
    if host == "localhost":
        return LOOPBACK
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError as exc:
        raise SettingError("HELIOGRAPH_HOST", host, "an IP address or localhost is allowed") from exc
