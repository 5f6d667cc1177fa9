"""Waits of greenlets for a descriptor, with deadlines and interruptions; one sweeper looks at all deadlines.

Built on the hub's watchers rather than on gevent.socket for three reasons, all measured: the read watcher stays armed
between requests (no epoll_ctl per wait, and a closed or chatty idle connection is noticed at once); deadlines are checked by
one sweeper, ten times a second, instead of one timer per call; and an exception per EAGAIN is avoided by waiting where data
cannot be there yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import gevent
from gevent.hub import get_hub
from greenlet import getcurrent, greenlet

from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import Disconnected, TimedOut

NEVER: Final = float("inf")

#: Without gevent's look for a `switch_out`, which none of our greenlets has.
switch: Final[Callable[[Any], Any]] = greenlet.switch
_current: Final = getcurrent
_READ, _WRITE = 1, 2  # libev's event bits, as loop.io() takes them

#: How late a deadline may be noticed. Not Final: tests wait less.
SWEEP_SECONDS = 0.1


class Sweeper:
    """`add` and `remove` waits; `expire` tells each of them the time."""

    def __init__(self) -> None:
        self._streams: set[Waits] = set()
        self.add = self._streams.add
        self.remove = self._streams.discard
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None

    def reloaded(self, silence: float) -> None:
        """The settings are new. `silence` is for all that wait in a tunnel or in an answer."""
        for stream in self._streams:
            if stream.silence:
                stream.read_deadline += silence - stream.silence
                stream.silence = silence
            if stream.on_reload is not None:
                stream.on_reload()

    def _run(self) -> None:
        while True:
            gevent.sleep(SWEEP_SECONDS)
            now = monotonic()
            for stream in tuple(self._streams):
                stream.expire(now)


class Waits:
    """Who waits for a descriptor, until when, and what may wake them instead.

    The read watcher stays armed while nothing reads: the first event then disarms it and calls `on_readable`.
    """

    __slots__ = (
        "_armed",
        "_fileno",
        "_hub",
        "_interruption",
        "_reader",
        "_reading",
        "_sweeper",
        "_write_deadline",
        "_writer",
        "_writing",
        "on_readable",
        "on_reload",
        "read_deadline",
        "silence",
        "write_patience",
    )

    def __init__(self, fileno: int, sweeper: Sweeper, write_patience: float) -> None:
        #: When a wait for data ends with TimedOut. May be moved during the wait.
        self.read_deadline = NEVER
        self.write_patience = write_patience  # seconds
        #: Seconds that the other side may say nothing in a tunnel or in an answer that has begun; 0 elsewhere. These waits are
        #: long, so a reload reaches them, too.
        self.silence = 0.0
        #: Called when data or an end arrives while nothing reads.
        self.on_readable: Callable[[], None] | None = None
        #: Called when the settings are new.
        self.on_reload: Callable[[], None] | None = None
        self._fileno = fileno
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
        self._reading = _current()
        try:
            switch(self._hub)
        finally:
            self._reading = None

    def arm(self) -> None:
        """Notice what arrives, also while nothing reads."""
        if self._reader is None:
            raise Disconnected(self, "closed")
        if not self._armed:
            self._reader.start(self._readable)
            self._armed = True

    def set_write_patience(self, seconds: float) -> None:
        """Also for a wait that has begun: it looks again how long it may."""
        self.write_patience = seconds
        self._write_deadline = 0.0

    def wait_writable(self, deadline: float) -> None:
        """Returns when something may be written."""
        if self._reader is None:
            raise Disconnected(self, "closed")
        if self._writer is None:
            self._writer = self._hub.loop.io(self._fileno, _WRITE)
        self._write_deadline = deadline
        waiter = self._writing = _current()
        self._writer.start(waiter.switch)
        try:
            self._hub.switch()
        finally:
            self._writing = None
            if self._writer is not None:
                self._writer.stop()

    def _readable(self) -> None:
        if self._reading is not None:
            self._reading.switch()
            return
        self._reader.stop()
        self._armed = False
        if self.on_readable is not None:
            self.on_readable()

    def interrupt(self, error: BaseException) -> None:
        """Raise an error in the greenlet that waits for data here, or will."""
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
        """Give the watchers back. A greenlet that still waits gets Disconnected."""
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._reader = self._writer = self.on_readable = self.on_reload = None
        self._armed = False
        for waiter in (self._reading, self._writing):
            if waiter is not None and waiter is not getcurrent():
                self._hub.loop.run_callback(self._end, waiter)
        self._sweeper.remove(self)

    def _end(self, waiter: Any) -> None:
        if waiter in (self._reading, self._writing):
            waiter.throw(Disconnected(self, "closed"))
