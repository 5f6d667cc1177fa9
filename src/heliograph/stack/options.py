"""Settings of the whole stack as script/server starts it.

`load(environ)` returns a frozen `StackSettings` or raises SettingError, whose text is one line. The application's own
settings are checked too, so that a wrong one stops the start before any process runs.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from heliograph_proxy.private import prefixes

from heliograph.given import PREFIX, Given, where
from heliograph.options import LIBRARY
from heliograph.request.options import RequestOptions, refuse_open_listening
from heliograph.settings import (
    DEFAULT_STATE,
    PORT,
    TEXT,
    NotAllowed,
    Options,
    PerCore,
    Setting,
    ValueKind,
    choice,
    integer,
    items,
    names,
    option,
)
from heliograph.settings import load as load_groups

#: A process each, some 60 MiB: more than any machine this is meant for has cores.
MAX_INSTANCES = 256

#: Where everything listens that is not to be reached from outside.
LOOPBACK = "127.0.0.1"

#: How like a known name an unknown one must be to be taken for a typing error; difflib's own default.
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
    #: Networks of the balancers in front of it, where HELIOGRAPH_TRUSTED_PROXIES is set.
    trusted: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    #: The format of every layer's log, where HELIOGRAPH_LOG is set.
    log: str = ""

    @property
    def instance_ports(self) -> dict[str, int]:
        return {f"web{number + 1}": self.port_base + number for number in range(self.instances)}


#: The module in which the application of a checkout declares its settings, where it has any.
APPLICATION = "app.options"


def _host_of(text: str) -> str:
    if text == "localhost":
        return LOOPBACK
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError as exc:
        raise NotAllowed from exc


def _paths(text: str) -> tuple[str, ...]:
    parts = items(text)
    try:
        prefixes(parts)
    except ValueError as exc:
        raise NotAllowed(str(exc)) from exc
    return tuple(part.rstrip("/") for part in parts)


PATHS = ValueKind(_paths, "paths such as /metrics are allowed")


PUBLIC = ValueKind(_host_of, "an IP address or localhost is allowed")


class StackOptions(Options):
    """What the manager starts, and where it listens."""

    instances: int = option(integer(1, MAX_INSTANCES), PerCore(1, least=2), "processes of the application")
    host: str = option(PUBLIC, LOOPBACK, "the address of the layer in front")
    nginx_port: int = option(PORT, 8080, "the port of nginx")
    proxy_port: int = option(PORT, 8000, "the port of the proxy")
    admin_port: int = option(PORT, 8001, "the port of the proxy's admin listener")
    state: str = option(
        TEXT,
        DEFAULT_STATE,
        "the folder of a running stack: its sockets, rendered files, logs, spool and log of channels",
    )
    proxy_config: str = option(
        TEXT, "", "what the proxy's configuration is made from; empty: conf/proxy.toml where there is one"
    )
    nginx: str = option(choice("auto", "0", "1"), "auto", "whether nginx stands in front of the proxy")
    private: tuple[str, ...] = option(
        PATHS, (), "paths, with all below them, that the layer in front answers with 404"
    )


def groups() -> tuple[type[Options], ...]:
    """All groups of settings that this stack's processes read: the manager's, the library's, the application's."""
    found: list[type[Options]] = [StackOptions, *LIBRARY]
    if importlib.util.find_spec(APPLICATION.partition(".")[0]) and importlib.util.find_spec(APPLICATION):
        declared = vars(importlib.import_module(APPLICATION)).values()
        found += [
            one
            for one in declared
            if isinstance(one, type) and issubclass(one, Options) and one is not Options
        ]
    return tuple(dict.fromkeys(found))


def _balancers(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What is set explicitly: the default is for the layers of this stack, and none of those is in front of it."""
    setting = RequestOptions.definitions["trusted_proxies"]
    if not environ.get(setting.name, "").strip():
        return ()
    return tuple(map(str, setting.read(environ).networks))


def load(environ: Mapping[str, str], cores: int = 2) -> StackSettings:
    """Raises SettingError for the first value that is not allowed, the application's included."""
    given = StackOptions.read(environ, cores)
    bases = integer(1, 65536 - given.instances)
    found = StackSettings(
        host=given.host,
        nginx_port=given.nginx_port,
        proxy_port=given.proxy_port,
        admin_port=given.admin_port,
        port_base=Setting("HELIOGRAPH_PORT_BASE", bases, 8100, "").read(environ),
        instances=given.instances,
        nginx=given.nginx,
        trusted=_balancers(environ),
        private=given.private,
        log=environ.get("HELIOGRAPH_LOG", "").strip(),
    )
    refuse_open_listening(environ, found.host, "HELIOGRAPH_HOST")
    # PORT is a platform's, for one process.
    load_groups(Given(environ).changed(PORT=""), groups(), cores)
    return found


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """A warning for each HELIOGRAPH_ variable and key of the file that nothing reads, naming the nearest one that exists."""
    known = names(groups())
    warnings = []
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in known):
        shown = where(environ, name)
        near = difflib.get_close_matches(name, sorted(known), 1, RESEMBLANCE)
        nearest = near[0] if near and shown == name else "".join(near).removeprefix(PREFIX).lower()
        hint = f"; did you mean {nearest}?" if near else ""
        warnings.append(f"{shown} is not a setting of Heliograph and is ignored{hint}")
    return warnings
