"""One open WebSocket: its states, and the halves that it puts together.

Everything that arrives is read by the event loop itself, not by the view: so pings and closes are answered while the view computes
or waits for something else, and an idle connection has no greenlet but the view's. All writing is without waiting. A `Receiver`
reads and an `Inbound` makes messages of the bytes, a `Sender` keeps what the kernel does not take, a `Heartbeat` decides whether
the peer is still there.

    OPEN ── close(), or a close frame sent ──> CLOSING ── answered and flushed, or CLOSE_TIMEOUT ──> CLOSED
      └────────────────────── the peer is gone, or gives no sign of life ──────────────────────────┘
"""

from __future__ import annotations

import socket
from enum import Enum
from typing import Any

from gevent.hub import get_hub
from geventwebsocket.exceptions import WebSocketError
from greenlet import getcurrent

from heliograph.websocket import pings
from heliograph.websocket.frames import NORMAL, PING_FRAME, TOO_SLOW
from heliograph.websocket.inbound import Inbound, close_code_of
from heliograph.websocket.pings import Heartbeat
from heliograph.websocket.receiver import Receiver
from heliograph.websocket.registry import ConnectionRegistry
from heliograph.websocket.sender import Sender

#: Seconds in which a peer may answer our close frame, and take what waits before it.
CLOSE_TIMEOUT = 5.0

#: Seconds in which a view may answer what arrived before a close or a broken rule. One that waits for messages is not waited for.
CLOSE_GRACE = 1.0


class ConnectionState(Enum):
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


OPEN, CLOSING, CLOSED = ConnectionState


class WebSocketConnection:
    __slots__ = (
        "_finisher",
        "_heartbeat",
        "_inbound",
        "_receiver",
        "_registry",
        "_sender",
        "_sock",
        "slot",
        "state",
    )

    def __init__(
        self, sock: socket.socket, inbound: Inbound, registry: ConnectionRegistry, early: bytes = b""
    ) -> None:
        """`sock` does not block; `early` are bytes that were read from it already."""
        self.state = OPEN
        self.slot = -1
        self._sock = sock
        self._inbound = inbound
        self._registry = registry
        self._heartbeat = Heartbeat()
        self._sender = Sender(sock, self._heartbeat, self)
        #: The greenlet that waits in `finish`.
        self._finisher: Any = None
        registry.add(self)
        registry.wheel.schedule(self, registry.first_ping())
        self._receiver = Receiver(sock, inbound, self._heartbeat, self)
        if early:
            self._receiver.take(early)

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent."""
        return self.state is OPEN

    @property
    def close_code(self) -> int:
        return close_code_of(self._inbound)

    # For views, which may wait.

    def receive(self) -> str | bytes | None:
        """The next message; None when the connection ends. One greenlet at a time."""
        return self._receiver.receive()

    def send(self, frame: bytes) -> None:
        """Send a frame; wait while the peer takes none. Raises WebSocketError when it will not arrive."""
        if self.state is not OPEN:
            raise WebSocketError("the connection is closed")
        self._sender.send(frame)

    def offer(self, frame: bytes) -> None:
        """Send a frame sooner or later, without waiting. A peer for which too much waits already is closed with 3008."""
        if self.state is OPEN and not self._sender.offer(frame):
            self.close(TOO_SLOW, "too slow")

    def close(self, code: int = NORMAL, reason: str = "", *, drop: bool = False) -> None:
        """Send a close frame, without waiting for the answer. Raises ValueError for a code that no close frame may have.

        `drop`: let go of what is held, but for a frame that has begun.
        """
        if self.state is not OPEN:
            return
        if drop:
            self._inbound.give_up(code, reason)
            self._sender.drop()
        if self._inbound.ending is not None:
            self.end()
        else:
            self._begin_closing(self._inbound.close(code, reason))

    def finish(self) -> None:
        """Close with 1000 what is still open, and wait until the peer has answered, at most CLOSE_TIMEOUT."""
        self.close()
        while self.state is not CLOSED:
            self._finisher = getcurrent()
            try:
                get_hub().switch()
            finally:
                self._finisher = None

    def abort(self) -> None:
        """End it at once, as when the peer is gone."""
        if self.state is CLOSED:
            return
        self.state = CLOSED
        self._registry.wheel.cancel(self)
        self._registry.open.discard(self)
        self._registry.memory.forget(self)
        self._receiver.close()
        self._sender.close()
        self._shut_down(socket.SHUT_RDWR)
        get_hub().loop.run_callback(self._wake_finisher)

    # Called by receiver and sender. Nothing from here on waits.

    def reply(self, pong: bytes) -> None:
        self._sender.control(pong)

    def account(self) -> None:
        if self.state is not CLOSED:
            self._registry.memory.report(self, self._inbound.held + self._sender.held)

    def prepare_end(self) -> None:
        """The peer has closed, or has broken a rule. What came before it is answered first, if that does not take long."""
        if self.state is CLOSING:
            self._end_sending()
        elif self.state is OPEN and self._receiver.view_waits:
            self.end()
        elif self.state is OPEN:
            self._receiver.pause()
            self._registry.wheel.schedule(self, CLOSE_GRACE)

    def end(self) -> None:
        """Answer the peer's close frame, or tell it which rule it has broken."""
        ending = self._inbound.ending
        assert ending is not None
        self._begin_closing(ending.data)

    def on_drained(self) -> None:
        if self.state is CLOSING:
            self._end_sending()

    def _begin_closing(self, last: bytes) -> None:
        """Send the last bytes; within CLOSE_TIMEOUT they are taken and answered, or the connection is cut."""
        self.state = CLOSING
        self._registry.wheel.schedule(self, CLOSE_TIMEOUT)
        if last:
            self._sender.post(last)
        self._receiver.read_on()
        self._receiver.end()
        if self._inbound.ending is not None and self.state is CLOSING:
            self._end_sending()

    def _end_sending(self) -> None:
        """Nothing more is sent. A peer that broke a rule may still be sending; cutting it off would lose it the close frame."""
        ending = self._inbound.ending
        if ending is None or not self._sender.is_empty:
            return
        if ending.clean:
            self.abort()
        else:
            self._shut_down(socket.SHUT_WR)

    def _shut_down(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:  # the peer was faster
            return

    def _wake_finisher(self) -> None:
        if self._finisher is not None:
            self._finisher.switch()

    # Called by the timer: one time at once is waited for.

    def time_is_up(self) -> None:
        if self.state is CLOSING:
            self.abort()
        elif self._inbound.ending is not None:
            self.end()
        elif self._heartbeat.asked:
            self._judge_peer()
        else:
            self._ping()

    def _ping(self) -> None:
        self._heartbeat.ask(self._sender.unacknowledged())
        self._sender.control(PING_FRAME)
        if self.state is OPEN:
            self._registry.wheel.schedule(self, pings.PATIENCE)

    def _judge_peer(self) -> None:
        heartbeat = self._heartbeat
        heartbeat.asked = False
        if not heartbeat.alive and not self._receiver.paused:
            self._receiver.read()  # this process may have been busy while the answer came
        if self.state is not OPEN or self.slot >= 0:
            return
        if heartbeat.judge(self._sender.unacknowledged(), reading=not self._receiver.paused):
            self._registry.wheel.schedule(self, pings.INTERVAL - pings.PATIENCE)
        else:
            self.abort()
