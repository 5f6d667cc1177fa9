"""`heliograph run`: settings to plans, plans to a running stack of the project in a folder."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from heliograph_proxy.limits import raise_descriptor_limit

from heliograph.given import Given
from heliograph.request.options import RequestOptions
from heliograph.settings import environment
from heliograph.stack import control, folder, machine, notify, options, ports, reading, sources, terminal
from heliograph.stack.folder import Folder
from heliograph.stack.inherited import code_folders
from heliograph.stack.journal import Journal
from heliograph.stack.lines import LineForm, Style
from heliograph.stack.listeners import Listeners
from heliograph.stack.manager import Manager
from heliograph.stack.notify import ServiceManager
from heliograph.stack.part import Part
from heliograph.stack.plan import Layout
from heliograph.stack.reading import NGINX_CONF, Configured, Refusal, wanted
from heliograph.stack.relay import StackLog
from heliograph.stack.reload import CodeWatch
from heliograph.stack.reloading import Reloading
from heliograph.stack.spawning import Surroundings
from heliograph.stack.terminal import say


def run(root: Path, given: Given) -> int:
    """Run the stack of the project in `root` until it is stopped, with options of a command line. The exit status."""

    def read() -> Configured:
        return reading.read(root, environment(given), style)

    style = _style().value
    try:
        configured = read()
        environ, settings = configured.environ, configured.layout.settings
        log = StackLog(LineForm(Style(settings.log), [*settings.instance_ports, "proxy", "nginx"]))
        for warning in options.unknown_names(environ):
            log.say(f"warning: {warning}", level="warning")
        state = folder.of(root, environ)
        folder.refuse_running(state)
        ports.check(wanted(configured.layout))
        claimed = folder.claim(state)
        try:
            RequestOptions.read(environ).require()
            log.keep(Journal(claimed.path))
            return _run_in(claimed, configured, read, log)
        finally:
            log.finish()
            claimed.release()
    except Refusal as exc:
        say(f"Heliograph does not start: {exc}")
        return 1


def _style() -> Style:
    """Text for people who look at it."""
    return Style.TEXT if os.isatty(1) else Style.JSON


def _run_in(claimed: Folder, configured: Configured, read: Callable[[], Configured], log: StackLog) -> int:
    descriptors = raise_descriptor_limit()  # for all children too
    layout, project = configured.layout, configured.project
    service = notify.service_manager(configured.environ)
    write_configurations(claimed, configured, descriptors, log)
    reloading = Reloading(claimed, configured, read, descriptors, service, log)
    planned = configured.stages(claimed.path)
    code = CodeWatch(code_folders(project, layout.settings), claimed.path) if layout.settings.reload else None
    publish = publisher(claimed, layout, log)
    listeners = Listeners()

    async def announce() -> None:
        log.say(machine.limits(descriptors))
        await terminal.announce(log, layout, shown(claimed.path, project.root))

    try:
        listeners.open(wanted(layout), {one for stage in planned for plan in stage for one in plan.sockets})
        listeners.commands = control.listening(claimed.path)
        around = Surroundings(project.root, configured.inherited, listeners)
        manager = Manager(planned, around, log, publish, code, reloading)
        return asyncio.run(_supervised(manager, announce, service))
    finally:
        listeners.close()


async def _supervised(
    manager: Manager, announce: Callable[[], Awaitable[None]], service: ServiceManager
) -> int:
    """Run the manager, and tell systemd of it. The exit status."""

    async def ready() -> None:
        await announce()
        service.ready()

    with service.alive():
        return await manager.run(ready, service.stopping)


def shown(path: Path, root: Path) -> Path:
    """A path below the project as its people know it."""
    return path.relative_to(root) if path.is_relative_to(root) else path


def write_configurations(claimed: Folder, configured: Configured, descriptors: int, log: StackLog) -> None:
    texts = configured.rendered(claimed.path, descriptors)
    for name, text in texts.items():
        claimed.write(name, text)
    if NGINX_CONF not in texts:
        return
    if os.geteuid() == 0:  # nginx's user nobody could not enter the state folder, where its logs are
        log.say("nginx runs its workers as root, as all parts of this stack do: start it as another user")
    claimed.link("snippets", configured.found.snippets)
    claimed.link("site.d", configured.project.root / sources.ADDITIONS)
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
