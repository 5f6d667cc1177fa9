"""What a client sends, with a deadline for each head as a whole: a client that sends a byte now and then does not extend it."""

from __future__ import annotations

import io
import time
from typing import Any


class Incoming(io.RawIOBase):
    """The bytes of one connection. The socket stays open when this is closed."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._deadline: float | None = None
        #: Whether anything came since the deadline was set.
        self.began = False
        #: Whether the application has taken the socket.
        self.taken = False

    @property
    def _sock(self) -> Any:
        """The socket, by the name that it has in `socket.SocketIO`: simple-websocket takes it from there under servers of gevent.

        It is the application's from then on, and has no time limits of ours.
        """
        self.taken = True
        self._connection.settimeout(None)
        return self._connection

    def readable(self) -> bool:
        return True

    def expect(self, seconds: float, since: float, began: bool) -> None:
        """All that is read from now on must have come so many seconds after `since`."""
        self._deadline = since + seconds
        self.began = began

    def wait(self, seconds: float) -> None:
        """From now on only silence is bounded."""
        self._deadline = None
        self._connection.settimeout(seconds)

    def readinto(self, buffer: Any) -> int | None:
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
