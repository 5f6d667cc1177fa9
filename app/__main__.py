from gevent import monkey
monkey.patch_all()

# `python -m app`: the application on gevent's own pywsgi, for developing. Listens where an instance would.

import signal
import sys

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from app.application import GROUPS, announce, create_app
from heliograph.server.handler import Handler
from heliograph.server.options import instance_address
from heliograph.server.state import state_of
from heliograph.settings import environment, exit_on_error, from_environment

#: Seconds for requests and WebSockets to end after a signal, as under Gunicorn.
GRACE = 7

#: Connections at once, as under Gunicorn. Without a bound, pywsgi would not wait for them when it stops either.
MAX_CONNECTIONS = 21_000


def main() -> int:
    settings = from_environment(GROUPS)
    with exit_on_error():
        address = instance_address(environment())
    server = WSGIServer(address, create_app(settings), spawn=MAX_CONNECTIONS, handler_class=Handler, log=None)
    try:
        server.start()
    except OSError as exc:
        print(f"{address[0]}:{address[1]}: {exc.strerror}", file=sys.stderr)
        return 1
    announce(settings)
    print(f"http://{address[0]}:{address[1]}", flush=True)
    stop = Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(signum, stop.set)
    stop.wait()
    state_of(server).stop()
    server.stop(timeout=GRACE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
