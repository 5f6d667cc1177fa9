"""A connected socket for greenlets: one reader and one writer at a time.

Its waits, with deadlines and interruptions, are those of `Waits`. Errors of the operating system become `Disconnected`
here and nowhere else.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from typing import Final

from heliograph_proxy import pace
from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import Disconnected, TimedOut
from heliograph_proxy.pace import Pace, Uptake, untaken
from heliograph_proxy.waits import Sweeper, Waits

#: One read of a head and what comes with it; bodies and tunnels have a size of their own (readsize.py).
READ_SIZE: Final = 65536

#: A client whose sending side has ended may still read (a half close), but has usually gone: a slot and then its answer are
#: waited for this long. Not Final: tests wait less or longer.
HALF_CLOSE_SECONDS = 1.0

#: struct linger {1, 0}: close with a reset, which no peer takes for a proper end.
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class SocketStream(Waits):
    """`buffer` has bytes that were read and not used yet; the reader of a message owns it."""

    __slots__ = ("_pace", "_poll", "_recv", "_send", "buffer", "idle_since", "least_rate", "sent", "sock")

    def __init__(self, sock: socket.socket, sweeper: Sweeper, write_patience: float) -> None:
        super().__init__(sock.fileno(), sweeper, write_patience)
        #: Bytes a second that the other side must take on average while bytes wait for it. 0: no limit.
        self.least_rate = 0.0
        self._pace: Pace | None = None
        self.sock = sock
        # Looked up once: these two are most of what a request asks of Python.
        self._recv: Callable[..., bytes] = sock.recv
        self._send: Callable[[bytes | memoryview], int] = sock.send
        self._poll: select.poll | None = None
        self.buffer = b""
        #: When it was put aside for another request.
        self.idle_since = 0.0
        #: All bytes the kernel took from us.
        self.sent = 0

    def recv(self, deadline: float, size: int = READ_SIZE) -> bytes:
        """Some bytes; none at the end."""
        while True:
            try:
                return self._recv(size)
            except BlockingIOError:
                self.wait_readable(deadline)
            except OSError as exc:
                raise Disconnected(self, exc.strerror or str(exc)) from exc

    def recv_later(self, deadline: float, size: int = READ_SIZE) -> bytes:
        """As `recv`, where data cannot be there yet: waits before it tries."""
        self.wait_readable(deadline)
        return self.recv(deadline, size)

    def is_quiet(self) -> bool:
        """Nothing has come, no end either. A quarter of what `peek` costs, which pays with an exception."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.sock, select.POLLIN)
        return not self._poll.poll(0)

    def peek(self) -> bytes | None:
        """A byte without taking it; none at the end; None if nothing is there."""
        try:
            return self._recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def send(self, data: bytes) -> bool:
        """All of it; whether the kernel took it at once. TimedOut when the other side takes nothing for `write_patience`
        seconds, or less than `least_rate`."""
        rest = self.offer(data)
        if rest is None:
            return True
        self.send_rest(rest)
        return False

    def offer(self, data: bytes) -> memoryview | None:
        """Send what the kernel takes at once. The rest, or None."""
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            raise Disconnected(self, exc.strerror or str(exc)) from exc
        self.sent += sent
        return None if sent == len(data) else memoryview(data)[sent:]

    def send_rest(self, rest: memoryview) -> None:
        """As `send`, where the kernel cannot take it yet: waits before it tries."""
        while rest:
            self._wait_for_room()
            try:
                sent = self._send(rest)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise Disconnected(self, exc.strerror or str(exc)) from exc
            self.sent += sent
            rest = rest[sent:]

    def _wait_for_room(self) -> None:
        """Returns when the kernel takes more."""
        uptake = Uptake(untaken(self._fileno), monotonic())
        while True:
            kept = self._current_pace()
            late: TimedOut | None = None
            try:
                self.wait_writable(uptake.deadline(self.write_patience, kept))
            except TimedOut as exc:
                late = exc
            uptake.looked(untaken(self._fileno), monotonic(), kept)
            if kept is not None and kept.too_slow:
                raise TimedOut(self, "it was taken too slowly")
            if late is None:
                return
            if uptake.silent_for(self.write_patience):
                raise late

    def _current_pace(self) -> Pace | None:
        rate, kept = self.least_rate, self._pace
        if not rate:
            return None  # a tunnel by now, or the settings are others
        if kept is None or kept.rate != rate:
            self._pace = kept = Pace(rate, pace.ANSWER_SECONDS)
        return kept

    def wait_connected(self, deadline: float) -> None:
        """Wait for connect() to end, either way."""
        self.wait_writable(deadline)

    @property
    def close_would_reset(self) -> bool:
        """Whether a close could take back what was sent. The kernel drops what is left of it, and resets the connection, when
        the other side has sent more or still does so."""
        return not self.closed and (bool(self.peek()) or untaken(self._fileno) > READ_SIZE)

    def forget_interruption(self) -> None:
        """It has come too late."""
        self._interruption = None

    def finish_writing(self) -> None:
        """Tell the other side that nothing more comes; reading goes on."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as exc:
            raise Disconnected(self, exc.strerror or str(exc)) from exc

    def close(self, *, reset: bool = False) -> None:
        """`reset`: so that the other side cannot take it for a proper end."""
        if self.closed:
            return
        self.end()
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.sock.close()
