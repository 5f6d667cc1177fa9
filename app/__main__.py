from gevent import monkey
monkey.patch_all()

# `python -m app`: the application on gevent's own pywsgi, for developing. Listens where an instance would.

import argparse
import signal
import sys

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from app.application import GROUPS, announce, create_app
from heliograph.request.loopwatch import watch_loop
from heliograph.request.options import AccessOptions
from heliograph.server import guard
from heliograph.server.handler import Handler
from heliograph.server.options import instance_address, refuse_open_port
from heliograph.server.state import state_of
from heliograph.settings import PORT, NotAllowed, Settings, environment, exit_on_error, from_environment

#: Seconds for requests and WebSockets to end after a signal, as under Gunicorn.
GRACE = 7

#: Connections at once, as under Gunicorn. Without a bound, pywsgi would not wait for them when it stops either.
MAX_CONNECTIONS = 21_000


def main() -> int:
    settings = from_environment(GROUPS)
    with exit_on_error():
        address = _address(settings)
    server = WSGIServer(address, create_app(settings), spawn=MAX_CONNECTIONS, handler_class=Handler, log=None)
    try:
        server.start()
    except OSError as exc:
        print(f"{address[0]}:{address[1]}: {exc.strerror}", file=sys.stderr)
        return 1
    announce(settings)
    watch_loop()
    stop = Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(signum, stop.set)
    for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        gevent.signal_handler(signum, print, f"{signum.name}: ignored, it has no meaning here", flush=True)
    print(f"http://{address[0]}:{address[1]}", flush=True)
    stop.wait()
    state_of(server).stop()
    server.stop(timeout=GRACE)
    return 0


def _address(settings: Settings) -> tuple[str, int]:
    """Where to listen: the options, else what an instance would take. Raises SettingError."""
    parser = argparse.ArgumentParser(prog="python -m app", description="The application, for developing.")
    parser.add_argument("--host", help="default: 127.0.0.1, or all addresses where $PORT is set")
    parser.add_argument("--port", type=_port, help="default: 8100, or $PORT")
    given = parser.parse_args()
    host, port = instance_address(environment())
    if given.host is None:
        refuse_open_port(environment())
    else:
        guard.refuse_open(settings[AccessOptions], [(given.host, 0)], "--host")
    return given.host or host, given.port or port


def _port(text: str) -> int:
    try:
        return PORT.parse(text)
    except NotAllowed as exc:
        raise argparse.ArgumentTypeError(PORT.allowed) from exc


if __name__ == "__main__":
    sys.exit(main())
