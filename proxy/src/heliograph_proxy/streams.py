"""A connected socket for greenlets: one reader and one writer at a time, deadlines, interruptions.

Built on the hub's watchers rather than on gevent.socket for three reasons, all measured: the read watcher stays armed
between requests (no epoll_ctl per wait, and a closed or chatty idle connection is noticed at once); deadlines are checked by
one sweeper instead of one timer per call; and an exception per EAGAIN is avoided by waiting where data cannot be there yet.
Errors of the operating system become `Disconnected` here and nowhere else.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from gevent.hub import get_hub
from greenlet import getcurrent, greenlet

from heliograph_proxy.errors import Disconnected, TimedOut
from heliograph_proxy.sweeper import Sweeper

#: One read of a head and what comes with it; bodies and tunnels have a size of their own (readsize.py).
READ_SIZE: Final = 65536

NEVER: Final = float("inf")

#: Without gevent's look for a `switch_out`, which none of our greenlets has.
switch: Callable[[Any], Any] = greenlet.switch
_READ, _WRITE = 1, 2  # libev's event bits, as loop.io() takes them

#: struct linger {1, 0}: close with a reset, which no peer takes for a proper end.
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Waits:
    """Who waits for a descriptor, until when, and what may wake them instead.

    The read watcher stays armed while nobody reads: the first event then disarms it and is told to `on_readable`.
    """

    __slots__ = (
        "_armed",
        "_hub",
        "_interruption",
        "_reader",
        "_reading",
        "_sweeper",
        "_write_deadline",
        "_writer",
        "_writing",
        "on_readable",
        "read_deadline",
        "write_patience",
    )

    def __init__(self, fileno: int, sweeper: Sweeper, write_patience: float) -> None:
        #: When a wait for data ends with TimedOut. May be moved while somebody waits.
        self.read_deadline = NEVER
        self.write_patience = write_patience  # seconds
        #: Called when data or an end arrives while nobody reads.
        self.on_readable: Callable[[], None] | None = None
        self._hub = get_hub()
        self._reader: Any = self._hub.loop.io(fileno, _READ)
        self._writer: Any = None
        self._armed = False
        self._reading: Any = None
        self._writing: Any = None
        self._write_deadline = NEVER
        self._interruption: BaseException | None = None
        self._sweeper = sweeper
        sweeper.add(self)

    @property
    def closed(self) -> bool:
        return self._reader is None

    def wait_readable(self, deadline: float) -> None:
        """Returns when there may be something to read."""
        if self._interruption is not None:
            error, self._interruption = self._interruption, None
            raise error
        self.read_deadline = deadline
        if not self._armed:
            self.arm()
        self._reading = getcurrent()
        try:
            switch(self._hub)
        finally:
            self._reading = None

    def arm(self) -> None:
        """Notice what arrives, also while nobody reads."""
        if self._reader is None:
            raise Disconnected(self, "closed")
        if not self._armed:
            self._reader.start(self._readable)
            self._armed = True

    def _readable(self) -> None:
        if self._reading is not None:
            self._reading.switch()
            return
        self._reader.stop()
        self._armed = False
        if self.on_readable is not None:
            self.on_readable()

    def interrupt(self, error: BaseException) -> None:
        """Raise an error in whoever waits for data here, or will."""
        self._interruption = error
        if self._reading is not None:
            self._hub.loop.run_callback(self._interrupt)

    def expire(self, now: float) -> None:
        """Called by the sweeper: end waits whose deadline has passed."""
        if now >= self.read_deadline and self._reading is not None:
            self._hub.loop.run_callback(self._expire_read)
        if now >= self._write_deadline and self._writing is not None:
            self._hub.loop.run_callback(self._expire_write)

    # What was true when a callback was scheduled may have changed: each looks again.
    def _interrupt(self) -> None:
        if self._interruption is not None and self._reading is not None:
            error, self._interruption = self._interruption, None
            self._reading.throw(error)

    def _expire_read(self) -> None:
        if self._reading is not None and monotonic() >= self.read_deadline:
            self._reading.throw(TimedOut(self, "nothing came in time"))

    def _expire_write(self) -> None:
        if self._writing is not None and monotonic() >= self._write_deadline:
            self._writing.throw(TimedOut(self, "nothing could be sent in time"))

    def end(self) -> None:
        """Give the watchers back. Whoever still waits gets Disconnected."""
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._reader = self._writer = self.on_readable = None
        self._armed = False
        for waiter in (self._reading, self._writing):
            if waiter is not None and waiter is not getcurrent():
                self._hub.loop.run_callback(self._end, waiter)
        self._sweeper.remove(self)

    def _end(self, waiter: Any) -> None:
        if waiter in (self._reading, self._writing):
            waiter.throw(Disconnected(self, "closed"))


class Stream(Waits):
    """`buffer` has bytes that were read and not used yet; whoever reads a message owns it."""

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
            self._wait_writable()
            try:
                sent = self._send(rest)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise Disconnected(self, exc.strerror or str(exc)) from exc
            self.sent += sent
            rest = rest[sent:]

    def _wait_writable(self) -> None:
        if self._reader is None:
            raise Disconnected(self, "closed")
        if self._writer is None:
            self._writer = self._hub.loop.io(self.sock.fileno(), _WRITE)
        self._write_deadline = monotonic() + self.write_patience
        waiter = self._writing = getcurrent()
        self._writer.start(waiter.switch)
        try:
            self._hub.switch()
        finally:
            self._writing = None
            if self._writer is not None:
                self._writer.stop()

    def wait_connected(self, deadline: float) -> None:
        """Wait for connect() to end, either way."""
        patience, self.write_patience = self.write_patience, deadline - monotonic()
        try:
            self._wait_writable()
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
