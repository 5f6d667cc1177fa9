"""Letting others have a turn in the middle of long work on the event loop."""

from __future__ import annotations

from time import monotonic

import gevent

#: Seconds of work between two pauses. A turn on the event loop should take less than 5 ms, the last step included.
WORK = 0.002


class Pauses:
    """Call it after each step, whether the step gave anything or not: it pauses when enough was done since the last pause."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = monotonic() + WORK

    def __call__(self) -> None:
        if monotonic() >= self._until:
            gevent.sleep(0)
            self._until = monotonic() + WORK
