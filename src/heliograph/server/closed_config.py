"""Gunicorn's configuration of an instance that is known to serve channels: listening for everybody is refused before it is bound.

An application that uses `heliograph.server.config` is refused as well, by itself, once its worker has loaded it.
"""

from heliograph.request.options import AccessOptions
from heliograph.server import config as _config  # `config` is a setting of Gunicorn's
from heliograph.server import guard
from heliograph.server.config import *  # noqa: F403  every public name is a setting of Gunicorn's
from heliograph.server.options import refuse_open_port
from heliograph.settings import environment, exit_on_error

with exit_on_error():
    refuse_open_port(environment())


def _refuse_open(server: object, addresses: list[guard.Address]) -> None:
    try:
        with exit_on_error():
            guard.refuse_open(_config.settings[AccessOptions], addresses, "--bind")
    except SystemExit:
        if pidfile := server.pidfile:  # type: ignore[attr-defined]
            pidfile.unlink()
        raise


def on_starting(server: object) -> None:  # type: ignore[no-redef]
    # Nothing is bound yet.
    _refuse_open(server, server.cfg.address)  # type: ignore[attr-defined]
    _config.on_starting(server)


def when_ready(server: object) -> None:
    # Sockets may come from systemd, from the Gunicorn before us, or by descriptor: these were bound elsewhere.
    _refuse_open(server, [listener.sock.fileno() for listener in server.LISTENERS])  # type: ignore[attr-defined]
