"""One open WebSocket: its socket, who waits for it, its states.

Everything that arrives is read by the event loop itself, not by the view: so pings and closes are answered while the view computes
or waits for something else, and an idle connection has no greenlet but the view's. The read watcher stays armed until the view has
left MAX_UNREAD behind. All writing is without waiting; what the kernel does not take goes to an outbox, and a sender waits for it.

    OPEN ── close(), or a farewell said ──> CLOSING ── answered and flushed, or CLOSE_TIMEOUT ──> CLOSED
      └────────────────────── the peer is gone, or gives no sign of life ──────────────────────────┘
"""

from __future__ import annotations

import socket
from typing import Any

from gevent.hub import get_hub
from greenlet import getcurrent

from heliograph.websocket.frames import NORMAL
from heliograph.websocket.heartbeat import Heartbeat
from heliograph.websocket.inbound import MAX_UNREAD, Inbound
from heliograph.websocket.outgoing import CLOSED, CLOSING, OPEN, READ
from heliograph.websocket.pings import wheel

#: Seconds in which a peer may answer our close frame, and take what waits before it.
CLOSE_TIMEOUT = 5.0

#: Seconds in which a view may answer what arrived before a close or a broken rule. One that waits for messages is not waited for.
FAREWELL_GRACE = 1.0

#: One read: large enough for a message of 64 KiB, small enough that nobody else waits long.
READ_SIZE = 256 << 10

#: Where everything is read to. One for all: what is not used up at once is copied out before anything else runs.
_buffer = bytearray(READ_SIZE)


#: Those of this process that are not closed.
open_connections: set[Connection] = set()


class Connection(Heartbeat):
    __slots__ = ("_catching_up", "_finisher", "_inbound", "_reader", "_receiver")

    def __init__(self, sock: socket.socket, inbound: Inbound, early: bytes = b"") -> None:
        """`sock` does not block; `early` are bytes that were read from it already."""
        super().__init__(sock)
        self._inbound = inbound
        self._receiver: Any = None
        self._finisher: Any = None
        self._catching_up = False
        self._reader: Any = get_hub().loop.io(sock.fileno(), READ)
        self._reader.start(self._readable)
        open_connections.add(self)
        if early:
            inbound.feed(bytearray(early), len(early))
            self._dispatch()

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent."""
        return self.state is OPEN

    # For views, which may wait.

    def receive(self) -> str | bytes | None:
        """The next message; None when the connection ends. One greenlet at a time."""
        inbound = self._inbound
        while not inbound.messages:
            inbound.unread = 0
            if self.state is OPEN and inbound.farewell is not None:
                self._say_farewell()
            if self.state is not OPEN:
                return None
            if self._receiver is not None:
                raise RuntimeError("another greenlet receives already")
            if inbound.stalled:
                self._read_on()
            self._receiver = getcurrent()
            try:
                get_hub().switch()
            finally:
                self._receiver = None
        return inbound.messages.pop(0)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye, without waiting for the answer. Raises ValueError for a code that no close frame may have."""
        if self.state is not OPEN:
            return
        if self._inbound.farewell is not None:
            self._say_farewell()
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
        wheel.cancel(self)
        open_connections.discard(self)
        self._reader.stop()
        self._reader.close()
        self._forget_outbox()
        self._shut_down(socket.SHUT_RDWR)
        get_hub().loop.run_callback(self._wake)

    # For the event loop: nothing below waits.

    def _readable(self) -> None:
        try:
            size = self._sock.recv_into(_buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self.abort()
            return
        self._alive = True
        inbound = self._inbound
        inbound.feed(_buffer, size)
        if (
            inbound.messages
            and self._receiver is not None
            and not inbound.replies
            and inbound.farewell is None
        ):
            self._receiver.switch()
            if not inbound.stalled:
                return
        self._dispatch()

    def _dispatch(self) -> None:
        """Answer, hand over, and read on or not, after something was fed."""
        inbound = self._inbound
        for reply in inbound.replies:
            self._control(reply)
        inbound.replies.clear()
        if inbound.farewell is not None:
            self._heed_farewell()
        if self._receiver is not None and (inbound.messages or self.state is not OPEN):
            self._receiver.switch()
        if inbound.stalled and self.state is not CLOSED:
            self._pause()
            if inbound.unread < MAX_UNREAD:  # not for the view's sake, but to let others have a turn
                self._read_on()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._reader.stop()

    def _unpause(self) -> None:
        self._inbound.stalled = False
        if self._paused and self.state is not CLOSED:
            self._paused = False
            self._reader.start(self._readable)

    def _read_on(self) -> None:
        """Go on with what is left in memory, in a turn of its own, or with the socket."""
        if not self._inbound.has_rest:
            self._unpause()
        elif not self._catching_up:
            self._catching_up = True
            get_hub().loop.run_callback(self._catch_up)

    def _catch_up(self) -> None:
        self._catching_up = False
        inbound = self._inbound
        if self.state is not CLOSED and inbound.unread < MAX_UNREAD:
            inbound.resume()
            self._dispatch()
            if not inbound.stalled and (inbound.farewell is None or self.state is CLOSING):
                self._unpause()

    def _heed_farewell(self) -> None:
        """The peer has closed, or has broken a rule. What came before it is answered first, if that does not take long."""
        if self.state is CLOSING:
            self._depart()
        elif self._receiver is not None and not self._inbound.messages:
            self._say_farewell()
        elif self.state is OPEN:
            self._pause()
            wheel.schedule(self, FAREWELL_GRACE)

    def _say_farewell(self) -> None:
        farewell = self._inbound.farewell
        assert farewell is not None
        self._begin_closing(farewell.data)

    def _begin_closing(self, last: bytes) -> None:
        """Send the last bytes; within CLOSE_TIMEOUT they are taken and answered, or the connection is cut."""
        self.state = CLOSING
        wheel.schedule(self, CLOSE_TIMEOUT)
        if last:
            self._post(last)
        self._read_on()
        get_hub().loop.run_callback(self._wake)
        if self._inbound.farewell is not None and self.state is CLOSING:
            self._depart()

    def _depart(self) -> None:
        """Nothing more is sent. A peer that broke a rule may still be sending; cutting it off would lose it the close frame."""
        farewell = self._inbound.farewell
        if self._outbox is not None or farewell is None:
            return
        if farewell.clean:
            self.abort()
        else:
            self._shut_down(socket.SHUT_WR)

    def _drained(self) -> None:
        if self.state is CLOSING:
            self._depart()

    def _wake(self) -> None:
        if self._receiver is not None and self.state is not OPEN:
            self._receiver.switch()
        if self._finisher is not None and self.state is CLOSED:
            self._finisher.switch()

    def time_is_up(self) -> None:
        if self.state is CLOSING:
            self.abort()
        elif self._inbound.farewell is not None:
            self._say_farewell()
        else:
            super().time_is_up()
