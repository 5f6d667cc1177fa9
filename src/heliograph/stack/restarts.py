"""What a reload cannot change: the manager's own sockets, parts and log are there from its start on."""

from __future__ import annotations

from collections.abc import Iterator

from heliograph.given import where
from heliograph.stack import folder, sources
from heliograph.stack.options import StackOptions
from heliograph.stack.reading import Configured, wanted

#: Settings of the manager that it reads at its start only, in the order in which they are looked at.
FIXED = ("instances", "host", "port", "proxy_port", "admin_port", "port_base", "log", "reload")


def needs_restart(running: Configured, new: Configured) -> str:
    """The first thing that has changed and that only a restart applies, as one line; nothing where there is none."""
    name = next(_changed(running, new), "")
    return name and f"{name} has changed, which takes a restart: `heliograph stop`, then `heliograph run`"


def _changed(running: Configured, new: Configured) -> Iterator[str]:
    before, now = running.layout, new.layout
    for attribute in FIXED:
        if getattr(before.settings, attribute) != getattr(now.settings, attribute):
            yield _named(new, running, attribute)
    if folder.of(running.project.root, running.environ) != folder.of(new.project.root, new.environ):
        yield _named(new, running, "state")
    if bool(before.settings.command) != bool(now.settings.command):
        yield _named(new, running, "command")
    if _module(running) != _module(new):
        yield _named(new, running, "settings")
    if before.nginx != now.nginx:
        yield _named(new, running, "nginx")
    if before.proxy_host != now.proxy_host:
        yield "conf/proxy.toml: listen"
    if now.nginx and running.found.snippets != new.found.snippets:
        yield sources.NGINX
    if bool(before.certificate) != bool(now.certificate):
        yield _named(new, running, "tls_cert")
    for other in {*wanted(before)} ^ {*wanted(now)}:
        yield other.variable


def _module(configured: Configured) -> str:
    """Of the application's own settings: once imported, it stays as it is."""
    found: str = StackOptions.definitions["settings"].read(configured.environ)
    return found


def _named(new: Configured, running: Configured, attribute: str) -> str:
    """As the person who set it calls it; one that is not set any more as it was called."""
    definition = StackOptions.definitions.get(attribute)
    name = definition.name if definition else f"HELIOGRAPH_{attribute.upper()}"
    return where(new.environ if new.environ.get(name) else running.environ, name)
