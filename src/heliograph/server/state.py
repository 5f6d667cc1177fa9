"""What one server knows of its connections: whether it stops, its open WebSockets, and who waits for another request.

It belongs to the server, of pywsgi or Gunicorn, and is in the environ of each request under SERVER_STATE.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from heliograph.request.environ import CONNECTIONS, SERVER_STATE
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.options import RequestOptions
from heliograph.server.shutdown import shut_down
from heliograph.settings import environment
from heliograph.websocket.registry import ConnectionRegistry

#: Seconds. Longer than the proxy keeps its idle connections (1 s), so that we never close one that it is about to use.
IDLE_TIMEOUT = 75.0


class ServerState:
    """Of one process, for all its listeners. `stop` begins the shutdown, also of the applications that it hosts."""

    def __init__(self) -> None:
        self.lifecycle = Lifecycle()
        self.connections = ConnectionRegistry()
        #: Seconds a kept-alive connection may be silent between requests; 0: none is kept alive.
        self.idle_timeout = IDLE_TIMEOUT
        #: Called with the handler after each answer, where somebody wants to know.
        self.on_answer: Callable[[Any], None] | None = None
        #: The sockets of connections on which nothing has come since the last request.
        self.idle: set[Any] = set()
        self.lifecycle.on_stop(lambda: shut_down(self.connections, self.idle))

    @cached_property
    def instance(self) -> str:
        """The name of this instance, for answers that no application gave."""
        name: str = RequestOptions.definitions["instance"].read(environment())
        return name

    @property
    def stopping(self) -> bool:
        return self.lifecycle.stopping

    def stop(self) -> None:
        """Never waits."""
        self.lifecycle.stop()

    def environ(self) -> dict[str, Any]:
        """What the environ of each request has of it."""
        return {SERVER_STATE: self, CONNECTIONS: self.connections}


def state_of(server: Any) -> ServerState:
    """That of a pywsgi server; a new one where it was made without."""
    found = server.environ.get(SERVER_STATE)
    if found is None:
        found = ServerState()
        server.environ.update(found.environ())
    assert isinstance(found, ServerState)
    return found
