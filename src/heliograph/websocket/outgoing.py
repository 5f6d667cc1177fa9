"""The sending half of a connection. Nothing here waits but `send`.

What the kernel does not take at once goes to an outbox, and the write watcher empties it.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from enum import Enum
from typing import Any

from gevent.hub import get_hub
from geventwebsocket.exceptions import WebSocketError

from heliograph.websocket.frames import PING_FRAME, TOO_SLOW
from heliograph.websocket.outbox import Entry, Outbox

#: Bytes that may wait behind broadcasts for one peer. One longer message may, when nothing waits.
MAX_OFFERED = 1 << 20

READ, WRITE = 1, 2  # the event bits of loop.io()


class State(Enum):
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


OPEN, CLOSING, CLOSED = State


class Outgoing(ABC):
    __slots__ = ("_alive", "_outbox", "_sock", "_writer", "state")

    def __init__(self, sock: socket.socket) -> None:
        self.state = OPEN
        self._sock = sock
        self._outbox: Outbox | None = None
        self._writer: Any = None
        #: Set when the peer gives any sign of life.
        self._alive = False

    def send(self, frame: bytes) -> None:
        """Send a frame; wait while the peer takes none. Raises WebSocketError when it will not arrive."""
        if self.state is not OPEN:
            raise WebSocketError("the connection is closed")
        sent = 0
        if self._outbox is None:
            try:
                sent = self._sock.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError as exc:
                self.abort()
                raise WebSocketError("the peer is gone") from exc
            if sent == len(frame):
                return
        if not self._queue(frame, sent).wait():
            raise WebSocketError("the connection is closed")

    def offer(self, frame: bytes) -> None:
        """Send a frame sooner or later, without waiting. A peer for which too much waits already is closed with 3008."""
        if self.state is not OPEN:
            return
        outbox = self._outbox
        if outbox is not None and outbox.offered and outbox.offered + len(frame) > MAX_OFFERED:
            outbox.drop()
            self.close(TOO_SLOW, "too slow")
        else:
            self._post(frame, offered=True)

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Begin the close handshake."""

    @abstractmethod
    def abort(self) -> None:
        """End it at once, as when the peer is gone."""

    @abstractmethod
    def _drained(self) -> None:
        """Called when everything is out."""

    def _post(self, frame: bytes, *, offered: bool = False) -> None:
        """Send a frame sooner or later."""
        sent = 0
        if self._outbox is None:
            try:
                sent = self._sock.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.abort()
                return
            if sent == len(frame):
                return
        self._queue(frame, sent, offered=offered)

    def _control(self, frame: bytes) -> None:
        """Send a ping or pong. While others wait, only the last pong waits with them, and no ping: their progress tells as much."""
        if self._outbox is None:
            self._post(frame)
        elif frame is not PING_FRAME:
            self._outbox.pong = frame

    def _queue(self, frame: bytes, sent: int, *, offered: bool = False) -> Entry:
        if self._outbox is None:
            self._outbox = Outbox()
            self._writer = get_hub().loop.io(self._sock.fileno(), WRITE)
            self._writer.start(self._writable)
        return self._outbox.add(frame, sent, offered=offered)

    def _writable(self) -> None:
        outbox = self._outbox
        if outbox is None:
            return
        self._alive = True
        try:
            drained = outbox.flush(self._sock.send)
        except OSError:
            self.abort()
            return
        if drained and self._outbox is outbox:
            self._forget_outbox()
            self._drained()

    def _forget_outbox(self) -> None:
        if self._outbox is not None:
            self._outbox.drop(all_of_it=True)
            self._outbox = None
            self._writer.stop()
            self._writer.close()
            self._writer = None

    def _shut_down(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:  # the peer was faster
            return
