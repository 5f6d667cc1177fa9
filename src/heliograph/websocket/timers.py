"""One timer for many connections: a wheel of slots, each a quarter of a second. Pure.

A timer for each connection would be an object and a heap entry more; here a connection is an entry of one set. The wheel is told
when a slot's time is over; `start` gives it a timer of the event loop, which runs only while something is scheduled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

#: How late anything here may be, in seconds.
TICK = 0.25

#: Slots of the wheel: 32 s, more than anything here waits (pings.INTERVAL is 25 s).
SLOTS = 128

Stop = Callable[[], None]


class Timed(Protocol):
    """What can be scheduled. `slot` belongs to the wheel; -1: nothing is scheduled."""

    slot: int

    def time_is_up(self) -> None: ...


class TimerWheel:
    def __init__(self, start: Callable[[Callable[[], None]], Stop] | None = None) -> None:
        """`start(turn)` starts a timer that calls `turn` every TICK, and returns what stops it."""
        self._slots: list[set[Timed]] = [set() for _ in range(SLOTS)]
        self._now = 0
        self._scheduled = 0
        self._start = start
        self._stop: Stop | None = None

    def __len__(self) -> int:
        return self._scheduled

    def schedule(self, timed: Timed, seconds: float) -> None:
        """Call `time_is_up` in so many seconds, and not when it was to be called before."""
        self.cancel(timed)
        ticks = min(max(1, round(seconds / TICK)), SLOTS - 1)
        timed.slot = (self._now + ticks) % SLOTS
        self._slots[timed.slot].add(timed)
        self._scheduled += 1
        if self._stop is None and self._start is not None:
            self._stop = self._start(self.turn)

    def cancel(self, timed: Timed) -> None:
        if timed.slot >= 0:
            self._slots[timed.slot].discard(timed)
            timed.slot = -1
            self._scheduled -= 1

    def turn(self) -> None:
        """A quarter of a second has passed."""
        self._now = (self._now + 1) % SLOTS
        due, self._slots[self._now] = self._slots[self._now], set()
        for timed in due:
            if timed.slot == self._now:  # not if one before it cancelled it
                timed.slot = -1
                self._scheduled -= 1
                timed.time_is_up()
        if not self._scheduled and self._stop is not None:
            self._stop()
            self._stop = None
