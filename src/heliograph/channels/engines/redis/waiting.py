"""Connections for a process that gevent has not patched: redis-py's own sockets would hold the loop of the log while they wait.

Only connecting still does, for the seconds that it may take.
"""

from __future__ import annotations

import functools
from typing import Any

from gevent.socket import socket
from redis import connection as connections

from heliograph.channels.errors import LocationError


@functools.cache
def cooperative(kind: type[Any]) -> type[Any]:
    """The same kind of connection, with a socket that waits by the event loop. Raises LocationError where there is none."""
    if kind is connections.SSLConnection:
        raise LocationError("rediss:// needs a process that is patched by gevent: gevent.monkey.patch_all()")

    class Cooperative(kind):  # type: ignore[misc]
        def _connect(self) -> Any:
            made = super()._connect()
            timeout = made.gettimeout()
            own: Any = socket(made.family, made.type, made.proto, fileno=made.detach())
            own.settimeout(timeout)
            return own

    return Cooperative
