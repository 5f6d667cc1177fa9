"""Settings of a process that serves: where it listens. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from heliograph.request.options import refuse_open_listening
from heliograph.settings import PORT, Options, option

#: All IPv4 addresses: platforms that set $PORT connect from elsewhere.
EVERYWHERE = "0.0.0.0"


class ServerOptions(Options):
    """Where an instance listens."""

    port: int = option(PORT, 0, "the port on all addresses; platforms set it", name="PORT")
    port_base: int = option(PORT, 8100, "the port of the first instance; the others follow")


def instance_address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Where an instance listens by itself: ``$PORT`` on all addresses (platforms set it), else the stack's first."""
    found = ServerOptions.read(environ)
    return (EVERYWHERE, found.port) if found.port else ("127.0.0.1", found.port_base)


def refuse_open_port(environ: Mapping[str, str]) -> None:
    """Raise SettingError where ``$PORT`` would open an application with channels to everybody."""
    refuse_open_listening(environ, instance_address(environ)[0], "PORT")
