"""Whether the peer is still there: a ping every INTERVAL, and PATIENCE for any sign of life after it.

So a peer that vanished without a word is found within INTERVAL + PATIENCE and two ticks of the wheel, 36 s.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from abc import abstractmethod

from heliograph.websocket import pings
from heliograph.websocket.frames import PING_FRAME
from heliograph.websocket.outgoing import OPEN, Outgoing
from heliograph.websocket.pings import wheel


class Heartbeat(Outgoing):
    __slots__ = ("_asked", "_paused", "_unacknowledged", "slot")

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.slot = -1
        self._asked = False
        #: Whether nothing is read, for the view has not taken what arrived before.
        self._paused = False
        # Bytes that the peer's kernel had not taken before it was asked.
        self._unacknowledged = 0
        wheel.schedule(self, wheel.first_wait())

    def time_is_up(self) -> None:
        """Called by the wheel."""
        if self._asked:
            self._judge()
        else:
            self._ask()

    @abstractmethod
    def _readable(self) -> None:
        """Read what is there."""

    def _ask(self) -> None:
        self._asked, self._alive = True, False
        self._unacknowledged = self._not_acknowledged()
        self._control(PING_FRAME)
        if self.state is OPEN:
            wheel.schedule(self, pings.PATIENCE)

    def _judge(self) -> None:
        self._asked = False
        if not self._alive and not self._paused:
            self._readable()  # this process may have been busy while the answer came
        if self.state is not OPEN or self.slot >= 0:
            return
        left = self._not_acknowledged()
        # While we do not read, the answer cannot be seen; but whether the peer's kernel took the question can. And a slow line may
        # still be carrying what was sent before it.
        if self._alive or left < self._unacknowledged or (self._paused and not left):
            wheel.schedule(self, pings.INTERVAL - pings.PATIENCE)
        else:
            self.abort()

    def _not_acknowledged(self) -> int:
        size: int = struct.unpack("i", fcntl.ioctl(self._sock, termios.TIOCOUTQ, b"    "))[0]
        return size
