"""Settings of the whole stack as script/server starts it.

`load(environ)` returns a frozen `StackSettings` or raises SettingError, whose text is one line. The application's own
settings are checked too, so that a wrong one stops the start before any process runs.
"""

from __future__ import annotations

import difflib
import importlib
import ipaddress
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from heliograph_proxy.private import prefixes

from heliograph.application import ALLOWED, read
from heliograph.defaults import DEFAULT_STATE, PerCore
from heliograph.given import PREFIX, Given, SettingError, where
from heliograph.options import LIBRARY
from heliograph.request.options import RequestOptions
from heliograph.settings import (
    FLAG,
    PORT,
    TEXT,
    NotAllowed,
    Options,
    Setting,
    ValueKind,
    choice,
    integer,
    items,
    matching,
    names,
    option,
)
from heliograph.settings import load as load_groups
from heliograph.stack.front import StaticFolder, read_static

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
    port: int
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
    app: str = "wsgi:app"
    #: What starts an instance instead of Gunicorn, with PORT_FIELD in it, and the path that tells whether it is well.
    command: tuple[str, ...] = ()
    health: str = "/"
    reload: bool = False
    pythonpath: tuple[str, ...] = ()
    #: The files of HTTPS as they were set, and where it listens.
    tls_cert: str = ""
    tls_key: str = ""
    tls_port: int = 8443
    #: What nginx serves by itself.
    static: tuple[StaticFolder, ...] = ()

    @property
    def instance_ports(self) -> dict[str, int]:
        return {f"web{number + 1}": self.port_base + number for number in range(self.instances)}


#: Settings with a new name, by the old one. Read until version 0.3.
RENAMED = {f"{PREFIX}NGINX_PORT": f"{PREFIX}PORT"}

#: Names of the interface that this version does not have yet: refused, not ignored.
_LATER = "ROLES BACKENDS GRACE OTEL JOB_WORKERS JOBS_MAX INSTANCE_SOCKETS CACHE TLS ACME_DIRECTORY ACME_EMAIL"
LATER = frozenset(PREFIX + name for name in _LATER.split())


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


def _application(text: str) -> str:
    try:
        read(text)
    except ValueError as exc:
        raise NotAllowed from exc
    return text


def _folders(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _command(text: str) -> tuple[str, ...]:
    try:
        parts = tuple(shlex.split(text))
    except ValueError as exc:
        raise NotAllowed from exc
    if not any(PORT_FIELD in part for part in parts):
        raise NotAllowed
    return parts


#: In a command: the port of the instance.
PORT_FIELD = "{port}"

APPLICATION = ValueKind(_application, ALLOWED)
FOLDERS = ValueKind(_folders, "folders, by commas, are allowed")
COMMAND = ValueKind(
    _command, "a command with {port} in it, such as 'uvicorn main:api --port {port}', is allowed"
)
PATH = matching(r"/[!-~]*", "a path such as /health is allowed")


def _static(text: str) -> tuple[StaticFolder, ...]:
    try:
        return read_static(text)
    except ValueError as exc:
        raise NotAllowed(str(exc)) from exc


STATIC = ValueKind(_static, "/url/=folder is allowed, and several of these with commas, each URL once")


PUBLIC = ValueKind(_host_of, "an IP address or localhost is allowed")


class StackOptions(Options):
    """What the manager starts, and where it listens."""

    app: str = option(
        APPLICATION, "wsgi:app", "the application, as module:callable, module:factory() or module"
    )
    command: tuple[str, ...] = option(
        COMMAND, (), "what starts an instance instead, of any server; {port} stands for its port"
    )
    health: str = option(PATH, "/", "what an instance of such a command answers below 500 when it is well")
    reload: bool = option(
        FLAG, False, "whether instances are restarted when the code has changed, for developers"
    )
    pythonpath: tuple[str, ...] = option(FOLDERS, (), "folders that are put before the import path")
    settings: str = option(TEXT, "", "the module in which the application declares settings of its own")
    instances: int = option(integer(1, MAX_INSTANCES), PerCore(1, least=2), "processes of the application")
    host: str = option(PUBLIC, LOOPBACK, "the address of the layer in front")
    port: int = option(PORT, 8080, "the port of the layer in front: nginx, and without it the proxy")
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
    tls_cert: str = option(TEXT, "", "the certificate for HTTPS at nginx, with its chain: a file in PEM")
    tls_key: str = option(TEXT, "", "its private key: a file in PEM, without a passphrase")
    tls_port: int = option(PORT, 8443, "the port of HTTPS, to which the plain one redirects")
    static: tuple[StaticFolder, ...] = option(
        STATIC, (), "/url/=folder: files that nginx serves; one that is not there is asked of the application"
    )
    private: tuple[str, ...] = option(
        PATHS, (), "paths, with all below them, that the layer in front answers with 404"
    )


def groups(environ: Mapping[str, str]) -> tuple[type[Options], ...]:
    """All groups of settings that this stack's processes read: the manager's, the library's, the application's."""
    return tuple(dict.fromkeys([StackOptions, *LIBRARY, *_of_application(environ)]))


def _of_application(environ: Mapping[str, str]) -> list[type[Options]]:
    """Declared in the module that the setting `settings` names. Raises SettingError."""
    setting = StackOptions.definitions["settings"]
    module: str = setting.read(environ)
    if not module:
        return []
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the project's folder stays as it is
    try:
        declared = vars(importlib.import_module(module)).values()
    except (ImportError, ValueError, SystemExit) as exc:  # the manager of a running stack reads these too
        allowed = f"a module that can be imported is allowed ({exc})"
        raise SettingError(where(environ, setting.name), module, allowed) from exc
    finally:
        sys.dont_write_bytecode = writes
    return [
        one for one in declared if isinstance(one, type) and issubclass(one, Options) and one is not Options
    ]


def refuse_later(environ: Mapping[str, str]) -> None:
    """Raises SettingError for what this version does not have yet."""
    for name in sorted(LATER):
        if environ.get(name, "").strip() not in ("", "0"):
            raise SettingError(where(environ, name), environ[name], "this is not available in this version")


def _balancers(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What is set explicitly: the default is for the layers of this stack, and none of those is in front of it."""
    setting = RequestOptions.definitions["trusted_proxies"]
    if not environ.get(setting.name, "").strip():
        return ()
    return tuple(map(str, setting.read(environ).networks))


def load(environ: Mapping[str, str], cores: int = 2) -> StackSettings:
    """Raises SettingError for the first value that is not allowed, the application's included."""
    refuse_later(environ)
    environ = with_new_names(environ)
    given = StackOptions.read(environ, cores)
    bases = integer(1, 65536 - given.instances)
    found = StackSettings(
        host=given.host,
        port=given.port,
        proxy_port=given.proxy_port,
        admin_port=given.admin_port,
        port_base=Setting("HELIOGRAPH_PORT_BASE", bases, 8100, "").read(environ),
        instances=given.instances,
        nginx=given.nginx,
        trusted=_balancers(environ),
        private=given.private,
        log=environ.get("HELIOGRAPH_LOG", "").strip(),
        app=given.app,
        command=given.command,
        health=given.health,
        reload=given.reload,
        pythonpath=given.pythonpath,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        tls_port=given.tls_port,
        static=given.static,
    )
    # PORT is a platform's, for one process.
    load_groups(Given(environ).changed(PORT=""), groups(environ), cores)
    return found


def with_new_names(environ: Mapping[str, str]) -> Given:
    """What is set by an old name, by the new one too. A variable wins over the file, as always, and then the new name."""
    given = Given(environ)
    for old, new in RENAMED.items():
        if not given.get(old, "").strip():
            continue
        wins = new in given.origins and old not in given.origins
        if wins or not given.get(new, "").strip():
            given = Given({**given, new: given[old]}, {**given.origins, new: where(given, old)})
    return given


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """A warning for each HELIOGRAPH_ variable and key of the file that nothing reads, naming the nearest one that exists."""
    known = names(groups(environ))
    warnings = []
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in known | LATER):
        shown = where(environ, name)
        if name in RENAMED:
            new = RENAMED[name] if shown == name else RENAMED[name].removeprefix(PREFIX).lower()
            warnings.append(f"{shown} is called {new} now; the old name is read until 0.3")
            continue
        near = difflib.get_close_matches(name, sorted(known), 1, RESEMBLANCE)
        nearest = near[0] if near and shown == name else "".join(near).removeprefix(PREFIX).lower()
        hint = f"; did you mean {nearest}?" if near else ""
        warnings.append(f"{shown} is not a setting of Heliograph and is ignored{hint}")
    return warnings
