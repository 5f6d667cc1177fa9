"""What a client sends, with a deadline for each head as a whole and a least rate of each body: a client that sends a byte now and
then does not extend them."""

from __future__ import annotations

import io
import time
from typing import Any

from heliograph_proxy import pace
from heliograph_proxy.pace import Pace

#: Bytes a second that a body must average once it was waited for as long as `pace.BODY_SECONDS`: as at the proxy.
LEAST_BODY_RATE = 500.0


class Incoming(io.RawIOBase):
    """The bytes of one connection. The socket stays open when this is closed."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._deadline: float | None = None
        self._pace: Pace | None = None
        self._silence = 0.0
        #: Whether anything came since the deadline was set.
        self.began = False
        #: Whether the application may take the socket, for a WebSocket.
        self.offered = False
        #: Whether it has taken it.
        self.taken = False

    @property
    def _sock(self) -> Any:
        """The socket, by the name that it has in `socket.SocketIO`: simple-websocket takes it from there under servers of gevent.

        It is the application's from then on, and has no time limits of ours. It cannot be had where no answer to a handshake
        could be sent there: what is wrong with the request is answered as to any other one.
        """
        if not self.offered:
            raise AttributeError("the socket is there for valid handshakes of WebSockets only")
        self.taken = True
        self._connection.settimeout(None)
        return self._connection

    def readable(self) -> bool:
        return True

    def expect(self, seconds: float, since: float, began: bool) -> None:
        """All that is read from now on must have come so many seconds after `since`."""
        self._deadline, self._pace = since + seconds, None
        self.began = began

    def wait(self, seconds: float) -> None:
        """From now on only silence is bounded."""
        self._deadline = self._pace = None
        self._connection.settimeout(seconds)

    def expect_body(self, silence: float) -> None:
        """From now on silence is bounded, and the rate while it is waited for."""
        self._deadline, self._silence = None, silence
        self._pace = Pace(LEAST_BODY_RATE, pace.BODY_SECONDS)

    def readinto(self, buffer: Any) -> int | None:
        if self._pace is not None:
            return self._read_body(buffer, self._pace)
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the head took too long")
            self._connection.settimeout(left)
        try:
            size: int = self._connection.recv_into(buffer)
        except BlockingIOError:  # whoever takes the socket over looks for what was read ahead
            return None
        self.began = self.began or size > 0
        return size

    def _read_body(self, buffer: Any, kept: Pace) -> int:
        size: int = 0
        if kept.too_slow:
            raise TimeoutError("the body comes too slowly")
        begun = time.monotonic()
        self._connection.settimeout(min(self._silence, kept.patience))
        try:
            size = self._connection.recv_into(buffer)
        finally:
            kept.add(size, time.monotonic() - begun)
            self._connection.settimeout(self._silence)  # the answer has the same socket
        if kept.too_slow:
            raise TimeoutError("the body comes too slowly")
        return size
