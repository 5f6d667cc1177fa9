"""Letting others have a turn in the middle of long work on the event loop."""

from __future__ import annotations

from time import monotonic
from typing import Any

from gevent.hub import get_hub

#: Seconds of work between two pauses. A turn on the event loop should take less than 5 ms, the last step included.
WORK = 0.002


def pause() -> None:
    """Let everything else have a turn: sockets and timers, too.

    `gevent.sleep(0)` comes back before the loop looks at them, a thousand times if need be. This costs ten microseconds more.
    """
    hub = get_hub()
    timer: Any = hub.loop.timer(0)
    with timer as due:
        hub.wait(due)


class Pauses:
    """Call it after each step, whether the step gave anything or not: it pauses when enough was done since the last pause."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = monotonic() + WORK

    def __call__(self) -> None:
        if monotonic() >= self._until:
            pause()
            self._until = monotonic() + WORK
