"""`heliograph run`: settings to plans, plans to a running stack of the project in a folder."""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from heliograph_proxy.limits import raise_descriptor_limit
from heliograph_proxy.loopback import is_loopback

from heliograph.given import Given, SettingError, where
from heliograph.request.options import RequestOptions
from heliograph.settings import NotAllowed, environment
from heliograph.stack import control, files, folder, machine, nginx, notify, ports, render, sources, terminal
from heliograph.stack import options as configuration
from heliograph.stack.folder import Folder
from heliograph.stack.front import Tls
from heliograph.stack.inherited import code_folders, inherited
from heliograph.stack.journal import Journal
from heliograph.stack.lines import LineForm, Style
from heliograph.stack.listeners import Listeners
from heliograph.stack.manager import Manager
from heliograph.stack.options import LOOPBACK, StackOptions, StackSettings
from heliograph.stack.part import Part
from heliograph.stack.plan import Layout, PartKind, Project, reachable, stages
from heliograph.stack.relay import StackLog
from heliograph.stack.reload import CodeWatch
from heliograph.stack.render import at
from heliograph.stack.sources import Sources
from heliograph.stack.spawning import Surroundings
from heliograph.stack.terminal import say


class NoProject(Exception):
    """There is nothing that could run. Its text is one line."""


Refusal = (NoProject, SettingError, ports.PortError, folder.StateError, render.RenderError, OSError)


def run(root: Path, options: Given) -> int:
    """Run the stack of the project in `root` until it is stopped, with options of a command line. The exit status."""
    try:
        environ = environment(options)
        settings = configuration.load(environ, os.cpu_count() or 1)
        settings = replace(settings, log=settings.log or _style().value)
        form = LineForm(Style(settings.log), [*settings.instance_ports, "proxy", "nginx"])
        log = StackLog(form)
        for warning in configuration.unknown_names(environ):
            log.say(f"warning: {warning}", level="warning")
        found = sources.find(root, environ)
        layout = layout_of(settings, root, found, environ)
        state = folder.of(root, environ)
        folder.refuse_running(state)
        ports.check(wanted(layout))
        claimed = folder.claim(state)
        try:
            RequestOptions.read(environ).require()
            served = replace(project(root, settings, environ), exposed=exposed(layout, environ))
            log.keep(Journal(claimed.path))
            return _run_in(claimed, layout, served, found, environ, log)
        finally:
            log.finish()
            claimed.release()
    except Refusal as exc:
        say(f"Heliograph does not start: {exc}")
        return 1


def _style() -> Style:
    """Text for people who look at it."""
    return Style.TEXT if os.isatty(1) else Style.JSON


def _run_in(
    claimed: Folder,
    layout: Layout,
    project: Project,
    found: Sources,
    environ: Mapping[str, str],
    log: StackLog,
) -> int:
    descriptors = raise_descriptor_limit()  # for all children too
    root = project.root
    write_configurations(claimed, layout, found, root, descriptors, log)
    planned = stages(layout, sys.executable, project, claimed.path)
    code = CodeWatch(code_folders(project, layout.settings), claimed.path) if layout.settings.reload else None
    publish = publisher(claimed, layout, log)
    listeners = Listeners()

    async def announce() -> None:
        log.say(machine.limits(descriptors))
        await terminal.announce(log, layout, shown(claimed.path, root))

    try:
        listeners.open(wanted(layout), {one for stage in planned for plan in stage for one in plan.sockets})
        listeners.commands = control.listening(claimed.path)
        around = Surroundings(root, inherited(environ, layout), listeners)
        manager = Manager(planned, around, log, publish, code)
        return asyncio.run(notify.supervised(manager, announce, notify.service_manager(environ)))
    finally:
        listeners.close()


def shown(path: Path, root: Path) -> Path:
    """A path below the project as its people know it."""
    return path.relative_to(root) if path.is_relative_to(root) else path


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
    for address in render.proxy_listen(found.proxy.read_text()):
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
    text = render.nginx_conf(read.nginx.read_text(), front_of(layout, "var", 0))
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


def write_configurations(
    claimed: Folder, layout: Layout, found: Sources, root: Path, descriptors: int, log: StackLog
) -> None:
    pattern = found.proxy.read_text()
    trusted = layout.settings.trusted
    text = render.proxy_toml(pattern, layout.proxy_listens, layout.admin_at, layout.backends, trusted)
    health = layout.settings.health if layout.settings.command else ""
    claimed.write("proxy.toml", render.for_stack(text, layout.private, layout.settings.log, health))
    if layout.nginx is None:
        return
    front = front_of(layout, os.path.relpath(claimed.path, root), descriptors)
    if (
        front.as_root
    ):  # nginx's user nobody could not enter the state folder, where its logs and temporary files are
        log.say("nginx runs its workers as root, as all parts of this stack do: start it as another user")
    claimed.write("nginx.conf", render.nginx_conf(found.nginx.read_text(), front))
    claimed.link("snippets", found.snippets)
    claimed.link("site.d", root / sources.ADDITIONS)
    claimed.keep_previous("nginx-access.log")


def publisher(claimed: Folder, layout: Layout, log: StackLog) -> Callable[[Sequence[Part]], None]:
    """Keeps stack.json true."""
    since = time.time()

    def publish(parts: Sequence[Part]) -> None:
        admin = f"http://{layout.admin_at}"
        state = {"pid": os.getpid(), "url": layout.front_url, "admin": admin, "since": since}
        try:
            claimed.publish({**state, "parts": [part.state() for part in parts]})
        except OSError as exc:  # a full disk is no reason to stop serving
            log.say(f"stack.json is not up to date: {exc}")

    return publish
