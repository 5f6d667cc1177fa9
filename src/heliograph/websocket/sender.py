"""The sending half of a connection. Nothing here waits but `send`.

What the kernel does not take at once goes to an outbox, which exists only while something waits; the write watcher empties it.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from typing import Any, Protocol

from gevent.hub import get_hub
from geventwebsocket.exceptions import WebSocketError

from heliograph.websocket.frames import PING_FRAME
from heliograph.websocket.outbox import Outbox, QueuedFrame
from heliograph.websocket.pings import Heartbeat

#: Bytes that may wait behind broadcasts for one peer. One longer message may, when nothing waits.
MAX_OFFERED = 1 << 20

_WRITE = 2  # the event bit of loop.io()


class SenderOwner(Protocol):
    """The connection whose sender this is."""

    def abort(self) -> None:
        """The peer is gone."""

    def on_drained(self) -> None:
        """Nothing waits any more."""

    def account(self) -> None:
        """What waits has changed."""


class Sender:
    __slots__ = ("_heartbeat", "_outbox", "_owner", "_sock", "_watcher")

    def __init__(self, sock: socket.socket, heartbeat: Heartbeat, owner: SenderOwner) -> None:
        """`sock` does not block."""
        self._sock = sock
        self._heartbeat = heartbeat
        #: None once it is closed: so connection and sender do not keep each other alive.
        self._owner: SenderOwner | None = owner
        self._outbox: Outbox | None = None
        self._watcher: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._outbox is None

    @property
    def held(self) -> int:
        """Bytes that wait."""
        return 0 if self._outbox is None else self._outbox.size

    def send(self, frame: bytes) -> None:
        """Send a frame; wait while the peer takes none. Raises WebSocketError when it will not arrive."""
        sent = 0
        if self._outbox is None:
            try:
                sent = self._sock.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError as exc:
                self._lose_peer()
                raise WebSocketError("the peer is gone") from exc
            if sent == len(frame):
                return
        if not self._queue(frame, sent).wait():
            raise WebSocketError("the connection is closed")

    def post(self, frame: bytes, *, offered: bool = False) -> None:
        """Send a frame sooner or later, without waiting."""
        sent = 0
        if self._outbox is None:
            try:
                sent = self._sock.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._lose_peer()
                return
            if sent == len(frame):
                return
        self._queue(frame, sent, offered=offered)

    def offer(self, frame: bytes) -> bool:
        """Post a frame of a broadcast. False where too much waits already: what has not begun is dropped then."""
        outbox = self._outbox
        if outbox is not None and outbox.offered and outbox.offered + len(frame) > MAX_OFFERED:
            outbox.drop()
            return False
        self.post(frame, offered=True)
        return True

    def control(self, frame: bytes) -> None:
        """Post a ping or pong. While frames wait, only the last pong waits with them, and no ping: their progress tells as much."""
        if self._outbox is None:
            self.post(frame)
        elif frame is not PING_FRAME:
            self._outbox.pong = frame

    def unacknowledged(self) -> int:
        """Bytes that the kernel has taken from us and the peer's kernel has not acknowledged."""
        size: int = struct.unpack("i", fcntl.ioctl(self._sock, termios.TIOCOUTQ, b"    "))[0]
        return size

    def drop(self) -> None:
        """Drop what waits and has not begun."""
        if self._outbox is not None:
            self._outbox.drop()

    def close(self) -> None:
        """Drop what waits. Nothing may be sent after this."""
        self._owner = None
        self._forget_outbox()

    def _lose_peer(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.abort()

    def _queue(self, frame: bytes, sent: int, *, offered: bool = False) -> QueuedFrame:
        if self._outbox is None:
            self._outbox = Outbox()
            self._watcher = get_hub().loop.io(self._sock.fileno(), _WRITE)
            self._watcher.start(self._on_writable)
        entry = self._outbox.add(frame, sent, offered=offered)
        if self._owner is not None:
            self._owner.account()
        return entry

    def _on_writable(self) -> None:
        outbox, owner = self._outbox, self._owner
        if outbox is None or owner is None:
            return
        self._heartbeat.alive = True
        try:
            drained = outbox.flush(self._sock.send)
        except OSError:
            self._lose_peer()
            return
        if drained and self._outbox is outbox:
            self._forget_outbox()
            owner.on_drained()
        owner.account()

    def _forget_outbox(self) -> None:
        if self._outbox is not None:
            self._outbox.drop(all_of_it=True)
            self._outbox = None
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
