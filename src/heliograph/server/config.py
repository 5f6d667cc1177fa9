"""Gunicorn's configuration of one instance: `gunicorn -c python:heliograph.server.config wsgi:app`.

Plain assignments, a reason at every number. Importing it patches the process, as an instance needs it.
"""

from gevent import monkey
from heliograph.server import plugins
with plugins.read_once():
    monkey.patch_all()  # Gunicorn's arbiter imports ssl, and the application must find everything patched

import gc
import os

from heliograph_proxy.limits import raise_descriptor_limit
from heliograph.options import LIBRARY
from heliograph.server.options import instance_address
from heliograph.settings import environment, exit_on_error, from_environment

# All settings of the library, so that a wrong one ends the start before there is a worker.
settings = from_environment(LIBRARY)
with exit_on_error():
    _host, _port = instance_address(environment())

bind = f"{_host}:{_port}"

# One worker an instance: what an instance knows (its WebSockets, its metrics) is in one process, and the proxy, which sees
# health and load, spreads requests better than the kernel does.
workers = 1
worker_class = "heliograph.server.worker.Worker"

# Connections, not requests: most of them wait. The proxy sends at most 1,000 requests and 20,000 tunnels to a backend.
worker_connections = 21_000

# Pending connections while the worker is busy for a moment; the kernel caps it at net.core.somaxconn.
backlog = 4096

# The arbiter kills a worker whose event loop stood still this long. Nothing blocks the loop for even a second.
timeout = 30

# Seconds for requests and WebSockets to end after SIGTERM. The whole stack stops within 12.
graceful_timeout = 7

# Longer than the proxy keeps its idle connections (1 s), so that none is closed that it is about to use.
keepalive = 75

# The heartbeat file must not be on a disk that can make it wait.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None

# Instances are many and their manager steers them with signals; the socket would be one file for all of them.
control_socket_disable = True

# The application writes the access log, with request ids.
accesslog = None


# In the format of our logs; it also refuses the options that would be ignored.
logger_class = "heliograph.server.gunicorn_log.InstanceLogger"


def post_worker_init(worker: object) -> None:
    # What is there now stays: each full collection would look through all of it, and the loop would stand for 15 ms.
    gc.collect()
    gc.freeze()


def on_starting(server: object) -> None:
    limit = raise_descriptor_limit()
    server.log.info(  # type: ignore[attr-defined]
        "limits: %d open descriptors, %d connections a worker, %d pending ones", limit, worker_connections, backlog
    )
