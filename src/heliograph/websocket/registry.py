"""The open WebSockets of one server, the timer that they share, and the end of all of them.

Our own server has one registry (`server.state`), and so has each application, for the WebSockets that come to it through another
server (`server.wrap`). All connections of a registry belong to one event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import gevent

from heliograph.request.pauses import pause
from heliograph.websocket import pings
from heliograph.websocket.frames import RESTART
from heliograph.websocket.memory import MemoryLimit
from heliograph.websocket.options import DEFAULT_MAX_MESSAGE, DEFAULT_MEMORY, WebSocketOptions
from heliograph.websocket.timers import TICK, TimerWheel

#: Close frames that are sent before other greenlets get a turn; each takes some 30 µs.
_CLOSED_AT_ONCE = 100


class Registered(Protocol):
    """A connection."""

    def close(self, code: int, reason: str) -> None: ...


class ConnectionRegistry:
    def __init__(self) -> None:
        #: The connections that are not closed.
        self.open: set[Registered] = set()
        #: Whether new ones are closed at once.
        self.stopping = False
        self.wheel = TimerWheel(_start_timer)
        self.memory = MemoryLimit(DEFAULT_MEMORY, _call_later)
        #: Bytes of the longest message that a client may send where its view says nothing else.
        self.max_message = DEFAULT_MAX_MESSAGE
        self._joined = 0

    def limit(self, options: WebSocketOptions) -> None:
        self.memory.limit, self.max_message = options.memory, options.max_message

    def add(self, connection: Registered) -> None:
        self.open.add(connection)
        self._joined += 1

    def first_ping(self) -> float:
        """Seconds until the first ping of the newest connection: those that come together are pinged at different times."""
        return pings.INTERVAL - (self._joined * TICK) % (pings.INTERVAL / 2)

    def stop(self) -> None:
        """Close every connection with 1012 (the clients may come back at once), also those that are opened later. Never waits."""
        self.stopping = True
        if self.open:
            gevent.spawn(_close_all, list(self.open))

    def close_if_stopping(self, connection: Registered) -> None:
        """For a connection that was opened after `stop`."""
        if self.stopping:
            _close(connection)


def _close_all(connections: Iterable[Registered]) -> None:
    for number, connection in enumerate(connections, 1):
        _close(connection)
        if number % _CLOSED_AT_ONCE == 0:
            pause()


def _close(connection: Registered) -> None:
    connection.close(RESTART, "service restart")


def _call_later(function: Callable[[], None]) -> None:
    gevent.get_hub().loop.run_callback(function)


def _start_timer(turn: Callable[[], None]) -> Callable[[], None]:
    # No reference: open connections alone do not keep an event loop from ending.
    timer: Any = gevent.get_hub().loop.timer(TICK, TICK, ref=False)
    timer.start(turn)

    def stop() -> None:
        timer.stop()
        timer.close()

    return stop
