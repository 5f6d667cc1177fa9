"""One timer for all connections: a wheel of slots, each a quarter of a second.

A timer for each connection would be an object and a heap entry more; here a connection is an entry of one set. `Wheel` is pure: it
is told when a slot's time is over. `start` gives it a timer of the event loop, which runs while anybody waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import gevent

#: Seconds between the pings to a client (RFC 6455, 5.5.2): under the 60 s after which proxies cut silent connections.
INTERVAL = 25.0

#: Seconds in which a client has to answer, or to show otherwise that it is alive.
PATIENCE = 10.0

#: How late anything here may be, in seconds.
TICK = 0.25

#: Slots of the wheel; nothing is further away than INTERVAL.
SLOTS = 128


class Waiting(Protocol):
    """Somebody whose time will come. `slot` is the wheel's own; -1: nothing is awaited."""

    slot: int

    def time_is_up(self) -> None: ...


class Wheel:
    def __init__(self) -> None:
        self._slots: list[set[Waiting]] = [set() for _ in range(SLOTS)]
        self._now = 0
        self._waiting = 0
        self._joined = 0
        self._start: Callable[[], Callable[[], None]] | None = None
        self._stop: Callable[[], None] | None = None

    def __len__(self) -> int:
        return self._waiting

    def run_with(self, start: Callable[[], Callable[[], None]]) -> None:
        """`start` starts a timer that calls `turn`, and returns what stops it."""
        self._start = start

    def schedule(self, waiting: Waiting, seconds: float) -> None:
        """Call `time_is_up` in so many seconds, and not when it was to be called before."""
        self.cancel(waiting)
        ticks = min(max(1, round(seconds / TICK)), SLOTS - 1)
        waiting.slot = (self._now + ticks) % SLOTS
        self._slots[waiting.slot].add(waiting)
        self._waiting += 1
        if self._stop is None and self._start is not None:
            self._stop = self._start()

    def cancel(self, waiting: Waiting) -> None:
        if waiting.slot >= 0:
            self._slots[waiting.slot].discard(waiting)
            waiting.slot = -1
            self._waiting -= 1

    def first_wait(self) -> float:
        """Seconds until a new connection's first ping: each another one, lest all who come at once are pinged at once for ever."""
        self._joined += 1
        spread = INTERVAL / 2
        return INTERVAL - (self._joined * TICK) % spread

    def turn(self) -> None:
        """A quarter of a second has passed."""
        self._now = (self._now + 1) % SLOTS
        due, self._slots[self._now] = self._slots[self._now], set()
        for waiting in due:
            if waiting.slot == self._now:  # not if one before it cancelled it
                waiting.slot = -1
                self._waiting -= 1
                waiting.time_is_up()
        if not self._waiting and self._stop is not None:
            self._stop()
            self._stop = None


def _start_timer() -> Callable[[], None]:
    # No reference: open connections alone do not keep an event loop from ending.
    timer: Any = gevent.get_hub().loop.timer(TICK, TICK, ref=False)
    timer.start(wheel.turn)

    def stop() -> None:
        timer.stop()
        timer.close()

    return stop


#: This process's own.
wheel = Wheel()
wheel.run_with(_start_timer)
