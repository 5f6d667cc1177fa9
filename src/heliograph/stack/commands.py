"""`heliograph run`: settings to plans, plans to a running stack of the project in a folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from heliograph_proxy.limits import raise_descriptor_limit

from heliograph.request.options import RequestOptions
from heliograph.settings import SettingError, environment
from heliograph.stack import folder, machine, ports, render
from heliograph.stack import options as configuration
from heliograph.stack.folder import Folder
from heliograph.stack.manager import Manager
from heliograph.stack.options import LOOPBACK, StackSettings
from heliograph.stack.part import Part
from heliograph.stack.plan import Layout, PartKind, Project, stages
from heliograph.stack.terminal import announcement, say, show

#: Debian puts nginx where the PATH of ordinary users does not lead.
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

#: What the parts of a stack are started with.
CONFIGURATIONS = ("conf/gunicorn.conf.py", "conf/proxy.toml")


class NoProject(Exception):
    """There is nothing to run in this folder. Its text is one line."""


Refusal = (NoProject, SettingError, ports.PortError, folder.TooManyStacks, render.RenderError, OSError)


def run(root: Path, app: str) -> int:
    """Run the stack of the project in `root` until it is stopped. The exit status."""
    environ = environment()
    try:
        require_project(root)
        settings = configuration.load(environ, os.cpu_count() or 1)
        RequestOptions.read(environ).require()
        for warning in configuration.unknown_names(environ):
            say(f"warning: {warning}")
        layout = Layout(settings, find_nginx(settings))
        ports.check(wanted(layout))
        claimed = folder.claim(root)
        try:
            return _run_in(claimed, layout, Project(root, app), environ)
        finally:
            claimed.release()
    except Refusal as exc:
        say(f"Heliograph does not start: {exc}")
        return 1


def require_project(root: Path) -> None:
    """Raise NoProject where a folder lacks the configurations that a stack is made from."""
    for name in CONFIGURATIONS:
        if not (root / name).is_file():
            raise NoProject(f"{root} has no {name}; call it in the folder of a project")


def _run_in(claimed: Folder, layout: Layout, project: Project, environ: Mapping[str, str]) -> int:
    descriptors = raise_descriptor_limit()  # for all children too
    root = project.root
    write_configurations(claimed, layout, root, descriptors)
    planned = stages(layout, sys.executable, project, claimed.path)
    inherited = {**environ}
    inherited.pop("PORT", None)  # a platform's, for one process; here the settings say who listens where
    manager = Manager(planned, root, inherited, say, publisher(claimed, layout))
    limits = machine.limits(descriptors)
    return asyncio.run(
        manager.run(lambda: show(announcement(layout, limits, claimed.path.relative_to(root))))
    )


def find_nginx(settings: StackSettings) -> str | None:
    if settings.nginx == "0":
        return None
    found = shutil.which("nginx") or shutil.which("nginx", path=SYSTEM_PATH)
    if not found and settings.nginx == "1":
        raise SettingError(
            "HELIOGRAPH_NGINX", "1", "there is no nginx binary here; install it, or allow auto or 0"
        )
    return found


def wanted(layout: Layout) -> list[ports.Wanted]:
    """Every port this stack listens on."""
    settings = layout.settings
    found = [
        ports.Wanted(layout.host(PartKind.PROXY), settings.proxy_port, "HELIOGRAPH_PROXY_PORT", "the proxy"),
        ports.Wanted(LOOPBACK, settings.admin_port, "HELIOGRAPH_ADMIN_PORT", "the proxy's admin listener"),
    ]
    if layout.nginx:
        found.insert(0, ports.Wanted(settings.host, settings.nginx_port, "HELIOGRAPH_NGINX_PORT", "nginx"))
    for name, port in settings.instance_ports.items():
        found.append(ports.Wanted(LOOPBACK, port, "HELIOGRAPH_PORT_BASE", f"instance {name}"))
    return found


def write_configurations(claimed: Folder, layout: Layout, root: Path, descriptors: int) -> None:
    pattern = (root / "conf/proxy.toml").read_text()
    trusted = layout.settings.trusted
    text = render.proxy_toml(pattern, layout.proxy_at, layout.admin_at, layout.backends, trusted)
    claimed.write("proxy.toml", text)
    if layout.nginx is None:
        return
    as_root = os.geteuid() == 0
    if (
        as_root
    ):  # nginx's user nobody could not enter the state folder, where its logs and temporary files are
        say("nginx runs its workers as root, as all parts of this stack do: start it as another user")
    front = render.Front(
        listen=layout.nginx_at,
        proxy=layout.proxy_at,
        var=str(claimed.path.relative_to(root)),
        as_root=as_root,
        descriptors=descriptors,
        trusted=trusted,
    )
    claimed.write("nginx.conf", render.nginx_conf((root / "nginx/nginx.conf").read_text(), front))
    claimed.link("snippets", root / "nginx/snippets")
    claimed.keep_previous("nginx-access.log")


def publisher(claimed: Folder, layout: Layout) -> Callable[[Sequence[Part]], None]:
    """Keeps stack.json true."""

    def publish(parts: Sequence[Part]) -> None:
        state = {"pid": os.getpid(), "url": layout.front_url, "admin": f"http://{layout.admin_at}"}
        try:
            claimed.publish({**state, "parts": [part.state() for part in parts]})
        except OSError as exc:  # a full disk is no reason to stop serving
            say(f"stack.json is not up to date: {exc}")

    return publish
