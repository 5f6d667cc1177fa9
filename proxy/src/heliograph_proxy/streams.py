"""A connected socket for greenlets: one reader and one writer at a time.

Its waits, with deadlines and interruptions, are those of `Waits`. Errors of the operating system become `Disconnected`
here and nowhere else.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from time import monotonic
from typing import Final

from heliograph_proxy.errors import Disconnected
from heliograph_proxy.waits import Sweeper, Waits

#: One read of a head and what comes with it; bodies and tunnels have a size of their own (readsize.py).
READ_SIZE: Final = 65536

#: struct linger {1, 0}: close with a reset, which no peer takes for a proper end.
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class SocketStream(Waits):
    """`buffer` has bytes that were read and not used yet; the reader of a message owns it."""

    __slots__ = ("_poll", "_recv", "_send", "buffer", "idle_since", "sent", "sock")

    def __init__(self, sock: socket.socket, sweeper: Sweeper, write_patience: float) -> None:
        super().__init__(sock.fileno(), sweeper, write_patience)
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
        """All of it; whether the kernel took it at once. TimedOut when nothing moves for `write_patience` seconds."""
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            raise Disconnected(self, exc.strerror or str(exc)) from exc
        self.sent += sent
        if sent == len(data):
            return True
        self._send_rest(memoryview(data)[sent:])
        return False

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            self.wait_writable()
            try:
                sent = self._send(rest)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise Disconnected(self, exc.strerror or str(exc)) from exc
            self.sent += sent
            rest = rest[sent:]

    def wait_connected(self, deadline: float) -> None:
        """Wait for connect() to end, either way."""
        patience, self.write_patience = self.write_patience, deadline - monotonic()
        try:
            self.wait_writable()
        finally:
            self.write_patience = patience

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
