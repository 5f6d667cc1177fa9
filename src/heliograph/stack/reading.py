"""Settings and files of a project as they are now: what its stack is to be, and the configurations of proxy and nginx for it."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from heliograph_proxy.loopback import is_loopback

from heliograph.given import Given, SettingError, where
from heliograph.settings import NotAllowed
from heliograph.stack import files, folder, nginx, ports, render, sources
from heliograph.stack import options as configuration
from heliograph.stack.front import Tls
from heliograph.stack.inherited import inherited
from heliograph.stack.options import LOOPBACK, StackOptions, StackSettings
from heliograph.stack.plan import Layout, PartKind, Plan, Project, reachable, stages
from heliograph.stack.render import at
from heliograph.stack.sources import Sources, text_of
from heliograph.stack.terminal import say


class NoProject(Exception):
    """There is nothing that could run. Its text is one line."""


Refusal = (NoProject, SettingError, ports.PortError, folder.StateError, render.RenderError, OSError)

#: The rendered configurations, in the state folder.
PROXY_TOML, NGINX_CONF = "proxy.toml", "nginx.conf"


@dataclass(frozen=True)
class Configured:
    """A stack as its settings and files want it."""

    environ: Given
    found: Sources
    layout: Layout
    project: Project

    @property
    def inherited(self) -> dict[str, str]:
        """The environment of all parts."""
        return inherited(self.environ, self.layout)

    def stages(self, var: Path) -> list[list[Plan]]:
        return stages(self.layout, sys.executable, self.project, var)

    def rendered(self, var: Path, descriptors: int) -> dict[str, str]:
        """The configurations of proxy and nginx, by their names in the state folder. Raises a Refusal."""
        layout, root = self.layout, self.project.root
        settings = layout.settings
        pattern = text_of(self.found.proxy)
        text = render.proxy_toml(
            pattern, layout.proxy_listens, layout.admin_at, layout.backends, settings.trusted
        )
        health = settings.health if settings.command else ""
        texts = {PROXY_TOML: render.for_stack(text, layout.private, settings.log, health)}
        if layout.nginx:
            front = front_of(layout, os.path.relpath(var, root), descriptors)
            texts[NGINX_CONF] = render.nginx_conf(text_of(self.found.nginx), front)
        return texts


def read(root: Path, environ: Given, style: str) -> Configured:
    """Raises a Refusal. `style`: the format of the log where none is set."""
    settings = configuration.load(environ, os.cpu_count() or 1)
    settings = replace(settings, log=settings.log or style)
    found = sources.find(root, environ)
    layout = layout_of(settings, root, found, environ)
    served = replace(project(root, settings, environ), exposed=exposed(layout, environ))
    return Configured(environ, found, layout, served)


def layout_of(settings: StackSettings, root: Path, found: Sources, environ: Mapping[str, str]) -> Layout:
    """Who listens where, once everything that is set was looked at."""
    layout = Layout(
        settings,
        nginx.find(settings.nginx),
        proxy_host(found),
        certificate=files.certificate(settings, root, environ),
        static=files.static_folders(settings, root, environ),
    )
    require_nginx(layout, environ)
    return replace(layout, listens=other_listens(layout, found))


def require_nginx(layout: Layout, environ: Mapping[str, str]) -> None:
    """Raise SettingError where something is set that only nginx does, and there is none; files can be asked of the application."""
    if layout.nginx:
        return
    if layout.certificate:
        name = where(environ, "HELIOGRAPH_TLS_CERT")
        raise SettingError(name, layout.settings.tls_cert, "HTTPS needs nginx, which is left out or not here")
    if layout.static:
        say(f"warning: {where(environ, 'HELIOGRAPH_STATIC')} has no effect without nginx")


def wanted(layout: Layout) -> list[ports.Wanted]:
    """Every port this stack listens on."""
    settings = layout.settings
    found = [
        ports.Wanted(
            layout.host(PartKind.PROXY), settings.proxy_port, "HELIOGRAPH_PROXY_PORT", "the proxy", both=True
        ),
        ports.Wanted(LOOPBACK, settings.admin_port, "HELIOGRAPH_ADMIN_PORT", "the proxy's admin listener"),
    ]
    if layout.nginx:
        found.insert(0, ports.Wanted(settings.host, settings.port, "HELIOGRAPH_PORT", "nginx"))
    elif layout.proxy_at != layout.front_at:
        found.insert(
            0, ports.Wanted(settings.host, settings.port, "HELIOGRAPH_PORT", "the layer in front", both=True)
        )
    if layout.certificate:
        found.append(ports.Wanted(settings.host, settings.tls_port, "HELIOGRAPH_TLS_PORT", "HTTPS"))
    for listen in layout.listens:
        found.append(ports.Wanted(listen.host, listen.port, "listen in nginx/nginx.conf", "nginx"))
    for name, port in settings.instance_ports.items():
        found.append(ports.Wanted(LOOPBACK, port, "HELIOGRAPH_PORT_BASE", f"instance {name}"))
    return found


def project(root: Path, settings: StackSettings, environ: Mapping[str, str]) -> Project:
    """Raises SettingError for a folder of the import path that is not there."""
    folders = [str((root / one).resolve()) for one in settings.pythonpath]
    for given, found in zip(settings.pythonpath, folders, strict=True):
        if not Path(found).is_dir():
            name = StackOptions.definitions["pythonpath"].name
            raise SettingError(where(environ, name), given, "folders that are there are allowed")
    before = [environ["PYTHONPATH"]] if environ.get("PYTHONPATH") else []
    path = os.pathsep.join([*folders, *before]) if folders else ""
    return Project(root, settings.app, gunicorn(), path)


def gunicorn() -> tuple[str, ...]:
    """Gunicorn's command, run by our Python.

    Not `python -m gunicorn`: at SIGUSR2 it would start itself anew by the path of a file in its own folder, whose `http` then
    hides the library's.
    """
    folders = Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))
    for script in chain((one / "gunicorn" for one in folders), _installed_gunicorn()):
        if script.is_file():
            return (sys.executable, str(script))
    raise NoProject(
        f"there is no command gunicorn beside {sys.executable}; install the package gunicorn anew"
    )


def _installed_gunicorn() -> Iterator[Path]:
    """Where the package's own list of files has the command."""
    from importlib import metadata  # noqa: PLC0415 (large, and needed for unusual installations only)

    for file in metadata.distribution("gunicorn").files or ():
        if file.name == "gunicorn" and file.parent.name == "bin":
            yield Path(str(file.locate()))


def proxy_host(found: Sources) -> str:
    """The host on which the proxy's configuration wants it to listen; the ports are settings of the stack."""
    for address in render.proxy_listen(text_of(found.proxy)):
        host, port, _ = address.rpartition(":")
        host = host.strip("[]")
        if port and not address.startswith("unix:") and not is_loopback(host):
            try:
                return configuration.PUBLIC.parse(host)
            except NotAllowed as exc:
                raise SettingError("conf/proxy.toml: listen", address, configuration.PUBLIC.allowed) from exc
    return LOOPBACK


def other_listens(layout: Layout, read: Sources) -> tuple[render.Listen, ...]:
    """What else nginx's configuration listens on, such as the port for TLS where its block is in use."""
    if layout.nginx is None:
        return ()
    text = render.nginx_conf(text_of(read.nginx), front_of(layout, "var", 0))
    found = []
    for listen in render.listens(text):
        shown = f"{listen.host}:{listen.port}"
        for host in ports.addresses(listen.host, "nginx/nginx.conf: listen", shown):
            found.append(replace(listen, host=host))
    own = {(layout.settings.host, layout.settings.port)}
    if layout.certificate:
        own.add((layout.settings.host, layout.settings.tls_port))
    return tuple(one for one in dict.fromkeys(found) if (one.host, one.port) not in own)


def exposed(layout: Layout, environ: Mapping[str, str]) -> str:
    """The first address beyond loopback, as what sets it has it; nothing where all are this machine's."""
    found = [
        (where(environ, "HELIOGRAPH_HOST"), layout.settings.host, layout.settings.host),
        ("conf/proxy.toml: listen", layout.proxy_host, layout.proxy_at),
        *(("nginx/nginx.conf: listen", one.host, at(one.host, one.port)) for one in layout.listens),
    ]
    return next((f"{name}={shown}" for name, host, shown in found if not is_loopback(host)), "")


def front_of(layout: Layout, var: str, descriptors: int) -> render.Front:
    settings = layout.settings
    return render.Front(
        listen=layout.front_at,
        proxy=at(reachable(layout.host(PartKind.PROXY)), settings.proxy_port),
        var=var,
        as_root=os.geteuid() == 0,
        descriptors=descriptors,
        trusted=settings.trusted,
        private=settings.private,
        log=settings.log,
        tls=tls_of(layout),
        static=layout.static,
    )


def tls_of(layout: Layout) -> Tls | None:
    if layout.certificate is None or layout.nginx is None:
        return None
    return Tls(layout.tls_at, layout.certificate, nginx.version(layout.nginx) >= nginx.HTTP2_DIRECTIVE)
